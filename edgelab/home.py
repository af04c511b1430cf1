"""Where the data of a lab lives: one folder, `$EDGELAB_HOME`, and the names inside it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgelab.problem import Problem


@dataclass(frozen=True)
class Home:
    """The paths of one lab. Nothing is created until somebody writes."""

    root: Path

    @staticmethod
    def default() -> Home:
        """`$EDGELAB_HOME`, else the user's XDG data folder."""
        named = os.environ.get("EDGELAB_HOME")
        # Imported here: programs that only carry paths have no need of it.
        import platformdirs

        try:
            root = Path(named).expanduser() if named else platformdirs.user_data_path("edgelab")
            str(root).encode()
        except RuntimeError:
            raise Problem(f"EDGELAB_HOME={named}: there is no such user") from None
        except UnicodeEncodeError:
            raise Problem("EDGELAB_HOME: the path is not valid UTF-8") from None
        return Home(root.absolute())

    def look_into(self) -> None:
        """Raises OSError where the folder is there, but is none or may not be looked into."""
        with suppress(FileNotFoundError):
            self.index.stat()

    @property
    def runs(self) -> Path:
        """One folder a run, named by its id."""
        return self.root / "runs"

    @property
    def hub(self) -> Path:
        """Models downloaded from a hub, by repository and commit."""
        return self.root / "hub"

    @property
    def index(self) -> Path:
        """The TinyDB file: one small document a run."""
        return self.root / "index.json"

    @property
    def index_lock(self) -> Path:
        """Held while the index is read, changed and replaced."""
        return self.root / "index.lock"

    @property
    def resume_lock(self) -> Path:
        """Held while a run that is over is put back into the queue, or deleted."""
        return self.root / "resume.lock"

    @property
    def import_lock(self) -> Path:
        """Held while runs of another lab are brought in."""
        return self.root / "import.lock"

    @property
    def importing(self) -> Path:
        """A run of another lab that is not yet whole."""
        return self.root / "importing"

    @property
    def deleting(self) -> Path:
        """Runs that nobody wants any more, while their files go."""
        return self.root / "deleting"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the one living supervisor."""
        return self.root / "supervisor.lock"

    @property
    def supervisor_log(self) -> Path:
        """What the supervisor itself had to say."""
        return self.root / "supervisor.log"

    @property
    def sequence(self) -> Path:
        """The number of the newest run."""
        return self.root / "sequence"

    @property
    def datasets(self) -> Path:
        """Generated datasets."""
        return self.root / "datasets"

    @property
    def converted(self) -> Path:
        """Converted models, by content hash."""
        return self.root / "converted"

    @property
    def models(self) -> Path:
        """Weights of models that are known by name, downloaded or put there."""
        return self.root / "models"

    @property
    def profiles(self) -> Path:
        """The user's own profiles, laid out as the shipped ones."""
        return self.root / "profiles"

    @property
    def studies(self) -> Path:
        """One file a study that was begun, named by its id."""
        return self.root / "studies"

    @property
    def exports(self) -> Path:
        """CSV files that the console writes."""
        return self.root / "exports"

    @property
    def queue(self) -> Path:
        """One empty file a run that is waiting or running, in the order of the queue."""
        return self.root / "queue"

    @property
    def consoles(self) -> Path:
        """One empty file an open console, named by its process id."""
        return self.root / "consoles"

    @property
    def calibrations(self) -> Path:
        """What each board was measured to be capable of."""
        return self.root / "calibrations"

    @property
    def power_settings(self) -> Path:
        """Where watts come from."""
        return self.root / "power.toml"

    @property
    def former_governors(self) -> Path:
        """What the governors were before a run asked for another; gone when put back."""
        return self.root / "governors.json"
