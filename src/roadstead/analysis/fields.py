"""
Messages of Grafeas as tables of fields, which read proto3 JSON as every client writes it and give it back in one form.

Taken: names in camelCase and snake_case, enums as names and numbers, numbers as text, bytes in both alphabets of base64. Given back:
camelCase, names of enums, int64 as text, standard base64 with padding; fields that have their default value are left out.

https://protobuf.dev/programming-guides/json
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from roadstead.errors import FieldInvalid

_TOLD = 100
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_DIGITS = re.compile(r"-?\d{1,19}", re.ASCII)


class Field(Protocol):
    def read(self, value: Any, path: str) -> Any:
        """The value in the one form; None for the default. path is for errors. Raises FieldInvalid."""


def wrong(path: str, value: Any, kind: str) -> FieldInvalid:
    """As Google says it."""
    return FieldInvalid(f"Invalid value at '{path}' ({kind}), {str(value)[:_TOLD]!r}", {"field": path[:200]})


def unknown(name: str, path: str) -> FieldInvalid:
    return FieldInvalid(
        f"Invalid JSON payload received. Unknown name {name[:_TOLD]!r} at '{path}': Cannot find field.", {"field": name[:_TOLD]}
    )


class _Text:
    def read(self, value: Any, path: str) -> str | None:
        if not isinstance(value, str):
            raise wrong(path, value, "TYPE_STRING")
        return value or None


class _Flag:
    def read(self, value: Any, path: str) -> bool | None:
        if not isinstance(value, bool):
            raise wrong(path, value, "TYPE_BOOL")
        return value or None


class _Bytes:
    def read(self, value: Any, path: str) -> str | None:
        if not isinstance(value, str):
            raise wrong(path, value, "TYPE_BYTES")
        plain = value.replace("-", "+").replace("_", "/").rstrip("=")
        try:
            content = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        except (binascii.Error, ValueError) as error:
            raise wrong(path, value, "TYPE_BYTES, in base64") from error
        return base64.b64encode(content).decode() or None


@dataclass(frozen=True, slots=True)
class _Whole:
    """A whole number of so many bits."""

    bits: int

    def read(self, value: Any, path: str) -> int | str | None:
        kind = f"TYPE_INT{self.bits}"
        is_text = isinstance(value, str) and _DIGITS.fullmatch(value) is not None
        if is_text or (isinstance(value, float) and value.is_integer()):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not -(1 << self.bits - 1) <= value < 1 << self.bits - 1:
            raise wrong(path, value, kind)
        if value == 0:
            return None
        return str(value) if self.bits == 64 else value


class _Number:
    def read(self, value: Any, path: str) -> float | None:
        if isinstance(value, str) and len(value) < 40:
            try:
                value = float(value)
            except ValueError as error:
                raise wrong(path, value, "TYPE_DOUBLE") from error
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e308 or math.isnan(value):
            raise wrong(path, value, "TYPE_DOUBLE")
        return float(value) or None


class _Time:
    """RFC 3339, kept to the nanosecond, in UTC."""

    def read(self, value: Any, path: str) -> str:
        match = _TIME.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise wrong(path, value, "google.protobuf.Timestamp")
        try:
            moment = datetime.fromisoformat(f"{value[:10]}T{value[11:19]}{match[8] or '+'}{match[9] or '00'}:{match[10] or '00'}")
            moment = moment.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise wrong(path, value, "google.protobuf.Timestamp") from error
        digits = (match[7] or "").ljust(9, "0").rstrip("0")
        fraction = "." + digits.ljust(-(-len(digits) // 3) * 3, "0") if digits else ""
        return moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + fraction + "Z"


class _Struct:
    """google.protobuf.Struct: any object."""

    def read(self, value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise wrong(path, value, "google.protobuf.Struct")
        return value


class _Value:
    """google.protobuf.Value: anything."""

    def read(self, value: Any, path: str) -> Any:
        return value


class _Any:
    """google.protobuf.Any: an object that says its type. Its fields are not looked at."""

    def read(self, value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict) or not isinstance(value.get("@type"), str):
            raise wrong(path, value, "google.protobuf.Any, which needs an @type")
        return value


STRING, BOOL, BYTES, NUMBER, TIME = _Text(), _Flag(), _Bytes(), _Number(), _Time()
INT32, INT64 = _Whole(32), _Whole(64)
STRUCT, VALUE, ANY = _Struct(), _Value(), _Any()


class Enum:
    """names: of the numbers from 0 on, `-` for one that there is not. aliases are other names of numbers."""

    def __init__(self, names: str, **aliases: int) -> None:
        self.names = names.split()
        self.numbers = {name: number for number, name in enumerate(self.names) if name != "-"} | aliases

    def number(self, value: Any, path: str) -> int:
        """Raises FieldInvalid."""
        if isinstance(value, str) and value in self.numbers:
            return self.numbers[value]
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(self.names) and self.names[value] != "-":
            return value
        raise wrong(path, value, f"one of {', '.join(name for name in self.names if name != '-')}"[:600])

    def read(self, value: Any, path: str) -> str | None:
        number = self.number(value, path)
        return self.names[number] if number else None


@dataclass(frozen=True, slots=True)
class Repeated:
    of: Field

    def read(self, value: Any, path: str) -> list[Any] | None:
        if not isinstance(value, list):
            raise wrong(path, value, "a list")
        # A default value has its place in a list.
        return [_present(self.of, each, f"{path}[{index}]") for index, each in enumerate(value)] or None


@dataclass(frozen=True, slots=True)
class Map:
    """Keys are text."""

    of: Field

    def read(self, value: Any, path: str) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            raise wrong(path, value, "an object")
        return {key: _present(self.of, each, f"{path}.{key[:_TOLD]}") for key, each in value.items()} or None


_DEFAULTS: dict[type, Any] = {_Text: "", _Flag: False, _Bytes: "", _Number: 0.0}


def _read(field: Field, value: Any, path: str) -> Any:
    return field.read(value, path)


def _present(field: Field, value: Any, path: str) -> Any:
    found = field.read(value, path)
    if found is not None or isinstance(field, _Value):
        return found
    if isinstance(field, _Whole):
        return "0" if field.bits == 64 else 0
    return field.names[0] if isinstance(field, Enum) else _DEFAULTS.get(type(field), {})


class OneOf(tuple[str, ...]):
    """Fields of which a message has one at most."""

    __slots__ = ()

    def __new__(cls, *names: str) -> OneOf:
        return super().__new__(cls, names)


class Message:
    """fields by the name that they are given back with. One that begins with `_` is taken without it too."""

    def __init__(self, *one_of: OneOf, **fields: Field) -> None:
        self.fields: Mapping[str, Field] = fields
        self.one_of: Sequence[OneOf] = one_of
        self._members = frozenset(name for names in one_of for name in names)
        self._names = {other: name for name in fields for other in (name, snake(name), name.lstrip("_"), snake(name.lstrip("_")))}

    def name(self, given: str) -> str | None:
        """The name of a field as it is given back; None for what there is not."""
        return self._names.get(given)

    def read(self, value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise wrong(path, value, "an object")
        found: dict[str, Any] = {}
        for given, each in value.items():
            name = self._names.get(given)
            if name is None:
                raise unknown(given, path)
            if each is None:
                continue
            if name in found:
                raise FieldInvalid(f"'{path}.{name}' is there twice, in two spellings: send one", {"field": name})
            # Which of several fields is there is said also by one that has its default value.
            read = _present if name in self._members else _read
            content = read(self.fields[name], each, f"{path}.{name}")
            if content is not None:
                found[name] = content
        for names in self.one_of:
            given_of_it = [name for name in names if name in found]
            if len(given_of_it) > 1:
                raise FieldInvalid(f"'{path}' can have only one of {' and '.join(given_of_it)}", {"field": given_of_it[1]})
        return {name: found[name] for name in self.fields if name in found}


def snake(name: str) -> str:
    """`cvssV3` → `cvss_v3`"""
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)
