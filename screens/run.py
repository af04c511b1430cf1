"""One run: live while it is on, a replay when it is over; charts, items, facts, log."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message

from edgelab import words
from edgelab.breakdown import CLASS_COLUMNS, COUNT_COLUMNS, lines_csv
from edgelab.export import classes_csv, conversions_csv, curves_csv, items_csv
from edgelab.problem import Problem, told
from edgelab.projection import RunProjection
from edgelab.reader import LiveRun, Replay
from edgelab.record import RunRecord
from edgelab.records import Item
from edgelab.scored import scored_rows
from edgelab.settings.ask import AskSettings
from edgelab.settings.convert import ConversionSettings
from edgelab.settings.detect import DetectSettings
from screens.actions import Place, bindings
from screens.breakdown import class_table, count_table, lines_at
from screens.classes import class_columns, class_identity, class_lines, summary
from screens.doctor import DOCTOR_COLUMNS, findings
from screens.face import Face
from screens.facts import FACT_COLUMNS, LOG_COLUMNS, LONG, Fact, facts_of, log_of
from screens.ink import count
from screens.items import item_columns, item_identity, worst_first
from screens.scores import score_columns, score_identity
from screens.table_screen import TableScreen
from screens.watch import Snapshot
from screens.widgets.charts import HistogramPane, ReplayBar, TimelinePane
from screens.widgets.detail_pane import DetailPane
from screens.widgets.filter_line import FilterLine
from screens.widgets.lines import KeyLine, StatusLine, TabLine
from screens.widgets.live import LivePanels
from screens.widgets.picture import PicturePane
from screens.widgets.table import Table
from screens.widgets.training_pane import CurvesPane

TABS = (
    ("live", "live"),
    ("charts", "charts"),
    ("items", "items"),
    ("facts", "facts"),
    ("log", "log"),
    ("doctor", "doctor"),
    ("classes", "classes"),
    ("counts", "counts"),
)
LEARNING_TABS = tuple((tab, "scores" if tab == "items" else name) for tab, name in TABS[:-1])
SLOWEST, FASTEST = 0.5, 16.0
_SEEK_SHARE = 0.02


class RunScreen(TableScreen):
    """The live panels above, one of the other tabs below; folded on small terminals."""

    CSS_PATH = "run.tcss"
    BINDINGS = bindings(Place.RUN)
    AUTO_FOCUS = ""
    place = Place.RUN

    class Loaded(Message):
        """The journals were read; `facts` and `log` come along."""

        def __init__(
            self, source: LiveRun | Replay, record: RunRecord, facts: list[Fact], log: list[Fact]
        ) -> None:
            super().__init__()
            self.source = source
            self.record = record
            self.facts = facts
            self.log = log

    def __init__(
        self, face: Face, run: RunRecord, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(face)
        self.record = run
        self.source: LiveRun | Replay | None = None
        self._monotonic = monotonic
        self._threshold = len(run.spec.settings.cuts) // 2
        self._measures = bool(run.spec.settings.passes)
        self._counts = isinstance(run.spec.settings, DetectSettings | AskSettings)

    # Building ------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """All panes."""
        face, spec = self.face, self.record.spec
        yield StatusLine(face, f"Run #{spec.number} · {words.plain(spec.title, 60)}")
        yield LivePanels(face, picture=False)
        yield ReplayBar(face)
        yield TabLine(face, TABS if self._measures else LEARNING_TABS)
        with Container(id="charts"):
            yield TimelinePane(face, "timeline")
            yield HistogramPane(face, "histogram")
            yield CurvesPane(face, "curves")
            yield PicturePane(face)
        yield self._items_table()
        yield Table(FACT_COLUMNS, lambda f: f.number, face, "Facts", "facts", headed=False)
        yield Table(
            LOG_COLUMNS, lambda f: f.number, face, "Log", "log", headed=False, pinned=0,
            nothing="The runner printed nothing.",
        )  # fmt: skip
        yield DetailPane(face)
        yield Table(
            DOCTOR_COLUMNS, lambda f: f.number, face, "Quantisation doctor", "doctor", headed=False,
            nothing="No model was converted for this run.",
        )  # fmt: skip
        yield self._classes_table()
        yield count_table(face)
        yield FilterLine(face)
        yield KeyLine(face, Place.RUN)

    def _classes_table(self) -> Table[Any]:
        """Each class: how it was counted, or how it was classified."""
        if self._counts:
            return class_table(self.face)
        return Table(
            class_columns(()), class_identity, self.face, "Classes", "classes", pinned=2,
            nothing="Nothing was classified yet.",
        )  # fmt: skip

    def _items_table(self) -> Table[Any]:
        """The images that were measured; of a training, what it attained."""
        if self._measures:
            columns = item_columns(self.record.spec.settings)
            return Table(
                columns, item_identity, self.face, "Items", "items",
                nothing="Images are listed when the run is over.",
            )  # fmt: skip
        return Table(
            score_columns(()), score_identity, self.face, "Scores", "items",
            nothing="Nothing was asked or measured yet.",
        )  # fmt: skip

    def on_mount(self) -> None:
        """Paint, then read."""
        self.action_tab("live")
        self.load()

    @work(thread=True, exclusive=True, group="load")
    def load(self) -> None:
        """Read the run in a thread."""
        lab, folder = self.console.lab, self.console.lab.folder(self.record.spec.id)
        try:
            record = lab.record(folder)
            source: LiveRun | Replay
            if folder.record.exists():
                source = Replay(folder, monotonic=self._monotonic)
                source.seek(source.length)
            else:
                source = LiveRun(folder)
            source.advance()
        except (Problem, OSError) as problem:
            self.console.post_message(self.console.Failed(told(problem)))
            return
        self.post_message(self.Loaded(source, record, facts_of(record, folder), log_of(folder)))

    @on(Loaded)
    def _show(self, event: Loaded) -> None:
        self.source, self.record = event.source, event.record
        self.query_one("#facts", Table).show(event.facts)
        log = self.query_one("#log", Table)
        log.show(event.log)
        log.action_last()
        if not self._measures:
            self._show_scores()
        if isinstance(event.source, Replay):
            self.query_one(TimelinePane).show(event.source)
            self._show_items()
        else:
            self.move(True)
        self._draw()

    # Time --------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Show what is due."""
        source = self.source
        if source is None:
            return
        if self.advance(source) or isinstance(source, Replay):
            self._draw()
        if isinstance(source, Replay) and not source.playing:
            self.move(False)
        elif isinstance(source, LiveRun) and source.projection.outcome.over:
            self.move(False)
            self.console.look()

    def take(self, snapshot: Snapshot) -> None:
        """A live run that has got its record becomes a replay, a resumed one is live again."""
        super().take(snapshot)
        ended = any(record.spec.id == self.record.spec.id for record in snapshot.over)
        active = any(record.spec.id == self.record.spec.id for record in snapshot.active)
        if (ended and isinstance(self.source, LiveRun)) or (
            active and isinstance(self.source, Replay)
        ):
            self.load()

    def on_screen_resume(self) -> None:
        """Back: go on."""
        live = isinstance(self.source, LiveRun) and not self.source.projection.outcome.over
        if live or (isinstance(self.source, Replay) and self.source.playing):
            self.move(True)

    def _draw(self) -> None:
        assert self.source is not None
        run = self.source.projection
        replay = self.source if isinstance(self.source, Replay) else None
        self.query_one(LivePanels).follow(run)
        self.set_class(run.training is not None, "-trains")
        self.query_one(ReplayBar).follow(replay)
        self._show_doctor(run)
        if self.query_one("#classes").display and not self._counts:
            self._show_classes(run)
        if self.query_one("#charts").display:
            self.query_one(TimelinePane).update()
            self.query_one(HistogramPane).follow(run)
            self.query_one(CurvesPane).follow(run)
            self.query_one(PicturePane).follow(run)

    def _show_doctor(self, run: RunProjection) -> None:
        table = self.query_one("#doctor", Table)
        found = findings(run.conversions.values())
        if len(found) != len(table.rows):
            table.show(found)

    def _show_classes(self, run: RunProjection) -> None:
        """Each class of all that were scored, as they stand now."""
        table = self.query_one("#classes", Table)
        scores = (*run.scores.values(), *run.measured_scores())
        names = [each.name for each in scores[-1].classes] if scores else []
        table.columns = class_columns(names)
        table.show(class_lines(scores))
        table.title(f"Classes · {summary(scores)}" if scores else "Classes")

    # Items -------------------------------------------------------------------------------------

    def _show_scores(self) -> None:
        rows = list(scored_rows(self.record))
        table = self.query_one("#items", Table)
        table.columns = score_columns(rows)
        table.show(rows)

    def _show_items(self) -> None:
        if not self._measures:
            return
        assert isinstance(self.source, Replay)
        at = self._threshold
        items = [record for record in self.source.records if isinstance(record, Item)]
        rows = worst_first(items, at)
        table = self.query_one("#items", Table)
        classes = self.record.dataset.classes if self.record.dataset else ()
        table.columns = item_columns(self.record.spec.settings, classes)
        table.show(rows)
        if self._counts:
            by_class, by_count = lines_at(self.record, self.record.spec.settings.cuts[at])
            self.query_one("#classes", Table).show(by_class)
            self.query_one("#counts", Table).show(by_count)
        self._name_tables()

    def _name_tables(self) -> None:
        """Their titles tell threshold and order."""
        if not self._measures:
            return
        self._entitle("items", "Items", "worst first")
        if self._counts:
            self._entitle("classes", "Classes")
            self._entitle("counts", "Errors by true count")

    def _entitle(self, table_id: str, name: str, usual_order: str = "") -> None:
        table = self.query_one(f"#{table_id}", Table)
        threshold = self.record.spec.settings.cuts[self._threshold]
        at = "" if threshold is None else f"at threshold {threshold:g}"
        table.title(" · ".join(filter(None, (name, table.order_words or usual_order, at))))

    # Keys --------------------------------------------------------------------------------------

    def action_tab(self, tab: str) -> None:
        """Open a tab. Unfolded, the live panels are always there and the charts stand for them."""
        for name, _ in TABS:
            self.set_class(name == tab, f"-tab-{name}")
        self.query_one(TabLine).open(tab)
        if tab not in ("live", "charts"):
            self.set_focus(self.query_one(f"#{tab}"))
            self._explain()
        else:
            self.set_focus(None)
        if self.source is not None:
            self.call_after_refresh(self._draw)

    @on(Table.Moved, "#facts, #log")
    def _explain(self) -> None:
        """The whole of a fact, or of a line of the log: a reason is longer than a row."""
        for table in self.query("#facts, #log").results(Table):
            if table.display:
                said = table.row.value if table.row else ""
                self.query_one(DetailPane).say(words.plain(said, LONG))

    def action_play(self) -> None:
        """Play, or pause."""
        if not isinstance(self.source, Replay):
            self.console.say("the run is on: it can be replayed when it is over")
            return
        if self.source.playing:
            self.source.pause()
        else:
            self.source.play()
            self.move(True)
        self.tick()

    def action_seek(self, direction: int) -> None:
        """Go back or on by a fiftieth of the run."""
        if isinstance(self.source, Replay):
            self.seek(self.source.position + direction * _SEEK_SHARE * self.source.length)

    def action_seek_start(self) -> None:
        """Go to the start."""
        self.seek(0.0)

    def action_seek_end(self) -> None:
        """Go to the end."""
        if isinstance(self.source, Replay):
            self.seek(self.source.length)

    def seek(self, position: float) -> None:
        """Show the run as it was at `position`, in seconds."""
        if isinstance(self.source, Replay):
            self.source.seek(position)
            self.source.advance()
            self._draw()

    def action_slower(self) -> None:
        """Half the speed."""
        self._set_speed(0.5)

    def action_faster(self) -> None:
        """Twice the speed."""
        self._set_speed(2.0)

    def _set_speed(self, factor: float) -> None:
        if isinstance(self.source, Replay):
            self.source.speed = min(FASTEST, max(SLOWEST, self.source.speed * factor))
            self._draw()

    def action_threshold(self) -> None:
        """Count errors at the next threshold."""
        if len(self.record.spec.settings.cuts) < 2:
            self.console.say("there is no other threshold in this run")
            return
        self._threshold = (self._threshold + 1) % len(self.record.spec.settings.cuts)
        if isinstance(self.source, Replay):
            self._show_items()

    def action_export(self) -> None:
        """Write what the open tab shows; else one row an image, or a training's curves."""
        folder = self.console.lab.folder(self.record.spec.id)
        converts = isinstance(self.record.spec.settings, ConversionSettings)
        training = self.source.projection.training if self.source is not None else None
        if converts or self.query_one("#doctor").display:
            self._export_conversions()
        elif self.query_one("#classes").display:
            self._export_classes()
        elif self.query_one("#counts").display:
            self.export_rows(f"counts-{folder.id}", partial(lines_csv, COUNT_COLUMNS), "row")
        elif training is not None:
            steps = count(training.steps, "step")
            self.console.export(f"curves-{folder.id}", partial(curves_csv, [folder]), steps)
        else:
            images = count(self.source.projection.done, "image") if self.source else "the images"
            self.console.export(f"items-{folder.id}", partial(items_csv, [folder]), images)

    def _export_classes(self) -> None:
        record = self.record if self.source is None else self.source.projection.record()
        if self._counts:
            name = f"classes-{record.spec.id}"
            self.export_rows(name, partial(lines_csv, CLASS_COLUMNS), "row")
            return
        rows = sum(len(each.classes) for each in record.scores)
        name = f"classes-{record.spec.id}"
        self.console.export(name, partial(classes_csv, [record]), count(rows, "row"))

    def _export_conversions(self) -> None:
        record = self.record if self.source is None else self.source.projection.record()
        made = count(len(record.conversions), "conversion")
        name = f"conversions-{record.spec.id}"
        self.console.export(name, partial(conversions_csv, [record]), made)

    def action_stop(self) -> None:
        """Stop this run, after asking."""
        self.ask_to_stop(self.record)

    def action_resume(self) -> None:
        """Go on with this run."""
        self.resume(self.record)

    def action_retry(self) -> None:
        """Start it again with less, where memory ran out."""
        self.console.retry_smaller(self.record)

    @property
    def open_table(self) -> Table[Any]:
        """The table of the open tab; where none is open, the images' is opened."""
        for table in self.query(Table):
            if table.display:
                return table
        self.action_tab("items")
        return self.query_one("#items", Table)

    def reordered(self, table: Table[Any]) -> None:  # noqa: ARG002
        """The titles tell the order."""
        self._name_tables()
