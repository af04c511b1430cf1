"""Runs as CSV: UTF-8, RFC 4180, and nothing in it that a spreadsheet would take for a formula."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgelab.durable import replace_file
from edgelab.journal import JournalReader
from edgelab.problem import Problem
from edgelab.record import RunRecord
from edgelab.records import (
    AskedItem,
    ClassificationScores,
    ClassifiedItem,
    DatasetFacts,
    EpochEnded,
    Event,
    Item,
    ItemLine,
    MeasuredLine,
    Record,
    TrainStep,
)
from edgelab.results import COLUMNS, ResultRow, Value, table
from edgelab.run_folder import RunFolder
from edgelab.scored import FIGURES as SCORES
from edgelab.scored import ScoredRow, scored_rows
from edgelab.spec import RunSpec
from edgelab.tally import count_error

if TYPE_CHECKING:  # runs are exported without looking for watts
    from edgelab.energy.survey import Entry

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")

ITEM_COLUMNS = (
    "run",
    "model",
    "precision",
    "repetition",
    "index",
    "image",
    "threshold",
    "gt_count",
    "pred_count",
    "absolute_error",
    "latency_ms",
    "decode_ms",
    "preprocess_ms",
    "infer_ms",
    "postprocess_ms",
    "unanswered",
    "error",
    "true_class",
    "answered_class",
    "probability",
    "right",
    "question",
    "answer",
    "expected",
    "verdict",
    "vision_ms",
    "prefill_ms",
    "first_token_ms",
    "token_decode_ms",
    "vision_shared",
    "tokens",
    "prompt_tokens",
    "image_tokens",
    "cut",
)

CURVE_COLUMNS = (
    "run",
    "epoch",
    "step",
    "t_s",
    "train_loss",
    "learning_rate",
    "examples",
    "val_loss",
    "best",
)

SCORE_COLUMNS = (
    "run",
    "model",
    "dataset",
    "precision",
    "training",
    "prompt",
    "vision_tower_trained",
    "split",
    "asked",
    "off_list",
    "unanswered",
    *(f"{figure}{end}" for figure in SCORES for end in ("", "_low", "_high")),
)

CONVERSION_COLUMNS = (
    "run",
    "model",
    "precision",
    "refusal",
    "executed",
    "size_bytes",
    "source_bytes",
    "source_ms",
    "outcome_ms",
    "threshold",
    "source_count",
    "outcome_count",
    "changed_count",
    "checked_images",
    "calibration",
    "calibration_images",
    "activations",
    "sha256",
    "tokens",
    "same_tokens",
    "logit_error_mean",
    "logit_error_largest",
)

CLASS_COLUMNS = (
    "run",
    "model",
    "by",
    "split",
    "class",
    "images",
    "precision",
    "recall",
    "f1",
)

SOURCE_COLUMNS = (
    "rank",
    "source",
    "kind",
    "watts",
    "method",
    "scope",
    "accuracy",
    "period_s",
    "where",
    "reason",
)


def results_csv(records: Iterable[RunRecord]) -> str:
    """One row a run, precision and threshold; of runs that only learn, one a subject with scores.

    Where some runs measure, those that only learn have no rows among theirs: see `scores_csv`.
    """
    kept = list(records)
    rows = list(table(kept))
    if not rows and any(next(scored_rows(record), None) for record in kept):
        return scores_csv(kept)
    return rows_csv(rows)


def rows_csv(rows: Iterable[ResultRow]) -> str:
    """All columns of these results."""
    header = [column.name for column in COLUMNS]
    return csv_text(header, ([column.value(row) for column in COLUMNS] for row in rows))


def scores_csv(records: Iterable[RunRecord]) -> str:
    """One row a run and subject that was scored, shares with the ends of their intervals."""
    rows = [row for record in records for row in scored_rows(record)]
    kinds = sorted({kind for row in rows for kind in row.by_kind})
    header = (*SCORE_COLUMNS, *(f"relaxed_{kind}" for kind in kinds))
    return csv_text(header, (_score_row(row, kinds) for row in rows))


def classes_csv(records: Iterable[RunRecord]) -> str:
    """One row a run, subject and class, then a column for each class that it was taken for."""
    scored = [(record, each) for record in records for each in record.scores if each.classes]
    names = list(dict.fromkeys(row.name for _, each in scored for row in each.classes))
    header = (*CLASS_COLUMNS, *(f"as {name}" for name in names))
    return csv_text(header, (row for run, each in scored for row in _class_rows(run, each, names)))


def items_csv(folders: Iterable[RunFolder]) -> str:
    """One row an image, pass and threshold; detections stay in the run's items.jsonl."""
    return csv_text(ITEM_COLUMNS, (row for folder in folders for row in _item_rows(folder)))


def curves_csv(folders: Iterable[RunFolder]) -> str:
    """One row a training step, then one an epoch, of each run; held-out figures by name."""
    rows = [(folder, record) for folder in folders for record in _curve_records(folder)]
    epochs = [record for _, record in rows if isinstance(record, EpochEnded)]
    names = sorted({name for epoch in epochs for name in epoch.metrics})
    header = (*CURVE_COLUMNS, *(f"val_{name}" for name in names))
    return csv_text(header, (_curve_row(folder, record, names) for folder, record in rows))


def conversions_csv(records: Iterable[RunRecord]) -> str:
    """One row a conversion and threshold that it was checked at."""
    rows = (row for record in records for row in _conversion_rows(record))
    return csv_text(CONVERSION_COLUMNS, rows)


def sources_csv(entries: Iterable[Entry]) -> str:
    """One row a power source, or what was looked for in vain; no password is among it."""
    return csv_text(SOURCE_COLUMNS, (_source_row(entry) for entry in entries))


def write_csv(path: Path, text: str) -> None:
    """Write the file whole or not at all; raises Problem naming it.

    A link is followed, and what is no ordinary file (a device, a pipe) is written to, not replaced.
    """
    target = Path(os.path.realpath(path))  # Path.resolve raises RuntimeError on a loop, or not
    if target.is_symlink():
        raise Problem(f"{path}: cannot be written (a link that leads to itself)")
    data = text.encode()
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)
        else:
            replace_file(target, data, shared=True)
    except OSError as error:
        raise Problem(f"{path}: cannot be written ({error.strerror})") from None


def neutral(value: Value) -> Value:
    """Text that a spreadsheet would run as a formula gets a `'` in front; numbers stay numbers."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value


def csv_text(header: Iterable[str], rows: Iterable[Iterable[Value]]) -> str:
    """A CSV document whose cells are harmless in a spreadsheet."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: Value) -> Value:
    # A NUL ends the cell for many readers, and no reader needs it. A lone surrogate (a file name
    # that is not UTF-8) cannot be written as UTF-8. Both go first: a formula may hide behind them.
    if isinstance(value, str):
        value = value.replace("\0", "").encode(errors="replace").decode()
    # Beyond 15 digits stands what binary fractions leave of a sum: 0.06000000000000001. A clock's
    # nanoseconds need fewer for eleven days.
    if isinstance(value, float) and math.isfinite(value):
        value = float(f"{value:.15g}")
    return neutral(value)


def _score_row(row: ScoredRow, kinds: Sequence[str]) -> list[Value]:
    settings, variant = row.run.spec.settings, row.variant
    figures: list[Value] = []
    for name in SCORES:
        interval = row.figures.get(name)
        figures += msgspec.structs.astuple(interval) if interval is not None else (None,) * 3
    return [
        row.run.spec.id,
        settings.model,
        settings.dataset,
        row.precision,
        *(variant.get(name) for name in ("training", "prompt", "vision_tower_trained")),
        row.scores.split,
        row.asked,
        row.off_list,
        row.scores.unanswered,
        *figures,
        *(row.by_kind.get(kind) for kind in kinds),
    ]


def _class_rows(
    run: RunRecord, scores: ClassificationScores, names: Sequence[str]
) -> Iterator[list[Value]]:
    for row, confused in zip(scores.classes, scores.confusion, strict=True):
        taken = {other.name: n for other, n in zip(scores.classes, confused, strict=True)}
        figures = msgspec.structs.astuple(row)
        head = (run.spec.id, run.spec.settings.model, scores.subject, scores.split)
        yield [*head, *figures, *(taken.get(name) for name in names)]


def _source_row(entry: Entry) -> list[Value]:
    facts = entry.facts
    return [
        entry.rank,
        entry.name,
        entry.origin.kind if entry.origin else None,
        entry.watts,
        facts.method if facts else None,
        facts.scope if facts else None,
        facts.accuracy if facts else None,
        facts.period_s if facts else None,
        facts.detail if facts else None,
        entry.reason or None,
    ]


def _curve_records(folder: RunFolder) -> Iterator[TrainStep | EpochEnded]:
    """The steps, then the epochs. What a resumed run repeated is told once, as it was last."""
    steps: JournalReader[Record] = JournalReader(folder.items, ItemLine)
    events: JournalReader[Record] = JournalReader(folder.events, Event)
    by_step = {each.step: each for each in steps.poll() if isinstance(each, TrainStep)}
    by_epoch = {each.epoch: each for each in events.poll() if isinstance(each, EpochEnded)}
    yield from (by_step[step] for step in sorted(by_step))
    yield from (by_epoch[epoch] for epoch in sorted(by_epoch))


def _curve_row(
    folder: RunFolder, record: TrainStep | EpochEnded, names: Sequence[str]
) -> list[Value]:
    head: list[Value] = [folder.id, record.epoch]
    if isinstance(record, TrainStep):
        figures: list[Value] = [record.loss, record.learning_rate, record.examples]
        return [*head, record.step, record.t, *figures, None, None, *(None for _ in names)]
    held_out = [record.metrics.get(name) for name in names]
    end: list[Value] = [None, record.val_loss, int(record.best), *held_out]
    return [*head, None, record.t, record.train_loss, record.learning_rate, *end]


def _conversion_rows(record: RunRecord) -> Iterator[list[Value]]:
    for report in record.conversions:
        latency = report.latency
        head: list[Value] = [
            record.spec.id,
            report.model,
            report.precision.value,
            report.refusal,
            report.executed.words,
            report.size_bytes,
            report.source_bytes,
            *((latency.source_ms, latency.outcome_ms) if latency else (None, None)),
        ]
        tail: list[Value] = [
            report.checked,
            report.method.value if report.method else None,
            report.calibrated,
            report.activations.value if report.activations else None,
            report.sha256,
            *(msgspec.structs.astuple(report.tokens) if report.tokens else (None,) * 4),
        ]
        counts = [msgspec.structs.astuple(check) for check in report.counts]
        for row in counts or [(None,) * 4]:
            yield [*head, *row, *tail]


def _item_rows(folder: RunFolder) -> Iterator[list[Value]]:
    spec = folder.read_spec()
    reader: JournalReader[Item] = JournalReader(folder.items, MeasuredLine)
    classes = _class_names(folder)
    for item in reader.poll():
        yield from _rows_of_item(spec, item, classes)


def _class_names(folder: RunFolder) -> tuple[str, ...]:
    events: JournalReader[Record] = JournalReader(folder.events, Event)
    facts = [each for each in events.poll() if isinstance(each, DatasetFacts)]
    return facts[-1].classes if facts else ()


def _asked(item: Item) -> list[Value]:
    """What is known of a question beyond its counts."""
    if not isinstance(item, AskedItem):
        return [None] * 13
    stages = item.stages
    times: list[Value] = [None] * 5
    if stages is not None:
        times = [stages.vision, stages.prefill, stages.first_token, stages.decode]
        times.append(int(stages.vision_shared))
    tokens = (item.tokens, item.prompt_tokens, item.image_tokens) if stages else (None,) * 3
    said = (item.question, item.answer, item.expected, item.verdict)
    return [*said, *times, *tokens, int(item.cut) if stages else None]


def _rows_of_item(spec: RunSpec, item: Item, classes: Sequence[str]) -> Iterator[list[Value]]:
    times = item.times
    head: list[Value] = [
        spec.id,
        spec.settings.model,
        item.precision.value,
        item.repetition,
        item.index,
        item.image,
    ]
    tail: list[Value] = [
        *((times.latency, *msgspec.structs.astuple(times)) if times else (None,) * 5),
        item.unanswered,
        item.error,
        *_answer(item, classes),
        *_asked(item),
    ]
    truth = None if item.truth is None else item.total(item.truth)
    cuts = spec.settings.cuts
    if not item.counts:
        yield [*head, None, truth, None, None, *tail]
    for position, (threshold, counts) in enumerate(zip(cuts, item.counts, strict=False)):
        found, error = item.total(counts), count_error(item, position)
        yield [*head, threshold, truth, found, error, *tail]


def _answer(item: Item, classes: Sequence[str]) -> list[Value]:
    """The true class, the most probable one, its probability, and whether it is right."""
    if not isinstance(item, ClassifiedItem) or item.label is None or not item.top:
        return [None] * 4
    answer, probability = item.top[0]
    named = [classes[each] if 0 <= each < len(classes) else None for each in (item.label, answer)]
    return [*named, probability, int(answer == item.label)]
