"""What a fine-tuning leaves in the artifacts of its run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgelab.run_folder import RunFolder


@dataclass(frozen=True)
class Artifacts:
    """The files of one run, by name."""

    folder: RunFolder

    @property
    def data(self) -> Path:
        """What is learned and asked, as `prepare` left it."""
        return self.folder.artifacts / "data.json"

    @property
    def checkpoint(self) -> Path:
        """From what an interrupted training goes on; gone when it is over."""
        return self.folder.artifacts / "checkpoint.pt"

    @property
    def best(self) -> Path:
        """The adapter of the epoch with the lowest held-out loss."""
        return self.folder.artifacts / "adapter" / "best"

    @property
    def last(self) -> Path:
        """The adapter after the newest epoch."""
        return self.folder.artifacts / "adapter" / "last"

    @property
    def merged(self) -> Path:
        """The whole model with the best adapter in its weights."""
        return self.folder.artifacts / "merged"

    @property
    def tensorboard(self) -> Path:
        """Event files, on request."""
        return self.folder.artifacts / "tensorboard"
