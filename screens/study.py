"""One study: its matrix filling in, a row a measuring pass, a column a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.message import Message

from edgelab import fitting, words
from edgelab.compared import has_result, study_table
from edgelab.export import results_csv
from edgelab.problem import Problem, told
from edgelab.reader import LiveRun
from edgelab.record import RunRecord
from edgelab.records import Outcome
from edgelab.result_table import ResultTable
from edgelab.scored import scored_rows
from edgelab.steps import FINE_TUNED, ZERO_SHOT
from edgelab.studies import Studies
from edgelab.study import Study
from edgelab.study_progress import Cell, StudyProgress
from edgelab.tally import ThresholdRow
from screens.actions import Place, bindings
from screens.choice import fit_tone, free_memory
from screens.choose_table import ask_for_table
from screens.compare import CompareScreen
from screens.dialogs import Ask
from screens.face import Face
from screens.ink import Tone, count
from screens.run import RunScreen
from screens.table_screen import TableScreen
from screens.watch import Snapshot
from screens.widgets.filter_line import FilterLine
from screens.widgets.lines import KeyLine, StatusLine
from screens.widgets.projection_pane import outcome_tone
from screens.widgets.table import Column, Table

_ROWS_PERIOD_S = 1.0


def study_columns(study: Study, fits: dict[tuple[str, str], str]) -> tuple[Column[Cell], ...]:
    """What tells the runs of this study apart, and what they attain."""
    measures = any(settings.passes for settings in study.plan)
    return (
        Column("model", _model, key=_model),
        *(_measured_columns(study, fits) if measures else LEARNED_COLUMNS),
        Column("dataset", _dataset, key=_dataset),
        Column("run", _number, key=_number, right=True),
    )


def _measured_columns(study: Study, fits: dict[tuple[str, str], str]) -> tuple[Column[Cell], ...]:
    """With a column for each threshold that this study counts at."""
    cuts = tuple(dict.fromkeys(cut for settings in study.plan for cut in settings.cuts))
    return (
        Column("precision", _precision, key=_precision),
        Column("threads", lambda c: str(c.settings.threads), key=lambda c: c.settings.threads,
               right=True),
        STATE,
        Column("fits", lambda c: _fit(c, fits), key=lambda c: _fit(c, fits),
               tone=lambda c: _fit_tone(c, fits)),
        *(_error_column(cut) for cut in cuts),
        Column("no count", lambda c: words.whole(_unanswered(c)), key=_unanswered, right=True,
               sparse=True),
        Column("p50 ms", lambda c: words.milliseconds(_p50(c)), key=_p50, right=True),
        Column("img/s", lambda c: words.number(_rate(c), 1), key=_rate, right=True),
        Column("peak MB", lambda c: words.megabytes(_peak(c)), key=_peak, right=True),
    )  # fmt: skip


class StudyScreen(TableScreen):
    """The matrix; enter opens the run behind a row."""

    CSS_PATH = "study.tcss"
    BINDINGS = bindings(Place.STUDY)
    AUTO_FOCUS = "#matrix"
    place = Place.STUDY

    class Read(Message):
        """What is known of the runs, and whether what is to come will fit."""

        def __init__(
            self,
            records: dict[str, RunRecord],
            live: LiveRun | None,
            fits: dict[tuple[str, str], str],
        ) -> None:
            super().__init__()
            self.records = records
            self.live = live
            self.fits = fits

    def __init__(self, face: Face, study: Study) -> None:
        super().__init__(face)
        self.study = study
        self.records: dict[str, RunRecord] = {}
        self.live: LiveRun | None = None
        self._fits: dict[tuple[str, str], str] = {}
        self._ticks = 0
        self.table: Table[Cell] = Table(
            study_columns(study, self._fits), _identity, face, "Matrix", "matrix", pinned=2,
        )  # fmt: skip

    @property
    def progress(self) -> StudyProgress:
        """As far as it is known."""
        return StudyProgress.of(self.study, self.records)

    def compose(self) -> ComposeResult:
        """Table and filter."""
        yield StatusLine(self.face, f"Study {self.study.id} · {words.plain(self.study.title, 60)}")
        yield self.table
        yield FilterLine(self.face)
        yield KeyLine(self.face, Place.STUDY)

    def take(self, snapshot: Snapshot) -> None:
        """Runs came, went or ended."""
        super().take(snapshot)
        self.read_runs(snapshot)

    @work(thread=True, exclusive=True, group="study")
    def read_runs(self, snapshot: Snapshot) -> None:
        """Read the journals of the run that is on, and forecast the rest, in a thread."""
        ours = {each.run for each in self.study.runs}
        records = {r.spec.id: r for r in snapshot.runs if r.spec.id in ours}
        live = self._open_live(records)
        fits = self._forecast(snapshot)
        self.post_message(self.Read(records, live, fits))

    def _open_live(self, records: dict[str, RunRecord]) -> LiveRun | None:
        on = (r for r in records.values() if r.outcome is Outcome.RUNNING)
        record = next(on, None)
        if record is None:
            return None
        live = LiveRun(self.console.lab.folder(record.spec.id), record.spec)
        try:
            live.advance()
        except (Problem, OSError) as problem:
            self.console.post_message(self.console.Failed(told(problem)))
            return None
        records[record.spec.id] = live.projection.record()
        return live

    def _forecast(self, snapshot: Snapshot) -> dict[tuple[str, str], str]:
        free = free_memory(self.console.read_board())
        board = fitting.Board(free, snapshot.over)
        return {
            (settings.model, precision.value): expected.fit.value
            for settings in self.study.plan
            for precision, expected in fitting.fits(settings, self.console.lab.home, board).items()
        }

    @on(Read)
    def _show(self, event: Read) -> None:
        self.records, self.live = event.records, event.live
        self._fits.update(event.fits)
        self._draw()
        self.move(self.live is not None)

    def tick(self) -> None:
        """Take in what the run wrote; the rows are made anew once a second at most."""
        if self.live is None or not self.advance(self.live):
            return
        self._ticks += 1
        over = self.live.projection.outcome.over
        if over or self._ticks % max(1, round(_ROWS_PERIOD_S / self.face.tick_s)) == 0:
            self.records[self.live.folder.id] = self.live.projection.record()
            self._draw()
        if over:
            self.move(False)
            self.console.look()

    def on_screen_resume(self) -> None:
        """Back: go on."""
        self.move(self.live is not None)

    def _draw(self) -> None:
        progress = self.progress
        self.table.show(progress.cells)
        parts = [f"{progress.done} of {self.study.cells} configurations"]
        if not progress.over and progress.time_left_s is not None:
            parts.append(f"about {words.duration(progress.time_left_s)} left")
        self.table.title(" · ".join(["Matrix", *parts]))

    # Keys --------------------------------------------------------------------------------------

    @on(Table.Chosen)
    def _open(self) -> None:
        cell = self.table.row
        if cell is None or cell.record is None:
            self.console.say("that run was not begun yet")
        else:
            self.app.push_screen(RunScreen(self.face, cell.record))

    def action_resume(self) -> None:
        """Go on with all that has no result yet."""
        self._go_on(retry=False)

    def action_retry(self) -> None:
        """The same, and try again what failed."""
        self._go_on(retry=True)

    @work(thread=True, group="go-on")
    def _go_on(self, retry: bool) -> None:
        try:
            started = Studies(self.console.lab).go_on(self.study, retry)
        except (Problem, OSError) as problem:
            self.console.post_message(self.console.Failed(told(problem)))
            return
        said = f"{count(started, 'run')} queued" if started else "there is nothing to go on with"
        self.app.call_from_thread(self.console.say, said)
        self.app.call_from_thread(self.console.look)

    def action_compare(self) -> None:
        """Lay its rows beside a table that is chosen."""
        if not any(map(has_result, self.records.values())):
            self.console.say("there is no result to compare yet")
            return
        left = study_table(Studies(self.console.lab), self.study)

        def show(right: ResultTable) -> None:
            self.app.push_screen(CompareScreen(self.face, left, right))

        ask_for_table(self, left, show, self.study.reference)

    def action_stop(self) -> None:
        """Stop all its runs, after asking."""
        if self.progress.over:
            self.console.say("no run of this study waits or runs")
            return

        def stop(sure: bool | None) -> None:
            if sure:
                self._stop()

        question = "Stop this study?"
        self.app.push_screen(Ask(self.face, question, "What it measured is kept: g goes on."), stop)

    @work(thread=True, group="stop")
    def _stop(self) -> None:
        try:
            Studies(self.console.lab).stop(self.study)
        except (Problem, OSError) as problem:
            self.console.post_message(self.console.Failed(told(problem)))
        self.app.call_from_thread(self.console.look)

    def action_export(self) -> None:
        """Write all results of the study as CSV."""
        records = [self.records[e.run] for e in self.study.runs if e.run in self.records]
        if not records:
            self.console.say("there is no result yet")
            return
        name = f"study-{self.study.name}-{self.study.id}"
        self.console.export(name, partial(results_csv, records), count(len(records), "run"))


def _identity(cell: Cell) -> tuple[str, str]:
    return cell.run.run, _precision(cell)


def _model(cell: Cell) -> str:
    return words.plain(words.short_name(cell.settings.model), 28)


def _precision(cell: Cell) -> str:
    return cell.precision.value if cell.precision is not None else ""


def _dataset(cell: Cell) -> str:
    return words.plain(Path(cell.settings.dataset).stem, 18)


def _number(cell: Cell) -> str:
    return f"#{cell.record.spec.number}" if cell.record is not None else ""


def _state(cell: Cell) -> str:
    share = cell.done_share
    if cell.outcome is Outcome.RUNNING and share is not None:
        return f"running {100 * share:.0f} %"
    return cell.outcome.value


def _fit(cell: Cell, fits: dict[tuple[str, str], str]) -> str:
    return fits.get((cell.settings.model, _precision(cell)), words.UNKNOWN)


def _fit_tone(cell: Cell, fits: dict[tuple[str, str], str]) -> Tone:
    mark = _fit(cell, fits)
    return "label" if mark == words.UNKNOWN else fit_tone(mark)


def _share(cell: Cell, training: str) -> float | None:
    """Accuracy, or relaxed accuracy of questions, by the prompt that is learned."""
    for row in scored_rows(cell.record) if cell.record is not None else ():
        if row.variant["training"] == training and row.is_of_learned_prompt:
            return row.share.value
    return None


def _share_column(title: str, training: str) -> Column[Cell]:
    def share(cell: Cell) -> float | None:
        return _share(cell, training)

    return Column(title, lambda cell: words.number(share(cell)), key=share, right=True)


STATE: Column[Cell] = Column(
    "state", _state, key=_state, tone=lambda cell: outcome_tone(cell.outcome), width=17
)

LEARNED_COLUMNS: tuple[Column[Cell], ...] = (
    Column("adapters", lambda cell: cell.settings.detail, key=lambda cell: cell.settings.detail),
    STATE,
    _share_column("zero-shot", ZERO_SHOT),
    _share_column("fine-tuned", FINE_TUNED),
)
"""Of runs that fine-tune."""


def _error_column(cut: float | None) -> Column[Cell]:
    def error(cell: Cell) -> float | None:
        row = _row_at(cell, cut)
        return row.mae_mean if row is not None else None

    title = "MAE" if cut is None else f"MAE {cut:g}"
    return Column(title, lambda cell: words.number(error(cell)), key=error, right=True)


def _row_at(cell: Cell, cut: float | None) -> ThresholdRow | None:
    rows: Sequence[ThresholdRow] = cell.summary.rows if cell.summary is not None else ()
    return next((row for row in rows if row.threshold == cut), None)


def _p50(cell: Cell) -> float | None:
    latency = cell.summary.latency if cell.summary is not None else None
    return latency.p50_ms if latency is not None and not cell.settings.overlaps else None


def _unanswered(cell: Cell) -> int | None:
    """Questions without a number in their answer: why there may be no MAE."""
    return (cell.summary.unanswered or None) if cell.summary is not None else None


def _rate(cell: Cell) -> float | None:
    return cell.summary.images_per_s if cell.summary is not None else None


def _peak(cell: Cell) -> int | None:
    return cell.summary.peak_memory_bytes if cell.summary is not None else None
