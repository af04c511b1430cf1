"""How right a free answer is: exactly, within 5 % as a number, or as a part of what was said.

Relaxed accuracy is that of ChartQA (Masry et al. 2022, https://arxiv.org/abs/2203.10244): a number
may be off by 5 % of the true one, text must be equal but for case, punctuation and articles.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass

TOLERANCE = 0.05

_ARTICLES = frozenset({"a", "an", "the"})
_WORD = re.compile(r"(?<![^\W_])-?(?:\d+(?:\.\d+)?|\.\d+)|[^\W_]+")
_NUMBER = re.compile(r"^[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:e[-+]?\d+)?$", re.IGNORECASE)
_BEFORE = " \t\r\n$€£'\"(["
_BEHIND = " \t\r\n$€£%.,;:!?'\")]"


@dataclass(frozen=True)
class Match:
    """`relaxed` holds wherever `exact` does; `contains` wherever the truth's words were said."""

    exact: bool
    relaxed: bool
    contains: bool


def match(answer: str, truth: str) -> Match:
    """Compare an answer with the true one."""
    said, true = _words(answer), _words(truth)
    number, true_number = number_in(answer), number_in(truth)
    numbers = number is not None and true_number is not None
    exact = (number == true_number) if numbers else (said == true and bool(true))
    close = exact or _is_close(number, true_number)
    return Match(exact, close, close or _holds(said, true))


def number_in(text: str) -> float | None:
    """The number that the whole text is: `1,200`, `35 %`, `$4.5`; None where it is none."""
    bare = text.lstrip(_BEFORE).rstrip(_BEHIND)
    if not bare or not _NUMBER.match(bare) or not any(each.isdigit() for each in bare):
        return None
    value = float(bare.replace(",", ""))
    return value if math.isfinite(value) else None


def _is_close(said: float | None, true: float | None) -> bool:
    if said is None or true is None:
        return False
    return abs(said - true) <= TOLERANCE * abs(true)


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return [word for word in _WORD.findall(plain) if word not in _ARTICLES]


def _holds(said: list[str], true: list[str]) -> bool:
    """Whether the true words stand in what was said, one after the other."""
    starts = range(len(said) - len(true) + 1)
    return bool(true) and any(said[start : start + len(true)] == true for start in starts)
