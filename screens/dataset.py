"""What was found in a dataset: faults first, and its classes as a run counts them."""

from __future__ import annotations

from functools import partial

from textual import on
from textual.app import ComposeResult

from edgelab import words
from edgelab.dataset_report import ClassContent, DatasetReport, Finding, Kind
from edgelab.dataset_tables import KNOWN, classes_csv, findings_csv
from screens.actions import Place, bindings
from screens.face import Face
from screens.ink import count
from screens.table_screen import TableScreen
from screens.widgets.detail_pane import DetailPane
from screens.widgets.filter_line import FilterLine
from screens.widgets.lines import KeyLine, StatusLine, TabLine
from screens.widgets.table import Column, Table

TABS = (("findings", "findings"), ("classes", "classes"))
_KINDS = list(Kind)

FINDINGS: tuple[Column[Finding], ...] = (
    Column("", lambda f: "fault" if f.kind.is_fault else "note", lambda f: not f.kind.is_fault,
           tone=lambda f: "bad" if f.kind.is_fault else "label"),
    Column("kind", lambda f: f.kind.value, lambda f: _KINDS.index(f.kind)),
    Column("where", lambda f: words.plain(f.where, 32), lambda f: f.where),
    Column("what", lambda f: words.plain(f.what, 200), lambda f: f.what, flex=True),
)  # fmt: skip

CLASSES: tuple[Column[ClassContent], ...] = (
    Column("class", lambda c: words.plain(c.name, 40), lambda c: c.name.casefold()),
    Column("images", lambda c: words.whole(c.images), lambda c: c.images, right=True),
    Column("objects", lambda c: words.whole(c.objects), lambda c: c.objects, right=True),
    Column("crowds", lambda c: words.whole(c.crowds), lambda c: c.crowds, right=True),
    Column("model", lambda c: KNOWN[c.known], lambda c: c.known, sparse=True),
)


def summary(report: DatasetReport) -> str:
    """How much there is, in one line."""
    readable = f"{report.readable} of {count(report.images, 'image')} can be read"
    return f"{readable} · {_content(report)} · {count(report.faults, 'fault')}"


def _content(report: DatasetReport) -> str:
    if report.questions is not None:
        return count(report.questions, "question")
    return "no annotations" if report.objects is None else count(report.objects, "object")


class DatasetScreen(TableScreen):
    """Findings above, classes below; folded into tabs on small terminals."""

    CSS_PATH = "datasets.tcss"
    BINDINGS = bindings(Place.DATASET)
    AUTO_FOCUS = "#findings"
    place = Place.DATASET

    def __init__(self, face: Face, report: DatasetReport) -> None:
        super().__init__(face)
        self.report = report
        self.findings: Table[Finding] = Table(
            FINDINGS, lambda finding: finding, face, "Findings", "findings", pinned=2,
            nothing="Nothing was found: no fault, and nothing to know.",
        )  # fmt: skip
        self.counted: Table[ClassContent] = Table(
            CLASSES, lambda content: content.name, face, "Classes", "classes",
            nothing="The data have no annotations.",
        )  # fmt: skip
        self.detail = DetailPane(face)

    def compose(self) -> ComposeResult:
        """Two tables and the selected finding in full."""
        name = words.plain(f"{self.report.name}, {self.report.split}", 50)
        yield StatusLine(self.face, f"Dataset {name}")
        yield TabLine(self.face, TABS)
        yield self.findings
        yield self.detail
        yield self.counted
        yield FilterLine(self.face)
        yield KeyLine(self.face, Place.DATASET)

    def on_mount(self) -> None:
        """Show the report."""
        self.set_class(True, "-tab-findings")
        report = self.report
        self.findings.show(report.findings)
        self.counted.show(report.classes)
        self.findings.title(f"Findings · {summary(report)}")
        sizes = {"findings": len(report.findings), "classes": len(report.classes)}
        self.query_one(TabLine).offer([(tab, f"{name} ({sizes[tab]})") for tab, name in TABS], 1)
        self._explain()

    @on(Table.Moved, "#findings")
    def _explain(self) -> None:
        finding = self.findings.row
        text = "" if finding is None else f"{finding.kind.value}: {finding.where}: {finding.what}"
        self.detail.say(words.plain(text, 500))

    def action_tab(self, tab: str) -> None:
        """Go to a table."""
        for name, _ in TABS:
            self.set_class(name == tab, f"-tab-{name}")
        self.query_one(TabLine).open(tab)
        self.set_focus(self.query_one(f"#{tab}"))

    def action_export(self) -> None:
        """Write the rows of the open table."""
        if self.open_table is self.counted:
            self.export_rows("dataset-classes", partial(classes_csv, self.report), "class")
        else:
            self.export_rows("dataset-findings", partial(findings_csv, self.report), "finding")
