"""
Debian's and Ubuntu's order of versions: `[epoch:]upstream[-revision]` (deb-version(7); Debian Policy 5.6.12).

Each part is a row of pairs: characters that are no digits, then a number. `~` sorts before the end of the characters, the end
before letters, letters before everything else; numbers sort by value. A missing epoch is 0, a missing revision is `0`.
"""

from __future__ import annotations

import re

from roadstead.errors import VersionInvalid
from roadstead.scanner.versions.number import MAX_VERSION_LENGTH, number

MAX_EPOCH = 2**31 - 1

_END = b"\x02"
# What dpkg reads with no more than a warning is a version here too, because packages that have one are installed somewhere:
# an upstream version that does not begin with a digit, and characters that the policy does not name.
_VISIBLE = re.compile(r"[!-~]+")
_PAIRS = re.compile(r"([^0-9]*)([0-9]*)")
_SORTED = bytes(1 if c == ord("~") else c if chr(c).isalpha() and c < 128 else (c | 0x80) for c in range(256))


def key(version: str) -> bytes:
    """Raises VersionInvalid where dpkg refuses to read the version at all."""
    if len(version) > MAX_VERSION_LENGTH or _VISIBLE.fullmatch(version) is None:
        raise VersionInvalid("a Debian version has 1 to 512 visible ASCII characters", {"version": version[:100]})
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    elif not epoch.isdigit() or len(epoch.lstrip("0")) > 10 or int(epoch) > MAX_EPOCH:
        raise VersionInvalid("the epoch of a Debian version is a number up to 2147483647", {"version": version[:100]})
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, "0"
    if not upstream or not revision:
        raise VersionInvalid("a Debian version is [EPOCH:]UPSTREAM[-REVISION], and no part is empty", {"version": version[:100]})
    return number(epoch) + _part(upstream) + _part(revision)


def _part(text: str) -> bytes:
    encoded = [characters.encode("ascii").translate(_SORTED) + _END + number(digits) for characters, digits in _PAIRS.findall(text)[:-1]]
    return b"".join(encoded) + _END
