"""The folder of a converted model: what `edgelab convert` leaves, and what a run finds there.

    profiles/models/<name>/model.toml    the profile: says which file is which
                           fp32.onnx     what the others were made from
                           int8.onnx     and so on, a file a precision
                           int8.json     the quantisation doctor's report
                           int8.txt      the same for a person

Copied to another lab it runs there as it is: nothing is converted again, and torch is not needed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from edgelab.catalogue import ClassifierProfile, ModelProfile
from edgelab.conversion import ConversionReport
from edgelab.durable import replace_file
from edgelab.problem import Problem
from edgelab.schema import read_json, read_toml
from edgelab.settings.common import Precision
from runners.classifier_file import ClassifierFile, read_classifier
from runners.converted import Conversion
from runners.model_file import ModelFile, read_model

PROFILE = "model.toml"

Convertible = ModelFile | ClassifierFile


@dataclass(frozen=True)
class ModelFolder:
    """The folder at `path`; its name is the model's in the catalogue."""

    path: Path

    @property
    def profile(self) -> ModelProfile:
        """The profile as it stands; raises Problem."""
        kinds: Any = ModelProfile
        profile: ModelProfile = read_toml(self.path / PROFILE, kinds)
        return profile

    @property
    def source(self) -> Path:
        """What the other precisions are made from; raises Problem."""
        file = self.profile.file
        if file is None:
            raise Problem(f"{self.path / PROFILE}: names weights: choose another name (--name)")
        return self.path / file

    def read(self, image_size: int | None) -> Convertible:
        """What the other precisions are made from, read and tried out; raises Problem."""
        name = self.path.name
        if isinstance(self.profile, ClassifierProfile):
            return read_classifier(self.source, name, image_size)
        return read_model(self.source, name, image_size)

    def begin(self, model: Convertible, profile: ModelProfile) -> None:
        """Put `model` there under a profile like `profile`, unless it is there already.

        Raises Problem where the folder holds another model.
        """
        if (self.path / PROFILE).exists():
            self._must_hold(model)
            return
        file = f"{model.held}.onnx"
        replace_file(self.path / file, model.path.read_bytes(), shared=True)
        self._write(replace(profile, file=file, files={}))

    def add(self, precision: Precision, made: Conversion) -> Path:
        """Copy a converted file and its report there, and name it in the profile."""
        file = f"{precision}.onnx"
        replace_file(self.path / file, made.path.read_bytes(), shared=True)
        if made.report is not None:
            self.keep_report(made.report)
        profile = self.profile
        self._write(replace(profile, files={**profile.files, precision: file}))
        return self.path / file

    def keep_report(self, report: ConversionReport) -> None:
        """Write the doctor's report, also that of a refused conversion."""
        keep_report(self.path, report)

    def _write(self, profile: ModelProfile) -> None:
        replace_file(self.path / PROFILE, msgspec.toml.encode(profile), shared=True)

    def _must_hold(self, model: Convertible) -> None:
        if hashlib.sha256(self.source.read_bytes()).hexdigest() != model.sha256:
            raise Problem(
                f"{self.path}: holds another model than {model.path}: choose another name (--name)"
            )


def keep_report(folder: Path, report: ConversionReport) -> None:
    """Write a report beside the model, for programs and for a person."""
    path = folder / f"{report.precision}.json"
    replace_file(path, msgspec.json.format(msgspec.json.encode(report)) + b"\n", shared=True)
    replace_file(path.with_suffix(".txt"), report.text().encode(), shared=True)


@dataclass(frozen=True)
class CarriedFiles:
    """The files of other precisions that the profile of `model` brings along."""

    model: Convertible
    folder: Path
    files: dict[Precision, str]

    def find(self, precision: Precision) -> Conversion | None:
        """The file of that precision, where it was made from the model's own file at its input
        size; raises Problem where it is not what it is said to be."""
        name = self.files.get(precision)
        if name is None:
            return None
        path = (self.folder / name).absolute()
        report = self._report_of(path)
        if report is not None and not self._is_of_this_model(report):
            return None
        file = self._read(path)
        if report is not None and report.sha256 != file.sha256:
            raise Problem(f"{path}: is not the file that its report speaks of: convert it again")
        if file.held is not precision or file.classes != self.model.classes:
            raise Problem(
                f"{path}: holds {file.held} weights and {file.classes} classes, expected "
                f"{precision} and {self.model.classes}"
            )
        return Conversion(path, file.sha256, file.size_bytes, report)

    def _read(self, path: Path) -> Convertible:
        model = self.model
        height, width = model.input_size
        side = height if height == width else None
        if isinstance(model, ClassifierFile):
            return read_classifier(path, model.name, side)
        return read_model(path, model.name, side)

    def _report_of(self, path: Path) -> ConversionReport | None:
        report = path.with_suffix(".json")
        return read_json(report, ConversionReport) if report.exists() else None

    def _is_of_this_model(self, report: ConversionReport) -> bool:
        return (
            report.source_sha256 == self.model.sha256 and report.input_size == self.model.input_size
        )
