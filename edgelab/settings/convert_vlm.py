"""Convert-vlm: the ONNX files of a SmolVLM, which are asked without torch."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edgelab.settings.base import must_differ
from edgelab.settings.common import VLM_FILE_PRECISIONS, Precision, Text
from edgelab.settings.convert import ConversionSettings


class ConvertVlmSettings(ConversionSettings, frozen=True, kw_only=True, tag="convert-vlm"):
    """One SmolVLM or SmolVLM2 in one or more precisions, each held against the checkpoint.

    `model` is a catalogue name, a hub id (of `revision`) or a checkpoint's folder. Questions are
    put on images of `dataset`, which the lab draws itself.
    """

    dataset: Text = "shapes"
    revision: Text | None = None
    precisions: Annotated[tuple[Precision, ...], Meta(min_length=1)] = (
        Precision.FP32,
        Precision.INT8,
        Precision.Q4,
    )

    def __post_init__(self) -> None:
        must_differ("precisions", self.precisions)
        if others := set(self.precisions).difference(VLM_FILE_PRECISIONS):
            known = ", ".join(VLM_FILE_PRECISIONS)
            raise ValueError(f"{min(others)}: ONNX files are made in {known}")
