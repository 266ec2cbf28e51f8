"""`roadstead check` finds what a disk or an operator has damaged, says so, and mends what can be mended."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from roadstead import config, wiring
from roadstead.blobs.store import BlobStore
from roadstead.oci.digest import Digest
from roadstead.registry.check import Checker, Finding
from tests.kit.engines import only_with
from tests.kit.inside import Inside
from tests.kit.ledger import Ledger
from tests.kit.load import Client, Pushed, Wire, digest_of, image_manifest
from tests.kit.server import Server, serving

LARGE = Random("large").randbytes(100_000)
SMALL = Random("small").randbytes(1000)


class Stored:
    """A server that is stopped and has one image of a small and a large blob."""

    def __init__(self, server: Server, repository: str, image: Pushed) -> None:
        self.server = server
        self.inside = Inside(server)
        self.repository = repository
        self.image = image

    @property
    def large_file(self) -> Path:
        return self.inside.file_of(digest_of(LARGE))

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


def change_small_blob(inside: Inside) -> None:
    inside.rows("UPDATE blobs SET content = ? WHERE digest = ?", b"wrong" + SMALL[5:], digest_of(SMALL))


def change_manifest(inside: Inside) -> None:
    inside.rows("UPDATE manifests SET payload = ?", b"{}")


def cut_short(file: Path) -> None:
    os.truncate(file, 10)


def kinds(findings: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(finding["kind"], finding["what"]) for finding in findings]


@pytest.mark.slow
def test_a_whole_folder_has_no_findings(stored: Stored) -> None:
    assert (0, []) == stored.check()


DAMAGES: dict[str, tuple[Callable[[Stored], None], str, str]] = {
    "a flipped byte in a file": (lambda stored: flip_a_byte(stored.large_file), "corrupt", digest_of(LARGE)),
    "a file cut short": (lambda stored: cut_short(stored.large_file), "corrupt", digest_of(LARGE)),
    "a lost file": (lambda stored: stored.large_file.unlink(), "missing", digest_of(LARGE)),
    "wrong bytes in the database": (lambda stored: change_small_blob(stored.inside), "corrupt", digest_of(SMALL)),
}


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_damaged_files_are_put_aside_not_thrown_away(stored: Stored) -> None:
    flip_a_byte(stored.large_file)
    damaged = stored.large_file.read_bytes()

    stored.check("--repair")

    assert [damaged] == [file.read_bytes() for file in stored.inside.quarantine()]


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_damaged_manifest_is_found(stored: Stored) -> None:
    change_manifest(stored.inside)

    code, findings = stored.check()

    assert (1, [("corrupt", "manifest")]) == (code, kinds(findings))
    assert stored.image.digest == findings[0]["name"]


@pytest.mark.slow
def test_a_damaged_manifest_is_healed_by_the_next_push_of_it(stored: Stored) -> None:
    change_manifest(stored.inside)

    stored.check("--repair")
    stored.server.start()
    stored.push_again()
    stored.server.stop()

    assert (0, []) == stored.check()


@pytest.mark.slow
@only_with("PostgreSQL looks after its own files", database="sqlite")
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


@pytest.mark.slow
def test_check_beside_a_running_server_finds_nothing_wrong(stored: Stored) -> None:
    """Safe at any time: a file that is a moment ahead of its row is no finding."""
    stored.server.start()
    stored.push_again()

    assert (0, []) == stored.check()


@pytest.mark.slow
@only_with("a bucket's names are all ours", blobs="folder")
def test_a_file_with_an_odd_name_among_the_blobs_does_not_stop_the_check(stored: Stored) -> None:
    """Operators and backup programs leave things behind."""
    stored.large_file.with_name("lost+found").mkdir()
    (stored.large_file.parent / ".backup").write_text("x")

    code, findings = stored.check()

    assert 1 == code
    assert {("orphaned", "file")} == set(kinds(findings))


class Meanwhile:
    """A blob store in which something happens while a blob is read."""

    def __init__(self, store: BlobStore, happen: Callable[[], object]) -> None:
        self._store = store
        self._happen = happen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def digest_of(self, key: str, algorithm: str) -> tuple[int, Digest] | None:
        found = await self._store.digest_of(key, algorithm)
        await asyncio.to_thread(self._happen)
        return found


MEANWHILE = {
    "freed by collection": "DELETE FROM blobs WHERE digest = ?",
    "healed by a push": "UPDATE blobs SET storage_key = 'another' WHERE digest = ?",
}


@pytest.mark.parametrize("event", MEANWHILE)
def test_what_was_freed_or_healed_while_it_was_read_is_no_finding(stored: Stored, event: str) -> None:
    """And a repair does not make a blob forget the bytes that a push has just given it."""
    digest = digest_of(LARGE)
    stored.large_file.unlink()
    stored.inside.rows("DELETE FROM manifest_blobs")
    stored.inside.rows("DELETE FROM blob_links")

    async def check() -> list[Finding]:
        own = wiring.parts(config.load(None, {"data": stored.server.data}, stored.server.env))
        stores = {**own.stores, "gcr": Meanwhile(own.stores["gcr"], lambda: stored.inside.rows(MEANWHILE[event], digest))}
        try:
            return await Checker(own.database, stores, repair=True, progress=lambda _: None).run()
        finally:
            await own.database.close()

    assert [] == asyncio.run(check())
    assert [("another",)] * (event == "healed by a push") == stored.inside.rows("SELECT storage_key FROM blobs WHERE digest = ?", digest)
