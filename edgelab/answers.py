"""From a model's answer to a number, as a person would read it, or to why there is none.

A count is a whole number from 0. The rules, in their order:

- **Digits** of any script and number words, English and Portuguese; `a pair`, `two dozen`.
- **None**: `no dogs`, `none`, `I don't see any`, `nenhum`, `não há` are 0. A `no` that only opens a
  sentence with a number in it is no count.
- **Ranges** (`2-4`, `two or three`, `between 2 and 4`) count as their middle, rounded down. `At
  least 3`, `about 3` and `more than 3` count as 3; `more than one`, `fewer than 5` and `up to 5`
  tell no count.
- **Several numbers**: a stated result (`the answer is 5`, `5 in total`, `2 + 3 = 5`) decides. Else
  those that stand with the thing asked about; they are added up, unless one of them is the sum of
  the others, or a later one corrects them (`wait, 4 dogs`). Else numbers that are all the same, or
  that count up from 1. Else nothing is guessed.
- **Lists** numbered from 1 count as their lines (those that name the thing, where any does).
- **A lone article** (`there is a dog`) is 1, where no number stands with the thing.
- What is negative, not whole, a share, a ratio, a time, larger than 999,999, or negated (`not 3`)
  is no count. A refusal is told apart from an answer that only makes no sense.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from edgelab.quantities import Token, plain_text, roman, tokens_of
from edgelab.settings.common import Language

LONGEST = 4000
"""Characters that are read of an answer; a model that runs on has said its count before."""

_REACH = 5
"""Words between a number and the thing it counts: `3 large brown hunting dogs`."""


class Number(msgspec.Struct, frozen=True, tag_field="parsed", tag="number"):
    """A count."""

    value: int


class Refusal(msgspec.Struct, frozen=True, tag_field="parsed", tag="refusal"):
    """The model says that it cannot or will not tell."""


class Unparsed(msgspec.Struct, frozen=True, tag_field="parsed", tag="unparsed"):
    """No count can be read, `reason` says why."""

    reason: str


Parsed = Number | Refusal | Unparsed


def parse_count(answer: str, nouns: Sequence[str] = (), language: Language = "en") -> Parsed:
    """The count in `answer`. `nouns`: what was asked about, in all its forms, singular and plural.

    `language` decides the few words that mean two things, and whether 1.234 is a thousand.
    """
    if (numeral := roman(answer)) is not None:
        return Number(numeral)
    text = plain_text(answer[:LONGEST])
    if not text.strip():
        return Unparsed("empty")
    text = _OTHER_SENSE.sub(_blank, text)
    text = _NOT_ANY.sub(" 0 ", text)
    text, refused = _CANNOT_TELL.subn(_blank, text)
    things = [tuple(plain_text(noun).split()) for noun in nouns if noun.strip()]
    reading = _Reading(text, tokens_of(text, language), things, language)
    found = reading.count()
    if isinstance(found, Unparsed) and refused:
        return Refusal()
    return found


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


# Where number words are none.
_OTHER_SENSE = re.compile(
    r"\bno (?:doubt|problem|way\b(?! to)|other\b|others\b|more\b|additional\b|longer\b|further\b)"
    r"|\bone of (?:the|them|these|those)\b|\b(?:the|this|that|each|every|another|only)"
    r" (?:[a-z]+ )?one\b(?! \w)"
    r"|\bno (?:fundo|meio|chao|canto|centro|topo|lado|primeiro|total de)\b"
    r"|\b(?:um|uma) d(?:os|as|eles|elas)\b"
)

_NOT_ANY = re.compile(
    r"\bno[ -]?(?:one|body)\b|\bninguem\b"
    r"|\b(?:(?:do|does|did|can|could|are|is|was|were)(?: not|n't)|can ?not) "
    r"(?:(?:really|actually|clearly|seem to) )*(?:see |spot |find |detect |have |show |contain |"
    r"appear to be |be |include )?(?:any|a single)\b"
    r"|\bnot (?:any|a single|one|a)\b|\bwithout (?:any|a)\b|\b(?:absence|devoid|free) of\b"
    r"|\bnao (?:ha|vejo|existem?|tem|aparecem?|consigo ver(?! a (?:imagem|foto))|se veem?|"
    r"contem|foram encontrad[oa]s)\b"
    r"(?= (?!nada que|como)[a-z]|[.,!]|$)|\bsem (?!duvida|certeza)"
)

_CANNOT_TELL = re.compile(
    r"\b(?:can ?not|can't|couldn't|could not|unable to|not able to|won't|will not|not possible to|"
    r"impossible to|no way to|hard to|difficult to|not going to) "
    r"(?:(?:really|accurately|reliably|help|be|to|with|that|provide|give|assist|make|confirm)\b ?)*"
    r"(?:tell|say|determine|count|see|view|identify|answer|know|assist|help|provide|process|analyze|"
    r"access|estimate|do that|make out|sure|be)?"
    r"(?: (?:the|an|any) (?:exact|specific|image|picture|photo)(?: number| count)?)?"
    r"|\b(?:i )?(?:don't|do not) (?:know|have (?:enough|access))\b"
    r"|\bno (?:idea|way to tell|image|picture|photo|information)\b|\bnot (?:sure|certain|visible "
    r"enough|clear)\b|\bi (?:refuse|decline)\b|\bunknown\b|\bunclear\b|\bunsure\b|\bn/a\b"
    r"|\bnot (?:specified|enough information|applicable)\b|^\W*(?:i'm |i am )?sorry\b|\bas an ai\b"
    r"|\bnao (?:sei|(?:e|foi) possivel|consigo|posso|tenho certeza|da para|"
    r"estou vendo (?:a )?imagem)"
    r"(?: \w+ar| dizer| ver)?\b|\bdesconhecid[oa]\b|\bimpossivel\b|\bdesculpe\b|\bsem certeza\b"
)

_RESULT = re.compile(
    r"(?:\banswer|\bresposta|\btotal|\bcount|\bcontagem|\bboxed|\bsum|\bsoma|>)"
    r"(?: final| number| count)?(?: (?:is|are|of|de|e|sao))?\s*[:={]?\s*$"
)
_IN_TOTAL = re.compile(
    r"^(?:\s*[a-z']+){0,4}?\s*,?\s*(?:\bin total|\baltogether|\bin all|\bin sum|\bao todo|"
    r"\bno total|\btotal\b)"
)
_RANGE_WORDS = frozenset(
    {"-", "–", "—", "to", "or", "ou", "maybe", "perhaps", "possibly", "talvez"}
)
_FILLERS = frozenset({",", "even"})
_CORRECTIONS = frozenset(
    {"wait", "actually", "correction", "sorry", "rather", "alias", "correcao", "melhor"}
)
_BOUND = re.compile(
    r"(?:\b(?:fewer|less) than|\bup to|\bat most|\bunder|\bmenos (?:de|que|do que)|\bate|"
    r"\bno maximo|\bmaximum of|\bno more than)\s*$"
)
_MORE_THAN = re.compile(r"(?:\bmore than|\bover|\bmais (?:de|que|do que))\s*$")
_NEGATED = re.compile(r"(?:\bnot|n't|\bnao(?: sao)?|\bnever)(?: just| only)?\s*$")
_VAGUE = re.compile(
    r"\b(?:many|several|few|some|multiple|lots|numerous|dozens|hundreds|thousands|various|"
    r"countless|crowd|muit[oa]s|vari[oa]s|algu(?:ns|mas)|pouc[oa]s|divers[oa]s|dezenas|centenas)\b"
)
_OPENING = frozenset({"no", "nao", "nope"})
_ARTICLES = frozenset({"a", "an", "um", "uma"})
_CLAUSE_ENDS = frozenset({".", ";", "!", "?", "\n", ",", "but", "mas", "and", "e", "(", ")"})


@dataclass(frozen=True)
class _Counted:
    """A number of the answer, and the tokens it was read from (`first` up to `last`)."""

    value: int
    first: int
    last: int


class _Reading:
    """One answer under the rules."""

    def __init__(
        self, text: str, tokens: list[Token], things: list[tuple[str, ...]], language: Language
    ) -> None:
        self._text = text
        self._tokens = tokens
        self._words = [token.text for token in tokens]
        self._language = language
        self._named = _places(self._words, things)
        self._why = ""

    def count(self) -> Parsed:
        """The count, or Unparsed."""
        listed, markers = self._list()
        numbers = self._ranges(self._usable(markers))
        if not numbers and listed is not None:
            return Number(listed)
        if odd := self._odd_about_the_thing():
            return Unparsed(odd)
        if numbers:
            return self._choose(numbers)
        return self._without_numbers()

    def _choose(self, numbers: list[_Counted]) -> Parsed:
        stated = [each for each in numbers if self._is_result(each)]
        if stated:
            return Number(stated[-1].value)
        attached = [each for each in numbers if self._is_about_the_thing(each)]
        if attached:
            return Number(self._together(attached))
        if self._zero() == "of the thing":
            return Number(0)
        if self._lone_article():
            return Number(1)
        value = self._by_themselves(numbers)
        if value is not None:
            return Number(value)
        shown = ", ".join(str(each.value) for each in numbers[:5])
        return Unparsed(f"several numbers: {shown}")

    def _by_themselves(self, numbers: list[_Counted]) -> int | None:
        """What numbers say that stand with nothing: the same, a correction, counting up, a sum."""
        values = [each.value for each in numbers]
        if len(set(values)) == 1 or self._corrected(numbers):
            return values[-1]
        if values == list(range(1, len(values) + 1)) and len(values) > 2:
            return values[-1]
        return _sum_among(values)

    def _without_numbers(self) -> Parsed:
        if self._zero():
            return Number(0)
        if vague := _VAGUE.search(self._text):
            return Unparsed(f"no number, only {vague[0]!r}")
        if self._why:
            return Unparsed(self._why)
        odd = next((token for token in self._tokens if token.kind == "odd"), None)
        if odd is not None:
            return Unparsed(odd.why)
        if self._lone_article():
            return Number(1)
        return Unparsed("no number in it")

    # Which numbers there are ---------------------------------------------------------------------

    def _usable(self, markers: set[int]) -> list[_Counted]:
        """Numbers that are neither list markers, negated, nor bounds."""
        numbers = []
        for place, token in enumerate(self._tokens):
            if token.kind != "number" or place in markers:
                continue
            before = self._text[: token.start]
            if why := _no_count(before, token):
                self._why = self._why or why
            else:
                numbers.append(_Counted(token.value, place, place))
        return numbers

    def _ranges(self, numbers: list[_Counted]) -> list[_Counted]:
        """The same with each range as its middle."""
        found: list[_Counted] = []
        for each in numbers:
            if found and found[-1].value <= each.value and self._is_range(found[-1], each):
                low = found.pop()
                middle = (low.value + each.value) // 2
                found.append(_Counted(middle, low.first, each.last))
            else:
                found.append(each)
        return found

    def _is_range(self, low: _Counted, high: _Counted) -> bool:
        between = [
            self._words[place]
            for place in range(low.last + 1, high.first)
            if not any(first <= place < last for first, last in self._named)
        ]
        opening = self._words[low.first - 1] if low.first else ""
        words = set(between)
        if (opening, tuple(between)) in (("between", ("and",)), ("entre", ("e",))):
            return True
        if self._language == "pt" and between == ["a"]:
            return True
        return bool(words & _RANGE_WORDS) and words <= _RANGE_WORDS | _FILLERS

    def _list(self) -> tuple[int | None, set[int]]:
        """Lines numbered 1, 2, ...: how many (of the thing), and where their markers stand."""
        places = [
            place
            for place, token in enumerate(self._tokens[:-1])
            if token.kind == "number"
            and (place == 0 or self._words[place - 1] == "\n")
            and self._words[place + 1] in (".", ")", ":")
        ]
        values = [self._tokens[place].value for place in places]
        if len(places) < 2 or values != list(range(1, len(places) + 1)):
            return None, set()
        ends = [*places[1:], len(self._tokens)]
        naming = [
            place
            for place, end in zip(places, ends, strict=True)
            if any(place <= first < end for first, _ in self._named)
        ]
        return len(naming) or len(places), set(places)

    # What they count -----------------------------------------------------------------------------

    def _is_about_the_thing(self, number: _Counted) -> bool:
        return self._ahead(number.last) or self._behind(number.first)

    def _ahead(self, place: int) -> bool:
        """`3 brown dogs`: the thing follows within the clause, and labels no other number."""
        for first, last in self._named:
            between = self._tokens[place + 1 : first]
            if place < first <= place + 1 + _REACH and _same_clause(between):
                follower = self._words[last] if last < len(self._words) else ""
                return follower not in (":", "=") or last + 1 >= len(self._words)
        return False

    def _behind(self, place: int) -> bool:
        """`dogs: 3`, `the number of dogs in the image is 3`."""
        for first, last in reversed(self._named):
            between = self._tokens[last:place]
            if first < place <= last + _REACH + 2 and _same_clause(between):
                verbs = {":", "=", "is", "are", "e", "sao", "-"}
                return any(token.text in verbs for token in between)
        return False

    def _odd_about_the_thing(self) -> str:
        for place, token in enumerate(self._tokens):
            if token.kind == "odd" and self._named and self._ahead(place):
                return token.why
        return ""

    def _together(self, attached: list[_Counted]) -> int:
        values = [each.value for each in attached]
        if len(set(values)) == 1 and not self._and_between(attached):
            return values[0]
        if self._corrected(attached):
            return values[-1]
        total = _sum_among(values)
        return sum(values) if total is None else total

    def _and_between(self, attached: list[_Counted]) -> bool:
        """`2 dogs here and 2 dogs there` are four; `2 dogs. There are 2 dogs` are two."""
        for one, other in pairwise(attached):
            between = self._words[one.last : other.first]
            if ("and" in between or "e" in between) and not {".", "\n"} & set(between):
                return True
        return False

    def _corrected(self, numbers: list[_Counted]) -> bool:
        last = numbers[-1]
        before = numbers[-2].last if len(numbers) > 1 else last.first
        return bool(_CORRECTIONS & set(self._words[before : last.first]))

    def _is_result(self, number: _Counted) -> bool:
        start, end = self._tokens[number.first].start, self._tokens[number.last].end
        if _RESULT.search(self._text[max(0, start - 40) : start]):
            return True
        if _IN_TOTAL.match(self._text[end : end + 60]):
            return True
        two_before = self._tokens[max(0, number.first - 2) : number.first]
        return [t.kind for t in two_before] == ["number", "mark"] and two_before[1].text == "="

    def _zero(self) -> str:
        """`no dogs`, or an opening `no`: "of the thing", "alone", or "" where nothing says none."""
        for place, word in enumerate(self._words):
            if word == "no" and (self._language == "en" or place == 0) and self._ahead(place):
                return "of the thing"
        if not self._words:
            return ""
        if self._words[0] not in _OPENING:
            follows_there = "no" in self._words[:6] and self._language == "en"
            return "alone" if follows_there and not self._named else ""
        if self._language == "pt" and self._words[0] == "no":
            return "alone" if len([w for w in self._words if w.isalpha()]) == 1 else ""
        return "alone"

    def _lone_article(self) -> bool:
        """`a small dog`."""
        return any(
            _ARTICLES & set(self._words[max(0, first - 3) : first]) for first, _ in self._named
        )


def _sum_among(values: list[int]) -> int | None:
    """The first or last of the values where it is the sum of all others, at least two."""
    if len(values) > 2:
        if values[0] == sum(values[1:]):
            return values[0]
        if values[-1] == sum(values[:-1]):
            return values[-1]
    return None


def _places(words: list[str], things: list[tuple[str, ...]]) -> list[tuple[int, int]]:
    """Where the thing is named: (first token, token after the last), in order."""
    places = {
        (place, place + len(thing))
        for thing in things
        for place in range(len(words))
        if tuple(words[place : place + len(thing)]) == thing
    }
    return sorted(places)


def _same_clause(between: Sequence[Token]) -> bool:
    return not any(t.kind in ("number", "odd") or t.text in _CLAUSE_ENDS for t in between)


def _no_count(before: str, token: Token) -> str:
    if _NEGATED.search(before):
        return f"not {token.text}: says what it is not"
    if _BOUND.search(before):
        return f"{token.text} is an upper bound"
    if _MORE_THAN.search(before) and token.value == 1:
        return "more than one: says no count"
    return ""
