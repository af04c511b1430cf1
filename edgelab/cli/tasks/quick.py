"""`edgelab run quick`: the benchmark that needs no choices."""

from __future__ import annotations

import argparse

from edgelab import presets
from edgelab.catalogue import Catalogue
from edgelab.settings.detect import DetectSettings

HELP = "the embedded detector, all precisions, on shapes"


def add_options(command: argparse.ArgumentParser) -> None:
    """Threads and images."""
    command.add_argument("--threads", type=int, metavar="N", help="default: all cores")
    command.add_argument("--limit", type=int, metavar="N", help="the first N images only")


def settings(options: argparse.Namespace, _: Catalogue) -> tuple[DetectSettings, str]:
    """The settings and the title of the run."""
    return presets.quick(options.threads, options.limit)
