"""Runs that need no choices."""

from __future__ import annotations

from edgelab.machine import usable_cores
from edgelab.settings.common import DETECTOR_PRECISIONS
from edgelab.settings.detect import DetectSettings

QUICK_MODEL = "yolov8n-shapes"
QUICK_DATASET = "shapes"


def quick(threads: int | None = None, limit: int | None = None) -> tuple[DetectSettings, str]:
    """The quick benchmark and its title: the embedded detector in all precisions."""
    settings = DetectSettings(
        model=QUICK_MODEL,
        dataset=QUICK_DATASET,
        precisions=DETECTOR_PRECISIONS,
        thresholds=(0.3, 0.5, 0.7),
        threads=threads or usable_cores(),
        limit=limit,
    )
    return settings, "quick benchmark"
