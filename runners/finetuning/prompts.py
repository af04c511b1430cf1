"""The prompts of a task: a profile of templates, and what they become for a data set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgelab.catalogue import ProfileVersion, shipped_profiles
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.schema import read_toml
from edgelab.settings.common import Text

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_WANTED = {"class": frozenset({"labels"}), "answer": frozenset({"question"})}

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9 _-]{0,39}$")]


class Prompts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`profiles/prompts/<name>.toml`: prompts by name, and other names of the classes.

    `learns` "class": to name an image's class; `{labels}` becomes the classes. "answer": to answer
    the data's own questions; `{question}` becomes the question, and every prompt needs it.
    """

    schema_version: ProfileVersion
    title: Text
    learns: Literal["class", "answer"]
    prompts: Annotated[dict[Name, Text], Meta(min_length=1)]
    aliases: dict[Text, tuple[Text, ...]] = {}
    note: str = ""

    def __post_init__(self) -> None:
        for name, text in self.prompts.items():
            used = set(_PLACEHOLDER.findall(text))
            if strange := used - _WANTED[self.learns]:
                raise ValueError(
                    f"prompts.{name} has {{{min(strange)}}}: a prompt that learns {self.learns!r} "
                    f"may have {{{min(_WANTED[self.learns])}}}"
                )
            if self.learns == "answer" and not used:
                raise ValueError(f"prompts.{name} does not hold the {{question}}")

    def ask(self, name: str, labels: tuple[str, ...], question: str) -> str:
        """The text of a prompt for one image."""
        text = self.prompts[name].replace("{labels}", ", ".join(labels))
        return text.replace("{question}", question)


def read_prompts(given: str, home: Home) -> Prompts:
    """The prompts by name, a user's own before the shipped ones, or of a .toml file."""
    if given.endswith(".toml"):
        return read_toml(Path(given).expanduser(), Prompts)
    if "/" in given or given.startswith("."):
        raise Problem(f"{given}: prompts are a name or a .toml file")
    folders = [home.profiles / "prompts", shipped_profiles() / "prompts"]
    for folder in folders:
        if (path := folder / f"{given}.toml").is_file():
            return read_toml(path, Prompts)
    known = sorted({path.stem for folder in folders for path in folder.glob("*.toml")})
    raise Problem(f"no prompts {given!r}, there are {', '.join(known)}")


def require(prompts: Prompts, name: str) -> None:
    """Raise Problem where the profile has no prompt of that name."""
    if name not in prompts.prompts:
        raise Problem(f"no prompt {name!r}, there are {', '.join(prompts.prompts)}")
