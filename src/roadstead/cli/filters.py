"""
--filter: which rows are shown. `labels.team:web AND NOT name~^test`, `createTime>2026-01-01`, `(a=1 OR b=2) -c:*`.

Terms beside each other are joined by AND; AND and OR together want parentheses. `:` finds words and beginnings (`key:prefix*`), `key:*`
whatever is there; `=` compares whole values; neither minds case. Numbers and times are compared as such.
Spec: `gcloud topic filters`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from roadstead.cli.expressions import Key, Words, value
from roadstead.cli.moments import moment
from roadstead.cli.projections import Call, keyed
from roadstead.errors import ConfigurationError

Filter = Callable[[Any], bool]

MOST_NESTED = 50
MOST_PATTERN = 1000
_LOGICAL = ("AND", "OR", "NOT")
_OPERATORS = ("!=", "!~", "<=", ">=", ":", "=", "<", ">", "~")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")
_FLAG = "--filter"


def parse(text: str, aliases: Mapping[str, Key] | None = None) -> Filter:
    """Raises ConfigurationError."""
    if not text.strip():
        return lambda row: True
    reader = _Reader(Words(text, _FLAG, aliases))
    found = reader.expression()
    if reader.words.skip_space():
        raise reader.words.wrong("an opening parenthesis before this one")
    return found


class _Reader:
    def __init__(self, words: Words) -> None:
        self.words = words
        self._depth = 0

    def expression(self) -> Filter:
        """Terms up to the end or a closing parenthesis."""
        self._depth += 1
        if self._depth > MOST_NESTED:
            raise ConfigurationError(f"{_FLAG} is nested more than {MOST_NESTED} deep")
        terms, joined = [self._term()], ""
        while self.words.skip_space() and not self.words.peek(")"):
            word = next((each for each in ("AND", "OR") if self.words.take_word(each)), "")
            joined = joined or word
            if word and word != joined:
                raise self.words.wrong("parentheses that tell what AND and OR belong to are")
            # Beside each other is AND; in gcloud an OR binds its two neighbours before that.
            term = self._term()
            if word == "OR":
                terms[-1] = _either(terms[-1], term)
            else:
                terms.append(term)
        self._depth -= 1
        return _all(terms) if len(terms) > 1 else terms[0]

    def _term(self) -> Filter:
        words = self.words
        if not words.skip_space() or words.peek(")"):
            raise words.wrong("a term")
        if words.take_word("NOT"):
            return _not(self._term())
        if words.take("("):
            found = self.expression()
            words.must(")")
            return found
        inverted = words.take("-")
        found = self._comparison()
        return _not(found) if inverted else found

    def _comparison(self) -> Filter:
        words = self.words
        begin = words.at
        if any(words.take_word(each, peek=True) for each in _LOGICAL):
            raise words.wrong("a term")
        try:
            key, calls = keyed(words)
        except ConfigurationError:
            # What is no key may be a word that is looked for everywhere, such as "a/b".
            words.at = begin
            text = words.word(":=!<>~()")
            if not text or self._operator_follows():
                raise
            return _anywhere(text)
        words.skip_space()
        operator = next((each for each in _OPERATORS if words.text.startswith(each, words.at)), "")
        if not operator:
            if calls or not key:
                raise words.wrong("an operator, such as : or =,")
            text = words.text[begin : words.at].strip()
            return _anywhere(text.strip("'\""))
        words.at += len(operator)
        if not words.skip_space():
            raise words.wrong("a value")
        return _Term(key, calls, operator, self._operands(operator)).matches

    def _operator_follows(self) -> bool:
        self.words.skip_space()
        return self.words.peek(":=!<>~")

    def _operands(self, operator: str) -> list[str]:
        words = self.words
        if words.peek(":=!<>~"):
            raise words.wrong("a value")
        if any(words.take_word(each, peek=True) for each in _LOGICAL):
            raise words.wrong("a value, in quotes if it is AND, OR or NOT,")
        if operator in (":", "=") and words.take("("):
            return [text for text, _ in words.arguments(" \t\n,") if text not in _LOGICAL]
        given = words.token("()")
        if given is None:
            raise words.wrong("a value")
        return [given[0]]


class _Term:
    """KEY OPERATOR VALUE. It is true when one of a list's values fits one of the operands."""

    def __init__(self, key: Key, calls: Sequence[Call], operator: str, operands: Sequence[str]) -> None:
        self._key = key
        self._calls = calls
        self._operator = operator
        self._operands = [_Operand.of(operator, each) for each in operands]

    def matches(self, row: Any) -> bool:
        found = value(row, self._key)
        for call in self._calls:
            found = call.of(found)
        if self._operator == "!=":
            return any(not each.equals(one) for one in _each(found) for each in self._operands)
        if self._operator == "!~":
            return any(isinstance(one, str | int | float | None) and not each.finds(one) for one in _each(found) for each in self._operands)
        test = {":": _Operand.has, "=": _Operand.equals, "~": _Operand.finds}.get(self._operator)
        if test is not None:
            return any(test(each, one) for one in _each(found) for each in self._operands)
        return any(each.compares(self._operator, one) for one in _each(found) for each in self._operands)


@dataclass(frozen=True, slots=True)
class _Operand:
    text: str
    number: float | None
    pattern: re.Pattern[str] | None

    @classmethod
    def of(cls, operator: str, text: str) -> _Operand:
        """Raises ConfigurationError."""
        pattern = None
        if operator in ("~", "!~"):
            pattern = _regular(text)
        elif operator == ":":
            pattern = _has(text)
        return cls(text, {"true": 1.0, "false": 0.0}.get(text.lower(), _number(text)), pattern)

    def has(self, found: Any) -> bool:
        if isinstance(found, Mapping):
            return any(self.has(each) for each in (*found.keys(), *found.values()))
        if found is None:
            return self.text in ("", "null")
        if self.text == "*":
            return found not in ("", [])
        return self.equals(found) or bool(self.pattern and self.pattern.search(_plain(found)))

    def equals(self, found: Any) -> bool:
        if isinstance(found, Mapping):
            return any(self.equals(each) for each in (*found.keys(), *found.values()))
        if found is None:
            return self.text in ("", "null")
        if isinstance(found, int | float):
            return found == self.number or str(found) == self.text
        if (at := _time(found)) and (wanted := moment(self.text)):
            return at == wanted
        if self.number is not None and self.text.lower() not in ("true", "false") and (own := _number(str(found))) is not None:
            return own == self.number
        return _plain(found) == _plain(self.text)

    def finds(self, found: Any) -> bool:
        if isinstance(found, Mapping | list):
            return False
        text = "" if found is None else found if isinstance(found, str) else repr(found)
        return bool(self.pattern and self.pattern.search(text))

    def compares(self, operator: str, found: Any) -> bool:
        if isinstance(found, Mapping):
            return False
        at, wanted = _time(found), moment(self.text)
        if at and wanted:
            return _ordered(operator, at, wanted)
        own = _number(found) if isinstance(found, str | int | float) else None
        if own is not None and self.number is not None:
            return _ordered(operator, own, self.number)
        if not found and wanted and self.number is None:
            # What has no time is neither before nor after one.
            return False
        return _ordered(operator, "" if found is None else found if isinstance(found, str) else repr(found), self.text)


def _ordered(operator: str, left: Any, right: Any) -> bool:
    if operator == "<":
        return bool(left < right)
    if operator == "<=":
        return bool(left <= right)
    return bool(left > right) if operator == ">" else bool(left >= right)


def _each(found: Any) -> Sequence[Any]:
    return found if isinstance(found, list) and found else [found]


def _all(terms: Sequence[Filter]) -> Filter:
    return lambda row: all(term(row) for term in terms)


def _either(left: Filter, right: Filter) -> Filter:
    return lambda row: left(row) or right(row)


def _not(term: Filter) -> Filter:
    return lambda row: not term(row)


def _anywhere(text: str) -> Filter:
    """Somewhere in one of the row's values."""
    wanted = text.lower()

    def found(row: Any) -> bool:
        if isinstance(row, Mapping):
            return any(found(each) for each in row.values())
        if isinstance(row, list):
            return any(found(each) for each in row)
        return wanted in str(row).lower()

    return found


def _has(text: str) -> re.Pattern[str]:
    """Raises ConfigurationError."""
    parts = _plain(text).split("*")
    if len(parts) > 2:
        raise ConfigurationError(f"{_FLAG}: at most one * can be in {text!r} after a colon")
    if len(parts) == 1:
        return re.compile(re.escape(parts[0]), re.IGNORECASE | re.MULTILINE)
    left, right = (re.escape(each) for each in parts)
    if not left:
        return re.compile(f"{right}$", re.IGNORECASE | re.MULTILINE)
    return re.compile(f"^{left}" + (f".*{right}$" if right else ""), re.IGNORECASE | re.MULTILINE)


def _regular(text: str) -> re.Pattern[str]:
    """Raises ConfigurationError."""
    if len(text) > MOST_PATTERN:
        raise ConfigurationError(f"{_FLAG}: a regular expression is at most {MOST_PATTERN} characters long")
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigurationError(f"{_FLAG}: {text!r} is no regular expression: {error}") from error


def _time(found: Any) -> datetime | None:
    return moment(found) if isinstance(found, str) and _TIME.match(found) else None


def _number(found: Any) -> float | None:
    try:
        return int(found)
    except (TypeError, ValueError):
        pass
    try:
        return float(found)
    except (TypeError, ValueError):
        return None


def _plain(found: Any) -> str:
    """Small letters without accents."""
    text = (found if isinstance(found, str) else repr(found)).lower()
    return "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
