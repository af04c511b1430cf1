"""Converted models, kept by what they were made from: same model, method and data, same file."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import onnxruntime
from msgspec import Meta

from edgelab.conversion import ConversionReport
from edgelab.durable import locked, replace_file
from edgelab.problem import Problem
from edgelab.schema import read_json
from edgelab.settings.common import Positive, Precision
from edgelab.settings.convert import Activations, Calibration
from runners.quantise import METHOD_VERSION

SIDECAR_VERSION = 2

Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]

Make = Callable[[Path], ConversionReport]
"""Writes the converted model to the path and tells what became of it."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a conversion depends on; its hash names the converted file.

    `machine`: where activations were chosen by their speed; empty where they were given.
    """

    source_sha256: Sha256
    precision: Precision
    input_size: tuple[Positive, Positive]
    calibration_sha256: Sha256 | None = None
    calibration_images: int = 0
    calibration: Calibration | None = None
    activations: Activations | None = None
    machine: str = ""
    method: int = METHOD_VERSION
    runtime: str = f"onnxruntime {onnxruntime.__version__}"

    @property
    def key(self) -> str:
        """32 hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:32]


class Sidecar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lies beside a converted model and tells where it comes from, and what it is worth.

    Of a model that was refused nothing else is kept.
    """

    version: Annotated[int, Meta(ge=SIDECAR_VERSION, le=SIDECAR_VERSION)]
    recipe: Recipe
    report: ConversionReport


@dataclass(frozen=True)
class Conversion:
    """A model file, and the doctor's report where it was converted.

    Of one that was refused only the report is there.
    """

    path: Path
    sha256: str
    size_bytes: int
    report: ConversionReport | None = None


class ConvertedModels:
    """The folder of converted models. A damaged entry is made anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, recipe: Recipe, make: Make) -> Conversion:
        """The file of that recipe, made by `make` if it is missing.

        Another process that wants the same waits and gets the finished file. Raises OSError.
        """
        with locked(self.folder / ".lock"):
            found = self._find(recipe)
            return found if found is not None else self._make(recipe, make)

    def _find(self, recipe: Recipe) -> Conversion | None:
        model, sidecar = self._paths(recipe)
        try:
            facts = read_json(sidecar, Sidecar)
            whole = facts.report.refusal is not None or _sha256(model) == facts.report.sha256
        except (Problem, OSError):
            return None
        return _conversion(model, facts.report) if whole and facts.recipe == recipe else None

    def _make(self, recipe: Recipe, make: Make) -> Conversion:
        model, sidecar = self._paths(recipe)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=self.folder) as folder:
            made = Path(folder) / "model.onnx"
            report = make(made)
            facts = Sidecar(SIDECAR_VERSION, recipe, report)
            # The sidecar comes last: a model without one is taken for damaged.
            if report.refusal is None:
                replace_file(model, made.read_bytes())
        replace_file(sidecar, msgspec.json.format(msgspec.json.encode(facts)))
        return _conversion(model, report)

    def _paths(self, recipe: Recipe) -> tuple[Path, Path]:
        return self.folder / f"{recipe.key}.onnx", self.folder / f"{recipe.key}.json"


def _conversion(path: Path, report: ConversionReport) -> Conversion:
    return Conversion(path, report.sha256, report.size_bytes, report)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
