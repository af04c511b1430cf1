"""Looking through a dataset: in a process of its own, which tells how far it is."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgelab.dataset_report import DatasetReport
from edgelab.home import Home
from edgelab.program import Tell, run_program
from edgelab.schema import read_json

CHECKING = "checking"


def look_through(
    home: Home,
    dataset: str,
    tell: Tell,
    *,
    images: str | None = None,
    split: str | None = None,
    classes: tuple[str, ...] | None = None,
    per_class: int | None = None,
    model: str | None = None,
) -> DatasetReport:
    """What `runners.check_dataset` finds in a dataset, by name or path; raises its Problem."""
    given = {"--images": images, "--split": split, "--model": model}
    given["--per-class"] = None if per_class is None else str(per_class)
    # With `=`, for a name may begin with a dash.
    options = [f"{name}={value}" for name, value in given.items() if value is not None]
    options += [f"--class={name}" for name in classes or ()]
    with tempfile.TemporaryDirectory(prefix="edgelab-") as folder:
        report = Path(folder) / "report.json"
        arguments = [*options, f"--report={report}", "--", dataset]
        run_program(home, "runners.check_dataset", arguments, CHECKING, tell)
        return read_json(report, DatasetReport)
