"""Debian's packages (dpkg-query(1), deb-control(5), deb-src-control(5))."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadstead.scanner.inventory import Package
from roadstead.scanner.packages import dpkg
from tests.kit.answers import ANSWERS, cases
from tests.kit.layers import stanza

STATUS = "var/lib/dpkg/status"


def parse(text: str, path: str = STATUS) -> list[Package]:
    return dpkg.parse(path, text.encode())


def rows(packages: list[Package]) -> list[tuple[str, ...]]:
    return sorted((each.name, each.version, each.source_name, each.source_version, each.architecture) for each in packages)


def known(folder: str) -> list[Path]:
    return sorted((ANSWERS / "dbfiles" / folder).glob("*/expected.json"))


@pytest.mark.parametrize("answer", cases(known("dpkg"), lambda path: path.parent.name))
def test_packages_are_those_that_dpkg_query_lists(answer: Path) -> None:
    """Where dpkg-query itself refuses the file, the well-formed stanzas."""
    expected = json.loads(answer.read_text())["expected_installed"]
    packages = dpkg.parse(STATUS, (answer.parent / "fs" / STATUS).read_bytes())

    wanted = sorted((each["name"], each["version"], each["source_name"], each["source_version"], each["arch"]) for each in expected)
    assert wanted == rows(packages)


@pytest.mark.parametrize("answer", cases(known("dpkg-status.d"), lambda path: path.parent.name))
def test_distroless_packages_are_read(answer: Path) -> None:
    expected = json.loads(answer.read_text())["expected_installed"]
    root = answer.parent / "fs"
    files = [path for path in root.rglob("*") if path.is_file() and dpkg.required(str(path.relative_to(root)))]
    packages = [package for path in files for package in dpkg.parse(str(path.relative_to(root)), path.read_bytes())]

    wanted = sorted((each["name"], each["version"], each["source_name"], each["source_version"], each["arch"]) for each in expected)
    assert wanted == rows(packages)


def test_which_files_are_read() -> None:
    assert dpkg.required(STATUS)
    assert dpkg.required("var/lib/dpkg/status.d/base")
    assert not dpkg.required("var/lib/dpkg/status-old")
    assert not dpkg.required("var/lib/dpkg/status.d/base.md5sums")
    assert not dpkg.required("opt/vcpkg/status")


@pytest.mark.parametrize("state", ["install ok installed", "hold ok installed", "deinstall reinstreq installed", "purge ok installed"])
def test_installed_is_the_third_word(state: str) -> None:
    assert ["a"] == [package.name for package in parse(stanza("a", Status=state))]


@pytest.mark.parametrize(
    "state", ["deinstall ok config-files", "install ok unpacked", "install ok half-installed", "install ok not-installed", "installed", ""]
)
def test_other_states_are_not_installed(state: str) -> None:
    assert [] == parse(stanza("a", Status=state))


def test_the_source_package_may_have_a_name_and_version_of_its_own() -> None:
    """deb-control(5), Source: the version is there only if it differs, as after a rebuild without changes (+b1)."""
    text = stanza("libc6", "2.36-9", Source="glibc") + stanza("perl", "5.36-7+b1", Source="perl (5.36-7)") + stanza("bash", "5.2")

    assert [
        ("bash", "5.2", "bash", "5.2", "amd64"),
        ("libc6", "2.36-9", "glibc", "2.36-9", "amd64"),
        ("perl", "5.36-7+b1", "perl", "5.36-7", "amd64"),
    ] == rows(parse(text))


def test_epochs_are_kept() -> None:
    assert [("git", "1:2.39.2-1.1", "git", "1:2.39.2-1.1", "amd64")] == rows(parse(stanza("git", "1:2.39.2-1.1")))


BROKEN = {
    "no version": "Package: b\nStatus: install ok installed\n\n",
    "no name": "Status: install ok installed\nVersion: 1\n\n",
    "a line that is no field": "Package: b\nStatus: install ok installed\nnonsense\nVersion: 1\n\n",
    "no status": "Package: b\nVersion: 1\n\n",
    "an empty name": "Package:\nStatus: install ok installed\nVersion: 1\n\n",
    "binary": "\0\1\2\3\n\n",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_stanza_is_left_out_and_the_others_are_not(broken: str) -> None:
    assert ["a", "c"] == [package.name for package in parse(stanza("a") + broken + stanza("c").rstrip())]


def test_descriptions_are_not_fields() -> None:
    assert ["a"] == [package.name for package in parse(stanza("a", Description="short\n Package: b\n Version: 2\n\tVersion: 3"))]


def test_windows_lines_and_more_blank_lines_are_read() -> None:
    text = "\n\n" + stanza("a") + "\n\n\n" + stanza("b")

    assert ["a", "b"] == [package.name for package in parse(text.replace("\n", "\r\n"))]


def test_a_file_of_status_d_has_no_status() -> None:
    text = "Package: base-files\nVersion: 12.4\nArchitecture: amd64\nSource: base (12)\n"

    assert [("base-files", "12.4", "base", "12", "amd64")] == rows(parse(text, "var/lib/dpkg/status.d/base-files"))
    assert [] == parse(text)


@given(st.binary(max_size=500), st.integers(0, 600))
@settings(max_examples=200)
def test_no_bytes_make_it_fail(noise: bytes, at: int) -> None:
    content = (stanza("a") + stanza("b")).encode()

    dpkg.parse(STATUS, content[:at] + noise + content[at:])


HARD = {
    "brackets": "Source: " + "(" * 500_000,
    "one word": "Package" * 100_000,
    "blank lines": "\n" * 500_000,
    "spaces": "Package: " + " " * 500_000 + "x",
    "fields": "a:\n" * 200_000,
}


@pytest.mark.parametrize("hard", HARD.values(), ids=HARD)
def test_time_grows_with_size_only(hard: str) -> None:
    """Texts that make a careless expression try everything."""
    started = time.process_time()

    parse(hard)

    assert time.process_time() - started < 2
