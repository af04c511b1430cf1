"""`edgelab check`: what cannot be right in a table of results, or wants explaining."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from edgelab.cli.output import print_json
from edgelab.compared import table_named
from edgelab.comparison_report import finding_document, finding_words
from edgelab.consistency import Finding, check
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.words import plain

_LONGEST_LINE = 500


def run(options: argparse.Namespace) -> int:
    """Print the findings; that there are some is a result, not an error."""
    lab = Lab(Home.default())
    lab.recover()
    table = table_named(lab, options.table)
    findings = check(table)
    if options.json:
        print_json({"table": table.title, "findings": [finding_document(f) for f in findings]})
    else:
        print_findings(table.title, findings)
    return 0


def print_findings(title: str, findings: Sequence[Finding]) -> None:
    """One line a finding, under the title of its table."""
    print(f"Findings in {plain(title)}")
    print_lines([finding_words(finding) for finding in findings] or ["none"])


def print_lines(lines: Iterable[str]) -> None:
    """Indented lines that may hold foreign text."""
    for line in lines:
        print(f"  {plain(line, _LONGEST_LINE)}")
