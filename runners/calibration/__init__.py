"""The tests of a calibration: arithmetic, memory and disk, each repeated until it is settled."""
