"""`edgelab run`: start a run and follow it."""

from __future__ import annotations

import argparse
import signal
from difflib import get_close_matches
from pathlib import Path

from edgelab import presets, words
from edgelab.catalogue import Catalogue
from edgelab.cli.follow import follow, print_results
from edgelab.cli.output import print_json, say
from edgelab.export import results_csv, write_csv
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.machine import usable_cores
from edgelab.problem import Problem
from edgelab.reader import LiveRun
from edgelab.records import Outcome
from edgelab.results import as_dict, rows_of
from edgelab.schema import convert
from edgelab.settings.common import Precision
from edgelab.settings.detect import DetectSettings
from edgelab.spec import CoolDown, RunSpec


def run(options: argparse.Namespace) -> int:
    """Submit the run; unless detached, follow it, print its table and where its CSV lies."""
    lab = Lab(Home.default())
    if options.task == "quick":
        settings, title = presets.quick(options.threads, options.limit)
    else:
        settings, title = _detect(options, Catalogue(lab.home))
    lab.recover()
    cool_down = None if options.cool_down is None else CoolDown(limit_s=options.cool_down)
    spec = lab.submit(
        settings,
        title,
        time_limit_s=options.time_limit,
        cool_down=cool_down,
        governor=options.governor,
    )
    if options.detach:
        return _detached(spec, options.json)
    return _follow(lab, spec, options.json)


def _detect(options: argparse.Namespace, catalogue: Catalogue) -> tuple[DetectSettings, str]:
    models = [entry.name for entry in catalogue.models()]
    datasets = [entry.name for entry in catalogue.datasets()]
    model = _named_or_path(options.model, models, "model")
    if options.images and options.dataset in datasets:
        raise Problem(f"--images: the dataset {options.dataset} has its own; leave it out")
    dataset = _named_or_path(options.dataset, datasets, "dataset")
    raw = {
        "task": "detect",
        "model": model,
        "dataset": dataset,
        "images": str(Path(options.images).absolute()) if options.images else None,
        "split": options.split,
        "precisions": options.precision or [Precision.FP32],
        "thresholds": options.threshold or [0.3, 0.5, 0.7],
        "threads": options.threads if options.threads is not None else usable_cores(),
        "scenario": options.scenario,
        "warmup": options.warmup,
        "repetitions": options.repetitions,
        "order": options.order,
        "limit": options.limit,
        "iou": options.iou,
        "image_size": options.image_size,
        "calibration_images": options.calibration_images,
    }
    settings = convert(raw, DetectSettings, "run detect")
    return settings, f"{Path(model).stem} on {Path(dataset).stem}"


def _named_or_path(given: str, names: list[str], kind: str) -> str:
    if given in names:
        return given
    try:
        given.encode()
    except UnicodeEncodeError:
        raise Problem(f"--{kind}: the path is not valid UTF-8: rename it") from None
    path = Path(given).expanduser()
    if not path.exists():
        near = get_close_matches(given, names, 1)
        hint = f"did you mean {near[0]}?" if near else f"see edgelab {kind}s"
        raise Problem(f"--{kind} {words.plain(given)}: neither a name nor a path; {hint}")
    if kind == "model" and path.suffix.lower() != ".onnx":
        raise Problem(f"--model {words.plain(given)}: not an .onnx file")
    return str(path.absolute())


def _detached(spec: RunSpec, as_json: bool) -> int:
    if as_json:
        print_json({"run": spec.id, "number": spec.number, "outcome": Outcome.QUEUED})
    else:
        print(f"run {spec.id} is on its way: edgelab watch {spec.id}")
    return 0


def _follow(lab: Lab, spec: RunSpec, as_json: bool) -> int:
    say(f"run {spec.id}; ctrl+c stops it, a closed terminal does not")
    folder = lab.folder(spec.id)
    live = LiveRun(folder, spec)
    try:
        outcome = follow(lab, live)
    except KeyboardInterrupt:
        # A second ctrl+c leaves at once; the supervisor stops the run all the same.
        say("\nstopping (ctrl+c again: do not wait)")
        lab.stop(folder)
        outcome = follow(lab, live)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    record = lab.record(folder)
    csv_file = lab.home.exports / f"run-{spec.number:04d}-{spec.id}.csv"
    write_csv(csv_file, results_csv([record]))
    if as_json:
        rows = [as_dict(row) for row in rows_of(record)]
        document = {"run": spec.id, "outcome": outcome, "reason": record.reason, "rows": rows}
        print_json({**document, "warnings": record.warnings, "csv": str(csv_file)})
    else:
        print_results(record)
        print(f"CSV: {words.plain(str(csv_file), 4096)}")
    return 0 if outcome is Outcome.FINISHED else 1
