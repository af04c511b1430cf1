"""Every key of the console, once: bindings, footer, palette, help and docs/keys.md come from here.

`python -m screens.actions` prints the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from textual.binding import Binding, BindingType


class Place(StrEnum):
    """Where a key works."""

    EVERYWHERE = "Everywhere"
    LAB = "Lab"
    RUNS = "Runs"
    RUN = "Run"
    STUDIES = "Studies"
    STUDY = "Study"
    COMPARE = "Compare"
    DATASETS = "Datasets"
    DATASET = "Dataset"
    POWER = "Power"
    TABLE = "Lists and tables"
    SETTINGS = "Settings"


_KEY_NAMES = {"slash": "/", "question_mark": "?", "plus": "+", "minus": "-", "escape": "esc"}


@dataclass(frozen=True)
class Action:
    """A key and what it does. `id` names the method `action_<id>`; `title` is the footer's word."""

    key: str
    id: str
    title: str
    help: str
    place: Place
    footer: bool = True
    palette: bool = True

    @property
    def key_name(self) -> str:
        """The key as it is printed."""
        key = self.key.partition(",")[0]
        return _KEY_NAMES.get(key, key)

    def binding(self) -> Binding:
        """The key as Textual wants it."""
        # Keys come in bursts over a slow line: what is typed after the filter's key must find the
        # filter in focus, so that key is taken before the next one is handed on.
        return Binding(
            self.key, self.id, self.title, show=self.footer, priority=self.id == "filter"
        )


def _at(
    place: Place, *rows: tuple[str, str, str, str], footer: bool = True, palette: bool = True
) -> tuple[Action, ...]:
    return tuple(Action(*row, place, footer, palette) for row in rows)


def _table_keys(rows: str) -> tuple[tuple[str, str, str, str], ...]:
    """The keys of every screen with a table (`screens.table_screen`)."""
    return (
        ("slash", "filter", "filter", f"Show only the {rows} that contain these words"),
        ("o", "sort", "sort", f"Sort the {rows} by the next column"),
        ("O", "reverse", "reverse", f"Turn the order of the {rows} round"),
    )


ACTIONS: tuple[Action, ...] = (
    *_at(
        Place.LAB,
        ("b", "quick", "benchmark", "Run the quick benchmark: the embedded detector, all settled"),
        ("r", "run", "run", "Run the chosen model on the chosen dataset with these settings"),
        ("p", "convert", "convert", "Convert the chosen model to the chosen precisions, examined"),
        ("s", "stop", "stop", "Stop the run that is on, after asking"),
        ("a", "runs", "all runs", "Show all runs"),
        ("m", "studies", "studies", "Show all studies: matrices of runs"),
        ("e", "export", "export", "Write the results that are shown as CSV"),
        *_table_keys("rows"),
    ),
    *_at(
        Place.LAB,
        ("1", "tab('setup')", "set-up", "Go to models, datasets and settings"),
        ("2", "tab('live')", "live", "Go to the live panels (small terminals)"),
        ("3", "tab('results')", "results", "Go to the result table"),
        ("d", "datasets", "datasets", "Show all datasets: look through one, add one"),
        ("P", "convert_as", "convert as", "Convert: type precisions, calibration, name"),
        ("plus,equals_sign", "add_model", "add model",
         "Add a vision-language model: a checkpoint's folder, a hub's"),
        ("n", "train", "train", "Train a classifier: what it learns from, how long, how fast"),
        ("f", "finetune", "fine-tune", "Fine-tune a vision-language model: adapters, prompts"),
        footer=False,
    ),
    Action("space", "mark", "mark", "Mark the run, or take the mark off", Place.RUNS),
    *_at(
        Place.RUNS,
        ("c", "compare", "compare", "Compare the marked runs, or this one with a published table"),
        *_table_keys("runs"),
        ("e", "export", "export", "Write the marked runs, or all that are shown, as CSV"),
        ("d", "delete", "delete", "Delete the marked runs, or this one, after asking"),
        ("s", "stop", "stop", "Stop this run, after asking"),
        ("g", "resume", "go on", "Go on with this run, which ended before its time"),
        ("u", "unmark", "unmark", "Take all marks off"),
    ),
    *_at(
        Place.RUNS,
        ("plus,equals_sign", "import", "import", "Import the runs of another board's lab"),
        footer=False,
    ),
    Action("space", "play", "play", "Play the run back, or pause", Place.RUN),
    *_at(
        Place.RUN,
        ("left", "seek(-1)", "seek", "Go back a fiftieth of the run"),
        ("right", "seek(1)", "seek", "Go on a fiftieth of the run"),
        ("minus", "slower", "speed", "Play at half the speed (down to x0.5)"),
        ("plus,equals_sign", "faster", "speed", "Play at twice the speed (up to x16)"),
    ),
    *_at(
        Place.RUN,
        ("home", "seek_start", "start", "Go to the start of the run"),
        ("end", "seek_end", "end", "Go to the end of the run"),
        footer=False,
    ),
    *_at(
        Place.RUN,
        ("1", "tab('live')", "live", "Show the live panels (small terminals)"),
        ("2", "tab('charts')", "charts", "Show latency over time and its histogram"),
        ("3", "tab('items')", "items", "Show the images, worst first; of a training its scores"),
        ("4", "tab('facts')", "facts", "Show settings, environment, hashes, executed precision"),
        ("5", "tab('log')", "log", "Show the last lines that the runner printed"),
        ("6", "tab('doctor')", "doctor", "Show what the quantisation doctor found"),
        ("7", "tab('classes')", "classes", "Show each class: its errors, or what it is taken for"),
        ("8", "tab('counts')", "counts", "Show errors by how many objects were there"),
        footer=False,
    ),
    *_at(
        Place.RUN,
        *_table_keys("images"),
        ("n", "threshold", "threshold", "Count errors at the next threshold"),
        ("e", "export", "export", "Write one row an image, or the rows of the open tab, as CSV"),
        ("s", "stop", "stop", "Stop this run, after asking"),
        ("g", "resume", "go on", "Go on with this run, which ended before its time"),
    ),
    *_at(
        Place.RUN,
        ("G", "retry", "smaller", "Out of memory: run it again with fewer pixels, less precision"),
        footer=False,
    ),
    *_at(
        Place.STUDIES,
        ("e", "export", "export", "Write the list of studies as it is shown, as CSV"),
        *_table_keys("studies"),
    ),
    *_at(
        Place.STUDY,
        ("g", "resume", "go on", "Go on with all of the study that has no result yet"),
        ("G", "retry", "retry", "Go on, and try again what failed"),
        ("c", "compare", "compare", "Compare it with a published table, or with another run"),
        ("s", "stop", "stop", "Stop the runs of the study, after asking"),
        ("e", "export", "export", "Write all results of the study as CSV"),
        *_table_keys("rows"),
    ),
    *_at(
        Place.COMPARE,
        ("v", "versus", "versus", "Compare with another run or a published table"),
        ("x", "swap", "swap", "Swap the two sides"),
        ("e", "export", "export", "Write the rows that are shown as CSV"),
        ("M", "markdown", "markdown", "Write table, differences and findings as Markdown"),
        *_table_keys("rows"),
    ),
    *_at(
        Place.COMPARE,
        ("1", "tab('rows')", "rows", "Go to both sides' rows"),
        ("2", "tab('findings')", "findings", "Go to what cannot be right"),
        ("3", "tab('differs')", "differs", "Go to what differs between the sides"),
        footer=False,
    ),
    *_at(
        Place.DATASETS,
        ("c", "check", "check", "Look through this dataset, or data at a path, for faults"),
        ("plus,equals_sign", "add", "add", "Give data on disk a name: folder, .json, .yaml, .csv"),
        ("s", "stop", "stop", "Stop looking through the data"),
        ("e", "export", "export", "Write the list of datasets as it is shown, as CSV"),
        *_table_keys("datasets"),
    ),
    *_at(
        Place.DATASET,
        ("e", "export", "export", "Write the findings, or the classes, that are shown as CSV"),
        *_table_keys("rows"),
    ),
    *_at(
        Place.DATASET,
        ("1", "tab('findings')", "findings", "Go to what was found, faults first"),
        ("2", "tab('classes')", "classes", "Go to the classes, as a run counts them"),
        footer=False,
    ),
    *_at(
        Place.POWER,
        ("m", "measure", "measure", "Read every source once, now"),
        ("plus,equals_sign", "add", "add", "Add a power source: a plug, a command, a chip"),
        ("c", "change", "change", "Change what is said of this source"),
        ("d", "delete", "delete", "Delete this source from power.toml, after asking"),
        ("f", "count_first", "first", "Let this source count first"),
        ("i", "baseline", "idle", "Set how long the idle board is watched before each run"),
        ("e", "export", "export", "Write the sources as CSV"),
        *_table_keys("sources"),
    ),
    *_at(
        Place.POWER,
        ("u", "usual_order", "usual order", "Read all sources, the most telling first"),
        footer=False,
    ),
    *_at(
        Place.SETTINGS,
        ("left,minus", "step(-1)", "less", "The next smaller value, or the other choice"),
        ("right,plus,space", "step(1)", "more", "The next larger value, or the other choice"),
        ("enter", "edit", "type", "Type the value"),
        footer=False,
        palette=False,
    ),
    *_at(
        Place.TABLE,
        ("up,k", "cursor(-1)", "up", "One row up"),
        ("down,j", "cursor(1)", "down", "One row down"),
        ("pageup", "page(-1)", "page up", "One page up"),
        ("pagedown", "page(1)", "page down", "One page down"),
        ("home", "first", "first", "The first row"),
        ("end", "last", "last", "The last row"),
        ("left", "columns(-1)", "columns left", "Columns to the left, where there are more"),
        ("right", "columns(1)", "columns right", "Columns to the right, where there are more"),
        ("enter", "choose", "open", "Open the row: a run, a power source, or start the choice"),
        footer=False,
        palette=False,
    ),
    *_at(
        Place.EVERYWHERE,
        ("l", "lab", "lab", "Back to the Lab"),
        ("escape", "back", "back", "Take the filter off; then back to the screen before"),
        ("w", "power", "power", "Show where watts come from, and set it up"),
        ("y", "copy", "copy", "Copy the selected row to the clipboard, also over SSH"),
        ("Y", "copy_path", "copy path", "Copy the path of the CSV file written last"),
        ("t", "theme", "theme", "Next colours: the terminal's own, dark, light"),
        footer=False,
    ),
    Action("tab", "next_pane", "next pane", "Go to the next pane (shift+tab: back)",
           Place.EVERYWHERE, footer=False, palette=False),
    Action("ctrl+p", "palette", "palette", "Find any of these by name", Place.EVERYWHERE,
           footer=False, palette=False),
    Action("question_mark", "help", "help", "Show all keys", Place.EVERYWHERE),
    Action("q", "quit", "quit", "Leave; with a run on, asks: detach, stop or stay",
           Place.EVERYWHERE),
)  # fmt: skip


_FIRST_IN_FOOTER = {
    Place.RUNS: ("choose", "back"),
    Place.RUN: ("back",),
    Place.STUDIES: ("choose", "back"),
    Place.STUDY: ("choose", "back"),
    Place.COMPARE: ("choose", "back"),
    Place.DATASETS: ("back",),
    Place.DATASET: ("back",),
}
"""Keys of tables and of the whole app without which one would not find in or out."""


def at(place: Place) -> Iterator[Action]:
    """The actions of a place, in the order of importance."""
    return (action for action in ACTIONS if action.place is place)


def footer(place: Place) -> list[Action]:
    """The keys that the last line of a screen names, the most important first."""
    shared = [action for action in ACTIONS if action.id in _FIRST_IN_FOOTER.get(place, ())]
    return [*shared, *(action for action in at(place) if action.footer)]


def bindings(place: Place) -> list[BindingType]:
    """The keys of a screen, a widget or the app."""
    return [action.binding() for action in at(place) if action.id != "next_pane"]


def page() -> str:
    """docs/keys.md."""
    parts = [
        "# Keys\n",
        "Made from the action table of the console (`python -m screens.actions`); "
        "the same table feeds footer, palette and help.\n",
    ]
    for place in Place:
        parts.append(f"## {place}\n")
        parts.append("| key | does |\n|---|---|")
        parts.extend(f"| `{action.key_name}` | {action.help} |" for action in at(place))
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
