"""A comparison as people take it home: CSV, Markdown, JSON; one list of columns feeds all three."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from edgelab import markdown, words
from edgelab.comparison import ComparedRow, Comparison, Difference
from edgelab.consistency import Finding
from edgelab.export import csv_text
from edgelab.result_table import IMAGE_ENCODING, Figure, TableRow
from edgelab.results import Value

LEFT, RIGHT = "A", "B"
"""What the two sides are called where a column has room for a letter only."""


Side = Callable[[ComparedRow], TableRow | None]


@dataclass(frozen=True)
class ComparedColumn:
    """A column of a comparison: `name` in files, `title` for people, value and its words."""

    name: str
    title: str
    value: Callable[[ComparedRow], Value]
    show: Callable[[float | None], str] | None = None

    def text(self, row: ComparedRow) -> str:
        """The cell as a person reads it, harmless for a terminal."""
        value = self.value(row)
        if self.show is not None and not isinstance(value, str):
            return self.show(value)
        return words.UNKNOWN if value is None else words.plain(str(value))


def ratio_words(value: float | None) -> str:
    """x0.62: three significant digits."""
    return words.UNKNOWN if value is None else f"x{value:.3g}" if value < 100 else f"x{value:.0f}"


def columns(
    comparison: Comparison, figures: Iterable[Figure] | None = None
) -> list[ComparedColumn]:
    """What a row is known by, then each figure of both sides with their ratio, left over right.

    A figure that one side never tells has no column for it, and no ratio.
    """
    chosen = comparison.figures if figures is None else tuple(figures)
    return [
        *_keys(),
        *_encodings(comparison),
        ComparedColumn("findings", "findings", lambda row: len(comparison.findings(row)) or None),
        *(column for figure in chosen for column in _of(figure, comparison)),
        *_sources(),
    ]


def _keys() -> Iterator[ComparedColumn]:
    yield ComparedColumn("model", "model", lambda row: _either(row).model)
    yield ComparedColumn("precision", "precision", lambda row: _known(row, "precision"))
    yield ComparedColumn(
        "threshold", "thr.", lambda row: _known(row, "threshold"), lambda v: words.number(v, 2)
    )


def _encodings(comparison: Comparison) -> Iterator[ComparedColumn]:
    """A column a side, where rows differ in it."""

    def of_side(side: Side) -> Callable[[ComparedRow], Value]:
        def value(row: ComparedRow) -> Value:
            found = side(row)
            return None if found is None else found.facts.get(IMAGE_ENCODING)

        return value

    sides = [(letter, of_side(side)) for letter, side in ((LEFT, _left), (RIGHT, _right))]
    told = {value(row) for _, value in sides for row in comparison.rows} - {None}
    if len(told) > 1:
        for letter, value in sides:
            yield ComparedColumn(f"encoding_{letter.lower()}", f"encoding {letter}", value)


def _of(figure: Figure, comparison: Comparison) -> Iterator[ComparedColumn]:
    def of_side(side: Side) -> Callable[[ComparedRow], Value]:
        def value(row: ComparedRow) -> Value:
            found = side(row)
            return None if found is None else found.figures.get(figure.name)

        return value

    for letter, side in ((LEFT, _left), (RIGHT, _right)):
        value = of_side(side)
        if any(value(row) is not None for row in comparison.rows):
            name, title = f"{figure.name}_{letter.lower()}", f"{figure.title} {letter}"
            yield ComparedColumn(name, title, value, figure.show)
    if figure.compared and figure in comparison.shared:
        title = f"{LEFT}/{RIGHT}"
        yield ComparedColumn(
            f"{figure.name}_ratio", title, lambda row: row.ratio(figure.name), ratio_words
        )


def _left(row: ComparedRow) -> TableRow | None:
    return row.left


def _right(row: ComparedRow) -> TableRow | None:
    return row.right


def _sources() -> Iterator[ComparedColumn]:
    yield ComparedColumn("row_a", f"row of {LEFT}", lambda row: _full_name(row.left))
    yield ComparedColumn("row_b", f"row of {RIGHT}", lambda row: _full_name(row.right))


def _full_name(row: TableRow | None) -> str | None:
    return None if row is None else row.full_name


def _either(row: ComparedRow) -> TableRow:
    found = row.left or row.right
    assert found is not None
    return found


def _known(row: ComparedRow, name: str) -> Value:
    """Of two rows the one that tells it: a model without thresholds stands beside each of them."""
    for side in (row.left, row.right):
        value: Value = None if side is None else getattr(side, name)
        if value is not None:
            return value
    return None


def comparison_csv(comparison: Comparison) -> str:
    """One row a configuration; what differs and the findings are in the Markdown."""
    chosen = columns(comparison)
    rows = ([column.value(row) for column in chosen] for row in comparison.rows)
    return csv_text([column.name for column in chosen], rows)


def comparison_markdown(comparison: Comparison) -> str:
    """A page: the table, what differs, the findings of both sides."""
    chosen = columns(comparison)
    table = markdown.table(
        [column.title for column in chosen],
        ([column.text(row) for column in chosen] for row in comparison.rows),
        [column.show is not None for column in chosen],
    )
    left, right = comparison.left.title, comparison.right.title
    parts = [
        f"# {markdown.escaped(left)} against {markdown.escaped(right)}",
        f"{LEFT}: {markdown.escaped(left)}. {RIGHT}: {markdown.escaped(right)}. "
        f"{LEFT}/{RIGHT}: the ratio. {words.UNKNOWN}: not known.",
        table,
        "## What differs",
        markdown.bullets(comparison.explanations) or "Nothing that is known.",
    ]
    for side, findings in (
        (left, comparison.left_findings),
        (right, comparison.right_findings),
    ):
        parts.append(f"## Findings in {markdown.escaped(side)}")
        parts.append(markdown.bullets(map(finding_words, findings)) or "None.")
    return "\n\n".join(parts) + "\n"


def finding_words(finding: Finding) -> str:
    """One line for a person."""
    return f"{finding.severity.value}: {finding.sentence}"


def comparison_document(comparison: Comparison) -> dict[str, object]:
    """What `--json` prints."""
    chosen = columns(comparison)
    return {
        "a": comparison.left.title,
        "b": comparison.right.title,
        "rows": [{c.name: c.value(row) for c in chosen} for row in comparison.rows],
        "pairings": [pairing.words for pairing in comparison.pairings],
        "differences": [_difference(each) for each in comparison.differences],
        "findings": {
            "a": [finding_document(each) for each in comparison.left_findings],
            "b": [finding_document(each) for each in comparison.right_findings],
        },
    }


def _difference(difference: Difference) -> dict[str, str]:
    return {"fact": difference.name, "a": difference.left, "b": difference.right}


def finding_document(finding: Finding) -> dict[str, object]:
    """A finding for scripts."""
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "sentence": finding.sentence,
        "rows": finding.rows,
        "values": dict(finding.values),
    }
