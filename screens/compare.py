"""Two tables of results side by side: own runs, or a published table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from textual import on
from textual.app import ComposeResult

from edgelab import words
from edgelab.comparison import ComparedRow, Comparison, compare
from edgelab.comparison_report import comparison_csv, comparison_markdown
from edgelab.result_table import ResultTable
from screens.actions import Place, bindings
from screens.choose_table import ask_for_table
from screens.compared import (
    DIFFERENCE_COLUMNS,
    FINDING_COLUMNS,
    DifferenceRow,
    FindingRow,
    difference_rows,
    finding_rows,
    row_columns,
    row_identity,
)
from screens.face import Face
from screens.ink import count
from screens.run import RunScreen
from screens.table_screen import TableScreen
from screens.widgets.detail_pane import DetailPane
from screens.widgets.filter_line import FilterLine
from screens.widgets.lines import KeyLine, StatusLine, TabLine
from screens.widgets.table import Table

TABS = (("rows", "rows"), ("findings", "findings"), ("differs", "what differs"))


class CompareScreen(TableScreen):
    """Both sides' rows above, findings or differences below; folded on small terminals."""

    CSS_PATH = "compare.tcss"
    BINDINGS = bindings(Place.COMPARE)
    AUTO_FOCUS = "#rows"
    place = Place.COMPARE

    def __init__(self, face: Face, left: ResultTable, right: ResultTable) -> None:
        super().__init__(face)
        self.comparison: Comparison = compare(left, right)
        self.rows: Table[ComparedRow] = Table(
            row_columns(self.comparison), row_identity, face, "Compare", "rows", pinned=3,
            nothing="Neither side has a result.",
        )  # fmt: skip
        self.findings: Table[FindingRow] = Table(
            FINDING_COLUMNS, lambda row: row.number, face, "Findings", "findings", pinned=0,
            nothing="No figure contradicts another.",
        )  # fmt: skip
        self.differs: Table[DifferenceRow] = Table(
            DIFFERENCE_COLUMNS, lambda row: row, face, "What differs", "differs", headed=False,
            nothing="Nothing that is known.",
        )  # fmt: skip
        self.detail = DetailPane(face)

    # Building ------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Three tables and what the selected row of the lower one says."""
        yield StatusLine(self.face, "Compare")
        yield TabLine(self.face, TABS)
        yield self.rows
        yield self.findings
        yield self.differs
        yield self.detail
        yield FilterLine(self.face)
        yield KeyLine(self.face, Place.COMPARE)

    def on_mount(self) -> None:
        """Show what was compared."""
        self.set_class(True, "-tab-rows")
        self._show()

    def _show(self) -> None:
        comparison = self.comparison
        self.rows.columns = row_columns(comparison)
        self.rows.order = None
        self.rows.show(comparison.rows)
        left, right = (words.plain(side.title, 40) for side in (comparison.left, comparison.right))
        self.rows.title(f"A: {left} · B: {right}")
        self.findings.show(finding_rows(comparison))
        self.differs.show(difference_rows(comparison))
        self.query_one(TabLine).offer(self._tabs(), 1)
        self._explain()

    def _tabs(self) -> list[tuple[str, str]]:
        """How much there is stands beside a tab's name."""
        sizes = {"findings": len(self.findings.rows), "differs": len(self.differs.rows)}
        return [(tab, f"{name} ({sizes[tab]})" if tab in sizes else name) for tab, name in TABS]

    @on(Table.Moved, "#findings, #differs")
    def _explain(self) -> None:
        if self.has_class("-tab-differs"):
            difference = self.differs.row
            self.detail.say(f"{difference.what}: {difference.text}" if difference else "")
        else:
            finding = self.findings.row
            self.detail.say(words.plain(finding.finding.sentence, 500) if finding else "")

    # Keys ----------------------------------------------------------------------------------

    def action_tab(self, tab: str) -> None:
        """Go to a table; where the screen is not folded, the rows are always there."""
        for name, _ in TABS:
            self.set_class(name == tab, f"-tab-{name}")
        self.query_one(TabLine).open(tab)
        self.set_focus(self.query_one(f"#{tab}"))
        self._explain()

    def action_versus(self) -> None:
        """Choose another right side."""
        left = self.comparison.left
        ask_for_table(self, left, lambda right: self._compare(left, right))

    def action_swap(self) -> None:
        """Left becomes right."""
        self._compare(self.comparison.right, self.comparison.left)

    def _compare(self, left: ResultTable, right: ResultTable) -> None:
        self.comparison = compare(left, right)
        self._show()

    @on(Table.Chosen, "#rows")
    def _open_run(self) -> None:
        row = self.rows.row
        sides = (row.left, row.right) if row is not None else ()
        runs = {side.run for side in sides if side is not None and side.run is not None}
        for record in self.console.snapshot.runs:
            if record.spec.id in runs:
                self.app.push_screen(RunScreen(self.face, record))
                return
        self.console.say(
            "that run was deleted" if runs else "a published row has no run to open", bad=bool(runs)
        )

    def action_export(self) -> None:
        """Write the rows that are shown, as CSV."""
        self._write(comparison_csv, "csv")

    def action_markdown(self) -> None:
        """Write a page with the rows that are shown."""
        self._write(comparison_markdown, "md")

    def _write(self, text: Callable[[Comparison], str], suffix: str) -> None:
        shown = replace(self.comparison, rows=tuple(self.rows.rows))
        if not shown.rows:
            self.console.say("there is no row to export")
            return
        rows = count(len(shown.rows), "row")
        self.console.export("compare", partial(text, shown), rows, suffix)
