"""What every blob store does (blobs/store.py); a new one joins STORES and has to pass all of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadstead.blobs.filesystem import FilesystemBlobStore
from roadstead.blobs.store import BlobStore, StagedUpload
from roadstead.errors import UploadInvalid, UploadUnknown
from roadstead.oci.digest import ALGORITHMS, Digest

CONTENT = Random("content").randbytes(100_000)
NEVER_US = 0

Open = Callable[[], BlobStore]
"""Another process's view of the same store."""


def filesystem(folder: Path) -> Open:
    return lambda: FilesystemBlobStore(folder / "blobs")


STORES: dict[str, Callable[[Path], Open]] = {"filesystem": filesystem}


@pytest.fixture(params=STORES)
def reopened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return STORES[request.param](tmp_path)


@pytest.fixture
def store(reopened: Open) -> BlobStore:
    return reopened()


def begun(store: BlobStore) -> str:
    upload = secrets.token_hex(16)
    store.begin(upload)
    return upload


def stage(store: BlobStore, content: bytes, upload: str | None = None) -> StagedUpload:
    staged = store.resume(upload or begun(store))
    staged.write([content])
    return staged


def stored(store: BlobStore, content: bytes, algorithm: str = "sha256") -> str:
    staged = stage(store, content)
    key = staged.seal(Digest.of(content, algorithm))
    staged.close()
    return key


def keys(store: BlobStore) -> set[str]:
    return {found.key for found in store.stored()}


# Uploads


def test_a_new_upload_is_empty(store: BlobStore) -> None:
    upload = begun(store)
    staged = store.resume(upload)

    assert (0, 0) == (store.offset(upload), staged.offset_bytes)
    assert b"" == staged.content()
    assert Digest.of(b"") == staged.digest("sha256")
    staged.close()


def test_pieces_are_appended_in_order(store: BlobStore) -> None:
    upload = begun(store)
    staged = store.resume(upload)
    staged.write([b"ab", b"", b"c"])
    staged.write([])
    staged.write([b"d"])

    assert (4, 4, b"abcd") == (staged.offset_bytes, store.offset(upload), staged.content())
    staged.close()


def test_many_small_pieces_in_one_write(store: BlobStore) -> None:
    """More than a system call takes at once."""
    pieces = [bytes([number % 256]) for number in range(5000)]
    staged = store.resume(begun(store))
    staged.write(pieces)

    assert b"".join(pieces) == staged.content()
    staged.close()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_digest_is_that_of_all_that_is_staged(store: BlobStore, algorithm: str) -> None:
    staged = stage(store, CONTENT)

    assert Digest.of(CONTENT, algorithm) == staged.digest(algorithm)
    assert Digest.of(CONTENT, algorithm) == staged.digest(algorithm), "asking does not change it"
    staged.write([b"more"])
    assert Digest.of(CONTENT + b"more", algorithm) == staged.digest(algorithm)
    staged.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chunks=st.lists(st.tuples(st.lists(st.binary(max_size=40), max_size=4), st.integers(0, 2)), max_size=6),
    algorithm=st.sampled_from(sorted(ALGORITHMS)),
)
def test_any_split_over_requests_and_processes_gives_the_same_digest(
    reopened: Open, chunks: Sequence[tuple[list[bytes], int]], algorithm: str
) -> None:
    """Each chunk of an upload may meet another process, which has not seen the ones before."""
    processes = [reopened() for _ in range(3)]
    upload = begun(processes[0])
    sent = b""
    for pieces, process in chunks:
        staged = processes[process].resume(upload)
        assert len(sent) == staged.offset_bytes
        staged.write(pieces)
        sent += b"".join(pieces)
        staged.close()

    staged = processes[1].resume(upload)
    assert Digest.of(sent, algorithm) == staged.digest(algorithm)
    assert sent == staged.content()
    staged.close()


def test_an_upload_has_one_writer(store: BlobStore, reopened: Open) -> None:
    """In this process and in any other; close() gives it back."""
    upload = begun(store)
    staged = store.resume(upload)
    for other in (store, reopened()):
        with pytest.raises(UploadInvalid):
            other.resume(upload)

    staged.write([b"first"])
    staged.close()

    again = reopened().resume(upload)
    assert b"first" == again.content()
    again.close()


def test_an_upload_that_is_being_written_can_be_asked_for_its_offset(store: BlobStore, reopened: Open) -> None:
    upload = begun(store)
    staged = stage(store, b"12345", upload)

    assert 5 == reopened().offset(upload)
    staged.close()


def test_an_upload_that_never_began_is_unknown(store: BlobStore) -> None:
    with pytest.raises(UploadUnknown):
        store.resume("0" * 32)
    with pytest.raises(UploadUnknown):
        store.offset("0" * 32)


@pytest.mark.parametrize("end", ["seal", "discard"])
def test_an_upload_that_has_ended_is_unknown(store: BlobStore, reopened: Open, end: str) -> None:
    upload = begun(store)
    staged = stage(store, CONTENT, upload)
    if end == "seal":
        staged.seal(Digest.of(CONTENT))
    else:
        staged.discard()
    staged.close()

    for other in (store, reopened()):
        with pytest.raises(UploadUnknown):
            other.resume(upload)
        with pytest.raises(UploadUnknown):
            other.offset(upload)


def test_what_was_discarded_is_not_stored(store: BlobStore) -> None:
    staged = stage(store, CONTENT)
    staged.discard()
    staged.close()

    assert set() == keys(store)


def test_discarding_after_sealing_takes_nothing_away(store: BlobStore) -> None:
    """The registry does so, whatever became of the upload."""
    staged = stage(store, CONTENT)
    key = staged.seal(Digest.of(CONTENT))
    staged.discard()
    staged.close()

    assert CONTENT == store.path(key).read_bytes()


def test_old_uploads_expire_and_fresh_ones_stay(store: BlobStore) -> None:
    old = begun(store)
    time.sleep(0.05)
    between_us = time.time_ns() // 1000
    time.sleep(0.05)
    fresh = begun(store)

    assert 0 == store.expire(NEVER_US)
    assert 1 == store.expire(between_us)
    with pytest.raises(UploadUnknown):
        store.offset(old)
    assert 0 == store.offset(fresh)


# Finished bytes


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=["empty", "one byte", "large"])
def test_sealed_bytes_are_read_back_by_any_process(store: BlobStore, reopened: Open, content: bytes, algorithm: str) -> None:
    key = stored(store, content, algorithm)

    assert content == reopened().path(key).read_bytes()


def test_a_key_is_never_used_twice(store: BlobStore) -> None:
    """So that removing one cannot hit what was uploaded since, even the same bytes."""
    first, second = stored(store, CONTENT), stored(store, CONTENT)
    assert first != second

    store.remove(first)

    assert CONTENT == store.path(second).read_bytes()
    assert stored(store, CONTENT) not in (first, second)


def test_removing_frees_the_bytes_and_removing_again_is_fine(store: BlobStore) -> None:
    key, other = stored(store, CONTENT), stored(store, b"other")

    store.remove(key)
    store.remove(key)

    assert {other} == keys(store)
    assert not store.path(key).exists()


def test_all_stored_bytes_are_listed_with_size_and_time(store: BlobStore) -> None:
    before_us = time.time_ns() // 1000 - 1_000_000
    contents = {stored(store, Random(number).randbytes(number), algorithm): number for number in range(20) for algorithm in ALGORITHMS}

    found = list(store.stored())

    assert contents == {item.key: item.size_bytes for item in found}
    assert len(contents) == len(found)
    assert all(before_us <= item.changed_at_us <= time.time_ns() // 1000 + 1_000_000 for item in found)


def test_a_key_says_which_digest_it_is_for(store: BlobStore) -> None:
    """Collection and check look files up by digest: `algorithm/shard/encoded…`."""
    for algorithm in ALGORITHMS:
        digest = Digest.of(CONTENT, algorithm)
        folder, shard, name = stored(store, CONTENT, algorithm).split("/")
        assert (algorithm, digest.encoded[:2]) == (folder, shard)
        assert digest.encoded == name.split(".")[0]


def test_uploads_are_not_listed_as_stored(store: BlobStore) -> None:
    stage(store, CONTENT).close()

    assert set() == keys(store)


def test_bytes_in_quarantine_are_neither_listed_nor_served(store: BlobStore) -> None:
    bad, good = stored(store, CONTENT), stored(store, b"good")

    store.quarantine(bad)
    store.quarantine(bad)

    assert {good} == keys(store)
    assert not store.path(bad).exists()


def test_two_stores_have_nothing_in_common(tmp_path: Path) -> None:
    """Each location has its own."""
    for open_store in STORES.values():
        one, other = open_store(tmp_path / "one")(), open_store(tmp_path / "other")()
        stored(one, CONTENT)
        upload = begun(one)

        assert set() == keys(other)
        with pytest.raises(UploadUnknown):
            other.offset(upload)
