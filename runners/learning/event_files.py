"""TensorBoard event files, on request."""

from __future__ import annotations

from pathlib import Path

from edgelab.records import EpochEnded, Record, TrainStep
from runners.extras import needs


class EventFiles:
    """Writes the curves once more, for `tensorboard --logdir`."""

    def __init__(self, folder: Path) -> None:
        with needs("train", "TensorBoard event files"):
            from torch.utils.tensorboard import SummaryWriter
        self._writer = SummaryWriter(str(folder))
        self._step = 0

    def add(self, record: Record) -> None:
        """A step's loss and learning rate, an epoch's held-out figures; all else is passed over."""
        if isinstance(record, TrainStep):
            self._step = record.step
            self._writer.add_scalar("train/loss", record.loss, record.step)
            self._writer.add_scalar("train/learning_rate", record.learning_rate, record.step)
        elif isinstance(record, EpochEnded):
            for name, value in {"loss": record.val_loss, **record.metrics}.items():
                if value is not None:
                    self._writer.add_scalar(f"val/{name}", value, self._step)

    def close(self) -> None:
        """Write what is waiting."""
        self._writer.close()
