"""What is wrong inside a COCO file: ids, categories, boxes, crowds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from edgelab.coco_results import Id
from edgelab.dataset_report import Kind
from runners.checking.listing import ListedImage, Listing, PlacedBox
from runners.datasets.coco import (
    CocoAnnotation,
    CocoCategory,
    CocoFile,
    CocoImage,
    box_fault,
    images_folder,
    is_known,
    read_coco_file,
)
from runners.datasets.dataset import sample_inside
from runners.datasets.files import CocoFiles


def list_coco(files: CocoFiles) -> Listing:
    """Read the file and say what is wrong in it; raises Problem where it is none."""
    folder = images_folder(files.annotations, files.images)
    file = read_coco_file(files.annotations)
    looking = _Looking(file)
    for image in file.images:
        size = (image.width, image.height)
        known = all(isinstance(side, int) and side > 0 for side in size)
        listed = ListedImage.of(sample_inside(folder, image.file_name), size if known else None)
        looking.take_image(image, listed)
    for place, annotation in enumerate(file.annotations):
        looking.take_annotation(place, annotation)
    return looking.listing


class _Looking:
    """One file while it is looked through."""

    def __init__(self, file: CocoFile) -> None:
        self.listing = Listing()
        self._images: dict[Id, ListedImage] = {}
        self._file_names: dict[str, Id] = {}
        self._class_of: dict[Id, str] = {}
        self._annotation_ids: set[Any] = set()
        self._drawn: set[tuple[Any, ...]] = set()
        self._take_categories(file.categories)

    def _take_categories(self, categories: Iterable[CocoCategory]) -> None:
        names: Counter[str] = Counter()
        for category in categories:
            if category.id in self._class_of:
                self._tell(Kind.DOUBLE_ID, f"category {category.id}", "the first one counts")
                continue
            self._class_of[category.id] = category.name
            key = category.name.strip().casefold()
            names[key] += 1
            if names[key] > 1:
                self._tell(
                    Kind.DOUBLE_CLASS, f"category {category.id}",
                    f"the name {category.name!r} was there before: a model's class is matched by "
                    "name, and counts for one of them only",
                )  # fmt: skip

    def take_image(self, image: CocoImage, listed: ListedImage) -> None:
        where = f"image {image.id} ({image.file_name})"
        if image.id in self._images:
            self._tell(Kind.DOUBLE_ID, where, "an image of that id was there before: left out")
            return
        before = self._file_names.setdefault(image.file_name, image.id)
        if before != image.id:
            self._tell(Kind.DOUBLE_IMAGE, where, f"the same file as image {before}: run twice")
        self._images[image.id] = listed
        self.listing.images.append(listed)

    def take_annotation(self, place: int, annotation: CocoAnnotation) -> None:
        where = f"annotation {_name(annotation.id, place)}"
        self._look_at_id(where, annotation.id)
        if not self._has_place(where, annotation):
            return
        if annotation.iscrowd not in (0, 1):
            what = f"iscrowd = {annotation.iscrowd!r:.80}: 0 or 1 is expected: left out"
            self._tell(Kind.CROWD, where, what)
            return
        self._take_box(where, annotation)

    def _look_at_id(self, where: str, key: Any) -> None:
        if not isinstance(key, int | str):
            return
        if key in self._annotation_ids:
            self._tell(Kind.DOUBLE_ID, where, "an annotation of that id was there before")
        self._annotation_ids.add(key)

    def _has_place(self, where: str, annotation: CocoAnnotation) -> bool:
        """True where image and category are known."""
        sound = True
        for key, known in (("image_id", self._images), ("category_id", self._class_of)):
            value = getattr(annotation, key)
            if not is_known(value, known):
                what = f"{key} = {value!r:.80}: not in the file: left out"
                self._tell(Kind.UNKNOWN_ID, where, what)
                sound = False
        return sound

    def _take_box(self, where: str, annotation: CocoAnnotation) -> None:
        image, crowd = self._images[annotation.image_id], bool(annotation.iscrowd)
        where = f"{where} ({image.name})"
        fault = box_fault(annotation.bbox)
        if fault is not None:
            self._tell(Kind.BOX, where, f"bbox = {annotation.bbox!r:.80}: {fault}: left out")
            return
        name = self._class_of[annotation.category_id]
        self.listing.crowds[name] += crowd
        if annotation.bbox is None:
            if not crowd:
                self._tell(Kind.BOXLESS, where, "counted, but there can be no mAP with it")
            return
        box = tuple(map(float, annotation.bbox))
        image.boxes.append(PlacedBox(where, *box))
        drawn = (annotation.image_id, annotation.category_id, crowd, box)
        if drawn in self._drawn:
            self._tell(Kind.DOUBLE_BOX, where, "the same class and box were there before: counted")
        self._drawn.add(drawn)

    def _tell(self, kind: Kind, where: str, what: str) -> None:
        self.listing.found(kind, where, what)


def _name(key: Any, place: int) -> str:
    return str(key) if isinstance(key, int | str) else f"no. {place} (without an id)"
