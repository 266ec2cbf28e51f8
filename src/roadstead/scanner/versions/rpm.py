"""
The order of RPM packages' versions: `[epoch:]version[-release]` (rpm-version(7)).

Each part is a row of segments, letters or a number; what stands between them does not count. `~` sorts before the end, the end
before `^`, that before letters, and letters before numbers. A missing epoch is 0.
"""

from __future__ import annotations

import re

from roadstead.errors import VersionInvalid
from roadstead.scanner.versions.number import MAX_VERSION_LENGTH, number

_VISIBLE = re.compile(r"[!-~]+")
_SEGMENTS = re.compile(r"(~)|(\^)|([A-Za-z]+)|([0-9]+)")
_TILDE, _END, _CARET, _LETTERS, _NUMBER = (bytes((rank,)) for rank in range(1, 6))


def key(version: str) -> bytes:
    """Raises VersionInvalid for an epoch that is no number, for an empty version, and for what is not visible ASCII."""
    if len(version) > MAX_VERSION_LENGTH or _VISIBLE.fullmatch(version) is None:
        raise VersionInvalid(f"an RPM version has 1 to {MAX_VERSION_LENGTH} visible ASCII characters", {"version": version[:100]})
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    text, _, release = rest.partition("-")
    if not epoch.isdigit() or not text:
        raise VersionInvalid("an RPM version is [EPOCH:]VERSION[-RELEASE], and the epoch is a number", {"version": version[:100]})
    return number(epoch) + _part(text) + _part(release)


def _part(text: str) -> bytes:
    encoded = bytearray()
    for tilde, caret, letters, digits in _SEGMENTS.findall(text):
        if tilde or caret:
            encoded += _TILDE if tilde else _CARET
        elif letters:
            encoded += _LETTERS + letters.encode() + b"\x00"
        else:
            encoded += _NUMBER + number(digits)
    return bytes(encoded) + _END
