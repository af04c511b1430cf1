"""The panel that tells what is being run, how far it is, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence

from edgelab import words
from edgelab.conversion import ConversionReport
from edgelab.projection import STARTING, RunProjection
from edgelab.records import TRAIN, AskedItem, Asking, ClassifiedItem, Item, Outcome
from edgelab.settings.convert import ConversionSettings
from screens.ink import BLANK, Ink, Line, Tone, bar, flow, label, spread, strong, width_of, wrap
from screens.widgets.projection_pane import ProjectionPane, outcome_tone

_SHORT = 3
"""Rows that have no room for an image, a question of two lines and its answer."""


class RunPane(ProjectionPane):
    """What is being run, how far it is, how it ended."""

    hint = ""

    def suggest(self, hint: str) -> None:
        """What to do while there is no run."""
        self.hint = hint
        self.update()

    def idle(self) -> list[Line]:
        """One sentence for the first visit."""
        return [BLANK, *wrap(self.hint, self.content_size.width, "strong")]

    def lines(self, run: RunProjection) -> list[Line]:
        """Names, step, bar, times; then the latest image, or how the run ended."""
        width, height = self.content_size
        settings = run.spec.settings
        what = words.plain(f"{settings.model} on {settings.dataset}", max(20, width - 12))
        head = [
            spread((strong(what),), (label(f"#{run.spec.number}"),), width),
            self._step_line(run, width),
            self._bar_line(run, width),
            self._time_line(run, width),
            BLANK,
        ]
        if not run.outcome.over:
            latest = _latest(run, width, height - len(head))
            return [*head, *latest, *_verdicts(run, width), *_notes(run, width)]
        if run.outcome is not Outcome.FINISHED:
            head += [*self._reason(run, width, height - len(head)), BLANK]
        worth = _verdicts(run, width) or _validity(run, width)
        return [*head, *worth, *_notes(run, width)]

    def _step_line(self, run: RunProjection, width: int) -> Line:
        state = Ink(run.outcome.value, outcome_tone(run.outcome))
        return spread(_step(run), (state,), width)

    def _bar_line(self, run: RunProjection, width: int) -> Line:
        done, total, unit = _progress(run)
        if not total:
            return (label("nothing counted yet"),)
        counted = Ink(f" {done} of {total} {unit}")
        percent = Ink(f"{100 * done / total:.0f} %".rjust(6))
        room = max(4, width - width_of((counted, percent)))
        return (*bar(done / total, room, self.face.glyphs), counted, percent)

    def _time_line(self, run: RunProjection, width: int) -> Line:
        inks = [label("took " if run.outcome.over else "for "), Ink(_clock(run.elapsed_s))]
        left = run.time_left_s
        if left is None:
            left = run.phase_left_s
        if left is not None:
            inks += [label("   left "), Ink(_clock(left))]
        errors = run.errors
        right = (Ink(f"{errors} unreadable", "warn"),) if errors else ()
        return spread(inks, right, width)

    def _reason(self, run: RunProjection, width: int, height: int) -> list[Line]:
        text = run.reason or run.failure or "no reason was recorded"
        rows = [words.plain(row, 400) for row in text.splitlines()]
        return wrap("\n".join(rows), width, "plain", max(1, height))


def _step(run: RunProjection) -> list[Ink]:
    names = [precision.value for precision in run.passes]
    if run.outcome.over or (run.step is None and run.waiting is None):
        return [label(" ".join(names))]
    if run.waiting is not None:
        limit = words.duration(run.waiting.limit_s)
        return [Ink(words.plain(run.waiting.text)), label(f" · at most {limit}")]
    step = [Ink(run.step or "")]
    if run.step in names:
        step.append(label(f" ({names.index(run.step) + 1} of {len(names)})"))
    step.append(label(f" · {words.plain(run.phase.name) if run.phase else STARTING}"))
    return step


def _progress(run: RunProjection) -> tuple[int, int | None, str]:
    """Done, total and unit of the phase; of the whole run where images are measured."""
    training = run.training
    if training is not None and (run.outcome.over or (run.phase and run.phase.name == TRAIN)):
        return training.steps, training.planned, "steps"
    settings = run.spec.settings
    if run.outcome.over and isinstance(settings, ConversionSettings):
        made = sum(report.refusal is None for report in run.conversions.values())
        return made, len(settings.precisions), "precisions"
    measuring = run.current is not None and run.current.started is not None
    if run.outcome.over or measuring or run.phase is None:
        return run.done, run.expected, _unit(run)
    return run.phase_done, run.phase.total, words.plain(run.phase.unit, 12)


def _unit(run: RunProjection) -> str:
    return "images" if run.dataset is None or run.dataset.questions is None else "questions"


def _latest(run: RunProjection, width: int, height: int) -> list[Line]:
    question = 2 if height > _SHORT else 1  # its answer says more
    if run.asking is not None:
        return _asking(run.asking, run.answer, width, question)
    item = run.last_item
    if item is None:
        return []
    if isinstance(item, AskedItem) and item.error is None:
        return _answered(item, width, question)
    name = words.plain(item.image, max(12, width))
    lines = [(label("latest image"),), (Ink(name),)]
    if item.error is not None:
        return [*lines, *wrap(words.plain(item.error), width, "warn", 2)]
    if isinstance(item, ClassifiedItem):
        return [*lines, *_answer(run, item, width)]
    return [*lines, *_counts(run, item, width)]


def _asking(asking: Asking, answer: str, width: int, rows: int) -> list[Line]:
    """The image and its true count, the question, and the answer as far as it has come."""
    truth = words.UNKNOWN if asking.truth is None else str(asking.truth)
    return [
        _of_image(asking.image, (label("true "), strong(truth)), width),
        *wrap(words.plain(asking.question), width, "label", rows),
        *wrap(words.plain(answer) or "...", width, "strong", 3),
    ]


def _answered(item: AskedItem, width: int, rows: int) -> list[Line]:
    """The same of a question that is answered, and what was read in the answer."""
    truth = words.UNKNOWN if item.truth is None else str(item.total(item.truth))
    told: tuple[Ink, ...] = (label("true "), strong(truth))
    if item.counts:
        told = (*told, label("  found "), strong(str(item.total(item.counts[0]))))
    elif item.verdict is not None:
        told = (Ink(item.verdict, "good" if item.verdict == "right" else "warn"),)
    elif item.truth is not None:
        told = (*told, Ink("  no count", "warn"))
    return [
        _of_image(item.image, told, width),
        *wrap(words.plain(item.question), width, "label", rows),
        *wrap(words.plain(item.answer) or "(says nothing)", width, "strong", 3),
    ]


def _of_image(name: str, told: tuple[Ink, ...], width: int) -> Line:
    room = max(8, width - width_of(told) - 2)
    return spread((Ink(words.plain(name, room)),), told, width)


def _answer(run: RunProjection, item: ClassifiedItem, width: int) -> list[Line]:
    """The true class, the answer, and how many were right so far."""
    names = run.dataset.classes if run.dataset else ()
    answer = item.top[0][0] if item.top else None
    true, said = (_class_name(names, each) for each in (item.label, answer))
    tone: Tone = "plain" if true == said else "warn"
    sure = f" {item.top[0][1]:.2f}" if item.top else ""
    cells: list[Line] = [
        (label("true "), strong(f"{true}  ")),
        (label("answer "), Ink(said + sure, tone)),
    ]
    tally = run.passes[item.precision].tally.classified
    if tally is not None and tally.accuracy is not None:
        cells.append((label("  top-1 so far "), strong(f"{tally.accuracy:.3f}")))
    return flow(cells, width)


def _class_name(names: Sequence[str], index: int | None) -> str:
    if index is None or not 0 <= index < len(names):
        return words.UNKNOWN
    return words.plain(names[index], 20)


def _counts(run: RunProjection, item: Item, width: int) -> list[Line]:
    truth = words.UNKNOWN if item.truth is None else str(sum(item.truth.values()))
    cells: list[Line] = [(label("true "), strong(f"{truth}  "), label("found "))]
    for threshold, counts in zip(run.spec.settings.cuts, item.counts, strict=False):
        at = "  " if threshold is None else f" at {threshold:g}  "
        cells.append((strong(str(sum(counts.values()))), label(at)))
    return flow(cells, width)


def _verdicts(run: RunProjection, width: int) -> list[Line]:
    """What the quantisation doctor says of each precision; its report has a tab of its own."""
    lines: list[Line] = []
    if not isinstance(run.spec.settings, ConversionSettings):
        return lines
    for report in run.conversions.values():
        more = _found(report) if report.refusal is None else ""
        text = f"{report.precision}: {words.plain(report.verdict)}{more}"
        lines += wrap(text, width, "good" if report.refusal is None else "bad", 3)
    return lines


def _found(report: ConversionReport) -> str:
    if report.tokens is not None:
        return f", {report.tokens.same} of {report.tokens.tokens} next tokens are the same"
    return f", {report.latency.ratio:.2f} times as fast" if report.latency else ""


def _validity(run: RunProjection, width: int) -> list[Line]:
    """What the figures of a run that is over are worth: the board, and what really ran."""
    verdict = run.conditions(*run.passes.values()).verdict
    lines = wrap(f"conditions: {verdict}", width, "good" if verdict == "clean" else "warn", 4)
    for precision, state in run.passes.items():
        ran_as = state.facts.executed.words if state.facts else ""
        if ran_as not in ("", f"100% {precision.value}"):
            tone: Tone = "label" if precision.value in ran_as else "warn"
            lines += wrap(f"{precision.value} ran as {ran_as}", width, tone, 2)
    return lines


def _notes(run: RunProjection, width: int) -> list[Line]:
    notes = [words.plain(text) for text in run.warnings]
    if run.damaged_lines:
        notes.append(f"{run.damaged_lines} lines of the journal could not be read")
    lines: list[Line] = []
    for note in notes[-2:]:
        lines += [BLANK, *wrap(f"note: {note}", width, "warn", 2)]
    return lines


def _clock(seconds: float | None) -> str:
    """Whole seconds, so that the line changes once a second and not at every tick."""
    if seconds is None:
        return words.UNKNOWN
    return words.duration(float(round(seconds))) if seconds >= 10 else f"{seconds:.0f} s"
