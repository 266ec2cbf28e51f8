"""
What the two parts of CEL (Common Expression Language) that we read have in common: conditions.py and claims.py.

Spec: CEL, Language definition (https://github.com/google/cel-spec/blob/master/doc/langdef.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from roadstead.errors import ConditionInvalid

SURROGATE = re.compile("[\ud800-\udfff]")
TEMPLATE = re.compile(r"([^{}]*)\{[A-Za-z_][A-Za-z0-9_]*\}([^{}]*)")
"""extract()'s argument: what is before and after the part that it takes."""

_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|(.))", re.DOTALL)

S = TypeVar("S")
T = TypeVar("T")
V = TypeVar("V")


class Reader:
    """
    An expression token by token; a parser is one of these.

    what: how it is called when it is refused. tokens: a pattern with the groups string, int, name, sign and end. escapes: what stands for
    a character after a backslash.
    """

    def __init__(self, expression: str, what: str, tokens: re.Pattern[str], escapes: Mapping[str, str]) -> None:
        self._expression = expression
        self._what = what
        self._tokens = tokens
        self._escapes = escapes
        self._position = self._start = 0
        self._kind = self._word = ""
        self._advance()

    def end(self) -> None:
        """Raises ConditionInvalid when there is more."""
        if self._kind != "end":
            raise self._invalid(f"{self._word} is not expected")

    def _items(self, closing: str, read: Callable[[], T]) -> list[T]:
        """What read reads, with commas between, up to closing."""
        items: list[T] = []
        while not self._take(closing):
            if items:
                self._expect(",")
            items.append(read())
        return items

    def _unescaped(self, text: str) -> str:
        def char(found: re.Match[str]) -> str:
            code = found[1] or found[2]
            plain = chr(int(code, 16)) if code else self._escapes.get(found[3])
            if plain is None or SURROGATE.match(plain):
                raise self._invalid(f"there is no escape {found[0]}")
            return plain

        return _ESCAPE.sub(char, text)

    def _name(self) -> str:
        if self._kind != "name":
            raise self._invalid("a name is missing")
        name = self._word
        self._advance()
        return name

    def _take(self, sign: str) -> bool:
        if not self._is_at(sign):
            return False
        self._advance()
        return True

    def _is_at(self, sign: str) -> bool:
        return self._kind == "sign" and self._word == sign

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise self._invalid(f"{sign} is missing")

    def _advance(self) -> None:
        while self._position < len(self._expression) and self._expression[self._position] in " \t\r\n":
            self._position += 1
        self._start = self._position
        found = self._tokens.match(self._expression, self._position)
        if found is None or found.lastgroup is None:
            raise self._invalid("this is neither a name, a string, a whole number nor an operator")
        self._kind, self._word = found.lastgroup, found[found.lastgroup]
        self._position = found.end()

    def _invalid(self, reason: str) -> ConditionInvalid:
        return ConditionInvalid(
            f"the {self._what} cannot be used: {reason} (at character {self._start + 1})", {"expression": self._expression}
        )


def either(
    first: Callable[[S], V], second: Callable[[S], V], *, stop: bool, unsaid: tuple[type[Exception], ...]
) -> Callable[[S], V | bool]:
    """
    `||` (stop is True) and `&&`: one side that decides is enough, even if the other has no value, which is one of the exceptions unsaid
    (CEL, Logical operators).
    """

    def evaluate(scope: S) -> V | bool:
        try:
            if first(scope) is stop:
                return stop
        except unsaid:
            if second(scope) is stop:
                return stop
            raise
        return second(scope)

    return evaluate


def extracted(text: str, before: str, after: str) -> str:
    """What stands between the first `before` and the next `after`; empty if either is not there."""
    start = text.find(before)
    if start < 0:
        return ""
    start += len(before)
    end = text.find(after, start) if after else len(text)
    return "" if end < 0 else text[start:end]
