"""What all screens of the console share."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.screen import Screen

from edgelab.problem import Problem, told
from edgelab.reader import RunSource
from edgelab.record import RunRecord
from edgelab.run_folder import RunFolder
from screens.actions import Place
from screens.dialogs import Ask
from screens.face import Face
from screens.watch import Snapshot
from screens.widgets.lines import StatusLine

if TYPE_CHECKING:
    from screens.app import Console


class ConsoleScreen(Screen[None]):
    """A full screen: a status line, what it is about, a line of keys."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (112, "-wide")]  # noqa: RUF012 - as declared there
    VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-tall")]  # noqa: RUF012

    place: ClassVar[Place]

    def __init__(self, face: Face) -> None:
        super().__init__()
        self.face = face
        self._moving = False

    @property
    def console(self) -> Console:
        """The app, by its own type."""
        return cast("Console", self.app)

    @property
    def folded(self) -> bool:
        """True where the terminal is too small for all panes at once."""
        return self.has_class("-narrow") or self.has_class("-short")

    @property
    def moving(self) -> bool:
        """True while the screen looks at its run at every tick."""
        return self._moving

    def move(self, on: bool) -> None:
        """Begin to tick, or stand still; a covered screen stands still."""
        self._moving = on and self.is_current
        if self._moving:
            self._timer.resume()
        else:
            self._timer.pause()

    def tick(self) -> None:
        """Take in what is due by the clock."""

    def advance(self, source: RunSource) -> bool:
        """Move a run on; one that cannot be read any more is said once, and left standing."""
        try:
            return source.advance()
        except (Problem, OSError) as problem:
            self.move(False)
            self.console.say(told(problem), bad=True)
            return False

    def on_mount(self) -> None:
        """Stand still at first."""
        self._timer = self.set_interval(self.face.tick_s, self.tick, pause=True)

    def take(self, snapshot: Snapshot) -> None:
        """The lab changed."""
        self.query_one(StatusLine).say(snapshot.state)

    def ask_to_stop(self, record: RunRecord | None) -> None:
        """Stop a run that is not over, after asking."""
        if record is None or record.outcome.over:
            self.console.say("that run is over" if record else "no run is on")
            return
        folder: RunFolder = self.console.lab.folder(record.spec.id)

        def stop(sure: bool | None) -> None:
            if sure:
                self.console.stop_run(folder)

        question = Ask(self.face, f"Stop run #{record.spec.number}?", "What it measured is kept.")
        self.app.push_screen(question, stop)

    def resume(self, record: RunRecord | None) -> None:
        """Go on with a run that ended before its time."""
        if record is not None:
            self.console.resume_run(self.console.lab.folder(record.spec.id))

    def on_screen_suspend(self) -> None:
        """Covered: nothing to draw."""
        self.move(False)

    def on_screen_resume(self) -> None:
        """While it was covered, the lab may have changed. (Textual calls subclasses' too.)"""
        self.take(self.console.snapshot)
