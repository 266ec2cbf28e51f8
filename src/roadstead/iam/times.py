"""
Times as conditions write them (CEL, Timestamps and durations): texts into microseconds, since 1970 and UTC or as a length of time.

Each raises ValueError with a sentence for what is no such text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_RFC3339 = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DURATION = re.compile(r"-?(?:\d{1,12}(?:\.\d{1,9})?(?:ms|us|h|m|s))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+)(?:\.(\d+))?(ms|us|h|m|s)", re.ASCII)
_UNITS_US = {"h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1000, "us": 1}


def timestamp(text: str) -> int:
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(f'{text[:40]} is not a time such as "2026-12-31T12:00:00Z"')
    zone = "+00:00" if found[4] in "Zz" else found[4]
    return _microseconds(f"{found[1]}T{found[2]}{zone}", text) + int((found[3] or "0").ljust(6, "0")[:6])


def date(text: str) -> int:
    if _DATE.fullmatch(text) is None:
        raise ValueError(f'{text[:40]} is not a day such as "2026-12-31"')
    return _microseconds(f"{text}T00:00:00+00:00", text)


def _microseconds(iso: str, text: str) -> int:
    try:
        return (datetime.fromisoformat(iso) - EPOCH) // timedelta(microseconds=1)
    except ValueError as error:
        raise ValueError(f"there is no day or time {text[:40]}") from error


def duration(text: str) -> int:
    if _DURATION.fullmatch(text) is None:
        raise ValueError(f'{text[:40]} is not a length of time such as "1h30m" or "3600s"')
    total = 0
    for whole, fraction, unit in _DURATION_PART.findall(text):
        total += int(whole) * _UNITS_US[unit] + int(fraction or "0") * _UNITS_US[unit] // 10 ** len(fraction)
    return -total if text.startswith("-") else total


def time_zone(name: str) -> tzinfo | None:
    """A name of the time zone database, or an offset such as -08:00. None if there is no such zone."""
    offset = re.fullmatch(r"([+-]?)(\d{2}):([0-5]\d)", name, re.ASCII)
    if offset is not None:
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes)) if minutes < 24 * 60 else None
    if re.fullmatch(r"[A-Za-z0-9_+-]{1,40}(?:/[A-Za-z0-9_+-]{1,40}){0,2}", name) is None:
        return None
    # Imported here: conditions with a time zone are rare, and the module is not small.
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # none such; not a zone's file; a folder of zones
        return None


def local(instant_us: int, zone: tzinfo) -> datetime:
    return (EPOCH + timedelta(microseconds=instant_us)).astimezone(zone)
