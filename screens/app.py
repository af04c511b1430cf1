"""The console: a thin app that watches the lab and hands what changed to its screens."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import App
from textual.message import Message

from edgelab import words
from edgelab.export import write_csv
from edgelab.lab import Lab
from edgelab.problem import Problem, told
from edgelab.record import RunRecord
from edgelab.records import Sample
from edgelab.run_folder import RunFolder
from edgelab.smaller import retry_smaller
from edgelab.spec import RunSpec, Settings
from edgelab.telemetry import Board
from screens.actions import Place, bindings
from screens.base import ConsoleScreen
from screens.dialogs import Leave, Leaving
from screens.face import Face
from screens.help import HelpScreen
from screens.lab import LabScreen
from screens.palette import Palette
from screens.themes import THEMES
from screens.watch import Snapshot, Watch
from screens.widgets.picture import terminal_picture
from screens.widgets.table import Table

_LONGEST_NOTICE = 500

LOOK_PERIOD_S = 1.0
"""Seconds between two looks at what others did to the lab."""

RECOVER_LOOKS = 5
"""After so many it is seen to, while a run is on, that its supervisor lives."""


class Console(App[None]):
    """The Textual app of one lab.

    `board` and `clock` give the gauges at rest and the times of files, power sources are looked
    for under `root`; tests replace them.
    A hang-up simply ends this process: the run is the supervisor's, and goes on.
    """

    TITLE = "edgelab"
    # Textual reads no stylesheet for the default screen: the Lab's is named here.
    CSS_PATH: ClassVar = ["app.tcss", "lab.tcss"]
    BINDINGS = bindings(Place.EVERYWHERE)
    ENABLE_COMMAND_PALETTE = False  # ours is screens.palette

    class Looked(Message):
        """The lab was read."""

        def __init__(self, snapshot: Snapshot) -> None:
            super().__init__()
            self.snapshot = snapshot

    class Submitted(Message):
        """A run was put into the queue."""

        def __init__(self, spec: RunSpec) -> None:
            super().__init__()
            self.spec = spec

    class Wrote(Message):
        """A file was written."""

        def __init__(self, path: Path, what: str) -> None:
            super().__init__()
            self.path = path
            self.what = what

    class Failed(Message):
        """A worker met a Problem."""

        def __init__(self, problem: str) -> None:
            super().__init__()
            self.problem = problem

    def __init__(
        self,
        lab: Lab,
        face: Face | None = None,
        board: Callable[[], Sample] | None = None,
        clock: Callable[[], datetime] = datetime.now,
        root: Path = Path("/"),
    ) -> None:
        # Textual chooses how to leave colours out before it knows our theme, and would turn the
        # terminal's own colours into black on black.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.lab = lab
        self.face = face or Face()
        self.read_board = board or Board().sample
        self.clock = clock
        self.root = root
        self.snapshot = Snapshot()
        self.written: Path | None = None
        self._watch = Watch(lab)
        self._not_recovered = ""
        self.animation_level = "none"
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = os.environ.get("TEXTUAL_THEME", THEMES[0].name)
        self.set_class(self.face.glyphs.ascii_only, "-ascii")

    def get_default_screen(self) -> LabScreen:
        """The Lab is where everything begins."""
        return LabScreen(self.lab, self.face)

    def on_mount(self) -> None:
        """Paint first; then see to runs that nobody ended, and read the lab."""
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self.recover()
        self.look()
        self.set_interval(LOOK_PERIOD_S, self.look)
        self.set_interval(RECOVER_LOOKS * LOOK_PERIOD_S, self.recover_active)

    def recover_active(self) -> None:
        """A supervisor may die while its run is watched: it would be shown as running for ever."""
        if self.snapshot.active:
            self.recover()

    @work(thread=True, exclusive=True, group="recover")
    def recover(self) -> None:
        """End what nobody ended, in a thread; why that cannot be is said once."""
        said = ""
        try:
            self.lab.recover()
        except (Problem, OSError) as problem:
            said = told(problem)
        if said not in ("", self._not_recovered):
            self.post_message(self.Failed(said))
        self._not_recovered = said

    def look(self) -> None:
        """Read the lab where anything changed."""
        if self._watch.moved():
            self.read_lab()

    @work(thread=True, exclusive=True, group="look")
    def read_lab(self) -> None:
        """Read the lab in a thread."""
        try:
            snapshot = self._watch.read()
        except (Problem, OSError) as problem:
            snapshot = replace(self.snapshot, problem=told(problem))
        self.post_message(self.Looked(snapshot))

    @work(thread=True, group="submit")
    def submit(self, settings: Settings, title: str) -> None:
        """Queue a run in a thread."""
        try:
            spec = self.lab.submit(settings, title)
        except (Problem, OSError) as problem:
            self.post_message(self.Failed(told(problem)))
        else:
            self.post_message(self.Submitted(spec))

    @work(thread=True, group="stop")
    def stop_run(self, folder: RunFolder) -> None:
        """Ask a run to stop, in a thread."""
        try:
            self.lab.stop(folder)
        except (Problem, OSError) as problem:
            self.post_message(self.Failed(told(problem)))

    @work(thread=True, group="resume")
    def resume_run(self, folder: RunFolder) -> None:
        """Put a run back into the queue, in a thread."""
        try:
            self.lab.resume(folder)
        except (Problem, OSError) as problem:
            self.post_message(self.Failed(told(problem)))
        else:
            self.call_from_thread(self.look)

    @work(thread=True, group="submit")
    def retry_smaller(self, record: RunRecord) -> None:
        """Start a run that ran out of memory again with less, in a thread; say what is less."""
        try:
            spec, change = retry_smaller(self.lab, self.lab.record(self.lab.folder(record.spec.id)))
        except (Problem, OSError) as problem:
            self.post_message(self.Failed(told(problem)))
        else:
            self.call_from_thread(self.look)
            self.call_from_thread(self.say, f"run #{spec.number} is queued, {change}")

    @work(thread=True, group="export")
    def export(self, name: str, text: Callable[[], str], what: str, suffix: str = "csv") -> None:
        """Write a file into the lab's exports, in a thread."""
        path = self.lab.home.exports / f"{name}-{self.clock():%Y%m%d-%H%M%S}.{suffix}"
        try:
            write_csv(path, text())
        except (Problem, OSError) as problem:
            self.post_message(self.Failed(told(problem)))
        else:
            self.post_message(self.Wrote(path, what))

    @work(thread=True, group="delete")
    def delete(self, folders: Sequence[RunFolder]) -> None:
        """Remove runs, in a thread."""
        for folder in folders:
            try:
                self.lab.delete(folder)
            except (Problem, OSError) as problem:
                self.post_message(self.Failed(told(problem)))
        self.call_from_thread(self.look)

    def say(self, text: str, bad: bool = False) -> None:
        """A short notice; foreign text in it stays text."""
        self.notify(
            self.face.glyphs.text(words.plain(text, _LONGEST_NOTICE)),
            severity="error" if bad else "information",
            markup=False,
        )

    @on(Looked)
    def _share(self, event: Looked) -> None:
        if event.snapshot.problem not in ("", self.snapshot.problem):
            self.say(event.snapshot.problem, bad=True)
        self.snapshot = event.snapshot
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen):
                screen.take(event.snapshot)

    @on(Submitted)
    def _tell_submitted(self, event: Submitted) -> None:
        if before := len(self.snapshot.active):
            self.say(f"run #{event.spec.number} waits: {before} before it")
        self.look()

    @on(Wrote)
    def _tell_written(self, event: Wrote) -> None:
        self.written = event.path
        self.say(f"{event.what} written to {event.path} (Y copies the path)")

    @on(Failed)
    def _tell_failed(self, event: Failed) -> None:
        self.say(event.problem, bad=True)

    # Keys that work everywhere ---------------------------------------------------------------

    def action_lab(self) -> None:
        """Back to the Lab."""
        while len(self.screen_stack) > 1:
            self.pop_screen()

    def action_power(self) -> None:
        """Show where watts come from."""
        from screens.power import PowerScreen  # the first paint does not wait for it

        if not isinstance(self.screen, PowerScreen):
            self.push_screen(PowerScreen(self.face))

    async def action_back(self) -> None:
        """Take the filter off, where there is one; else back to the screen before."""
        if isinstance(self.focused, Table) and self.focused.filter:
            self.focused.show_only("")
        elif len(self.screen_stack) > 1:
            self.pop_screen()

    def action_help(self) -> None:
        """Show all keys."""
        place = self.screen.place if isinstance(self.screen, ConsoleScreen) else Place.LAB
        self.push_screen(HelpScreen(self.face, place))

    @work(group="palette")
    async def action_palette(self) -> None:
        """Find an action by name, and do it."""
        if not isinstance(self.screen, ConsoleScreen):
            return
        screen = self.screen
        action = await self.push_screen_wait(Palette(self.face, screen.place))
        if action is not None:
            namespace = "app" if action.place is Place.EVERYWHERE else "screen"
            await screen.run_action(f"{namespace}.{action.id}")

    def action_theme(self) -> None:
        """The next colours."""
        names = [theme.name for theme in THEMES]
        at = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(at + 1) % len(names)]

    def action_copy(self) -> None:
        """Copy the selected row."""
        if isinstance(self.focused, Table) and self.focused.row is not None:
            self.copy_to_clipboard(self.focused.row_text())
            self.say("the row is copied")
        else:
            self.say("nothing is selected")

    def action_copy_path(self) -> None:
        """Copy the path of the file that was written last."""
        if self.written is None:
            self.say("no file was written yet: e exports")
        else:
            self.copy_to_clipboard(str(self.written))
            self.say("the path is copied")

    async def action_quit(self) -> None:
        """Leave; with a run on, ask what becomes of it."""
        self.leave()

    def action_help_quit(self) -> None:
        """What ctrl+c does."""
        self.say("q leaves")

    @work(group="leave")
    async def leave(self) -> None:
        """Ask where there is something to ask, then end."""
        current = self.snapshot.current
        if current is None:
            self.exit()
            return
        choice = await self.push_screen_wait(Leave(self.face, current))
        if choice is Leaving.STAY:
            return
        if choice is Leaving.STOP:
            await self.stop_run(self.lab.folder(current.spec.id)).wait()
        on = self.snapshot.current
        if choice is Leaving.DETACH and on is not None:
            self.exit(message=f"run #{on.spec.number} goes on: edgelab watch {on.spec.id}")
        else:
            self.exit()


def run_console(lab: Lab, ascii_only: bool, low_bandwidth: bool, images: bool) -> None:
    """Open the console of a lab on this terminal and stay until it is left.

    `images`: show the one that is asked about, unless the line is slow. Raises Problem where that
    needs a library that is missing. The mouse stays the terminal's own, so that text can be
    selected and copied as anywhere.
    """
    face = Face.of(ascii_only, low_bandwidth)
    if images and not low_bandwidth:
        face = replace(face, picture=terminal_picture())
    Console(lab, face).run(mouse=False)
