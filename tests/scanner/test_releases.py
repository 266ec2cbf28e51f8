"""Releases: codenames and numbers, and until when they get updates."""

from __future__ import annotations

from datetime import date

import pytest

from roadstead.scanner.inventory import Distro
from roadstead.scanner.releases import ecosystem_of, end_of_life, is_end_of_life, release_of_codename
from tests.kit.data import FOLDER, load, needs_data


@pytest.mark.parametrize(
    ("ecosystem", "codename", "release"),
    [
        ("debian", "bookworm", "12"),
        ("debian", "sid", "sid"),
        ("ubuntu", "jammy", "22.04"),
        ("ubuntu", "bookworm", None),
        ("debian", "zurg", None),
        ("alpine", "edge", None),
        ("wolfi", "x", None),
    ],
)
def test_a_codename_is_a_release_of_its_distribution(ecosystem: str, codename: str, release: str | None) -> None:
    assert release == release_of_codename(ecosystem, codename)


@pytest.mark.parametrize(
    ("ecosystem", "release", "day", "over"),
    [
        ("debian", "10", "2024-06-30", False),
        ("debian", "10", "2024-07-01", True),
        ("ubuntu", "18.04", "2023-06-01", True),
        ("alpine", "3.18", "2026-01-01", True),
        ("alpine", "3.23", "2026-01-01", False),
        ("alpine", "edge", "2099-01-01", False),
        ("debian", "sid", "2099-01-01", False),
        ("debian", "99", "2099-01-01", False),
        ("rhel", "7", "2099-01-01", False),
    ],
)
def test_a_release_has_an_end_if_it_is_known(ecosystem: str, release: str, day: str, over: bool) -> None:
    assert over == is_end_of_life(ecosystem, release, date.fromisoformat(day))


def test_an_end_is_a_day() -> None:
    assert date(2028, 6, 30) == end_of_life("debian", "12")
    assert end_of_life("debian", "14") is None


@pytest.mark.parametrize(
    ("distro", "ecosystem"),
    [(Distro("debian", "12"), "debian"), (Distro("alpine", "edge"), "alpine"), (Distro("debian", ""), None), (Distro("wolfi", "1"), None)],
)
def test_a_distribution_is_an_ecosystem_if_it_tells_its_release(distro: Distro, ecosystem: str | None) -> None:
    assert ecosystem == ecosystem_of(distro)


@needs_data()
def test_codenames_are_those_of_debian_s_own_list() -> None:
    listed = load(FOLDER / "advisories/debian-lists-2023-04/distributions.json")
    numbered = {name: entry["major-version"] for name, entry in listed.items() if entry.get("major-version")}

    assert len(numbered) > 5
    assert numbered == {name: release_of_codename("debian", name) for name in numbered}
