"""What is wrong with a .csv of labels beyond its lines: images that it names twice."""

from __future__ import annotations

from collections import Counter

from edgelab.dataset_report import Kind
from runners.checking.listing import ListedImage, Listing
from runners.datasets.files import LabelledFiles


def list_labelled(files: LabelledFiles) -> Listing:
    """The images of the split; one that has two classes in it cannot be right."""
    dataset = files.dataset
    listing = Listing([ListedImage.of(sample) for sample in dataset.samples])
    first: dict[str, int] = {}
    for sample in dataset.samples:
        (label,) = sample.truth or (0,)
        before = first.setdefault(sample.name, label)
        if before != label:
            both = f"{dataset.classes[before]!r} and {dataset.classes[label]!r}"
            listing.found(Kind.LABEL, sample.name, f"listed with two classes: {both}")
    for name, times in Counter(sample.name for sample in dataset.samples).items():
        if times > 1:
            listing.found(Kind.DOUBLE_IMAGE, name, f"listed {times} times: run as often")
    return listing
