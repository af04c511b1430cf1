"""The memory bandwidth that one thread attains, as `edgelab calibrate` measures it."""

from __future__ import annotations

import json

from runners.calibration.memory import array_bytes, last_level_cache, measure_memory
from runners.calibration.repeats import Budget


def main() -> None:
    """Print the better of reading and copying, bytes a second."""
    size = array_bytes(last_level_cache(), None)
    rates = list(measure_memory(1, size, Budget()))
    print(json.dumps({"bytes_per_s": max(rate.best for rate in rates)}))


if __name__ == "__main__":
    main()
