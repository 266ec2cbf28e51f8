"""
`roadstead backup` beside pushes, and the drill: `roadstead restore` makes a server of it that serves every image.

At every moment a backup's folder holds one whole backup or none, and says which.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from roadstead.blobs.filesystem import FilesystemBlobStore
from roadstead.db.migrate import migrate_sqlite
from roadstead.db.sqlite import SQLiteDatabase
from roadstead.jobs.queue import Postponed
from roadstead.oci.digest import Digest
from roadstead.registry import keep
from roadstead.registry.gc import Collector
from tests.kit.engines import ENGINES
from tests.kit.installations import EMBEDDED, SCALED, Installation, environment
from tests.kit.ledger import Key, Ledger
from tests.kit.load import Client, Pushed, Refused, Wire, digest_of, image_manifest, verify
from tests.kit.pushers import Load, pushers
from tests.kit.server import Server

pytestmark = pytest.mark.slow

SEED = 1
LARGE = Random("large").randbytes(100_000)
SMALL = Random("small").randbytes(1000)
WAIT_SECONDS = 20
KINDS = [EMBEDDED, SCALED]


class SnapshotLedger(Ledger):
    """What may be read of a moment between began and ended that nobody knows more exactly."""

    def __init__(self, ledger: Ledger, began: float, ended: float) -> None:
        super().__init__(writes=ledger.writes, needs=ledger.needs)
        self.began = began
        self.ended = ended

    def possible(self, key: Key, moment: float = 0) -> set[str | None]:
        meanwhile = {write.value for write in self.writes[key] if self.began <= write.begun <= self.ended}
        return super().possible(key, self.began) | meanwhile


@contextmanager
def serving(installation: Installation) -> Iterator[Server]:
    server = installation.server().start()
    try:
        yield server
    finally:
        server.stop()


def push(url: str, repository: str, *layers: bytes) -> Pushed:
    client = Client(Wire(url), Ledger(), Random(1))
    for blob in (SMALL, *layers):
        client.blob(repository, blob)
    pushed = client.manifest(repository, image_manifest(SMALL, layers), "v1")
    client.wire.close()
    return pushed


def until(happened: object, what: str) -> None:
    assert callable(happened)
    deadline = time.monotonic() + WAIT_SECONDS
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_made_beside_pushes_restores_to_a_server_with_every_image(tmp_path: Path, project: str, kind: str) -> None:
    """
    Two backups into one folder while clients push and delete: the second copies only what is new. Restored, it has everything
    that was acknowledged before it began, byte for byte; nothing is damaged or left over, and the restored server takes pushes.
    """
    ledger, folder = Ledger(), tmp_path / "backup"
    load = Load(ledger, pushers(ledger, project, 3, SEED))
    source, restored = Installation(tmp_path / "source", kind), Installation(tmp_path / "restored", kind)

    with serving(source) as server:
        load.start(server.url)
        time.sleep(3)
        first = source.json("backup", str(folder))
        time.sleep(1)
        began = time.time()
        second = source.json("backup", str(folder))
        ended = time.time()
        time.sleep(0.5)
        load.stop()
    restored.json("restore", str(folder))
    with serving(restored) as server:
        verdict = verify(server.url, SnapshotLedger(ledger, began, ended))
        push(server.url, f"{project}/after", LARGE)
        clean = restored.run("check")

    print(
        f"\n{second['rows']}, {first['copiedBlobs']} blobs copied by the first backup, {second['copiedBlobs']} of {second['stored']} by "
        f"the second, in {ended - began:.1f} s; {verdict.manifests} manifests, {verdict.tags} tags, {verdict.blobs} blobs read and owed"
    )
    assert [] == verdict.lost + verdict.wrong
    assert [] == ledger.surprises
    assert [] == first["damaged"] + second["damaged"]
    assert verdict.manifests > 0
    assert second["copiedBlobs"] < second["stored"]
    assert second["stored"] == sum(1 for _ in folder.glob("sha256/??/*"))
    assert 0 == clean.returncode, clean.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_collection_takes_nothing_that_a_backup_under_way_needs(tmp_path: Path, project: str, kind: str) -> None:
    """
    The backup is stopped when it has begun to copy. Then all images are deleted, and a collector with hardly any grace has its
    time. The backup goes on, and it has every byte of the moment it is of.
    """
    source = Installation(tmp_path / "source", kind, gc_interval_seconds=0.2, gc_grace_seconds=1.0)
    restored, folder = Installation(tmp_path / "restored", kind), tmp_path / "backup"
    layers = [Random(f"layer {each}").randbytes(1_000_000) for each in range(16)]

    with serving(source) as server:
        images = [push(server.url, f"{project}/i{each}", layer) for each, layer in enumerate(layers)]
        backing_up = source.start("backup", str(folder))
        until(lambda: any(folder.glob("sha256/??/*")), "the backup copies")
        backing_up.send_signal(signal.SIGSTOP)
        for image in images:
            Wire(server.url).expect(202, "DELETE", f"/v2/{image.repository}/manifests/{image.digest}")
        time.sleep(5)  # asking meanwhile would protect them anew
        collected = gone(server.url, images, layers)
        kept = json.loads(source.run("check", "--format", "json").stdout)["findings"]
        backing_up.send_signal(signal.SIGCONT)
        code = backing_up.wait()
    assert 0 == code
    restored.json("restore", str(folder))
    with serving(restored) as server:
        read = [
            Wire(server.url).expect(200, "GET", f"/v2/{i.repository}/blobs/{digest_of(b)}").body
            for i, b in zip(images, layers, strict=True)
        ]

    assert collected
    assert {"orphaned"} == {finding["kind"] for finding in kept}
    assert len(layers) == len(kept)
    assert layers == read


def gone(url: str, images: list[Pushed], layers: list[bytes]) -> bool:
    answers = [
        Wire(url).request("HEAD", f"/v2/{image.repository}/blobs/{digest_of(layer)}") for image, layer in zip(images, layers, strict=True)
    ]
    return all(answer.status == 404 for answer in answers)


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_that_is_killed_leaves_the_earlier_one_whole(tmp_path: Path, project: str, kind: str) -> None:
    """Killed at every stage in turn. What is restored afterwards is the first backup, with all it had, also what was deleted since."""
    source, restored, folder = Installation(tmp_path / "source", kind), Installation(tmp_path / "restored", kind), tmp_path / "backup"
    with serving(source) as server:
        image = push(server.url, f"{project}/first", LARGE)
        whole = source.json("backup", str(folder))
        Wire(server.url).expect(202, "DELETE", f"/v2/{image.repository}/manifests/{image.digest}")
        for each in range(4):
            push(server.url, f"{project}/later", *(Random(f"later {each} {layer}").randbytes(1_000_000) for layer in range(6)))
            known = set(folder.glob("database-*"))
            backing_up = source.start("backup", str(folder))
            until(lambda: set(folder.glob("database-*")) - known, "the backup begins")  # noqa: B023
            time.sleep(0.01 * each)
            backing_up.kill()
            backing_up.wait()
    if json.loads((folder / "backup.json").read_text())["id"] != whole["id"]:
        pytest.skip("this machine was faster than the kill: the later backup was whole already")
    restored.json("restore", str(folder))
    with serving(restored) as server:
        blob = Wire(server.url).expect(200, "GET", f"/v2/{image.repository}/blobs/{digest_of(LARGE)}").body
        clean = restored.run("check")

    assert LARGE == blob
    assert 0 == clean.returncode, clean.stdout


def test_an_unfinished_backup_is_refused(tmp_path: Path, project: str) -> None:
    """It has no backup.json, and nothing is made of it. The next run into the same folder makes it whole."""
    source, restored, folder = (
        Installation(tmp_path / "source", EMBEDDED),
        Installation(tmp_path / "restored", EMBEDDED),
        tmp_path / "backup",
    )
    with serving(source) as server:
        push(server.url, f"{project}/image", LARGE)
        backing_up = source.start("backup", str(folder))
        until(lambda: any(folder.glob("database-*")), "the backup begins")
        backing_up.kill()
        backing_up.wait()
        (folder / "backup.json").unlink(missing_ok=True)
        refused = restored.run("restore", str(folder))
        again = source.run("backup", str(folder))

    assert 2 == refused.returncode
    assert "no whole backup" in refused.stderr
    assert not restored.data.exists()
    assert 0 == again.returncode, again.stderr
    assert 1 == len(list(folder.glob("database-*")))
    assert 0 == restored.run("restore", str(folder)).returncode


@pytest.mark.parametrize("kind", KINDS)
def test_a_restore_that_is_killed_is_gone_on_with(tmp_path: Path, project: str, kind: str) -> None:
    """Until it is done, the half-restored installation takes no writes."""
    source, restored, folder = Installation(tmp_path / "source", kind), Installation(tmp_path / "restored", kind), tmp_path / "backup"
    layers = [Random(f"layer {each}").randbytes(50_000) for each in range(30)]
    with serving(source) as server:
        image = push(server.url, f"{project}/image", *layers)
        source.json("backup", str(folder))
    last = max(folder.glob("sha256/??/*"))
    aside = tmp_path / "aside"
    last.rename(aside)
    os.mkfifo(last)  # whoever opens it waits, so that the restore stands still
    restoring = restored.start("restore", str(folder))
    with pytest.raises(subprocess.TimeoutExpired):
        restoring.wait(6)
    restoring.kill()
    restoring.wait()
    with serving(restored) as server, pytest.raises(Refused) as refused:
        push(server.url, f"{project}/early", LARGE)
    last.unlink()
    aside.rename(last)

    restored.json("restore", str(folder))
    with serving(restored) as server:
        read = [Wire(server.url).expect(200, "GET", f"/v2/{image.repository}/blobs/{digest_of(layer)}").body for layer in layers]
        clean = restored.run("check")

    assert 503 == refused.value.status
    assert layers == read
    assert 0 == clean.returncode, clean.stdout


def test_nothing_is_restored_over_images(tmp_path: Path, project: str) -> None:
    source, folder = Installation(tmp_path / "source", EMBEDDED), tmp_path / "backup"
    with serving(source) as server:
        push(server.url, f"{project}/image", LARGE)
        source.json("backup", str(folder))

    refused = source.run("restore", str(folder))

    assert 2 == refused.returncode
    assert "restore into an empty place" in refused.stderr
    assert 0 == source.run("check").returncode


def test_a_backup_is_not_restored_into_another_kind_of_database(tmp_path: Path, project: str) -> None:
    source, other, folder = Installation(tmp_path / "source", EMBEDDED), Installation(tmp_path / "other", SCALED), tmp_path / "backup"
    with serving(source) as server:
        push(server.url, f"{project}/image", LARGE)
        source.json("backup", str(folder))

    refused = other.run("restore", str(folder))

    assert 2 == refused.returncode
    assert "copy-to" in refused.stderr


def test_damage_to_a_backup_is_found_when_it_is_restored(tmp_path: Path, project: str) -> None:
    """Of a blob: named, exit code 1, and the rest is restored. Of the database: nothing is made of it."""
    source, folder = Installation(tmp_path / "source", EMBEDDED), tmp_path / "backup"
    with serving(source) as server:
        image = push(server.url, f"{project}/image", LARGE)
        source.json("backup", str(folder))
    (blob,) = folder.glob("sha256/??/*")
    blob.write_bytes(LARGE[:-1] + b"!")
    first = Installation(tmp_path / "first", EMBEDDED)
    damaged = first.run("restore", str(folder), "--format", "json")
    with serving(first) as server:
        status = Wire(server.url).request("HEAD", f"/v2/{image.repository}/blobs/{digest_of(LARGE)}").status
        push(server.url, image.repository, LARGE)
        healed = first.run("check").returncode
    (database,) = folder.glob("database-*")
    database.write_bytes(database.read_bytes()[:-1] + b"!")
    second = Installation(tmp_path / "second", EMBEDDED)
    refused = second.run("restore", str(folder))

    assert 1 == damaged.returncode
    assert [digest_of(LARGE)] == json.loads(damaged.stdout)["damaged"]
    assert 404 == status
    assert 0 == healed
    assert 2 == refused.returncode
    assert "this backup is damaged" in refused.stderr
    assert not second.data.exists()


def test_a_backup_says_what_is_damaged_on_the_server(tmp_path: Path, project: str) -> None:
    source, folder = Installation(tmp_path / "source", EMBEDDED), tmp_path / "backup"
    with serving(source) as server:
        push(server.url, f"{project}/image", LARGE)
        (file,) = source.data.glob("blobs/gcr/sha256/*/*")
        file.write_bytes(LARGE[:-1] + b"!")
        done = source.run("backup", str(folder), "--format", "json")

    assert 1 == done.returncode
    assert [digest_of(LARGE)] == json.loads(done.stdout)["damaged"]


def test_two_backups_into_one_folder_are_refused(tmp_path: Path, project: str) -> None:
    source, folder = Installation(tmp_path / "source", EMBEDDED), tmp_path / "backup"
    with serving(source) as server:
        push(server.url, f"{project}/image", *(Random(f"layer {each}").randbytes(1_000_000) for each in range(24)))
        backing_up = source.start("backup", str(folder))
        until(lambda: any(folder.glob("sha256/??/*")), "the backup copies")
        backing_up.send_signal(signal.SIGSTOP)
        second = source.run("backup", str(folder))
        backing_up.send_signal(signal.SIGCONT)
        code = backing_up.wait()

    assert 0 == code
    assert 2 == second.returncode
    assert "another backup" in second.stderr


def test_a_folder_with_other_things_is_not_used(tmp_path: Path, project: str) -> None:
    source, folder = Installation(tmp_path / "source", EMBEDDED), tmp_path / "other"
    folder.mkdir()
    (folder / "letters").write_text("keep me")
    with serving(source) as server:
        push(server.url, f"{project}/image", LARGE)
        refused = source.run("backup", str(folder))

    assert 2 == refused.returncode
    assert "other things" in refused.stderr


def test_without_pg_dump_a_sentence_says_what_to_install(tmp_path: Path, project: str) -> None:
    source, folder = Installation(tmp_path / "source", SCALED), tmp_path / "backup"
    with serving(source) as server:
        push(server.url, f"{project}/image", LARGE)
        command = source.command("backup", str(folder))
        done = subprocess.run(command, capture_output=True, text=True, env={**environment(), "PATH": str(tmp_path)}, check=False)

    assert shutil.which("pg_dump")
    assert 2 == done.returncode
    assert "postgresql-client" in done.stderr


def test_a_backup_that_was_killed_keeps_bytes_for_a_while_only(tmp_path: Path) -> None:
    """Its lease is not renewed any more, and ends by itself: then collection removes what it was asked to."""

    async def test() -> None:
        migrate_sqlite(tmp_path / "registry.sqlite")
        database, now_us = SQLiteDatabase(tmp_path / "registry.sqlite"), [1_000_000_000]
        store = FilesystemBlobStore(tmp_path / "gcr", ThreadPoolExecutor(1))
        key = await store.copy_in(Digest.of(LARGE), one_batch())
        collector = Collector(database, {"gcr": store}, 0, 0, lambda: now_us[0])
        kept = keep.bytes_kept(database, "killed", lambda: now_us[0])
        await kept.__aenter__()

        with pytest.raises(Postponed) as postponed:
            await collector.remove_bytes(f"gcr\n{key}".encode())
        assert now_us[0] < postponed.value.until_us <= now_us[0] + keep.LOOK_AGAIN_US
        assert store.path(key).exists()
        now_us[0] += keep.LEASE_US + 1
        await collector.remove_bytes(f"gcr\n{key}".encode())
        assert not store.path(key).exists()
        await kept.__aexit__(None, None, None)
        assert 0 == await keep.until_us(database)
        await database.close()

    asyncio.run(test())


async def one_batch() -> AsyncIterator[list[bytes]]:
    yield [LARGE]


def test_a_bucket_that_does_not_answer_is_an_error_and_no_damage(tmp_path: Path, project: str) -> None:
    """Nothing may be left out of a backup because the storage was away for a moment."""
    source, folder = Installation(tmp_path / "source", SCALED), tmp_path / "backup"
    with serving(source) as server:
        push(server.url, f"{project}/image", LARGE)
        ENGINES.s3().stop()
        failed = source.run("backup", str(folder))
        ENGINES.s3().start()
        again = source.run("backup", str(folder))

    assert 2 == failed.returncode
    assert "storage does not answer" in failed.stderr
    assert 0 == again.returncode, again.stderr
