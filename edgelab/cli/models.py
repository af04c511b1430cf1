"""`edgelab models`: the models known by name, and whether they fit; `add` names one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from edgelab import fitting
from edgelab.calibration import read_calibration
from edgelab.catalogue import Catalogue, Entry, HubModel, ModelProfile, checkpoint_of
from edgelab.cli.output import print_json, print_table
from edgelab.environment import capture
from edgelab.forecast import Fit, Forecast, forecast
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.machine import usable_cores
from edgelab.model_editing import add_model, new_model
from edgelab.pace import LeastSeconds, Pace, pace_of
from edgelab.record import RunRecord
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import Precision
from edgelab.telemetry import Board
from edgelab.weights import NOT_HERE, model_file
from edgelab.words import UNKNOWN, megabytes

TITLES = ("name", "title", "task", "file MB", "memory", "time", "license", "note")


def run(options: argparse.Namespace) -> int:
    """List them, or give one a name."""
    return _add(options) if options.action == "add" else _list(options)


def _add(options: argparse.Namespace) -> int:
    home = Home.default()
    new = new_model(home, options.name, options.model, options.title)
    print(f"{new.name}: kept in {add_model(home, new)}")
    return 0


def _list(options: argparse.Namespace) -> int:
    """A broken profile is listed with its problem."""
    home = Home.default()
    past, available = Lab(home).store.all(), Board().memory_available()
    catalogue, board = Catalogue(home), fitting.Board(available, past)
    models = [_document(entry, home, past, available) for entry in catalogue.models()]
    models += [_checkpoint(entry, home, board) for entry in catalogue.hub_models()]
    if options.json:
        print_json(models)
    else:
        print_table(TITLES, [_row(model) for model in models])
    return 0


def _document(
    entry: Entry[ModelProfile], home: Home, past: list[RunRecord], available: int | None
) -> dict[str, object]:
    document: dict[str, object] = {"name": entry.name, "problem": entry.problem}
    profile = entry.profile
    if profile is None:
        return document
    file = model_file(entry, home)
    size = file.stat().st_size if file is not None and file.exists() else None
    document |= {
        "title": profile.title,
        "task": profile.__struct_config__.tag,
        "license": profile.license,
        "file": None if file is None else str(file),
        "file_bytes": size,
        "problem": f"{file}: no such file" if file is not None and size is None else None,
        "weights": NOT_HERE if file is None else None,
    }
    if size is not None:
        expected = forecast(entry.name, Precision.FP32, size, available, past)
        document |= {"fit": expected.fit, "peak_bytes": expected.peak_bytes}
        document["peak_source"] = expected.source
        document |= _time(pace_of(entry.name, profile.precisions, past))
    return document


def _checkpoint(entry: Entry[HubModel], home: Home, board: fitting.Board) -> dict[str, object]:
    """A vision-language model: a forecast a precision, where it is on this board."""
    document: dict[str, object] = {"name": entry.name, "problem": entry.problem}
    profile = entry.profile
    if profile is None:
        return document
    folder = fitting.model_folder(entry.name, None, home)
    document |= {
        "title": profile.title,
        "task": "ask",
        "license": profile.license,
        "repository": checkpoint_of(entry),
        "file": None if folder is None else str(folder),
        "weights": f"{fitting.NOT_THERE}: {checkpoint_of(entry)}" if folder is None else None,
    }
    if folder is not None:
        settings = AskSettings(
            model=entry.name, dataset="-", precisions=tuple(Precision), threads=usable_cores()
        )
        expected = fitting.fits(settings, home, board)
        document["fits"] = {
            precision: {"fit": each.fit, "peak_bytes": each.peak_bytes, "source": each.source}
            for precision, each in expected.items()
        }
        document["fit"] = fit_words(expected)
        document |= _time(pace_of(entry.name, tuple(expected), board.past, _floor(settings, home)))
    return document


def _floor(settings: AskSettings, home: Home) -> LeastSeconds | None:
    """The least time of a question, where the board was calibrated."""
    calibration = read_calibration(home, capture())
    if calibration is None:
        return None
    return lambda precision: fitting.least_question_s(settings, precision, home, calibration)


def _time(pace: Pace) -> dict[str, object]:
    return {"time": pace.words, "time_ms": pace.document()}


def fit_words(expected: Mapping[Precision, Forecast]) -> str:
    """fits nf4, bf16; tight int8; no fp32."""
    groups: dict[Fit, list[str]] = {}
    for precision, each in expected.items():
        groups.setdefault(each.fit, []).append(precision.value)
    return "; ".join(f"{fit} {', '.join(groups[fit])}" for fit in Fit if fit in groups) or UNKNOWN


def _row(model: dict[str, object]) -> list[str]:
    size = model.get("file_bytes")
    keys = ("name", "title", "task")
    return [
        *(str(model.get(key) or UNKNOWN) for key in keys),
        megabytes(size if isinstance(size, int) else None),
        *(str(model.get(key, UNKNOWN)) for key in ("fit", "time")),
        str(model.get("license", UNKNOWN)),
        str(model.get("problem") or model.get("weights") or ""),
    ]
