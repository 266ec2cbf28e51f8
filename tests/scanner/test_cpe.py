"""Which distribution a CPE names (NISTIR 7695): the releases are those that advisories are of."""

from __future__ import annotations

import pytest

from roadstead.scanner.cpe import distro_of
from roadstead.scanner.inventory import Distro


@pytest.mark.parametrize(
    ("cpe", "distro"),
    [
        ("cpe:/o:debian:debian_linux:12", Distro("debian", "12")),
        ("cpe:/o:debian:debian_linux:12.5", Distro("debian", "12")),
        ("cpe:/o:debian:debian_linux:sid", Distro("debian", "sid")),
        ("cpe:/o:canonical:ubuntu_linux:22.04", Distro("ubuntu", "22.04")),
        ("cpe:/o:canonical:ubuntu_linux:22.04.3", Distro("ubuntu", "22.04")),
        ("cpe:/o:alpine:alpine_linux:3.18", Distro("alpine", "3.18")),
        ("cpe:/o:alpine:alpine_linux:3.18.4", Distro("alpine", "3.18")),
        ("cpe:/o:alpine:alpine_linux:edge", Distro("alpine", "edge")),
        ("cpe:2.3:o:debian:debian_linux:12:*:*:*:*:*:*:*", Distro("debian", "12")),
    ],
)
def test_a_release_that_advisories_are_of(cpe: str, distro: Distro) -> None:
    assert distro == distro_of(cpe)


@pytest.mark.parametrize("distro", [Distro("debian", "12"), Distro("ubuntu", "22.04"), Distro("alpine", "3.18")], ids=lambda each: each.id)
def test_what_inventories_write_is_read(distro: Distro) -> None:
    assert distro == distro_of(distro.cpe)


@pytest.mark.parametrize(
    "cpe",
    [
        "",
        "debian:12",
        "cpe:/a:debian:debian_linux:12",
        "cpe:/o:debian:debian_linux",
        "cpe:/o:debian:debian_linux:",
        "cpe:/o:debian:debian_linux:*",
        "cpe:/o:debian:debian_linux:bookworm",
        "cpe:/o:debian:debian_linux:12345",
        "cpe:/o:debian:other:12",
        "cpe:/o:canonical:ubuntu_linux:22",
        "cpe:/o:canonical:ubuntu_linux:٢٢.٠٤",
        "cpe:/o:alpine:alpine_linux:3",
        "cpe:/o:redhat:enterprise_linux:9",
        "cpe:/o:" + ":" * 1000,
    ],
    ids=lambda cpe: cpe[:40] or "empty",
)
def test_what_names_none(cpe: str) -> None:
    assert None is distro_of(cpe)
