"""The form of what is brought in from another board."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from edgelab.home import Home
from edgelab.importing import Imported, Importer
from edgelab.problem import Problem
from edgelab.program import Tell
from screens.dialogs import quiet_input
from screens.face import Face
from screens.form import Form, Line

ASKED: dict[str, str] = {
    "folder": "a copy of that lab or run",
    "board": "empty: its own name",
}


class Source(NamedTuple):
    """Where the runs are, and what their board is called here."""

    folder: Path
    board: str | None

    def take(self, home: Home, tell: Tell) -> Imported:
        """Bring them into that lab; raises Problem, OSError."""
        return Importer(home, self.board).take(self.folder, tell)


class ImportForm(Form[Source]):
    """A folder, and a name for the board."""

    enter: ClassVar[str] = "import"

    def __init__(self, face: Face) -> None:
        super().__init__(face, "Import the runs of another board")

    def lines(self) -> Iterator[Line]:
        """A line a choice."""
        for name, hint in ASKED.items():
            yield Line(name, quiet_input(), hint)

    def taken(self) -> Source:
        """Raises Problem where there is no such folder."""
        typed = {name: text.strip() for name, text in self.typed.items()}
        folder = Path(typed["folder"]).expanduser().absolute()
        if not typed["folder"] or not folder.is_dir():
            raise Problem(f"folder: {typed['folder'] or 'nothing typed'}: no such folder")
        return Source(folder, typed["board"] or None)
