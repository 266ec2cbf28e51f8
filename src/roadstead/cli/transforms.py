"""
What --format and --filter can do with a value: `createTime.date()`, `name.basename()`, `tags.list()`.

Each takes the value and its arguments, as they are written. A value that does not fit gives an empty one, and no error: rows differ.
Spec: `gcloud topic projections`, Transforms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from roadstead.cli.expressions import Words, value
from roadstead.cli.moments import moment

Transform = Callable[..., Any]

_DATE = "%Y-%m-%dT%H:%M:%S"
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def transform(name: str) -> Transform | None:
    return _TRANSFORMS.get(name)


def number(found: float) -> str:
    """As few digits as tell it: 0.25, 1500.0, 1.5e+12."""
    text = f"{found:.6}"
    _, exponent, power = text.partition("e+")
    return f"{found:.1f}" if exponent and int(power) < 9 else text


def _always(found: Any) -> Any:
    return found


def _basename(found: Any, undefined: str = "") -> Any:
    if isinstance(found, list):
        return [_basename(each) for each in found]
    return re.split(r"[/\\]", str(found))[-1] if found else undefined


def _count(found: Any) -> Any:
    items = found if isinstance(found, list) else []
    return {each: items.count(each) for each in items if isinstance(each, str | int)}


def _date(found: Any, format: str = _DATE, unit: str = "1", undefined: str = "", tz: str = "") -> str:
    text = found.get("datetime", "") if isinstance(found, dict) else found
    try:
        from datetime import UTC, datetime
        from zoneinfo import ZoneInfo

        if isinstance(text, int | float) or (isinstance(text, str) and text.isdigit()):
            at: datetime | None = datetime.fromtimestamp(float(text) / float(unit), UTC).astimezone()
        else:
            at = moment(str(text)) if text else None
        if at is None:
            return undefined
        return at.astimezone(_zone(tz, ZoneInfo)).strftime(format) if tz else at.strftime(format)
    except (ValueError, OverflowError, OSError, KeyError):
        return undefined


def _zone(name: str, named: Callable[[str], Any]) -> Any:
    return None if name.upper() == "LOCAL" else named(name)


def _iso(found: Any, undefined: str = "T") -> str:
    at = moment(str(found.get("datetime", "") if isinstance(found, dict) else found)) if found else None
    return at.isoformat(timespec="milliseconds") if at else undefined


def _extract(found: Any, *keys: str) -> Any:
    values = [value(found, _key(each)) for each in keys]
    return [each for each in values if each]


def _first_of(found: Any, *keys: str) -> Any:
    return next((each for each in (value(found, _key(key)) for key in keys) if each is not None), "")


def _flatten(found: Any, show: str = "", undefined: str = "", separator: str = ",") -> Any:
    if isinstance(found, dict):
        return separator.join(
            str(name) if show == "keys" else f"{'' if show == 'values' else f'{name}='}{_flatten(each, show, undefined, separator)}"
            for name, each in sorted(found.items())
        )
    if isinstance(found, list) and found:
        return separator.join(str(_flatten(each, show, undefined, separator)) for each in found)
    return found or undefined


def _float(found: Any, precision: str = "6", spec: str = "", undefined: str = "") -> str:
    try:
        return f"{float(found):.{int(precision)}{spec}}" if spec else number(float(found))
    except (TypeError, ValueError):
        return undefined


def _join(found: Any, sep: str = "/", undefined: str = "") -> str:
    return (sep.join(str(each) for each in found) if isinstance(found, list | str | dict) else "") or undefined


def _len(found: Any) -> int:
    return len(found) if isinstance(found, list | str | dict) else 0


def _list(found: Any, show: str = "", undefined: str = "", separator: str = ",") -> Any:
    if isinstance(found, dict):
        pairs = sorted(found.items())
        return separator.join(str(name) if show == "keys" else str(each) if show == "values" else f"{name}={each}" for name, each in pairs)
    if isinstance(found, list):
        return separator.join(str(each) for each in found)
    return found or undefined


def _lower(found: Any) -> Any:
    return found.lower() if isinstance(found, str) else found


def _not_null(found: Any) -> Any:
    return [each for each in found if each is not None] if isinstance(found, list) else []


def _scope(found: Any, *names: str) -> str:
    text = unquote(str(found)) if found else ""
    for name in names or ("regions", "zones"):
        if f"/{name}/" in text:
            return text.rsplit(f"/{name}/", 1)[1]
    return text.rsplit("/", 1)[1] if text.startswith("https://") else text


def _segment(found: Any, index: str = "-1", undefined: str = "") -> str:
    try:
        return (unquote(str(found)).split("/")[int(index)] if found else "") or undefined
    except (IndexError, ValueError):
        return undefined


def _size(found: Any, zero: str = "0", precision: str = "1", units_in: str = "", units_out: str = "") -> str:
    if not found:
        return zero
    try:
        size_bytes, digits = float(found) * _unit(units_in), int(precision)
    except (TypeError, ValueError):
        return zero
    if units_out and units_out[0].upper() in "KMGTP":
        return f"{size_bytes / _unit(units_out):.{digits}f}"
    power = 0
    while size_bytes >= 1024 and power < len(_UNITS) - 1:
        size_bytes, power = size_bytes / 1024, power + 1
    return f"{int(size_bytes) if size_bytes == int(size_bytes) else f'{size_bytes:.{digits}f}'} {_UNITS[power]}"


def _unit(text: str) -> float:
    """K → 1024; a number is itself."""
    power = "KMGTP".find(text[:1].upper()) + 1 if text else 0
    return float(1024**power) if power or not text else float(text)


def _slice(found: Any, op: str = ":", undefined: str = "") -> Any:
    try:
        parts = [int(each) if each.strip() else None for each in op.split(":")]
        if len(parts) == 1 and parts[0] is not None:
            parts.append(parts[0] + 1 or None)
        return list(found[slice(*parts)]) or undefined if isinstance(found, list | str) else undefined
    except (TypeError, ValueError):
        return undefined


def _sort(found: Any, attr: str = "") -> Any:
    items = found if isinstance(found, list) else []
    return sorted(items, key=lambda each: str(value(each, _key(attr)) if attr else each))


def _split(found: Any, sep: str = "/", undefined: str = "") -> Any:
    return found.split(sep) if found and isinstance(found, str) and sep else undefined


def _sub(found: Any, pattern: str, replacement: str, count: str = "0", ignorecase: str = "true") -> Any:
    try:
        flags = re.MULTILINE | re.DOTALL | (re.IGNORECASE if ignorecase.lower() not in ("false", "0") else 0)
        return re.sub(pattern, replacement, found, count=int(count), flags=flags) if isinstance(found, str) else found
    except (re.error, ValueError, RecursionError):
        return found


def _upper(found: Any) -> Any:
    return found.upper() if isinstance(found, str) else found


def _yes_no(found: Any, yes: str | None = None, no: str = "No") -> Any:
    return (found if yes is None else yes) if found else no


def _key(text: str) -> Any:
    return Words(text, "a key in --format").key()


_TRANSFORMS: Mapping[str, Transform] = {
    "always": _always,
    "basename": _basename,
    "count": _count,
    "date": _date,
    "extract": _extract,
    "firstof": _first_of,
    "flatten": _flatten,
    "float": _float,
    "iso": _iso,
    "join": _join,
    "len": _len,
    "list": _list,
    "lower": _lower,
    "notnull": _not_null,
    "scope": _scope,
    "segment": _segment,
    "size": _size,
    "slice": _slice,
    "sort": _sort,
    "split": _split,
    "sub": _sub,
    "upper": _upper,
    "yesno": _yes_no,
}
