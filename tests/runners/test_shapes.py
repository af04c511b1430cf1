"""The shapes dataset: the same everywhere, true to its annotations, whole or absent."""

from __future__ import annotations

import hashlib
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edgelab.catalogue import shipped_profiles
from edgelab.schema import SchemaProblem
from runners.datasets import shapes
from runners.datasets.scene import draw
from runners.datasets.shapes import SPLITS, CocoFile, ShapesProfile, Split

SHIPPED = shipped_profiles() / "datasets" / "shapes.toml"


@pytest.fixture(scope="module")
def shipped() -> ShapesProfile:
    return shapes.read_profile(SHIPPED)


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped profile with few images."""
    text = SHIPPED.read_text(encoding="utf-8")
    for split, count in {"train": 12, "calibration": 3, "val": 4, "test": 5}.items():
        text, found = re.subn(rf"^{split} = \d+", f"{split} = {count}", text, flags=re.MULTILINE)
        assert found == 1
    path = tmp_path_factory.mktemp("profile") / "small.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def small(small_file: Path) -> ShapesProfile:
    return shapes.read_profile(small_file)


def pixel_hash(profile: ShapesProfile, split: Split, index: int) -> str:
    image, _ = shapes.draw_image(profile, split, index)
    return hashlib.sha256(image.tobytes()).hexdigest()


def read_coco(folder: Path) -> CocoFile:
    return msgspec.json.decode((folder / "annotations.json").read_bytes(), type=CocoFile)


def file_hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_shipped_profile_is_what_the_quick_benchmark_needs(shipped: ShapesProfile) -> None:
    assert shipped.default_split in SPLITS
    assert shipped.calibration_split in SPLITS
    assert shipped.scene.max_objects == 8
    assert shipped.images.test >= 300


def test_same_seed_gives_the_same_files(small: ShapesProfile, tmp_path: Path) -> None:
    first = shapes.generate(small, "val", tmp_path / "first")
    second = shapes.generate(small, "val", tmp_path / "second")
    assert len(file_hashes(first)) == small.images.val + 1
    assert file_hashes(first) == file_hashes(second)


def test_every_image_differs_from_every_other(small: ShapesProfile) -> None:
    hashes = [pixel_hash(small, split, index) for split in SPLITS for index in range(4)]
    assert len(set(hashes)) == len(hashes)


def test_another_seed_gives_other_images(small: ShapesProfile) -> None:
    other = replace(small, scene=replace(small.scene, seed=small.scene.seed + 1))
    assert pixel_hash(small, "test", 0) != pixel_hash(other, "test", 0)


def test_written_images_are_the_drawn_ones(small: ShapesProfile, tmp_path: Path) -> None:
    folder = shapes.generate(small, "test", tmp_path)
    for entry in read_coco(folder).images:
        written = cv2.imread(str(folder / "images" / entry.file_name), cv2.IMREAD_UNCHANGED)
        drawn, _ = shapes.draw_image(small, "test", entry.id)
        assert written is not None
        assert written.shape == (entry.height, entry.width, 3)
        assert np.array_equal(written, drawn)


def test_annotations_are_valid_coco(small: ShapesProfile, tmp_path: Path) -> None:
    folder = shapes.generate(small, "train", tmp_path)
    coco = read_coco(folder)
    size = small.scene.image_size
    assert [category.name for category in coco.categories] == list(small.scene.classes)
    assert len(coco.images) == small.images.train
    assert len({item.id for item in coco.annotations}) == len(coco.annotations) > 0
    assert {item.image_id for item in coco.annotations} <= {image.id for image in coco.images}
    for item in coco.annotations:
        x, y, width, height = item.bbox
        assert x >= 0
        assert y >= 0
        assert x + width <= size
        assert y + height <= size
        assert 0 < item.area <= width * height + 0.1  # px, rounding
        assert item.iscrowd == 0
        assert item.category_id in {category.id for category in coco.categories}


@settings(deadline=None, max_examples=40)
@given(split=st.sampled_from(SPLITS), index=st.integers(0, 10_000), limit=st.integers(0, 8))
def test_objects_are_few_enough_and_hardly_overlap(
    shipped: ShapesProfile, split: Split, index: int, limit: int
) -> None:
    scene = replace(shipped.scene, max_objects=limit)
    _, objects = shapes.draw_image(replace(shipped, scene=scene), split, index)
    assert len(objects) <= limit
    for one, other in combinations(objects, 2):
        (l1, t1, r1, b1), (l2, t2, r2, b2) = one.box, other.box
        common = max(0.0, min(r1, r2) - max(l1, l2)) * max(0.0, min(b1, b2) - max(t1, t2))
        smaller = min((r1 - l1) * (b1 - t1), (r2 - l2) * (b2 - t2))
        assert common <= scene.max_overlap * smaller


def test_boxes_fit_the_pixels_of_their_objects(shipped: ShapesProfile) -> None:
    """Without noise, an image differs inside the box only from the same one without its object."""
    scene = replace(shipped.scene, noise=(0.0, 0.0), max_objects=1)
    offsets = []
    for index in range(60):
        image, objects = draw(scene, index)
        background, _ = draw(replace(scene, max_objects=0), index)
        change = np.abs(image.astype(float) - background).max(axis=2)
        assert bool(objects) == bool(change.any())
        for drawn in objects:
            covered = np.argwhere(change > change.max() / 3)  # not the anti-aliased rim
            (top, left), (bottom, right) = covered.min(axis=0), covered.max(axis=0) + 1
            offsets.append(np.subtract((left, top, right, bottom), drawn.box))
    assert len(offsets) > 20
    assert np.abs(offsets).max() < 2.0
    centre_offsets = np.reshape(offsets, (-1, 2, 2)).mean(axis=1)
    assert np.abs(centre_offsets.mean(axis=0)).max() < 0.2  # px: half a pixel would be a fault


def test_objects_stand_out(shipped: ShapesProfile) -> None:
    scene = replace(shipped.scene, noise=(0.0, 0.0), max_objects=1)
    seen = 0
    for index in range(20):
        image, objects = draw(scene, index)
        background, _ = draw(replace(scene, max_objects=0), index)
        for drawn in objects:
            x, y = drawn.outline.mean(axis=0).astype(int)
            mask = np.zeros(image.shape[:2], np.uint8)
            cv2.fillPoly(mask, [np.round(drawn.outline - 0.5).astype(np.int32)], 255)
            below = np.array(cv2.mean(background, mask)[:3])
            assert np.linalg.norm(image[y, x] - below) > 0.9 * scene.min_contrast
            seen += 1
    assert seen >= 5


def test_progress_counts_every_image(small: ShapesProfile, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    shapes.generate(small, "test", tmp_path, lambda done, total: calls.append((done, total)))
    assert calls == [(done, 5) for done in range(1, 6)]


def test_a_second_call_draws_nothing(small: ShapesProfile, tmp_path: Path) -> None:
    first = shapes.ensure_split(small, "val", tmp_path)
    assert shapes.ensure_split(small, "val", tmp_path, lambda *_: pytest.fail("drawn")) == first


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, SystemExit])
def test_an_interrupted_generation_leaves_nothing(
    small: ShapesProfile, tmp_path: Path, error: type[BaseException]
) -> None:
    def interrupt(done: int, _total: int) -> None:
        if done == 3:
            raise error

    with pytest.raises(error):
        shapes.generate(small, "test", tmp_path, interrupt)
    assert [path.name for path in tmp_path.iterdir()] == [".test.lock"]
    assert len(read_coco(shapes.generate(small, "test", tmp_path)).images) == 5


KILLED_AT_THE_THIRD_IMAGE = """
import os, signal, sys
from pathlib import Path
from runners.datasets import shapes
from runners.datasets.scene import draw

def kill(done, total):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)

profile = shapes.read_profile(Path(sys.argv[1]))
shapes.generate(profile, "test", Path(sys.argv[2]), kill)
"""


def test_a_killed_generation_is_made_good(
    small: ShapesProfile, small_file: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED_AT_THE_THIRD_IMAGE, str(small_file), str(tmp_path)]
    killed = subprocess.run(command, check=False, cwd=Path(shapes.__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "test").exists()
    folder = shapes.generate(small, "test", tmp_path)
    assert len(list((folder / "images").iterdir())) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == [".test.lock", "test"]


def test_two_at_once_draw_a_split_once(small: ShapesProfile, tmp_path: Path) -> None:
    drawn: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(
                shapes.ensure_split, small, "test", tmp_path, lambda done, _: drawn.append(done)
            )
            for _ in range(2)
        ]
        folders = {call.result() for call in calls}
    assert len(folders) == 1
    assert drawn == [1, 2, 3, 4, 5]


def test_changed_parameters_make_a_new_folder(
    small: ShapesProfile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {shapes.ensure_split(small, "val", tmp_path).parent}
    for change in ({"seed": 1}, {"noise": (0.0, 1.0)}, {"max_objects": 2}):
        changed = replace(small, scene=replace(small.scene, **change))
        folders.add(shapes.ensure_split(changed, "val", tmp_path).parent)
    monkeypatch.setattr(shapes, "GENERATOR_VERSION", shapes.GENERATOR_VERSION + 1)
    folders.add(shapes.ensure_split(small, "val", tmp_path).parent)
    assert len(folders) == 5


def test_a_new_title_keeps_the_folder(small: ShapesProfile, tmp_path: Path) -> None:
    first = shapes.ensure_split(small, "val", tmp_path)
    assert shapes.ensure_split(replace(small, title="Other"), "val", tmp_path) == first


@pytest.mark.parametrize(
    ("line", "broken", "key", "expected"),
    [
        ("seed = 20260611", 'seed = "one"', "scene.seed = 'one'", "expected `int`"),
        ("max_overlap = 0.3", "max_overlap = 2", "scene.max_overlap = 2", "< 1.0"),
        ("val = 200", "val = 0", "images.val = 0", ">= 1"),
        ("val = 200", "", "images", "missing required field `val`"),
        ('"triangle"', '"heptagon"', "classes[1] = 'heptagon'", "invalid enum value"),
        ('"triangle"', '"circle"', "scene", "each shape once"),
        ("[14, 52]", "[14, 152]", "scene", "at most half of `image_size`"),
        ("[1, 12]", "[12, 1]", "scene", "`noise` to rise"),
        ('default_split = "test"', 'default_split = "exam"', "default_split = 'exam'", "enum"),
        ("schema_version = 1", "schema_version = 2", "schema_version = 2", "<= 1"),
        ("max_objects = 8", "most_objects = 8", "scene", "most_objects"),
    ],
)
def test_a_broken_profile_names_file_key_and_remedy(
    tmp_path: Path, line: str, broken: str, key: str, expected: str
) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    assert line in text
    path = tmp_path / "broken.toml"
    path.write_text(text.replace(line, broken, 1), encoding="utf-8")
    with pytest.raises(SchemaProblem) as caught:
        shapes.read_profile(path)
    for part in (str(path), key, expected):
        assert part in str(caught.value)
