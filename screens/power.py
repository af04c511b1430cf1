"""Where watts come from: all power sources with a reading, and the settings in `power.toml`."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import partial

from textual import on, work
from textual.app import ComposeResult

from edgelab import words
from edgelab.energy.config import PowerSettings, load
from edgelab.energy.discovery import Discovered, Origin
from edgelab.energy.editing import (
    Change,
    change_file,
    in_order,
    texts_of,
    with_baseline,
    with_source,
    without_source,
)
from edgelab.energy.sources import Source
from edgelab.energy.survey import Entry, entries, look_at, survey
from edgelab.export import sources_csv
from edgelab.problem import Problem, told
from screens.actions import Place, bindings
from screens.background import in_background
from screens.dialogs import Ask, Edit
from screens.face import Face
from screens.ink import Line, Tone, label, line, strong, wrap
from screens.power_form import ChooseKind, SourceForm, Typed
from screens.table_screen import TableScreen
from screens.watch import Snapshot
from screens.widgets.filter_line import FilterLine
from screens.widgets.lines import KeyLine, StatusLine
from screens.widgets.pane import Pane
from screens.widgets.table import Column, Table

NO_SOURCE = "No power source: runs have no joules. + adds one; docs/energy.md tells what fits."
NEXT_RUN = "A run is on: what is changed here counts from the next run on."
_BEING_READ = "is being read"
_NOT_READ = "not read yet: m reads all sources"
_MOST_TELLING = "the most telling first"


def _watts(entry: Entry) -> str:
    if entry.watts is None:
        return words.UNKNOWN
    guessed = entry.facts is not None and entry.facts.method == "estimated"
    return f"{'~' if guessed else ''}{entry.watts:.2f}"


def _note(entry: Entry) -> str:
    return entry.reason or (entry.facts.detail if entry.facts else "")


def _tone(entry: Entry) -> Tone:
    return "label" if entry.rank is None else "plain"


COLUMNS: tuple[Column[Entry], ...] = (
    Column("#", lambda e: str(e.rank or words.UNKNOWN), lambda e: e.rank, True, tone=_tone),
    Column("source", lambda e: words.plain(e.name), lambda e: e.name.casefold(), tone=_tone),
    Column("watts", _watts, lambda e: e.watts, True, tone=lambda _: "strong"),
    Column(
        "kind",
        lambda e: e.origin.kind if e.origin else words.UNKNOWN,
        lambda e: e.origin.kind if e.origin else None,
        tone=_tone,
    ),
    Column(
        "method",
        lambda e: e.facts.method if e.facts else words.UNKNOWN,
        lambda e: e.facts.method if e.facts else None,
    ),
    Column(
        "scope",
        lambda e: e.facts.scope if e.facts else words.UNKNOWN,
        lambda e: e.facts.scope if e.facts else None,
    ),
    Column(
        "accuracy",
        lambda e: f"{100 * e.facts.accuracy:g} %" if e.facts else words.UNKNOWN,
        lambda e: e.facts.accuracy if e.facts else None,
        True,
    ),
    Column(
        "every",
        lambda e: f"{e.facts.period_s:g} s" if e.facts else words.UNKNOWN,
        lambda e: e.facts.period_s if e.facts else None,
        True,
    ),
    Column("where, or why not", lambda e: words.plain(_note(e)), flex=True, tone=_tone),
)


def _identity(entry: Entry) -> Hashable:
    return entry.name, entry.origin


def _is_set(entry: Entry) -> bool:
    """True where the file describes the source."""
    return entry.origin is not None and entry.origin.table is not None


class PowerNotes(Pane):
    """What is known of the selected source, and the settings that concern all."""

    def __init__(self, face: Face) -> None:
        super().__init__(face, "Settings", "power-notes")
        self.entry: Entry | None = None
        self.settings: PowerSettings | None = None
        self.any_source = False
        self.run_is_on = False

    def draw(self) -> list[Line]:
        """A few lines; what matters most comes first."""
        width = self.content_size.width
        lines: list[Line] = []
        if self.run_is_on:
            lines += wrap(NEXT_RUN, width, "warn", most=2)
        if self.settings is None:
            return lines
        for warning in self.settings.warnings:
            lines += wrap(words.plain(warning), width, "warn", most=2)
        if self.entry is not None and not self.any_source:
            lines += wrap(NO_SOURCE, width, "accent", most=2)
        if self.entry is not None:
            lines.append(line(strong(words.plain(self.entry.name)), label(self._asked_for())))
            lines += wrap(words.plain(_note(self.entry)), width, most=2)
        config = self.settings.config
        idle = f"{config.idle_baseline_s:g} s" if config.idle_baseline_s else "none"
        order = words.plain(", ".join(config.use), max(20, width - 7)) or _MOST_TELLING
        return [
            *lines,
            line(label("idle baseline before each run  "), idle),
            line(label("order  "), order),
        ]

    def _asked_for(self) -> str:
        origin = self.entry.origin if self.entry else None
        if origin is None or self.settings is None:
            return ""
        if origin.table is None:
            return " · looked for by itself"
        secret = " · password set" if self.settings.password_of(origin.table) else ""
        return f" · from power.toml{secret}"


class PowerScreen(TableScreen):
    """One table, and below it what is set."""

    CSS_PATH = "power.tcss"
    BINDINGS = bindings(Place.POWER)
    AUTO_FOCUS = "#sources"
    place = Place.POWER

    def __init__(self, face: Face) -> None:
        super().__init__(face)
        self.table: Table[Entry] = Table(
            COLUMNS,
            _identity,
            face,
            "Power sources",
            "sources",
            pinned=2,
            nothing="Looking for power sources...",
        )
        self.notes = PowerNotes(face)
        self._settings: PowerSettings | None = None
        self._entries: list[Entry] = []

    def compose(self) -> ComposeResult:
        """Table, notes and filter."""
        yield StatusLine(self.face, "Power")
        yield self.table
        yield self.notes
        yield FilterLine(self.face)
        yield KeyLine(self.face, Place.POWER)

    def on_mount(self) -> None:
        """Look round; a run that is on is not disturbed by readings that nobody asked for."""
        self.table.show([])
        self.look_round(read=self.console.snapshot.current is None)

    def take(self, snapshot: Snapshot) -> None:
        """A run began or ended."""
        super().take(snapshot)
        self.notes.run_is_on = snapshot.current is not None
        self.notes.update()

    # Reading -------------------------------------------------------------------------------

    @work(exclusive=True, group="power")
    async def look_round(self, read: bool, select: str = "") -> None:
        """Find all sources anew, and read each once where that is wanted."""
        try:
            settings, found = await in_background(self._find)
        except (Problem, OSError) as problem:
            self._stop_at(told(problem))
            return
        self._settings = self.notes.settings = settings
        waiting = _BEING_READ if read else _NOT_READ
        self._show([replace(e, reason=e.reason or waiting) for e in entries(found)])
        for entry in self._entries:
            if entry.name == select:
                self.table.select(_identity(entry))
        if read:
            await asyncio.gather(*(self._read(source) for source in found.sources))

    async def _read(self, source: Source) -> None:
        look = await in_background(partial(look_at, source))
        self._show(
            [
                replace(entry, watts=look.watts, reason=look.reason)
                if entry.facts is not None and entry.facts == source.facts
                else entry
                for entry in self._entries
            ]
        )

    def _find(self) -> tuple[PowerSettings, Discovered]:
        home = self.console.lab.home
        settings = load(home.power_settings)
        return settings, survey(home, settings, self.console.root)

    def _stop_at(self, problem: str) -> None:
        """The file is broken: nothing is shown but that, and nothing is written."""
        self._settings = self.notes.settings = None
        self.table.nothing = f"{words.plain(problem, 500)}. Mend it, then press m."
        self._show([])

    def _show(self, shown: Sequence[Entry]) -> None:
        self._entries = list(shown)
        self.notes.any_source = any(entry.rank for entry in self._entries)
        self.table.show(self._entries)
        self._describe()

    @on(Table.Moved)
    def _describe(self) -> None:
        self.notes.entry = self.table.row
        self.notes.update()

    # Changing ------------------------------------------------------------------------------

    @work(group="power-save")
    async def save(self, change: Change, said: str, select: str = "") -> None:
        """Change the file, then look round again."""
        seen = self._settings
        if seen is None:
            return
        path = self.console.lab.home.power_settings
        try:
            await in_background(partial(change_file, path, seen.config, change))
        except (Problem, OSError) as problem:
            self.console.say(told(problem), bad=True)
        else:
            on_later = " · counts from the next run on"
            self.console.say(f"{said}{on_later if self.console.snapshot.current else ''}")
        self.look_round(read=self.console.snapshot.current is None, select=select)

    def _known(self) -> PowerSettings | None:
        """The settings, where they can be changed."""
        if self._settings is None:
            self.console.say(f"not changed: {self.table.nothing}", bad=True)
        return self._settings

    def _origin(self) -> Origin | None:
        """Who asked for the selected source."""
        entry = self.table.row
        if entry is not None and entry.origin is None:
            self.console.say(f"only the order names {entry.name}: u reads all sources again")
        return entry.origin if entry else None

    def action_measure(self) -> None:
        """Read every source once."""
        self.look_round(read=True)

    def action_add(self) -> None:
        """Ask for the kind, then for the rest."""
        if self._known() is not None:
            self.app.push_screen(ChooseKind(self.face), self._add)

    def _add(self, kind: str | None) -> None:
        if kind is not None:
            self._open_form(Origin(kind))

    @on(Table.Chosen)
    def action_change(self) -> None:
        """Say something else of this source; one found by itself gets a place in the file."""
        if self._known() is not None and (origin := self._origin()) is not None:
            self._open_form(origin)

    def _open_form(self, origin: Origin) -> None:
        settings = self._settings
        if settings is None:
            return
        kind, table = origin
        texts = None if table is None else texts_of(settings.config.source[table])
        kept = None if table is None else settings.password_of(table)

        def changed(typed: Typed) -> Change:
            return partial(with_source, table=table, source=typed.source, password=typed.password)

        def take(typed: Typed | None) -> None:
            if typed is not None:
                label = typed.source.label
                self.save(changed(typed), f"{label} is saved", select=label)

        form = SourceForm(self.face, kind, lambda typed: changed(typed)(settings), texts, kept)
        self.app.push_screen(form, take)

    def action_delete(self) -> None:
        """Delete this source from the file, after asking."""
        if self._known() is None or (origin := self._origin()) is None:
            return
        entry, table = self.table.row, origin.table
        if entry is None or table is None:
            self.console.say("found by itself: it is not in power.toml")
            return
        name = words.plain(entry.name)

        def delete(sure: bool | None) -> None:
            if sure:
                self.save(partial(without_source, table=table), f"{name} is deleted")

        consequence = "Its settings and its password are lost. What runs recorded stays."
        self.app.push_screen(Ask(self.face, f"Delete power source {name}?", consequence), delete)

    def action_count_first(self) -> None:
        """Put this source at the head of the order."""
        entry = self.table.row
        if self._known() is None or entry is None:
            return
        if entry.rank is None and not _is_set(entry):
            self.console.say(f"{entry.name} is not there: it cannot count")
            return
        names = [entry.name, *self._in_use()]
        self.save(partial(in_order, names=names), f"{words.plain(entry.name)} counts first")

    def _in_use(self) -> list[str]:
        """The order as it is: what is read, then what is set but not there now."""
        ranked = [entry.name for entry in self._entries if entry.rank is not None]
        named = self._settings.config.use if self._settings else ()
        absent = [entry.name for entry in self._entries if entry.rank is None and _is_set(entry)]
        return [*ranked, *(named or absent)]

    def action_usual_order(self) -> None:
        """Read all sources again, the most telling first."""
        settings = self._known()
        if settings is not None and settings.config.use:
            self.save(partial(in_order, names=()), f"all sources are read, {_MOST_TELLING}")

    def action_baseline(self) -> None:
        """Type the seconds."""
        settings = self._known()
        if settings is None:
            return

        def take(typed: str | None) -> None:
            if typed is not None:
                self.save(partial(with_baseline, typed=typed), f"idle baseline: {typed.strip()} s")

        self.app.push_screen(
            Edit(
                self.face,
                "idle baseline",
                f"{settings.config.idle_baseline_s:g}",
                "seconds before each run, to 600; 0: no net energy",
                lambda typed: with_baseline(settings, typed),
            ),
            take,
        )

    def action_export(self) -> None:
        """Write the sources that are shown."""
        self.export_rows("power", sources_csv, "source")
