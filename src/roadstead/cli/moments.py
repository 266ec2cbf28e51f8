"""Times in --filter and date(): a date, a date and a time, or a duration from now such as -P30D."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_DURATION = re.compile(
    r"(?P<sign>[-+]?)P(?:(?P<years>\d{1,4})Y)?(?:(?P<months>\d{1,5})M)?(?:(?P<weeks>\d{1,6})W)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?:(?P<hours>\d{1,7})H)?(?:(?P<minutes>\d{1,8})M)?(?:(?P<seconds>\d{1,9})S)?)?",
    re.IGNORECASE,
)
_FRACTION = re.compile(r"(?<=:\d\d)\.(\d{1,6})\d*")
_DAYS = {"years": 365, "months": 30, "weeks": 7, "days": 1}


def moment(text: str) -> datetime | None:
    """None for what is no time. Without a zone it is of this machine's, as gcloud takes it. ISO 8601."""
    if (match := _DURATION.fullmatch(text)) and any(match.groups()[1:]):
        return _from_now(match)
    # Nanoseconds, of which Python knows none.
    text = _FRACTION.sub(lambda match: "." + match[1].ljust(6, "0"), text.strip())
    try:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.astimezone()
    except (ValueError, OverflowError):
        return None


def _from_now(match: re.Match[str]) -> datetime | None:
    parts = {name: int(number) for name, number in match.groupdict().items() if name != "sign" and number}
    days = sum(_DAYS.get(name, 0) * number for name, number in parts.items())
    sign = -1 if match["sign"] == "-" else 1
    try:
        length = timedelta(days=days, **{name: number for name, number in parts.items() if name not in _DAYS})
        return datetime.now(UTC) + sign * length
    except OverflowError:
        return None
