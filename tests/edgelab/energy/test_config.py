from __future__ import annotations

import pickle
from pathlib import Path

import msgspec
import pytest

from edgelab.energy import config
from edgelab.energy.commands import Command
from edgelab.energy.config import PowerSettings, TasmotaConfig
from edgelab.energy.discovery import Absent, Origin, discover
from edgelab.energy.estimate import PowerModel
from edgelab.energy.secret import Secret
from edgelab.schema import SchemaProblem
from tests.edgelab.energy import boards

WHOLE = """
schema_version = 1
idle_baseline_s = 20
use = ["desk", "ina226"]

[[source]]
kind = "shelly-gen2"
name = "desk"
host = "192.168.1.7"
password = "hunter2"
timeout_s = 1.5
period_s = 2

[[source]]
kind = "hwmon"
chip = "ina226"
accuracy = 0.005

[[source]]
kind = "command"
command = ["/usr/local/bin/watts", "--once"]
method = "estimated"
scope = "wall"

[[source]]
kind = "estimate"
model = { idle_watts = 1.8, span_watts = 2.5, policies = { policy0 = 1.0 } }
"""


def file(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    path = tmp_path / config.FILE_NAME
    path.write_text(text)
    path.chmod(mode)
    return path


def test_without_a_file_there_are_defaults(tmp_path: Path) -> None:
    assert config.load(tmp_path / "power.toml") == PowerSettings()
    assert config.load(tmp_path / "power.toml").password_of(3) is None


def test_a_whole_file(tmp_path: Path) -> None:
    settings = config.load(file(tmp_path, WHOLE))
    desk, chip, program, model = settings.config.source
    assert isinstance(desk, config.ShellyGen2Config)
    assert (desk.label, desk.kind, desk.host, desk.timeout_s) == (
        "desk",
        "shelly-gen2",
        "192.168.1.7",
        1.5,
    )
    assert (chip.label, program.label, model.label) == ("ina226", "command", "estimate")
    password = settings.password_of(0)
    assert password is not None
    assert password.reveal() == "hunter2"
    assert settings.warnings == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("idle_baseline_s = -1", ["idle_baseline_s = -1", ">= 0"]),
        ("idle = 1", ["unknown field `idle`"]),
        ("schema_version = 2", ["schema_version = 2", "<= 1"]),
        ('[[source]]\nkind = "volcano"', ["source[0].kind = 'volcano'"]),
        ('[[source]]\nhost = "x"', ["missing required field `kind`"]),
        ('[[source]]\nkind = "tasmota"', ["missing required field `host`"]),
        ('[[source]]\nkind = "rapl"\nscope = "moon"', ["source[0].scope = 'moon'"]),
        ('[[source]]\nkind = "rapl"\naccuracy = 2', ["source[0].accuracy = 2", "<= 1"]),
        ('[[source]]\nkind = "command"\ncommand = []', ["source[0].command = []", ">= 1"]),
        ('[[source]]\nkind = "command"\ncommand = "w"', ["source[0].command = 'w'", "array"]),
        (
            '[[source]]\nkind = "tasmota"\nhost = "a"\nperiod_s = 0.01',
            ["source[0].period_s = 0.01", ">= 0.2"],
        ),
        (
            '[[source]]\nkind = "tasmota"\nhost = "a"\n[[source]]\nkind = "tasmota"\nhost = "b"',
            ["two sources are called tasmota", "own name"],
        ),
        ("source = 3", ["source = 3", "array"]),
        ("a = ", ["not valid TOML (end of document)"]),
        ("\n[source]]", ["not valid TOML (line 2, column 9)"]),
    ],
)
def test_a_broken_file_is_told_by_key_value_and_remedy(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    path = file(tmp_path, text)
    with pytest.raises(SchemaProblem) as caught:
        config.load(path)
    for word in (str(path), *words):
        assert word in str(caught.value)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "power.toml"
    path.write_bytes(b'\xff\xfe = "x"')
    with pytest.raises(SchemaProblem, match="not valid TOML"):
        config.load(path)
    with pytest.raises(SchemaProblem, match="cannot be read"):
        config.load(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        '[[source]]\nkind = "tasmota"\nhost = "a"\npassword = "hunter2"\nbad = 1',
        '[[source]]\nkind = "tasmota"\npassword = "hunter2"',
        '[[source]]\nkind = "hwmon"\npassword = "hunter2"',
        '[[source]]\nkind = "tasmota"\nhost = "a"\npassword = ["hunter2"]',
        '[[source]]\nkind = "tasmota"\nhost = "a"\npassword = { x = "hunter2" }',
        '[[source]]\nkind = "tasmota"\nhost = "a"\npassword = "hunter2',
        '[[source]]\nkind = "tasmota"\nhost = "a"\npassword = hunter2',
        '[[source]]\nkind = "tasmota"\nhost = "a"\npassword = "hunter2"\npassword = "hunter2"',
        '[[source]]\nkind = "tasmota"\nhost = "admin:hunter2@10.0.0.7"',
        '[[source]]\nkind = "tasmota"\nhost = "http://10.0.0.7/cm?password=hunter2"',
        '[[source]]\nkind = "volcano"\npassword = "hunter2"',
    ],
)
def test_no_message_quotes_a_password(tmp_path: Path, text: str) -> None:
    with pytest.raises(SchemaProblem) as caught:
        config.load(file(tmp_path, text))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_neither_settings_nor_sources_show_a_password(tmp_path: Path) -> None:
    settings = config.load(file(tmp_path, WHOLE))
    found = discover(tmp_path, settings)
    texts = [repr(settings), str(settings), repr(found), msgspec.json.encode(settings.config)]
    for source in found.sources:
        texts += [repr(source), repr(vars(source)), msgspec.json.encode(source.facts.record(0.0))]
    assert "desk" in str(texts)
    assert "hunter2" not in str(texts)


def test_a_secret_is_not_printed_or_pickled() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_password_that_others_can_read_is_warned_of(
    tmp_path: Path, mode: int, warned: bool
) -> None:
    settings = config.load(file(tmp_path, WHOLE, mode))
    assert any("chmod 600" in warning for warning in settings.warnings) is warned


def test_without_a_password_anybody_may_read_the_file(tmp_path: Path) -> None:
    text = WHOLE.replace('password = "hunter2"', "")
    assert config.load(file(tmp_path, text, 0o644)).warnings == ()


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    settings = config.load(file(tmp_path, WHOLE))
    path = tmp_path / "home" / "power.toml"
    config.save(path, settings)
    again = config.load(path)
    assert again.config == settings.config
    assert path.stat().st_mode & 0o777 == 0o600
    password = again.password_of(0)
    assert password is not None
    assert password.reveal() == "hunter2"
    odd = PowerSettings(
        config.PowerConfig(source=(TasmotaConfig(host="a", user='"\\ü\n'),)), (Secret('"]\\#\t'),)
    )
    config.save(path, odd)
    again = config.load(path)
    assert again.config == odd.config
    password = again.password_of(0)
    assert password is not None
    assert password.reveal() == '"]\\#\t'


def test_hardware_is_found_and_its_absence_has_a_reason(tmp_path: Path) -> None:
    boards.ina226(tmp_path)
    boards.rapl(tmp_path)
    found = discover(tmp_path, PowerSettings())
    assert [source.facts.name for source in found.sources] == ["ina226", "rapl"]
    assert found.absent == [
        Absent("battery", "no battery", Origin("battery")),
        Absent("pmic", "not a Raspberry Pi 5", Origin("pmic")),
    ]
    assert found.origins == {"ina226": Origin("hwmon"), "rapl": Origin("rapl")}


def test_an_empty_machine_has_only_the_estimate_if_that(tmp_path: Path) -> None:
    boards.cpu_ticks(tmp_path, (0, 0))
    found = discover(tmp_path, PowerSettings())
    assert found.sources == []
    reason = "the board's profile has no power model"
    assert found.absent[-1] == Absent("estimate", reason, Origin("estimate"))
    model = PowerModel(idle_watts=1.8, span_watts=2.5)
    (source,) = discover(tmp_path, PowerSettings(), model).sources
    assert (source.facts.method, source.facts.accuracy) == ("estimated", 0.3)
    boards.ina226(tmp_path)
    (source,) = discover(tmp_path, PowerSettings(), model).sources
    assert source.facts.name == "ina226"


def test_sources_stand_in_the_order_of_their_worth(tmp_path: Path) -> None:
    boards.ina226(tmp_path)
    boards.rapl(tmp_path)
    boards.battery(tmp_path)
    boards.cpu_ticks(tmp_path, (0, 0))
    text = '[[source]]\nkind = "tasmota"\nhost = "a"\n'
    text += '[[source]]\nkind = "estimate"\nmodel = { idle_watts = 1.0 }\n'
    found = discover(tmp_path, config.load(file(tmp_path, text)))
    assert [source.facts.name for source in found.sources] == [
        "ina226",
        "tasmota",
        "battery",
        "rapl",
        "estimate",
    ]


def test_what_the_file_says_of_a_source_holds(tmp_path: Path) -> None:
    boards.ina226(tmp_path)
    boards.cpu_ticks(tmp_path, (0, 0))
    boards.tree(tmp_path, {"sys/devices/system/cpu/cpufreq/policy0/related_cpus": "0"})
    found = discover(tmp_path, config.load(file(tmp_path, WHOLE)))
    desk, chip = (source.facts for source in found.sources)
    assert (desk.name, desk.method, desk.scope) == ("desk", "measured", "wall")
    assert (desk.period_s, desk.slow) == (2.0, True)
    assert desk.detail == "shelly-gen2 at 192.168.1.7:80"
    assert (chip.name, chip.accuracy, chip.scope) == ("ina226", 0.005, "board input")
    everything = discover(tmp_path, config.load(file(tmp_path, WHOLE.replace("use =", "#"))))
    by_name = {source.facts.name: source for source in everything.sources}
    program = by_name["command"]
    assert isinstance(program, Command)
    assert program.command == ("/usr/local/bin/watts", "--once")
    assert (program.facts.method, program.facts.scope) == ("estimated", "wall")
    assert by_name["estimate"].facts.method == "estimated"


def test_what_is_named_in_use_but_is_not_there_is_told(tmp_path: Path) -> None:
    found = discover(tmp_path, config.load(file(tmp_path, 'use = ["rapl", "mine"]')))
    assert found.sources == []
    assert Absent("mine", "named in `use`, but there is no such source") in found.absent
    assert [absent.what for absent in found.absent].count("rapl") == 1


def test_what_use_does_not_name_is_told(tmp_path: Path) -> None:
    boards.ina226(tmp_path)
    text = 'use = ["ina226"]\n[[source]]\nkind = "tasmota"\nhost = "a"\n'
    found = discover(tmp_path, config.load(file(tmp_path, text)))
    assert [source.facts.name for source in found.sources] == ["ina226"]
    reason = "left out: `use` does not name it"
    assert Absent("tasmota", reason, Origin("tasmota", 0)) in found.absent


def test_two_sources_never_share_a_name(tmp_path: Path) -> None:
    boards.ina226(tmp_path)
    text = '[[source]]\nkind = "tasmota"\nname = "ina226"\nhost = "a"\n'
    found = discover(tmp_path, config.load(file(tmp_path, text)))
    assert [source.facts.detail for source in found.sources] == ["tasmota at a:80"]
    reason = "another source has this name: give one of them a name"
    assert Absent("hwmon", reason, Origin("hwmon")) in found.absent
    assert found.origins["ina226"] == Origin("tasmota", 0)


def test_one_name_for_two_chips_is_told(tmp_path: Path) -> None:
    boards.ina226(tmp_path, number=0)
    boards.ina226(tmp_path, number=1)
    text = '[[source]]\nkind = "hwmon"\nname = "supply"\n'
    found = discover(tmp_path, config.load(file(tmp_path, text)))
    assert found.sources == []
    assert "one name for several" in found.absent[0].reason
