"""All datasets known by name: look through one, give data on disk a name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event

from textual import on, work
from textual.app import ComposeResult
from textual.message import Message

from edgelab import words
from edgelab.catalogue import Catalogue, DatasetProfile, Entry
from edgelab.dataset_editing import NewDataset, add_dataset
from edgelab.dataset_report import DatasetReport
from edgelab.dataset_tables import datasets_csv, where
from edgelab.problem import Problem, told
from edgelab.program import Tell
from screens.actions import Place, bindings
from screens.background import in_background
from screens.dataset import DatasetScreen
from screens.dataset_form import AddForm, Look, LookForm
from screens.dialogs import Ask
from screens.face import Face
from screens.ink import count
from screens.table_screen import TableScreen
from screens.widgets.filter_line import FilterLine
from screens.widgets.lines import KeyLine, StatusLine
from screens.widgets.table import Column, Table

Known = Entry[DatasetProfile]

_LOOKS = "look"
"""The group of the worker that looks through data."""


def _title(entry: Known) -> str:
    return words.plain(entry.profile.title if entry.profile else entry.problem or "", 80)


COLUMNS: tuple[Column[Known], ...] = (
    Column("dataset", lambda e: words.plain(e.name, 28), lambda e: e.name),
    Column("title", _title, _title, tone=lambda e: "plain" if e.profile else "bad"),
    Column("split", lambda e: e.profile.default_split if e.profile else words.UNKNOWN),
    Column("where", lambda e: words.plain(where(e) or str(e.path)), where, flex=True),
)


class GivenUpError(Exception):
    """Nobody waits for the outcome any more."""


class DatasetsScreen(TableScreen):
    """One table; enter looks through the dataset, in a process of its own."""

    CSS_PATH = "datasets.tcss"
    BINDINGS = bindings(Place.DATASETS)
    AUTO_FOCUS = "#known"
    place = Place.DATASETS

    class Told(Message):
        """The look tells how far it is."""

        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    def __init__(self, face: Face, chosen: str = "") -> None:
        super().__init__(face)
        self._chosen = chosen
        self._looking = False
        self.table: Table[Known] = Table(
            COLUMNS, lambda entry: entry.name, face, "Datasets", "known",
            nothing="No dataset is known: + gives data on disk a name.",
        )  # fmt: skip

    def compose(self) -> ComposeResult:
        """Table and filter."""
        yield StatusLine(self.face, "Datasets")
        yield self.table
        yield FilterLine(self.face)
        yield KeyLine(self.face, Place.DATASETS)

    def on_mount(self) -> None:
        """Show what is known."""
        self._show(self._chosen)

    def _show(self, chosen: str) -> None:
        self.table.show(Catalogue(self.console.lab.home).datasets())
        self.table.select(chosen)

    # Looking -------------------------------------------------------------------------------

    @work(exclusive=True, group=_LOOKS)
    async def look(
        self, find: Callable[[Tell], DatasetReport], then: Callable[[DatasetReport], None]
    ) -> None:
        """Look in the background; the process ends with this worker, which the screen ends."""
        given_up, self._looking = Event(), True

        def tell(said: str) -> None:
            if given_up.is_set():
                raise GivenUpError
            self.post_message(self.Told(said))

        try:
            report = await in_background(partial(find, tell))
        except (Problem, OSError) as problem:
            self.console.say(told(problem), bad=True)
        else:
            then(report)
        finally:
            given_up.set()
            self._looking = False
            self.table.caption("")

    @on(Told)
    def _tell(self, event: Told) -> None:
        if self._looking:
            self.table.caption(f"{event.line} · s stops it")

    def _open(self, report: DatasetReport) -> None:
        self.app.push_screen(DatasetScreen(self.face, report))

    # Keys ----------------------------------------------------------------------------------

    @on(Table.Chosen)
    def action_check(self) -> None:
        """Ask what is to be looked through; the dataset under the cursor stands there."""
        row = self.table.row
        catalogue = Catalogue(self.console.lab.home)
        form = LookForm(self.face, catalogue, row.name if row else "")

        def begin(look: Look | None) -> None:
            if look is not None:
                home = self.console.lab.home
                self._unless_disturbing(
                    lambda: self.look(partial(look.look_through, home), self._open)
                )

        self.app.push_screen(form, begin)

    def action_add(self) -> None:
        """Ask for name and place, look through the data, and keep what can be run."""
        home = self.console.lab.home

        def begin(new: NewDataset | None) -> None:
            if new is not None:
                self._unless_disturbing(
                    lambda: self.look(partial(self._add, new), partial(self._added, new))
                )

        self.app.push_screen(AddForm(self.face, home), begin)

    def _add(self, new: NewDataset, tell: Tell) -> DatasetReport:
        home = self.console.lab.home
        report = new.look_through(home, tell)
        add_dataset(home, new, report)
        return report

    def _added(self, new: NewDataset, report: DatasetReport) -> None:
        self._show(new.name)
        faults = f", {count(report.faults, 'fault')} in it" if report.faults else ""
        self.console.say(f"{new.name} is kept: {count(report.images, 'image')}{faults}")
        if report.faults:
            self._open(report)

    def _unless_disturbing(self, begin: Callable[[], object]) -> None:
        """A run that is on is not disturbed without asking: decoding takes a core."""
        if self.console.snapshot.current is None:
            begin()
            return

        def go(sure: bool | None) -> None:
            if sure:
                begin()

        question = "A run is on. Look through the data all the same?"
        self.app.push_screen(Ask(self.face, question, "It takes a core from the run."), go)

    def action_stop(self) -> None:
        """Give up the look that is on."""
        stopped = self.workers.cancel_group(self, _LOOKS)
        self.console.say("stopped" if stopped else "nothing is being looked through")

    def action_export(self) -> None:
        """Write the list as it is shown."""
        self.export_rows("datasets", datasets_csv, "dataset")
