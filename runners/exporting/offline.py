"""ultralytics kept off the network and away from what a file wants to have executed."""

from __future__ import annotations

import os
from pathlib import Path


def restrain_ultralytics(config: Path) -> None:
    """Call it before ultralytics is imported; `config` is a folder for its settings.

    It then neither looks for newer versions, nor installs packages by itself, nor loads a
    checkpoint that names anything but its own and torch's modules.
    """
    config.mkdir(parents=True, exist_ok=True)
    os.environ |= {
        "YOLO_OFFLINE": "1",
        "YOLO_AUTOINSTALL": "0",
        "YOLO_CONFIG_DIR": str(config),
        "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS": "1",
        "ULTRALYTICS_SAFE_LOAD": "1",
    }
