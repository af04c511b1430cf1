"""What cannot be right in a table of results, or wants explaining.

A table copied by hand, a broken conversion and a slow INT8 all look like results. Each rule here
knows one thing that measurement or arithmetic forbids, and says in one sentence where it is broken.
Rules compare rows of one source only: two runs may differ for many reasons, one run may not. Of
several it is asked only whether their data are the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations, pairwise

from edgelab.result_table import IMAGES, ResultTable, TableRow
from edgelab.words import plain

FULL = "fp32"
_FLOATS = ("fp16", "bf16")

COUNTS_APART = 1.5
"""A conversion that counts so many times as much, or as little, as FP32 is broken."""
SLOWER = 1.05
"""From here on INT8 is called slower: less is the noise of two measurements."""
EXTRA_TIME = 0.02
"""Share of a run's time that may lie outside its sub-datasets before it is asked about."""
LARGEST_SHARE = {"fp16": 0.6, "int8": 0.5}
"""Of an FP32 file's size: a half and a quarter are due, the head and the scales come on top."""
_ROUNDING = 0.001  # relative: published figures have three decimals
_SHARE_ROUNDING = 0.0005  # of shares that are published with four


class Severity(StrEnum):
    """Whether a figure is impossible, or only unlikely."""

    CANNOT = "cannot be right"
    EXPLAIN = "wants explaining"


@dataclass(frozen=True)
class Finding:
    """One rule broken: in which rows, by which values, in one sentence for a person."""

    rule: str
    severity: Severity
    sentence: str
    rows: tuple[str, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)


Rule = Callable[[ResultTable], Iterator[Finding]]


def check(table: ResultTable) -> list[Finding]:
    """All findings, the impossible ones first; within that by rule and in the table's order."""
    found = [finding for rule in RULES for finding in rule(table)]
    return sorted(found, key=lambda finding: finding.severity is not Severity.CANNOT)


# Between thresholds ---------------------------------------------------------------------------


def repeated_errors(table: ResultTable) -> Iterator[Finding]:
    """MAE and MSE that stand at two thresholds although the counts differ."""
    for rows in _alike_but_for(table, "threshold"):
        known = [row for row in rows if row.threshold is not None and "pred_count" in row.figures]
        for low, high in combinations(sorted(known, key=lambda row: row.threshold or 0.0), 2):
            same = all(_equal(low, high, name) for name in ("mae_mean", "mse_mean"))
            if same and not _equal(low, high, "pred_count") and not _may_repeat(low, high):
                yield _repeated(low, high)


def _may_repeat(low: TableRow, high: TableRow) -> bool:
    """Whether errors may be the same although the higher threshold found fewer.

    Each object less moves an absolute error by 1: down where too many were found, else up. The sum
    S stays where half of those dropped were too many, and of these there were (S + found - true)/2.
    """
    parts, figures = low.parts, low.figures
    if parts is None or not parts.even or "gt_count" not in figures:
        return False
    dropped = figures["pred_count"] - high.figures["pred_count"]
    errors = figures["mae_mean"] * parts.questions
    return dropped <= errors + figures["pred_count"] - figures["gt_count"] + _ROUNDING * errors


def _repeated(low: TableRow, high: TableRow) -> Finding:
    # Thresholds of one pass share their time; the times of two runs agree to no last digit.
    minutes = "minutes_per_subdataset_mean"
    copied = _equal(low, high, minutes) and _differ(low, high, "runtime_min")
    proven = copied or (low.parts is not None and low.parts.even)
    time = f" and {low.figures[minutes]:g} minutes a sub-dataset" if copied else ""
    figures = f"MAE {low.figures['mae_mean']:.4g}, MSE {low.figures['mse_mean']:.5g}{time}"
    counts = f"{low.figures['pred_count']:.0f} and {high.figures['pred_count']:.0f}"
    return Finding(
        "repeated errors",
        Severity.CANNOT if proven else Severity.EXPLAIN,
        f"{_name(low)} and {high.threshold:g}: {figures} stand at both thresholds, "
        f"though {counts} were found; one row looks copied",
        (low.full_name, high.full_name),
        {
            "mae_mean": low.figures["mae_mean"],
            "mse_mean": low.figures["mse_mean"],
            f"pred_count at {low.threshold:g}": low.figures["pred_count"],
            f"pred_count at {high.threshold:g}": high.figures["pred_count"],
        },
    )


def rising_counts(table: ResultTable) -> Iterator[Finding]:
    """A higher threshold keeps no more detections than a lower one."""
    for rows in _alike_but_for(table, "threshold"):
        known = [row for row in rows if row.threshold is not None and "pred_count" in row.figures]
        for low, high in pairwise(sorted(known, key=lambda row: row.threshold or 0.0)):
            fewer, more = low.figures["pred_count"], high.figures["pred_count"]
            if more > fewer:
                yield Finding(
                    "rising counts",
                    Severity.CANNOT,
                    f"{_name(high)} found {more:.0f}, more than the {fewer:.0f} at the lower "
                    f"threshold {low.threshold:g}, which keeps the same detections and others",
                    (low.full_name, high.full_name),
                    {"at the lower": fewer, "at the higher": more},
                )


# Between precisions ---------------------------------------------------------------------------


def counts_apart(table: ResultTable) -> Iterator[Finding]:
    """A precision counts much more, or much less, than FP32."""
    for full, row in _beside_full(table):
        if not _both(full, row, "pred_count"):
            continue
        expected, found = full.figures["pred_count"], row.figures["pred_count"]
        if max(expected, found) < COUNTS_APART * min(expected, found) or expected == found:
            continue
        # Half precision rounds; it does not see other objects. INT8 may be calibrated badly.
        severity = Severity.CANNOT if row.precision in _FLOATS else Severity.EXPLAIN
        times = f", {found / expected:.2f} times as many" if expected else ""
        yield Finding(
            "counts apart",
            severity,
            f"{_name(row)} found {found:.0f} where {full.precision} found {expected:.0f}{times}: "
            "the conversion is broken",
            (full.full_name, row.full_name),
            {FULL: expected, row.precision or "": found},
        )


def slow_int8(table: ResultTable) -> Iterator[Finding]:
    """INT8 takes longer than FP32."""
    for full, row in _once_a_pass(_beside_full(table), "latency_p50_ms"):
        time = next((n for n in ("latency_p50_ms", "runtime_min") if _both(full, row, n)), None)
        if row.precision != "int8" or time is None:
            continue
        slow, fast = row.figures[time], full.figures[time]
        if slow > SLOWER * fast:
            unit = "ms" if time.endswith("_ms") else "min"
            yield Finding(
                "slow int8",
                Severity.EXPLAIN,
                f"{_name(row)} took {slow:.5g} {unit}, longer than the {fast:.5g} {unit} of fp32: "
                "quantising gained nothing, its nodes may have run in float",
                (full.full_name, row.full_name),
                {FULL: fast, "int8": slow},
            )


def file_sizes(table: ResultTable) -> Iterator[Finding]:
    """A converted file that is hardly smaller holds what it held before."""
    for full, row in _once_a_pass(_beside_full(table), "model_mb"):
        most = LARGEST_SHARE.get(row.precision or "")
        # One file for all precisions: the conversion happens when it is loaded.
        if most is None or row.model_sha256 == full.model_sha256:
            continue
        if not _both(full, row, "model_mb"):
            continue
        size, whole = row.figures["model_mb"], full.figures["model_mb"]
        if size > most * whole:
            yield Finding(
                "file sizes",
                Severity.EXPLAIN,
                f"{_name(row)}: its file of {size:.1f} MB is hardly smaller than the {whole:.1f} "
                f"MB of fp32: does it hold {row.precision}?",
                (full.full_name, row.full_name),
                {FULL: whole, row.precision or "": size},
            )


def executed_precision(table: ResultTable) -> Iterator[Finding]:
    """Nothing ran in the precision that was asked for."""
    for rows in _alike_but_for(table, "threshold"):
        row = rows[0]
        if row.executed_share == 0:
            yield Finding(
                "executed precision",
                Severity.CANNOT,
                f"{_name(row, threshold=False)}: not one node ran in {row.precision}",
                (row.full_name,),
                {"share": 0.0},
            )


# Within a row ---------------------------------------------------------------------------------


def squares(table: ResultTable) -> Iterator[Finding]:
    """A mean of squares is no less than the square of the mean; nor, of whole numbers, than it."""
    for row in table.rows:
        mae, mse = row.figures.get("mae_mean"), row.figures.get("mse_mean")
        if mae is None or mse is None:
            continue
        least = max(mae * mae, mae)
        if mse < least * (1 - _ROUNDING) - _ROUNDING:
            yield Finding(
                "squares",
                Severity.CANNOT,
                f"{_name(row)}: MSE {mse:g} is below {least:.3f}, the least that errors of whole "
                f"counts with MAE {mae:g} can have",
                (row.full_name,),
                {"mae_mean": mae, "mse_mean": mse},
            )


def bias(table: ResultTable) -> Iterator[Finding]:
    """The mean absolute error is no less than the mean error."""
    for row in table.rows:
        figures, parts = row.figures, row.parts
        if parts is None or not parts.questions or not {"gt_count", "pred_count"} <= figures.keys():
            continue
        mae = figures.get("mae_mean")
        mean = abs(figures["pred_count"] - figures["gt_count"]) / parts.questions
        if mae is None or mae >= mean * (1 - _ROUNDING):
            continue
        severity = Severity.CANNOT if parts.even else Severity.EXPLAIN
        over = f"{'' if parts.even else 'about '}{parts.questions} counts"
        unless = "" if parts.even else ", unless the sub-datasets differ much in size"
        yield Finding(
            "bias",
            severity,
            f"{_name(row)}: MAE {mae:g} is below {mean:.3f}, the least of "
            f"{figures['pred_count']:.0f} found against {figures['gt_count']:.0f} true "
            f"in {over}{unless}",
            (row.full_name,),
            {"mae_mean": mae, "least": mean},
        )


def run_time(table: ResultTable) -> Iterator[Finding]:
    """A run takes as long as its sub-datasets."""
    for row in table.rows:
        minutes = row.figures.get("minutes_per_subdataset_mean")
        whole = row.figures.get("runtime_min")
        if row.parts is None or minutes is None or not whole:
            continue
        summed = minutes * row.parts.count
        told = f"{row.parts.count} sub-datasets of {minutes:g} min are {summed:.2f} min"
        values = {"summed": summed, "runtime_min": whole}
        if summed > whole * (1 + _ROUNDING):
            text = f"{_name(row)}: {told}, more than the {whole:g} min of the whole run"
            yield Finding("run time", Severity.CANNOT, text, (row.full_name,), values)
        elif whole > summed * (1 + EXTRA_TIME):
            text = f"{_name(row)}: {told}, but the run took {whole:g} min: what is the rest?"
            yield Finding("run time", Severity.EXPLAIN, text, (row.full_name,), values)


def mean_f1(table: ResultTable) -> Iterator[Finding]:
    """F1 averaged over classes is no more than that of the averaged precision and recall.

    The harmonic mean is concave: by Jensen's inequality this holds for any weights of the classes.
    """
    for row in table.rows:
        names = ("macro_precision", "macro_recall", "macro_f1")
        if not set(names) <= row.figures.keys():
            continue
        precision, recall, f1 = (row.figures[name] for name in names)
        most = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        if f1 > most + _SHARE_ROUNDING:
            yield Finding(
                "mean F1",
                Severity.CANNOT,
                f"{_name(row)}: F1 {f1:.4f} is above {most:.4f}, the most that classes of "
                f"mean precision {precision:.4f} and recall {recall:.4f} can have",
                (row.full_name,),
                {"macro_f1": f1, "most": most},
            )


# Of the table ---------------------------------------------------------------------------------

_SHARES = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "map50", "map50_95")


def shares_out_of_range(table: ResultTable) -> Iterator[Finding]:
    """A share lies between 0 and 1."""
    for row in table.rows:
        for name in _SHARES:
            value = row.figures.get(name)
            if value is not None and not 0 <= value <= 1:
                yield Finding(
                    "share",
                    Severity.CANNOT,
                    f"{_name(row)}: {name} {value:g} is not a share from 0 to 1",
                    (row.full_name,),
                    {name: value},
                )


def shares_without_counts(table: ResultTable) -> Iterator[Finding]:
    """A percentage without its count tells nobody how sure it is."""
    bare = [row for row in table.rows if "accuracy" in row.figures and IMAGES not in row.figures]
    if bare:
        accuracy = bare[0].figures["accuracy"]
        yield Finding(
            "share without count",
            Severity.EXPLAIN,
            f"{len(bare)} rows tell shares without how many images: {accuracy:.4f} may be "
            f"{round(100 * accuracy)} of 100 or {round(10_000 * accuracy)} of 10000",
            tuple(row.full_name for row in bare),
            {"rows": float(len(bare))},
        )


def true_counts(table: ResultTable) -> Iterator[Finding]:
    """Every configuration of one dataset is counted against the same objects."""
    for rows in _grouped(table.rows, lambda row: (row.source, row.facts.get("dataset"))):
        by_count: dict[float, TableRow] = {}
        for row in rows:
            if "gt_count" in row.figures:
                by_count.setdefault(row.figures["gt_count"], row)
        if len(by_count) > 1:
            told = ", ".join(f"{count:.0f} ({_name(row)})" for count, row in by_count.items())
            yield Finding(
                "true counts",
                Severity.EXPLAIN,
                f"the true objects of one dataset are not the same number in all rows: {told}",
                tuple(row.full_name for row in by_count.values()),
                {row.full_name: count for count, row in by_count.items()},
            )


def other_data(table: ResultTable) -> Iterator[Finding]:
    """Errors over data that changed between two runs do not compare, whatever their name is."""
    own = [row for row in table.rows if row.dataset_sha256]
    for rows in _grouped(own, lambda row: row.facts.get("dataset")):
        first: dict[str | None, TableRow] = {}
        for row in rows:
            first.setdefault(row.dataset_sha256, row)
        if len(first) > 1:
            runs = ", ".join(row.source for row in first.values())
            yield Finding(
                "other data",
                Severity.EXPLAIN,
                f"{rows[0].facts.get('dataset')}: not the same in {runs}: images, classes, objects "
                "or boxes are others, so that errors do not compare",
                tuple(row.full_name for row in first.values()),
            )


RULES: tuple[Rule, ...] = (
    repeated_errors,
    rising_counts,
    counts_apart,
    executed_precision,
    squares,
    mean_f1,
    shares_out_of_range,
    run_time,
    bias,
    slow_int8,
    file_sizes,
    true_counts,
    other_data,
    shares_without_counts,
)


# Rows that belong together --------------------------------------------------------------------


def _key(row: TableRow, without: str) -> Hashable:
    axes = {"precision": row.precision, "threshold": row.threshold}
    axes.pop(without)
    return (row.source, row.model, *axes.values(), frozenset(row.variant.items()))


def _grouped(
    rows: Iterable[TableRow], key: Callable[[TableRow], Hashable]
) -> Iterable[list[TableRow]]:
    groups: defaultdict[Hashable, list[TableRow]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups.values()


def _alike_but_for(table: ResultTable, axis: str) -> Iterable[list[TableRow]]:
    """Rows of one source that differ in this alone."""
    return _grouped(table.rows, lambda row: _key(row, axis))


def _beside_full(table: ResultTable) -> Iterator[tuple[TableRow, TableRow]]:
    """Each row of a lower precision behind the FP32 row that it was converted from."""
    for rows in _alike_but_for(table, "precision"):
        full = next((row for row in rows if row.precision == FULL), None)
        if full is not None:
            yield from ((full, row) for row in rows if row.precision not in (FULL, None))


def _once_a_pass(
    pairs: Iterable[tuple[TableRow, TableRow]], figure: str
) -> Iterator[tuple[TableRow, TableRow]]:
    """Thresholds of one pass share the figure: each pass is looked at once."""
    seen: set[Hashable] = set()
    for full, row in pairs:
        key = (_key(row, "threshold"), full.figures.get(figure), row.figures.get(figure))
        if row.figures.get(figure) is None or key not in seen:
            seen.add(key)
            yield full, row


def _both(one: TableRow, other: TableRow, name: str) -> bool:
    return name in one.figures and name in other.figures


def _equal(one: TableRow, other: TableRow, name: str) -> bool:
    return _both(one, other, name) and one.figures[name] == other.figures[name]


def _differ(one: TableRow, other: TableRow, name: str) -> bool:
    return _both(one, other, name) and one.figures[name] != other.figures[name]


def _name(row: TableRow, threshold: bool = True) -> str:
    """A published row by its name; of own ones several runs may have the same."""
    name = row.name if threshold else f"{row.model} {row.precision}"
    return plain(name if row.run is None else f"{row.source} {name}", 120)
