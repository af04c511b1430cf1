"""Numbers in running text: digits of any script and number words, English and Portuguese.

A text becomes a list of tokens: words, marks, and quantities with their value. What a quantity
*means* in an answer is decided in `edgelab.answers`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from edgelab.settings.common import Language

LARGEST = 999_999
"""No photograph shows more things than that."""


def _values(names: str, first: int = 0, step: int = 1) -> dict[str, int]:
    """Number words that follow each other."""
    return {name: step * value for value, name in enumerate(names.split(), first)}


_ENGLISH = {
    **_values("zero one two three four five six seven eight nine ten eleven twelve thirteen"),
    **_values("fourteen fifteen sixteen seventeen eighteen nineteen", 14),
    **_values("twenty thirty forty fifty sixty seventy eighty ninety", 2, 10),
    "fourty": 40,
    "single": 1,
    "both": 2,
    "none": 0,
    "nil": 0,
    "neither": 0,
}
_PORTUGUESE = {
    **_values("zero um dois tres quatro cinco seis sete oito nove dez onze doze treze catorze"),
    **_values("quinze dezesseis dezessete dezoito dezenove", 15),
    **_values("vinte trinta quarenta cinquenta sessenta setenta oitenta noventa", 2, 10),
    **_values("duzentos trezentos quatrocentos quinhentos seiscentos setecentos", 2, 100),
    "oitocentos": 800,
    "novecentos": 900,
    "duzentas": 200,
    "trezentas": 300,
    "cem": 100,
    "cento": 100,
    "uma": 1,
    "duas": 2,
    "unico": 1,
    "unica": 1,
    "quatorze": 14,
    "dezasseis": 16,
    "dezassete": 17,
    "dezanove": 19,
    "ambos": 2,
    "ambas": 2,
    "nenhum": 0,
    "nenhuma": 0,
    "nenhuns": 0,
    "nenhumas": 0,
}
_GROUPS = {
    "pair": 2, "pairs": 2, "couple": 2, "couples": 2, "duo": 2, "trio": 3, "dozen": 12,
    "par": 2, "pares": 2, "casal": 2, "dupla": 2, "duzia": 12, "duzias": 12,
}  # fmt: skip
_SCALES = {"hundred": 100, "thousand": 1000, "mil": 1000}

# Portuguese words that mean something else in English (a filled pause), and the reverse (`no` is
# "in the" in Portuguese).
_ONLY_PORTUGUESE = {"um"}
_ARTICLES = {"a", "an", "um", "uma"}
_HALVES = {"half", "meia", "meio"}

_ROMAN = _values("II III IV V VI VII VIII IX X XI XII XIII XIV XV", 2)

_TOKEN = re.compile(
    r"""
      (?P<glued> [^\W\d]+\d(?:\w|[.,]\d)* | \d[\d.,]*[^\W\d]\w* )
    | (?P<odd> \d+(?:[.,]\d+)?\s?[%°] | \d+(?::\d+)+ | \d+\s?/\s?\d+ )
    | (?P<grouped> \d{1,3}(?P<by>[.,'\ ])\d{3}(?:(?P=by)\d{3})*(?![.,]?\d) )
    | (?P<decimal> \d+[.,]\d+(?![.,]?\d) )
    | (?P<whole> \d+ )
    | (?P<word> [^\W\d]+(?:'[^\W\d]+)? )
    | (?P<mark> [^\w\s] | \n )
    """,
    re.VERBOSE,
)
_TIMES = re.compile(r"x(\d{1,6})|(\d{1,6})x")


@dataclass(frozen=True)
class Token:
    """A word, a mark, or a quantity.

    `kind`: "word", "mark", "number" (`value` counts it), or "odd": a number that counts nothing,
    such as 2.5, 50 % or -3, with the reason in `why`.
    """

    kind: Literal["word", "mark", "number", "odd"]
    text: str
    start: int
    end: int
    value: int = 0
    why: str = ""


def plain_text(text: str) -> str:
    """Lower case, without accents, emphasis, invisible characters; every decimal digit as 0-9."""
    characters = []
    for each in unicodedata.normalize("NFD", text):
        category = unicodedata.category(each)
        if category == "Nd" or (category == "No" and 0x2460 <= ord(each) < 0x24FF):
            characters.append(str(unicodedata.digit(each, "?")))
        elif each in "\n\r\u2028\u2029":
            characters.append("\n")
        elif category in ("Zs", "Cc") or each in '*_`#~"“”':
            characters.append("–" if each == "~" else " ")
        elif category not in ("Mn", "Me", "Cf", "Cs", "Co"):
            characters.append({"’": "'", "−": "-"}.get(each, each))
    return "".join(characters).casefold()


def tokens_of(text: str, language: Language) -> list[Token]:
    """The tokens of `text` as `plain_text` gives it, number words put together."""
    read = [_token(match, language) for match in _TOKEN.finditer(text)]
    return _with_signs(_Composer(read, language).compose(), text)


def roman(text: str) -> int | None:
    """The value of an answer that is a Roman numeral from II to XV, and nothing else."""
    numeral = text.strip(" .!*")
    return _ROMAN.get(numeral) if len(numeral) > 1 else None


def _token(match: re.Match[str], language: Language) -> Token:
    text, start, end = match[0], match.start(), match.end()
    kind = match.lastgroup
    if kind == "glued" and (times := _TIMES.fullmatch(text)):
        return Token("number", text, start, end, int(times[1] or times[2]))
    if kind == "odd":
        return Token("odd", text, start, end, why=f"{text} is no count")
    if kind in ("whole", "grouped", "by", "decimal"):
        return _digits(text, start, end, language)
    return Token("mark" if kind == "mark" else "word", text, start, end)


def _digits(text: str, start: int, end: int, language: Language) -> Token:
    whole, fraction = _split_decimal(text, language)
    if fraction.strip("0"):
        return Token("odd", text, start, end, why=f"{text} is not a whole number")
    if len(whole.lstrip("0")) > len(str(LARGEST)):
        return Token("odd", text, start, end, why="a number too large to be a count")
    return Token("number", text, start, end, int(whole))


def _split_decimal(text: str, language: Language) -> tuple[str, str]:
    """Digits before and after the decimal sign; signs between groups of three are dropped."""
    signs = [each for each in text if not each.isdigit()]
    if not signs:
        return text, ""
    decimal = "." if language == "en" else ","
    grouped = re.fullmatch(r"\d{1,3}(?:[^\d]\d{3})+", text)
    if grouped and (len(signs) > 1 or signs[0] != decimal):
        return "".join(each for each in text if each.isdigit()), ""
    whole, _, fraction = text.partition(signs[0])
    return whole, fraction


def _with_signs(tokens: list[Token], text: str) -> list[Token]:
    """A minus glued to a number makes it negative, which counts nothing."""
    signed: list[Token] = []
    for token in tokens:
        before = signed[-1] if signed else None
        if (
            token.kind == "number"
            and before is not None
            and before.text == "-"
            and before.end == token.start
            and (before.start == 0 or text[before.start - 1] in " \n(:=")
        ):
            signed[-1] = _odd(token, f"-{token.text} is negative")
        elif token.kind == "number" and before is not None and _is_minus(signed):
            signed[-1] = _odd(token, f"{before.text} {token.text} is negative")
        else:
            signed.append(token)
    return signed


def _is_minus(tokens: list[Token]) -> bool:
    """`minus`, `menos`; but `pelo menos` is at least."""
    before = tokens[-2].text if len(tokens) > 1 else ""
    return tokens[-1].text in ("minus", "negative", "menos") and before not in ("pelo", "ao")


def _odd(token: Token, why: str) -> Token:
    return Token("odd", token.text, token.start, token.end, why=why)


class _Composer:
    """Puts number words together: two hundred and five, vinte e três, half a dozen."""

    def __init__(self, tokens: list[Token], language: Language) -> None:
        self._tokens = tokens
        self._at = 0
        self._words = {**_PORTUGUESE, **_ENGLISH} if language == "en" else _ENGLISH | _PORTUGUESE
        if language == "en":
            self._words = {k: v for k, v in self._words.items() if k not in _ONLY_PORTUGUESE}

    def compose(self) -> list[Token]:
        """All tokens, each run of number words as one."""
        found: list[Token] = []
        while self._at < len(self._tokens):
            first = self._at
            value = self._group() if self._here.kind in ("word", "number") else None
            if value is None:
                self._at = first + 1
                found.append(self._tokens[first])
            else:
                found.append(self._joined(first, value))
        return found

    def _joined(self, first: int, value: int) -> Token:
        start, end = self._tokens[first].start, self._tokens[self._at - 1].end
        text = " ".join(token.text for token in self._tokens[first : self._at])
        if value > LARGEST:
            return Token("odd", text, start, end, why="a number too large to be a count")
        return Token("number", text, start, end, value)

    @property
    def _here(self) -> Token:
        return self._tokens[self._at]

    def _word(self, ahead: int = 0) -> str:
        """The word so far ahead, empty where there is none."""
        position = self._at + ahead
        if position >= len(self._tokens) or self._tokens[position].kind == "mark":
            return ""
        return self._tokens[position].text

    def _group(self) -> int | None:
        """A number and what it is times of: a pair, two dozen, half a dozen, a hundred."""
        word, after = self._word(), self._word(1)
        if word in _HALVES:
            skip = 2 if after in _ARTICLES else 1
            if self._word(skip) in ("dozen", "duzia"):
                self._at += skip + 1
                return 6
            return None
        if word in _ARTICLES and after in (*_GROUPS, *_SCALES):
            self._at += 1
            return self._times(1)
        if word in _GROUPS:
            return self._times(1)
        value = self._number()
        return None if value is None else self._times(value)

    def _times(self, value: int) -> int:
        group = _GROUPS.get(self._word())
        if group is not None:
            self._at += 1
            return value * group
        scale = _SCALES.get(self._word())
        if scale is None:
            return value
        self._at += 1
        return self._under(value * scale, scale)

    def _number(self) -> int | None:
        """Digits, or number words under a thousand; `mil` alone."""
        token = self._here
        if token.kind == "number":
            self._at += 1
            return token.value
        if token.text == "mil":
            self._at += 1
            return self._under(1000, 1000)
        value = self._words.get(token.text)
        if value is None:
            return None
        self._at += 1
        if value >= 20:
            return self._under(value, 10 if value < 100 else 100)
        return value

    def _under(self, value: int, scale: int) -> int:
        """`value` and the smaller number that may follow it, joined by `and`, `e` or a hyphen."""
        before = self._at
        if self._at < len(self._tokens) and self._here.text in ("and", "e", "-"):
            joined = self._here.text
            self._at += 1
            if joined == "and" and scale < 100:
                self._at = before
                return value
        if self._at < len(self._tokens) and self._here.kind == "word":
            rest = self._group() if scale > 100 else self._number()
            if rest is not None and 0 < rest < scale:
                return value + rest
        self._at = before
        return value
