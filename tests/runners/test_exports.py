"""Weights of torch become files that are run without it: found, exported once, loaded safely."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.records import Phase
from runners.detector_file import open_detector
from runners.exported import export
from runners.model_file import read_model
from runners.session import open_session, session_options
from runners.step import RunningStep
from tests.runners.conftest import NewRun, RunnerRun

os.environ.update(
    YOLO_OFFLINE="1", YOLO_AUTOINSTALL="0", ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS="1",
    ULTRALYTICS_SAFE_LOAD="1",
)  # fmt: skip
torch = pytest.importorskip("torch")
ultralytics = pytest.importorskip("ultralytics")

SSDLITE = "ssdlite320-mobilenetv3"


@pytest.fixture
def run(new_run: NewRun) -> RunnerRun:
    return new_run(model="m", dataset="d")


@pytest.fixture
def step(run: RunnerRun) -> RunningStep:
    return RunningStep(run.folder, "prepare")


def save_yolo(path: Path, architecture: str = "yolov8n.yaml") -> Path:
    torch.manual_seed(0)
    model = ultralytics.YOLO(architecture, task="detect")
    model.ckpt = {}
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return path


def save_ssdlite(path: Path, classes: int = 91, **wrapped: Any) -> Path:
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    torch.manual_seed(0)
    network = ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=classes
    )
    state = network.state_dict()
    torch.save({"model": state, **wrapped} if wrapped else state, path)
    return path


def test_a_checkpoint_of_coco_is_found_by_the_model_s_name(
    home: Home, run: RunnerRun, step: RunningStep
) -> None:
    save_yolo(home.models / "yolo11n.pt", "yolo11n.yaml")
    found = open_detector(step, home, "yolo11n", 64)
    assert found.profile is not None
    assert (found.file.classes, found.file.input_size) == (80, (64, 64))
    assert found.file.metadata.class_names is not None
    again = open_detector(step, home, "yolo11n", 64)
    assert again.file.sha256 == found.file.sha256
    names = [event.name for event in run.events(Phase)]  # type: ignore[attr-defined]
    assert names.count("export yolo11n.pt") == 1
    step.close()


def test_ssdlite_of_coco_knows_its_classes(home: Home, step: RunningStep) -> None:
    home.models.mkdir(parents=True)
    save_ssdlite(home.models / "ssdlite320_mobilenet_v3_large_coco-a79551df.pth")
    found = open_detector(step, home, SSDLITE, None)
    assert found.file.family.name == "ssdlite"
    assert found.file.classes == 90
    assert (found.file.metadata.class_names or ())[:2] == ("person", "bicycle")
    step.close()


class TestCustomSsdlite:
    def test_names_lie_beside_the_state_dict(self, tmp_path: Path) -> None:
        from runners.exporting import ssdlite

        weights = save_ssdlite(tmp_path / "m.pth", 3, names=["cup", "fork"])
        state, names = ssdlite.read_state(weights)
        assert names == ["cup", "fork"]
        network = ssdlite.build(state, weights)
        assert network.head.classification_head.num_columns == 3

    def test_safetensors_and_the_whole_tail_of_a_pretrained_backbone(
        self, home: Home, tmp_path: Path, step: RunningStep
    ) -> None:
        from safetensors.torch import save_file

        from runners.exporting import ssdlite

        network = ssdlite._with_full_tail(
            ssdlite.ssdlite320_mobilenet_v3_large(
                weights=None, weights_backbone=None, num_classes=3
            ),
            3,
        )
        weights = tmp_path / "mine.safetensors"
        save_file(network.state_dict(), weights, {"names": json.dumps(["cup", "fork"])})
        target = export(weights, None, home.converted, list)
        model = read_model(target, "m", None)
        assert model.metadata.class_names == ("cup", "fork")

        tensor = np.random.default_rng(0).uniform(-1, 1, (1, 3, 320, 320)).astype(np.float32)
        heads = open_session(target, session_options(1)).run(None, {"images": tensor})
        with torch.no_grad():
            theirs = ssdlite.RawHeads(network.eval())(torch.from_numpy(tensor))
        for mine, other in zip(heads, theirs, strict=True):
            np.testing.assert_allclose(mine, other, atol=1e-4)

    def test_another_network_is_refused(
        self, home: Home, tmp_path: Path, step: RunningStep
    ) -> None:
        torch.save({"weight": torch.zeros(3)}, tmp_path / "w.pth")
        with pytest.raises(Problem, match="no state dict of torchvision's ssdlite320"):
            export(tmp_path / "w.pth", None, home.converted, list)
        assert not list(home.converted.glob("*.onnx"))


class Evil:
    """What a pickle can ask for."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.witness,)


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
@pytest.mark.parametrize("plain", [False, True])
def test_nothing_in_a_file_is_executed(
    home: Home, tmp_path: Path, step: RunningStep, suffix: str, plain: bool
) -> None:
    weights, witness = tmp_path / f"w{suffix}", tmp_path / "executed"
    if plain:
        weights.write_bytes(pickle.dumps({"model": Evil(witness)}))
    else:
        torch.save({"model": Evil(witness)}, weights)
    with pytest.raises(Problem, match=r"w\.pth?: no .* that can be loaded safely"):
        export(weights, None, home.converted, list)
    assert not witness.exists()
