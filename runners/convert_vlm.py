"""Make a SmolVLM's ONNX files: `python -m runners.convert_vlm RUN_FOLDER model|fp32|fp16|int8|q4`.

First the checkpoint answers some questions with torch, then each precision is made without it, in a
process of its own, and held against those answers. What passes is known by name from then on.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
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
from edgelab.words import megabytes
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
    VERSION,
    Floats,
    Reference,
    Reply,
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
    replies, logits = _answered_with_torch(step, found.folder, settings.threads)
    reference = Reference(
        version=VERSION,
        model=found.name,
        title=known.title if known is not None else found.name,
        license=known.license if known is not None else "unknown",
        folder=str(found.folder.absolute()),
        sha256=sha256,
        size_bytes=sum(file.stat().st_size for file in files),
        replies=tuple(replies),
    )
    write_reference(step.folder, reference, logits)


def _answered_with_torch(
    step: RunningStep, checkpoint: Path, threads: int
) -> tuple[list[Reply], list[Floats]]:
    step.phase("load the model with torch", unit="")
    with needs("vlm", "checking ONNX files against their checkpoint"):
        from runners.vlm.reference import TorchReference
    torch = TorchReference(checkpoint, threads)
    step.phase("answer with torch", len(list(questions())), "questions")
    return torch.replies(step.progress)


def convert(
    step: RunningStep, settings: ConvertVlmSettings, folder: VlmFolder, precision: Precision
) -> None:
    """Make one precision; a refusal is the step's failure, and its report is kept."""
    reference, logits = read_reference(step.folder)
    folder.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_MAKING, dir=folder.root) as work:
        making = Making(step, settings, precision, reference, Path(work))
        making.make()
        report = making.report(making.examine(logits))
        if report.refusal is not None:
            step.event(Converted(now(), report))
            keep_report(folder.path, report)
            raise Refused(report)
        folder.add(making.place, making.files, report, _profile(settings, reference))
        step.event(Converted(now(), report, str(folder.path)))


def _profile(settings: ConvertVlmSettings, reference: Reference) -> HubModel:
    return HubModel(
        schema_version=1,
        title=f"{reference.title}, ONNX files",
        folder=settings.name,
        license=reference.license,
        note=f"ONNX files of {reference.model}",
    )


@dataclass(frozen=True)
class Making:
    """The files of a precision, made and examined at `place`: nobody knows of them yet."""

    step: RunningStep
    settings: ConvertVlmSettings
    precision: Precision
    reference: Reference
    place: Path

    @property
    def files(self) -> Layout:
        """The graphs; raises Problem before they are made."""
        return find_layout(self.place, self.precision.value)

    def make(self) -> None:
        """Write them; raises Problem where the checkpoint is damaged."""
        self.step.phase(f"{self.precision} model", len(PARTS), "graphs")
        export(Path(self.reference.folder), self.place, self.precision.value, self.step.progress)

    def examine(self, logits: Sequence[Floats]) -> Examination:
        """Hold them against the checkpoint's replies and their `logits`."""
        replies = self.reference.replies
        self.step.phase(f"{self.precision} model: check", len(replies), "questions")
        model = SmolVlm(self.place, self.precision.value, self.settings.threads)
        return examine(model, replies, logits, self.step.progress)

    def report(self, found: Examination) -> ConversionReport:
        """All that is known of them."""
        files, side = self.files, read_image_config(self.place).max_image_size.longest_edge
        executed = total([prove_executed(graph) for graph in files.graphs])
        peak = f"making and checking it took {megabytes(peak_memory_bytes())} MB at its peak"
        return ConversionReport(
            version=REPORT_VERSION,
            model=self.settings.name,
            precision=self.precision,
            source_sha256=self.reference.sha256,
            source_bytes=self.reference.size_bytes,
            sha256=fingerprint(files.files, self.place / "config.json"),
            size_bytes=files.size_bytes,
            input_size=(side, side),
            runtime=RUNTIME,
            cpu=processor(),
            threads=self.settings.threads,
            executed=executed,
            refusal=found.refusal(self.precision),
            tokens=found.tokens,
            checked=found.replies,
            remarks=(peak,),
        )


if __name__ == "__main__":
    main()
