"""Converted models, kept by what they were made from: same model, method and data, same file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import onnxruntime
from msgspec import Meta

from edgelab.durable import locked, replace_file
from edgelab.problem import Problem
from edgelab.schema import read_json
from edgelab.settings.common import Positive, Precision, Text
from runners.quantise import METHOD_VERSION

SIDECAR_VERSION = 1

Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a conversion depends on; its hash names the converted file."""

    source_sha256: Sha256
    precision: Precision
    input_size: tuple[Positive, Positive]
    calibration_sha256: Sha256 | None = None
    calibration_images: int = 0
    method: int = METHOD_VERSION
    runtime: str = f"onnxruntime {onnxruntime.__version__}"

    @property
    def key(self) -> str:
        """32 hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:32]


class Sidecar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lies beside a converted model and tells where it comes from."""

    version: Annotated[int, Meta(ge=SIDECAR_VERSION, le=SIDECAR_VERSION)]
    name: Text
    recipe: Recipe
    sha256: Sha256
    size_bytes: Positive


@dataclass(frozen=True)
class Converted:
    """A converted model on disk."""

    path: Path
    sha256: str
    size_bytes: int


class ConvertedModels:
    """The folder of converted models. A damaged entry is made anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, recipe: Recipe, name: str, convert: Callable[[], Any]) -> Converted:
        """The file of that recipe, made by `convert` (which gives an ONNX model) if it is missing.

        Another process that wants the same waits and gets the finished file. Raises OSError.
        """
        with locked(self.folder / ".lock"):
            found = self._find(recipe)
            return found if found is not None else self._make(recipe, name, convert)

    def _find(self, recipe: Recipe) -> Converted | None:
        model, sidecar = self._paths(recipe)
        try:
            facts = read_json(sidecar, Sidecar)
            data = model.read_bytes()
        except (Problem, OSError):
            return None
        if facts.recipe != recipe or hashlib.sha256(data).hexdigest() != facts.sha256:
            return None
        return Converted(model, facts.sha256, facts.size_bytes)

    def _make(self, recipe: Recipe, name: str, convert: Callable[[], Any]) -> Converted:
        model, sidecar = self._paths(recipe)
        data: bytes = convert().SerializeToString()
        sha256 = hashlib.sha256(data).hexdigest()
        facts = Sidecar(SIDECAR_VERSION, name, recipe, sha256, len(data))
        # The sidecar comes last: a model without one is taken for damaged.
        replace_file(model, data)
        replace_file(sidecar, msgspec.json.format(msgspec.json.encode(facts)))
        return Converted(model, sha256, len(data))

    def _paths(self, recipe: Recipe) -> tuple[Path, Path]:
        return self.folder / f"{recipe.key}.onnx", self.folder / f"{recipe.key}.json"
