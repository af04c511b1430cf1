"""Labs to measure on, in temporary folders: with many runs, or with a run that never ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec.structs import replace

from edgelab.durable import try_locked
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.reader import LiveRun
from edgelab.record import RunRecord
from edgelab.run_folder import RunFolder
from edgelab.settings.detect import DetectSettings
from edgelab.store import Store, read_record
from tests.screens.recorded_run import RecordedRun

_PATIENCE_S = 120.0


def recorded(home: Home) -> RunRecord:
    """One run of three precisions and 80 images, written down by the real writers."""
    return read_record(RecordedRun(home).complete().folder)


def numbered(template: RunRecord, number: int) -> RunRecord:
    """The same run as another one of the lab."""
    spec = replace(template.spec, id=f"{0xB0000000 + number:08x}", number=number)
    return replace(template, spec=spec)


def fill(home: Home, count: int) -> list[RunRecord]:
    """Make a lab of that many runs: a recorded one, and the others' records and index."""
    template = recorded(home)
    records = [numbered(template, number) for number in range(2, count + 1)]
    for record in records:
        folder = RunFolder(home.runs / record.spec.id)
        folder.path.mkdir()
        folder.spec_file.write_bytes(msgspec.json.encode(record.spec))
        folder.record.write_bytes(msgspec.json.encode(record))
    Store(home).rebuild()
    home.sequence.write_text(str(count))
    return [template, *records]


@contextmanager
def endless_run(home: Home, settings: DetectSettings) -> Iterator[LiveRun]:
    """A real run, detached, that measures as long as the body lasts.

    Raises RuntimeError where it does not come to measuring.
    """
    lab = Lab(home)
    spec = lab.submit(replace(settings, repetitions=1_000_000), "benchmark")
    live = LiveRun(lab.folder(spec.id))
    try:
        _wait_until_measuring(live)
        yield live
    finally:
        if not live.folder.record.exists():
            lab.stop(live.folder)
        _wait_for_the_supervisor(home)


def _wait_until_measuring(live: LiveRun) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not live.projection.done:
        live.advance()
        if live.projection.outcome.over or time.monotonic() > deadline:
            log = live.folder.log.read_text() if live.folder.log.exists() else ""
            raise RuntimeError(f"the run measures nothing: {log[-2000:]}")
        time.sleep(0.1)


def _wait_for_the_supervisor(home: Home) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        with try_locked(home.supervisor_lock) as gone:
            if gone:
                return
        time.sleep(0.1)
    raise RuntimeError("the supervisor does not end")


def scratch(folder: Path, name: str) -> Home:
    """A new lab in `folder`."""
    home = Home(folder / name)
    home.root.mkdir()
    return home
