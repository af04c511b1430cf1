"""With what to compare: a published table, a study, or another run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen

from edgelab import words as plain_words
from edgelab.catalogue import Catalogue, Entry
from edgelab.compared import STUDY_PREFIX, has_result, table_named
from edgelab.problem import Problem, told
from edgelab.record import RunRecord
from edgelab.reference import Reference
from edgelab.references import PREFIX
from edgelab.result_table import ResultTable
from edgelab.studies import Studies
from edgelab.study import Study
from screens.background import in_background
from screens.base import ConsoleScreen
from screens.dialogs import words
from screens.face import Face
from screens.widgets.table import Column, Table


class TableChoice(NamedTuple):
    """A table by the name that `edgelab compare` takes."""

    name: str
    title: str
    problem: str | None = None


COLUMNS: tuple[Column[TableChoice], ...] = (
    Column(
        "table",
        lambda choice: plain_words.plain(choice.name),
        tone=lambda choice: "bad" if choice.problem else "accent",
    ),
    Column("what", lambda choice: plain_words.plain(choice.problem or choice.title), flex=True),
)


def choices(
    references: Iterable[Entry[Reference]], studies: Iterable[Study], runs: Iterable[RunRecord]
) -> list[TableChoice]:
    """The published tables, the studies that were begun, then the runs, newest first."""
    published = [
        TableChoice(f"{PREFIX}{e.name}", e.profile.title if e.profile else "", e.problem)
        for e in references
    ]
    own = [TableChoice(f"#{run.spec.number}", run.spec.title) for run in runs if has_result(run)]
    begun = [TableChoice(f"{STUDY_PREFIX}{study.id}", study.title) for study in studies]
    return [*published, *begun, *own]


class ChooseTable(ModalScreen[str]):
    """A list, the cursor on `first`; closes with the name of the table that was chosen."""

    CSS_PATH = "compare.tcss"
    BINDINGS: ClassVar = [Binding("escape,q", "leave", "leave")]

    def __init__(
        self, face: Face, offered: Iterable[TableChoice], first: str | None = None
    ) -> None:
        super().__init__()
        self._face = face
        self._offered = list(offered)
        self._first = first

    def compose(self) -> ComposeResult:
        """A list."""
        with Vertical(classes="dialog"):
            yield words(self._face, "Compare with", "question")
            yield Table(COLUMNS, lambda each: each.name, self._face, id="tables", headed=False)
            yield words(self._face, "enter  take it      esc  leave it", "answers")

    def on_mount(self) -> None:
        """Fill it."""
        table: Table[TableChoice] = self.query_one(Table)
        table.show(self._offered)
        table.select(self._first)
        table.focus()

    @on(Table.Chosen)
    def _take(self) -> None:
        chosen: TableChoice | None = self.query_one(Table).row
        if chosen is not None and chosen.problem is None:
            self.dismiss(chosen.name)

    def action_leave(self) -> None:
        """Compare with nothing."""
        self.dismiss(None)


def ask_for_table(
    screen: ConsoleScreen,
    left: ResultTable,
    then: Callable[[ResultTable], None],
    published: str | None = None,
) -> None:
    """Let a table other than `left` be chosen, `published` above all; `then` gets it once read."""
    console = screen.console

    async def read(name: str) -> None:
        try:
            found = await in_background(partial(table_named, console.lab, name))
        except (Problem, OSError) as problem:
            console.say(told(problem), bad=True)
        else:
            then(found)

    def take(name: str | None) -> None:
        if name is not None:
            screen.run_worker(read(name), group="versus", exclusive=True)

    references = Catalogue(console.lab.home).references()
    known = choices(references, Studies(console.lab).all(), console.snapshot.over)
    offered = [each for each in known if each.name != left.name]
    first = None if published is None else f"{PREFIX}{published}"
    screen.app.push_screen(ChooseTable(screen.face, offered, first), take)
