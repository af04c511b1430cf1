"""Score the passes of a run when they are over: `python -m runners.score RUN_FOLDER`.

How sure each error of counts is, and average precision where the annotations have boxes. Nothing is
run again: the items hold all detections.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from edgelab.journal import JournalReader
from edgelab.records import DatasetFacts, DetectedItem, Event, Header, PassScores, Record
from edgelab.settings.base import MeasureSettings
from edgelab.settings.common import Precision
from edgelab.steps import SCORE
from runners.prepared import read_prepared
from runners.prepared_boxes import read_boxes
from runners.scoring.counts import count_bounds, count_table
from runners.scoring.truth import Truth, Unscored
from runners.step import RunningStep, now, open_step


def main() -> None:
    """Read the command line and score."""
    parser = argparse.ArgumentParser(description="Score the passes of a run.")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    with open_step(arguments.folder, SCORE) as step:
        score(step)


def score(step: RunningStep) -> None:
    """Score every pass that has a result; data without annotations have nothing to score."""
    classes = _classes(step)
    if not classes:
        return
    settings = step.settings(MeasureSettings)
    truth = _truth(step)
    for precision in settings.passes:
        items = items_of(step, precision)
        if items:
            step.event(_scores(step, precision, items, classes, truth))


def items_of(step: RunningStep, precision: Precision) -> list[DetectedItem]:
    """What the pass found, an item an image: later repetitions repeat it."""
    journal: JournalReader[DetectedItem] = JournalReader(step.folder.items, Header | DetectedItem)
    found = {
        item.index: item
        for item in journal.follow(journal.size())
        if item.precision is precision and item.repetition == 0 and item.error is None
    }
    return [found[index] for index in sorted(found)]


def _classes(step: RunningStep) -> int:
    """How many classes are counted; 0 without annotations."""
    events: JournalReader[Record] = JournalReader(step.folder.events, Event)
    facts = [event for event in events.poll() if isinstance(event, DatasetFacts)]
    return len(facts[-1].classes) if facts and facts[-1].has_truth else 0


def _truth(step: RunningStep) -> Truth | None:
    """The boxes that detections are held against; None where the data have none."""
    boxes = read_boxes(step.folder)
    if boxes is None or not any(boxes.images):
        return None
    return Truth(boxes, read_prepared(step.folder).to_counted)


def _scores(
    step: RunningStep,
    precision: Precision,
    items: Sequence[DetectedItem],
    classes: int,
    truth: Truth | None,
) -> PassScores:
    cuts = step.settings(MeasureSettings).cuts
    step.phase(f"how sure are the counts of {precision}", len(cuts), "thresholds")
    counts = []
    for position, threshold in enumerate(cuts):
        counts.append(count_bounds(threshold, count_table(items, position, classes)))
        step.progress(position + 1)
    if truth is None:
        return PassScores(now(), precision, tuple(counts))
    try:
        images = truth.images(items)
    except Unscored as reason:
        step.warning(str(reason))
        return PassScores(now(), precision, tuple(counts))
    # The library is needed where there are boxes only.
    from runners.scoring.precision import precision_figures

    step.phase(f"average precision of {precision}", classes, "classes")
    found = precision_figures(images, classes, step.progress)
    return PassScores(now(), precision, tuple(counts), found.map50, found.map50_95, found.classes)


if __name__ == "__main__":
    main()
