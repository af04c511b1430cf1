"""`edgelab datasets`: the datasets known by name; `check` looks through one, `add` names one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import groupby

import msgspec

from edgelab.catalogue import Catalogue
from edgelab.cli.dataset_options import class_names
from edgelab.cli.output import print_json, print_table, say
from edgelab.cli.program import shown
from edgelab.dataset_check import CHECKING, look_through
from edgelab.dataset_editing import add_dataset, new_dataset
from edgelab.dataset_report import DatasetReport, Finding
from edgelab.dataset_tables import COLUMNS, KNOWN
from edgelab.home import Home
from edgelab.naming import dataset_named, model_named
from edgelab.words import UNKNOWN, whole

CLASS_TITLES = ("class", "images", "objects", "crowds", "model")
FINDING_TITLES = ("", "where", "what")
SHOWN_OF_A_KIND = 20
FAULTS_EXIT = 1


def run(options: argparse.Namespace) -> int:
    """List them, look through one, or add one."""
    actions = {None: _list, "check": _check, "add": _add}
    return actions[options.action](options)


def _list(options: argparse.Namespace) -> int:
    """A broken profile is listed with its problem."""
    rows = [
        {column.name: column.value(entry) for column in COLUMNS}
        for entry in Catalogue(Home.default()).datasets()
    ]
    if options.json:
        print_json(rows)
    else:
        cells = ([str(value or UNKNOWN) for value in row.values()] for row in rows)
        print_table([column.name for column in COLUMNS], cells)
    return 0


def _check(options: argparse.Namespace) -> int:
    """Exit code 1 where there is a fault."""
    home = Home.default()
    catalogue = Catalogue(home)
    dataset = dataset_named(options.dataset, catalogue)
    model = model_named(options.model, catalogue) if options.model else None
    with shown(CHECKING) as tell:
        report = look_through(
            home, dataset, tell, images=options.images, split=options.split, model=model
        )
    if options.json:
        counts = {kind.value: count for kind, count in report.by_kind.items()}
        print_json({**msgspec.to_builtins(report), "faults": report.faults, "by_kind": counts})
    else:
        _print(report)
    return FAULTS_EXIT if report.faults else 0


def _print(report: DatasetReport) -> None:
    facts = [
        ("dataset", f"{report.name}, {report.split}"),
        ("file", report.path),
        ("images", f"{report.images}, {report.readable} can be read"),
        _content(report),
    ]
    print_table(("", ""), facts)
    if report.classes:
        print()
        print_table(CLASS_TITLES, _class_rows(report))
    if report.findings:
        print()
        print_table(FINDING_TITLES, _finding_rows(report.findings))
    print()
    told = [f"{count} x {kind}" for kind, count in report.by_kind.items() if kind.is_fault]
    print(f"{report.faults} faults: {', '.join(told)}" if told else "no faults")


def _content(report: DatasetReport) -> tuple[str, str]:
    """What there is besides images."""
    if report.questions is not None:
        return "asked", f"{report.questions} questions"
    objects = "no annotations" if report.objects is None else f"{report.objects} objects"
    return "counted", f"{objects}, {report.crowds} crowds left out"


def _class_rows(report: DatasetReport) -> Iterator[list[str]]:
    for each in report.classes:
        numbers = (each.images, each.objects, each.crowds)
        yield [each.name, *map(whole, numbers), KNOWN[each.known]]


def _finding_rows(findings: tuple[Finding, ...]) -> Iterator[tuple[str, str, str]]:
    """The first of each kind; how many more there are is said."""
    for kind, same in groupby(findings, key=lambda finding: finding.kind):
        all_of_kind = list(same)
        for finding in all_of_kind[:SHOWN_OF_A_KIND]:
            yield kind.value, finding.where, finding.what
        more = len(all_of_kind) - SHOWN_OF_A_KIND
        if more > 0:
            yield kind.value, f"and {more} more", "--json names all"


def _add(options: argparse.Namespace) -> int:
    """What cannot be run at all is refused; faults are told, and cost themselves only."""
    home = Home.default()
    classes = class_names(options.classes)
    new = new_dataset(
        home,
        options.name,
        options.path,
        images=options.images,
        classes=tuple(classes) if classes else None,
        per_class=options.per_class,
        split=options.split,
        title=options.title,
    )
    with shown(CHECKING) as tell:
        report = new.look_through(home, tell)
    path = add_dataset(home, new, report)
    print(f"{options.name}: {report.images} images, kept in {path}")
    if report.faults:
        say(f"{report.faults} faults in it: edgelab datasets check {options.name}")
    return 0
