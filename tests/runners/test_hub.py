"""Downloads by the real client from a hub on the loopback: whole, cut off, damaged, unknown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from edgelab.fitting import model_folder
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.records import Phase
from edgelab.settings.common import Precision
from tests.runners.asked_run import AskedRun
from tests.runners.colour_detector import write_coloured_cells
from tests.runners.hub_server import COMMIT, REPOSITORY, Hub, serve

constants = pytest.importorskip("huggingface_hub.constants")

from runners import hub as hub_module  # noqa: E402
from runners.asking.checkpoint import find_checkpoint  # noqa: E402
from runners.asking.prepared import read_questions  # noqa: E402
from runners.hub import HubFile, find_model, needed  # noqa: E402
from runners.smolvlm.layout import precisions_of  # noqa: E402

WEIGHTS = bytes(range(256)) * 4096  # 1 MiB


class _Disk(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    files = {
        "config.json": b'{"model_type": "idefics3"}', "tokenizer.json": b"{}",
        "model.safetensors": WEIGHTS, "pytorch_model.bin": WEIGHTS, "README.md": b"read me",
        "onnx/vision_encoder.onnx": WEIGHTS,
    }  # fmt: skip
    with serve(Hub(files, frozenset({"model.safetensors", "pytorch_model.bin"}))) as served:
        # The client reads its variables when it is imported.
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE",
            served.url + "/{repo_id}/resolve/{revision}/{filename}",
        )  # fmt: skip
        monkeypatch.setenv("HF_TOKEN", "")
        yield served


def asked_for(hub: Hub) -> list[str]:
    return [name for name, _ in hub.ranges]


def test_only_what_a_runner_needs_is_downloaded_checked_and_found_again(
    hub: Hub, home: Home
) -> None:
    told: list[tuple[int, int]] = []
    folder = find_model(REPOSITORY, None, home, lambda done, total: told.append((done, total)))
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert set(asked_for(hub)) == {"config.json", "tokenizer.json", "model.safetensors"}
    total = len(WEIGHTS) + len(hub.files["config.json"]) + len(hub.files["tokenizer.json"])
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)

    hub.ranges.clear()
    assert find_model(REPOSITORY, None, home) == find_model(REPOSITORY, COMMIT, home) == folder
    assert hub.ranges == []


def test_a_download_that_was_ended_goes_on_where_it_stood(hub: Hub, home: Home) -> None:
    part = home.hub / "lab--tiny" / COMMIT / "model.safetensors.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(WEIGHTS[:300_000])
    folder = find_model(REPOSITORY, COMMIT, home)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert ("model.safetensors", "bytes=300000-") in hub.ranges
    assert not part.exists()


def test_a_stop_in_the_middle_keeps_what_is_there(hub: Hub, home: Home) -> None:
    class Stopped(BaseException):
        pass

    def stop(done: int, _total: int) -> None:
        if done > 100_000:
            raise Stopped

    with pytest.raises(Stopped):
        find_model(REPOSITORY, None, home, stop)
    assert list(home.hub.rglob("*.part"))
    find_model(REPOSITORY, None, home)
    assert not list(home.hub.rglob("*.part"))


def test_a_damaged_file_is_refused_and_removed(hub: Hub, home: Home) -> None:
    hub.damaged = frozenset({"model.safetensors"})
    with pytest.raises(Problem, match=r"lab/tiny: model\.safetensors is not what the hub says"):
        find_model(REPOSITORY, None, home)
    hub.damaged = frozenset()
    assert (find_model(REPOSITORY, None, home) / "model.safetensors").read_bytes() == WEIGHTS


def test_a_damaged_small_file_is_refused_too(hub: Hub, home: Home) -> None:
    hub.damaged = frozenset({"config.json"})
    with pytest.raises(Problem, match=r"config\.json is not what the hub says"):
        find_model(REPOSITORY, None, home)


def test_what_the_hub_does_not_know_is_named(hub: Hub, home: Home) -> None:
    with pytest.raises(Problem, match="lab/none: the hub does not know it"):
        find_model("lab/none", None, home)
    with pytest.raises(Problem, match="lab/tiny: no revision 'v9' of it"):
        find_model(REPOSITORY, "v9", home)


def test_without_a_network_one_line_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, home: Home, tmp_path: Path
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(Problem) as problem:
        find_model(REPOSITORY, None, home)
    text = str(problem.value)
    assert text.startswith("lab/tiny: not on this board, and the hub cannot be reached")
    assert "hf download lab/tiny --local-dir FOLDER" in text
    assert "\n" not in text


def test_a_disk_without_room_is_told_before_the_download(
    hub: Hub, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module.shutil, "disk_usage", lambda _: _Disk(1, 1, 1_000_000))
    with pytest.raises(Problem, match=r"1.0 MB to download, 1.0 MB free"):
        find_model(REPOSITORY, None, home)
    assert hub.ranges == []


def test_what_the_hubs_own_program_left_is_used(hub: Hub, home: Home, tmp_path: Path) -> None:
    cached = tmp_path / "cache" / "models--lab--tiny"
    folder = cached / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT)
    (folder / "config.json").write_bytes(hub.files["config.json"])
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    assert find_model(REPOSITORY, None, home) == folder
    assert hub.ranges == []


ONNX_Q4 = [
    f"onnx/{part}_q4.onnx" for part in ("vision_encoder", "embed_tokens", "decoder_model_merged")
]


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (["a.bin", "pytorch_model.bin", "model.safetensors"], ["model.safetensors"]),
        (["pytorch_model-1.bin", "pytorch_model-2.bin"],
         ["pytorch_model-1.bin", "pytorch_model-2.bin"]),
        ([*ONNX_Q4, "onnx/other.onnx", "onnx/embed_tokens.onnx"], ONNX_Q4),
        (ONNX_Q4[:2], []),
        (["original/model.safetensors", "pytorch_model.bin"], ["pytorch_model.bin"]),
        (["config.json", "run.py", "vocab.txt"], ["config.json", "vocab.txt"]),
    ],
)  # fmt: skip
def test_weights_are_taken_in_one_layout(there: list[str], taken: list[str]) -> None:
    assert [f.name for f in needed(HubFile(name, 1, None, None) for name in there)] == taken


def test_of_onnx_files_only_those_of_the_precisions_asked_for_are_downloaded(
    hub: Hub, home: Home
) -> None:
    int8 = [name.replace("_q4", "_int8") for name in ONNX_Q4]
    data = [f"{ONNX_Q4[2]}_data", f"{int8[2]}_data"]
    hub.files = {
        "config.json": hub.files["config.json"],
        **dict.fromkeys((*ONNX_Q4, *int8, *data), WEIGHTS),
        "onnx/vision_encoder_bnb4.onnx": WEIGHTS,
    }
    folder = find_model(REPOSITORY, None, home, precisions=("q4", "nf4"))
    assert set(asked_for(hub)) == {"config.json", *ONNX_Q4, data[0]}
    hub.ranges.clear()
    assert find_model(REPOSITORY, None, home, precisions=("q4",)) == folder
    assert hub.ranges == []
    assert find_model(REPOSITORY, None, home, precisions=("q4", "int8")) == folder
    assert set(asked_for(hub)) == {*int8, data[1]}
    assert precisions_of(folder) == ("int8", "q4")


def test_the_onnx_files_of_a_repository_that_has_others_lie_apart(
    hub: Hub, home: Home, tmp_path: Path
) -> None:
    with pytest.raises(Problem, match="lab/tiny: no ONNX files in it that a runner knows"):
        find_model(REPOSITORY, None, home, onnx=True)
    hub.files |= dict.fromkeys(ONNX_Q4, WEIGHTS)
    profile = home.profiles / "hub" / "tiny-onnx.toml"
    profile.parent.mkdir(parents=True)
    profile.write_text(
        f'schema_version = 1\ntitle = "t"\nrepository = "{REPOSITORY}"\nonnx = true\n'
    )
    found = find_checkpoint("tiny-onnx", None, home, precisions=[Precision.Q4])
    assert found.engine == "onnx"
    assert {*asked_for(hub)} == {"config.json", "tokenizer.json", *ONNX_Q4}
    assert model_folder("tiny-onnx", None, home) == found.folder
    plain = find_checkpoint(REPOSITORY, None, home)
    assert plain.engine == "torch"
    assert plain.folder != found.folder
    assert model_folder(REPOSITORY, None, home) == plain.folder


def test_a_run_downloads_its_model_as_a_phase_with_progress(
    hub: Hub, home: Home, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    run = AskedRun.new(home, model=REPOSITORY, dataset=str(write_coloured_cells(tmp_path)))
    run.prepare()
    phases = run.events(Phase)
    assert [phase.name for phase in phases[:2]] == ["find the model", "download the model"]
    assert (phases[1].total, phases[1].unit) == (2, "MB")
    folder = Path(read_questions(run.folder).folder)
    assert folder.is_relative_to(home.hub)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
