"""Runs written by hand, through the real writers: for tests that need a run but not a model."""

from __future__ import annotations

from collections.abc import Sequence

from edgelab.home import Home
from edgelab.journal import JournalWriter
from edgelab.queue import enqueue
from edgelab.record import RunRecord
from edgelab.records import (
    DatasetFacts,
    DetectedItem,
    Ended,
    ExecutedPrecision,
    Item,
    ModelFacts,
    Outcome,
    PassEnded,
    PassStarted,
    Record,
    Sample,
    StageTimes,
    Started,
    StepEnded,
    StepStarted,
)
from edgelab.run_folder import RunFolder
from edgelab.settings.common import Precision
from edgelab.settings.detect import DetectSettings
from edgelab.spec import SPEC_VERSION, RunSpec

THRESHOLDS = (0.3, 0.7)
CLASSES = ("circle", "star")


def make_spec(number: int = 1, **settings: object) -> RunSpec:
    chosen = {"model": "m", "dataset": "d", "thresholds": THRESHOLDS, **settings}
    return RunSpec(
        version=SPEC_VERSION,
        id=f"{number:08x}",
        number=number,
        title=f"run {number}",
        created=1_700_000_000.0 + number,
        settings=DetectSettings(**chosen),  # type: ignore[arg-type]
    )


def make_item(index: int, t: float, truth: dict[int, int] | None = None) -> Item:
    return DetectedItem(
        t=t,
        precision=Precision.FP32,
        index=index,
        image=f"{index:03}.png",
        times=StageTimes(decode=0.5, preprocess=0.25, infer=4.0 + index % 7, postprocess=0.25),
        truth={0: 2, 1: 1} if truth is None else truth,
        counts=({0: 2, 1: 2}, {0: 1}),
        detections=((1.0, 2.0, 3.0, 4.0, 0.9, 0),),
    )


def life_of(items: Sequence[Item], outcome: Outcome = Outcome.FINISHED) -> dict[str, list[Record]]:
    """The journals of a run of one pass, by file stem; t runs from 100 s."""
    end = 103.0 + len(items)
    proof = ExecutedPrecision(integer=0, half=0, full=60)
    return {
        "life": [
            Started(
                t=100, wall=1_700_000_100, boot_id="b", supervisor_pid=1, environment={"cpu": "c"}
            ),
            StepStarted(t=100.1, step="fp32", pid=2),
            StepEnded(t=end, step="fp32", outcome=outcome, reason="", exit_code=0),
            Ended(
                t=end + 0.1,
                wall=1_700_000_200,
                outcome=outcome,
                duration_s=end - 99.9,
            ),
        ],
        "events": [
            DatasetFacts(
                t=101,
                name="d",
                split="test",
                images=len(items),
                classes=CLASSES,
                has_truth=True,
                sha256="d" * 64,
                objects=3 * len(items),
            ),
            ModelFacts(
                t=101.5,
                precision=Precision.FP32,
                name="m",
                sha256="a" * 64,
                size_bytes=3_000_000,
                input_size=(192, 192),
                classes=CLASSES,
                iou=0.7,
                executed=proof,
                runtime="onnxruntime 1",
            ),
            PassStarted(
                t=102,
                precision=Precision.FP32,
                images=len(items),
                repetitions=1,
                load_s=0.1,
                warmup=5,
            ),
            PassEnded(
                t=end - 0.1,
                precision=Precision.FP32,
                elapsed_s=end - 102.1,
                peak_memory_bytes=90_000_000,
            ),
        ],
        "items": list(items),
        "telemetry": [
            Sample(t=100.0 + tick, cpu=(50.0, 25.0), temperatures={"cpu": 40.0 + tick})
            for tick in range(len(items) + 3)
        ],
    }


def write_run(
    home: Home, spec: RunSpec, journals: dict[str, list[Record]], *, waiting: bool = False
) -> RunFolder:
    folder = RunFolder(home.runs / spec.id)
    folder.path.mkdir(parents=True)
    folder.write_spec(spec)
    for stem, records in journals.items():
        with JournalWriter(folder.path / f"{stem}.jsonl") as journal:
            for record in records:
                journal.append(record)
    if waiting:
        enqueue(home, spec.number, spec.id)
    return folder


def make_record(number: int = 1, **settings: object) -> RunRecord:
    from edgelab.projection import RunProjection

    projection = RunProjection(make_spec(number, **settings))
    journals = life_of([make_item(index, 103.0 + index) for index in range(20)])
    for record in sorted(
        (r for records in journals.values() for r in records), key=lambda r: getattr(r, "t", 0)
    ):
        projection.apply(record)
    return projection.record()
