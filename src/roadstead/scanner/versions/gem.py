"""
RubyGems' order of versions (`Gem::Version`): numbers and words, separated by dots or by nothing; a word makes it a prerelease.

A missing segment counts as 0, and a word sorts before every number: `1.a` < `1` = `1.0` < `1.0.1`.
"""

from __future__ import annotations

import re

from roadstead.errors import VersionInvalid
from roadstead.scanner.versions.number import MAX_VERSION_LENGTH, number

_VERSION = re.compile(r"[0-9]+(?:\.[0-9a-zA-Z]+)*(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?")
_SEGMENT = re.compile(r"[0-9]+|[a-zA-Z]+")
_WORD, _END, _NUMBER = b"\x01", b"\x02", b"\x03"


def key(version: str) -> bytes:
    """Raises VersionInvalid."""
    match = _VERSION.fullmatch(version) if len(version) <= MAX_VERSION_LENGTH else None
    if match is None:
        raise VersionInvalid("a gem's version is NUMBER[.PART…]", {"version": version[:100]})
    encoded, zeros, worded = bytearray(), 0, False
    for segment in _SEGMENT.findall(version.replace("-", ".pre.")):
        if not segment.strip("0"):
            zeros += 1
            continue
        if segment.isdigit():
            # The fewer zeros before it, the sooner it is more than the missing segments of a shorter version.
            encoded += _NUMBER + (0xFFFF - zeros).to_bytes(2) + number(segment)
        else:
            # Zeros before the first word do not count: 1.0.a is 1.a.
            encoded += _WORD + (zeros if worded else 0).to_bytes(2) + segment.encode() + b"\x00"
            worded = True
        zeros = 0
    return bytes(encoded) + _END
