"""Where `edgelab convert` leaves the ONNX files of a SmolVLM, and under which name.

    profiles/hub/<name>.toml            the profile: the name in the catalogue
    profiles/hub/<name>/config.json     and the checkpoint's other small files
                        onnx/*.onnx     three graphs a precision, their weights beside them
                        q4.json         the doctor's report
                        q4.txt          the same for a person

Profile and folder copied to another lab run there as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgelab.catalogue import HubModel
from edgelab.conversion import ConversionReport
from edgelab.durable import replace_file
from edgelab.problem import Problem
from edgelab.schema import read_json, read_toml
from edgelab.settings.common import VLM_FILE_PRECISIONS
from runners.model_folder import keep_report
from runners.smolvlm.export import copy_beside
from runners.smolvlm.graph import data_file
from runners.smolvlm.layout import Layout


@dataclass(frozen=True)
class VlmFolder:
    """Of the model called `name`, in the folder of profiles `root`."""

    root: Path
    name: str

    @property
    def path(self) -> Path:
        """The files."""
        return self.root / self.name

    @property
    def profile(self) -> Path:
        """What makes them known."""
        return self.root / f"{self.name}.toml"

    def must_be_for(self, source_sha256: str) -> None:
        """Raise Problem where the name is another model's."""
        if self.profile.exists() and read_toml(self.profile, HubModel).folder != self.name:
            raise Problem(f"{self.profile}: is another model's: choose another name (--name)")
        for precision in VLM_FILE_PRECISIONS:
            report = self.path / f"{precision}.json"
            if (
                report.exists()
                and read_json(report, ConversionReport).source_sha256 != source_sha256
            ):
                raise Problem(
                    f"{self.path}: holds files of another checkpoint: choose another name (--name)"
                )

    def add(self, made: Path, layout: Layout, report: ConversionReport, profile: HubModel) -> None:
        """Move the files of a precision there from the folder `made`, and make them known."""
        target = self.path / "onnx"
        target.mkdir(parents=True, exist_ok=True)
        for graph in layout.graphs:
            for file in (data_file(graph), graph):  # with the graph, the part is there
                if file.exists():
                    file.replace(target / file.name)
        copy_beside(made, self.path)
        keep_report(self.path, report)
        replace_file(self.profile, msgspec.toml.encode(profile), shared=True)
