"""The lab without a face: specs, catalogue, store, journal, supervisor, telemetry, export, cli."""

__version__ = "0.1.0"
