"""Make a SmolVLM's ONNX files: `python -m runners.convert_vlm RUN_FOLDER model|fp32|fp16|int8|q4`.

First the checkpoint answers some questions with torch, then each precision is made without it, in a
process of its own, and held against those answers. What passes is known by name from then on.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from edgelab.catalogue import Catalogue, HubModel
from edgelab.conversion import REPORT_VERSION, ConversionReport
from edgelab.environment import processor
from edgelab.executed import total
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.records import Converted
from edgelab.settings.common import VLM_FILE_PRECISIONS, Precision
from edgelab.settings.convert_vlm import ConvertVlmSettings
from edgelab.steps import MODEL
from runners.asking.checkpoint import find_checkpoint, fingerprint
from runners.conversion import Refused
from runners.downloading import Downloading
from runners.extras import needs
from runners.memory import peak_memory_bytes
from runners.model_folder import keep_report
from runners.precision import prove_executed
from runners.session import RUNTIME
from runners.smolvlm.config import read_config, read_image_config
from runners.smolvlm.doctor import Examination, examine
from runners.smolvlm.export import export
from runners.smolvlm.folder import VlmFolder
from runners.smolvlm.layout import PARTS, Layout, find_layout
from runners.smolvlm.model import SmolVlm
from runners.smolvlm.reference import (
    Floats,
    Reference,
    questions,
    read_reference,
    write_reference,
)
from runners.step import RunningStep, now, open_step

_MAKING = ".making-"


def main() -> None:
    """Read the command line and convert."""
    parser = argparse.ArgumentParser(description="Make a SmolVLM's ONNX files, a step at a time.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("step", choices=[MODEL, *VLM_FILE_PRECISIONS])
    arguments = parser.parse_args()
    with open_step(arguments.folder, arguments.step) as step:
        settings, home = step.settings(ConvertVlmSettings), Home.default()
        folder = VlmFolder(home.profiles / "hub", settings.name)
        if arguments.step == MODEL:
            begin(step, settings, home, folder)
        else:
            convert(step, settings, folder, Precision(arguments.step))


def begin(step: RunningStep, settings: ConvertVlmSettings, home: Home, folder: VlmFolder) -> None:
    """Find the checkpoint and keep what it answers; raises Problem where it cannot be converted."""
    step.phase("find the model", unit="")
    entry = Catalogue(home).hub_model(settings.model)
    known = entry.profile if entry is not None else None
    if known is not None and known.onnx:
        raise Problem(f"{settings.model}: names ONNX files already: edgelab run ask asks them")
    found = find_checkpoint(settings.model, settings.revision, home, Downloading(step))
    if found.engine == "onnx":
        raise Problem(f"{found.folder}: its ONNX files are there: edgelab run ask asks them")
    read_config(found.folder)
    files = found.files(Precision.FP32)
    sha256 = fingerprint(files, found.folder / "config.json")
    folder.must_be_for(sha256)
    for left in folder.root.glob(f"{_MAKING}*"):  # by a conversion that was killed
        shutil.rmtree(left)
    step.phase("load the model with torch", unit="")
    with needs("vlm", "checking ONNX files against their checkpoint"):
        from runners.vlm.reference import TorchReference
    torch = TorchReference(found.folder, settings.threads)
    step.phase("answer with torch", len(list(questions())), "questions")
    replies, logits = torch.replies(step.progress)
    reference = Reference(
        version=1,
        model=found.name,
        title=known.title if known is not None else found.name,
        license=known.license if known is not None else "unknown",
        folder=str(found.folder.absolute()),
        sha256=sha256,
        size_bytes=sum(file.stat().st_size for file in files),
        replies=tuple(replies),
    )
    write_reference(step.folder, reference, logits)


def convert(
    step: RunningStep, settings: ConvertVlmSettings, folder: VlmFolder, precision: Precision
) -> None:
    """Make one precision; a refusal is the step's failure, and its report is kept."""
    reference, logits = read_reference(step.folder)
    folder.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_MAKING, dir=folder.root) as work:
        made = Path(work)
        step.phase(f"{precision} model", len(PARTS), "graphs")
        export(Path(reference.folder), made, precision.value, step.progress)
        layout = find_layout(made, precision.value)
        examination = _examined(step, made, reference, logits, precision, settings.threads)
        report = _report(settings, reference, layout, precision, examination)
        if report.refusal is not None:
            step.event(Converted(now(), report))
            keep_report(folder.path, report)
            raise Refused(report)
        profile = HubModel(
            schema_version=1,
            title=f"{reference.title}, ONNX files",
            folder=settings.name,
            license=reference.license,
            note=f"ONNX files of {reference.model}",
        )
        folder.add(made, layout, report, profile)
        step.event(Converted(now(), report, str(folder.path)))


def _examined(
    step: RunningStep,
    made: Path,
    reference: Reference,
    logits: list[Floats],
    precision: Precision,
    threads: int,
) -> Examination:
    step.phase(f"{precision} model: check", len(reference.replies), "questions")
    model = SmolVlm(made, precision.value, threads)
    return examine(model, reference.replies, logits, step.progress)


def _report(
    settings: ConvertVlmSettings,
    reference: Reference,
    layout: Layout,
    precision: Precision,
    examination: Examination,
) -> ConversionReport:
    made = layout.graphs[0].parent.parent
    side = read_image_config(made).max_image_size.longest_edge
    return ConversionReport(
        version=REPORT_VERSION,
        model=settings.name,
        precision=precision,
        source_sha256=reference.sha256,
        source_bytes=reference.size_bytes,
        sha256=fingerprint(layout.files, made / "config.json"),
        size_bytes=layout.size_bytes,
        input_size=(side, side),
        runtime=RUNTIME,
        cpu=processor(),
        threads=settings.threads,
        executed=total([prove_executed(graph) for graph in layout.graphs]),
        refusal=examination.refusal(precision),
        tokens=examination.tokens,
        checked=examination.replies,
        remarks=(f"making and checking it took {peak_memory_bytes() / 1e6:.0f} MB at its peak",),
    )


if __name__ == "__main__":
    main()
