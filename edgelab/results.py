"""Results as a table: a row a run, precision and threshold; one list of columns feeds every table.

The first columns are those of the published counting tables, in their order, so that own runs and
published ones can be laid under each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeVar

from edgelab import words
from edgelab.record import PassSummary, RunRecord
from edgelab.records import Bounds, ClassificationScores, Interval
from edgelab.roofline import share_words
from edgelab.settings.ask import AskSettings
from edgelab.settings.base import MeasureSettings
from edgelab.tally import ThresholdRow

R = TypeVar("R")

Value = str | int | float | None

SHARED_ENCODING, OWN_ENCODING = "shared", "each anew"
"""Of an image that several questions are asked about."""


class ResultRow(NamedTuple):
    """One run, one precision, one threshold."""

    run: RunRecord
    summary: PassSummary
    counts: ThresholdRow | None

    @property
    def scores(self) -> ClassificationScores | None:
        """How well the pass classified; None where it did not."""
        subject = self.summary.precision.value
        return next((each for each in self.run.scores if each.subject == subject), None)


@dataclass(frozen=True)
class Column(Generic[R]):
    """A column: `name` in files, `title` on screen (None: not shown there), value and its words."""

    name: str
    value: Callable[[R], Value]
    title: str | None = None
    show: Callable[[float | None], str] | None = None
    help: str = ""

    def text(self, row: R) -> str:
        """The cell as a person reads it, harmless for a terminal."""
        value = self.value(row)
        if self.show is not None and not isinstance(value, str):
            return self.show(value)
        return words.UNKNOWN if value is None else words.plain(str(value))


def rows_of(record: RunRecord) -> Iterator[ResultRow]:
    """The rows of a run; a pass without a result is one row without counts."""
    for summary in record.passes:
        if not summary.rows:
            yield ResultRow(record, summary, None)
        for counts in summary.rows:
            yield ResultRow(record, summary, counts)


def as_dict(row: ResultRow) -> dict[str, Value]:
    """A row by column name: what `--json` prints."""
    return {column.name: column.value(row) for column in COLUMNS}


def table(records: Iterable[RunRecord]) -> Iterator[ResultRow]:
    """The rows of several runs."""
    for record in records:
        yield from rows_of(record)


def _minutes(row: ResultRow) -> float | None:
    elapsed = row.summary.elapsed_s
    return None if elapsed is None else elapsed / 60


def _minutes_per_subdataset(row: ResultRow) -> float | None:
    """All sub-datasets share one pass over the images: each is billed its equal share."""
    minutes, dataset = _minutes(row), row.run.dataset
    if minutes is None or dataset is None or not dataset.classes:
        return None
    return minutes / len(dataset.classes)


def _counts(read: Callable[[ThresholdRow], Value]) -> Callable[[ResultRow], Value]:
    return lambda row: None if row.counts is None else read(row.counts)


def _score(name: str, part: str = "value") -> Callable[[ResultRow], Value]:
    def read(row: ResultRow) -> Value:
        return _part(getattr(row.scores, name, None), part)

    return read


def _average_precision(name: str, part: str = "value") -> Callable[[ResultRow], Value]:
    def read(row: ResultRow) -> Value:
        return _part(getattr(row.summary.scores, name, None), part)

    return read


def _part(interval: Interval | None, part: str) -> Value:
    return None if interval is None else float(getattr(interval, part))


def _bounds(figure: str, end: str) -> Callable[[ResultRow], Value]:
    """One end of the 95 % interval of a mean over the sub-datasets."""

    def read(row: ResultRow) -> Value:
        scores = row.summary.scores
        if scores is None or row.counts is None:
            return None
        at = scores.bounds_at(row.counts.threshold)
        bounds: Bounds | None = getattr(at.means, figure) if at is not None else None
        return None if bounds is None else float(getattr(bounds, end))

    return read


def _mae_interval(row: ResultRow) -> Value:
    """The 95 % interval of the MAE in words."""
    low, high = (_bounds("mae", end)(row) for end in ("low", "high"))
    return None if low is None else f"{low:.3f}-{high:.3f}"


def _four(value: float | None) -> str:
    return words.number(value, 4)


def _latency(percentile: str) -> Callable[[ResultRow], Value]:
    def read(row: ResultRow) -> Value:
        # Offline issues all queries at once: an image then has no latency of its own.
        if row.run.spec.settings.overlaps or row.summary.latency is None:
            return None
        value: float | None = getattr(row.summary.latency, percentile)
        return value

    return read


def _measured(read: Callable[[MeasureSettings], Value]) -> Callable[[ResultRow], Value]:
    def value(row: ResultRow) -> Value:
        settings = row.run.spec.settings
        return read(settings) if isinstance(settings, MeasureSettings) else None

    return value


def _stage(name: str) -> Callable[[ResultRow], Value]:
    def read(row: ResultRow) -> Value:
        return None if row.summary.stages is None else float(getattr(row.summary.stages, name))

    return read


def _asked(name: str) -> Callable[[ResultRow], Value]:
    def read(row: ResultRow) -> Value:
        value: Value = getattr(row.summary.asked, name) if row.summary.asked else None
        return value

    return read


def image_encoding(row: ResultRow) -> str | None:
    """Whether questions on one image share its encoding; None where each image has one question."""
    settings, asked = row.run.spec.settings, row.summary.asked
    if not isinstance(settings, AskSettings) or asked is None:
        return None
    if not settings.share_encoding:
        return OWN_ENCODING
    return SHARED_ENCODING if asked.shared else None


def _environment(key: str) -> Callable[[ResultRow], Value]:
    return lambda row: row.run.environment.get(key)


def _energy(name: str) -> Callable[[ResultRow], Value]:
    def read(row: ResultRow) -> Value:
        figures = row.summary.energy
        value: Value = getattr(figures[0], name) if figures else None
        return value

    return read


def _energy_words(row: ResultRow) -> Value:
    """Joules an image, an estimate with its `~`, or why there is no such figure."""
    figures = row.summary.energy
    return figures[0].per_item_words() if figures else None


def _floor_share(row: ResultRow) -> Value:
    """The floor of physics over the median inference: part of what this board can do."""
    return row.summary.floor_share


def _percent(value: float | None) -> str:
    return words.UNKNOWN if value is None else share_words(value)


def _condition(name: str) -> Callable[[ResultRow], Value]:
    def read(row: ResultRow) -> Value:
        value: Value = getattr(row.summary.conditions, name)
        return value

    return read


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):
        return None


def _dataset(read: str) -> Callable[[ResultRow], Value]:
    def value(row: ResultRow) -> Value:
        facts = row.run.dataset
        if facts is None:
            return row.run.spec.settings.dataset if read == "name" else None
        found: Value = getattr(facts, read)
        return found

    return value


COLUMNS: tuple[Column[ResultRow], ...] = (
    Column("model", lambda r: r.summary.model_name or r.run.spec.settings.model, "model"),
    Column("precision", lambda r: r.summary.precision.value, "precision"),
    Column("threshold", _counts(lambda c: c.threshold), "thr.", lambda v: words.number(v, 2)),
    Column("gt_count", _counts(lambda c: c.gt_count), "true", words.whole),
    Column("pred_count", _counts(lambda c: c.pred_count), "found", words.whole),
    Column("mae_mean", _counts(lambda c: c.mae_mean), "MAE/class", words.number),
    Column("mse_mean", _counts(lambda c: c.mse_mean), "MSE/class", words.number),
    Column("minutes_per_subdataset_mean", _minutes_per_subdataset),
    Column("runtime_min", _minutes),
    Column("rmse_mean", _counts(lambda c: c.rmse_mean), "RMSE/class", words.number),
    Column("bias_mean", _counts(lambda c: c.bias_mean), "bias/class", words.number),
    Column("exact_share_mean", _counts(lambda c: c.exact_mean), "exact", words.share),
    Column("accuracy", _score("accuracy"), "top-1", _four),
    Column("accuracy_low", _score("accuracy", "low"), "from", _four),
    Column("accuracy_high", _score("accuracy", "high"), "to", _four),
    Column("top5_accuracy", _score("top5"), "top-5", _four),
    Column("macro_precision", _score("precision")),
    Column("macro_recall", _score("recall")),
    Column("macro_f1", _score("f1"), "F1", _four),
    Column("macro_f1_low", _score("f1", "low")),
    Column("macro_f1_high", _score("f1", "high")),
    Column("calibration_error", _score("ece"), "ECE", words.number),
    Column("mae_interval", _mae_interval, "MAE 95 %"),
    *(
        Column(f"{name}_mean_{end}", _bounds(name, end))
        for name in ("mae", "rmse", "bias", "exact")
        for end in ("low", "high")
    ),
    Column("map50", _average_precision("map50"), "mAP50", words.number),
    Column("map50_95", _average_precision("map50_95"), "mAP50-95", words.number),
    *(
        Column(f"{name}_{end}", _average_precision(name, end))
        for name in ("map50", "map50_95")
        for end in ("low", "high")
    ),
    Column("latency_p50_ms", _latency("p50_ms"), "p50 ms", words.milliseconds),
    Column("latency_p90_ms", _latency("p90_ms"), "p90 ms", words.milliseconds),
    Column("floor_share", _floor_share, "of board", _percent),
    Column("latency_p95_ms", _latency("p95_ms")),
    Column("latency_p99_ms", _latency("p99_ms")),
    Column("latency_mean_ms", _latency("mean_ms")),
    Column("latency_max_ms", _latency("max_ms")),
    Column("latency_samples", lambda r: r.summary.latency.samples if r.summary.latency else None),
    Column("images_per_s", lambda r: r.summary.images_per_s, "img/s", lambda v: words.number(v, 1)),
    Column("floor_ms", lambda r: r.summary.floor_ms),
    Column("decode_ms", _stage("decode")),
    Column("preprocess_ms", _stage("preprocess")),
    Column("infer_ms", _stage("infer")),
    Column("postprocess_ms", _stage("postprocess")),
    Column("tokens_per_s", _asked("tokens_per_s"), "tok/s", lambda v: words.number(v, 1)),
    Column("first_token_p50_ms", _asked("first_token_p50_ms"), "TTFT p50", words.milliseconds),
    Column("first_token_p90_ms", _asked("first_token_p90_ms"), "TTFT p90", words.milliseconds),
    Column("first_token_mean_ms", _asked("first_token_mean_ms")),
    Column(
        "first_token_shared_p50_ms",
        _asked("first_token_shared_p50_ms"),
        "TTFT shared",
        words.milliseconds,
    ),
    Column("image_encoding", image_encoding, "encoding"),
    Column("ask_preprocess_ms", _asked("preprocess_ms")),
    Column("vision_ms", _asked("vision_ms")),
    Column("prefill_ms", _asked("prefill_ms")),
    Column("token_decode_ms", _asked("decode_ms")),
    Column("image_tokens", _asked("image_tokens"), "img tok", words.whole),
    Column("prompt_tokens", _asked("prompt_tokens")),
    Column("questions", _asked("questions")),
    Column("shared_encodings", _asked("shared")),
    Column("answers_cut", _asked("cut")),
    Column("answers_right_share", _asked("right_share"), "right", words.share),
    Column("answers_off_list", _asked("off_list")),
    Column(
        "peak_memory_mb",
        lambda r: _mb(r.summary.peak_memory_bytes),
        "peak MB",
        lambda v: words.whole(v),
    ),
    Column(
        "model_mb", lambda r: _mb(r.summary.model_bytes), "model MB", lambda v: words.number(v, 1)
    ),
    Column(
        "executed", lambda r: r.summary.executed.words if r.summary.executed else None, "ran as"
    ),
    Column("energy", _energy_words, "J/image"),
    Column("verdict", lambda r: r.summary.conditions.verdict, "conditions"),
    Column("outcome", lambda r: r.summary.outcome.value, "outcome"),
    Column("images", lambda r: r.summary.images),
    Column("errors", lambda r: r.summary.errors),
    Column("unanswered", lambda r: r.summary.unanswered or None, "no count", words.whole),
    Column("dataset", _dataset("name"), "dataset"),
    Column("split", _dataset("split")),
    Column("scenario", _measured(lambda settings: settings.scenario.value)),
    Column("threads", lambda r: r.run.spec.settings.threads),
    Column("warmup", _measured(lambda settings: settings.warmup)),
    Column("repetitions", _measured(lambda settings: settings.repetitions)),
    Column("order", _measured(lambda settings: settings.order.value)),
    Column("iou", lambda r: r.summary.iou),
    Column("input_height", lambda r: r.summary.input_size[0] if r.summary.input_size else None),
    Column("input_width", lambda r: r.summary.input_size[1] if r.summary.input_size else None),
    Column("run", lambda r: r.run.spec.id),
    Column("run_outcome", lambda r: r.run.outcome.value),
    Column("started", lambda r: _time(r.run.started)),
    Column("duration_s", lambda r: r.run.duration_s),
    Column("coverage", _condition("coverage")),
    Column("throttled_s", _condition("throttled_s")),
    Column("throttled_share", _condition("throttled_share")),
    Column("capped_mhz", _condition("capped_mhz")),
    Column("others_cpu_percent", _condition("others_cpu")),
    Column("swapped_pages", _condition("swapped_pages")),
    Column("major_faults", _condition("major_faults")),
    Column("temperature_start_c", _condition("temperature_start")),
    Column("temperature_max_c", _condition("temperature_max"), "max °C", words.whole),
    Column("frequency_min_mhz", _condition("frequency_min_mhz")),
    Column("cpu_mean_percent", _condition("cpu_mean")),
    Column("observer_cpu_percent", _condition("observer_cpu")),
    Column("forecast_memory_mb", lambda r: _mb(r.summary.forecast_bytes)),
    Column("observer_memory_mb", lambda r: _mb(r.summary.conditions.observer_memory)),
    Column("energy_source", _energy("source")),
    Column("energy_method", _energy("method")),
    Column("energy_scope", _energy("scope")),
    Column("energy_coverage", _energy("coverage")),
    Column("power_mean_w", _energy("mean_watts")),
    Column("power_idle_w", _energy("baseline_watts")),
    Column("energy_j", _energy("joules")),
    Column("energy_uncertainty_j", _energy("uncertainty_joules")),
    Column("energy_net_j", _energy("net_joules")),
    Column("energy_net_uncertainty_j", _energy("net_uncertainty_joules")),
    Column("energy_j_per_image", _energy("joules_per_item")),
    Column("energy_net_j_per_image", _energy("net_joules_per_item")),
    Column("board", _environment("board")),
    Column("origin", lambda r: r.run.spec.origin, "board"),
    Column("cpu", _environment("cpu")),
    Column("cores", _environment("cores")),
    Column("kernel", _environment("kernel")),
    Column("governor", _environment("governor")),
    Column("runtime", lambda r: r.summary.runtime),
    Column("edgelab", _environment("edgelab")),
    Column("model_sha256", lambda r: r.summary.model_sha256),
    Column("dataset_sha256", _dataset("sha256")),
)

# On screen what decides comes first; further to the right, what explains.
SHOWN: tuple[Column[ResultRow], ...] = tuple(
    next(column for column in COLUMNS if column.name == name)
    for name in (
        "model",
        "precision",
        "threshold",
        "origin",
        "gt_count",
        "pred_count",
        "mae_mean",
        "mae_interval",
        "mse_mean",
        "accuracy",
        "accuracy_low",
        "accuracy_high",
        "top5_accuracy",
        "macro_f1",
        "calibration_error",
        "latency_p50_ms",
        "latency_p90_ms",
        "images_per_s",
        "map50",
        "map50_95",
        "first_token_p50_ms",
        "first_token_p90_ms",
        "first_token_shared_p50_ms",
        "image_encoding",
        "tokens_per_s",
        "image_tokens",
        "answers_right_share",
        "bias_mean",
        "exact_share_mean",
        "unanswered",
        "verdict",
        "executed",
        "peak_memory_mb",
        "model_mb",
        "temperature_max_c",
        "energy",
        "floor_share",
        "outcome",
        "dataset",
    )
)


def _mb(count: int | None) -> float | None:
    return None if count is None else count / 1e6
