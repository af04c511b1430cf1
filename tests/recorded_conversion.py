"""A conversion written by hand, through the real writers: one precision accepted, one refused."""

from __future__ import annotations

from edgelab.conversion import (
    REPORT_VERSION,
    ConversionReport,
    CountCheck,
    LatencyCheck,
    NodeError,
    Trial,
)
from edgelab.executed import ExecutedPrecision
from edgelab.home import Home
from edgelab.journal import JournalWriter
from edgelab.outcome import close_run
from edgelab.queue import enqueue
from edgelab.records import (
    Converted,
    Ended,
    Outcome,
    Phase,
    Progress,
    Started,
    StepEnded,
    StepStarted,
)
from edgelab.run_folder import RunFolder
from edgelab.settings.common import Precision
from edgelab.settings.convert import Activations, Calibration, ConvertSettings
from edgelab.spec import SPEC_VERSION, RunSpec

REFUSAL = (
    "counts collapse: at 0.3 it finds 0 objects where the source finds 76, 76 changed on 20 images"
)


def report(precision: Precision, refusal: str | None = None) -> ConversionReport:
    integer = precision is Precision.INT8
    outcome = 0 if refusal else 74
    return ConversionReport(
        version=REPORT_VERSION,
        model="yolov8n-shapes-converted",
        precision=precision,
        source_sha256="a" * 64,
        source_bytes=3_700_000,
        sha256="b" * 64,
        size_bytes=1_300_000 if integer else 1_900_000,
        input_size=(192, 192),
        runtime="onnxruntime 1 CPU",
        cpu="Cortex-A55",
        threads=4,
        executed=ExecutedPrecision(88, 0, 12) if integer else ExecutedPrecision(0, 0, 100),
        refusal=refusal,
        counts=tuple(CountCheck(t, 76, outcome, 76 - outcome) for t in (0.3, 0.5, 0.7)),
        source_score=0.973,
        outcome_score=0.02 if refusal else 0.971,
        latency=LatencyCheck(30.0, 20.0, 15),
        nodes=(NodeError("/model.2/m.0/cv1/conv/Conv", "Conv", 0.123, 0.071),),
        checked=20,
        calibrated=80 if integer else 0,
        method=Calibration.MINMAX if integer else None,
        activations=Activations.U8 if integer else None,
        kept_float=31 if integer else 0,
        trials=(Trial(Activations.U8, 16.6), Trial(Activations.S8, 39.8)) if integer else (),
    )


def write_conversion(home: Home, number: int = 1, over: bool = True) -> RunFolder:
    """FP16 was accepted; INT8 is being calibrated, or was refused."""
    run_id = f"{number:08x}"
    folder = RunFolder(home.runs / run_id)
    folder.path.mkdir(parents=True)
    settings = ConvertSettings(
        model="yolov8n-shapes", dataset="shapes", name="yolov8n-shapes-converted", threads=4
    )
    title = "convert yolov8n-shapes"
    folder.write_spec(RunSpec(SPEC_VERSION, run_id, number, title, 1.7e9, settings))
    enqueue(home, number, run_id)
    with JournalWriter(folder.life) as life, JournalWriter(folder.events) as events:
        life.append(Started(1.0, 1.7e9, "b007", 1, {"board": "Orange Pi 3B"}))
        life.append(StepStarted(2.0, "model", 2))
        events.append(Phase(2.5, "model", "read the model", unit=""))
        life.append(StepEnded(3.0, "model", Outcome.FINISHED, exit_code=0))
        life.append(StepStarted(4.0, "fp16", 3))
        events.append(Converted(9.0, report(Precision.FP16), "/lab/converted/a.onnx"))
        life.append(StepEnded(10.0, "fp16", Outcome.FINISHED, exit_code=0))
        life.append(StepStarted(11.0, "int8", 4))
        events.append(Phase(12.0, "int8", "int8 model: calibrate", 80))
        events.append(Progress(14.0, "int8", 25))
        if over:
            events.append(Converted(20.0, report(Precision.INT8, REFUSAL)))
            said = f"int8 refused by the quantisation doctor: {REFUSAL}"
            life.append(StepEnded(21.0, "int8", Outcome.FAILED, said, exit_code=1))
            life.append(Ended(22.0, 1.7e9, Outcome.FAILED, f"int8: {said}", duration_s=21.0))
    if over:
        close_run(home, folder)
    return folder
