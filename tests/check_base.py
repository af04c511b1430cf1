"""The base install: no torch in it, small enough for a board. `python -m tests.check_base DIR`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LIMIT_MB = 400
UNWANTED = ("torch", "torchvision", "ultralytics", "transformers", "timm")


def main(folder: Path) -> int:
    python = folder / "bin" / "python"
    probe = f"import importlib.util as u; print(*[m for m in {UNWANTED!r} if u.find_spec(m)])"
    found = subprocess.run(
        [python, "-c", probe], capture_output=True, text=True, check=True
    ).stdout.split()
    blocks = sum(path.lstat().st_blocks for path in folder.rglob("*"))
    size_mb = blocks * 512 / 1e6
    print(f"base install: {size_mb:.0f} MB of {LIMIT_MB}, unwanted: {' '.join(found) or 'none'}")
    return int(bool(found) or size_mb > LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
