"""Training: bit for bit the same after kill -9, out of memory, NaN, a full disk; and its scores."""

from __future__ import annotations

import errno
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnxruntime
import pytest
import sklearn.metrics
import torch
from torch import nn

from edgelab.catalogue import Catalogue, ClassifierProfile
from edgelab.home import Home
from edgelab.journal import JournalReader
from edgelab.problem import Problem
from edgelab.projection import RunProjection
from edgelab.reader import LiveRun
from edgelab.records import ItemLine, Record, TrainStep
from edgelab.run_folder import RunFolder
from edgelab.settings.train import Augmentation, TrainSettings
from edgelab.spec import SPEC_VERSION, RunSpec
from edgelab.steps import DISK_FULL_EXIT, TRAIN_STEP
from runners import train as train_program
from runners.classifiers.classifier import Classifier
from runners.classifiers.config import ClassifierConfig
from runners.classifiers.weights import load_classifier
from runners.learning import checkpoint as checkpoints
from runners.learning.augment import augmented
from runners.learning.batches import order, parts_of, training_batches
from runners.learning.checkpoint import Checkpoints
from runners.learning.device import Device
from runners.learning.group import Alone, Group
from runners.learning.pictures import Pictures
from runners.learning.run import train
from runners.learning.scores import calibration_error, classification_scores
from runners.learning.trainer import ALONE, Reporter, Trainer
from runners.step import FAILED_EXIT, open_step

T = TypeVar("T")

CPU = Device(torch.device("cpu"), None)


class Killed(BaseException):
    """Stands for whatever ends a process between two steps."""


class Lab:
    """A tiny classifier with everything that can go astray: dropout, batch norm, augmentation."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self.folder = folder
        options = {"epochs": 3, "batch": 8, "checkpoint_s": 0.0, "learning_rate": 1e-2, **changes}
        self.settings = TrainSettings(model="vit-tiny-3", dataset="d", **options)  # type: ignore[arg-type]
        self.records: list[Record] = []
        self.warnings: list[str] = []
        self.die_at: int | None = None

    def pictures(self, count: int, seed: int) -> Pictures:
        rng = np.random.default_rng(seed)
        labels = [index % 2 for index in range(count)]
        kept = {
            index: np.clip(rng.integers(0, 100, (8, 8, 3)) + 120 * label, 0, 255).astype(np.uint8)
            for index, label in enumerate(labels)
        }
        pictures = Pictures((), 8, kept)
        pictures.labels = tuple(labels)
        pictures.__class__ = _Sized
        return pictures

    def trainer(self, group: Group = ALONE) -> Trainer:
        torch.manual_seed(0)
        config = ClassifierConfig(kind="timm", classes=("a", "b"), image_size=8, backbone="x")
        backbone = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3)
        )
        model = Classifier(config, backbone, nn.Linear(144, 2), (0.5,) * 3, (0.5,) * 3)
        self.best: dict[str, torch.Tensor] = {}

        def keep(classifier: Classifier) -> None:
            self.best = {name: each.clone() for name, each in classifier.state_dict().items()}

        def made(record: TrainStep) -> None:
            self.records.append(record)

        reporter = Reporter(self.records.append, made, self.warnings.append)
        return Trainer(
            model, self.pictures(21, 1), self.pictures(10, 2), self.settings, CPU,
            Checkpoints(self.folder), reporter, keep, group,
        )  # fmt: skip

    def losses(self) -> dict[int, float]:
        return {each.step: each.loss for each in self.records if isinstance(each, TrainStep)}


class _Sized(Pictures):
    def __len__(self) -> int:
        return len(self.labels)


def state_of(trainer: Trainer) -> list[torch.Tensor]:
    optimiser = trainer.optimiser.state_dict()["state"].values()
    moments = [value for each in optimiser for value in each.values()]
    return [*trainer.classifier.state_dict().values(), *moments, torch.get_rng_state()]


@pytest.mark.parametrize("at", [1, 4, 7])
def test_resumed_between_any_two_steps_is_the_same_bit_for_bit(tmp_path: Path, at: int) -> None:
    whole = Lab(tmp_path / "whole")
    uninterrupted = whole.trainer()
    uninterrupted.run()
    expected = state_of(uninterrupted)

    lab = Lab(tmp_path / "cut")
    first = lab.trainer()
    save = first._save

    def save_and_die() -> None:
        save()
        if first.place.step >= at:
            raise Killed

    first._save = save_and_die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        first.run()
    torch.manual_seed(12345)  # another process knows nothing of this one's chance
    again = lab.trainer()
    again.run()
    assert all(map(torch.equal, expected, state_of(again)))
    assert lab.losses() == whole.losses()
    assert again.place == uninterrupted.place


def test_out_of_memory_halves_the_batch_and_says_so(tmp_path: Path) -> None:
    lab = Lab(tmp_path, epochs=1, augmentation=Augmentation(noise=0.0))
    trainer = lab.trainer()
    forward = trainer.classifier.forward

    def hungry(images: torch.Tensor) -> torch.Tensor:
        if trainer.classifier.training and len(images) > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")
        return forward(images)

    trainer.classifier.forward = hungry  # type: ignore[method-assign]
    trainer.run()
    assert [warning.split(" images")[0] for warning in lab.warnings] == [
        "out of memory: 4",
        "out of memory: 2",
    ]
    assert all(map(math.isfinite, lab.losses().values()))
    assert list(lab.losses()) == [1, 2, 3]


def test_accumulated_gradients_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    batches = []
    for batch, accumulate in ((8, 1), (2, 4)):
        lab = Lab(tmp_path / str(batch), batch=batch, accumulate=accumulate)
        trainer = lab.trainer()
        trainer.classifier.eval()  # batch norm and dropout do depend on what comes together
        images, labels = torch.rand(8, 3, 8, 8), torch.arange(8) % 2
        torch.manual_seed(3)
        images = torch.rand(8, 3, 8, 8)
        trainer.optimiser.step = lambda: None  # type: ignore[method-assign]
        trainer._step((images, labels), len(labels))
        batches.append([each.grad.clone() for each in trainer.classifier.parameters()])
    assert all(map(lambda a, b: torch.allclose(a, b, atol=1e-6), *batches))


class Together:
    """Processes that train together, as threads of this one: a place where they wait for all."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.barrier = threading.Barrier(size)
        self.given: list[object] = [None] * size

    def gather(self, rank: int, value: object) -> list[object]:
        self.given[rank] = value
        self.barrier.wait()
        found = list(self.given)
        self.barrier.wait()
        return found


class Member:
    """One of them."""

    def __init__(self, together: Together, rank: int) -> None:
        self.together, self.rank, self.size = together, rank, together.size

    def sum(self, value: float) -> float:
        return sum(self.together.gather(self.rank, value))  # type: ignore[arg-type]

    def sum_gradients(self, weights: Iterable[torch.Tensor]) -> None:
        held = list(weights)
        mine = [torch.zeros_like(w) if w.grad is None else w.grad.clone() for w in held]
        all_of_them = self.together.gather(self.rank, mine)
        for weight, *parts in zip(held, *all_of_them, strict=True):
            weight.grad = torch.stack(parts).sum(dim=0)

    def told(self, decide: Callable[[], T]) -> T:
        return self.together.gather(self.rank, decide() if self.rank == 0 else None)[0]  # type: ignore[return-value]

    def follow(self, model: nn.Module) -> None: ...


def test_processes_together_learn_what_one_learns_alone(tmp_path: Path) -> None:
    def plain(lab: Lab, group: Group) -> Trainer:
        """Without what depends on which images come together."""
        trainer = lab.trainer(group)
        backbone = trainer.classifier.backbone
        backbone[1], backbone[4] = nn.Identity(), nn.Identity()
        return trainer

    alone = Lab(tmp_path / "alone")
    one = plain(alone, Alone())
    one.run()
    together = Together(3)
    labs = [Lab(tmp_path / "together") for _ in range(3)]
    trainers = [plain(lab, Member(together, rank)) for rank, lab in enumerate(labs)]
    with ThreadPoolExecutor(3) as threads:
        for each in [threads.submit(trainer.run) for trainer in trainers]:
            each.result()
    for weights in zip(*(each.classifier.parameters() for each in (one, *trainers)), strict=True):
        for other in weights[1:]:
            assert torch.allclose(weights[0], other, atol=1e-5)
    assert labs[0].losses() == pytest.approx(alone.losses(), rel=1e-4)
    assert [bool(lab.best) for lab in labs] == [True, False, False], "only the leader keeps"


def test_a_loss_that_is_no_number_is_named_and_loses_nothing(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    trainer = lab.trainer()
    good = {name: each.clone() for name, each in trainer.classifier.state_dict().items()}
    images = torch.full((8, 3, 8, 8), math.nan)
    with pytest.raises(
        Problem, match=r"the loss is nan at step 1: lower --learning-rate \(0\.01\)"
    ):
        trainer._step((images, torch.arange(8) % 2), 8)
    weights = {name for name, _ in trainer.classifier.named_parameters()}
    now = trainer.classifier.state_dict()
    assert all(torch.equal(good[name], now[name]) for name in weights)


def test_a_full_disk_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(tmp_path, epochs=1)
    lab.trainer().run()
    before = Checkpoints(tmp_path).load()
    assert before is not None

    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(checkpoints, "_write", full)
    with pytest.raises(OSError, match="No space"):
        Checkpoints(tmp_path).save(99, before[0], {})
    kept = Checkpoints(tmp_path).load()
    assert kept is not None
    assert kept[1]["place"] == before[1]["place"]
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000003"]


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    Lab(tmp_path, epochs=1).trainer().run()
    (tmp_path / "step-000000003" / "state.pt").write_bytes(b"no torch file")
    with pytest.raises(Problem, match=r"step-000000003: cannot be read.*remove it"):
        Checkpoints(tmp_path).load()


def test_a_pickle_in_a_checkpoint_runs_nothing(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "sprung",)

    Lab(tmp_path, epochs=1).trainer().run()
    state = tmp_path / "step-000000003" / "state.pt"
    torch.save({"version": 1, "place": Trap()}, state)
    with pytest.raises(Problem, match=r"step-000000003: cannot be read.*remove it"):
        Checkpoints(tmp_path).load()
    assert not (tmp_path / "sprung").exists()
    torch.save([1, 2], state)
    with pytest.raises(Problem, match=r"state\.pt: version = None"):
        Checkpoints(tmp_path).load()


def test_training_ends_when_nothing_gets_better(tmp_path: Path) -> None:
    lab = Lab(tmp_path, epochs=50, patience=2, learning_rate=1e-9)
    lab.trainer().run()
    assert lab.records[-1].why.startswith("no better since epoch")  # type: ignore[attr-defined]
    assert max(lab.losses()) < 50 * 3


def test_class_weights_balance_the_classes(tmp_path: Path) -> None:
    trainer = Lab(tmp_path, class_weights=True).trainer()
    assert trainer.weights is not None
    assert trainer.weights.tolist() == pytest.approx([21 / (2 * 11), 21 / (2 * 10)])


def test_the_order_is_a_permutation_of_its_epoch() -> None:
    assert sorted(order(50, 3, 1)) == list(range(50))
    assert order(50, 3, 1) == order(50, 3, 1) != order(50, 3, 2)
    assert [len(part) for part in parts_of(list(range(17)), 8)] == [8, 9]


def test_batches_from_a_step_on_are_those_of_the_whole_epoch(tmp_path: Path) -> None:
    pictures = Lab(tmp_path).pictures(21, 1)
    whole = list(training_batches(pictures, Augmentation(), 0, 1, 8))
    rest = list(training_batches(pictures, Augmentation(), 0, 1, 8, first=2))
    assert len(rest) == 1
    assert torch.equal(rest[0][0], whole[2][0])


def test_no_augmentation_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    still = Augmentation(flip=0.0, rotation=0.0, jitter=0.0, noise=0.0)
    planes = augmented(image, still, np.random.default_rng(0))
    assert np.array_equal(planes, image[..., ::-1].transpose(2, 0, 1).astype(np.float32) / 255)
    mirrored = Augmentation(flip=1.0, rotation=0.0, jitter=0.0, noise=0.0)
    assert np.array_equal(augmented(image, mirrored, np.random.default_rng(0)), planes[..., ::-1])


# Scores ---------------------------------------------------------------------------------------


def test_scores_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 200)
    answers = np.where(rng.random(200) < 0.7, truth, rng.integers(0, 3, 200))
    scores = classification_scores(0.0, "x", "test", "abc", truth, answers)
    report = sklearn.metrics.classification_report(truth, answers, output_dict=True)
    assert scores.accuracy.value == pytest.approx(report["accuracy"])
    for name, found in (("precision", scores.precision), ("recall", scores.recall),
                        ("f1-score", scores.f1)):  # fmt: skip
        assert found.value == pytest.approx(report["macro avg"][name])
        assert found.low <= found.value <= found.high
    assert [each.images for each in scores.classes] == [int((truth == k).sum()) for k in range(3)]
    assert sum(map(sum, scores.confusion)) == 200


def test_an_interval_holds_the_share_of_a_coin() -> None:
    truth = np.zeros(400, int)
    answers = np.arange(400) % 2
    accuracy = classification_scores(0.0, "x", "t", "ab", truth, answers).accuracy
    assert accuracy.value == 0.5
    assert accuracy.low == pytest.approx(0.451, abs=0.015)
    assert accuracy.high == pytest.approx(0.549, abs=0.015)


def test_answers_off_the_list_are_wrong_and_counted_apart() -> None:
    truth, answers = np.array([0, 0, 1, 1]), np.array([0, -1, 1, -1])
    scores = classification_scores(0.0, "prompt", "test", "ab", truth, answers)
    assert (scores.off_list, scores.accuracy.value) == (2, 0.5)
    assert scores.confusion == ((1, 0), (0, 1))
    assert [each.images for each in scores.classes] == [2, 2]
    assert [each.recall for each in scores.classes] == [0.5, 0.5]


def test_calibration_error_by_hand() -> None:
    confidences = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    correct = np.array([True, True, True, False, True, False])
    by_hand = 4 / 6 * abs(0.95 - 0.75) + 2 / 6 * abs(0.55 - 0.5)
    assert calibration_error(confidences, correct) == pytest.approx(by_hand)


# The program ----------------------------------------------------------------------------------


def a_run(home: Home, **changes: object) -> RunFolder:
    folder = RunFolder(home.runs / "0000000a")
    folder.path.mkdir(parents=True)
    folder.artifacts.mkdir(exist_ok=True)
    options = {
        "image_size": 16, "patch_size": 8, "epochs": 2, "batch": 16, "limit": 48, "threads": 1,
        "pretrained": False, "checkpoint_s": 0.0, **changes,
    }  # fmt: skip
    settings = TrainSettings(model="vit-tiny-3", dataset="digits", **options)  # type: ignore[arg-type]
    folder.write_spec(RunSpec(SPEC_VERSION, folder.id, 10, "digits", 1.7e9, settings))
    return folder


def work_on(folder: RunFolder, home: Home) -> None:
    with open_step(folder.path, TRAIN_STEP) as step:
        train(step, home)


def steps_in(folder: RunFolder) -> dict[int, float]:
    journal: JournalReader[Record] = JournalReader(folder.items, ItemLine)
    return {each.step: each.loss for each in journal.poll() if isinstance(each, TrainStep)}


@pytest.fixture
def deterministic() -> None:
    torch.set_num_threads(1)


def test_killed_as_a_process_and_resumed_equals_uninterrupted(
    tmp_path: Path, deterministic: None
) -> None:
    home, other = Home(tmp_path / "killed"), Home(tmp_path / "whole")
    folder = a_run(home)
    environment = {**os.environ, "EDGELAB_HOME": str(home.root), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "runners.train", str(folder.path)], env=environment
    )
    while len(steps_in(folder)) < 4 and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert 4 <= len(steps_in(folder)) < 6
    work_on(folder, home)

    whole = a_run(other)
    work_on(whole, other)
    assert steps_in(folder) == steps_in(whole)
    for file in ("best/model.safetensors", "checkpoints/step-000000006/model.safetensors"):
        assert (folder.artifacts / file).read_bytes() == (whole.artifacts / file).read_bytes()

    training = projection_of(folder).training
    assert training is not None
    assert training.started.resumed_at >= 3
    assert [epoch.epoch for epoch in training.epochs] == [1, 2]
    _is_published(folder, home)


def test_processes_of_the_launcher_learn_what_one_learns_alone(
    tmp_path: Path, deterministic: None
) -> None:
    """accelerate's own launcher, two processes, gradients over gloo; equal but for rounding."""
    home, other = Home(tmp_path / "together"), Home(tmp_path / "alone")
    changes = {"epochs": 2, "limit": 31, "device": "cpu", "export": False}
    folder = a_run(home, processes=2, **changes)
    environment = {**os.environ, "EDGELAB_HOME": str(home.root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "runners.train_together", str(folder.path)],
        env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    alone = a_run(other, **changes)
    work_on(alone, other)
    assert steps_in(folder) == pytest.approx(steps_in(alone), rel=1e-4)
    together = projection_of(folder)
    assert together.training is not None
    assert together.training.started.device == "2 x cpu"
    single = projection_of(alone).training
    assert single is not None
    for one, two in zip(together.training.epochs, single.epochs, strict=True):
        assert (one.epoch, one.best, one.metrics) == (two.epoch, two.best, two.metrics)
        assert one.val_loss == pytest.approx(two.val_loss, rel=1e-4)


def projection_of(folder: RunFolder) -> RunProjection:
    live = LiveRun(folder)
    live.advance()
    return live.projection


def _is_published(folder: RunFolder, home: Home) -> None:
    """The exported file says what torch says, and the catalogue knows it."""
    entry = Catalogue(home).model("vit-tiny-3-digits-10")
    assert entry is not None
    assert isinstance(entry.require(), ClassifierProfile)
    session = onnxruntime.InferenceSession(entry.path.parent / "model.onnx")
    images = np.random.default_rng(0).random((1, 3, 16, 16), np.float32)
    (logits,) = session.run(None, {"images": images})
    classifier = load_classifier(folder.artifacts / "best")
    with torch.no_grad():
        expected = classifier(torch.from_numpy(images)).numpy()
    assert np.allclose(logits, expected, atol=1e-5)
    names = session.get_modelmeta().custom_metadata_map
    assert (names["task"], names["imgsz"]) == ("classify", "[16, 16]")


def test_a_missing_library_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = a_run(Home(tmp_path))
    monkeypatch.setitem(sys.modules, "runners.learning.run", None)
    monkeypatch.setattr(sys, "argv", ["train", str(folder.path)])
    with pytest.raises(SystemExit) as ended:
        train_program.main()
    assert ended.value.code == FAILED_EXIT
    assert "is not installed: pip install 'edgelab[train]'" in capsys.readouterr().err


def test_a_full_disk_ends_the_run_by_name_and_what_was_learned_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deterministic: None
) -> None:
    home = Home(tmp_path)
    folder = a_run(home, epochs=1, export=False)
    write, times = checkpoints._write, []

    def fills(path: Path, data: bytes) -> None:
        times.append(path)
        if len(times) > 2:  # two files a checkpoint
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, data)

    monkeypatch.setattr(checkpoints, "_write", fills)
    with pytest.raises(SystemExit) as ended:
        work_on(folder, home)
    assert ended.value.code == DISK_FULL_EXIT
    monkeypatch.undo()
    failure = projection_of(folder).failure or ""
    assert "disk full: " in failure
    assert str(times[-1]) in failure
    work_on(folder, home)
    other = Home(tmp_path / "whole")
    whole = a_run(other, epochs=1, export=False)
    work_on(whole, other)
    assert steps_in(folder) == steps_in(whole)


def test_pretrained_weights_out_of_reach_are_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    home = Home(tmp_path)
    folder = a_run(home, pretrained=True, epochs=1, limit=20, tensorboard=True, export=False)
    work_on(folder, home)
    assert "vit-tiny-3 has no pretrained weights: it begins with random ones" in (
        projection_of(folder).warnings
    )
    assert list((folder.artifacts / "tensorboard").glob("events.out.tfevents.*"))
