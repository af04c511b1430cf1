"""Reading the board. Files of procfs and sysfs are read under a root that tests replace.

psutil is used for the process tree only: its thermal and frequency readings hide zones and caps.
"""

from edgelab.telemetry.board import Board

__all__ = ["Board"]
