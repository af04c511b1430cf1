"""Starting the supervisor so that nothing which closes can take it along."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from pathlib import Path

from edgelab.home import Home
from edgelab.launch import PYTHON_MODULE, child_environment


def start_supervisor(home: Home) -> None:
    """Start a supervisor, detached; where one lives already, the new one ends at once."""
    home.root.mkdir(parents=True, exist_ok=True)
    command = [*PYTHON_MODULE, "edgelab.supervisor"]
    if _user_manager_lingers():
        # A scope of its own also has a memory count of its own.
        command = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "--", *command]
    with home.supervisor_log.open("ab") as log:
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home.root,
            env=child_environment(EDGELAB_HOME=str(home.root)),
            start_new_session=True,
        )


def _user_manager_lingers() -> bool:
    """True where systemd keeps the user's processes after the last logout."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if not runtime or not shutil.which("systemd-run"):
        return False
    try:
        lingers = (Path("/var/lib/systemd/linger") / getpass.getuser()).exists()
    except (OSError, KeyError):
        return False
    return lingers and (Path(runtime) / "systemd/private").exists()
