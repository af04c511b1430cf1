"""Watching the board for a run: samples and power readings into telemetry.jsonl, once a second."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from edgelab.boards import recognise
from edgelab.catalogue import Catalogue
from edgelab.consoles import open_consoles
from edgelab.energy import config as power_config
from edgelab.energy.discovery import discover
from edgelab.energy.estimate import PowerModel
from edgelab.energy.monitor import PowerMonitor
from edgelab.home import Home
from edgelab.journal import JournalWriter
from edgelab.problem import Problem
from edgelab.records import BaselineEnded, Record, Sample
from edgelab.run_folder import RunFolder
from edgelab.telemetry import Board
from edgelab.telemetry.process_tree import ProcessTree

log = logging.getLogger(__name__)

PERIOD_S = 1.0


class Observer:
    """Samples on a grid of one second. Whatever fails here costs readings, never the run.

    `shift_s`: what the run's clock is ahead of the machine's.
    """

    def __init__(
        self, home: Home, folder: RunFolder, root: Path = Path("/"), shift_s: float = 0.0
    ) -> None:
        self._home = home
        self._folder = folder
        self._board = Board(root, home.root)
        self._consoles: dict[int, ProcessTree] = {}
        self.warnings: list[str] = []
        self._power, self.idle_baseline_s = self._open_power(root)
        self._journal = self._open_journal(shift_s)
        self._next = time.monotonic()
        self._write(lambda: [self._board.facts(), *self._power.announce()])
        self.newest: Sample = self._board.sample()

    @property
    def has_power(self) -> bool:
        """True where watts are known from anything."""
        return bool(self._power.states)

    def power_heard_since(self, t: float) -> bool:
        """True once each source that was asked after `t` has answered or failed."""
        return self._power.heard_since(t)

    @property
    def pause_s(self) -> float:
        """Seconds until the next sample is due."""
        return max(0.0, self._next - time.monotonic())

    def tick(self, tree: ProcessTree | None = None) -> bool:
        """Take a sample if it is due; True when it was."""
        now = time.monotonic()
        if now < self._next:
            return False
        # The next tick of the grid that lies ahead: a late sample is not made up for.
        self._next += PERIOD_S * (1 + (now - self._next) // PERIOD_S)
        self._sample(tree)
        return True

    def last_of(self, tree: ProcessTree, cpu_seconds: float) -> None:
        """The stretch since the last tick belongs to a step that has just ended."""
        tree.ended(cpu_seconds)
        self._sample(tree)

    def baseline_ended(self, since: float) -> None:
        """Nothing of the run was at work from `since` until now."""
        self._write(lambda: [BaselineEnded(t=time.monotonic(), since=since)])

    def close(self) -> None:
        """End all readings; what failed is told in the supervisor's log."""
        for state in self._power.states:
            if state.missed:
                log.info(
                    "%s: %s missed %d readings: %s",
                    self._folder.id, state.name, state.missed, state.reason,
                )  # fmt: skip
        self._power.close()
        if self._journal is not None:
            self._journal.close()

    def _open_journal(self, shift_s: float) -> JournalWriter | None:
        try:
            return JournalWriter(self._folder.telemetry, shift_s)
        except OSError as error:
            self.warnings.append(f"no readings of the board: {error}")
            return None

    def _sample(self, tree: ProcessTree | None) -> None:
        def read() -> Iterable[Record]:
            self.newest = self._board.sample(tree, self._watchers())
            return [self.newest, *self._power.tick()]

        self._write(read)

    def _watchers(self) -> list[ProcessTree]:
        """The open consoles: what they use is the cost of watching, not somebody else's load."""
        pids = open_consoles(self._home)
        self._consoles = {pid: self._consoles.get(pid) or ProcessTree(pid) for pid in pids}
        return list(self._consoles.values())

    def _write(self, read: Callable[[], Iterable[Record]]) -> None:
        if self._journal is None:
            return
        try:
            for record in read():
                self._journal.append(record)
        except OSError as error:
            log.warning("telemetry of %s ends here: %s", self._folder.id, error)
            self._journal.close()
            self._journal = None

    def _open_power(self, root: Path) -> tuple[PowerMonitor, float]:
        try:
            settings = power_config.load(self._home.power_settings)
            self.warnings += settings.warnings
            sources = discover(root, settings, self._power_model(root)).sources
            return PowerMonitor(sources), settings.config.idle_baseline_s
        except (Problem, OSError) as problem:
            self.warnings.append(f"no power readings: {problem}")
            return PowerMonitor([]), 0.0

    def _power_model(self, root: Path) -> PowerModel | None:
        board = recognise(Catalogue(self._home).boards(), root)
        return board.profile.power if board is not None and board.profile is not None else None
