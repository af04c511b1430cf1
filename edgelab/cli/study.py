"""`edgelab study`: run a matrix, go on with it, see its table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import msgspec

from edgelab import words
from edgelab.catalogue import Catalogue
from edgelab.cli.dataset_options import class_names
from edgelab.cli.follow import follow, print_rows
from edgelab.cli.output import print_json, print_table, say
from edgelab.cli.written import keep, print_kept
from edgelab.export import results_csv
from edgelab.fitting import refuse_what_does_not_fit, this_board
from edgelab.home import Home
from edgelab.lab import Lab
from edgelab.learned import scored_table
from edgelab.machine import usable_cores
from edgelab.naming import dataset_named, model_of_task
from edgelab.problem import Problem
from edgelab.reader import LiveRun
from edgelab.record import RunRecord
from edgelab.records import Outcome
from edgelab.results import as_dict, table
from edgelab.schema import read_toml
from edgelab.scored import scored_rows
from edgelab.spec import CoolDown, Terms
from edgelab.studies import Studies
from edgelab.study import Study, StudyProfile, expand
from edgelab.study_progress import StudyProgress


def run(options: argparse.Namespace) -> int:
    """Begin or go on, follow it to its end unless detached, print the table of all runs."""
    lab = Lab(Home.default())
    lab.recover()
    studies = Studies(lab)
    study = _study(studies, options)
    if options.detach:
        if options.json:
            print_json({"study": study.id, "runs": [each.run for each in study.runs]})
        else:
            print(f"study {study.id} is on its way: edgelab study {study.id}")
        return 0
    _follow(studies, study)
    return _conclude(studies, study, options.json)


def _study(studies: Studies, options: argparse.Namespace) -> Study:
    """The study that is meant, with all its runs queued that have no result yet."""
    profile = _profile(studies.lab, options.study)
    if profile is None:
        study = studies.find(options.study)
        if options.resume:
            studies.go_on(study, options.retry)
        return study
    changed = _changed(profile, options, Catalogue(studies.lab.home))
    name = Path(options.study).stem
    begun = studies.begun(name, changed) if options.resume else None
    if begun is not None:
        count = studies.go_on(begun, options.retry)
        say(f"study {begun.id}: {count} of {len(begun.runs)} runs go on or are still to come")
        return begun
    if not options.force:
        refuse_what_does_not_fit(expand(changed, name), studies.lab.home, this_board(studies.lab))
    cool_down = None if options.cool_down is None else CoolDown(limit_s=options.cool_down)
    terms = Terms(options.time_limit, cool_down, options.governor)
    study = studies.begin(name, changed, terms)
    say(f"study {study.id}: {study.cells} configurations from {study.passes} passes")
    return study


def _profile(lab: Lab, given: str) -> StudyProfile | None:
    entry = Catalogue(lab.home).study(given)
    if entry is not None:
        return entry.require()
    path = Path(given).expanduser()
    return read_toml(path, StudyProfile) if path.suffix == ".toml" else None


def _changed(
    profile: StudyProfile, options: argparse.Namespace, catalogue: Catalogue
) -> StudyProfile:
    """The matrix with what the command line says instead."""
    values: dict[str, Any] = {
        "model": options.model
        and [model_of_task(profile.task, each, catalogue) for each in options.model],
        "dataset": options.dataset and [dataset_named(each, catalogue) for each in options.dataset],
        "images": str(Path(options.images).absolute()) if options.images else None,
        "classes": class_names(options.classes),
        "per_class": options.per_class,
        "precisions" if profile.takes("precisions") else "precision": options.precision,
        "thresholds": options.threshold,
        "threads": options.threads,
        "repetitions": options.repetitions,
        "limit": options.limit,
    }
    if not (options.threads or {"threads"} & (profile.settings.keys() | profile.axes.keys())):
        values["threads"] = usable_cores()
    changed = profile.changed(**{key: value for key, value in values.items() if value})
    for each in options.set:
        changed = changed.with_setting(*_setting(each))
    return changed


def _setting(given: str) -> tuple[str, Any]:
    """A setting by its key, its value read as JSON where it is some, else taken as text."""
    key, equals, text = given.partition("=")
    if not (key and equals):
        raise Problem(f"--set {words.plain(given)}: must be a setting's key, =, its value")
    try:
        return key, msgspec.json.decode(text)
    except msgspec.DecodeError:
        return key, text


def _follow(studies: Studies, study: Study) -> None:
    """Show one run after the other until none of them waits; ctrl+c stops them all."""
    say("ctrl+c stops it, a closed terminal does not")
    try:
        for place, each in enumerate(study.runs, 1):
            folder = studies.lab.folder(each.run)
            if folder.spec_file.exists() and not folder.record.is_file():
                place_of = f"{place} of {len(study.runs)}"
                say(f"{place_of}: {words.plain(each.title)}{_left(studies, study)}")
                follow(studies.lab, LiveRun(folder))
    except KeyboardInterrupt:
        say("\nstopping")
        studies.stop(study)
        for each in study.runs:
            folder = studies.lab.folder(each.run)
            if folder.spec_file.exists() and not folder.record.is_file():
                follow(studies.lab, LiveRun(folder))


def _left(studies: Studies, study: Study) -> str:
    left = StudyProgress.of(study, studies.records(study)).time_left_s
    return "" if left is None else f" · about {words.duration(left)} left"


def _conclude(studies: Studies, study: Study, as_json: bool) -> int:
    records = _whole(studies, study)
    rows = list(table(records))
    scored = [row for record in records for row in scored_rows(record)]
    csv_file = None
    if rows or scored:
        name = f"study-{study.name}-{study.id}.csv"
        csv_file = keep(studies.lab.home.exports / name, results_csv(records))
    progress = StudyProgress.of(study, {record.spec.id: record for record in records})
    finished = progress.done == study.cells
    if as_json:
        print_json(
            {
                "study": study.id,
                "name": study.name,
                "configurations": study.cells,
                "done": progress.done,
                "runs": [{"run": r.spec.id, "outcome": r.outcome} for r in records],
                "rows": [as_dict(row) for row in rows],
                "scores": [row.document for row in scored],
                "csv": csv_file,
            }
        )
    else:
        if rows:
            print_rows(rows)
        if scored:
            print_table(*scored_table(scored))
        _print_ends(study, progress, records)
        print_kept(csv_file)
        if study.reference is not None:
            reference = f"reference:{study.reference}"
            print(f"beside the published table: edgelab compare study:{study.id} {reference}")
    return 0 if finished else 1


def _whole(studies: Studies, study: Study) -> list[RunRecord]:
    """The runs' own records, with what the index leaves out, in the order of the study."""
    folders = (studies.lab.folder(each.run) for each in study.runs)
    return [studies.lab.record(folder) for folder in folders if folder.spec_file.exists()]


def _print_ends(study: Study, progress: StudyProgress, records: list[RunRecord]) -> None:
    print(f"study {study.id}: {progress.done} of {study.cells} configurations have a result")
    for record in records:
        if record.outcome is not Outcome.FINISHED:
            what = f"#{record.spec.number} {record.spec.title}: {record.outcome}"
            print(words.plain(f"{what}: {record.reason}", 400))
    missing = {each.run for each in study.runs} - {record.spec.id for record in records}
    if missing or any(record.outcome is not Outcome.FINISHED for record in records):
        print(f"go on: edgelab study {study.id} --resume")
