"""Results as a comparison reads them: rows of known figures, own or published, of any task.

A row holds what is known and nothing else: a figure or fact that is missing is unknown, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from edgelab import words
from edgelab.record import PassSummary, RunRecord
from edgelab.results import ResultRow, Value, as_dict, image_encoding, rows_of
from edgelab.scored import ScoredRow, scored_rows


@dataclass(frozen=True)
class Figure:
    """A figure that rows may have, by the name of its column in `edgelab.results`.

    `compared`: a ratio of it says something.
    """

    name: str
    title: str
    show: Callable[[float | None], str]
    compared: bool = True


def _number(digits: int) -> Callable[[float | None], str]:
    return lambda value: words.number(value, digits)


FOUND_SHARE = "found_share"
"""Found over true: what tables over different data have in common."""

FIGURES: tuple[Figure, ...] = (
    Figure("gt_count", "true", words.whole, compared=False),
    Figure("pred_count", "found", words.whole),
    Figure(FOUND_SHARE, "of true", words.number),
    Figure("mae_mean", "MAE", words.number),
    Figure("mse_mean", "MSE", words.number),
    Figure("rmse_mean", "RMSE", words.number),
    Figure("bias_mean", "bias", words.number, compared=False),
    Figure("exact_share_mean", "exact", words.number),
    Figure("accuracy", "accuracy", _number(4)),
    Figure("macro_precision", "precision", _number(4)),
    Figure("macro_recall", "recall", _number(4)),
    Figure("macro_f1", "F1", _number(4)),
    Figure("exact", "exact", _number(4)),
    Figure("relaxed", "relaxed", _number(4)),
    Figure("contains", "contains", _number(4)),
    Figure("map50", "mAP50", words.number),
    Figure("map50_95", "mAP50-95", words.number),
    Figure("minutes_per_subdataset_mean", "min/part", words.number),
    Figure("runtime_min", "minutes", words.number),
    Figure("latency_p50_ms", "p50 ms", words.milliseconds),
    Figure("latency_p90_ms", "p90 ms", words.milliseconds),
    Figure("images_per_s", "img/s", _number(2)),
    Figure("first_token_p50_ms", "TTFT p50", words.milliseconds),
    Figure("first_token_shared_p50_ms", "TTFT shared", words.milliseconds),
    Figure("tokens_per_s", "tok/s", _number(1)),
    Figure("peak_memory_mb", "peak MB", words.whole),
    Figure("model_mb", "model MB", _number(1)),
    Figure("temperature_max_c", "max °C", words.whole),
    Figure("energy_j_per_image", "J/image", _number(2)),
)

IMAGES = "images"
"""Images counted; known for a pass, and for some published tables."""

IMAGE_ENCODING = "image encoding"
"""Shared by the questions on an image, or made for each: the fact that a table can hold both of."""

FACTS = ("board", "runtime", "resolution", IMAGE_ENCODING, "threads", "dataset", "time includes")
"""What a comparison explains differences by, in the order told."""


@dataclass(frozen=True)
class Parts:
    """The sub-datasets that errors are means over. `even`: all of one size, exactly known.

    `questions`: counts that were compared, one an image and sub-dataset it belongs to.
    """

    count: int
    questions: int
    even: bool


@dataclass(frozen=True)
class TableRow:
    """One configuration. `source` says where it is from: a run's number, or a table's name.

    `alike`: what a value of `variant` is called in other tables, where that differs.
    """

    source: str
    model: str
    precision: str | None = None
    threshold: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    variant: Mapping[str, str] = field(default_factory=dict)
    alike: Mapping[str, str] = field(default_factory=dict)
    parts: Parts | None = None
    executed_share: float | None = None
    """Which part of the nodes ran in the precision asked for."""
    model_sha256: str | None = None
    dataset_sha256: str | None = None
    run: str | None = None

    @property
    def name(self) -> str:
        """The configuration in few words."""
        threshold = "" if self.threshold is None else f"{self.threshold:g}"
        parts = (self.model, *self.variant.values(), self.precision or "", threshold)
        return " ".join(part for part in parts if part)

    def meant(self, variant: str) -> str:
        """A value of the variant, as all tables call it."""
        return self.alike.get(variant, self.variant[variant])

    @property
    def full_name(self) -> str:
        """The configuration and where it is from: no two rows of a table share it."""
        return f"{self.source} {self.name}"


@dataclass(frozen=True)
class Pairing:
    """Rows of `own` are laid beside rows of `published`; without `same` it only stands in for it,
    and `difference` says what is not the same."""

    own: str
    published: str
    same: bool
    difference: str = ""

    @property
    def words(self) -> str:
        """One phrase for a person."""
        if self.same:
            return f"{self.own} is {self.published} under another name"
        more = f" ({self.difference})" if self.difference else ""
        return f"stand-in: {self.own} for {self.published}{more}"


@dataclass(frozen=True)
class ResultTable:
    """One side of a comparison: a run, several, a study, or a published table.

    `name`: what it is called on the command line, where it is known.
    """

    title: str
    rows: tuple[TableRow, ...]
    pairings: tuple[Pairing, ...] = ()
    published: bool = False
    name: str = ""


def table_of_runs(title: str, records: Iterable[RunRecord], name: str = "") -> ResultTable:
    """Own runs as a table; passes without a result have rows without figures."""
    rows = tuple(row for record in records for row in _rows(record))
    return ResultTable(title, rows, name=name)


def _rows(record: RunRecord) -> Iterator[TableRow]:
    yield from map(_own_row, rows_of(record))
    yield from map(_scored_row, scored_rows(record))


def _scored_row(row: ScoredRow) -> TableRow:
    """What a training attained, by prompt where it has some."""
    figures = {name: interval.value for name, interval in row.figures.items()}
    settings = row.run.spec.settings
    return TableRow(
        source=f"#{row.run.spec.number}",
        model=settings.model,
        precision=row.precision,
        figures=figures,
        facts=_facts_of_run(row.run),
        variant=row.variant,
        run=row.run.spec.id,
    )


def _own_row(row: ResultRow) -> TableRow:
    known = as_dict(row)
    numbers = {name: _finite(known.get(name)) for name in (*(f.name for f in FIGURES), IMAGES)}
    return TableRow(
        source=f"#{row.run.spec.number}",
        model=str(known["model"]),
        precision=row.summary.precision.value,
        threshold=_finite(known.get("threshold")),
        figures=with_share({name: value for name, value in numbers.items() if value is not None}),
        facts=_facts(row),
        parts=_parts(row),
        executed_share=_executed_share(row.summary),
        model_sha256=row.summary.model_sha256,
        dataset_sha256=row.run.dataset.sha256 if row.run.dataset else None,
        run=row.run.spec.id,
    )


def with_share(figures: dict[str, float]) -> dict[str, float]:
    """The figures, and found over true where both are known."""
    true, found = figures.get("gt_count"), figures.get("pred_count")
    return figures | {FOUND_SHARE: found / true} if true and found is not None else figures


def _finite(value: Value) -> float | None:
    if isinstance(value, str) or value is None or abs(value) == float("inf") or value != value:
        return None
    return value


def _executed_share(summary: PassSummary) -> float | None:
    executed = summary.executed
    if executed is None:
        return None
    nodes = executed.formats or {
        "int8": executed.integer,
        "fp16": executed.half,
        "fp32": executed.full,
    }
    total = sum(nodes.values())
    asked = nodes.get(summary.precision.value)
    return None if asked is None or not total else asked / total


def _parts(row: ResultRow) -> Parts | None:
    """Each class is a sub-dataset over the images that count for it: over all, as a rule."""
    dataset, counts = row.run.dataset, row.counts
    if counts is None or counts.gt_count is None or dataset is None or not dataset.classes:
        return None
    classes = len(dataset.classes)
    everywhere = classes * row.summary.images
    questions = sum(each.images for each in counts.by_true_count) or everywhere
    return Parts(classes, questions, even=questions == everywhere)


_TIME_INCLUDES = (
    "the measured window of a pass that all thresholds share: decoding, inference, "
    "post-processing, journal; without loading and warm-up"
)


def _facts(row: ResultRow) -> dict[str, str]:
    size = row.summary.input_size
    facts = {
        "runtime": row.summary.runtime,
        "resolution": f"{size[0]} x {size[1]} px" if size else None,
        IMAGE_ENCODING: image_encoding(row),
        "time includes": _TIME_INCLUDES if row.summary.elapsed_s is not None else None,
    }
    return _facts_of_run(row.run) | {k: words.plain(value) for k, value in facts.items() if value}


def _facts_of_run(run: RunRecord) -> dict[str, str]:
    dataset = run.dataset
    facts = {
        "board": run.spec.origin or run.environment.get("board") or run.environment.get("cpu"),
        "threads": str(run.spec.settings.threads),
        "dataset": f"{dataset.name}, {dataset.split}: {dataset.images} images" if dataset else None,
    }
    return {name: words.plain(value) for name, value in facts.items() if value}
