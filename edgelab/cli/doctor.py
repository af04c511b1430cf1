"""`edgelab doctor`: what this machine can do, which extras are missing, and what to type."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgelab import environment
from edgelab.boards import recognise
from edgelab.calibration import calibration_file, read_calibration
from edgelab.catalogue import Catalogue
from edgelab.cli.output import print_json, print_table
from edgelab.durable import try_locked
from edgelab.energy.config import load
from edgelab.energy.discovery import discover
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.problem import Problem, told
from edgelab.queue import queued
from edgelab.telemetry import Board
from edgelab.words import megabytes

# What each extra brings, by the module that proves it.
EXTRAS = {
    "train": ("torch", "torchvision", "ultralytics"),
    "finetune": ("torch", "transformers", "peft", "bitsandbytes"),
    "vlm": ("torch", "transformers", "bitsandbytes", "num2words"),
    "vlm-onnx": ("tokenizers", "jinja2", "PIL", "onnx_ir"),
    "images": ("textual_image",),
}
RUNTIME = ("onnxruntime", "onnx", "cv2", "numpy")


class Finding(NamedTuple):
    """One thing that was looked at."""

    what: str
    state: str
    detail: str


def run(options: argparse.Namespace) -> int:
    """Print all findings; 1 where something is broken, not merely missing."""
    findings = list(_findings(Home.default()))
    if options.json:
        print_json([finding._asdict() for finding in findings])
    else:
        print_table(("what", "state", "detail"), findings)
    return 1 if any(finding.state == "broken" for finding in findings) else 0


def _findings(home: Home) -> Iterator[Finding]:
    yield from _machine()
    yield from _sensors(home)
    yield from _power(home)
    yield _calibration(home)
    yield from _software()
    yield from _lab(home)


def _machine() -> Iterator[Finding]:
    facts = environment.capture()
    for key in ("board", "cpu", "cores", "architecture", "kernel", "system", "governor", "python"):
        if key in facts:
            yield Finding(key, "ok", facts[key])


def _sensors(home: Home) -> Iterator[Finding]:
    board = Board(home=_existing_parent(home.root))
    board.sample()
    for sensor in board.sensors:
        state = "broken" if sensor.name in board.problems else "ok"
        problem = board.problems.get(sensor.name)
        detail = problem or f"{sensor.source}, every {sensor.period_s:g} s"
        yield Finding(sensor.name, state, detail)
    for absent in board.absent:
        yield Finding(absent.name, "missing", absent.reason)
    for policy in board.facts().policies:
        if policy.governor != "performance":
            hint = "clocks change with load: edgelab run ... --governor performance holds them"
            yield Finding("governor", "hint", f"{policy.name} {policy.governor}: {hint}")


def _power(home: Home) -> Iterator[Finding]:
    try:
        settings = load(home.power_settings)
    except (Problem, OSError) as problem:
        yield Finding("power", "broken", told(problem))
        return
    board = recognise(Catalogue(home).boards())
    model = board.profile.power if board is not None and board.profile is not None else None
    found = discover(Path("/"), settings, model)
    for source in found.sources:
        facts = source.facts
        source.close()
        detail = f"{facts.method}, {facts.scope}, every {facts.period_s:g} s {facts.detail}"
        yield Finding(f"power {facts.name}", "ok", detail)
    for warning in settings.warnings:
        yield Finding("power", "hint", warning)
    for absent in found.absent:
        yield Finding(f"power {absent.what}", "missing", absent.reason)


def _calibration(home: Home) -> Finding:
    try:
        calibration = read_calibration(home, environment.capture())
    except (Problem, OSError) as problem:
        return Finding("calibration", "broken", told(problem))
    if calibration is None:
        return Finding("calibration", "missing", "none of this board: edgelab calibrate")
    return Finding("calibration", "ok", str(calibration_file(home, environment.capture())))


def _software() -> Iterator[Finding]:
    facts = environment.capture()
    for module in RUNTIME:
        found = importlib.util.find_spec(module) is not None
        name = {"cv2": "opencv-python-headless"}.get(module, module)
        detail = facts.get(name, "") if found else "install edgelab again"
        yield Finding(name, "ok" if found else "broken", detail)
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        command = f"{Path(sys.executable).name} -m pip install 'edgelab[{extra}]'"
        detail = f"without {', '.join(missing)}: {command}" if missing else ", ".join(modules)
        yield Finding(f"extra {extra}", "missing" if missing else "ok", detail)


def _lab(home: Home) -> Iterator[Finding]:
    writable = os.access(_existing_parent(home.root), os.W_OK)
    yield Finding("data folder", "ok" if writable else "broken", str(home.root))
    free = shutil.disk_usage(_existing_parent(home.root)).free
    yield Finding("disk", "ok" if free > 1e9 else "tight", f"{megabytes(free)} MB free")
    try:
        yield Finding("supervisor", "ok", _supervisor(home))
        if given_up := Lab(home).given_up():
            which = ", ".join(folder.id for folder in given_up[:5])
            detail = f"{len(given_up)} could not be written down ({which}): edgelab runs rebuild"
            yield Finding("runs", "broken", detail)
    except OSError as error:
        yield Finding("runs", "broken", told(error))
    catalogue = Catalogue(home)
    problems = [(model.name, model.problem) for model in catalogue.models()]
    problems += [(dataset.name, dataset.problem) for dataset in catalogue.datasets()]
    for name, problem in problems:
        if problem:
            yield Finding(f"profile {name}", "broken", problem)


def _supervisor(home: Home) -> str:
    if not home.root.exists():
        return "not needed yet"
    with try_locked(home.supervisor_lock) as free:
        state = "at rest" if free else "at work"
    begun = [folder for folder in queued(home) if folder.begun]
    return f"{state}, {len(begun)} running, {len(queued(home)) - len(begun)} waiting"


def _existing_parent(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
