"""
One total order for each way of writing versions.

`key` gives bytes that compare, byte by byte, as the versions do: they can be cached, stored and compared by a database.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from roadstead.scanner.versions import apk, deb, gem, maven, pypi, rpm, semver

_ORDERS: dict[str, Callable[[str], bytes]] = {
    "debian": deb.key,
    "ubuntu": deb.key,
    "alpine": apk.key,
    **dict.fromkeys(("rhel", "centos", "rocky", "almalinux", "fedora", "ol", "amzn"), rpm.key),
    "pypi": pypi.key,
    "npm": semver.key,
    "golang": semver.key,
    "maven": maven.key,
    "gem": gem.key,
}


def ordered(ecosystem: str) -> bool:
    """Whether versions of this ecosystem can be compared."""
    return ecosystem in _ORDERS


@lru_cache(maxsize=200_000)
def key(ecosystem: str, version: str) -> bytes:
    """Raises VersionInvalid for what is no version of this ecosystem. Versions that count as equal have the same key."""
    return _ORDERS[ecosystem](version)
