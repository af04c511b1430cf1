"""Whether a run fits into the memory that is free, pass by pass, before any of it is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from edgelab import telemetry
from edgelab.calibration import Calibration, Resource
from edgelab.catalogue import Catalogue, checkpoint_of
from edgelab.forecast import Fit, Forecast, fit_of, forecast
from edgelab.home import Home
from edgelab.hub_folder import cached_folder, own_folder
from edgelab.lab import Lab
from edgelab.problem import Problem
from edgelab.record import PassSummary, RunRecord
from edgelab.records import Outcome
from edgelab.settings.ask import AskSettings
from edgelab.settings.base import TaskSettings
from edgelab.settings.common import Precision
from edgelab.settings.convert_vlm import ConvertVlmSettings
from edgelab.settings.finetune import FinetuneSettings
from edgelab.vlm_image import View, sight_of
from edgelab.vlm_memory import (
    DECODER,
    EMBED_TOKENS,
    QUESTION_TOKENS,
    Engine,
    Memory,
    engine_of,
    onnx_files,
    onnx_memory,
    torch_memory,
)
from edgelab.vlm_time import least_seconds
from edgelab.vlm_weights import read_weights
from edgelab.weights import model_file
from edgelab.words import megabytes, plain

NOT_THERE = "not on this board yet"

SMALLER = (
    Precision.BF16, Precision.INT8_DYNAMIC, Precision.INT8, Precision.NF4, Precision.Q4,
)  # fmt: skip
"""What a vision-language model may be asked for instead, the largest first."""


@dataclass(frozen=True)
class Board:
    """What a forecast rests on: free bytes (None: not told), and the lab's runs that are over."""

    available: int | None
    runs: Sequence[RunRecord] = ()

    @property
    def past(self) -> list[RunRecord]:
        """The runs that were made on this board."""
        return [record for record in self.runs if record.spec.origin is None]


def this_board(lab: Lab) -> Board:
    """Now."""
    return Board(telemetry.Board().memory_available(), lab.store.all())


def fits(settings: TaskSettings, home: Home, board: Board) -> dict[Precision, Forecast]:
    """A forecast of each pass; a precision of which nothing can be told is left out."""
    if isinstance(settings, AskSettings):
        found = {p: ask_fit(settings, p, home, board) for p in settings.precisions}
        return {precision: each for precision, each in found.items() if each is not None}
    if isinstance(settings, FinetuneSettings):
        return _finetune_fits(settings, home, board)
    if isinstance(settings, ConvertVlmSettings):
        return _convert_fits(settings, home, board)
    file = _model_file(settings.model, home)
    if file is None:
        return {}
    size = file.stat().st_size
    return {
        precision: forecast(settings.model, precision, size, board.available, board.past)
        for precision in settings.passes
    }


def refuse_what_does_not_fit(plan: Iterable[TaskSettings], home: Home, board: Board) -> None:
    """Raise Problem, in one line, where a pass of these runs has no room in free memory."""
    for settings in plan:
        for precision, each in fits(settings, home, board).items():
            if each.fit is Fit.NO:
                raise Problem(_no(settings, precision, each, home, board))


def ask_fit(
    settings: AskSettings, precision: Precision, home: Home, board: Board
) -> Forecast | None:
    """Of asking in one precision: measured before, else by arithmetic; None: nothing is known."""
    measured = [
        summary.peak_memory_bytes
        for record in board.past
        if _alike(record.spec.settings, settings)
        for summary in record.passes
        if summary.precision is precision and summary.outcome is Outcome.FINISHED
    ]
    peak = next((each for each in measured if each), None)
    if peak is not None:
        fit = fit_of(peak, peak, board.available)
        return Forecast(fit, peak, "measured in an earlier run")
    folder = model_folder(settings.model, settings.revision, home)
    if folder is None:
        return Forecast(Fit.UNKNOWN, 0, NOT_THERE)
    try:
        memory = expected_memory(folder, precision, settings)
    except Problem:
        return None
    return _estimated(memory, engine_of(folder), precision, board)


def expected_memory(
    folder: Path, precision: Precision, settings: AskSettings, libraries: int | None = None
) -> Memory:
    """Where the bytes of asking will go; raises Problem where files do not tell enough."""
    of = onnx_memory if engine_of(folder) == "onnx" else torch_memory
    view = View(settings.max_pixels, settings.tiling)
    return of(folder, precision, view, settings.max_new_tokens, libraries)


def least_question_s(
    settings: AskSettings, precision: Precision, home: Home, calibration: Calibration
) -> float | None:
    """The least time of a question on the calibrated board, s; None: not known."""
    folder = model_folder(settings.model, settings.revision, home)
    if folder is None:
        return None
    if engine_of(folder) == "onnx":
        return _least_of_files(folder, settings, precision, calibration)
    if precision is Precision.Q4:
        return None
    try:
        weights = read_weights(folder)
        sight = sight_of(folder, View(settings.max_pixels, settings.tiling))
    except Problem:
        return None
    tokens = sight.tokens + sight.marks + QUESTION_TOKENS
    return least_seconds(
        weights, sight, precision, tokens, settings.max_new_tokens, calibration, settings.threads
    )


def _least_of_files(
    folder: Path, settings: AskSettings, precision: Precision, calibration: Calibration
) -> float | None:
    """Without torch: the files that hold matrices are read once, the decoder again each token."""
    try:
        files = onnx_files(folder, precision)
    except Problem:
        return None
    sizes = {file: file.stat().st_size for file in files if not file.name.startswith(EMBED_TOKENS)}
    decoder = sum(size for file, size in sizes.items() if file.name.startswith(DECODER))
    bandwidth = calibration.attained(Resource.MEMORY, settings.threads)
    read = sum(sizes.values()) + (settings.max_new_tokens - 1) * decoder
    return read / bandwidth if bandwidth else None


def model_folder(model: str, revision: str | None, home: Home) -> Path | None:
    """Where a checkpoint lies, by catalogue name, hub id or path; None: it does not."""
    entry, onnx = Catalogue(home).hub_model(model), False
    if entry is not None and entry.profile is not None:
        model, revision = checkpoint_of(entry), revision or entry.profile.revision
        onnx = entry.profile.onnx
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    own = own_folder(model, revision, home, onnx)
    return own if own is not None or onnx else cached_folder(model, revision)


def _estimated(memory: Memory, engine: Engine, precision: Precision, board: Board) -> Forecast:
    """By arithmetic, corrected by how far it was off in earlier runs of that engine."""
    passes = [
        s for r in board.past for s in r.passes if s.precision is precision and _is_of(s, engine)
    ]
    ratio = median(_ratio(each) for each in passes) if passes else 1.0
    libraries = next((each.libraries_bytes for each in passes if each.libraries_bytes), None)
    shift = (libraries - memory.libraries) if libraries else 0
    peak, needed = (int(ratio * (each + shift)) for each in (memory.peak, memory.needed))
    source = f"estimated: {memory.parts}"
    if passes:
        source += f"; corrected by {len(passes)} earlier pass{'' if len(passes) == 1 else 'es'}"
    return Forecast(fit_of(peak, needed, board.available), peak, source, needed)


def _is_of(summary: PassSummary, engine: Engine) -> bool:
    """A pass of that engine that tells how good its forecast was."""
    if not (summary.forecast_bytes and summary.peak_memory_bytes and summary.runtime):
        return False
    return summary.runtime.startswith("torch") == (engine == "torch")


def _ratio(summary: PassSummary) -> float:
    assert summary.peak_memory_bytes is not None
    assert summary.forecast_bytes is not None
    return summary.peak_memory_bytes / summary.forecast_bytes


def _alike(past: TaskSettings, settings: AskSettings) -> bool:
    """The same model, looking as closely."""
    return isinstance(past, AskSettings) and all(
        getattr(past, key) == getattr(settings, key)
        for key in ("model", "revision", "max_pixels", "tiling", "max_new_tokens")
    )


def _finetune_fits(
    settings: FinetuneSettings, home: Home, board: Board
) -> dict[Precision, Forecast]:
    """Of loading the base: training needs more, so `no` is certain and the rest is not told."""
    folder = model_folder(settings.model, settings.revision, home)
    if folder is None:
        return {}
    precision = Precision(settings.precision.value)
    return _at_least(folder, precision, View(settings.max_pixels), "load the base", board)


def _convert_fits(
    settings: ConvertVlmSettings, home: Home, board: Board
) -> dict[Precision, Forecast]:
    """Of the checkpoint's own answers with torch, in FP32; quantising is not told."""
    folder = model_folder(settings.model, settings.revision, home)
    if folder is None:
        return {}
    return _at_least(folder, Precision.FP32, View(), "answer with torch", board)


def _at_least(
    folder: Path, precision: Precision, view: View, purpose: str, board: Board
) -> dict[Precision, Forecast]:
    """What a part of the work takes: `no` is certain, anything else is not told."""
    try:
        memory = torch_memory(folder, precision, view)
    except Problem:
        return {}
    told = fit_of(memory.peak, memory.needed, board.available)
    fit = told if told is Fit.NO else Fit.UNKNOWN
    source = f"at least, to {purpose}: {memory.parts}"
    return {precision: Forecast(fit, memory.peak, source, memory.needed)}


def _model_file(model: str, home: Home) -> Path | None:
    """The file of a detector or classifier; None where it is none or not there."""
    entry = Catalogue(home).model(model)
    file = Path(model) if entry is None else model_file(entry, home)
    return file if file is not None and file.is_file() else None


def _no(
    settings: TaskSettings, precision: Precision, expected: Forecast, home: Home, board: Board
) -> str:
    free = megabytes(board.available)
    text = (
        f"{plain(settings.model)} in {precision}: needs {megabytes(expected.needed_bytes)} MB "
        f"({expected.source}), {free} MB are free"
    )
    instead = _instead(settings, home, board)
    return (
        f"{text}: {f'--precision {instead} would fit; ' if instead else ''}--force runs it anyway"
    )


def _instead(settings: TaskSettings, home: Home, board: Board) -> Precision | None:
    """The largest other precision of a vision-language model that has room."""
    if not isinstance(settings, AskSettings):
        return None
    for each in SMALLER:
        found = ask_fit(settings, each, home, board)
        if found is not None and found.fit in (Fit.FITS, Fit.TIGHT):
            return each
    return None
