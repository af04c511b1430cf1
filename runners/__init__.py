"""The programs that do the work, one a task, each started as its own process."""

import os
import sys

# OpenCV reads this once, while it is loaded; its own limit of 2^30 pixels is 3 GB of memory.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 27))
os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")

# With this package bitsandbytes fetches a kernel from a hub as it is imported, and runs it: to all
# that is loaded here it is not installed.
sys.modules.setdefault("kernels", None)  # type: ignore[arg-type]
