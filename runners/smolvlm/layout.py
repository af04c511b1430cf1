"""The three files of a precision, by the names that the exports on the hub have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgelab.problem import Problem

VISION_ENCODER, EMBED_TOKENS, DECODER = "vision_encoder", "embed_tokens", "decoder_model_merged"
PARTS = (VISION_ENCODER, EMBED_TOKENS, DECODER)

SUFFIXES: dict[str, tuple[str, ...]] = {
    "fp32": ("",),
    "fp16": ("_fp16",),
    "int8": ("_uint8", "_int8", "_quantized"),
    "q4": ("_q4",),
}
"""What the files of a precision may end in, the one that is written first."""


@dataclass(frozen=True)
class Layout:
    """The model files of one precision."""

    vision_encoder: Path
    embed_tokens: Path
    decoder: Path

    @property
    def graphs(self) -> tuple[Path, ...]:
        """The three .onnx files."""
        return (self.vision_encoder, self.embed_tokens, self.decoder)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files, those beside them that hold weights included."""
        beside = [graph.with_name(f"{graph.name}_data") for graph in self.graphs]
        return (*self.graphs, *(file for file in beside if file.is_file()))

    @property
    def size_bytes(self) -> int:
        """On disk."""
        return sum(file.stat().st_size for file in self.files)


def find_layout(folder: Path, precision: str) -> Layout:
    """The files of that precision; raises Problem where one is missing."""
    return Layout(*(_find(folder / "onnx", part, precision) for part in PARTS))


def precisions_of(folder: Path) -> tuple[str, ...]:
    """The precisions whose three files are all there."""
    return tuple(each for each in SUFFIXES if _is_complete(folder, each))


def _is_complete(folder: Path, precision: str) -> bool:
    try:
        find_layout(folder, precision)
    except Problem:
        return False
    return True


def _find(folder: Path, part: str, precision: str) -> Path:
    suffixes = SUFFIXES.get(precision, ())
    for suffix in suffixes:
        if (folder / f"{part}{suffix}.onnx").is_file():
            return folder / f"{part}{suffix}.onnx"
    wanted = " or ".join(f"{part}{suffix}.onnx" for suffix in suffixes)
    raise Problem(
        f"{folder}: no {wanted}" if wanted else f"no {precision} for ONNX: {', '.join(SUFFIXES)}"
    )
