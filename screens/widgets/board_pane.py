"""The gauges: what the board goes through, and what the runner takes of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from edgelab import words
from edgelab.projection import RunProjection
from edgelab.records import BoardFacts, Sample
from screens.face import Face
from screens.ink import BLANK, Ink, Line, Tone, bar, label, line, spread
from screens.widgets.projection_pane import ProjectionPane

_MOST_CORES = 8
_MOST_ZONES = 3
_NAME = 7  # cells of a gauge's name


class BoardPane(ProjectionPane):
    """CPU, clock, memory, temperature, power; at rest one reading and its time."""

    def __init__(self, face: Face, title: str, id: str) -> None:  # noqa: A002
        super().__init__(face, title, id)
        self._reading: Sample | None = None
        self._read_at = ""

    def rest(self, reading: Sample, at: datetime) -> None:
        """A reading taken while no run is on, and when."""
        self._reading, self._read_at = reading, f"{at:%H:%M:%S}"
        self.update()

    def idle(self) -> list[Line]:
        """The last reading and its time: at rest nothing moves."""
        if self._reading is None:
            return []
        lines = self._board(self._reading, None)
        return [*lines, BLANK, (label("at rest · read at "), Ink(self._read_at))]

    def lines(self, run: RunProjection) -> list[Line]:
        """The newest sample of the run."""
        if run.sample is None:
            return [(label("no reading yet"),)]
        return [*self._board(run.sample, run.board), *self._power(run), *self._runner(run.sample)]

    def _board(self, sample: Sample, facts: BoardFacts | None) -> list[Line]:
        lines = [self._gauge(name, share) for name, share in _cores(sample)]
        lines.append(self._pair("clock", _clock(sample)))
        if facts is not None and facts.policies:
            lines.append(self._pair("governor", _governor(facts)))
        if sample.memory_used is not None and sample.memory_total:
            text = f"{sample.memory_used / 1e9:.1f} of {sample.memory_total / 1e9:.1f} GB"
            lines.append(self._gauge("memory", sample.memory_used / sample.memory_total, text))
        if sample.swap_used:
            lines.append(self._pair("swap", f"{sample.swap_used / 1e9:.1f} GB"))
        lines += [self._pair(name, text) for name, text in _temperatures(sample, facts)]
        if sample.cooling:
            slowed_by = words.plain(" ".join(sorted(sample.cooling)), 60)
            lines.append(self._pair("slowed by", slowed_by, "warn"))
        return lines

    def _power(self, run: RunProjection) -> list[Line]:
        power = None if run.now is None else run.energy.now(run.now)
        if power is None or power.watts is None:
            return []
        about = "~" if power.source.method == "estimated" else ""
        text = f"{about}{power.watts:.2f} W"
        how = words.plain(f"{power.source.method}, {power.source.scope}")
        lines = [self._pair("power", text), self._pair("", how, "label")]
        joules = None if run.started is None else run.energy.joules(run.started.t, run.now or 0.0)
        if joules is not None:
            lines.append(self._pair("energy so far", f"{about}{joules:.1f} J"))
        return lines

    def _runner(self, sample: Sample) -> list[Line]:
        cpu = words.UNKNOWN if sample.runner_cpu is None else f"{sample.runner_cpu:.0f} %"
        memory = words.megabytes(sample.runner_memory)
        return [
            BLANK,
            self._pair("runner cpu", cpu),
            self._pair("runner memory", f"{memory} MB"),
        ]

    def _pair(self, name: str, text: str, tone: Tone = "plain") -> Line:
        if text == words.UNKNOWN:
            tone = "label"
        return spread((label(name),), (Ink(text, tone),), self.content_size.width)

    def _gauge(self, name: str, share: float, text: str | None = None) -> Line:
        text = f"{100 * share:.0f} %".rjust(5) if text is None else text
        room = max(4, self.content_size.width - _NAME - len(text) - 1)
        return line(label(name.ljust(_NAME)), *bar(share, room, self.face.glyphs), f" {text}")


def _cores(sample: Sample) -> list[tuple[str, float]]:
    """Each core; of many, the mean and the busiest."""
    shares = [share / 100 for share in sample.cpu]
    if len(shares) <= _MOST_CORES:
        return [(f"cpu {index}", share) for index, share in enumerate(shares)]
    return [(f"cpu x{len(shares)}", sum(shares) / len(shares)), ("busiest", max(shares))]


def _clock(sample: Sample) -> str:
    if not sample.frequency_mhz:
        return words.UNKNOWN
    low, high = min(sample.frequency_mhz), max(sample.frequency_mhz)
    return f"{low:.0f} MHz" if low == high else f"{low:.0f} to {high:.0f} MHz"


def _governor(facts: BoardFacts) -> str:
    """Who sets the clocks, each once."""
    names = " ".join(dict.fromkeys(policy.governor for policy in facts.policies))
    return words.plain(names, 24)


def _temperatures(sample: Sample, facts: BoardFacts | None) -> Iterator[tuple[str, str]]:
    """The hottest zones, each against where the kernel begins to slow the board down."""
    if not sample.temperatures:
        yield "temperature", words.UNKNOWN
    limits = {zone.name: zone.throttles_at for zone in facts.zones} if facts else {}
    hottest = sorted(sample.temperatures.items(), key=lambda pair: -pair[1])
    for name, value in hottest[:_MOST_ZONES]:
        limit = limits.get(name)
        of_limit = "" if limit is None else f" of {limit:.0f}"
        yield words.plain(name, 16), f"{value:.1f}{of_limit} °C"
