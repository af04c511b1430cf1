from __future__ import annotations

import errno
import math
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.energy import config
from edgelab.energy.config import CommandConfig, PowerConfig, PowerSettings, TasmotaConfig
from edgelab.energy.editing import (
    KINDS,
    change_file,
    has_password,
    in_order,
    source_from,
    text_fields,
    texts_of,
    with_baseline,
    with_source,
    without_source,
)
from edgelab.energy.secret import Secret
from edgelab.problem import Problem
from edgelab.schema import SchemaProblem
from tests.edgelab.energy.test_config import WHOLE

DESK = TasmotaConfig(name="desk", host="a")
SHELF = TasmotaConfig(name="shelf", host="b")
NEEDED = {"host": "a", "command": "watts --once", "model.idle_watts": "2"}


def settings(*sources: config.AnySourceConfig, use: tuple[str, ...] = ()) -> PowerSettings:
    return PowerSettings(PowerConfig(source=sources, use=use), (Secret("hunter2"),))


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_kind_needs_is_enough_for_a_source(kind: str) -> None:
    needed = {f.name: NEEDED[f.name] for f in text_fields(kind) if f.required}
    source = source_from(kind, needed)
    assert source.kind == kind
    assert source_from(kind, texts_of(source)) == source, "as typed again"
    defaults = {f.name: f.default for f in text_fields(kind) if not f.required}
    assert source_from(kind, needed | defaults) == source, "the defaults shown are those meant"


def test_the_name_comes_first_and_what_any_source_has_comes_last() -> None:
    names = [field.name for field in text_fields("tasmota")]
    assert names[:2] == ["name", "host"]
    assert set(names[-4:]) == {"scope", "accuracy", "period_s", "timeout_s"}
    assert [kind for kind in KINDS if has_password(kind)] == [
        "shelly-gen2",
        "shelly-gen1",
        "tasmota",
    ]


def test_choices_are_those_of_the_schema() -> None:
    fields = {field.name: field for field in text_fields("command")}
    assert fields["method"].choices == ("estimated", "measured")
    assert fields["scope"].choices[:3] == ("", "battery", "board input")
    assert (fields["method"].default, fields["scope"].default) == ("measured", "")


def test_a_source_of_all_keys_comes_through_as_text(tmp_path: Path) -> None:
    path = tmp_path / "power.toml"
    path.write_text(WHOLE)
    for source in config.load(path).config.source:
        assert source_from(source.kind, texts_of(source)) == source


def test_a_command_is_split_as_a_shell_would() -> None:
    source = source_from("command", {"command": "'/opt/my meter' --unit 'W'"})
    assert isinstance(source, CommandConfig)
    assert source.command == ("/opt/my meter", "--unit", "W")


@pytest.mark.parametrize(
    ("kind", "texts", "said"),
    [
        ("tasmota", {}, "host: must be given"),
        ("tasmota", {"host": "a", "port": "many"}, "port = 'many'"),
        ("tasmota", {"host": "a", "port": "0"}, "port = 0"),
        ("tasmota", {"host": "a", "period_s": "0.01"}, "period_s = 0.01"),
        ("tasmota", {"host": "a", "period_s": "nan"}, "period_s = 'nan'"),
        ("tasmota", {"host": "a", "scope": "moon"}, "scope = 'moon'"),
        ("tasmota", {"host": "a", "name": "[x]"}, "name = '[x]'"),
        ("command", {"command": "'x"}, "command: a quotation mark"),
        ("command", {"command": "x", "accuracy": "2"}, "accuracy = 2"),
        ("estimate", {"model.idle_watts": "inf"}, "model.idle_watts = 'inf'"),
        ("estimate", {"model.idle_watts": "-1"}, "model.idle_watts = -1"),
        ("estimate", {"model.idle_watts": "1", "model.policies": "policy0"}, "model.policies"),
    ],
)
def test_what_cannot_be_is_told_by_its_key(kind: str, texts: dict[str, str], said: str) -> None:
    with pytest.raises(SchemaProblem) as caught:
        source_from(kind, texts)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.sampled_from(KINDS), st.data())
def test_any_text_is_a_source_that_can_be_saved_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    texts = {f.name: data.draw(st.text(max_size=8) | st.just(f.default)) for f in text_fields(kind)}
    try:
        source = source_from(kind, texts)
        changed = with_source(PowerSettings(), None, source, None)
    except Problem:
        return
    path = tmp_path_factory.mktemp("home") / "power.toml"
    config.save(path, changed)
    assert config.load(path).config == changed.config


def test_a_new_source_joins_the_order_where_there_is_one() -> None:
    assert with_source(settings(DESK), None, SHELF, None).config.use == ()
    added = with_source(settings(DESK, use=("desk",)), None, SHELF, Secret("x"))
    assert added.config.source == (DESK, SHELF)
    assert added.config.use == ("desk", "shelf")
    assert [p.reveal() for p in added.passwords if p] == ["hunter2", "x"]


def test_a_changed_source_keeps_its_place() -> None:
    before = settings(DESK, SHELF, use=("shelf", "desk"))
    renamed = TasmotaConfig(name="bench", host="a")
    after = with_source(before, 0, renamed, before.password_of(0))
    assert after.config.source == (renamed, SHELF)
    assert after.config.use == ("shelf", "bench")
    assert after.password_of(0) is before.password_of(0)


def test_passwords_stay_with_their_sources() -> None:
    before = PowerSettings(PowerConfig(source=(DESK, SHELF), use=("desk",)), (None, Secret("s")))
    after = without_source(before, 0)
    assert after.config.source == (SHELF,)
    assert after.config.use == ()
    password = after.password_of(0)
    assert password is not None
    assert password.reveal() == "s"


@pytest.mark.parametrize(
    ("source", "password", "said"),
    [
        (TasmotaConfig(name="desk", host="b"), None, "two sources are called desk"),
        (TasmotaConfig(host="http://a"), None, "source[1].host"),
        (CommandConfig(command=("x",)), Secret("hunter2"), "source[1].password"),
    ],
)
def test_what_the_file_would_not_take_is_not_taken(
    source: config.AnySourceConfig, password: Secret | None, said: str
) -> None:
    with pytest.raises(SchemaProblem) as caught:
        with_source(settings(DESK), None, source, password)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_order_and_baseline() -> None:
    assert in_order(settings(DESK), ("b", "a", "b")).config.use == ("b", "a")
    assert with_baseline(settings(DESK), " 20 ").config.idle_baseline_s == 20
    for typed in ("-1", "601", "long", "", str(math.nan)):
        with pytest.raises(SchemaProblem, match="idle_baseline_s"):
            with_baseline(settings(DESK), typed)


def test_the_file_is_changed_where_it_is_as_it_was_seen(tmp_path: Path) -> None:
    path = tmp_path / "power.toml"
    change = partial(with_source, table=None, source=DESK, password=Secret("hunter2"))
    written = change_file(path, PowerConfig(), change)
    assert written.config.source == (DESK,)
    assert path.stat().st_mode & 0o777 == 0o600
    again = change_file(path, written.config, partial(with_baseline, typed="5"))
    password = again.password_of(0)
    assert password is not None
    assert password.reveal() == "hunter2", "kept through a change of something else"


@pytest.mark.parametrize("text", ["broken =", "idle_baseline_s = 3"])
def test_a_broken_or_changed_file_is_not_written_over(tmp_path: Path, text: str) -> None:
    path = tmp_path / "power.toml"
    path.write_text(text)
    with pytest.raises(Problem, match=r"power\.toml"):
        change_file(path, PowerConfig(), partial(with_baseline, typed="5"))
    assert path.read_text() == text


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(config, "replace_file", full)
    with pytest.raises(Problem, match=r"power\.toml: cannot be written \(No space left"):
        change_file(tmp_path / "power.toml", PowerConfig(), partial(with_baseline, typed="5"))
