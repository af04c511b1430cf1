"""Peak memory of asking a vision-language model, before anything of it is loaded.

    load = libraries + weights as they are held + the file's pages, where they are converted
    ask  = libraries + weights + KV cache + the wider of vision encoder and prefill
    peak = the higher of the two

Attention is computed in blocks (torch's scaled_dot_product_attention, ONNX Runtime's fused
operator): no matrix of all tokens by all tokens is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgelab.checkpoint import weight_files
from edgelab.problem import Problem
from edgelab.schema import read_json
from edgelab.settings.common import VLM_FILE_PRECISIONS, Precision
from edgelab.vlm_image import Sight, View, sight_of
from edgelab.vlm_weights import Weight, Weights, read_weights, widest

Engine = Literal["torch", "onnx"]

# Measured on x86-64 (docs/vlm.md), bytes: a process with the libraries imported (torch's CUDA
# build; its CPU build is smaller), bitsandbytes on top, and code that comes with the first answer.
TORCH_BYTES = 808_000_000
ONNX_BYTES = 76_000_000
BITSANDBYTES_BYTES = 55_000_000
FIRST_USE_BYTES = 28_000_000

# What a loaded ONNX file takes, a byte of it on disk (docs/vlm-onnx.md). ONNX Runtime computes FP16
# in FP32 on a CPU and keeps both; packing 4-bit weights for its kernels makes them larger.
ONNX_RESIDENT = {"fp32": 1.0, "fp16": 2.6, "int8": 1.2, "q4": 1.6}

VISION_ENCODER, EMBED_TOKENS, DECODER = "vision_encoder", "embed_tokens", "decoder_model_merged"
"""What the names of the three ONNX files begin with."""

QUESTION_TOKENS = 48
"""Of a prompt beside its image: the question and the chat around it."""

_ROUNDED = (Precision.INT8, Precision.NF4)
_ONNX_ONLY = ("q4",)
_HALF = (Precision.FP16, Precision.BF16)


@dataclass(frozen=True)
class Memory:
    """Where the bytes of a run go.

    `mapped`: the file's pages that were converted; the kernel drops them when memory is short, so
    that they count for the measured peak, but not for whether it fits. `load_extra`: what the
    loader holds beyond the weights that stay.
    """

    libraries: int
    weights: int
    mapped: int
    load_extra: int
    working: int
    cache: int

    @property
    def load_peak(self) -> int:
        """While loading."""
        return self.libraries + self.weights + self.load_extra + self.mapped

    @property
    def ask_peak(self) -> int:
        """While answering."""
        return self.libraries + self.weights + self.working + self.cache

    @property
    def peak(self) -> int:
        """The high-water mark (VmHWM) that is to be expected."""
        return max(self.load_peak, self.ask_peak)

    @property
    def needed(self) -> int:
        """The least that it can run in: pages that the kernel can drop left out."""
        return max(self.load_peak - self.mapped, self.ask_peak)

    @property
    def parts(self) -> str:
        """Where it goes, the largest first, in MB."""
        named = {
            "libraries": self.libraries, "weights": self.weights, "KV cache": self.cache,
            "working memory": self.working, "file pages while loading": self.mapped,
        }  # fmt: skip
        ordered = sorted(named.items(), key=lambda part: -part[1])
        return ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in ordered if size >= 500_000)


def torch_memory(
    folder: Path,
    precision: Precision,
    view: View,
    max_new_tokens: int = 16,
    libraries: int | None = None,
) -> Memory:
    """Of the torch runner; `libraries`: bytes as measured on this board, None for the usual ones.

    Raises Problem where config.json or the weights' headers do not tell enough.
    """
    if precision.value in _ONNX_ONLY:
        raise Problem(f"{folder}: {precision} needs the model's ONNX files (docs/vlm-onnx.md)")
    weights, sight = read_weights(folder), sight_of(folder, view)
    held, stored = weights.resident_bytes(precision), weights.stored_bytes
    copied = weights.copied(precision)
    full = weights.resident_bytes(Precision.FP32)
    base = TORCH_BYTES if libraries is None else libraries
    return Memory(
        libraries=base + (BITSANDBYTES_BYTES if precision in _ROUNDED else 0),
        weights=held,
        mapped=stored if copied else 0,
        load_extra=max(0, full - held) if precision is Precision.INT8_DYNAMIC else 0,
        working=FIRST_USE_BYTES + _working(weights, sight, precision, sight.tiles),
        cache=_cache(weights, sight, max_new_tokens, _width(precision)),
    )


def onnx_memory(
    folder: Path,
    precision: Precision,
    view: View,
    max_new_tokens: int = 16,
    libraries: int | None = None,
) -> Memory:
    """Of the runner without torch; raises Problem where a file or a size is missing."""
    files = onnx_files(folder, precision)
    size = sum(file.stat().st_size for file in files)
    sight = sight_of(folder, view)
    text, vision = _widths(folder)
    tokens = sight.tokens + sight.marks + QUESTION_TOKENS
    seen = (
        sight.patches * (2 * vision.inner + 4 * vision.outer) * 4 + sight.tiles * sight.input_bytes
    )
    read = tokens * (3 * text.inner + 4 * text.outer) * 4
    return Memory(
        libraries=ONNX_BYTES if libraries is None else libraries,
        weights=int(size * ONNX_RESIDENT[precision.value]),
        mapped=0,
        load_extra=0,
        working=max(seen, read),
        cache=2 * text.cached * (tokens + max_new_tokens) * 4,  # the old one and the one it becomes
    )


def engine_of(folder: Path) -> Engine:
    """ONNX Runtime where the three files lie in the folder, as the ask runner chooses."""
    return "onnx" if any((folder / "onnx").glob(f"{DECODER}*.onnx")) else "torch"


def onnx_precisions(folder: Path) -> tuple[Precision, ...]:
    """Those that have files in the folder."""
    return tuple(each for each in VLM_FILE_PRECISIONS if _has_files(folder, each))


def must_hold_weights(folder: Path) -> None:
    """Raise Problem where a checkpoint's folder has neither torch's files nor ONNX files."""
    if not onnx_precisions(folder):
        weight_files(folder)


def _has_files(folder: Path, precision: Precision) -> bool:
    try:
        return bool(onnx_files(folder, precision))
    except Problem:
        return False


def onnx_files(folder: Path, precision: Precision) -> list[Path]:
    """The graphs of a precision and their weights; raises Problem where there are none."""
    suffixes = {
        "fp32": ("",), "fp16": ("_fp16",), "int8": ("_uint8", "_int8", "_quantized"), "q4": ("_q4",)
    }.get(precision.value, ())  # fmt: skip
    for suffix in suffixes:
        found = [
            file
            for part in (VISION_ENCODER, EMBED_TOKENS, DECODER)
            for end in (".onnx", ".onnx_data")
            if (file := folder / "onnx" / f"{part}{suffix}{end}").is_file()
        ]
        if found:
            return found
    raise Problem(f"{folder}/onnx: no {precision} in it")


@dataclass(frozen=True)
class _Widths:
    """Of one half of a SmolVLM: residual stream, inner layer, numbers cached a token."""

    outer: int
    inner: int
    cached: int = 0


def _widths(folder: Path) -> tuple[_Widths, _Widths]:
    """Language model and vision encoder, by config.json: an ONNX folder has no weights' headers."""
    config: dict[str, Any] = read_json(folder / "config.json", dict[str, Any])
    text, vision = config.get("text_config") or {}, config.get("vision_config") or {}
    try:
        heads = int(text["num_attention_heads"])
        head = int(text.get("head_dim") or int(text["hidden_size"]) // heads)
        keys = int(text.get("num_key_value_heads") or heads) * head
        cached = 2 * keys * int(text["num_hidden_layers"])
        return (
            _Widths(int(text["hidden_size"]), int(text["intermediate_size"]), cached),
            _Widths(int(vision["hidden_size"]), int(vision.get("intermediate_size", 3072))),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise Problem(f"{folder}/config.json: no sizes of the model ({error})") from None


def _working(weights: Weights, sight: Sight, precision: Precision, at_once: int) -> int:
    """Activations of the vision encoder or of the prefill, whichever is more."""
    vision = [each for each in weights.weights if each.vision]
    text = [each for each in weights.weights if not each.vision and "lm_head" not in each.name]
    width = _width(precision)
    inner, outer = widest(vision), _narrowest(vision)
    seen = at_once * (
        2 * sight.input_bytes  # as the processor makes them, and the encoder's own copy
        + sight.patches * (2 * inner + 4 * outer) * width
        + sight.mask_bytes
    )
    tokens = sight.tokens + sight.marks + QUESTION_TOKENS
    read = tokens * (3 * widest(text) + 4 * _narrowest(text)) * width
    whole = max((each.elements for each in weights.weights if each.linear), default=0)
    return max(seen, read) + (4 * whole if precision in _ROUNDED else 0)  # one layer in FP32


def _cache(weights: Weights, sight: Sight, new: int, width: int) -> int:
    """Keys and values of the whole prompt and the answer."""
    rows = sum(
        each.shape[0]
        for each in weights.weights
        if each.linear
        and not each.vision
        and each.name.endswith(("k_proj.weight", "v_proj.weight"))
    )
    return rows * (sight.tokens + sight.marks + QUESTION_TOKENS + new) * width


def _narrowest(weights: list[Weight]) -> int:
    """The width of the residual stream: what the widest matrix comes from."""
    matrices = [each for each in weights if each.linear]
    return max(matrices, key=lambda each: each.shape[0]).shape[1] if matrices else 0


def _width(precision: Precision) -> int:
    """Bytes of an activation."""
    return 2 if precision in _HALF else 4
