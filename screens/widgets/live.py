"""The live panels: a run's state as it happens, or as it happened. Lab and replay share them."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container

from edgelab.projection import RunProjection
from edgelab.settings.finetune import FinetuneSettings
from edgelab.settings.train import TrainSettings
from screens.face import Face
from screens.widgets.board_pane import BoardPane
from screens.widgets.latency_pane import LatencyPane
from screens.widgets.picture import PicturePane
from screens.widgets.run_pane import RunPane
from screens.widgets.training_pane import TrainingPane

LEARNING = (TrainSettings, FinetuneSettings)
"""Tasks that have no latency of interest, before their first step either."""


class LivePanels(Container):
    """Run, latency and board side by side or stacked, as the screen's stylesheet says.

    `picture`: with the image that is asked about below the board.
    """

    def __init__(self, face: Face, picture: bool = True) -> None:
        super().__init__(id="live")
        self.run_pane = RunPane(face, "Run", "run-pane")
        self.latency_pane = LatencyPane(face, "Latency", "latency-pane")
        self.training_pane = TrainingPane(face, "Training", "training-pane")
        self.training_pane.display = False
        self.picture_pane = PicturePane(face) if picture else None
        self.board_pane = BoardPane(face, "Board", "board-pane")

    def compose(self) -> ComposeResult:
        """The panels; a training has its own in the place of latency."""
        with Container(id="meters"):
            yield self.run_pane
            yield self.latency_pane
            yield self.training_pane
        with Container(id="side"):
            yield self.board_pane
            if self.picture_pane is not None:
                yield self.picture_pane

    def follow(self, run: RunProjection | None) -> None:
        """Show this state of a run in all panels."""
        current = run.current if run else None
        self.latency_pane.title(f"Latency · {current.precision.value}" if current else "Latency")
        training = run is not None and isinstance(run.spec.settings, LEARNING)
        self.latency_pane.display, self.training_pane.display = not training, training
        meter = self.training_pane if training else self.latency_pane
        if self.picture_pane is not None:
            self.picture_pane.follow(run)
        for pane in (self.run_pane, meter, self.board_pane):
            pane.follow(run)
