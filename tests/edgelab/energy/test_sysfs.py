from __future__ import annotations

from pathlib import Path

import pytest

from edgelab.energy.estimate import PowerModel, estimate
from edgelab.energy.sources import SourceError
from edgelab.energy.sysfs import find_battery, find_hwmon, find_rapl
from tests.edgelab.energy import boards


def test_an_ina226_shows_microwatts(tmp_path: Path) -> None:
    boards.ina226(tmp_path, 4.20625)
    (source,) = find_hwmon(tmp_path)
    assert source.read().watts == 4.20625
    assert (source.facts.name, source.facts.method) == ("ina226", "measured")
    assert source.facts.scope == "board input"
    assert not source.facts.slow


def test_two_chips_of_a_kind_are_told_apart_by_their_address(tmp_path: Path) -> None:
    for number, address in ((0, "1-0040"), (1, "1-0041")):
        boards.ina226(tmp_path, number + 1.0, number)
        device = tmp_path / "sys/bus/i2c/devices" / address
        device.mkdir(parents=True)
        (tmp_path / f"sys/class/hwmon/hwmon{number}/device").symlink_to(device)
    assert [source.facts.name for source in find_hwmon(tmp_path)] == [
        "ina226 1-0040",
        "ina226 1-0041",
    ]


def test_a_jetsons_input_channel_is_not_added_to_its_own_parts(tmp_path: Path) -> None:
    boards.jetson(tmp_path)
    (source,) = find_hwmon(tmp_path)
    assert source.read().watts == 5.0
    assert source.facts.scope == "board input"
    assert "VDD_IN" in source.facts.detail


def test_an_ina3221_without_an_input_channel_is_the_sum_of_its_rails(tmp_path: Path) -> None:
    boards.jetson(tmp_path, ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"))
    (source,) = find_hwmon(tmp_path)
    assert source.read().watts == pytest.approx(5.0 + 2.5 + 5 * 0.333)
    assert source.facts.scope == "rails"


def test_disabled_channels_and_shunt_voltages_are_left_out(tmp_path: Path) -> None:
    folder = boards.jetson(tmp_path, ("a", "b", "c"))
    (folder / "in1_enable").write_text("0\n")
    (source,) = find_hwmon(tmp_path)
    assert source.read().watts == pytest.approx(2.5 + 5 * 0.333)
    for channel in (2, 3):
        (folder / f"in{channel}_enable").write_text("0\n")
    with pytest.raises(SourceError, match="ina3221: no channel to read"):
        find_hwmon(tmp_path)


def test_one_channel_by_choice(tmp_path: Path) -> None:
    boards.jetson(tmp_path)
    (source,) = find_hwmon(tmp_path, "ina3221", 2)
    assert source.read().watts == 2.5
    with pytest.raises(SourceError, match="channel 4"):
        find_hwmon(tmp_path, "ina3221", 4)


def test_other_chips_are_used_by_name_only(tmp_path: Path) -> None:
    boards.tree(
        tmp_path,
        {
            "sys/class/hwmon/hwmon3/name": "amdgpu",
            "sys/class/hwmon/hwmon3/power1_input": "9000000",
        },
    )
    with pytest.raises(SourceError, match="no INA219"):
        find_hwmon(tmp_path)
    (source,) = find_hwmon(tmp_path, "amdgpu")
    assert source.read().watts == 9.0


@pytest.mark.parametrize(("text", "words"), [("", "not a number"), ("n/a", "not a number")])
def test_a_chip_that_shows_no_number_says_so(tmp_path: Path, text: str, words: str) -> None:
    path = boards.ina226(tmp_path)
    (source,) = find_hwmon(tmp_path)
    path.write_text(text)
    with pytest.raises(SourceError, match=f"power1_input: {words}"):
        source.read()
    path.unlink()
    with pytest.raises(SourceError, match="power1_input: no such file"):
        source.read()


def test_rapl_adds_its_packages_and_nothing_else(tmp_path: Path) -> None:
    folder = boards.rapl(tmp_path, (1_000_000, 5_000_000))
    (source,) = find_rapl(tmp_path)
    assert source.read().joules == 0.0
    (folder / "intel-rapl:0/energy_uj").write_text("3500000\n")
    (folder / "intel-rapl:1/energy_uj").write_text("6000000\n")
    assert source.read().joules == 3.5
    assert (source.facts.method, source.facts.scope) == ("counter", "package")


def test_rapl_wraps_at_its_own_range(tmp_path: Path) -> None:
    folder = boards.rapl(tmp_path, (9_000_000,), range_uj=10_000_000)
    (source,) = find_rapl(tmp_path)
    for value, joules in ((9_500_000, 0.5), (500_000, 1.5), (400_000, 11.4)):
        (folder / "intel-rapl:0/energy_uj").write_text(f"{value}\n")
        assert source.read().joules == pytest.approx(joules)


def test_a_missed_reading_of_one_package_costs_no_energy(tmp_path: Path) -> None:
    folder = boards.rapl(tmp_path, (0, 0))
    (source,) = find_rapl(tmp_path)
    (folder / "intel-rapl:0/energy_uj").write_text("1000000\n")
    (folder / "intel-rapl:1/energy_uj").write_text("oops\n")
    with pytest.raises(SourceError):
        source.read()
    (folder / "intel-rapl:1/energy_uj").write_text("2000000\n")
    assert source.read().joules == 3.0


def test_rapl_that_may_not_be_read_is_absent_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards.rapl(tmp_path)
    readable = Path.read_text

    def guarded(path: Path, *rest: object, **more: object) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return readable(path, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_text", guarded)
    with pytest.raises(SourceError, match="energy_uj: only root may read it"):
        find_rapl(tmp_path)


def test_a_machine_without_counters_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no RAPL counters"):
        find_rapl(tmp_path)
    with pytest.raises(SourceError, match="no battery"):
        find_battery(tmp_path)


def test_a_battery_counts_while_it_discharges(tmp_path: Path) -> None:
    folder = boards.battery(tmp_path)
    boards.battery(tmp_path, "BAT1", status="Charging")
    boards.battery(tmp_path, "mouse", scope="Device")
    (source,) = find_battery(tmp_path)
    assert source.read().watts == 9.0
    assert source.facts.detail == "BAT0, BAT1"
    (folder / "status").write_text("Full\n")
    with pytest.raises(SourceError, match="external power"):
        source.read()
    with pytest.raises(SourceError, match="external power"):
        find_battery(tmp_path)


def test_a_battery_that_shows_watts_is_taken_at_its_word(tmp_path: Path) -> None:
    boards.battery(tmp_path, power_now="-7500000")
    (source,) = find_battery(tmp_path)
    assert source.read().watts == 7.5


def test_the_estimate_follows_the_busy_share(tmp_path: Path) -> None:
    boards.cpu_ticks(tmp_path, (0, 100), (0, 100))
    source = estimate(PowerModel(idle_watts=2.0, span_watts=3.0), tmp_path)
    boards.cpu_ticks(tmp_path, (100, 100), (50, 150))
    assert source.read().watts == pytest.approx(2.0 + 3.0 * 0.75)
    assert source.facts.method == "estimated"
    with pytest.raises(SourceError, match="no CPU time"):
        source.read()


def test_the_estimate_knows_big_cores_from_little_ones(tmp_path: Path) -> None:
    policies = "sys/devices/system/cpu/cpufreq"
    boards.tree(
        tmp_path,
        {f"{policies}/policy0/related_cpus": "0", f"{policies}/policy1/related_cpus": "1 2"},
    )
    boards.cpu_ticks(tmp_path, (0, 0), (0, 0), (0, 0))
    model = PowerModel(idle_watts=1.0, policies={"policy0": 1.0, "policy1": 6.0})
    source = estimate(model, tmp_path)
    boards.cpu_ticks(tmp_path, (100, 0), (50, 50), (0, 100))
    assert source.read().watts == pytest.approx(1.0 + 1.0 + 6.0 * 0.25)
    with pytest.raises(SourceError, match="policy7, which is not there"):
        estimate(PowerModel(idle_watts=1.0, policies={"policy7": 1.0}), tmp_path)
