"""A model that is asked, under a name of one's own: a checkpoint's folder, or a hub's model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import tomli_w

from edgelab.catalogue import Catalogue, HubModel
from edgelab.durable import replace_file
from edgelab.home import Home
from edgelab.naming import checkpoint_named, must_be_a_name
from edgelab.problem import Problem
from edgelab.vlm_memory import must_hold_weights

FIELDS: dict[str, str] = {
    "name": "small letters, digits, - _",
    "model": "a checkpoint's folder, a hub id",
    "title": "in a few words, what it is",
}
"""What can be typed of a new model, each with a hint."""


class NewModel(NamedTuple):
    """A model that is to get a name."""

    name: str
    profile: HubModel


def new_model(home: Home, name: str, given: str, title: str | None = None) -> NewModel:
    """The model at a folder, its path made absolute, or of a hub.

    Raises Problem naming what is wrong with it, and where the name is taken.
    """
    must_be_a_name(name)
    catalogue = Catalogue(home)
    if (known := catalogue.hub_model(name) or catalogue.model(name)) is not None:
        raise Problem(f"{name}: the name is taken by {known.path}: choose another, or change that")
    if not given:
        raise Problem("model: name a checkpoint's folder, or a hub's model (owner/name)")
    if (same := catalogue.hub_model(given)) is not None:
        raise Problem(f"model {given}: is a name already, of {same.path}")
    model = checkpoint_named(given, catalogue)
    is_folder = Path(model).is_absolute()
    if is_folder:
        _must_be_a_checkpoint(Path(model))
    profile = HubModel(
        schema_version=1,
        title=title or name,
        repository=None if is_folder else model,
        folder=model if is_folder else None,
    )
    return NewModel(name, profile)


def _must_be_a_checkpoint(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise Problem(f"{folder}: no checkpoint: there is no config.json in it")
    must_hold_weights(folder)


def model_from(home: Home, texts: Mapping[str, str]) -> NewModel:
    """A model as typed into the lines of `FIELDS`. Raises Problem."""
    typed = {name: text.strip() for name, text in texts.items()}
    return new_model(home, typed["name"], typed["model"], typed["title"] or None)


def add_model(home: Home, new: NewModel) -> Path:
    """Write its profile; returns where it lies."""
    path = home.profiles / "hub" / f"{new.name}.toml"
    replace_file(path, tomli_w.dumps(msgspec.to_builtins(new.profile)).encode())
    return path
