"""Programs that a benchmark measures, each in a process of its own; each prints one JSON line."""
