"""A real Debian, scanned: what dpkg itself says is installed in it, package by package."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from roadstead.scanner.inventory import Inventory
from roadstead.scanner.layers import scan_layer
from roadstead.scanner.local import scan_path
from roadstead.scanner.merge import merge
from roadstead.scanner.packages import golang
from tests.kit.debian import DebianImage, debian_image

pytestmark = pytest.mark.slow

CACHE = Path(__file__).parents[2] / ".cache"


@pytest.fixture(scope="module")
def image() -> DebianImage:
    return debian_image(CACHE)


def rows(inventory: Inventory) -> set[tuple[str, ...]]:
    found = (package for package, _ in inventory.packages if package.kind == "dpkg")
    return {(each.name, each.version, each.source_name, each.source_version, each.architecture) for each in found}


def test_every_package_is_dpkg_s(image: DebianImage) -> None:
    """Names, versions, sources and architectures, of the whole image and of its first layer."""
    inventory = scan_path(image.saved)

    assert image.installed[1] == rows(inventory)
    assert image.installed[0] == rows(merge([("", scan_layer(image.layers[0]))]))
    assert inventory.distro
    assert ("debian", "12") == (inventory.distro.id, inventory.distro.release)


def test_each_package_is_of_the_layer_that_installed_it(image: DebianImage) -> None:
    inventory = merge([(str(number), scan_layer(layer)) for number, layer in enumerate(image.layers)])

    before = {name for name, *_ in image.installed[0]}
    assert before == {package.name for package, layer in inventory.packages if layer == "0" and package.kind == "dpkg"}
    assert {"apache2", "mariadb-client"} <= {package.name for package, layer in inventory.packages if layer == "1"}


def test_the_way_it_is_packed_makes_no_difference(image: DebianImage, tmp_path: Path) -> None:
    packed = tmp_path / "layer"
    with packed.open("wb") as file, gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1) as compressed:
        compressed.write(image.layers[1].read_bytes())

    assert scan_layer(image.layers[1]) == scan_layer(packed)


def test_modules_of_programs_are_those_that_go_names() -> None:
    """`go version -m` of the programs that the tests use."""
    go = shutil.which("go", path=f"{os.environ['PATH']}:/usr/local/go/bin")
    if go is None or not (CACHE / "bin").is_dir():
        pytest.skip("go is not installed: run tests/install-tools")
    for program in sorted((CACHE / "bin").iterdir()):
        told = subprocess.run([go, "version", "-m", program], capture_output=True, text=True, check=False).stdout.splitlines()
        modules: dict[str, str] = {}
        last = ""
        for kind, name, *version in (line.split() for line in told[1:]):
            if kind in ("mod", "dep", "=>"):
                if kind == "=>":
                    modules.pop(last)
                modules[name], last = version[0], name
        expected = {(name, version) for name, version in modules.items() if version != "(devel)"}
        found = golang.parse(program.name, [program.read_bytes()])

        assert expected == {(each.name, each.version) for each in found if each.name != "stdlib"}, program.name
