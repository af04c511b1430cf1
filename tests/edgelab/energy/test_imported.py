from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.energy.imported import import_meter
from edgelab.energy.ledger import EnergyLedger
from edgelab.energy.meter_file import Columns, MeterProblem, _split_unit
from edgelab.journal import JournalReader, JournalWriter
from edgelab.problem import Problem
from edgelab.records import (
    Ended,
    Outcome,
    PowerReading,
    PowerSource,
    Record,
    Started,
    TelemetryLine,
)
from edgelab.run_folder import RunFolder

BEGAN = 5000.0  # s of the monotonic clock
WALL = 1_700_000_000.0  # Unix time
LENGTH_S = 60.0


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run of a minute that is over."""
    return a_run(tmp_path / "0001-run")


def a_run(path: Path, clock_jump: float = 0.0, over: bool = True) -> RunFolder:
    path.mkdir()
    folder = RunFolder(path)
    with JournalWriter(folder.life) as life:
        life.append(Started(BEGAN, WALL, "boot", 1, {}))
        if over:
            wall = WALL + LENGTH_S + clock_jump
            life.append(Ended(BEGAN + LENGTH_S, wall, Outcome.FINISHED, "", LENGTH_S))
    return folder


def csv_file(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "meter.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def imported(folder: RunFolder) -> tuple[PowerSource, list[PowerReading]]:
    journal: JournalReader[Record] = JournalReader(folder.meter, TelemetryLine)
    source, *readings = journal.poll()
    assert journal.damaged == 0
    assert isinstance(source, PowerSource)
    return source, [reading for reading in readings if isinstance(reading, PowerReading)]


def iso(second: int, hours: int = 0) -> str:
    zone = UTC if hours == 0 else timezone(timedelta(hours=hours))
    return datetime.fromtimestamp(WALL + second, zone).isoformat()


def every_second(row: str) -> Iterator[str]:
    for second in range(61):
        yield row.format(
            s=second,
            ms=1000 * second,
            unix=WALL + second,
            unix_ms=int(1000 * (WALL + second)),
            iso=iso(second),
            zone=iso(second, 5),
        )


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("time,watts", "{unix},4.5"),
        ("time,watts", "{iso},4.5"),
        ("Timestamp;Power (W)", "{zone};4,5"),
        ("timestamp_ms,power_mw", "{unix_ms},4500"),
        ("Elapsed [s]\tW", "{s}\t4.5"),
        ("Timestamp(ms),Voltage(V),Current(mA)", "{ms},5.0,900"),
        ("t,U,I,note", "{s},5.0,0.9,x"),
        ("\ufeffDate Time,Bus Voltage (mV),Current (uA)", '"{iso}",5000,900000'),
    ],
)
def test_the_files_of_many_instruments(
    tmp_path: Path, run: RunFolder, header: str, row: str
) -> None:
    file = csv_file(tmp_path, "# made by a meter", header, *every_second(row))
    if header.startswith("\ufeff"):
        file = csv_file(tmp_path, header, *every_second(row))
    got = import_meter(run, file)
    source, readings = imported(run)
    assert (got.readings, got.warnings) == (61, ())
    assert got.covered_s == pytest.approx(60.0)
    assert got.mean_watts == pytest.approx(4.5)
    assert (source.source, source.method, source.scope) == ("meter", "manual", "board input")
    assert source.period_s == pytest.approx(1.0)
    assert source.t <= readings[0].t
    assert [reading.t for reading in readings] == pytest.approx([BEGAN + s for s in range(61)])
    assert all(reading.watts == pytest.approx(4.5) for reading in readings)


def test_the_imported_readings_give_joules(tmp_path: Path, run: RunFolder) -> None:
    file = csv_file(tmp_path, "time,watts", *every_second("{unix},4.5"))
    import_meter(run, file, name="joulescope", scope="wall", accuracy=0.003)
    source, readings = imported(run)
    ledger = EnergyLedger()
    ledger.add_source(source)
    for reading in readings:
        ledger.add_reading(reading)
    (got,) = ledger.figures(BEGAN + 10.5, BEGAN + 50.5, 20)
    assert got.joules == pytest.approx(180.0)
    assert (got.source, got.scope, got.coverage) == ("joulescope", "wall", 1.0)


def test_columns_by_name(tmp_path: Path, run: RunFolder) -> None:
    header = "when,CH1,CH2 (mW)"
    file = csv_file(tmp_path, header, *every_second("{s},9,4500"))
    with pytest.raises(MeterProblem, match="no column of time among when, CH1, "):
        import_meter(run, file)
    import_meter(run, file, columns=Columns(time="when", watts="CH2 (mW)"))
    assert imported(run)[1][0].watts == 4.5
    with pytest.raises(MeterProblem, match=r"no column of watts, nor of volts and amperes"):
        import_meter(run, file, columns=Columns(time="when"))
    with pytest.raises(MeterProblem, match="no column 'CH3' among 'when'"):
        import_meter(run, file, columns=Columns(time="when", watts="CH3"))


def test_an_offset_moves_the_readings(tmp_path: Path, run: RunFolder) -> None:
    file = csv_file(tmp_path, "time,watts", *every_second("{unix},{s}"))
    import_meter(run, file, offset_s=-3.25)
    readings = imported(run)[1]
    assert readings[5].t == pytest.approx(BEGAN + 5 - 3.25)


def test_only_what_lies_in_the_run_is_taken(tmp_path: Path, run: RunFolder) -> None:
    rows = [f"{WALL + second},4.0" for second in range(-500, 500)]
    got = import_meter(run, csv_file(tmp_path, "time,watts", *rows))
    assert got.readings == 10 + 61 + 10


def test_a_run_that_goes_on_has_no_end(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", over=False)
    rows = [f"{WALL + second},4.0" for second in range(500)]
    assert import_meter(run, csv_file(tmp_path, "time,watts", *rows)).readings == 500


def test_a_fast_meter_is_averaged_to_ten_readings_a_second(tmp_path: Path, run: RunFolder) -> None:
    rows = [f"{index / 1000},{4.0 + (index % 2)}" for index in range(10_000)]
    got = import_meter(run, csv_file(tmp_path, "time,watts", *rows))
    source, readings = imported(run)
    assert got.readings == 100
    assert source.period_s == pytest.approx(0.1, abs=0.002)
    assert all(reading.watts == pytest.approx(4.5, abs=0.01) for reading in readings[:-1])
    assert readings[0].t == pytest.approx(BEGAN + 0.0495)


def test_stamps_of_whole_seconds_that_come_twice_are_averaged(
    tmp_path: Path, run: RunFolder
) -> None:
    rows = [f"{index // 2},{4.0 + index % 2}" for index in range(40)]
    import_meter(run, csv_file(tmp_path, "time,watts", *rows))
    assert [reading.watts for reading in imported(run)[1]] == [4.5] * 20


def test_a_second_import_replaces_the_first(tmp_path: Path, run: RunFolder) -> None:
    import_meter(run, csv_file(tmp_path, "time,watts", *every_second("{s},4.0")))
    import_meter(run, csv_file(tmp_path, "time,watts", *every_second("{s},5.0")), name="other")
    source, readings = imported(run)
    assert source.source == "other"
    assert {reading.watts for reading in readings} == {5.0}
    assert len(readings) == 61


def test_a_name_that_the_run_knows_is_refused(tmp_path: Path, run: RunFolder) -> None:
    with JournalWriter(run.telemetry) as telemetry:
        telemetry.append(PowerSource(BEGAN, "plug", "measured", "wall", 0.02))
    file = csv_file(tmp_path, "time,watts", *every_second("{s},4.0"))
    with pytest.raises(MeterProblem, match="has a source called plug"):
        import_meter(run, file, name="plug")
    assert import_meter(run, file).readings == 61


def test_a_clock_that_was_set_during_the_run_is_warned_of(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", clock_jump=3600.0)
    by_wall = csv_file(tmp_path, "time,watts", *every_second("{unix},4.0"))
    (warning,) = import_meter(run, by_wall).warnings
    assert "jumped by 3600.0 s" in warning
    by_start = csv_file(tmp_path, "time,watts", *every_second("{s},4.0"))
    assert import_meter(run, by_start).warnings == ()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["time,watts", "0,1", "1,abc"], ["row 3: watts = 'abc': expected a number"]),
        (["time,watts", "0,1", "1,nan"], ["row 3: watts = 'nan': expected a number"]),
        (["time,watts", "0,1", "x,1"], ["row 3: time = 'x': expected Unix seconds, ISO 8601"]),
        (["# c", "time,watts", "", "0,1", "1"], ["row 5 has 1 columns, the header 2"]),
        (["time,watts", "5,1", "4,1"], ["row 3: time = '4': earlier than the row before"]),
        (
            ["time,watts", "2024-01-01T00:00:00,1"],
            ["row 2", "without a zone: end it with Z or +02:00"],
        ),
        (["time,watts", "1700000000000,1"], ["row 2", "milliseconds belong into a column time_ms"]),
        (
            ["time,watts", f"{WALL},1", "5,1"],
            ["row 3: time = '5': of another kind than in the first row"],
        ),
        (["time,watts"], ["no rows under the header"]),
        (["0,4.5", "1,4.5"], ["no header"]),
        ([""], ["no header"]),
        (["time,volts", "0,5"], ["no column of watts, nor of volts and amperes among time, volts"]),
        (["watts", "5"], ["no column of time among watts"]),
        (["time,watts", "900,1", "901,1"], ["at 900 to 901 s", "the run at 0 to 60 s", "offset"]),
        (["time,watts", "0,-4", "1,-4"], ["mean power -4 W", "leads are swapped"]),
        (["time,watts", '0,"1' + "x" * 200_000], ["row"]),
        (["time," + "w" * 200_000, "0,1"], ["header: field larger than field limit"]),
    ],
)
def test_a_broken_file_is_told_by_row_value_and_remedy(
    tmp_path: Path, run: RunFolder, lines: list[str], words: list[str]
) -> None:
    file = csv_file(tmp_path, *lines)
    with pytest.raises(MeterProblem) as caught:
        import_meter(run, file)
    for word in (str(file), *words):
        assert word in str(caught.value)
    assert not (run.meter).exists()


def test_files_that_cannot_be_read_and_runs_that_never_began(
    tmp_path: Path, run: RunFolder
) -> None:
    with pytest.raises(MeterProblem, match=r"none\.csv: cannot be read \(No such file"):
        import_meter(run, tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"time,\xff\xfe\n")
    with pytest.raises(MeterProblem, match="not UTF-8"):
        import_meter(run, tmp_path / "binary.csv")
    waiting = tmp_path / "waiting"
    waiting.mkdir()
    with pytest.raises(MeterProblem, match="waiting: the run has not started"):
        import_meter(RunFolder(waiting), tmp_path / "none.csv")


@given(st.text(max_size=200))
def test_whatever_the_file_holds_it_is_taken_or_told(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    run = a_run(tmp_path_factory.mktemp("fuzz") / "run")
    file = run.path / "meter.csv"
    file.write_text(f"time,watts\n0,1\n1,1\n{text}", encoding="utf-8", errors="replace")
    with suppress(Problem):
        assert import_meter(run, file).readings >= 2


@pytest.mark.parametrize(
    ("name", "what", "split"),
    [
        ("Power (mW)", "watts", ("power", "mw")),
        ("power_mw", "watts", ("power", "mw")),
        ("W", "watts", ("w", "")),
        ("µW", "watts", ("w", "uw")),
        ("Timestamp(ms)", "time", ("timestamp", "ms")),
        ("ms", "time", ("s", "ms")),
        ("I [A]", "amps", ("i", "a")),
    ],
)
def test_names_of_columns_carry_units(name: str, what: str, split: tuple[str, str]) -> None:
    from edgelab.energy.meter_file import _UNITS

    assert _split_unit(name, _UNITS[what]) == split
