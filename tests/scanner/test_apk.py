"""Alpine's packages (apk-tools, the installed database)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadstead.scanner.packages import apk
from tests.kit.answers import ANSWERS, cases

DATABASE = "lib/apk/db/installed"
MUSL = "C:Q1abc=\nP:musl\nV:1.2.4-r2\nA:x86_64\nS:383459\nT:the musl c library\no:musl\nF:lib\nR:libc.musl-x86_64.so.1\n"
BUSYBOX = "P:busybox-binsh\nV:1.36.1-r4\nA:x86_64\no:busybox\n"


def rows(text: str) -> list[tuple[str, ...]]:
    found = apk.parse(DATABASE, text.encode())
    return [(each.name, each.version, each.source_name, each.source_version, each.architecture) for each in found]


@pytest.mark.parametrize("answer", cases(sorted((ANSWERS / "dbfiles" / "apk").glob("*/expected.json")), lambda path: path.parent.name))
def test_packages_are_those_of_the_records(answer: Path) -> None:
    expected = json.loads(answer.read_text())["expected_installed"]
    packages = apk.parse(DATABASE, (answer.parent / "fs" / DATABASE).read_bytes())

    wanted = sorted((each["name"], each["version"], each["source_name"], each["arch"]) for each in expected)
    assert wanted == sorted((each.name, each.version, each.source_name, each.architecture) for each in packages)


def test_the_origin_is_the_source_package() -> None:
    assert [("busybox-binsh", "1.36.1-r4", "busybox", "1.36.1-r4", "x86_64")] == rows(BUSYBOX)
    assert [("a", "1", "a", "1", "")] == rows("P:a\nV:1\n")


def test_the_last_record_may_lack_its_blank_line() -> None:
    assert ["musl", "busybox-binsh"] == [name for name, *_ in rows(MUSL + "\n" + BUSYBOX.rstrip("\n"))]


def test_virtual_packages_are_not_installed() -> None:
    """`apk add --virtual .build-deps` records what it needs under a name of its own."""
    assert ["musl"] == [name for name, *_ in rows("P:.build-deps\nV:20240101.000000\nA:noarch\n\n" + MUSL)]


@pytest.mark.parametrize("broken", ["P:b\n\n", "V:1\n\n", "\n\n\n", "\0\0\n\n", "P:\nV:\n\n"])
def test_a_broken_record_is_left_out(broken: str) -> None:
    assert ["musl", "busybox-binsh"] == [name for name, *_ in rows(MUSL + "\n" + broken + BUSYBOX)]


def test_which_files_are_read() -> None:
    assert apk.required(DATABASE)
    assert apk.required("usr/lib/apk/db/installed")
    assert not apk.required("lib/apk/db/scripts.tar")
    assert not apk.required("installed")


@given(st.binary(max_size=300), st.integers(0, 300))
@settings(max_examples=200)
def test_no_bytes_make_it_fail(noise: bytes, at: int) -> None:
    content = (MUSL + "\n" + BUSYBOX).encode()

    apk.parse(DATABASE, content[:at] + noise + content[at:])
