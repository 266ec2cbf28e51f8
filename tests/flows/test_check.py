"""`roadstead check` finds what a disk or an operator has damaged, says so, and mends what can be mended."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.kit.ledger import Ledger
from tests.kit.load import Client, Pushed, Wire, digest_of, image_manifest
from tests.kit.server import Server, serving

LARGE = Random("large").randbytes(100_000)
SMALL = Random("small").randbytes(1000)


class Stored:
    """A server that is stopped and has one image of a small and a large blob."""

    def __init__(self, server: Server, repository: str, image: Pushed) -> None:
        self.server = server
        self.repository = repository
        self.image = image

    @property
    def large_file(self) -> Path:
        encoded = digest_of(LARGE).removeprefix("sha256:")
        (file,) = self.server.data.glob(f"blobs/*/sha256/{encoded[:2]}/{encoded}*")
        return file

    def check(self, *options: str) -> tuple[int, list[dict[str, Any]]]:
        """Exit code and findings."""
        done = self.server.run("check", "--format", "json", *options)
        return done.returncode, json.loads(done.stdout)["findings"]

    def read(self, digest: str) -> tuple[int, bytes]:
        wire = Wire(self.server.url)
        answer = wire.request("GET", f"/v2/{self.repository}/blobs/{digest}")
        wire.close()
        return answer.status, answer.body

    def push_again(self) -> None:
        push(self.server, self.repository)


def push(server: Server, repository: str) -> Pushed:
    client = Client(Wire(server.url), Ledger(), Random(1))
    for blob in (SMALL, LARGE):
        client.blob(repository, blob)
    pushed = client.manifest(repository, image_manifest(SMALL, [LARGE]), "v1")
    client.wire.close()
    return pushed


@pytest.fixture
def stored(tmp_path: Path, repository: str) -> Iterator[Stored]:
    with serving(tmp_path / "data") as server:
        image = push(server, repository)
        server.stop()
        yield Stored(server, repository, image)


def flip_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def change_small_blob(data: Path) -> None:
    connection = sqlite3.connect(data / "registry.sqlite")
    with connection:
        connection.execute("UPDATE blobs SET content = ? WHERE digest = ?", (b"wrong" + SMALL[5:], digest_of(SMALL)))
    connection.close()


def change_manifest(data: Path) -> None:
    connection = sqlite3.connect(data / "registry.sqlite")
    with connection:
        connection.execute("UPDATE manifests SET payload = ?", (b"{}",))
    connection.close()


def cut_short(file: Path) -> None:
    os.truncate(file, 10)


def kinds(findings: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(finding["kind"], finding["what"]) for finding in findings]


def test_a_whole_folder_has_no_findings(stored: Stored) -> None:
    assert (0, []) == stored.check()


DAMAGES: dict[str, tuple[Callable[[Stored], None], str, str]] = {
    "a flipped byte in a file": (lambda stored: flip_a_byte(stored.large_file), "corrupt", digest_of(LARGE)),
    "a file cut short": (lambda stored: cut_short(stored.large_file), "corrupt", digest_of(LARGE)),
    "a lost file": (lambda stored: stored.large_file.unlink(), "missing", digest_of(LARGE)),
    "wrong bytes in the database": (lambda stored: change_small_blob(stored.server.data), "corrupt", digest_of(SMALL)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_named(stored: Stored, damage: str) -> None:
    """With the digest and a repository that it hurts, in both formats, and with exit code 1."""
    harm, kind, digest = DAMAGES[damage]
    harm(stored)

    code, findings = stored.check()
    table = stored.server.run("check")

    assert (1, [(kind, "blob")]) == (code, kinds(findings))
    assert digest == findings[0]["name"]
    assert stored.repository in findings[0]["used_by"]
    assert 1 == table.returncode
    assert kind in table.stdout
    assert "1 findings" in table.stdout


@pytest.mark.parametrize("damage", DAMAGES)
def test_after_a_repair_damaged_bytes_are_not_served_and_a_push_heals_them(stored: Stored, damage: str) -> None:
    """Answered as unknown, so that clients upload them again; the manifest and its tag stay, and are whole again after that."""
    harm, _, digest = DAMAGES[damage]
    harm(stored)

    stored.check("--repair")
    stored.server.start()
    broken = stored.read(digest)
    stored.push_again()
    healed = [stored.read(digest_of(blob)) for blob in (SMALL, LARGE)]
    stored.server.stop()

    assert 404 == broken[0]
    assert [(200, SMALL), (200, LARGE)] == healed
    assert (0, []) == stored.check()


def test_damaged_files_are_put_aside_not_thrown_away(stored: Stored) -> None:
    flip_a_byte(stored.large_file)
    damaged = stored.large_file.read_bytes()

    stored.check("--repair")

    assert [damaged] == [file.read_bytes() for file in stored.server.data.glob("blobs/*/quarantine/*")]


def test_a_file_that_no_blob_needs_is_an_orphan_and_a_repair_removes_it(stored: Stored) -> None:
    orphan = stored.large_file.with_name(f"{stored.large_file.name[:2]}{'0' * 62}.00000000")
    orphan.write_bytes(b"left by a crash")

    found = stored.check()
    mended = stored.check("--repair")

    assert (1, [("orphaned", "file")]) == (found[0], kinds(found[1]))
    assert orphan.name in found[1][0]["name"]
    assert (0, [("orphaned", "file")]) == (mended[0], kinds(mended[1]))
    assert not orphan.exists()
    assert (0, []) == stored.check()


def test_a_damaged_manifest_is_found(stored: Stored) -> None:
    change_manifest(stored.server.data)

    code, findings = stored.check()

    assert (1, [("corrupt", "manifest")]) == (code, kinds(findings))
    assert stored.image.digest == findings[0]["name"]


def test_a_damaged_manifest_is_healed_by_the_next_push_of_it(stored: Stored) -> None:
    change_manifest(stored.server.data)

    stored.check("--repair")
    stored.server.start()
    stored.push_again()
    stored.server.stop()

    assert (0, []) == stored.check()


def test_a_damaged_database_file_is_found(stored: Stored) -> None:
    """SQLite's own check belongs to it: a page that no row of blobs or manifests is on may be broken too."""
    with (stored.server.data / "registry.sqlite").open("r+b") as database:
        size_bytes = database.seek(0, os.SEEK_END)
        for page in range(4096, size_bytes, 4096):
            database.seek(page + 8)
            database.write(b"\xff" * 16)

    done = stored.server.run("check")

    assert 1 == done.returncode
    assert "Traceback" not in done.stderr
    assert "corrupt" in done.stdout


def test_check_beside_a_running_server_finds_nothing_wrong(stored: Stored) -> None:
    """Safe at any time: a file that is a moment ahead of its row is no finding."""
    stored.server.start()
    stored.push_again()

    assert (0, []) == stored.check()


def test_a_file_with_an_odd_name_among_the_blobs_does_not_stop_the_check(stored: Stored) -> None:
    """Operators and backup programs leave things behind."""
    stored.large_file.with_name("lost+found").mkdir()
    (stored.large_file.parent / ".backup").write_text("x")

    code, findings = stored.check()

    assert 1 == code
    assert {("orphaned", "file")} == set(kinds(findings))
