"""The prompts of a task: a profile of templates, and what they become for a data set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgelab.catalogue import ProfileVersion, shipped_profiles
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.schema import read_toml
from edgelab.settings.common import Language, Text

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_MAY_HAVE = {
    "class": frozenset({"labels"}),
    "answer": frozenset({"question"}),
    "count": frozenset({"singular", "plural"}),
    "description": frozenset[str](),
}
_MUST_HAVE_ONE = ("answer", "count")
_ES = ("s", "x", "z", "ch", "sh")

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9 _-]{0,39}$")]


class Prompts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`profiles/prompts/<name>.toml`: prompts by name, and other names of the classes.

    `learns` "class": to name an image's class; `{labels}` becomes the classes. "answer": to answer
    the data's own questions; `{question}` becomes the question, and every prompt needs it. "count":
    to count the objects of a class; `{singular}` and `{plural}` become what it is called, and every
    prompt needs one of them. "description": to describe an image.

    `translations`: the same prompts in another language than English. `nouns`: what a class is
    called, by language: singular, plural, and whatever else an answer may call it.
    """

    schema_version: ProfileVersion
    title: Text
    learns: Literal["class", "answer", "count", "description"]
    prompts: Annotated[dict[Name, Text], Meta(min_length=1)]
    aliases: dict[Text, tuple[Text, ...]] = {}
    translations: dict[Language, dict[Name, Text]] = {}
    nouns: dict[Language, dict[Text, Annotated[tuple[Text, ...], Meta(min_length=2)]]] = {}
    note: str = ""

    def __post_init__(self) -> None:
        for name, text in self.prompts.items():
            self._check(f"prompts.{name}", text)
        for language, texts in self.translations.items():
            for name, text in texts.items():
                self._check(f"translations.{language}.{name}", text)

    def _check(self, key: str, text: str) -> None:
        used, may = set(_PLACEHOLDER.findall(text)), _MAY_HAVE[self.learns]
        known = " or ".join(f"{{{name}}}" for name in sorted(may, reverse=True))
        if strange := used - may:
            raise ValueError(
                f"{key} has {{{min(strange)}}}: a prompt that learns {self.learns!r} may have "
                f"{known or 'no placeholder'}"
            )
        if self.learns in _MUST_HAVE_ONE and not used:
            raise ValueError(f"{key} does not hold the {known}")

    def text(self, name: str, language: Language) -> str:
        """A prompt in a language, placeholders and all."""
        return (self.translations[language] if language != "en" else self.prompts)[name]

    def ask(
        self, name: str, labels: tuple[str, ...], question: str, language: Language = "en"
    ) -> str:
        """The text of a prompt for one image."""
        text = self.text(name, language).replace("{labels}", ", ".join(labels))
        return text.replace("{question}", question)

    def count(self, name: str, language: Language, noun: Sequence[str]) -> str:
        """The text of a prompt that asks for the number of a thing: its singular, its plural."""
        text = self.text(name, language)
        return text.replace("{singular}", noun[0]).replace("{plural}", noun[1])

    def nouns_of(self, label: str, language: Language) -> tuple[str, ...] | None:
        """What a class is called: singular, plural, more; None where the profile does not say."""
        return self.nouns.get(language, {}).get(label)


def english_nouns(label: str) -> tuple[str, str]:
    """A class's own name and its regular English plural."""
    if label.endswith(_ES):
        return label, f"{label}es"
    if label.endswith("y") and label[-2:-1] not in "aeiou":
        return label, f"{label[:-1]}ies"
    return label, f"{label}s"


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


def require(prompts: Prompts, name: str, language: Language = "en") -> None:
    """Raise Problem where the profile has no prompt of that name in that language."""
    there = prompts.prompts if language == "en" else prompts.translations.get(language, {})
    if name not in there:
        known = f"there are {', '.join(there)}" if there else "there is none in that language"
        raise Problem(f"no prompt {name!r} in {language!r}, {known}")
