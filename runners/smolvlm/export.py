"""From a checkpoint to the three ONNX files of a precision, without torch.

fp32 and fp16 graphs are written straight from the weights, one tensor in memory at a time. int8
(dynamic: weights by channel, activations as they come) and q4 (blocks of 32 weights) are made from
the fp32 graphs by ONNX Runtime's own quantisers.

Weights of int8 are unsigned: signed ones times unsigned activations overflow the 16-bit sums of an
x86 CPU without VNNI, silently. On the random 256M model that doubled the error of the logits (0.127
against 0.066, relative).
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

from edgelab.problem import Problem
from runners.smolvlm.config import SmolVlmConfig, read_config
from runners.smolvlm.graph import SMALL, data_file
from runners.smolvlm.graphs import write_decoder, write_embed_tokens, write_vision_encoder
from runners.smolvlm.layout import DECODER, EMBED_TOKENS, SUFFIXES, VISION_ENCODER
from runners.smolvlm.weights import Weights

OnGraph = Callable[[int], None]
Write = Callable[[Path, SmolVlmConfig, Weights, type], None]

WRITERS: dict[str, Write] = {
    VISION_ENCODER: write_vision_encoder,
    EMBED_TOKENS: write_embed_tokens,
    DECODER: write_decoder,
}
BESIDE = (
    "config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json",
    "tokenizer.json", "tokenizer_config.json", "chat_template.json", "chat_template.jinja",
)  # fmt: skip
"""What a runner needs besides the graphs."""

BLOCK = 32
_INTEGER_ACCURACY = (
    4  # MatMulNBits computes on 8-bit activations: fast where the CPU has dot products
)


def export(
    checkpoint: Path, target: Path, precision: str, on_graph: OnGraph = lambda _: None
) -> None:
    """Write `target/onnx/*` of that precision, and the small files beside it where they lack.

    `on_graph` is told how many of the three are there. Raises Problem where the checkpoint is
    damaged, incomplete or of another architecture.
    """
    if precision not in SUFFIXES:
        raise Problem(f"precision {precision!r}: choose from {', '.join(SUFFIXES)}")
    config, weights = read_config(checkpoint), Weights(checkpoint)
    onnx_folder = target / "onnx"
    onnx_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=onnx_folder, prefix=".writing-") as made:
        names = [f"{part}{SUFFIXES[precision][0]}.onnx" for part in WRITERS]
        for number, (name, (part, write)) in enumerate(zip(names, WRITERS.items(), strict=True), 1):
            _write(Path(made) / name, part, write, config, weights, precision)
            on_graph(number)
        if left := weights.unread():
            raise Problem(f"{checkpoint}: holds more than a SmolVLM: {', '.join(left)}")
        for name in names:
            for file in (data_file(Path(name)), Path(name)):  # with the graph, the part is there
                if (Path(made) / file).exists():
                    (Path(made) / file).replace(onnx_folder / file)
    copy_beside(checkpoint, target)


def _write(
    path: Path, part: str, write: Write, config: SmolVlmConfig, weights: Weights, precision: str
) -> None:
    if precision == "fp32":
        write(path, config, weights, np.float32)
    elif precision == "fp16" or part == EMBED_TOKENS:
        # A table is looked up, not multiplied: fewer bits than fp16 cost accuracy and gain no time.
        write(path, config, weights, np.float16)
    else:
        source = path.with_name(f"fp32-{path.name}")
        write(source, config, weights, np.float32)
        model = _integer(source) if precision == "int8" else _four_bits(source)
        onnx.save_model(
            model, path, save_as_external_data=True, location=data_file(path).name,
            size_threshold=SMALL,
        )  # fmt: skip


def _integer(source: Path) -> Any:
    """Weights uint8 by channel; activations uint8, ranges taken as they come."""
    target = source.with_name(f"int8-{source.name}")
    with _without_advice():
        quantize_dynamic(
            source, target, op_types_to_quantize=["MatMul"], per_channel=True,
            weight_type=QuantType.QUInt8, use_external_data_format=True,
            extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
        )  # fmt: skip
    return onnx.load(target)


def _four_bits(source: Path) -> Any:
    """Weights in blocks of 32 with a scale each, symmetric (MatMulNBits)."""
    with _without_advice():
        quantizer = MatMulNBitsQuantizer(
            onnx.load(source), block_size=BLOCK, is_symmetric=True,
            accuracy_level=_INTEGER_ACCURACY,
        )  # fmt: skip
        quantizer.process()
    return quantizer.model.model


def copy_beside(checkpoint: Path, target: Path) -> None:
    """Copy what a runner needs besides the graphs."""
    if checkpoint.resolve() == target.resolve():
        return
    for name in BESIDE:
        if (checkpoint / name).is_file():
            shutil.copyfile(checkpoint / name, target / name)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence the quantisers, which tell of every node."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
