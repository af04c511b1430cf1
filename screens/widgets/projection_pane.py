"""A panel that shows one run as its projection tells it."""

from __future__ import annotations

from edgelab.projection import RunProjection
from edgelab.records import Outcome
from screens.face import Face
from screens.ink import Line, Tone
from screens.widgets.pane import Pane

_TONES: dict[Outcome, Tone] = {
    Outcome.QUEUED: "label",
    Outcome.RUNNING: "accent",
    Outcome.FINISHED: "good",
    Outcome.STOPPED: "warn",
    Outcome.NOT_RUN: "label",
}


def outcome_tone(outcome: Outcome) -> Tone:
    """The colour that goes with the word; the word is always there."""
    return _TONES.get(outcome, "bad")


class ProjectionPane(Pane):
    """A panel of one run; without a run it shows `idle`."""

    def __init__(self, face: Face, title: str, id: str) -> None:  # noqa: A002
        super().__init__(face, title, id)
        self.run: RunProjection | None = None

    def follow(self, run: RunProjection | None) -> None:
        """Show this state of a run."""
        self.run = run
        self.update()

    def draw(self) -> list[Line]:
        """The run, or what to do when there is none."""
        return self.idle() if self.run is None else self.lines(self.run)

    def idle(self) -> list[Line]:
        """Shown while no run is."""
        return []

    def lines(self, run: RunProjection) -> list[Line]:
        """Shown of a run."""
        raise NotImplementedError
