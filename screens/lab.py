"""The Lab: choose a model, a dataset and settings, run, and watch it live."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from msgspec.structs import replace
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.screen import ModalScreen

from edgelab import words
from edgelab.catalogue import Catalogue, DatasetProfile, Entry, HubModel, ModelProfile
from edgelab.converting import default_name, vlm_conversion
from edgelab.export import rows_csv
from edgelab.forecast import Fit
from edgelab.lab import Lab
from edgelab.model_editing import NewModel, add_model
from edgelab.presets import ask, classify, finetuning, quick, training
from edgelab.problem import Problem, told
from edgelab.reader import LiveRun
from edgelab.record import RunRecord
from edgelab.records import Sample
from edgelab.results import ResultRow, table
from edgelab.settings.ask import AskSettings
from edgelab.settings.base import MeasureSettings
from edgelab.settings.classify import ClassifySettings
from edgelab.settings.common import Precision
from edgelab.settings.convert import ConversionSettings, ConvertSettings
from edgelab.settings.detect import DetectSettings
from edgelab.settings.finetune import FinetuneSettings
from edgelab.settings.train import TrainSettings
from screens.actions import Place, bindings
from screens.choice import ASK, DATASET_COLUMNS, MODEL_COLUMNS, ModelRow, asked_rows, model_rows
from screens.columns import result_columns, result_identity
from screens.dialogs import Ask
from screens.face import Face
from screens.ink import count
from screens.run import RunScreen
from screens.runs import RunsScreen
from screens.settings import changed
from screens.table_screen import TableScreen
from screens.watch import Snapshot
from screens.widgets.filter_line import FilterLine
from screens.widgets.lines import KeyLine, StatusLine, TabLine
from screens.widgets.live import LivePanels
from screens.widgets.settings_table import SettingsTable
from screens.widgets.table import Table

TypedSettings = TrainSettings | FinetuneSettings | ConvertSettings
"""What is typed into a form, and not chosen at the left."""

TABS = (("setup", "set-up"), ("live", "live"), ("results", "results"))
FIRST_VISIT = "Press b to run the quick benchmark: one key, no choices, a few minutes at most."
NO_RUN = "No run is on. b runs the quick benchmark, r what is chosen at the left."
NO_RESULT = "Results appear here, a row a precision and threshold, newest run first."
_REST_S = 1.0
_SETTLED_S = 2.0


class LabScreen(TableScreen):
    """Models, datasets and settings at the left, the live panels, the results below."""

    BINDINGS = bindings(Place.LAB)
    AUTO_FOCUS = "#models"
    place = Place.LAB

    class Opened(Message):
        """The journals of a run were read up to now."""

        def __init__(self, live: LiveRun) -> None:
            super().__init__()
            self.live = live

    def __init__(self, lab: Lab, face: Face) -> None:
        super().__init__(face)
        self.catalogue = Catalogue(lab.home)
        self.settings: MeasureSettings = quick()[0]
        self._settings_of: dict[str, MeasureSettings] = {  # of the other tasks
            each.task: each for each in (ask(), classify())
        }
        self.live: LiveRun | None = None
        self.panels = LivePanels(face)
        self.models: Table[ModelRow] = Table(
            MODEL_COLUMNS, lambda row: row.entry.name, face, "Model", "models", headed=False,
            nothing="No model is known: put one under profiles/models.",
        )  # fmt: skip
        self.datasets: Table[Entry[DatasetProfile]] = Table(
            DATASET_COLUMNS, lambda entry: entry.name, face, "Dataset", "datasets", headed=False,
            nothing="No dataset is known: put one under profiles/datasets.",
        )  # fmt: skip
        self.results: Table[ResultRow] = Table(
            result_columns(), result_identity, face, "Results", "results", pinned=5,
            nothing=NO_RESULT,
        )  # fmt: skip
        self._models: list[Entry[ModelProfile]] = []
        self._hub_models: list[Entry[HubModel]] = []
        self._reading: Sample | None = None
        self._passes_over = 0
        self._rested_at = datetime.min

    # Building ------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """All panes; the stylesheet folds them on small terminals."""
        face = self.face
        yield StatusLine(face, "Lab")
        yield TabLine(face, TABS)
        with Container(id="upper"):
            with Container(id="setup"):
                with Container(id="chosen"):
                    yield self.models
                    yield self.datasets
                yield SettingsTable(self.settings, face)
            yield self.panels
        yield self.results
        yield FilterLine(face)
        yield KeyLine(face, Place.LAB)

    def on_mount(self) -> None:
        """Begin at rest; what is slow comes after the first paint."""
        self.set_class(True, "-tab-setup")
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self._settle()
        first = self.settings
        self._models = self.catalogue.models()
        self._hub_models = self.catalogue.hub_models()
        self.datasets.show(self.catalogue.datasets())
        self.datasets.select(first.dataset)
        self._show_models()
        self.models.select(first.model)

    # What the lab does -----------------------------------------------------------------------

    def take(self, snapshot: Snapshot) -> None:
        """Runs came, went or ended."""
        super().take(snapshot)
        if snapshot.problem:
            return  # nothing is known of what came or went
        if self.live is not None and not self.live.folder.path.exists():
            self.live = None
            self.panels.follow(None)
        run = self._run_to_show(snapshot)
        if run is not None and (self.live is None or self.live.folder.id != run.spec.id):
            self.open(run)
        if any(isinstance(run.spec.settings, ConversionSettings) for run in snapshot.over[:1]):
            self._models = self.catalogue.models()
            self._hub_models = self.catalogue.hub_models()
        self._show_results()
        self._show_models()

    def _run_to_show(self, snapshot: Snapshot) -> RunRecord | None:
        """The run that is on; else the newest that is over."""
        runs = (*snapshot.active[:1], *snapshot.over)
        folder = self.console.lab.folder
        return next((run for run in runs if folder(run.spec.id).path.exists()), None)

    @work(thread=True, exclusive=True, group="open")
    def open(self, run: RunRecord) -> None:
        """Read a run's journals up to now, in a thread: there may be 100,000 lines."""
        live = LiveRun(self.console.lab.folder(run.spec.id), run.spec)
        try:
            live.advance()
        except (Problem, OSError) as problem:
            self.console.post_message(self.console.Failed(told(problem)))
            return
        self.post_message(self.Opened(live))

    @on(Opened)
    def _watch(self, event: Opened) -> None:
        self.live = event.live
        self._passes_over = 0
        if self._is_on:
            self.action_tab("live")
            self.move(True)
        self._draw()

    def tick(self) -> None:
        """Take in what the run wrote since the last tick."""
        if self.live is not None and self.advance(self.live):
            self._draw()

    def _draw(self) -> None:
        assert self.live is not None
        run = self.live.projection
        self.panels.follow(run)
        over = sum(state.outcome.over for state in run.passes.values())
        if over != self._passes_over:
            self._passes_over = over
            self._show_results()
        if run.outcome.over:
            self.move(False)
            self._settle()
            self.console.look()

    def on_screen_resume(self) -> None:
        """Back: catch up."""
        if self._is_on:
            self.move(True)
            self.tick()
        if self._models:  # it was begun: a dataset may have got a name meanwhile
            self.datasets.show(self.catalogue.datasets())

    def on_key(self) -> None:
        """At rest the gauges move only when somebody is there."""
        self.rest()

    def rest(self) -> None:
        """Read the board once, at most once a second, while no run is being watched."""
        if self._is_on:
            return
        now = self.console.clock()
        if self._reading is None or (now - self._rested_at).total_seconds() >= _REST_S:
            self._rested_at, self._reading = now, self.console.read_board()
        self.panels.board_pane.follow(None)
        self.panels.board_pane.rest(self._reading, self._rested_at)

    def _settle(self) -> None:
        """Rest now, and again soon: the first reading is still of what went on before."""
        self.rest()
        self.set_timer(_SETTLED_S, self.rest)

    @property
    def _is_on(self) -> bool:
        """True while the run that is being watched is not over."""
        return self.live is not None and not self.live.projection.outcome.over

    # Showing ---------------------------------------------------------------------------------

    @property
    def _ask_settings(self) -> AskSettings:
        chosen = self._settings_of.get(ASK, self.settings)
        assert isinstance(chosen, AskSettings)  # that task's
        return chosen

    def _turn_to(self, task: str) -> None:
        """Each task has settings and a dataset of its own; those of a model's task are shown."""
        if task != self.settings.task and task in self._settings_of:
            dataset = self.datasets.row
            left = changed(self.settings, dataset=dataset.name) if dataset else self.settings
            self._settings_of[left.task] = left
            self.settings = self._settings_of.pop(task)
            self.datasets.select(self.settings.dataset)
            self.query_one(SettingsTable).set_to(self.settings)

    def _show_results(self) -> None:
        self.results.show(list(table(self._records())))

    def _records(self) -> list[RunRecord]:
        over = self.console.snapshot.over
        if self.live is None or any(r.spec.id == self.live.folder.id for r in over):
            return list(over)
        record = self.live.projection.record()
        done = tuple(summary for summary in record.passes if summary.outcome.over)
        return [replace(record, passes=done), *over]

    def _show_models(self) -> None:
        rest = (self._reading, self.console.snapshot.over, self.console.lab.home)
        rows = model_rows(self._models, self.settings.precisions, *rest)
        self.models.show([*rows, *asked_rows(self._hub_models, self._ask_settings, *rest)])
        self._explain_model()

    # Keys --------------------------------------------------------------------------------------

    @on(SettingsTable.Changed)
    def _take_settings(self, event: SettingsTable.Changed) -> None:
        self.settings = event.settings
        self._show_models()

    @on(Table.Chosen, "#models, #datasets")
    def action_run(self) -> None:
        """Run what is chosen."""
        model, dataset = self.models.row, self.datasets.row
        if model is None or dataset is None:
            self.console.say("choose a model and a dataset first", bad=True)
            return
        problem = model.problem or dataset.problem
        if problem is not None:
            self.console.say(words.plain(problem, 300), bad=True)
            return
        settings = changed(self.settings, model=model.entry.name, dataset=dataset.name)
        self._submit(settings, f"{model.entry.name} on {dataset.name}", model)

    def _submit(self, settings: MeasureSettings, title: str, model: ModelRow) -> None:
        if model.forecast is None or model.forecast.fit is not Fit.NO:
            self.console.submit(settings, title)
            return

        def go(sure: bool | None) -> None:
            if sure:
                self.console.submit(settings, title)

        self.app.push_screen(
            Ask(self.face, "It may not fit. Run it all the same?", model.reason), go
        )

    def action_convert(self) -> None:
        """Convert the chosen model; images of the chosen dataset calibrate and check it."""
        model = self.models.row
        if isinstance(self.settings, AskSettings) and model is not None:
            self._convert_asked(model, self.settings)
        elif (settings := self._conversion()) is not None:
            self.console.submit(settings, settings.title)

    def action_convert_as(self) -> None:
        """Type how the chosen model is to be converted, and begin it."""
        from screens.task_form import ConversionForm  # the first paint does not wait for it

        if isinstance(self.settings, AskSettings):
            self.console.say("of a language model only precisions are chosen: p converts it")
        elif (settings := self._conversion()) is not None:
            self._begin_typed(ConversionForm(self.face, settings, self.catalogue))

    def _conversion(self) -> ConvertSettings | None:
        """Of what is chosen; where nothing can come of that, it is said why."""
        model, dataset, measured = self.models.row, self.datasets.row, self.settings
        assert isinstance(measured, (DetectSettings, ClassifySettings))
        wanted = [each for each in measured.precisions if each is not Precision.FP32]
        if model is None or dataset is None or not wanted:
            self.console.say("choose a model, a dataset, and fp16 or int8 first", bad=True)
            return None
        name, home = model.entry.name, self.console.lab.home
        problem = model.problem or dataset.problem
        if problem is not None:
            self.console.say(words.plain(problem, 300), bad=True)
            return None
        return ConvertSettings(
            model=name,
            dataset=dataset.name,
            name=default_name(name, self.catalogue, home),
            precisions=tuple(wanted),
            calibration_images=measured.calibration_images,
            threads=measured.threads,
        )

    def _convert_asked(self, model: ModelRow, asked: AskSettings) -> None:
        """Make the ONNX files that are asked without torch."""
        try:
            settings = vlm_conversion(changed(asked, model=model.entry.name))
        except Problem as problem:
            self.console.say(str(problem), bad=True)
            return
        self.console.submit(settings, f"convert {model.entry.name}")

    def action_train(self) -> None:
        """Type what a training is to be, and begin it."""
        from screens.task_form import TrainingForm  # the first paint does not wait for it

        start = training(self.settings.threads)
        self._begin_typed(TrainingForm(self.face, start, self.catalogue))

    def action_finetune(self) -> None:
        """Type what a fine-tuning of the chosen model is to be, and begin it."""
        from screens.task_form import FinetuningForm  # the first paint does not wait for it

        start = finetuning(self.settings.threads)
        if isinstance(self.settings, AskSettings) and self.models.row is not None:
            start = replace(start, model=self.models.row.entry.name)
        self._begin_typed(FinetuningForm(self.face, start, self.catalogue))

    def action_add_model(self) -> None:
        """Give a checkpoint's folder, or a hub's model, a name, and choose it."""
        from screens.model_form import ModelForm  # the first paint does not wait for it

        home = self.console.lab.home

        def keep(new: NewModel | None) -> None:
            if new is None:
                return
            try:
                add_model(home, new)
            except OSError as error:
                self.console.say(told(error), bad=True)
                return
            self._hub_models = self.catalogue.hub_models()
            self._show_models()
            self.models.select(new.name)
            self.console.say(f"{new.name} is kept, and chosen in the list of models")

        self.app.push_screen(ModelForm(self.face, home), keep)

    def _begin_typed(self, form: ModalScreen[Any]) -> None:
        def begin(settings: TypedSettings | None) -> None:
            if settings is not None:
                self.console.submit(settings, settings.title)

        self.app.push_screen(form, begin)

    def action_quick(self) -> None:
        """Run the quick benchmark."""
        self.console.submit(*quick())

    def action_stop(self) -> None:
        """Stop the run that is on."""
        self.ask_to_stop(self.console.snapshot.current)

    def action_runs(self) -> None:
        """Show all runs."""
        self.app.push_screen(RunsScreen(self.face))

    def action_studies(self) -> None:
        """Show all studies."""
        from screens.studies import StudiesScreen  # the first paint does not wait for it

        self.app.push_screen(StudiesScreen(self.face))

    def action_datasets(self) -> None:
        """Show all datasets."""
        from screens.datasets import DatasetsScreen  # the first paint does not wait for it

        chosen = self.datasets.row
        self.app.push_screen(DatasetsScreen(self.face, chosen.name if chosen else ""))

    @property
    def open_table(self) -> Table[Any]:
        """The table in focus; else the results, which on small terminals are opened for it."""
        if isinstance(self.focused, Table):
            return self.focused
        if not self.results.display:
            self.action_tab("results")
        return self.results

    def reordered(self, table: Table[Any]) -> None:
        """The title of the results tells their order."""
        if table is self.results:
            table.title(f"Results · {table.order_words}" if table.order_words else "Results")

    def action_export(self) -> None:
        """Write the rows of the result table that are shown, as CSV."""
        rows = list(self.results.rows)
        if not rows:
            self.console.say("there is no result yet")
            return
        self.console.export("results", partial(rows_csv, rows), count(len(rows), "row"))

    def action_tab(self, tab: str) -> None:
        """Open a tab where the screen is folded; else go to the pane."""
        for name, _ in TABS:
            self.set_class(name == tab, f"-tab-{name}")
        self.query_one(TabLine).open(tab)
        target = {"setup": "#models", "results": "#results"}.get(tab)
        if target is not None:
            self.set_focus(self.query_one(target))

    @on(Table.Chosen, "#results")
    def _open_result(self) -> None:
        row = self.results.row
        if row is not None:
            self.app.push_screen(RunScreen(self.face, row.run))

    @on(Table.Moved, "#models")
    def _explain_model(self) -> None:
        row = self.models.row
        if row is None:
            return
        self._turn_to(row.task)
        self.models.caption(row.caption if row.problem is None else "")
        hint = NO_RUN if self.console.snapshot.runs else FIRST_VISIT
        self.panels.run_pane.suggest(words.plain(row.problem, 400) if row.problem else hint)
