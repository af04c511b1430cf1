"""What is wrong with the labels of an ultralytics dataset: lines, classes, boxes, stray files."""

from __future__ import annotations

from pathlib import Path

from edgelab.dataset_report import Kind
from runners.checking.listing import ListedImage, Listing, PlacedBox
from runners.datasets.dataset import sample_at
from runners.datasets.files import YoloFiles
from runners.datasets.yolo_labels import Labels, Unusable
from runners.datasets.yolo_yaml import YoloDataset, label_file

_KINDS = {
    Unusable.CLASS: Kind.UNKNOWN_ID,
    Unusable.FINITE: Kind.BOX,
    Unusable.EXTENT: Kind.BOX,
}


def list_yolo(files: YoloFiles) -> Listing:
    """Read images and labels of the split; raises Problem where there is no image."""
    dataset, listing = files.dataset, Listing()
    paths = dataset.images(files.split)
    _look_for_doubles(dataset, paths, listing)
    for path in dict.fromkeys(paths):
        image = ListedImage.of(sample_at(path, dataset.name_of(path)))
        image.relative = True
        _take_labels(dataset, path, image, listing)
        listing.images.append(image)
    _look_for_strays(dataset, paths, listing)
    return listing


def _look_for_doubles(dataset: YoloDataset, paths: list[Path], listing: Listing) -> None:
    seen: set[Path] = set()
    for path in paths:
        if path in seen:
            listing.found(Kind.DOUBLE_IMAGE, dataset.name_of(path), "listed twice: run twice")
        seen.add(path)


def _take_labels(dataset: YoloDataset, path: Path, image: ListedImage, listing: Listing) -> None:
    labels: Labels = dataset.labels(path)
    name = dataset.name_of(label_file(path))
    for fault in labels.faults:
        where = f"{name}: line {fault.line}" if fault.line else name
        kind = _KINDS.get(fault.why, Kind.LABEL)
        listing.found(kind, where, f"{fault.why}: {fault.detail}: left out")
    for line, before in labels.doubles.items():
        where = f"{name}: line {line}"
        listing.found(Kind.DOUBLE_BOX, where, f"the same as line {before}: counted once")
    image.boxes += [
        PlacedBox(f"{name}: line {line}", box.x, box.y, box.width, box.height)
        for line, box in labels.objects.items()
    ]


def _look_for_strays(dataset: YoloDataset, paths: list[Path], listing: Listing) -> None:
    """Label files that belong to no image of the split, and images that have none."""
    wanted = {label_file(path) for path in paths}
    for folder in sorted({file.parent for file in wanted}):
        for stray in sorted(set(folder.glob("*.txt")) - wanted):
            listing.found(Kind.STRAY, dataset.name_of(stray), "no image of this name in the split")
    without = sum(not file.is_file() for file in wanted)
    if without:
        what = f"{without} of {len(wanted)} images have no label file: counted as without objects"
        listing.found(Kind.NO_LABEL, dataset.file.name, what)
