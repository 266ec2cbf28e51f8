"""
Releases of distributions: codenames, numbers and the days on which their updates end.

Facts as the distributions publish them (Debian's and Ubuntu's distro-info data, Debian LTS; Alpine's list of releases).
What is not listed is simply not known: no release is taken for another.
"""

from __future__ import annotations

from datetime import date

from roadstead.scanner.inventory import Distro

# The end is that of Debian LTS, whose fixes the security tracker has.
_DEBIAN: dict[str, tuple[str, str]] = {
    "hamm": ("2.0", "1999-03-09"),
    "slink": ("2.1", "2000-10-30"),
    "potato": ("2.2", "2003-06-30"),
    "woody": ("3.0", "2006-06-30"),
    "sarge": ("3.1", "2008-03-31"),
    "etch": ("4", "2010-02-15"),
    "lenny": ("5", "2012-02-06"),
    "squeeze": ("6", "2016-02-29"),
    "wheezy": ("7", "2018-05-31"),
    "jessie": ("8", "2020-06-30"),
    "stretch": ("9", "2022-06-30"),
    "buster": ("10", "2024-06-30"),
    "bullseye": ("11", "2026-08-31"),
    "bookworm": ("12", "2028-06-30"),
    "trixie": ("13", "2030-06-30"),
    "forky": ("14", ""),
    "duke": ("15", ""),
    "sid": ("sid", ""),
}

# The end is that of standard support: what Ubuntu Pro has is not in the archive that images install from.
_UBUNTU: dict[str, tuple[str, str]] = {
    "lucid": ("10.04", "2015-04-30"),
    "precise": ("12.04", "2017-04-28"),
    "quantal": ("12.10", "2014-05-16"),
    "raring": ("13.04", "2014-01-27"),
    "saucy": ("13.10", "2014-07-17"),
    "trusty": ("14.04", "2019-04-25"),
    "utopic": ("14.10", "2015-07-23"),
    "vivid": ("15.04", "2016-02-04"),
    "wily": ("15.10", "2016-07-28"),
    "xenial": ("16.04", "2021-04-30"),
    "yakkety": ("16.10", "2017-07-20"),
    "zesty": ("17.04", "2018-01-13"),
    "artful": ("17.10", "2018-07-19"),
    "bionic": ("18.04", "2023-05-31"),
    "cosmic": ("18.10", "2019-07-18"),
    "disco": ("19.04", "2020-01-23"),
    "eoan": ("19.10", "2020-07-17"),
    "focal": ("20.04", "2025-05-31"),
    "groovy": ("20.10", "2021-07-22"),
    "hirsute": ("21.04", "2022-01-20"),
    "impish": ("21.10", "2022-07-14"),
    "jammy": ("22.04", "2027-06-01"),
    "kinetic": ("22.10", "2023-07-20"),
    "lunar": ("23.04", "2024-01-25"),
    "mantic": ("23.10", "2024-07-11"),
    "noble": ("24.04", "2029-05-31"),
    "oracular": ("24.10", "2025-07-10"),
    "plucky": ("25.04", "2026-01-15"),
    "questing": ("25.10", "2026-07-31"),
    "resolute": ("26.04", "2031-05-31"),
}

_ALPINE_ENDS = {
    "2.1": "2012-11-01",
    "2.2": "2013-05-01",
    "2.3": "2013-11-01",
    "2.4": "2014-05-01",
    "2.5": "2014-11-01",
    "2.6": "2015-05-01",
    "2.7": "2015-11-01",
    "3.0": "2016-05-01",
    "3.1": "2016-11-01",
    "3.2": "2017-05-01",
    "3.3": "2017-11-01",
    "3.4": "2018-05-01",
    "3.5": "2018-11-01",
    "3.6": "2019-05-01",
    "3.7": "2019-11-01",
    "3.8": "2020-05-01",
    "3.9": "2020-11-01",
    "3.10": "2021-05-01",
    "3.11": "2021-11-01",
    "3.12": "2022-05-01",
    "3.13": "2022-11-01",
    "3.14": "2023-05-01",
    "3.15": "2023-11-01",
    "3.16": "2024-05-23",
    "3.17": "2024-11-22",
    "3.18": "2025-05-09",
    "3.19": "2025-11-01",
    "3.20": "2026-04-01",
    "3.21": "2026-11-01",
    "3.22": "2027-05-01",
    "3.23": "2027-11-01",
}

_CODENAMES = {"debian": _DEBIAN, "ubuntu": _UBUNTU}
_ENDS: dict[str, dict[str, str]] = {
    "debian": dict(_DEBIAN.values()),
    "ubuntu": dict(_UBUNTU.values()),
    "alpine": _ALPINE_ENDS,
}

# Releases of these are what feeds speak of: no other distribution's packages may be looked up in them.
ECOSYSTEMS = frozenset({"debian", "ubuntu", "alpine"})


def ecosystem_of(distro: Distro) -> str | None:
    """The ecosystem of its packages' advisories, if the distribution is known and its release is told."""
    return distro.id if distro.id in ECOSYSTEMS and distro.release else None


def release_of_codename(ecosystem: str, codename: str) -> str | None:
    """`bookworm` → `12`, `jammy` → `22.04`; None for what is not known."""
    known = _CODENAMES.get(ecosystem, {}).get(codename)
    return known[0] if known else None


def end_of_life(ecosystem: str, release: str) -> date | None:
    """The day on which updates ended or will end, if it is known."""
    end = _ENDS.get(ecosystem, {}).get(release)
    return date.fromisoformat(end) if end else None


def is_end_of_life(ecosystem: str, release: str, today: date) -> bool:
    """Whether the release gets no more updates. One whose end is not known gets some."""
    end = end_of_life(ecosystem, release)
    return end is not None and end < today
