"""Proof of what a loaded model computes in: the formats of its weights, read from its modules.

What a model was asked to be loaded in proves nothing: some layers stay in another format (a
quantised model's embeddings and head), and a loader may ignore what it was told.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import nn

from edgelab.executed import ExecutedPrecision

_NAMES = {
    torch.float32: "fp32",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.int8: "int8",
    torch.qint8: "int8-dynamic",
    torch.float64: "fp64",
}


def prove_loaded(model: nn.Module) -> ExecutedPrecision:
    """Weights by number format (`formats`) and their bytes by kind of layer (`weights`).

    A weight that two layers share is counted once; 4-bit weights are packed two a byte.
    """
    formats: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    seen: set[int] = set()
    for module in model.modules():
        for name, count, size, address in _weights_of(module):
            if address not in seen:
                seen.add(address)
                formats[name] += count
                sizes[f"{type(module).__name__} {name}"] += size
    return ExecutedPrecision(
        integer=0, half=0, full=0, weights=dict(sorted(sizes.items())), formats=dict(formats)
    )


def _weights_of(module: nn.Module) -> list[tuple[str, int, int, int]]:
    """(format, weights, bytes, address) of each weight that the module itself holds."""
    found = [_of_parameter(each) for each in module.parameters(recurse=False)]
    packed = getattr(module, "_packed_params", None)
    if isinstance(module, torch.ao.nn.quantized.dynamic.Linear) and packed is not None:
        weight = module.weight()
        found.append((_NAMES[weight.dtype], weight.numel(), weight.numel(), id(packed)))
        if (bias := module.bias()) is not None:
            found.append(("fp32", bias.numel(), 4 * bias.numel(), bias.data_ptr()))
    return found


def _of_parameter(parameter: Any) -> tuple[str, int, int, int]:
    size = parameter.numel() * parameter.element_size()
    state = getattr(parameter, "quant_state", None)
    if state is not None:  # bitsandbytes, 4 bits: two weights a byte
        return str(state.quant_type), int(state.shape.numel()), size, parameter.data_ptr()
    name = _NAMES.get(parameter.dtype, str(parameter.dtype).removeprefix("torch."))
    return name, parameter.numel(), size, parameter.data_ptr()
