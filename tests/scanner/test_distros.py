"""Which distribution an image is of (os-release(5), base-files, alpine-release)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.scanner.distros import detect
from roadstead.scanner.inventory import Distro
from tests.kit.answers import ANSWERS, cases

ADVISED = {"debian", "ubuntu", "alpine"}


def told(files: dict[str, str]) -> str | None:
    distro = detect(files.get)
    return distro and f"{distro.id} {distro.release}"


def known() -> list[Any]:
    file = ANSWERS / "osrelease" / "cases.json"
    return json.loads(file.read_text()) if file.exists() else []


@pytest.mark.parametrize("case", cases(known(), lambda case: case["case"]))
def test_systems_are_told_as_other_scanners_tell_them(case: dict[str, Any]) -> None:
    """null: none that has advisories for us, and no failure. Distributions without advisories are still told by their name."""
    distro = detect(case["files"].get)

    expected = case["expected"] and (case["expected"]["distro"], case["expected"]["release"])
    assert expected == ((distro.id, distro.release) if distro and distro.id in ADVISED else None)


FILES = {
    "os-release first": ({"etc/os-release": "ID=debian\nVERSION_ID=12\n", "etc/debian_version": "11.1\n"}, "debian 12"),
    "usr/lib/os-release next": ({"usr/lib/os-release": "ID=alpine\nVERSION_ID=3.18.4\n"}, "alpine 3.18"),
    "lsb-release": ({"etc/lsb-release": 'DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE="22.04"\n'}, "ubuntu 22.04"),
    "alpine-release": ({"etc/alpine-release": "3.7.1\n"}, "alpine 3.7"),
    "debian_version": ({"etc/debian_version": "8.11\n"}, "debian 8"),
    "quotes": ({"etc/os-release": "ID='ubuntu'\nVERSION_ID=\"24.04\"\n"}, "ubuntu 24.04"),
    "a broken quote": ({"etc/os-release": "ID=\"alpine\nVERSION_ID='3.9.1\n"}, "alpine 3.9"),
    "comments and windows' lines": ({"etc/os-release": "# ID=debian\r\n\r\nID=alpine\r\nVERSION_ID=3.9.1\r\n"}, "alpine 3.9"),
    "a point release of Debian": ({"etc/os-release": "ID=debian\nVERSION_ID=12.5\n"}, "debian 12"),
    "Debian testing": ({"etc/os-release": "ID=debian\nVERSION_CODENAME=trixie\n", "etc/debian_version": "trixie/sid\n"}, "debian sid"),
    "Debian testing without its file": ({"etc/os-release": 'ID=debian\nPRETTY_NAME="Debian GNU/Linux forky/sid"\n'}, "debian sid"),
    "Debian's number in its file": ({"etc/os-release": "ID=debian\n", "etc/debian_version": "9.13\n"}, "debian 9"),
    "distroless with a name only": ({"etc/os-release": "PRETTY_NAME=Distroless\nID=debian\nVERSION_CODENAME=bookworm\n"}, "debian 12"),
    "Alpine edge": ({"etc/os-release": 'ID=alpine\nVERSION_ID=3.22.0_alpha20250108\nPRETTY_NAME="Alpine Linux edge"\n'}, "alpine edge"),
    "Alpine edge by its file": ({"etc/alpine-release": "3.22.0_alpha20250108\n"}, "alpine edge"),
    "a release candidate": ({"etc/os-release": "ID=alpine\nVERSION_ID=3.18.0_rc1\n"}, "alpine 3.18"),
    "others": ({"etc/os-release": 'ID="rhel"\nVERSION_ID="9.3"\n'}, "rhel 9.3"),
    "others that have no version": ({"etc/os-release": "ID=arch\n"}, "arch "),
    "a name that is none": ({"etc/os-release": "ID=../../etc\nVERSION_ID=12\n"}, None),
    "no version": ({"etc/os-release": "ID=ubuntu\n"}, None),
    "nothing": ({}, None),
}


@pytest.mark.parametrize(("files", "expected"), FILES.values(), ids=FILES)
def test_files_are_read_in_order(files: dict[str, str], expected: str | None) -> None:
    assert expected == told(files)


def test_a_release_has_a_cpe() -> None:
    assert "cpe:/o:debian:debian_linux:12" == Distro("debian", "12").cpe
    assert "cpe:/o:canonical:ubuntu_linux:22.04" == Distro("ubuntu", "22.04").cpe
    assert "cpe:/o:alpine:alpine_linux:3.18" == Distro("alpine", "3.18").cpe
    assert "cpe:/o:redhat:enterprise_linux:9.3" == Distro("rhel", "9.3").cpe
    assert "cpe:/o:arch:arch" == Distro("arch", "").cpe


PATHS = st.sampled_from(["etc/os-release", "usr/lib/os-release", "etc/lsb-release", "etc/alpine-release", "etc/debian_version"])
LINES = st.tuples(st.sampled_from(["ID", "VERSION_ID", "DISTRIB_ID", "PRETTY_NAME"]), st.text(max_size=12)).map("=".join)


@given(st.dictionaries(PATHS, st.one_of(st.text(max_size=40), st.lists(LINES, max_size=4).map("\n".join))))
def test_no_text_makes_it_fail(files: dict[str, str]) -> None:
    distro = detect(files.get)

    assert distro is None or distro.id
