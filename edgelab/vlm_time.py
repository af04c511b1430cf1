"""The least time of a question to a vision-language model on a calibrated board.

The roofline of its three parts (`edgelab.roofline`): vision encoder and prefill multiply each
weight with each patch or token, 2 operations apiece; a decoded token reads all weights of the
language model once. Attention itself and normalisations are left out: it is a bound from below.
"""

from __future__ import annotations

from edgelab.calibration import Calibration, Resource
from edgelab.settings.common import Precision
from edgelab.vlm_image import Sight
from edgelab.vlm_weights import HEAD, Weights

_BYTES = {"fp32": 4.0, "fp16": 2.0, "bf16": 2.0, "int8": 1.0, "int8-dynamic": 1.0, "nf4": 0.5625}
"""Bytes that a weight is read as; NF4 with its scale of 4 bytes for 64 weights."""


def bytes_a_token(weights: Weights, precision: Precision) -> int:
    """What decoding one token reads: the language model's matrices and its head."""
    formats = {each.name: weights.format_of(each, precision) for each in weights.weights}
    read = sum(
        each.elements * _BYTES[formats[each.name]]
        for each in weights.weights
        if each.linear and not each.vision
    )
    table = weights.embedding
    if weights.tied and table is not None:  # the head is the table, read whole
        rounded = precision is Precision.INT8_DYNAMIC
        form = Precision.INT8_DYNAMIC.value if rounded else formats[table.name]
        read += table.elements * _BYTES[form]
    return int(read)


def least_seconds(
    weights: Weights, sight: Sight, precision: Precision, tokens: int, answer: int,
    calibration: Calibration, threads: int,
) -> float | None:  # fmt: skip
    """A question of `tokens` prompt tokens, image included, and an answer; None: a rate is missing.

    Arithmetic is taken at the better of the board's FP32 and INT8 rates.
    """
    arithmetic = [calibration.attained(each, threads) for each in (Resource.FP32, Resource.INT8)]
    rate = max((each for each in arithmetic if each), default=None)
    bandwidth = calibration.attained(Resource.MEMORY, threads)
    if rate is None or bandwidth is None:
        return None
    matrices = [each for each in weights.weights if each.linear]
    seen = sum(each.elements for each in matrices if each.vision) * sight.tiles * sight.patches
    read = sum(
        each.elements for each in matrices if not each.vision and not each.name.endswith(HEAD)
    )
    return (
        2 * (seen + read * tokens) / rate
        + (answer - 1) * bytes_a_token(weights, precision) / bandwidth
    )
