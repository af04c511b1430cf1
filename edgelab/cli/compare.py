"""`edgelab compare`: two tables of results side by side."""

from __future__ import annotations

import argparse
from dataclasses import replace

from edgelab.cli.check import print_findings, print_lines
from edgelab.cli.output import print_json, print_table
from edgelab.cli.written import write_to
from edgelab.compared import table_named
from edgelab.comparison import Comparison, compare
from edgelab.comparison_report import (
    columns,
    comparison_csv,
    comparison_document,
    comparison_markdown,
)
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.paired_rows import PairedRow, paired_rows
from edgelab.problem import Problem
from edgelab.result_table import Pairing
from edgelab.words import plain


def run(options: argparse.Namespace) -> int:
    """Print, or write, what was asked for."""
    lab = Lab(Home.default())
    lab.recover()
    asked = tuple(map(_pairing, options.pair))
    right = table_named(lab, options.b)
    right = replace(right, pairings=(*right.pairings, *asked))
    comparison = compare(table_named(lab, options.a), right)
    for path, text in (
        (options.csv, comparison_csv(comparison)),
        (options.markdown, comparison_markdown(comparison)),
    ):
        if path is not None:
            write_to(path, text)
    pairs = list(paired_rows(lab, comparison)) if options.paired else []
    if options.json:
        document = comparison_document(comparison)
        if options.paired:
            document["paired"] = [_paired_document(pair) for pair in pairs]
        print_json(document)
    elif "-" not in (options.csv, options.markdown):
        _print(comparison)
        if options.paired:
            print("\nPaired: A's MAE minus B's over the images that both counted")
            print_lines([pair.words for pair in pairs] or ("no two rows are own runs",))
    return 0


def _paired_document(pair: PairedRow) -> dict[str, object]:
    found = pair.difference
    return {
        "a": pair.left.full_name,
        "b": pair.right.full_name,
        "images": found.images if found else 0,
        "difference": found.difference if found else None,
        "low": found.low if found else None,
        "high": found.high if found else None,
        "distinguishable": found.distinguishable if found else None,
    }


def _pairing(text: str) -> Pairing:
    own, equals, published = text.partition("=")
    if not (own and equals and published):
        raise Problem(f"--pair {text}: must be A's model, =, B's model")
    return Pairing(own, published, same=False, difference="paired on request")


def _print(comparison: Comparison) -> None:
    print(f"A: {plain(comparison.left.title)}\nB: {plain(comparison.right.title)}\n")
    chosen = columns(comparison, comparison.shared or None)
    print_table(
        [column.title for column in chosen],
        ([column.text(row) for column in chosen] for row in comparison.rows),
    )
    print("\nWhat differs (A / B)")
    print_lines(comparison.explanations or ("nothing that is known",))
    print()
    print_findings(comparison.left.title, comparison.left_findings)
    print_findings(comparison.right.title, comparison.right_findings)
