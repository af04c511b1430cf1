"""Classify: say which class an image is of."""

from __future__ import annotations

from edgelab.settings.base import MeasureSettings
from edgelab.settings.common import DETECTOR_PRECISIONS, HeldOut, NotNegative, Positive


class ClassifySettings(MeasureSettings, frozen=True, kw_only=True, tag="classify"):
    """One classifier on one labelled dataset, in one or more precisions.

    `model` is a catalogue name or the path of an .onnx file; `dataset` as for a training. `split`:
    test where nothing is said, or "all". Data without splits are cut as in a training, by
    `val_share`, `test_share` and `split_seed`; None means: as the model's profile says, so that it
    is not measured on what it learned. `calibration_images`: of val, for int8.
    """

    val_share: HeldOut | None = None
    test_share: HeldOut | None = None
    split_seed: NotNegative | None = None
    calibration_images: Positive = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classes is not None or self.per_class is not None:
            raise ValueError("classes and per_class are for counting: leave them out")
        if others := set(self.precisions).difference(DETECTOR_PRECISIONS):
            known = ", ".join(DETECTOR_PRECISIONS)
            raise ValueError(
                f"{min(others)} is for vision-language models: a classifier has {known}"
            )
