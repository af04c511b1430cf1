"""The engine of PyTorch and transformers: all families. Importing it takes seconds and 700 MB."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from PIL import Image

from edgelab.executed import ExecutedPrecision
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import Precision
from runners.asking.reply import Asked, OnStage, OnText, nobody
from runners.images import Pixels
from runners.vlm.asking import Asker
from runners.vlm.families import Seeing
from runners.vlm.four_bit import computes_in_bf16
from runners.vlm.loading import load_vlm
from runners.vlm.proof import prove_loaded

_BITSANDBYTES = (Precision.INT8, Precision.NF4)


class TorchEngine:
    """A model of transformers; see `runners.asking.reply.Engine`."""

    def __init__(
        self, folder: Path, precision: Precision, settings: AskSettings, on_stage: OnStage = nobody
    ) -> None:
        torch.set_num_threads(settings.threads)
        transformers.utils.logging.disable_progress_bar()  # the log is a file
        self._vlm = load_vlm(
            folder, precision, Seeing(settings.max_pixels, settings.tiling), on_stage
        )
        self._asker = Asker(self._vlm, settings.max_new_tokens, settings.language, on_stage)
        self.runtime = _runtime(precision, str(self._vlm.model.device))
        if computes_in_bf16(self._vlm.model):
            self.runtime += ", 4-bit layers in BF16"

    def executed(self) -> ExecutedPrecision:
        """Counted from the loaded modules."""
        return prove_loaded(self._vlm.model)

    def picture(self, pixels: Pixels) -> Image.Image:
        """The same pixels in RGB."""
        return Image.fromarray(pixels[:, :, ::-1])

    def ask(
        self,
        key: object,
        picture: Image.Image,
        question: str,
        *,
        share: bool,
        on_text: OnText | None,
    ) -> Asked:
        """The answer; raises StageOutOfMemory."""
        return self._asker.ask(key, picture, question, share=share, on_text=on_text)


def _runtime(precision: Precision, device: str) -> str:
    libraries = [f"torch {torch.__version__}", f"transformers {transformers.__version__}"]
    if precision in _BITSANDBYTES:
        import bitsandbytes

        libraries.append(f"bitsandbytes {bitsandbytes.__version__}")
    return f"{', '.join(libraries)} {device.upper()}"
