"""The supervisor pays for what it uses: no HTTP client without a plug."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WITHOUT_A_PLUG = """
import sys
from pathlib import Path
from edgelab.energy import config, discovery, ledger, monitor
root = Path(sys.argv[1])
monitor.PowerMonitor(discovery.discover(root, config.load(root / "power.toml")).sources).close()
heavy = {"http.client", "urllib.request", "ssl", "asyncio", "numpy", "csv"} & set(sys.modules)
print(sorted(heavy))
"""


def test_without_a_plug_nothing_heavy_is_imported(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_PLUG, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
