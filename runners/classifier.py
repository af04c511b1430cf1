"""A classifier of images: one model in one session, from an image in memory to probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runners.classify_input import to_input
from runners.detections import NotFinite
from runners.images import Pixels
from runners.session import open_session, session_options

_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}

Probabilities = NDArray[np.float64]
"""(classes,), by class index of the model; they add up to 1."""


class ImageClassifier:
    """Runs one classifier; its three stages are called, and timed, one by one.

    The model takes RGB from 0 to 1 and gives logits: what it normalises by is inside of it.
    """

    def __init__(self, model: Path, side: int, threads: int) -> None:
        self.side = side
        self.session = open_session(model, session_options(threads))
        source = self.session.get_inputs()[0]
        self._input = source.name
        self._dtype = _DTYPES[source.type]

    def preprocess(self, image: Pixels) -> tuple[NDArray[Any], None]:
        """The input tensor, (1, 3, side, side): the numbers that a training makes of the image."""
        return self.cast(to_input(image, self.side)[0]), None

    def cast(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """An input tensor in the number format that the model takes."""
        return tensor.astype(self._dtype, copy=False)

    def make_preprocessor(self) -> Any:
        """It keeps nothing, so that every thread may have the same."""
        return self.preprocess

    def blank(self) -> NDArray[Any]:
        """An input tensor of zeros."""
        return np.zeros((1, 3, self.side, self.side), self._dtype)

    def infer(self, tensor: NDArray[Any]) -> Sequence[NDArray[Any]]:
        """The outputs of the model."""
        outputs: Sequence[NDArray[Any]] = self.session.run(None, {self._input: tensor})
        return outputs

    def postprocess(self, outputs: Sequence[NDArray[Any]]) -> Probabilities:
        """Softmax of the logits; raises NotFinite where these are not numbers."""
        logits = outputs[0][0].astype(np.float64)
        if not np.isfinite(logits).all():
            raise NotFinite("the model gives logits that are not numbers")
        weights = np.exp(logits - logits.max())
        probabilities: Probabilities = weights / weights.sum()
        return probabilities

    def __call__(self, image: Pixels) -> Probabilities:
        """All three stages."""
        tensor, _ = self.preprocess(image)
        return self.postprocess(self.infer(tensor))
