"""From a model's free answer to a class of the data, or to why it is none."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from enum import StrEnum

LONGEST = 1000
"""Characters that are read of an answer."""

_WORD = re.compile(r"[^\W_]+")
_KINDS = frozenset({"chart", "charts", "plot", "plots", "graph", "graphs", "diagram", "diagrams"})
_NOTHING_SAID = re.compile(
    r"^(?:unanswerable|unknown|unclear|unsure|none|n ?a|no|not (?:sure|clear|a chart)"
    r"|(?:i )?(?:do not|don t|cannot|can not|can t|am not able to|am unable to)\b.*"
    r"|(?:i m |i am )?sorry\b.*)?$"
)


class NoLabel(StrEnum):
    """Why an answer names no class of the data."""

    OFF_LIST = "off-list"
    """It says something else, or more than one class."""
    UNANSWERED = "unanswered"
    """It is empty, or says that there is no answer."""


class Labels:
    """The classes of a data set and all they are called. Raises ValueError where two are alike."""

    def __init__(
        self, classes: Sequence[str], aliases: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self.classes = tuple(classes)
        self._names: dict[tuple[str, ...], int] = {}
        for index, label in enumerate(classes):
            words = _essence(label)
            if self._names.setdefault(words, index) != index:
                raise ValueError(
                    f"the classes {classes[self._names[words]]!r} and {label!r} cannot be told "
                    "apart in an answer"
                )
        for index, label in enumerate(classes):
            for alias in (aliases or {}).get(label, ()):
                self._names.setdefault(_essence(alias), index)  # a class's own name comes first

    def find(self, answer: str) -> int | NoLabel:
        """The class that the answer names.

        Case, punctuation, accents and the words chart, plot, graph and diagram play no part. Within
        a sentence the longest names count (`a horizontal bar chart` names no `bar`), and all of
        them must be names of one class.
        """
        words = _essence(answer[:LONGEST])
        if words in self._names:
            return self._names[words]
        found = self._mentioned(words)
        if len(found) == 1:
            return found.pop()
        if found:
            return NoLabel.OFF_LIST
        said = " ".join(_words(answer[:LONGEST]))
        return NoLabel.UNANSWERED if _NOTHING_SAID.match(said) else NoLabel.OFF_LIST

    def _mentioned(self, words: tuple[str, ...]) -> set[int]:
        longest = max((len(name) for name in self._names), default=0)
        found: set[int] = set()
        start = 0
        while start < len(words):
            ends = range(min(len(words), start + longest), start, -1)
            end = next((end for end in ends if words[start:end] in self._names), None)
            if end is None:
                start += 1
            else:
                found.add(self._names[words[start:end]])
                start = end
        return found


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text).casefold()
    return _WORD.findall("".join(each for each in plain if not unicodedata.combining(each)))


def _essence(text: str) -> tuple[str, ...]:
    """The words that tell one class from another; all of them where no others are left."""
    words = _words(text)
    return tuple(word for word in words if word not in _KINDS) or tuple(words)
