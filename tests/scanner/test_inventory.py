"""Packages and how they are named; what is stored."""

from __future__ import annotations

import pytest

from roadstead.scanner.inventory import Distro, Inventory, LayerIndex, Package
from roadstead.scanner.merge import merge
from tests.kit.layers import OS_RELEASE, Link, index, status, wheel

DEBIAN = Distro("debian", "12", "Debian GNU/Linux 12 (bookworm)")


def package(kind: str, name: str, version: str, architecture: str = "") -> Package:
    return Package(kind, name, version, name, version, architecture, "path")  # type: ignore[arg-type]


PURLS = {
    "pkg:deb/debian/openssl@3.0.11-1~deb12u2?arch=amd64&distro=debian-12": package("dpkg", "openssl", "3.0.11-1~deb12u2", "amd64"),
    "pkg:deb/debian/git@1:2.39.2-1.1?arch=amd64&distro=debian-12": package("dpkg", "git", "1:2.39.2-1.1", "amd64"),
    "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-12": package("dpkg", "libstdc++6", "12.2.0-14", "amd64"),
    "pkg:npm/%40angular/core@16.0.0": package("npm", "@angular/core", "16.0.0"),
    "pkg:npm/left-pad@1.3.0": package("npm", "left-pad", "1.3.0"),
    "pkg:golang/github.com/gorilla/mux@v1.8.0": package("golang", "github.com/gorilla/mux", "v1.8.0"),
    "pkg:golang/stdlib@1.22.3": package("golang", "stdlib", "1.22.3"),
    "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1": package("maven", "org.apache.logging.log4j:log4j-core", "2.14.1"),
    "pkg:maven/guava@31": package("maven", "guava", "31"),
    "pkg:pypi/flask-cors@3.0.0": package("pypi", "Flask_Cors", "3.0.0"),
    "pkg:gem/rails@7.0.4": package("gem", "rails", "7.0.4"),
}


@pytest.mark.parametrize("purl", PURLS)
def test_a_package_has_a_url(purl: str) -> None:
    """The package URL specification: types, namespaces, encoding."""
    assert purl == PURLS[purl].purl_in(DEBIAN)


def test_a_package_of_another_distribution_has_its_namespace() -> None:
    musl = package("apk", "musl", "1.2.4-r2", "x86_64")

    assert "pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.18" == musl.purl_in(Distro("alpine", "3.18"))
    assert "pkg:apk/musl@1.2.4-r2?arch=x86_64" == musl.purl


def test_an_os_package_is_the_same_wherever_it_is_recorded() -> None:
    one, other = package("dpkg", "a", "1", "amd64"), Package("dpkg", "a", "1", "b", "2", "amd64", "elsewhere")

    assert one.identity == other.identity
    assert one.identity != package("dpkg", "a", "1", "i386").identity
    assert package("npm", "a", "1").identity != Package("npm", "a", "1", "a", "1", "", "elsewhere").identity


def test_what_is_stored_is_what_is_read() -> None:
    tree = {"var/lib/dpkg/status": status("a=1"), "etc/os-release": Link("../usr/lib/os-release"), "usr/lib/os-release": OS_RELEASE}
    made = index(tree | {".wh.old": "", "new/.wh..wh..opq": "", "x.dist-info/METADATA": wheel("x")})
    inventory = merge([("sha256:" + "0" * 64, made)])

    assert made == LayerIndex.decode(made.encode())
    assert inventory == Inventory.decode(inventory.encode())
    assert DEBIAN == inventory.distro
    assert ["a", "x"] == [package.name for package, _ in inventory.packages]


def test_an_image_without_layers_has_nothing() -> None:
    assert Inventory(None, ()) == merge([])
