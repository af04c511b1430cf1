"""Torch's own .bin files, read by their directory: what they hold, where, and nothing that runs."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from edgelab.checkpoint import stored_tensors  # noqa: E402
from edgelab.problem import Problem  # noqa: E402
from edgelab.settings.common import Precision  # noqa: E402
from edgelab.vlm_weights import read_weights  # noqa: E402
from runners.smolvlm.export import export  # noqa: E402
from runners.smolvlm.layout import find_layout  # noqa: E402
from tests.runners import tiny_vlms as tiny  # noqa: E402
from tests.runners.tiny_smolvlm import build_smolvlm  # noqa: E402

FILE = "pytorch_model.bin"
DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8"}


def test_names_shapes_formats_and_places(tmp_path: Path) -> None:
    table = torch.arange(24, dtype=torch.float32).reshape(6, 4)
    tensors = {
        "whole": table, "shared": table, "rows": table[2:4], "one": torch.tensor(3.0),
        "half": table.half(), "brain": table.bfloat16(), "ids": torch.arange(3),
        "parameter": torch.nn.Parameter(table + 1), "turned": table.T,
    }  # fmt: skip
    torch.save(tensors, tmp_path / FILE)
    stored = stored_tensors(tmp_path)
    assert set(stored) == set(tensors)
    assert stored["turned"].offset is None
    assert stored["shared"].offset == stored["whole"].offset
    raw = (tmp_path / FILE).read_bytes()
    for name, tensor in tensors.items():
        found = stored[name]
        assert found.shape == tuple(tensor.shape)
        assert found.size == tensor.nelement() * tensor.element_size()
        if found.offset is not None:
            there = raw[found.offset : found.offset + found.size]
            as_numbers = tensor.detach().view(torch.int16) if found.dtype == "BF16" else tensor
            wanted = as_numbers.detach().contiguous().numpy().tobytes()
            assert there == wanted, name
            assert found.dtype in DTYPES


def test_a_forecast_needs_no_safetensors(tmp_path: Path) -> None:
    both = [tiny.build_mobilevlm(tmp_path / str(binary), binary=binary) for binary in (True, False)]
    one, other = (read_weights(each) for each in both)
    for precision in (Precision.FP32, Precision.BF16, Precision.INT8, Precision.NF4):
        assert one.resident_bytes(precision) == other.resident_bytes(precision)
    assert one.stored_bytes == other.stored_bytes


def test_a_bin_checkpoint_is_exported_as_its_safetensors_twin(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder = build_smolvlm(tmp_path / "checkpoint")
    twin = tmp_path / "twin"
    shutil.copytree(folder, twin)
    torch.save(load_file(folder / "model.safetensors"), twin / FILE)
    (twin / "model.safetensors").unlink()
    for each in (folder, twin):
        export(each, each / "made", "fp32")
    one, other = (find_layout(each / "made", "fp32").files for each in (folder, twin))
    assert [each.read_bytes() for each in one] == [each.read_bytes() for each in other]


class Hostile:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return print, ("this must not run",)


def test_code_is_refused_and_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a": Hostile()}, tmp_path / FILE)
    with pytest.raises(Problem, match=r"refused, it is more than tensors \(__builtin__\.print\)"):
        stored_tensors(tmp_path)
    assert capsys.readouterr().out == ""


def test_an_older_file_and_one_that_is_none(tmp_path: Path) -> None:
    for content in (b"", b"no zip file"):
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(Problem, match=r"older than torch 1\.6"):
            stored_tensors(tmp_path)
    torch.save({"a": torch.ones(2)}, tmp_path / FILE, _use_new_zipfile_serialization=False)
    with pytest.raises(Problem, match=r"older than torch 1\.6"):
        stored_tensors(tmp_path)
    torch.save([torch.ones(2)], tmp_path / FILE)
    with pytest.raises(Problem, match="holds no tensors by name"):
        stored_tensors(tmp_path)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_is_named_and_breaks_nothing(tmp_path: Path, data: st.DataObject) -> None:
    """Bytes of the pickle changed: either it tells tensors all the same, or a Problem names it."""
    whole = tmp_path / "whole.bin"
    if not whole.exists():
        torch.save({"a": torch.ones(2, 3), "b": torch.zeros(4).half()}, whole)
    with zipfile.ZipFile(whole) as archive:
        entries = {each: archive.read(each) for each in archive.namelist()}
    pickled = next(name for name in entries if name.endswith("data.pkl"))
    content = bytearray(entries[pickled])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    folder = tmp_path / "damaged"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / FILE, "w", zipfile.ZIP_STORED) as archive:
        for name, each in entries.items():
            archive.writestr(name, bytes(content) if name == pickled else each)
    told = ""
    try:
        found = stored_tensors(folder)
    except Problem as problem:
        told, found = str(problem), {}
    assert not told or (FILE in told and "\n" not in told)
    size = (folder / FILE).stat().st_size
    for each in found.values():
        assert each.offset is None or each.offset + each.size <= size
