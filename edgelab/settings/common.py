"""The words that the settings of several tasks share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta

Text = Annotated[str, Meta(min_length=1, max_length=4096)]
Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
HeldOut = Annotated[float, Meta(gt=0.0, lt=0.5)]
"""The share of labelled data that is held out as one split."""
Threshold = Annotated[float, Meta(gt=0.0, lt=1.0)]

Language = Literal["en", "pt"]
"""What a model is asked and answers in: English or Portuguese."""


class Precision(StrEnum):
    """The number format a model is asked to run in."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    BF16 = "bf16"
    NF4 = "nf4"
    INT8_DYNAMIC = "int8-dynamic"
    Q4 = "q4"


VLM_FILE_PRECISIONS = (Precision.FP32, Precision.FP16, Precision.INT8, Precision.Q4)
"""What the ONNX files of a vision-language model can be made in."""

DETECTOR_PRECISIONS = (Precision.FP32, Precision.FP16, Precision.INT8)
"""What a model file of ONNX Runtime can be converted to."""


class Scenario(StrEnum):
    """How queries are issued, in the sense of MLPerf Inference."""

    SINGLE_STREAM = "single-stream"
    OFFLINE = "offline"


class Order(StrEnum):
    """In which order the precisions are measured: a board that warms up favours the first."""

    GIVEN = "given"
    RANDOM = "random"  # by the run's id, so that it can be repeated
    ABBA = "abba"  # there and back again: a drift in time falls on all alike
