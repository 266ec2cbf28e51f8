"""OSV's names of ecosystems (ossf.github.io/osv-schema, Defined Ecosystems): `Ubuntu:22.04:LTS`, `Debian:12`, `Alpine:v3.18`, `PyPI`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_LANGUAGES = {"PyPI": "pypi", "npm": "npm", "Go": "golang", "Maven": "maven", "RubyGems": "gem"}
_UBUNTU = re.compile(r"Ubuntu:(Pro:)?([0-9]{1,2}\.[0-9]{2})(?::LTS)?", re.ASCII)
_DEBIAN = re.compile(r"Debian:([0-9]{1,2})(\.[0-9])?", re.ASCII)
_ALPINE = re.compile(r"Alpine:(?:v([0-9]{1,2}\.[0-9]{1,3})|(edge))", re.ASCII)
_PYPI_SEPARATORS = re.compile(r"[-_.]+")


class Place(NamedTuple):
    """An ecosystem and its release as in Advisory; subscription: what stands there is for customers of Ubuntu Pro only."""

    ecosystem: str
    release: str
    subscription: bool = False


@lru_cache(maxsize=1000)
def place_of(name: str) -> Place | None:
    """None for ecosystems without packages that we know, and for variants such as `Ubuntu:Pro:FIPS:22.04:LTS`."""
    if name in _LANGUAGES:
        return Place(_LANGUAGES[name], "")
    if match := _UBUNTU.fullmatch(name):
        return Place("ubuntu", match.group(2), subscription=match.group(1) is not None)
    if match := _DEBIAN.fullmatch(name):
        major, minor = match.groups()
        # Up to 3.1 the second number told releases apart; then it only counted updates of one.
        return Place("debian", major + minor if int(major) < 4 and minor else major)
    if match := _ALPINE.fullmatch(name):
        return Place("alpine", match.group(1) or match.group(2))
    return None


def package_name(ecosystem: str, name: str) -> str:
    """The name as inventories have it: PyPI's are compared in lower case and with `-` for any separator (PEP 503)."""
    return _PYPI_SEPARATORS.sub("-", name).lower() if ecosystem == "pypi" else name
