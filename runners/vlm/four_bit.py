"""bitsandbytes' 4-bit layers on a CPU with AVX512-BF16.

There, a layer in evaluation mode packs its weights at its first call, for a kernel that computes in
BF16. Without the kernel each token unpacks all weights to FP32, which takes 4 to 20 times as long.
But packing fails on layers of some shapes, and a packed layer hands no gradient on, silently: also
in training mode, once an evaluation came before it (bitsandbytes 0.50).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

_ROWS, _COLUMNS = 32, 64  # a packed layer has multiples of both: the kernel's rows, a scale's block


def never_pack(model: nn.Module) -> None:
    """Every 4-bit layer computes in FP32 and hands gradients on, on every CPU."""
    for layer in _four_bit_layers(model):
        layer.support_avx512bf16_for_cpu = False


def pack_what_fits(model: nn.Module) -> None:
    """Layers that cannot be packed compute in FP32 as on other CPUs."""
    for layer in _four_bit_layers(model):
        rows, columns = layer.out_features, layer.in_features
        layer.support_avx512bf16_for_cpu &= rows % _ROWS == 0 and columns % _COLUMNS == 0


def computes_in_bf16(model: nn.Module) -> bool:
    """Whether a 4-bit layer will be, or is, packed for the kernel in BF16."""
    return any(layer.support_avx512bf16_for_cpu for layer in _four_bit_layers(model))


def _four_bit_layers(model: nn.Module) -> Iterator[Any]:
    return (each for each in model.modules() if hasattr(each, "support_avx512bf16_for_cpu"))
