"""
Projections: which values of a row are shown, in `table(projectId, createTime.date():label=CREATED)` and its like.

Spec: `gcloud topic projections`; `gcloud topic formats`. A default's headings can be used as keys: --sort-by=TIMESTAMP.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from roadstead.cli.expressions import Key, Words, value
from roadstead.cli.transforms import Transform, transform
from roadstead.errors import ConfigurationError

Align = Literal["left", "center", "right"]

_ALIGNS: Mapping[str, Align] = {"left": "left", "center": "center", "right": "right"}
_SAID = {"align", "calls", "label", "optional", "reverse", "sort", "width"}
_NAMES = ("alias", "align", "label", "optional", "reverse", "sort", "width", "wrap")


@dataclass(frozen=True, slots=True)
class Call:
    """A transform with its arguments. depth: lists are entered so deep, and it is done to each of their items."""

    function: Transform
    arguments: tuple[str, ...]
    named: Mapping[str, str]
    depth: int = 0

    def of(self, found: Any) -> Any:
        if self.depth and isinstance(found, list):
            items = found
            for _ in range(self.depth - 1):
                items = [inner for each in items for inner in (each if isinstance(each, list) else [each])]
            return [self.function(each, *self.arguments, **self.named) for each in items]
        return self.function(found, *self.arguments, **self.named)


@dataclass(frozen=True, slots=True)
class Column:
    """
    sort: its place among the columns that rows are sorted by, 0 for none. width: at least so wide.

    optional: only if a row has something there. given: which of these were said.
    """

    key: Key
    label: str = ""
    calls: tuple[Call, ...] = ()
    given: frozenset[str] = frozenset()
    sort: int = 0
    reverse: bool = False
    align: Align = "left"
    width: int = 0
    optional: bool = False

    def over(self, default: Column) -> Column:
        """With what is said of the default, but for what is said of this one."""
        said = {name: getattr(self, name) for name in self.given}
        return replace(default, **said, given=self.given)

    def of(self, row: Any, transforms: bool = True) -> Any:
        found = value(row, self.key)
        for call in self.calls if transforms else ():
            found = call.of(found)
        return found


@dataclass(frozen=True, slots=True)
class Projection:
    """name: of the format, such as table. attributes: what is in its brackets; those that say no more than their name are True."""

    name: str
    attributes: Mapping[str, str | bool] = field(default_factory=dict)
    columns: Sequence[Column] = ()

    @property
    def aliases(self) -> dict[str, Key]:
        return {each.label: each.key for each in self.columns if each.label and each.key}


def parse(text: str, default: Projection | None = None) -> Projection:
    """default: what keys and columns mean where nothing else is said of them. Raises ConfigurationError."""
    words = Words(text, "--format", default.aliases if default else None)
    name = words.word(":([")
    if not name.isalpha():
        raise words.wrong("the name of a format, such as table, json, yaml, csv or value,")
    attributes: dict[str, str | bool] = {}
    columns: list[Column] = []
    while words.skip_space():
        if words.take("["):
            attributes |= _attributes(words)
        elif words.take("("):
            columns = _columns(words)
        else:
            raise words.wrong("[ATTRIBUTES] or (KEYS)")
    known = {each.key: each for each in reversed(default.columns if default else ()) if each.key}
    return Projection(name, attributes, tuple(each.over(known[each.key]) if each.key in known else each for each in columns))


def calls(words: Words, name: str) -> tuple[Call, ...]:
    """`name(…).other(…)`, whose first parenthesis has been taken. Raises ConfigurationError."""
    found: list[Call] = []
    depth = 0
    while True:
        given = [text for text, _ in words.arguments()]
        if name == "map":
            depth = int(given[0]) if given and given[0].isdigit() else 1
        else:
            found.append(_call(words, name, given, min(depth, 9)))
            depth = 0
        if not words.take("."):
            return tuple(found)
        name = words.word(".:=!<>~(),[] ")
        words.must("(")


def project(row: Any, keys: Sequence[Key]) -> Any:
    """The row with nothing but what is at these keys, in its own form. None where there is nothing."""
    if any(not each for each in keys) or row in ({}, []):
        return row
    if isinstance(row, Mapping):
        steps = {step: [each[1:] for each in keys if each[0] == step] for step in dict.fromkeys(each[0] for each in keys)}
        found = {}
        for step, rests in steps.items():
            if step is None:
                return row
            if step in row and ((inner := project(row[step], rests)) is not None or not all(rests)):
                found[step] = inner
        return {name: found[name] for name in row if name in found} or None
    if isinstance(row, list):
        return _project_list(row, keys)
    return None


def _project_list(row: list[Any], keys: Sequence[Key]) -> Any:
    """A name is that of each item, an index that of one."""
    every: list[Key] = [each[1:] if each[0] is None else each for each in keys if each[0] is None]
    chosen: dict[int, list[Key]] = {}
    for each in keys:
        if isinstance(each[0], int) and -len(row) <= each[0] < len(row):
            chosen.setdefault(each[0] % len(row), []).append(each[1:])
    if not every and not chosen:
        return None
    last = len(row) if every else max(chosen) + 1
    found = [project(row[at], every + chosen.get(at, [])) if every or at in chosen else None for at in range(last)]
    while every and found and found[-1] is None:
        found.pop()
    return found if any(each is not None for each in found) else None


def _attributes(words: Words) -> dict[str, str | bool]:
    found: dict[str, str | bool] = {}
    while True:
        name = words.word("=,])")
        if words.take("="):
            given = words.token(",])")
            found[name] = given[0].replace("\\n", "\n").replace("\\t", "\t") if given else ""
        elif name:
            found[name] = True
        if words.take("]"):
            return found
        if not words.take(","):
            raise words.wrong("]")


def _columns(words: Words) -> list[Column]:
    found: list[Column] = []
    taken: set[str] = set()
    words.skip_space()
    if words.take(")"):
        return found
    while True:
        found.append(_column(words, taken))
        words.skip_space()
        if words.take(")"):
            return found
        if not words.take(","):
            raise words.wrong(")")


def _column(words: Words, taken: set[str]) -> Column:
    key, made = keyed(words)
    words.skip_space()
    given = _column_attributes(words) if words.take(":") else {}
    label = given.get("label", _heading(key, taken))
    try:
        return Column(
            key=key,
            label=label,
            calls=made,
            given=frozenset({*given, *(["calls"] if made else [])} & _SAID),
            sort=int(given.get("sort", "0")),
            reverse="reverse" in given,
            align=_ALIGNS[given.get("align", "left")],
            width=min(int(given.get("width", "0")), 1000),
            optional="optional" in given,
        )
    except ValueError as error:
        raise words.wrong("sort and width are numbers: a number") from error


def keyed(words: Words) -> tuple[Key, tuple[Call, ...]]:
    """A key and what is done with its value. Raises ConfigurationError."""
    key = words.key()
    if not words.take("("):
        return key, ()
    if not key:
        raise ConfigurationError("--format: what stands before ( must be the name of a transform, as in createTime.date()")
    return key[:-1], calls(words, str(key[-1]))


def _column_attributes(words: Words) -> dict[str, str]:
    found: dict[str, str] = {}
    while True:
        name = words.word("=:,)")
        given = words.token(":,)") if words.take("=") else ("", False)
        if name.removeprefix("no-") not in _NAMES:
            raise words.wrong(f"{name!r} is none of {', '.join(_NAMES)}: one of these")
        if not name.startswith("no-"):
            found[name] = given[0] if given else ""
        if found.get("align", "left") not in _ALIGNS:
            raise words.wrong("left, center or right")
        if not words.take(":"):
            return found


def _heading(key: Key, taken: set[str]) -> str:
    """projectId → PROJECT_ID; with the name before it where another column has that already."""
    label = ""
    for step in reversed(key):
        if isinstance(step, str):
            snake = re.sub(r"(?<=[a-z0-9])[A-Z]+|(?<!^)[A-Z](?=[a-z])", lambda match: f"_{match[0]}", step).upper()
            label = f"{snake}_{label}" if label else snake
            if label not in taken:
                break
    taken.add(label)
    return label


def _call(words: Words, name: str, given: Sequence[str], depth: int) -> Call:
    function = transform(name)
    if function is None:
        raise words.wrong(f"there is no {name}(): another name")
    parameters = inspect.signature(function).parameters
    named = dict(each.split("=", 1) for each in given if each.partition("=")[0] in parameters and "=" in each)
    arguments = tuple(each for each in given if "=" not in each or each.partition("=")[0] not in parameters)
    try:
        inspect.signature(function).bind(None, *arguments, **named)
    except TypeError as error:
        raise ConfigurationError(f"--format: {name}() takes other arguments: {error}") from error
    return Call(function, arguments, named, depth)
