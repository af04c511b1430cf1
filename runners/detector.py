"""A detector: one model in one session, from an image in memory to its detections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runners.detections import Detections, Selection
from runners.family import Preprocessor, open_family
from runners.images import Pixels
from runners.letterbox import Fit
from runners.session import open_session, session_options

_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class Detector:
    """Runs one model of any family; its three stages are called, and timed, one by one.

    `input_size` is (height, width), px: an image costs the same whatever its own shape is.
    """

    def __init__(
        self, model: Path, input_size: tuple[int, int], selection: Selection, threads: int
    ) -> None:
        self.selection = selection
        self._input_size = input_size
        self.session = open_session(model, session_options(threads))
        source = self.session.get_inputs()[0]
        self._input = source.name
        self._dtype = _DTYPES[source.type]
        self.family = open_family(self.session.get_modelmeta().custom_metadata_map, input_size)
        self.preprocess = self.make_preprocessor()

    def make_preprocessor(self) -> Preprocessor:
        """One more set of input buffers, for a thread of its own."""
        return self.family.preprocessor(self._dtype)

    def blank(self) -> NDArray[Any]:
        """An input tensor of zeros."""
        return np.zeros((1, 3, *self._input_size), self._dtype)

    def infer(self, tensor: NDArray[Any]) -> Sequence[NDArray[Any]]:
        """The outputs of the model."""
        outputs: Sequence[NDArray[Any]] = self.session.run(None, {self._input: tensor})
        return outputs

    def postprocess(self, outputs: Sequence[NDArray[Any]], fit: Fit) -> Detections:
        """The detections in the outputs for one image, in px of it; raises HeadProblem."""
        found = self.family.detect(outputs, self.selection)
        return Detections(fit.to_image(found.boxes), found.scores, found.classes)

    def __call__(self, image: Pixels) -> Detections:
        """All three stages."""
        tensor, fit = self.preprocess(image)
        return self.postprocess(self.infer(tensor), fit)
