"""
Which distribution a CPE names: `cpe:/o:debian:debian_linux:12` (CPE 2.2, a URI), `cpe:2.3:o:debian:debian_linux:12:*:…` (CPE 2.3).

Specs: NISTIR 7695, Common Platform Enumeration: Naming, 6.1 and 6.2.
"""

from __future__ import annotations

import re

from roadstead.scanner import releases
from roadstead.scanner.inventory import Distro

_PRODUCTS = {Distro(name, "").cpe.removeprefix("cpe:/o:"): name for name in releases.ECOSYSTEMS}
_BEGINNINGS = ("cpe:/o:", "cpe:2.3:o:")
# As advisories name releases: Debian's by the first number, the others' by the first two.
_RELEASES = {
    "debian": re.compile(r"([0-9]{1,4}|sid)(?:\.[0-9]{1,4})?"),
    "ubuntu": re.compile(r"([0-9]{1,4}\.[0-9]{1,4})(?:\.[0-9]{1,4})?"),
    "alpine": re.compile(r"v?([0-9]{1,4}\.[0-9]{1,4}|edge)(?:\.[0-9]{1,4})?"),
}


def distro_of(cpe: str) -> Distro | None:
    """None for what is no distribution and release that advisories can be of."""
    beginning = next((each for each in _BEGINNINGS if cpe.startswith(each)), None)
    if beginning is None:
        return None
    parts = cpe.removeprefix(beginning).split(":")
    name = _PRODUCTS.get(":".join(parts[:2]))
    found = _RELEASES[name].fullmatch(parts[2]) if name is not None and len(parts) > 2 else None
    return Distro(name, found[1]) if name is not None and found is not None else None
