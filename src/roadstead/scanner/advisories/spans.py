"""Affected stretches of versions, of the events that OSV describes them by (ossf.github.io/osv-schema, affected[].ranges[].events)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from roadstead.errors import VersionInvalid
from roadstead.scanner import versions


class Span(NamedTuple):
    """As in Advisory: an empty bound is none."""

    introduced: str
    fixed: str
    last_affected: str


EVERYTHING = Span("", "", "")


def spans(events: list[tuple[str, str]], ecosystem: str) -> Iterator[Span]:
    """From each `introduced` to the `fixed` or `last_affected` that follows; events are pairs of a kind and a version."""
    introduced: str | None = None
    for kind, version in _sorted(events, ecosystem):
        if kind == "introduced":
            # A second one before an end begins nothing that has not begun.
            introduced = version if introduced is None else introduced
        elif introduced is not None:
            begin = "" if introduced == "0" else introduced
            yield Span(begin, version if kind == "fixed" else "", version if kind == "last_affected" else "")
            introduced = None
    if introduced is not None:
        yield Span("" if introduced == "0" else introduced, "", "")


def _sorted(events: list[tuple[str, str]], ecosystem: str) -> list[tuple[str, str]]:
    """The schema promises no order. With versions that cannot be compared the feed's own order is the best there is."""
    if len(events) < 2 or (len(events) == 2 and events[0][0] == "introduced"):
        return events
    if len(events) == 2 or not versions.ordered(ecosystem):
        return sorted(events, key=lambda event: event[0] != "introduced")
    try:
        return sorted(events, key=lambda event: b"" if event[1] == "0" else versions.key(ecosystem, event[1]))
    except VersionInvalid:
        return events
