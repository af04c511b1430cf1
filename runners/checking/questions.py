"""What is wrong with a .csv of questions beyond its lines: a question with two answers."""

from __future__ import annotations

from edgelab.dataset_report import Kind
from runners.checking.listing import ListedImage, Listing
from runners.datasets.dataset import sample_inside
from runners.datasets.questions_csv import Questions


def list_questions(data: Questions) -> Listing:
    """Each image once; what is asked twice about it has one answer."""
    listing = Listing()
    for image, rows in data.by_image.items():
        listing.images.append(ListedImage.of(sample_inside(data.folder, image)))
        answers: dict[str, str] = {}
        for question, answer in rows:
            before = answers.setdefault(question, answer)
            if before != answer:
                what = f"{question!r} is answered {before!r} and {answer!r}"
                listing.found(Kind.LABEL, image, what)
    return listing
