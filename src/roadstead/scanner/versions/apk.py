"""
Alpine's order of versions: `1.2.3b_rc4~c0ffee-r5` (apk-package(5), pkgver; apk-tools 3).

A version is a row of tokens. Where two rows part, a suffix for what comes before the release (`_alpha _beta _pre _rc`) sorts
first, then the end, then the other kinds of tokens, those last that can come first in a version.
"""

from __future__ import annotations

import re

from roadstead.errors import VersionInvalid
from roadstead.scanner.versions.number import MAX_VERSION_LENGTH, number

_BEFORE = {name: bytes((0x01, rank)) for rank, name in enumerate(("alpha", "beta", "pre", "rc"), 1)}
_AFTER = {name: bytes((0x07, rank)) for rank, name in enumerate(("cvs", "svn", "git", "hg", "p"), 1)}
_SUFFIXES = _BEFORE | _AFTER
_INVALID, _END, _REVISION, _HASH, _SUFFIX_NUMBER, _LETTER, _FRACTION, _INITIAL = (
    bytes((rank,)) for rank in (0x02, 0x03, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0A)
)

_TOKENS = re.compile(
    r"(?P<initial>[0-9]+)(?P<fractions>(?:\.[0-9]+)*)(?P<letter>[a-z]?)(?P<suffixes>(?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)(?![a-z])[0-9]*)*)"
    r"(?:~(?P<hash>[0-9a-fA-F]+))?(?:-r(?P<revision>[0-9]+))?"
)
_SUFFIX = re.compile(r"_([a-z]+)([0-9]*)")


def key(version: str) -> bytes:
    """Raises VersionInvalid for what `apk version --check` refuses."""
    encoded = order(version)
    if not encoded.endswith(_END):
        raise VersionInvalid("an Alpine version is NUMBER[.NUMBER…][LETTER][_SUFFIX[NUMBER]…][~HASH][-rNUMBER]", {"version": version[:100]})
    return encoded


def order(version: str) -> bytes:
    """
    As key, also for what is no version: it is read up to where it goes wrong, which is how apk itself compares.

    A wrong rest sorts before the end of a version, and all wrong rests are the same. Raises VersionInvalid for what is too long.
    """
    if len(version) > MAX_VERSION_LENGTH:
        raise VersionInvalid(f"a version has at most {MAX_VERSION_LENGTH} characters", {"version": version[:100]})
    match = _TOKENS.match(version)
    if match is None:
        return _INVALID
    initial, fractions, letter, suffixes, commit, revision = match.groups()
    encoded = [_INITIAL, number(initial)]
    for fraction in fractions[1:].split(".") if fractions else ():
        # As in Gentoo: with a leading zero it is a decimal fraction, which sorts as text and before those without.
        encoded += (_FRACTION, b"\x00", fraction.encode(), b"\x00") if fraction[0] == "0" else (_FRACTION, b"\x01", number(fraction))
    if letter:
        encoded += (_LETTER, letter.encode())
    for name, digits in _SUFFIX.findall(suffixes):
        encoded.append(_SUFFIXES[name])
        if digits:
            encoded += (_SUFFIX_NUMBER, number(digits))
    if commit is not None:
        encoded += (_HASH, commit.encode(), b"\x00")
    if revision is not None:
        encoded += (_REVISION, number(revision))
    encoded.append(_END if match.end() == len(version) else _INVALID)
    return b"".join(encoded)
