"""Random changes of a training image, drawn from a generator of the image's own.

The generator is seeded by (seed, epoch, index): what an image looks like depends neither on the
order of the images nor on how often training was interrupted.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edgelab.settings.train import Augmentation
from runners.classify_input import as_planes
from runners.images import Pixels

_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def augmented(image: Pixels, how: Augmentation, rng: Generator) -> NDArray[np.float32]:
    """The changed image as input of the classifier, (3, side, side), RGB, 0 to 1."""
    if rng.random() < how.flip:
        image = np.ascontiguousarray(image[:, ::-1])
    if rng.random() < how.flip_vertical:
        image = np.ascontiguousarray(image[::-1])
    if how.rotation:
        image = rotated(image, float(rng.uniform(-how.rotation, how.rotation)))
    planes = as_planes(image)
    if how.jitter:
        planes = jittered(planes, rng.uniform(-how.jitter, how.jitter, 3))
    if how.noise:
        planes = planes + rng.standard_normal(planes.shape, np.float32) * np.float32(how.noise)
    return np.clip(planes, 0, 1)


def rotated(image: Pixels, degrees: float) -> Pixels:
    """Turned around its middle; the corners continue what lies at the edge."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    return cv2.warpAffine(  # type: ignore[no-any-return]
        image, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def jittered(planes: NDArray[np.float32], change: NDArray[np.float64]) -> NDArray[np.float32]:
    """Brightness, contrast and saturation changed by these shares, one after the other."""
    brightness, contrast, saturation = (np.float32(1 + each) for each in change)
    planes = planes * brightness
    mean = planes.mean()
    planes = (planes - mean) * contrast + mean
    grey = np.tensordot(_GREY, planes, 1)[None]
    result: NDArray[np.float32] = (planes - grey) * saturation + grey
    return result
