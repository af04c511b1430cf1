"""Detectors by name and by path: what is opened, and what is said where nothing can be."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

from edgelab.catalogue import Catalogue, DetectorProfile, Weights
from edgelab.cli import run
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.weights import model_file
from runners.detector_file import open_detector
from runners.model_folder import ModelFolder
from tests.runners.colour_detector import build_detector
from tests.runners.file_server import Server, serving

COCO = ["yolov8n", "yolov8s", "yolov8m", "yolo11n", "yolo11s", "yolo11m"]
SSDLITE = "ssdlite320-mobilenetv3"


class Heard:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.warnings: list[str] = []

    def phase(self, name: str, total: int | None = None, unit: str = "images") -> None:
        self.phases.append(name)

    def progress(self, done: int) -> None:
        pass

    def warning(self, text: str) -> None:
        self.warnings.append(text)


def write_profile(home: Home, name: str, **keys: object) -> ModelFolder:
    folder = ModelFolder(home.profiles / "models" / name)
    folder._write(DetectorProfile(schema_version=1, title="t", **keys))  # type: ignore[arg-type]
    return folder


def test_by_name_and_by_path(home: Home, tmp_path: Path) -> None:
    folder = write_profile(home, "mine", family="yolo", file="m.onnx", iou=0.4)
    build_detector(folder.path / "m.onnx")
    named = open_detector(Heard(), home, "mine", None)
    assert named.profile is not None
    assert named.profile.iou == 0.4
    assert (named.file.name, named.file.path) == ("mine", folder.path / "m.onnx")
    by_path = open_detector(Heard(), home, str(folder.path / "m.onnx"), None)
    assert (by_path.file.name, by_path.profile) == ("m", None)


def test_what_is_no_detector(home: Home) -> None:
    with pytest.raises(Problem, match=r"net.tflite: neither a model of the catalogue nor"):
        open_detector(Heard(), home, "/some/net.tflite", None)
    folder = write_profile(home, "mine", family="ssdlite", file="m.onnx")
    build_detector(folder.path / "m.onnx")
    with pytest.raises(Problem, match="family 'yolo', but the profile of mine says"):
        open_detector(Heard(), home, "mine", None)


def test_an_onnx_of_the_name_comes_first_and_needs_no_export(home: Home) -> None:
    entry = Catalogue(home).model("yolov8n")
    assert entry is not None
    assert model_file(entry, home) is None
    home.models.mkdir(parents=True)
    (home.models / "yolov8n.pt").touch()
    assert model_file(entry, home) == home.models / "yolov8n.pt"
    build_detector(home.models / "yolov8n.onnx")
    assert model_file(entry, home) == home.models / "yolov8n.onnx"
    heard = Heard()
    assert open_detector(heard, home, "yolov8n", None).file.classes == 3
    assert (heard.phases, heard.warnings) == (["read the model"], [])


def test_weights_that_are_not_those_meant_are_told(home: Home) -> None:
    weights = Weights(file="m.onnx", url="http://127.0.0.1:9/m.onnx", sha256="0" * 8)
    write_profile(home, "mine", family="yolo", weights=weights)
    home.models.mkdir(parents=True)
    build_detector(home.models / "m.onnx")
    heard = Heard()
    open_detector(heard, home, "mine", None)
    assert "m.onnx: its sha256 is not that of http://127.0.0.1:9/m.onnx" in heard.warnings[0]


def test_what_to_do_without_weights_and_without_a_network(home: Home) -> None:
    weights = Weights(file="mine.pt", url="http://127.0.0.1:9/mine.pt", sha256="0" * 64)
    write_profile(home, "mine", family="yolo", weights=weights)
    with pytest.raises(Problem) as caught:
        open_detector(Heard(), home, "mine", None)
    said = str(caught.value)
    assert said.startswith(f"mine: put mine.pt into {home.models}: it is not there, and http://")
    assert "\n" not in said


def test_weights_that_are_not_here_are_fetched_once(home: Home, tmp_path: Path) -> None:
    content = build_detector(tmp_path / "m.onnx").read_bytes()
    with serving(Server(content, cut_after=len(content) // 2 + 1)) as server:
        digest = hashlib.sha256(content).hexdigest()
        weights = Weights(file="m.onnx", url=server.url, sha256=digest)
        write_profile(home, "mine", family="yolo", weights=weights)
        heard = Heard()
        first = open_detector(heard, home, "mine", None)
        again = open_detector(heard, home, "mine", None)
    assert first.file.sha256 == again.file.sha256 == digest
    assert first.file.path == home.models / "m.onnx"
    assert heard.phases == ["read the model", "download m.onnx", "read the model"]
    assert len(server.asked) == 2, "cut once, gone on with, and then it was there"


def test_without_torch_an_export_says_what_would_do(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "runners.exporting.ssdlite", raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    home.models.mkdir(parents=True)
    (home.models / "ssdlite320_mobilenet_v3_large_coco-a79551df.pth").touch()
    with pytest.raises(Problem, match=r"made on another machine .*pip install 'edgelab\[train\]'"):
        open_detector(Heard(), home, SSDLITE, None)


@pytest.mark.parametrize("name", [*COCO, SSDLITE])
def test_models_of_coco_are_known_by_name(home: Home, name: str) -> None:
    entry = Catalogue(home).model(name)
    assert entry is not None
    profile = entry.require()
    assert isinstance(profile, DetectorProfile)
    assert profile.weights is not None
    assert profile.dataset == "coco10"
    assert profile.license == ("BSD-3-Clause" if name == SSDLITE else "AGPL-3.0-or-later")


def test_the_list_says_which_weights_are_not_here(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.models.mkdir(parents=True)
    build_detector(home.models / "yolov8n.onnx")
    assert run(["models", "--json"]) == 0
    models = {model["name"]: model for model in json.loads(capsys.readouterr().out)}
    assert models["yolov8n"]["file"] == str(home.models / "yolov8n.onnx")
    assert models["yolov8n"]["weights"] is None
    assert models[SSDLITE]["weights"] == "weights not here yet"
    assert models[SSDLITE]["problem"] is None
