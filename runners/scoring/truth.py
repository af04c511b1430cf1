"""What detections are held against: the annotated boxes, in px, of the images of a pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgelab.problem import Problem
from edgelab.records import DetectedItem
from runners.datasets.dataset import Box
from runners.prepared_boxes import PreparedBoxes
from runners.scoring.scored import Found, ScoredImage


class Unscored(Problem):
    """Why there is no average precision."""


@dataclass(frozen=True)
class Truth:
    """`to_counted`: model class index -> counted class index, None where it is not counted."""

    boxes: PreparedBoxes
    to_counted: Sequence[int | None]

    def images(self, items: Sequence[DetectedItem]) -> list[ScoredImage]:
        """What each item found beside what is there; raises Unscored where boxes are missing."""
        lacking = sum(self._lacking(item) for item in items)
        if lacking:
            raise Unscored(f"no mAP: {lacking} counted objects have no box")
        return [ScoredImage(self._boxes(item), self._found(item), item.evaluated) for item in items]

    def _lacking(self, item: DetectedItem) -> int:
        """Counted objects without a box."""
        boxes = self.boxes.images[item.index] or ()
        boxed = Counter(box.label for box in boxes if not box.crowd)
        return sum(max(0, n - boxed[label]) for label, n in (item.truth or {}).items())

    def _boxes(self, item: DetectedItem) -> tuple[Box, ...]:
        boxes = self.boxes.images[item.index] or ()
        if not self.boxes.relative or not boxes:
            return boxes
        if item.image_size is None:
            raise Unscored("no mAP: the run began with an edgelab that kept no image sizes")
        height, width = item.image_size
        return tuple(
            Box(b.label, b.x * width, b.y * height, b.width * width, b.height * height, b.crowd)
            for b in boxes
        )

    def _found(self, item: DetectedItem) -> list[Found]:
        """Detections of counted classes, under the numbers of these."""
        rows: list[Found] = []
        for left, top, right, bottom, score, model_class in item.detections:
            known = int(model_class) < len(self.to_counted)
            label = self.to_counted[int(model_class)] if known else None
            if label is not None:
                rows.append((left, top, right, bottom, score, label))
        return rows
