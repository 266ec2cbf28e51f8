"""What --filter, --sort-by, --limit and --page-size make of the rows of a listing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from roadstead.cli import filters
from roadstead.cli.expressions import Key, Words, placed, value
from roadstead.cli.projections import Projection

if TYPE_CHECKING:
    from roadstead.cli.options import Options


def chosen(rows: Sequence[Any], aliases: Mapping[str, Key], options: Options) -> list[Any]:
    """aliases: headings that can be used as keys. Raises ConfigurationError."""
    wanted = filters.parse(options.filter, aliases)
    keys = _keys(options.sort_by, aliases)
    flat = list(rows)
    for key in _flattened(options.flatten, aliases):
        flat = [each for row in flat for each in _items(row, key)]
    found = [row for row in flat if wanted(row)]
    for key, reverse in reversed(keys):
        found.sort(key=lambda row: _place(value(row, key)), reverse=reverse)
    return found[: options.limit]


def pages(rows: Sequence[Any], size: int | None) -> Iterator[Sequence[Any]]:
    if size is None or not rows:
        yield rows
        return
    for begin in range(0, len(rows), size):
        yield rows[begin : begin + size]


def as_it_is(how: Projection) -> Projection:
    """Without an order of its own."""
    return replace(how, columns=tuple(replace(each, sort=0) for each in how.columns))


def _keys(text: str, aliases: Mapping[str, Key]) -> list[tuple[Key, bool]]:
    found = []
    for each in text.split(",") if text.strip() else ():
        name = each.strip()
        # A list has the place of its first item.
        words = Words(name.removeprefix("~").replace("[]", "[0]"), "--sort-by", aliases)
        found.append((words.key(), name.startswith("~")))
        if not words.ended:
            raise words.wrong("a comma between keys")
    return found


def _flattened(text: str, aliases: Mapping[str, Key]) -> list[Key]:
    """bindings[].members → the lists from the outside inwards: bindings, bindings.members."""
    found: list[Key] = []
    for each in text.split(",") if text.strip() else ():
        words = Words(each.strip(), "--flatten", aliases)
        key = words.key()
        if not words.ended:
            raise words.wrong("a comma between keys")
        names: Key = ()
        for step in key:
            if step is None:
                found.append(names)
            else:
                names = (*names, step)
        if key and key[-1] is not None:
            found.append(names)
    return found


def _items(row: Any, key: Key) -> list[Any]:
    """The row once for each item of the list at a key, with the item in its place."""
    found = value(row, key)
    return [placed(row, key, each) for each in found] if isinstance(found, list) else [row]


def _place(found: Any) -> tuple[int, float, str]:
    """What is not there comes first, then numbers, then text."""
    if found is None:
        return 0, 0, ""
    return (1, found, "") if isinstance(found, int | float) else (2, 0, str(found))
