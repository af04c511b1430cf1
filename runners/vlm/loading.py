"""From a checkpoint's folder to a model in the precision asked for, straight into its format.

| precision | how |
|---|---|
| fp32, fp16, bf16 | weights are read into that format |
| int8, nf4 | bitsandbytes: saves memory, not time; computes in FP32 (`runners.vlm.four_bit`) |
| int8-dynamic | PyTorch's dynamic quantisation of the linear layers: faster than FP32 on a CPU |
"""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig, utils

from edgelab.problem import Problem
from edgelab.settings.common import Precision
from runners.asking.reply import OnStage, nobody
from runners.memory import give_memory_back, is_out_of_memory, return_large_blocks
from runners.vlm.families import Seeing, Vlm, model_type_of, open_hub, open_mobilevlm
from runners.vlm.four_bit import pack_what_fits
from runners.vlm.mobilevlm import MODEL_TYPES, load_mobilevlm
from runners.vlm.weights import weight_files

_DTYPES = {Precision.FP16: torch.float16, Precision.BF16: torch.bfloat16}
_SHOWN = 3


def load_vlm(
    folder: Path,
    precision: Precision,
    seeing: Seeing | None = None,
    on_stage: OnStage = nobody,
) -> Vlm:
    """The model of `folder` with its processor; raises Problem where it cannot be loaded.

    Safetensors are preferred, `.bin` files are read without running code, and no code of a
    repository is ever run.
    """
    seeing = seeing or Seeing()
    on_stage("load")
    return_large_blocks()
    _quiet()
    with refusals_as_problems(folder):
        if model_type_of(folder) in MODEL_TYPES:
            vlm = open_mobilevlm(folder, load_mobilevlm(folder, **_options(precision)), seeing)
        else:
            binary = weight_files(folder)[0].suffix != ".safetensors"
            vlm = open_hub(folder, load_network(folder, precision, binary=binary), seeing)
    pack_what_fits(vlm.model)
    if precision is Precision.INT8_DYNAMIC:
        on_stage("quantise")
        _quantise_dynamically(vlm.model)
    give_memory_back()
    return vlm


@contextmanager
def refusals_as_problems(folder: Path) -> Iterator[None]:
    """Turn what transformers has against a folder into one sentence; the log keeps all of it.

    What a file can be wrong in is without end, and so are the classes of these errors. A lack of
    memory is none of the folder's doing and stays what it is.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, Problem) or is_out_of_memory(error):
            raise
        traceback.print_exception(error)
        raise Problem(f"{folder}: cannot be loaded ({_why(error)})") from None


def _quiet() -> None:
    """The log is a file: no progress bars, and no line a layer that bitsandbytes rounds."""
    utils.logging.disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def load_network(folder: Path, precision: Precision, *, binary: bool = False) -> Any:
    """A model of transformers, in evaluation mode; raises Problem where weights of it are missing.

    Only safetensors are read, or with `binary` .bin files without running code in them; no code of
    a repository is run. INT8 and NF4 are bitsandbytes', with FP32 as compute format: on a CPU half
    precision would be slower and less exact.
    """
    model, info = AutoModelForImageTextToText.from_pretrained(
        folder,
        trust_remote_code=False,
        use_safetensors=not binary,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # told of by us, in words that name them
        **_options(precision),
    )
    _must_be_whole(folder, info)
    return model.eval()


def _must_be_whole(folder: Path, info: Mapping[str, Collection[Any]]) -> None:
    """Raise Problem where transformers made up weights that the files do not have."""
    others = [f"{name} is {_by(there)}, not {_by(wanted)}" for name, there, wanted in
              info["mismatched_keys"]]  # fmt: skip
    if others:
        raise Problem(f"{folder}: other weights than config.json says: {_listed(others)}")
    if info["missing_keys"]:
        raise Problem(f"{folder}: weights are missing: {_listed(info['missing_keys'])}")


def _listed(found: Collection[str]) -> str:
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(sorted(found)[:_SHOWN]) + more


def _by(shape: Collection[int]) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _options(precision: Precision) -> dict[str, Any]:
    """The keywords of from_pretrained."""
    return {
        "dtype": _DTYPES.get(precision, torch.float32),
        "quantization_config": _quantisation(precision),
        "device_map": {"": "cuda" if _on_gpu(precision) else "cpu"},
    }


def _quantisation(precision: Precision) -> BitsAndBytesConfig | None:
    if precision is Precision.NF4:
        return BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32
        )
    return BitsAndBytesConfig(load_in_8bit=True) if precision is Precision.INT8 else None


def _on_gpu(precision: Precision) -> bool:
    return torch.cuda.is_available() and precision is not Precision.INT8_DYNAMIC


def _quantise_dynamically(model: nn.Module) -> None:
    """Each linear layer's weights become 8-bit integers, its inputs when they come."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8, inplace=True)


def _why(error: Exception) -> str:
    if isinstance(error, UnpicklingError):  # torch advises to run it then
        return "its .bin file is damaged, or more than tensors: nothing in it was run"
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, OSError) else f"{type(error).__name__}: {text}"
