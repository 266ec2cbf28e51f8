"""The config of an image, of which a registry needs only when it was created (image-spec, Image Configuration; RFC 3339)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import msgspec

NO_TIME_MS = -62_135_596_800_000
"""The year 1 in milliseconds since 1970: Go's zero time, and Container Registry's word for a config that says nothing."""
MOST_MS = 253_402_300_799_999
MOST_BYTES = 1024 * 1024
"""A longer config is not looked into."""

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class _Config(msgspec.Struct):
    created: str | None = None


def created_ms(payload: bytes) -> int:
    """Milliseconds since 1970; NO_TIME_MS where it does not say, or in no form that anybody could read. Never raises."""
    try:
        created = msgspec.json.decode(payload, type=_Config).created
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return NO_TIME_MS
    return time_ms(created) if created else NO_TIME_MS


def time_ms(text: str) -> int:
    """A time of RFC 3339, its fraction of a second cut after the third digit. NO_TIME_MS for what is none."""
    match = _TIME.fullmatch(text)
    if match is None:
        return NO_TIME_MS
    year, month, day, hour, minute, second = map(int, match.group(1, 2, 3, 4, 5, 6))
    fraction, sign, hours, minutes = match.group(7, 8, 9, 10)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return NO_TIME_MS
    found = (moment - _EPOCH) // _MILLISECOND + int(((fraction or "0") + "00")[:3])
    if sign is not None:
        offset_ms = (int(hours) * 60 + int(minutes)) * 60_000
        found += offset_ms if sign == "-" else -offset_ms
    # Clients make dates of it, and know none outside of these.
    return min(max(found, NO_TIME_MS), MOST_MS)
