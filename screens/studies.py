"""All studies: those known by name, ready to begin, and those that were begun."""

from __future__ import annotations

from textual import on, work
from textual.app import ComposeResult
from textual.message import Message

from edgelab import words
from edgelab.catalogue import Catalogue
from edgelab.problem import Problem, told
from edgelab.studies import Studies
from edgelab.study import Study, StudyProfile
from edgelab.study_editing import save_profile
from edgelab.study_list import ListedStudy, listed_studies, studies_csv
from screens.actions import Place, bindings
from screens.face import Face
from screens.study import StudyScreen
from screens.study_form import StudyForm, TypedStudy
from screens.table_screen import TableScreen
from screens.watch import Snapshot
from screens.widgets.filter_line import FilterLine
from screens.widgets.lines import KeyLine, StatusLine
from screens.widgets.table import Column, Table


def _done(row: ListedStudy) -> str:
    """Configurations with a result, of all."""
    return f"{row.progress.done} of {row.progress.study.cells}" if row.progress else ""


def _origin(row: ListedStudy) -> str | None:
    """Of an imported study."""
    return row.study.origin if row.study else None


COLUMNS: tuple[Column[ListedStudy], ...] = (
    Column("study", lambda r: words.plain(r.name, 28), key=lambda r: r.name),
    Column("state", lambda r: r.state, key=lambda r: r.state),
    Column("configurations", _done, key=lambda r: r.progress.done if r.progress else -1),
    Column("board", lambda r: _origin(r) or "", key=_origin, sparse=True),
    Column("id", lambda r: r.study.id if r.study else "", key=lambda r: r.key),
    Column("title", lambda r: words.plain(r.title, 80), flex=True, key=lambda r: r.title),
)


class StudiesScreen(TableScreen):
    """One table; enter begins a known study, or opens one that was begun."""

    CSS_PATH = "study.tcss"
    BINDINGS = bindings(Place.STUDIES)
    AUTO_FOCUS = "#studies"
    place = Place.STUDIES

    class Read(Message):
        """All studies were read."""

        def __init__(self, rows: list[ListedStudy]) -> None:
            super().__init__()
            self.rows = rows

    class Begun(Message):
        """A study was queued."""

        def __init__(self, study: Study) -> None:
            super().__init__()
            self.study = study

    def __init__(self, face: Face) -> None:
        super().__init__(face)
        self.table: Table[ListedStudy] = Table(
            COLUMNS, lambda row: row.key, face, "Studies", "studies",
            nothing="No study is known: put one under profiles/studies.",
        )  # fmt: skip

    def compose(self) -> ComposeResult:
        """Table and filter."""
        yield StatusLine(self.face, "Studies")
        yield self.table
        yield FilterLine(self.face)
        yield KeyLine(self.face, Place.STUDIES)

    def take(self, snapshot: Snapshot) -> None:
        """Runs came, went or ended."""
        super().take(snapshot)
        self.read_studies()

    @work(thread=True, exclusive=True, group="studies")
    def read_studies(self) -> None:
        """Read profiles and studies, in a thread."""
        rows = []
        try:
            for row in listed_studies(Studies(self.console.lab)):
                rows.append(row)
        except (Problem, OSError) as problem:
            self.console.post_message(self.console.Failed(told(problem)))
        self.post_message(self.Read(rows))

    @on(Read)
    def _show(self, event: Read) -> None:
        self.table.show(event.rows)

    def action_export(self) -> None:
        """Write the list as it is shown."""
        self.export_rows("studies", studies_csv, "row")

    @on(Table.Chosen)
    def _open(self) -> None:
        row = self.table.row
        if row is None:
            return
        if row.progress is not None:
            self.app.push_screen(StudyScreen(self.face, row.progress.study))
        elif row.profile is None or row.profile.profile is None:
            self.console.say(row.title, bad=True)
        else:
            self._fill_in(row.name, row.profile.profile)

    def _fill_in(self, name: str, profile: StudyProfile) -> None:
        def go(typed: TypedStudy | None) -> None:
            if typed is not None:
                self.begin(typed, name)

        self.app.push_screen(StudyForm(self.face, profile, Catalogue(self.console.lab.home)), go)

    @work(thread=True, group="begin")
    def begin(self, typed: TypedStudy, name: str) -> None:
        """Keep the matrix where it has a name of its own, and queue its runs, in a thread."""
        lab = self.console.lab
        try:
            if typed.name:
                save_profile(lab.home, typed.name, typed.profile)
            study = Studies(lab).begin(typed.name or name, typed.profile)
        except (Problem, OSError) as problem:
            self.console.post_message(self.console.Failed(told(problem)))
        else:
            self.post_message(self.Begun(study))

    @on(Begun)
    def _watch(self, event: Begun) -> None:
        self.console.look()
        self.app.push_screen(StudyScreen(self.face, event.study))
