"""Packages of Red Hat and its kin (rpm, Package File Format; rpm's three databases)."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadstead.scanner.packages import rpm
from tests.kit import rpmdb
from tests.kit.layers import found

HEADERS = [
    rpmdb.header("bash", "5.1.8", "6.el9", source="bash-5.1.8-6.el9.src.rpm"),
    rpmdb.header("bind-libs", "9.16.23", "14.el9", epoch=32, source="bind-9.16.23-14.el9.src.rpm"),
    rpmdb.header("gpg-pubkey", "fd431d51", "4ae0493b", arch=""),
    rpmdb.header("x" * 2000, "1", "1"),
]

FORMS: dict[str, tuple[str, Callable[[list[bytes]], bytes]]] = {
    "sqlite": ("var/lib/rpm/rpmdb.sqlite", rpmdb.sqlite),
    "sqlite with a log": ("var/lib/rpm/rpmdb.sqlite", lambda headers: rpmdb.sqlite(headers, wal=True)),
    "ndb": ("usr/lib/sysimage/rpm/Packages.db", rpmdb.ndb),
    "berkeley": ("var/lib/rpm/Packages", rpmdb.berkeley),
    "berkeley of another byte order": ("var/lib/rpm/Packages", lambda headers: rpmdb.berkeley(headers, ">")),
}


@pytest.mark.parametrize(("path", "write"), FORMS.values(), ids=FORMS)
def test_packages_of_each_database_are_read(path: str, write: Callable[[list[bytes]], bytes]) -> None:
    """The epoch is part of the version, also of the source's; keys, which rpm keeps among the packages, are none."""
    packages = rpm.parse(path, write(HEADERS))

    rows = [(each.name, each.version, each.source_name, each.source_version, each.architecture) for each in packages]
    assert ("bash", "5.1.8-6.el9", "bash", "5.1.8-6.el9", "x86_64") == rows[0]
    assert ("bind-libs", "32:9.16.23-14.el9", "bind", "32:9.16.23-14.el9", "x86_64") == rows[1]
    assert ("x" * 2000, "1-1", "x" * 2000, "1-1", "x86_64") == rows[2]
    assert 3 == len(rows)
    assert [path] * 3 == [each.path for each in packages]


def test_a_database_may_lie_at_each_of_its_places() -> None:
    one = rpmdb.sqlite([rpmdb.header("a")])

    for folder in ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"):
        assert {"a=1.0-1.el9": "0"} == found({f"{folder}/rpmdb.sqlite": one}), folder
    assert {} == found({"opt/root/var/lib/rpm/rpmdb.sqlite": one})


@pytest.mark.parametrize("path", ["a/rpm/rpmdb.sqlite", "a/rpm/Packages.db", "a/rpm/Packages"])
def test_what_is_no_database_has_no_packages(path: str) -> None:
    for content in (b"", b"x", bytes(5000), b"SQLite format 3\0" + bytes(5000), b"RpmP" + b"\xff" * 5000, b"\xff" * 5000):
        assert [] == rpm.parse(path, content)


def test_a_database_with_another_table_has_no_packages() -> None:
    content = rpmdb.sqlite(HEADERS).replace(b"Packages", b"Backages")

    assert [] == rpm.parse("a/rpm/rpmdb.sqlite", content)


def test_a_schema_that_is_no_text_has_no_packages() -> None:
    """SQLite repeats it in its error, byte for byte."""
    written = rpmdb.sqlite(HEADERS)
    content = written.replace(b"CREATE TABLE", b"CREATE TABL\x80")

    assert content != written
    assert [] == rpm.parse("a/rpm/rpmdb.sqlite", content)


def test_a_query_that_never_ends_is_stopped() -> None:
    """The table may be a view, written by whoever made the image."""
    import sqlite3

    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE VIEW Packages AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i > 0) SELECT i AS blob FROM n"
    )
    connection.commit()
    started = time.process_time()

    assert [] == rpm.parse("a/rpm/rpmdb.sqlite", connection.serialize())
    assert time.process_time() - started < 5


def test_chains_of_pages_that_meet_are_read_once() -> None:
    """Pages that name each other in a circle, and many headers that share one chain."""
    content = bytearray(rpmdb.berkeley([rpmdb.header("x" * 3000), rpmdb.header("y" * 3000)]))
    for page in range(len(content) // rpmdb.PAGE):
        if content[page * rpmdb.PAGE + 25] == 7:
            content[page * rpmdb.PAGE + 16 : page * rpmdb.PAGE + 20] = page.to_bytes(4, "little")
    shared = bytearray(rpmdb.ndb([rpmdb.header("a")] * 3))
    for slot in (1, 2):
        shared[32 + slot * 16 + 8 : 32 + slot * 16 + 12] = shared[40:44]

    rpm.parse("a/rpm/Packages", bytes(content))
    assert 1 == len(rpm.parse("a/rpm/Packages.db", bytes(shared)))


@pytest.mark.parametrize(("path", "write"), FORMS.values(), ids=FORMS)
def test_no_damage_makes_it_fail(path: str, write: Callable[[list[bytes]], bytes]) -> None:
    content = write(HEADERS)

    @given(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, len(content)))
    @settings(max_examples=100, deadline=None)
    def damaged(changes: list[tuple[int, int]], end: int) -> None:
        bad = bytearray(content)
        for at, byte in changes:
            bad[at] = byte
        rpm.parse(path, bytes(bad))
        rpm.parse(path, bytes(bad[:end]))

    damaged()


@given(st.binary(max_size=400))
@settings(max_examples=200)
def test_no_header_makes_it_fail(header: bytes) -> None:
    rpm.parse("a/rpm/Packages.db", rpmdb.ndb([header, HEADERS[0][:8] + header]))
