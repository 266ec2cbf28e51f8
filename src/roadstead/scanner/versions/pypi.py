"""Python's order of versions (PEP 440; packaging.python.org, Version specifiers): `1!2.0rc1.post2.dev3+local.4`."""

from __future__ import annotations

import re

from roadstead.errors import VersionInvalid
from roadstead.scanner.versions.number import MAX_VERSION_LENGTH, number

_VERSION = re.compile(
    r"\s*v?(?:(?P<epoch>[0-9]+)!)?(?P<release>[0-9]+(?:\.[0-9]+)*)"
    r"(?:[-_.]?(?P<phase>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<phase_number>[0-9]*))?"
    r"(?P<post>-(?P<post_bare>[0-9]+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_number>[0-9]*))?"
    r"(?P<dev>[-_.]?dev[-_.]?(?P<dev_number>[0-9]*))?"
    r"(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*",
    re.ASCII | re.IGNORECASE,
)
_PHASES = {"a": b"\x01", "alpha": b"\x01", "b": b"\x02", "beta": b"\x02"}
_CANDIDATE, _FINAL = b"\x03", b"\x04"


def key(version: str) -> bytes:
    """Raises VersionInvalid for what PEP 440 does not know, such as versions of long ago."""
    match = _VERSION.fullmatch(version) if len(version) <= MAX_VERSION_LENGTH else None
    if match is None:
        raise VersionInvalid("a Python version is as PEP 440 has it: 1.2.3rc1.post2", {"version": version[:100]})
    release = match["release"].split(".")
    while len(release) > 1 and not release[-1].strip("0"):
        release.pop()
    post = number(match["post_bare"] or match["post_number"] or "0") if match["post"] else b""
    if match["phase"]:
        phase = _PHASES.get(match["phase"].lower(), _CANDIDATE) + number(match["phase_number"] or "0")
    else:
        # A development version of the release itself comes before all that is on its way to it.
        phase = b"\x00" if match["dev"] and not post else _FINAL
    parts = [number(match["epoch"] or "0"), *(b"\x01" + number(part) for part in release), b"\x00", phase]
    parts.append(b"\x01" + post if post else b"\x00")
    parts.append(b"\x01" + number(match["dev_number"] or "0") if match["dev"] else b"\x02")
    for part in re.split(r"[-_.]", match["local"] or ""):
        if part:
            parts.append(b"\x02" + number(part) if part.isdigit() else b"\x01" + part.lower().encode() + b"\x00")
    return b"".join((*parts, b"\x00"))
