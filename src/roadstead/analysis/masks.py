"""Field masks (https://google.aip.dev/161): which fields of a message an update takes from the request; all others stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from roadstead.analysis.fields import Message
from roadstead.errors import FieldInvalid

MOST_PATHS = 100


def parse(mask: str, message: Message) -> list[Sequence[str]]:
    """
    `vulnerability.effective_severity,remediation` → paths in the names of message; empty for "" and `*`, which mean all fields.

    Raises FieldInvalid for a field that there is not, and for one in a list or a map, which are replaced as a whole.
    """
    paths = [path.strip() for path in mask.split(",") if path.strip()]
    if len(paths) > MOST_PATHS:
        raise FieldInvalid(f"updateMask may have {MOST_PATHS} paths")
    return [] if paths in ([], ["*"]) else [_parsed(path, message) for path in paths]


def _parsed(path: str, message: Message) -> Sequence[str]:
    found, inside = [], message
    parts = path.split(".")
    for index, part in enumerate(parts):
        name = inside.name(part)
        if name is None:
            raise FieldInvalid(f"updateMask: there is no field {path[:200]!r}", {"field": "updateMask"})
        found.append(name)
        field = inside.fields[name]
        if index + 1 < len(parts):
            if not isinstance(field, Message):
                raise FieldInvalid(f"updateMask: {path[:200]!r} goes into what can only be replaced as a whole", {"field": "updateMask"})
            inside = field
    return found


def merged(stored: Mapping[str, Any], given: Mapping[str, Any], paths: Sequence[Sequence[str]]) -> dict[str, Any]:
    """stored with what paths lead to taken from given; what given lacks there is removed. Neither is changed."""
    result = dict(stored)
    for path in paths:
        _set(result, given, path)
    return result


def _set(target: dict[str, Any], given: Mapping[str, Any], path: Sequence[str]) -> None:
    name, rest = path[0], path[1:]
    if not rest:
        if name in given:
            target[name] = given[name]
        else:
            target.pop(name, None)
        return
    inside = dict(target.get(name, {}))
    _set(inside, given.get(name, {}), rest)
    if inside or name in target or name in given:
        target[name] = inside
