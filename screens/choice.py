"""The rows of the model and dataset lists: profiles, whether they fit, and why not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from edgelab import fitting, words
from edgelab.catalogue import DatasetProfile, Entry, HubModel, ModelProfile, checkpoint_of
from edgelab.forecast import Fit, Forecast, forecast
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.record import RunRecord
from edgelab.records import Sample
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import Precision
from edgelab.vlm_memory import must_hold_weights, onnx_precisions
from edgelab.weights import NOT_HERE, model_file
from screens.ink import Tone
from screens.widgets.table import Column

BROKEN = "broken"
DETECT, ASK = "detect", "ask"
FETCH = "fetch"
"""The weights are not here yet: a run looks for them first."""
NOT_TOLD = "its files do not tell"
LACKS = "lacks"
"""Files are here, of other precisions than the chosen ones."""

_FIT_TONES: dict[str, Tone] = {Fit.FITS.value: "good", Fit.TIGHT.value: "warn", FETCH: "label"}


@dataclass(frozen=True)
class ModelRow:
    """A model of the catalogue and its forecast; without one, `problem` says why, unless its
    weights are only not here yet. `there`: precisions that have files, where each has its own.
    `here`: a checkpoint's files are."""

    entry: Entry[ModelProfile] | Entry[HubModel]
    forecast: Forecast | None
    problem: str | None
    free: int | None = None
    there: tuple[Precision, ...] = ()
    here: bool = False

    @property
    def task(self) -> str:
        """What it is for; a model of a hub is asked."""
        profile = self.entry.profile
        if profile is None or isinstance(profile, HubModel):
            return ASK
        return str(profile.__struct_config__.tag)

    @property
    def caption(self) -> str:
        """The task, where it is not the usual one, and what the mark rests on."""
        return self.reason if self.task == DETECT else f"{self.task} · {self.reason}"

    @property
    def mark(self) -> str:
        """fits, tight, no, ?, broken, fetch or lacks."""
        if self.forecast is not None:
            return self.forecast.fit.value
        if self.problem is not None:
            return BROKEN
        if self.there:
            return LACKS
        return Fit.UNKNOWN.value if self.here else FETCH

    @property
    def reason(self) -> str:
        """What the mark rests on."""
        if self.forecast is None:
            there = f"files of {', '.join(self.there)} only" if self.there else ""
            return self.problem or there or (NOT_TOLD if self.here else NOT_HERE)
        how = "measured" if self.forecast.source.startswith("measured") else "estimated"
        need = f"{words.megabytes(self.forecast.peak_bytes)} MB {how}"
        return need if self.free is None else f"{need}, {self.free / 1e9:.1f} GB free"


def model_rows(
    entries: Iterable[Entry[ModelProfile]],
    precisions: Sequence[Precision],
    board: Sample | None,
    past: Sequence[RunRecord],
    home: Home,
) -> list[ModelRow]:
    """Each model with the forecast of the chosen precision that needs most."""
    free = free_memory(board)
    return [_model_row(entry, precisions, free, past, home) for entry in entries]


def asked_rows(
    entries: Iterable[Entry[HubModel]],
    settings: AskSettings,
    board: Sample | None,
    past: Sequence[RunRecord],
    home: Home,
) -> list[ModelRow]:
    """Models of hubs, which are asked; where their files are here, with a forecast as above."""
    free = free_memory(board)
    rows = []
    for entry in entries:
        asked = replace(settings, model=entry.name, revision=None)
        expected = fitting.fits(asked, home, fitting.Board(free, past)).values()
        known = (each for each in expected if each.peak_bytes)  # of files that are not here: none
        worst = max(known, key=lambda f: f.peak_bytes, default=None)
        folder = fitting.model_folder(entry.name, None, home)
        there = onnx_precisions(folder) if folder is not None else ()
        if problem := entry.problem or _lacking(entry, folder):
            worst = None
        rows.append(ModelRow(entry, worst, problem, free, there, folder is not None))
    return rows


def _lacking(entry: Entry[HubModel], folder: Path | None) -> str | None:
    """Why a model that is a folder cannot be asked: what is not in it is fetched from nowhere."""
    if entry.profile is None or entry.profile.folder is None:
        return None
    if folder is None:
        return f"{checkpoint_of(entry)}: is not there"
    try:
        must_hold_weights(folder)
    except Problem as problem:
        return str(problem)
    return None


def _model_row(
    entry: Entry[ModelProfile],
    precisions: Sequence[Precision],
    free: int | None,
    past: Sequence[RunRecord],
    home: Home,
) -> ModelRow:
    if entry.profile is None:
        return ModelRow(entry, None, entry.problem)
    path = model_file(entry, home)
    if path is None:
        return ModelRow(entry, None, None, free)
    try:
        size = path.stat().st_size
    except OSError:
        return ModelRow(entry, None, f"{path}: the model file is missing")
    forecasts = [forecast(entry.name, p, size, free, past) for p in precisions]
    worst = max(forecasts, key=lambda f: f.peak_bytes, default=None)
    return ModelRow(entry, worst, None, free)


def free_memory(board: Sample | None) -> int | None:
    """Bytes; None where the board does not tell."""
    if board is None or board.memory_total is None or board.memory_used is None:
        return None
    return board.memory_total - board.memory_used


def fit_tone(mark: str) -> Tone:
    """The tone of a mark; the mark itself says it in words."""
    return _FIT_TONES.get(mark, "bad")


MODEL_COLUMNS: tuple[Column[ModelRow], ...] = (
    Column("model", lambda row: words.plain(row.entry.name), flex=True),
    Column("fits", lambda row: row.mark, width=6, tone=lambda row: fit_tone(row.mark)),
)

DATASET_COLUMNS: tuple[Column[Entry[DatasetProfile]], ...] = (
    Column("dataset", lambda entry: words.plain(entry.name), flex=True),
    Column(
        "kind",
        lambda entry: BROKEN if entry.profile is None else _kind(entry.profile),
        width=9,
        tone=lambda entry: "bad" if entry.profile is None else "label",
    ),
)


def _kind(profile: DatasetProfile) -> str:
    return str(profile.__struct_config__.tag)
