"""A detector: one model in one session, from an image in memory to its detections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runners.detections import Detections, Selection
from runners.images import Pixels
from runners.letterbox import Fit, Letterbox
from runners.session import open_session, session_options

_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class Detector:
    """Runs one YOLO model; its three stages are called, and timed, one by one.

    `input_size` is (height, width), px: an image costs the same whatever its own shape is.
    """

    def __init__(
        self, model: Path, input_size: tuple[int, int], selection: Selection, threads: int
    ) -> None:
        self.input_size = input_size
        self.selection = selection
        self.session = open_session(model, session_options(threads))
        source = self.session.get_inputs()[0]
        self._input = source.name
        self._dtype = _DTYPES[source.type]
        self._outputs = [self.session.get_outputs()[0].name]
        self.letterbox = self.make_letterbox()

    def make_letterbox(self) -> Letterbox:
        """One more set of input buffers, for a thread of its own."""
        return Letterbox(self.input_size, self._dtype)

    def preprocess(self, image: Pixels) -> tuple[NDArray[Any], Fit]:
        """The input tensor of `image`, and how the image lies in it."""
        return self.letterbox(image)

    def infer(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """The first output of the model."""
        output: NDArray[Any] = self.session.run(self._outputs, {self._input: tensor})[0]
        return output

    def postprocess(self, output: NDArray[Any], fit: Fit) -> Detections:
        """The detections in an output; raises HeadProblem."""
        return self.selection.detect(output, fit)

    def __call__(self, image: Pixels) -> Detections:
        """All three stages."""
        tensor, fit = self.preprocess(image)
        return self.postprocess(self.infer(tensor), fit)
