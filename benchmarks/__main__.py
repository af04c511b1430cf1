"""`python -m benchmarks [NAME...]`: measure, print, and write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from benchmarks import machine
from benchmarks.figures import NOISY, Section, budget_table

NAMES = (
    "start_up", "console", "long_run", "pipeline", "precisions", "study", "store", "telemetry",
    "vlm_engines", "training", "vlm_memory",
)  # fmt: skip
_DEVELOPERS_SETTINGS = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONDEVMODE")
"""Variables that nobody has on a board, and that slow each start down."""

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def main() -> None:
    """Measure what was asked for; the page is written when everything was."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    names = parser.parse_args().names or NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(f"no benchmark {' '.join(sorted(unknown))}: choose from {', '.join(NAMES)}")
    for name in _DEVELOPERS_SETTINGS:
        os.environ.pop(name, None)
    started, busy_before = time.monotonic(), machine.busy_percent()
    sections = [_measured(name) for name in names]
    took_s, busy_after = time.monotonic() - started, machine.busy_percent()
    page = _page(sections, took_s, busy_before, busy_after)
    if set(names) == set(NAMES):
        PAGE.write_text(page)
        print(f"written to {PAGE}")


def _measured(name: str) -> Section:
    measure: Callable[[Path], Section] = import_module(f"benchmarks.{name}").measure
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="edgelab-bench-") as folder:
        section = measure(Path(folder))
    print(section.markdown(), end="\n\n")
    if section.budgets:
        print(budget_table(section.budgets).markdown())
    print(f"\n({name} took {time.monotonic() - started:.0f} s)\n", flush=True)
    return section


def _page(sections: Iterable[Section], took_s: float, busy_before: float, busy_after: float) -> str:
    sections = list(sections)
    budgets = [budget for section in sections for budget in section.budgets]
    parts = [
        "# Benchmarks",
        "Written by `make bench`. Medians, with the extremes in brackets. What is compared was "
        f"measured in turns in one run. `~`: noisy, the extremes are over {NOISY:.0%} of the "
        "median apart; a budget is noisy where its bound lies between them. Ratios travel to "
        "other machines, absolute figures do not.",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {took_s / 60:.1f} minutes. Other processes kept "
        f"{busy_before:.0f} % of a core busy before it and {busy_after:.0f} % after it.",
        "\n".join(f"- {name}: {value}" for name, value in machine.facts().items()),
        "## Budgets",
        f"{sum(budget.met for budget in budgets)} of {len(budgets)} are met.",
        budget_table(budgets).markdown(),
        *(section.markdown() for section in sections),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
