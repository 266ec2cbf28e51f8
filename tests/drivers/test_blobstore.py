"""What every blob store does (blobs/store.py); a new one joins STORES and has to pass all of it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadstead.blobs.filesystem import FilesystemBlobStore
from roadstead.blobs.objectstore import ObjectBlobStore
from roadstead.blobs.store import BlobStore, StagedUpload
from roadstead.db.database import Database
from roadstead.db.migrate import migrate_postgres, migrate_sqlite
from roadstead.db.postgres import PostgresDatabase
from roadstead.db.sqlite import SQLiteDatabase
from roadstead.errors import UploadInvalid, UploadUnknown
from roadstead.oci.digest import ALGORITHMS, Digest
from roadstead.registry.segments import UploadSegments
from tests.kit.engines import ENGINES

pytestmark = pytest.mark.anyio

CONTENT = Random("content").randbytes(100_000)
LARGE = Random("large").randbytes(20_000_000)
NEVER_US = 0
CONNECTIONS = 3

Open = Callable[[], BlobStore]
"""Another process's view of the same store."""


def clock() -> int:
    return time.time_ns() // 1000


async def filesystem(folder: Path, ending: AsyncExitStack) -> Open:
    threads = ending.enter_context(ThreadPoolExecutor(2))
    return lambda: FilesystemBlobStore(folder / "blobs", threads)


async def objects(ending: AsyncExitStack, database: Callable[[], Database]) -> Open:
    """A bucket of its own on a real server; each process has its own door to the database with the uploads' rows."""
    threads, bucket = ending.enter_context(ThreadPoolExecutor(2)), ENGINES.s3().new_bucket()

    def opened() -> BlobStore:
        used = database()
        ending.push_async_callback(used.close)
        return ObjectBlobStore(f"s3://{bucket}/some/prefix", ENGINES.s3().options(), UploadSegments(used, "gcr", clock), threads, False, "")

    return opened


async def s3_and_sqlite(folder: Path, ending: AsyncExitStack) -> Open:
    folder.mkdir(exist_ok=True)
    migrate_sqlite(folder / "registry.sqlite")
    return await objects(ending, lambda: SQLiteDatabase(folder / "registry.sqlite"))


async def s3_and_postgres(folder: Path, ending: AsyncExitStack) -> Open:
    address = ENGINES.postgres().new_database()
    await migrate_postgres(address)
    return await objects(ending, lambda: PostgresDatabase(address, CONNECTIONS))


STORES = {"filesystem": filesystem, "s3 and SQLite": s3_and_sqlite, "s3 and PostgreSQL": s3_and_postgres}
only_files = pytest.mark.parametrize("kind", ["filesystem"])
only_objects = pytest.mark.parametrize("kind", ["s3 and SQLite", "s3 and PostgreSQL"])


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=STORES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def reopened(kind: str, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Open]:
    async with AsyncExitStack() as ending:
        yield await STORES[kind](tmp_path, ending)


@pytest.fixture
def store(reopened: Open) -> BlobStore:
    return reopened()


async def in_batches(*batches: Sequence[bytes]) -> AsyncIterator[Sequence[bytes]]:
    for batch in batches:
        yield batch


async def begun(store: BlobStore) -> str:
    upload = secrets.token_hex(16)
    await store.begin(upload)
    return upload


async def stage(store: BlobStore, content: bytes, upload: str | None = None) -> StagedUpload:
    staged = await store.resume(upload or await begun(store))
    await staged.receive(in_batches([content]))
    return staged


async def seal(store: BlobStore, staged: StagedUpload, content: bytes, algorithm: str = "sha256") -> str:
    """As the registry does: the digest is compared first; an upload's row ends with the transaction that makes a blob of it."""
    digest = Digest.of(content, algorithm)
    assert digest == await staged.digest(algorithm)
    key = await staged.seal(digest)
    if staged.row is not None:
        assert isinstance(store, ObjectBlobStore)
        assert await store._segments.end(staged.row)
    await staged.free()
    return key


async def stored(store: BlobStore, content: bytes, algorithm: str = "sha256") -> str:
    staged = await stage(store, content)
    key = await seal(store, staged, content, algorithm)
    staged.close()
    return key


async def read(store: BlobStore, key: str, size_bytes: int) -> bytes:
    """As it is served: from a file where there is one, else as a stream."""
    path = store.path(key)
    if path is not None:
        return path.read_bytes()
    return b"".join([piece async for piece in store.stream(key, 0, size_bytes)])


async def keys(store: BlobStore) -> set[str]:
    return {found.key async for batch in store.stored() for found in batch}


# Uploads


async def test_a_new_upload_is_empty(store: BlobStore) -> None:
    upload = await begun(store)
    staged = await store.resume(upload)

    assert (0, 0) == (await store.offset(upload), staged.offset_bytes)
    assert b"" == await staged.content()
    assert Digest.of(b"") == await staged.digest("sha256")
    staged.close()


async def test_pieces_are_appended_in_order(store: BlobStore) -> None:
    upload = await begun(store)
    staged = await store.resume(upload)
    await staged.receive(in_batches([b"ab", b"", b"c"], []))
    await staged.receive(in_batches())
    await staged.receive(in_batches([b"d"]))

    assert (4, 4, b"abcd") == (staged.offset_bytes, await store.offset(upload), await staged.content())
    staged.close()


async def test_many_small_pieces_in_one_write(store: BlobStore) -> None:
    """More than a system call takes at once."""
    pieces = [bytes([number % 256]) for number in range(5000)]
    staged = await store.resume(await begun(store))
    await staged.receive(in_batches(pieces))

    assert b"".join(pieces) == await staged.content()
    staged.close()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_the_digest_is_that_of_all_that_is_staged(store: BlobStore, algorithm: str) -> None:
    staged = await stage(store, CONTENT)

    assert Digest.of(CONTENT, algorithm) == await staged.digest(algorithm)
    assert Digest.of(CONTENT, algorithm) == await staged.digest(algorithm), "asking does not change it"
    await staged.receive(in_batches([b"more"]))
    assert Digest.of(CONTENT + b"more", algorithm) == await staged.digest(algorithm)
    staged.close()


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chunks=st.lists(st.tuples(st.lists(st.binary(max_size=40), max_size=4), st.integers(0, 2)), max_size=6),
    algorithm=st.sampled_from(sorted(ALGORITHMS)),
)
async def test_any_split_over_requests_and_processes_gives_the_same_digest(
    reopened: Open, chunks: Sequence[tuple[list[bytes], int]], algorithm: str
) -> None:
    """Each chunk of an upload may meet another process, which has not seen the ones before."""
    processes = [reopened() for _ in range(3)]
    upload = await begun(processes[0])
    sent = b""
    for pieces, process in chunks:
        staged = await processes[process].resume(upload)
        assert len(sent) == staged.offset_bytes
        await staged.receive(in_batches(pieces))
        sent += b"".join(pieces)
        staged.close()

    staged = await processes[1].resume(upload)
    assert Digest.of(sent, algorithm) == await staged.digest(algorithm)
    assert sent == await staged.content()
    staged.close()


@only_files
async def test_an_upload_has_one_writer(store: BlobStore, reopened: Open) -> None:
    """In this process and in any other; close() gives it back."""
    upload = await begun(store)
    staged = await store.resume(upload)
    for other in (store, reopened()):
        with pytest.raises(UploadInvalid):
            await other.resume(upload)

    await staged.receive(in_batches([b"first"]))
    staged.close()

    again = await reopened().resume(upload)
    assert b"first" == await again.content()
    again.close()


async def test_an_upload_that_is_being_written_can_be_asked_for_its_offset(store: BlobStore, reopened: Open) -> None:
    upload = await begun(store)
    staged = await stage(store, b"12345", upload)

    assert 5 == await reopened().offset(upload)
    staged.close()


async def test_an_upload_that_never_began_is_unknown(store: BlobStore) -> None:
    with pytest.raises(UploadUnknown):
        await store.resume("0" * 32)
    with pytest.raises(UploadUnknown):
        await store.offset("0" * 32)


@pytest.mark.parametrize("end", ["seal", "discard"])
async def test_an_upload_that_has_ended_is_unknown(store: BlobStore, reopened: Open, end: str) -> None:
    upload = await begun(store)
    staged = await stage(store, CONTENT, upload)
    if end == "seal":
        await seal(store, staged, CONTENT)
    else:
        await staged.discard()
    staged.close()

    for other in (store, reopened()):
        with pytest.raises(UploadUnknown):
            await other.resume(upload)
        with pytest.raises(UploadUnknown):
            await other.offset(upload)


async def test_what_was_discarded_is_not_stored(store: BlobStore) -> None:
    staged = await stage(store, CONTENT)
    await staged.discard()
    staged.close()

    assert set() == await keys(store)


async def test_discarding_after_sealing_takes_nothing_away(store: BlobStore) -> None:
    """The registry does so, whatever became of the upload."""
    staged = await stage(store, CONTENT)
    key = await seal(store, staged, CONTENT)
    await staged.discard()
    staged.close()

    assert CONTENT == await read(store, key, len(CONTENT))


async def test_old_uploads_expire_and_fresh_ones_stay(store: BlobStore) -> None:
    old = await begun(store)
    await asyncio.sleep(0.05)
    between_us = time.time_ns() // 1000
    await asyncio.sleep(0.05)
    fresh = await begun(store)

    assert 0 == await store.expire(NEVER_US)
    assert 1 == await store.expire(between_us)
    with pytest.raises(UploadUnknown):
        await store.offset(old)
    assert 0 == await store.offset(fresh)


# Finished bytes


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=["empty", "one byte", "large"])
async def test_sealed_bytes_are_read_back_by_any_process(store: BlobStore, reopened: Open, content: bytes, algorithm: str) -> None:
    key = await stored(store, content, algorithm)

    assert content == await read(reopened(), key, len(content))


async def test_a_key_is_never_used_twice(store: BlobStore) -> None:
    """So that removing one cannot hit what was uploaded since, even the same bytes."""
    first, second = await stored(store, CONTENT), await stored(store, CONTENT)
    assert first != second

    await store.remove(first)

    assert CONTENT == await read(store, second, len(CONTENT))
    assert await stored(store, CONTENT) not in (first, second)


async def test_removing_frees_the_bytes_and_removing_again_is_fine(store: BlobStore) -> None:
    key, other = await stored(store, CONTENT), await stored(store, b"other")

    await store.remove(key)
    await store.remove(key)

    assert {other} == await keys(store)
    assert await store.digest_of(key, "sha256") is None


async def test_all_stored_bytes_are_listed_with_size_and_time(store: BlobStore) -> None:
    before_us = time.time_ns() // 1000 - 1_000_000
    contents = {}
    for number in range(20):
        for algorithm in ALGORITHMS:
            contents[await stored(store, Random(number).randbytes(number), algorithm)] = number

    found = [each async for batch in store.stored() for each in batch]

    assert contents == {item.key: item.size_bytes for item in found}
    assert len(contents) == len(found)
    assert all(before_us <= item.changed_at_us <= time.time_ns() // 1000 + 1_000_000 for item in found)


@only_files
async def test_a_key_says_which_digest_it_is_for(store: BlobStore) -> None:
    """Collection and check look files up by digest: `algorithm/shard/encoded…`."""
    for algorithm in ALGORITHMS:
        digest = Digest.of(CONTENT, algorithm)
        folder, shard, name = (await stored(store, CONTENT, algorithm)).split("/")
        assert (algorithm, digest.encoded[:2]) == (folder, shard)
        assert digest.encoded == name.split(".")[0]


async def test_uploads_are_not_listed_as_stored(store: BlobStore) -> None:
    (await stage(store, CONTENT)).close()

    assert set() == await keys(store)


async def test_bytes_in_quarantine_are_neither_listed_nor_served(store: BlobStore) -> None:
    bad, good = await stored(store, CONTENT), await stored(store, b"good")

    await store.quarantine(bad)
    await store.quarantine(bad)

    assert {good} == await keys(store)
    assert await store.digest_of(bad, "sha256") is None


async def test_two_stores_have_nothing_in_common(kind: str, tmp_path: Path) -> None:
    """Each location has its own."""
    async with AsyncExitStack() as ending:
        one, other = [(await STORES[kind](tmp_path / name, ending))() for name in ("one", "other")]
        await stored(one, CONTENT)
        upload = await begun(one)

        assert set() == await keys(other)
        with pytest.raises(UploadUnknown):
            await other.offset(upload)


# What comes, and what breaks


async def failing(*batches: Sequence[bytes]) -> AsyncIterator[Sequence[bytes]]:
    for batch in batches:
        yield batch
    raise ConnectionResetError("the client has gone")


@pytest.mark.parametrize("content", [b"x" * 10, CONTENT, LARGE], ids=["in a row", "one request", "several parts"])
async def test_what_came_before_the_connection_broke_is_kept(store: BlobStore, reopened: Open, content: bytes) -> None:
    upload = await begun(store)
    staged = await store.resume(upload)
    with pytest.raises(ConnectionResetError):
        await staged.receive(failing([content[:7]], [content[7:]]))
    staged.close()

    again = await reopened().resume(upload)
    assert len(content) == again.offset_bytes
    assert Digest.of(content) == await again.digest("sha256")
    await again.discard()
    again.close()
    assert set() == await keys(store)


@pytest.mark.parametrize("start, length", [(0, 20_000_000), (0, 1), (19_999_999, 1), (8_388_607, 2), (5, 0)])
async def test_any_part_of_a_large_blob_is_streamed(kind: str, tmp_path: Path, start: int, length: int) -> None:
    """Larger than one part of a multipart upload."""
    async with AsyncExitStack() as ending:
        store = (await STORES[kind](tmp_path, ending))()
        key = await store.copy_in(Digest.of(LARGE), in_batches([LARGE[:100]], [LARGE[100:]]))

        assert LARGE[start : start + length] == b"".join([piece async for piece in store.stream(key, start, length)])
        assert (len(LARGE), Digest.of(LARGE)) == await store.digest_of(key, "sha256")


async def test_no_more_is_stored_than_was_sealed(store: BlobStore, reopened: Open) -> None:
    """An upload in chunks leaves one object, whatever its chunks were."""
    upload = await begun(store)
    chunks = [CONTENT[:10], CONTENT[10:60_000], CONTENT[60_000:]]
    for chunk in chunks:
        staged = await reopened().resume(upload)
        await staged.receive(in_batches([chunk]))
        staged.close()
    staged = await reopened().resume(upload)
    key = await seal(store, staged, CONTENT)
    staged.close()

    assert {key} == await keys(reopened())
    assert CONTENT == await read(store, key, len(CONTENT))


@only_objects
async def test_of_two_that_go_on_at_the_same_place_one_is_told_so(store: BlobStore, reopened: Open, kind: str) -> None:
    """There is no lock on an upload that several nodes write: the row decides, and the loser's object goes."""
    upload = await begun(store)
    first, second = await store.resume(upload), await reopened().resume(upload)
    await first.receive(in_batches([CONTENT]))
    with pytest.raises(UploadInvalid):
        await second.receive(in_batches([LARGE]))

    again = await store.resume(upload)
    assert Digest.of(CONTENT) == await again.digest("sha256")
    await again.discard()
    assert set() == await keys(store)


@only_objects
async def test_between_sealing_and_the_blob_s_row_the_bytes_are_still_the_upload_s(store: BlobStore, reopened: Open, kind: str) -> None:
    """Else a sweep that comes just then would take an old object for an orphan, and the blob would have no bytes."""
    staged = await stage(store, CONTENT)
    await staged.seal(Digest.of(CONTENT))

    assert set() == await keys(reopened())


@only_objects
async def test_an_upload_comes_in_a_limited_number_of_requests(store: BlobStore, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadstead.blobs.objectstore.MAX_SEGMENTS", 3)
    upload = await begun(store)
    for _ in range(3):
        await stage(store, b"x", upload)
    with pytest.raises(UploadInvalid):
        await stage(store, b"x", upload)

    assert 3 == await store.offset(upload)


@pytest.mark.slow
@only_objects
@pytest.mark.parametrize("content", [b"x" * 10, CONTENT, LARGE], ids=["in a row", "one request", "several parts"])
async def test_a_request_that_was_cancelled_leaves_the_upload_as_it_was(
    store: BlobStore, reopened: Open, kind: str, content: bytes
) -> None:
    """A node that is stopped while bytes come. What is left of a multipart upload is the sweep's."""
    upload = await begun(store)
    await stage(store, b"before", upload)
    reached, gone = asyncio.Event(), asyncio.Event()

    async def stalled() -> AsyncIterator[Sequence[bytes]]:
        yield [content]
        reached.set()
        await gone.wait()

    staged = await store.resume(upload)
    receiving = asyncio.create_task(staged.receive(stalled()))
    await reached.wait()
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    # A connection that is gone ends the body: whoever still reads it comes to an end too.
    gone.set()
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others, timeout=5)

    assert 6 == await reopened().offset(upload)
    assert set() == await keys(store)
    again = await stage(reopened(), content, upload)
    assert Digest.of(b"before" + content) == await again.digest("sha256")
    await again.discard()
