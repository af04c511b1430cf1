"""What the quantisation doctor found, as a table: the report of each conversion, line by line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from edgelab import words
from edgelab.conversion import ConversionReport
from screens.ink import Tone
from screens.widgets.table import Column


class Finding(NamedTuple):
    """One line of a report; `number` keeps equal names apart."""

    number: int
    precision: str
    name: str
    value: str

    @property
    def tone(self) -> Tone:
        """A verdict stands out; the words say it too."""
        if self.name != "verdict":
            return "plain"
        return "good" if self.value == "accepted" else "bad"


def findings(reports: Iterable[ConversionReport]) -> list[Finding]:
    """All lines of all reports, in the order of the conversions."""
    lines = [(each.precision.value, *fact) for each in reports for fact in each.facts()]
    return [Finding(number, *line) for number, line in enumerate(lines)]


DOCTOR_COLUMNS: tuple[Column[Finding], ...] = (
    Column("precision", lambda row: row.precision, tone=lambda _: "label"),
    Column("finding", lambda row: words.plain(row.name, 22), tone=lambda _: "label"),
    Column("value", lambda row: words.plain(row.value, 500), flex=True, tone=lambda row: row.tone),
)
