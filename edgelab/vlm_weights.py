"""What a vision-language checkpoint will hold in memory, by its headers alone: no weight is read.

Which weights are rounded follows the loaders: bitsandbytes replaces every linear layer but the head
(transformers, `get_keys_to_not_convert`), PyTorch's dynamic quantisation replaces the head, too.
All else stays in the format that the loader computes in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgelab.checkpoint import StoredTensor, stored_tensors
from edgelab.schema import read_json
from edgelab.settings.common import Precision

HEAD = "lm_head.weight"

_NF4_BLOCK = 64  # weights that share a scale of 4 bytes (bitsandbytes' default)
_DYNAMIC_COPIES = 2  # PyTorch keeps the 8-bit weights and, packed for its kernels, a second time
_HALF = {Precision.FP16: "fp16", Precision.BF16: "bf16"}
_STORED = {"F32": "fp32", "F16": "fp16", "BF16": "bf16"}
_VISION = ("vision", "visual.", "mm_projector", "connector", "multi_modal_projector")
_TIED_UNLESS_TOLD = ("paligemma",)  # the Gemma family's default; hub files leave it out


@dataclass(frozen=True)
class Weight:
    """One tensor of the model: its module's path, its shape, and how it is used.

    `linear`: a matrix of a linear layer. `stored`: its format on disk, as people write it.
    """

    name: str
    shape: tuple[int, ...]
    stored: str
    elements: int
    linear: bool

    @property
    def vision(self) -> bool:
        """True for the vision encoder and what joins it to the language model."""
        return any(part in self.name for part in _VISION)


class _Tied(msgspec.Struct, frozen=True):
    tie_word_embeddings: bool | None = None


class _Config(_Tied, frozen=True):
    """Of config.json: whether the head is the embedding table."""

    model_type: str = ""
    text_config: _Tied | None = None

    @property
    def tied(self) -> bool:
        """As stated for the whole model, else for its text, else as its family has it."""
        for each in (self, self.text_config):
            if each is not None and each.tie_word_embeddings is not None:
                return each.tie_word_embeddings
        return self.model_type in _TIED_UNLESS_TOLD


@dataclass(frozen=True)
class Weights:
    """All weights of a checkpoint. `tied`: the head is the embedding table."""

    model_type: str
    weights: tuple[Weight, ...]
    tied: bool

    @property
    def parameters(self) -> int:
        """A shared weight counts once."""
        return sum(each.elements for each in self.weights)

    @property
    def stored_bytes(self) -> int:
        """On disk."""
        return sum(_size(each.elements, each.stored) for each in self.weights)

    @property
    def embedding(self) -> Weight | None:
        """The table of the language model's tokens."""
        return next((w for w in self.weights if w.name.endswith("embed_tokens.weight")), None)

    def formats(self, precision: Precision) -> dict[str, int]:
        """How many weights are held in each format after loading."""
        found: Counter[str] = Counter()
        for each in self.weights:
            found[self.format_of(each, precision)] += each.elements
        if self._head_apart(precision) and (table := self.embedding) is not None:
            found[Precision.INT8_DYNAMIC.value] += table.elements
        return dict(found)

    def resident_bytes(self, precision: Precision) -> int:
        """Bytes of all weights after loading, with the scales of the rounded ones."""
        held = sum(_held(each, self.format_of(each, precision)) for each in self.weights)
        if self._head_apart(precision) and (table := self.embedding) is not None:
            held += _held(table, Precision.INT8_DYNAMIC.value)
        return held

    def copied(self, precision: Precision) -> bool:
        """False where the file's own pages serve as weights: nothing is converted."""
        target = {self.format_of(each, precision) for each in self.weights}
        return target != {each.stored for each in self.weights}

    def _head_apart(self, precision: Precision) -> bool:
        """Dynamic quantisation makes of a shared head a matrix of its own."""
        return self.tied and precision is Precision.INT8_DYNAMIC

    def format_of(self, each: Weight, precision: Precision) -> str:
        """The format that a weight is held in after loading."""
        if precision in _HALF:
            return _HALF[precision]
        rounded = each.linear
        if precision in (Precision.INT8, Precision.NF4):
            projector = self.model_type == "mobilevlm" and ".mm_projector." in f".{each.name}"
            rounded = rounded and not each.name.endswith(HEAD) and not projector
        return precision.value if rounded and precision is not Precision.FP32 else "fp32"


def read_weights(folder: Path) -> Weights:
    """Of a checkpoint folder; raises Problem where its headers or config.json are not whole."""
    config = read_json(folder / "config.json", _Config)
    model_type = "mobilevlm" if config.model_type.startswith("mobile") else config.model_type
    tied = config.tied
    tensors = stored_tensors(folder)
    kept = (each for each in tensors.values() if not _is_left_out(each, tied))
    return Weights(model_type, tuple(_weight(each) for each in kept), tied)


def _is_left_out(tensor: StoredTensor, tied: bool) -> bool:
    """Buffers, which are computed, and a head that is the embedding table anyway."""
    buffers = ("rotary_emb.inv_freq", "position_ids")
    return tensor.name.endswith(buffers) or (tied and tensor.name.endswith(HEAD))


def _weight(tensor: StoredTensor) -> Weight:
    module = tensor.name.removesuffix(".weight").rpartition(".")[2]
    linear = len(tensor.shape) == 2 and tensor.name.endswith(".weight") and "embed" not in module
    stored = _STORED.get(tensor.dtype, tensor.dtype)
    return Weight(tensor.name, tensor.shape, stored, tensor.elements, linear)


def _held(each: Weight, form: str) -> int:
    """Bytes of a weight and its scales in memory."""
    if form == Precision.INT8.value:
        return each.elements + 4 * each.shape[0]
    if form == Precision.NF4.value:
        return -(-each.elements // 2) + 4 * -(-each.elements // _NF4_BLOCK)
    if form == Precision.INT8_DYNAMIC.value:
        return _DYNAMIC_COPIES * each.elements
    return _size(each.elements, form)


def _size(elements: int, form: str) -> int:
    return elements * (2 if form in _HALF.values() else 4)


def widest(weights: Iterable[Weight]) -> int:
    """The most outputs of any linear layer among them; 0 without one."""
    return max((each.shape[0] for each in weights if each.linear), default=0)
