"""
Semantic Versioning 2.0, section 11, as npm and Go use it: `1.2.3-rc.1+build`.

Missing numbers are 0 and a leading `v` or `go` does not count. Of what stands before the release, numbers sort before words.
"""

from __future__ import annotations

import re

from roadstead.errors import VersionInvalid
from roadstead.scanner.versions.number import MAX_VERSION_LENGTH, number

_VERSION = re.compile(r"(?:v|go)?([0-9]+(?:\.[0-9]+)*)(?:-?((?<=-)[0-9A-Za-z.-]+|(?:alpha|beta|rc)[0-9]*))?(?:\+[0-9A-Za-z.-]*)?")
_BEFORE, _RELEASE = b"\x01", b"\x02"
_END, _NUMBER, _WORD = b"\x00", b"\x01", b"\x02"


def key(version: str) -> bytes:
    """Raises VersionInvalid."""
    match = _VERSION.fullmatch(version) if len(version) <= MAX_VERSION_LENGTH else None
    if match is None:
        raise VersionInvalid("a version is MAJOR.MINOR.PATCH[-PRERELEASE][+BUILD]", {"version": version[:100]})
    numbers = match.group(1).split(".")
    while len(numbers) > 3 and not numbers[-1].strip("0"):
        numbers.pop()
    numbers += ["0"] * (3 - len(numbers))
    # More than three numbers are not allowed, and occur: what is longer then sorts after what it begins with.
    encoded = [*map(number, numbers[:3]), *(b"\x03" + number(more) for more in numbers[3:])]
    if match.group(2) is None:
        return b"".join((*encoded, _RELEASE))
    encoded.append(_BEFORE)
    for part in match.group(2).split("."):
        encoded += (_NUMBER, number(part)) if part.isdigit() else (_WORD, part.encode(), _END)
    return b"".join((*encoded, _END))
