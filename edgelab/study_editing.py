"""A matrix as a person types it: one line a key, and back into a profile, and into a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from edgelab.catalogue import Catalogue
from edgelab.durable import replace_file
from edgelab.home import Home
from edgelab.machine import usable_cores
from edgelab.naming import must_be_a_name, must_be_known
from edgelab.problem import Problem
from edgelab.study import StudyProfile, expand

FIELDS: dict[str, str] = {
    "model": "names or paths, by spaces",
    "dataset": "names or paths",
    "precisions": "fp32 fp16 int8",
    "thresholds": "such as 0.3 0.5 0.7",
    "threads": "such as 1 2 4",
    "repetitions": "times over the data",
    "limit": "so many images; empty: all",
}
"""What can be typed of a matrix, each with a hint; whatever else it says stays as it is."""

_NUMBERS = {"thresholds": float, "threads": int, "repetitions": int, "limit": int}


def texts_of(profile: StudyProfile) -> dict[str, str]:
    """What stands in each field."""
    known: dict[str, Any] = {"threads": usable_cores(), **profile.settings, **profile.axes}
    return {name: _text(known.get(name)) for name in FIELDS if _applies(profile, name)}


def profile_from(
    profile: StudyProfile, texts: Mapping[str, str], catalogue: Catalogue
) -> StudyProfile:
    """The matrix with what was typed; raises Problem naming the field, or what is not there."""
    values = {name: _value(name, text) for name, text in texts.items()}
    for name in ("model", "dataset"):
        values[name] = [_located(each, catalogue) for each in values.get(name, ())]
    given = {name: value for name, value in values.items() if value}
    for name, value in values.items():
        if not value and name in ("model", "dataset"):
            raise Problem(f"{name} is empty: a study needs one")
    changed = profile.changed(**given)
    left_out = values.keys() - given.keys()
    settings = {key: v for key, v in changed.settings.items() if key not in left_out}
    axes = {key: v for key, v in changed.axes.items() if key not in left_out}
    changed = msgspec.structs.replace(changed, settings=settings, axes=axes)
    for planned in expand(changed, "this study"):
        must_be_known(planned, catalogue)
    return changed


def save_profile(home: Home, name: str, profile: StudyProfile) -> Path:
    """Keep a matrix under a name in the user's own profiles; raises Problem."""
    must_be_a_name(name)
    path = home.profiles / "studies" / f"{name}.toml"
    plain = msgspec.to_builtins(profile)
    document = {key: value for key, value in plain.items() if value}
    replace_file(path, tomli_w.dumps(document).encode())
    return path


def _applies(profile: StudyProfile, name: str) -> bool:
    """What runs of its task have can be typed, thresholds where it has some."""
    return profile.takes(name) and (name != "thresholds" or name in profile.settings)


def _located(given: str, catalogue: Catalogue) -> str:
    """A path made absolute, for a run is carried out elsewhere; a name as it is."""
    path = Path(given).expanduser()
    named = catalogue.model(given) or catalogue.dataset(given) or catalogue.hub_model(given)
    return given if named is not None or not path.exists() else str(path.absolute())


def _text(value: Any) -> str:
    if value is None:
        return ""
    values = value if isinstance(value, (list, tuple)) else (value,)
    return " ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in values)


def _value(name: str, text: str) -> Any:
    parts = text.replace(",", " ").split()
    kind = _NUMBERS.get(name, str)
    try:
        values = [kind(part) for part in parts]
    except ValueError:
        raise Problem(f"{name} = {text[:80]!r}: expected numbers") from None
    if name in ("repetitions", "limit") and len(values) == 1:
        return values[0]
    return values
