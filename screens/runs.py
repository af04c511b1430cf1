"""All runs: filter, sort, mark, delete, export, import, open."""

from __future__ import annotations

from functools import partial

from textual import on, work
from textual.app import ComposeResult
from textual.message import Message

from edgelab.compared import has_result, runs_table
from edgelab.export import results_csv
from edgelab.importing import Imported
from edgelab.problem import Problem, told
from edgelab.record import RunRecord
from edgelab.result_table import ResultTable
from screens.actions import Place, bindings
from screens.background import in_background
from screens.choose_table import ask_for_table
from screens.columns import RUN_COLUMNS
from screens.compare import CompareScreen
from screens.dialogs import Ask
from screens.face import Face
from screens.import_form import ImportForm, Source
from screens.ink import count
from screens.run import RunScreen
from screens.table_screen import TableScreen
from screens.watch import Snapshot
from screens.widgets.filter_line import FilterLine
from screens.widgets.lines import KeyLine, StatusLine
from screens.widgets.table import Table


class RunsScreen(TableScreen):
    """One table."""

    CSS_PATH = "runs.tcss"
    BINDINGS = bindings(Place.RUNS)
    AUTO_FOCUS = "#runs"
    place = Place.RUNS

    class Told(Message):
        """The import tells how far it is."""

        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    def __init__(self, face: Face) -> None:
        super().__init__(face)
        self.table: Table[RunRecord] = Table(
            RUN_COLUMNS,
            lambda record: record.spec.id,
            face,
            "Runs",
            "runs",
            pinned=1,
            markable=True,
            nothing="There is no run yet: press l for the Lab, then b for the quick benchmark.",
        )

    def compose(self) -> ComposeResult:
        """Table and filter."""
        yield StatusLine(self.face, "Runs")
        yield self.table
        yield FilterLine(self.face)
        yield KeyLine(self.face, Place.RUNS)

    def take(self, snapshot: Snapshot) -> None:
        """Runs came, went or ended."""
        super().take(snapshot)
        self.table.show(snapshot.runs)

    @on(Table.Chosen)
    def _open(self) -> None:
        if self.table.row is not None:
            self.app.push_screen(RunScreen(self.face, self.table.row))

    def action_export(self) -> None:
        """Write the marked runs, or all that are shown."""
        self.export_rows("runs", results_csv, "run")

    def action_compare(self) -> None:
        """Compare the marked runs with the oldest of them; a single one with what is chosen."""
        marked = self.table.marked_rows or ([self.table.row] if self.table.row else [])
        runs = sorted(marked, key=lambda record: record.spec.number, reverse=True)
        if not any(map(has_result, runs)):
            self.console.say("there is no result to compare yet")
        elif len(runs) == 1:
            ask_for_table(self, runs_table(runs), partial(self._compare, runs))
        else:
            self._compare(runs[:-1], runs_table(runs[-1:]))

    def _compare(self, runs: list[RunRecord], right: ResultTable) -> None:
        self.app.push_screen(CompareScreen(self.face, runs_table(runs), right))

    def action_delete(self) -> None:
        """Delete the marked runs, or this one, after asking."""
        chosen = self.table.marked_rows or ([self.table.row] if self.table.row else [])
        if not chosen:
            return
        unfinished = [record for record in chosen if not record.outcome.over]
        if unfinished:
            self.console.say(
                f"run #{unfinished[0].spec.number} is not over: stop it first", bad=True
            )
            return
        folders = [self.console.lab.folder(record.spec.id) for record in chosen]
        numbers = ", ".join(f"#{record.spec.number}" for record in chosen[:8])
        more = f" and {len(chosen) - 8} more" if len(chosen) > 8 else ""

        def delete(sure: bool | None) -> None:
            if sure:
                self.console.delete(folders)

        question = f"Delete {count(len(chosen), 'run')}: {numbers}{more}?"
        them = "it" if len(chosen) == 1 else "them"
        self.app.push_screen(
            Ask(self.face, question, f"All that was recorded of {them} is lost."), delete
        )

    def action_import(self) -> None:
        """Ask which folder holds the runs of another board, and bring them in."""
        if self.console.snapshot.current is not None:
            self.console.say("a run is on, and copying would disturb it: import when it is over")
            return

        def begin(source: Source | None) -> None:
            if source is not None:
                self._import(source)

        self.app.push_screen(ImportForm(self.face), begin)

    @work(exclusive=True, group="import")
    async def _import(self, source: Source) -> None:
        def tell(said: str) -> None:
            self.post_message(self.Told(said))

        try:
            done = await in_background(partial(source.take, self.console.lab.home, tell))
        except (Problem, OSError) as problem:
            self.console.say(told(problem), bad=True)
        else:
            self._tell_imported(done)
        self.table.caption("")
        self.console.look()

    @on(Told)
    def _tell_importing(self, event: Told) -> None:
        self.table.caption(f"importing {event.line}")

    def _tell_imported(self, done: Imported) -> None:
        self.console.say(
            f"{count(len(done.runs), 'run')} imported, {done.known} here already"
            + (f", {len(done.problems)} not" if done.problems else "")
        )
        if done.problems:
            self.console.say(done.problems[0], bad=True)

    def action_stop(self) -> None:
        """Stop this run, after asking."""
        self.ask_to_stop(self.table.row)

    def action_resume(self) -> None:
        """Go on with this run."""
        self.resume(self.table.row)
