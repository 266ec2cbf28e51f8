"""
How a list of occurrences is walked, so that a page costs what is on it: the index that leads to the rows, the order that it has them in,
and where to begin. The filter's other conditions are looked at row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import msgspec

from roadstead.analysis import resources
from roadstead.analysis.filters import BEGINS, ENDS, EQUALS, And, Condition, Or, Tree
from roadstead.analysis.kinds import Kind
from roadstead.errors import FieldInvalid

Key = tuple[str | int, ...]


class Order(Enum):
    """The value is what a page token says; see queries/occurrences.py for the columns."""

    RESOURCE = "r"
    """Resources by their addresses: one, several, or all that begin alike."""
    DIGEST = "d"
    """Resources of one digest."""
    NOTE = "n"
    TIME = "t"
    """By the last change."""
    KIND = "k"
    """The whole project, or some kinds of it."""


_FIRST: dict[Order, Key] = {Order.RESOURCE: ("", 0), Order.DIGEST: (0, 0), Order.NOTE: ("", 0)}
_KEYS: dict[Order, tuple[type, ...]] = {
    Order.RESOURCE: (str, int),
    Order.DIGEST: (int, int),
    Order.NOTE: (str, int),
    Order.TIME: (int, int),
    Order.KIND: (int, int, int, int),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """after: the key before the first row. last_kind: none after it, for KIND. digest: for DIGEST. note: (project, id), for NOTE."""

    order: Order
    after: Key
    last_kind: int = max(Kind)
    digest: str = ""
    note: tuple[str, str] | None = None


def plan(tree: Tree, note: tuple[str, str] | None = None) -> Plan:
    """note: all occurrences of this one are listed, whatever projects they are in; else those of one project."""
    parts = tree.parts if isinstance(tree, And) else (tree,)
    addresses = _addresses(parts)
    digests = {resources.Resource(uri).digest for uri in addresses} if note else set[str]()
    digests |= {
        resources.digest_at_end(part.value) for part in parts if isinstance(part, Condition) and _ends(part) and isinstance(part.value, str)
    }
    if len(digests) == 1 and "" not in digests and (note or not addresses):
        return Plan(Order.DIGEST, _FIRST[Order.DIGEST], digest=digests.pop(), note=note)
    if note is not None:
        return Plan(Order.NOTE, _FIRST[Order.NOTE], note=note)
    if addresses:
        return Plan(Order.RESOURCE, _FIRST[Order.RESOURCE])
    named = {part.column: str(part.value) for part in parts if isinstance(part, Condition) and part.operator == EQUALS}
    if "note" in named and "note_project" in named:
        return Plan(Order.NOTE, _FIRST[Order.NOTE], note=(named["note_project"], named["note"]))
    since = [
        int(part.value)
        for part in parts
        if isinstance(part, Condition) and part.column in ("created", "updated") and part.operator in ("=", ">", ">=")
    ]
    if since:
        # What was made after a moment was changed after it, too.
        return Plan(Order.TIME, (max(since), 0))
    if any(isinstance(part, Condition) and part.operator == BEGINS for part in parts):
        return Plan(Order.RESOURCE, _FIRST[Order.RESOURCE])
    return _by_kind(parts)


def names_resources(tree: Tree) -> bool:
    """Whether only resources count that the filter names, one by one."""
    return bool(_addresses(tree.parts if isinstance(tree, And) else (tree,)))


def _ends(part: Condition) -> bool:
    return part.operator == ENDS


def _addresses(parts: Sequence[Tree]) -> set[str]:
    """Of which one must be the resource's; empty if others may be, too."""
    for part in parts:
        choices = part.parts if isinstance(part, Or) else (part,)
        if all(isinstance(each, Condition) and (each.column, each.operator) == ("resource", EQUALS) for each in choices):
            return {str(each.value) for each in choices if isinstance(each, Condition)}
    return set()


def _by_kind(parts: Sequence[Tree]) -> Plan:
    first, last = int(min(Kind)), int(max(Kind))
    for part in parts:
        choices = part.parts if isinstance(part, Or) else (part,)
        kinds = [int(each.value) for each in choices if isinstance(each, Condition) and (each.column, each.operator) == ("kind", EQUALS)]
        if kinds and len(kinds) == len(choices):
            first, last = max(first, min(kinds)), min(last, max(kinds))
    severity = 0
    if first == last:
        least = [
            int(part.value)
            for part in parts
            if isinstance(part, Condition) and part.column == "severity" and part.operator in ("=", ">", ">=")
        ]
        severity = max(least, default=0)
    return Plan(Order.KIND, (first, severity, -1, 0), last)


def token(order: Order, key: Key) -> str:
    return msgspec.json.encode((order.value, *key)).decode()


def resumed(found: Plan, text: str) -> Plan:
    """The plan from where a page ended. Raises FieldInvalid for a token that is none, or of another filter."""
    if not text:
        return found
    try:
        order, *key = msgspec.json.decode(text, type=list[str | int])
    except (msgspec.DecodeError, ValueError) as error:
        raise _wrong_token() from error
    fits = order == found.order.value and tuple(map(type, key)) == _KEYS[found.order]
    if not fits or any(isinstance(each, int) and abs(each) >= 1 << 63 for each in key):
        raise _wrong_token()
    return replace(found, after=tuple(key))


def _wrong_token() -> FieldInvalid:
    return FieldInvalid("pageToken must be the nextPageToken of the page before, with the same filter", {"field": "pageToken"})
