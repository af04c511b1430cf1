"""The folder of one run: what each file in it is called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgelab.durable import replace_file
from edgelab.schema import SchemaProblem, read_json
from edgelab.spec import RunSpec


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run; see `edgelab.records` for who writes which journal."""

    path: Path

    @property
    def spec_file(self) -> Path:
        """The RunSpec; a folder without it is no run."""
        return self.path / "spec.json"

    @property
    def life(self) -> Path:
        """The supervisor's journal."""
        return self.path / "life.jsonl"

    @property
    def events(self) -> Path:
        """The runner's journal."""
        return self.path / "events.jsonl"

    @property
    def items(self) -> Path:
        """One record an image."""
        return self.path / "items.jsonl"

    @property
    def telemetry(self) -> Path:
        """The board's samples."""
        return self.path / "telemetry.jsonl"

    @property
    def meter(self) -> Path:
        """Readings of an external meter, imported when the run was over."""
        return self.path / "power.jsonl"

    @property
    def log(self) -> Path:
        """Everything the runner printed."""
        return self.path / "log.txt"

    @property
    def stage(self) -> Path:
        """What the runner is doing this moment (`edgelab.stage`)."""
        return self.path / "stage"

    @property
    def record(self) -> Path:
        """The RunRecord, once the run is over."""
        return self.path / "record.json"

    @property
    def stop_request(self) -> Path:
        """Exists when somebody asked the run to stop."""
        return self.path / "stop"

    @property
    def resume_request(self) -> Path:
        """Exists from when somebody asked the run to go on until the next attempt has begun."""
        return self.path / "resume"

    @property
    def artifacts(self) -> Path:
        """Files the run made, to keep."""
        return self.path / "artifacts"

    @property
    def begun(self) -> bool:
        """Whether its newest attempt was begun; a resumed run waits for its next."""
        return self.life.exists() and not self.resume_request.exists()

    @property
    def id(self) -> str:
        """The id of the run."""
        return self.path.name

    def read_spec(self) -> RunSpec:
        """The RunSpec, validated; raises SchemaProblem, also where it is that of another run."""
        spec = read_json(self.spec_file, RunSpec)
        if spec.id != self.id:
            raise SchemaProblem(f"{self.spec_file}: id = {spec.id!r}, but the folder is {self.id}")
        return spec

    def write_spec(self, spec: RunSpec) -> None:
        """Create the folder's spec, durably."""
        replace_file(self.spec_file, msgspec.json.format(msgspec.json.encode(spec)))

    def request_stop(self) -> None:
        """Ask whoever runs it to stop; harmless when it is over."""
        self.stop_request.touch()
