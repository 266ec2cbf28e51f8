"""What stands in a file of a client's: the whole of it, or a part beside what others have written there."""

from __future__ import annotations

import configparser
import io
import json
import tomllib
from dataclasses import dataclass
from typing import Any

from roadstead.cli.output import Failed

_BEGIN, _END = "# Begin of what `roadstead clients configure` writes.", "# End of what `roadstead clients configure` writes."


@dataclass(frozen=True, slots=True)
class Whole:
    """is_copy: of the authority's file, which need not be shown."""

    text: str
    is_copy: bool = False

    def merged(self, present: str) -> str:
        return self.text

    def is_in(self, present: str) -> bool:
        return present == self.text


@dataclass(frozen=True, slots=True)
class Json:
    """Objects are merged, and lists get what they do not have."""

    part: dict[str, Any]

    @property
    def text(self) -> str:
        return json.dumps(self.part, indent=2) + "\n"

    def merged(self, present: str) -> str:
        """Raises Failed."""
        return json.dumps(_merged(_object(present), self.part), indent=2, ensure_ascii=False) + "\n"

    def is_in(self, present: str) -> bool:
        known = _object(present)
        return bool(_merged(known, self.part) == known)


@dataclass(frozen=True, slots=True)
class Ini:
    """Sections and their keys; other keys stay."""

    sections: dict[str, dict[str, str]]

    @property
    def text(self) -> str:
        return _written(_ini("", self.sections))

    def merged(self, present: str) -> str:
        """Raises Failed."""
        return _written(_ini(present, self.sections))

    def is_in(self, present: str) -> bool:
        return _ini(present, {}) == _ini(present, self.sections)


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of TOML between two marks; what stands before and after stays."""

    text: str

    def merged(self, present: str) -> str:
        """Raises Failed where the same table is there already, written by somebody else."""
        before, begin, rest = present.partition(_BEGIN + "\n")
        after = rest.partition(_END + "\n")[2] if begin else ""
        if before and not before.endswith("\n"):
            before += "\n"
        made = f"{before}{_BEGIN}\n{self.text}{_END}\n{after}"
        try:
            tomllib.loads(before + after)
        except tomllib.TOMLDecodeError as error:
            raise Failed(f"it is no TOML that can be read ({error})") from error
        try:
            tomllib.loads(made)
        except tomllib.TOMLDecodeError as error:
            raise Failed(
                f"it has one of these tables already, and this program does not change what it has not written ({error})"
            ) from error
        return made

    def is_in(self, present: str) -> bool:
        """Also when somebody wrote it by hand."""
        try:
            known = tomllib.loads(present)
        except tomllib.TOMLDecodeError:
            return False
        return bool(_merged(known, tomllib.loads(self.text)) == known)


Content = Whole | Json | Ini | Block


def _object(present: str) -> dict[str, Any]:
    try:
        known = json.loads(present or "{}")
    except ValueError as error:
        raise Failed("it is no JSON that can be read") from error
    if not isinstance(known, dict):
        raise Failed("it holds no JSON object")
    return known


def _merged(known: Any, part: Any) -> Any:
    if isinstance(known, dict) and isinstance(part, dict):
        return {**known, **{name: _merged(known.get(name), each) for name, each in part.items()}}
    if isinstance(known, list) and isinstance(part, list):
        return [*known, *(each for each in part if each not in known)]
    return part


def _ini(present: str, sections: dict[str, dict[str, str]]) -> configparser.ConfigParser:
    known = configparser.ConfigParser(interpolation=None)
    try:
        known.read_string(present)
    except configparser.Error as error:
        raise Failed("it has another form than sections with keys") from error
    for name, keys in sections.items():
        if not known.has_section(name):
            known.add_section(name)
        for key, value in keys.items():
            known.set(name, key, value)
    return known


def _written(known: configparser.ConfigParser) -> str:
    text = io.StringIO()
    known.write(text)
    return text.getvalue().rstrip("\n") + "\n"
