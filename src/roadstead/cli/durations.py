"""Durations as people write them: 90s, 15m, 1h, 7d."""

from __future__ import annotations

import re
from collections.abc import Container

_DURATION = re.compile(r"(?P<number>[1-9][0-9]{0,6})(?P<unit>[smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: str, units: Container[str]) -> int | None:
    """units: those of s, m, h and d that may be used, and "" for a bare number of seconds. None for what is no such duration."""
    match = _DURATION.fullmatch(text)
    if match is None or match["unit"] not in units:
        return None
    return int(match["number"]) * _SECONDS[match["unit"]]
