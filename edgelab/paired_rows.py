"""The paired comparison of own configurations, read from the journals of their runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgelab.comparison import Comparison
from edgelab.journal import JournalReader
from edgelab.lab import Lab
from edgelab.paired import ImageErrors, PairedDifference, image_errors, paired_counts
from edgelab.records import Item, ItemLine
from edgelab.result_table import TableRow


@dataclass(frozen=True)
class PairedRow:
    """Two configurations and the difference of their MAE over the images that both counted.

    `difference` is the left's MAE minus the right's; None: they share no image with annotations.
    """

    left: TableRow
    right: TableRow
    difference: PairedDifference | None

    @property
    def words(self) -> str:
        """One line for a person."""
        found = "no image in common" if self.difference is None else self.difference.words
        return f"{self.left.full_name} against {self.right.full_name}: MAE {found}"


def paired_rows(lab: Lab, comparison: Comparison) -> Iterator[PairedRow]:
    """Each pair of own rows of a comparison; published ones have no images to pair by.

    Raises Problem where a journal cannot be read.
    """
    for row in comparison.rows:
        left, right = row.left, row.right
        if left is None or right is None or left.run is None or right.run is None:
            continue
        errors = _errors(lab, left), _errors(lab, right)
        # The second minus the first: the left is what is judged, so it comes second.
        yield PairedRow(left, right, paired_counts(errors[1], errors[0]))


def _errors(lab: Lab, row: TableRow) -> ImageErrors:
    folder = lab.folder(row.run or "")
    record = lab.record(folder)
    journal: JournalReader[Item] = JournalReader(folder.items, ItemLine)
    items = (
        item
        for item in journal.follow(journal.size())
        if isinstance(item, Item) and item.precision.value == row.precision
    )
    position = record.spec.settings.cuts.index(row.threshold)
    classes = len(record.dataset.classes) if record.dataset is not None else 0
    return image_errors(items, position, classes)
