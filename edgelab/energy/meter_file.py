"""The CSV file of an external meter: which columns it has, and its rows as time and watts."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from edgelab.problem import Problem
from edgelab.words import plain

_FIRST_UNIX_TIME = 1e8  # 1973: no run lasts so many seconds
_LAST_UNIX_TIME = 1e11  # the year 5138: larger ones are milliseconds

# What instruments call their columns, in lower case, without the unit at the end.
_WORDS: dict[str, tuple[str, ...]] = {
    "time": ("time", "timestamp", "t", "datetime", "date", "date time", "elapsed", "seconds", "s"),
    "watts": ("watts", "watt", "power", "p", "active power", "w"),
    "volts": ("volts", "volt", "voltage", "v", "u", "bus voltage"),
    "amps": ("amps", "amperes", "ampere", "current", "a", "i"),
}
_UNITS: dict[str, dict[str, float]] = {
    "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
    "watts": {"w": 1.0, "mw": 1e-3, "uw": 1e-6},
    "volts": {"v": 1.0, "mv": 1e-3, "uv": 1e-6},
    "amps": {"a": 1.0, "ma": 1e-3, "ua": 1e-6},
}


class MeterProblem(Problem):
    """A meter's file that cannot be used: names file, row, value and what would be right."""


@dataclass(frozen=True)
class Columns:
    """Names of the file's columns where they are not to be guessed."""

    time: str | None = None
    watts: str | None = None
    volts: str | None = None
    amps: str | None = None


@dataclass
class MeterFile:
    """The rows of the file as (time, watts); the kind of time is known once the first was read."""

    path: Path
    delimiter: str
    header: list[str]
    columns: Columns
    since_start: bool = False
    first: float = math.nan
    last: float = math.nan
    _used: Mapping[str, tuple[int, float]] = field(default_factory=dict)

    @staticmethod
    def open(path: Path, columns: Columns) -> MeterFile:
        """Find the columns; raises MeterProblem."""
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                line = next((line for line in file if line.strip() and line[0] != "#"), "")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise MeterProblem(f"{path}: cannot be read ({reason})") from None
        delimiter = max(",;\t", key=line.count)
        try:
            header = next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error as error:
            raise MeterProblem(f"{path}: header: {error}") from None
        if not header or all(_is_number(cell) for cell in header):
            raise MeterProblem(f"{path}: no header: the first line must name the columns")
        meter = MeterFile(path, delimiter, header, columns)
        meter._used = meter._find_columns()
        return meter

    def __iter__(self) -> Iterator[tuple[float, float]]:
        before = -math.inf
        for number, row in self._rows():
            stamp = self._time(number, row)
            if stamp < before:
                raise self._problem(number, "time", row, "earlier than the row before")
            self.first = stamp if math.isnan(self.first) else self.first
            before = self.last = stamp
            yield stamp, self._watts(number, row)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        with self.path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.reader(file, delimiter=self.delimiter)
            rows = (row for row in reader if any(row) and not row[0].startswith("#"))
            try:
                next(rows, None)
                for row in rows:
                    if len(row) < len(self.header):
                        raise MeterProblem(
                            f"{self.path}: row {reader.line_num} has {len(row)} columns, "
                            f"the header {len(self.header)}"
                        )
                    yield reader.line_num, row
            except csv.Error as error:
                raise MeterProblem(f"{self.path}: row {reader.line_num}: {error}") from None

    def _time(self, number: int, row: list[str]) -> float:
        index, scale = self._used["time"]
        text = row[index].strip()
        if not _is_number(text, self.delimiter):
            return self._moment(number, row, text)
        stamp = _number(text, self.delimiter) * scale
        if stamp >= _LAST_UNIX_TIME:
            raise self._problem(number, "time", row, "milliseconds belong into a column time_ms")
        since_start = stamp < _FIRST_UNIX_TIME
        if not math.isnan(self.first) and since_start is not self.since_start:
            raise self._problem(number, "time", row, "of another kind than in the first row")
        self.since_start = since_start
        return stamp

    def _moment(self, number: int, row: list[str], text: str) -> float:
        expected = "expected Unix seconds, ISO 8601 with a zone, or seconds since the start"
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise self._problem(number, "time", row, expected) from None
        if moment.tzinfo is None:
            raise self._problem(number, "time", row, "without a zone: end it with Z or +02:00")
        return moment.timestamp()

    def _watts(self, number: int, row: list[str]) -> float:
        watts = 1.0
        for what in ("watts",) if "watts" in self._used else ("volts", "amps"):
            index, scale = self._used[what]
            if not _is_number(row[index], self.delimiter):
                raise self._problem(number, what, row, "expected a number")
            watts *= _number(row[index], self.delimiter) * scale
        return watts

    def _problem(self, number: int, what: str, row: list[str], why: str) -> MeterProblem:
        index, _ = self._used[what]
        name, value = plain(self.header[index], 40), plain(row[index], 40)
        return MeterProblem(f"{self.path}: row {number}: {name} = {value!r}: {why}")

    def _find_columns(self) -> dict[str, tuple[int, float]]:
        """For time and power: the index of the column, and the factor to s, W, V, A."""
        found: dict[str, tuple[int, float]] = {}
        for what in _WORDS:
            named: str | None = getattr(self.columns, what)
            place = self._named(what, named) if named else self._guessed(what)
            if place is not None:
                found[what] = place
        has_power = "watts" in found or {"volts", "amps"} <= found.keys()
        if "time" not in found or not has_power:
            missing = "time" if "time" not in found else "watts, nor of volts and amperes"
            raise MeterProblem(
                f"{self.path}: no column of {missing} among "
                f"{', '.join(plain(name, 40) for name in self.header)}: name it"
            )
        return found

    def _named(self, what: str, name: str) -> tuple[int, float]:
        if name not in self.header:
            raise MeterProblem(
                f"{self.path}: no column {name!r} among {', '.join(map(repr, self.header))}"
            )
        _, unit = _split_unit(name, _UNITS[what])
        return self.header.index(name), _UNITS[what].get(unit, 1.0)

    def _guessed(self, what: str) -> tuple[int, float] | None:
        units = _UNITS[what]
        for index, name in enumerate(self.header):
            word, unit = _split_unit(name, units)
            if word in _WORDS[what]:
                return index, units.get(unit, 1.0)
        return None


def _split_unit(name: str, units: Mapping[str, float]) -> tuple[str, str]:
    """`Power (mW)` and `power_mw` are (power, mw); a bare `mW` is (w, mw)."""
    parts = re.sub(r"[^a-z]+", " ", name.lower().replace("µ", "u").replace("μ", "u")).split()
    if len(parts) > 1 and parts[-1] in units:
        return " ".join(parts[:-1]), parts[-1]
    if len(parts) == 1 and parts[0] in units and len(parts[0]) > 1:
        return parts[0][-1], parts[0]
    return " ".join(parts), ""


def _number(text: str, delimiter: str = ",") -> float:
    """Where the comma does not part the columns, it may part the decimals."""
    return float(text if delimiter == "," else text.replace(",", "."))


def _is_number(text: str, delimiter: str = ",") -> bool:
    try:
        return math.isfinite(_number(text, delimiter))
    except ValueError:
        return False
