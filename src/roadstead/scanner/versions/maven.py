"""
Maven's order of versions (maven.apache.org/pom.html, Version Order Specification): numbers and qualifiers in any mixture.

What means the release itself (zeros, `final`, `ga`, `release`) does not count at the end of a version or before a hyphen.
"""

from __future__ import annotations

import re

from roadstead.errors import VersionInvalid
from roadstead.scanner.versions.number import MAX_VERSION_LENGTH, number

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+~-]*")
_TOKEN = re.compile(r"([.-]?)([0-9]+|[^0-9.-]*)")
_BEFORE = {"alpha": 1, "beta": 2, "milestone": 3, "rc": 4, "cr": 4, "snapshot": 5}
_SHORT = {"a": "alpha", "b": "beta", "m": "milestone"}
_RELEASE = ("", "final", "ga", "release")
_QUALIFIER, _END, _PATCH, _OTHER, _HYPHEN, _DOT = (bytes((rank,)) for rank in range(1, 7))

_Token = tuple[str, str]
"""The separator before it, `.` or `-`, and the text in lower case; no separator between digits and letters is a hyphen."""


def key(version: str) -> bytes:
    """Raises VersionInvalid."""
    if len(version) > MAX_VERSION_LENGTH or _VERSION.fullmatch(version) is None:
        raise VersionInvalid(
            "a Maven version has letters, digits and . - _ + ~, and begins with a letter or digit", {"version": version[:100]}
        )
    return b"".join(_encoded(separator, text) for separator, text in _trimmed(_tokens(version.lower()))) + _END


def _encoded(separator: str, text: str) -> bytes:
    if text.isdigit():
        return (_HYPHEN if separator == "-" else _DOT) + number(text)
    if text in _BEFORE:
        return _QUALIFIER + bytes((_BEFORE[text],))
    return _PATCH if text == "sp" else _OTHER + text.encode() + b"\x00"


def _tokens(version: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(version):
        match = _TOKEN.match(version, at)
        if match is None or match.end() == at:
            break
        separator, text = match.groups()
        following = version[match.end() : match.end() + 1]
        text = _SHORT.get(text, text) if following.isdigit() else text
        found.append((separator or ("-" if found else "."), text or "0"))
        at = match.end()
    return found


def _trimmed(tokens: list[_Token]) -> list[_Token]:
    """Without what means the release, at the end and before each hyphen or qualifier."""
    kept: list[_Token] = []
    for separator, text in tokens:
        if separator == "-" or not text.isdigit():
            while kept and _is_release(kept[-1][1]):
                kept.pop()
        kept.append((separator, text))
    while kept and _is_release(kept[-1][1]):
        kept.pop()
    return kept


def _is_release(text: str) -> bool:
    return text in _RELEASE or (text.isdigit() and not text.strip("0"))
