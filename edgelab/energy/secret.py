"""A password that cannot be printed by accident."""

from __future__ import annotations


class Secret:
    """Holds a password; no `repr`, `str` or format shows it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The password itself, for the one who must send it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> str:
        raise TypeError("a password is not for pickling")
