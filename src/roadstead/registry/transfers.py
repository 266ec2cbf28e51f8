"""Bytes on their way from one place of ours to another: hashed as they pass, so that only right ones arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from roadstead.blobs.store import BlobStore
from roadstead.errors import StorageBroken, StorageError
from roadstead.oci.digest import Digest

AT_ONCE = 4
TRIES = 3
GROUP_BYTES = 64 * 1024 * 1024
GROUP_ROWS = 200

T = TypeVar("T")
R = TypeVar("R")


class Checked:
    """chunks in batches. Where reading them fails they end early; right says afterwards whether all came and were the right ones."""

    def __init__(self, chunks: AsyncIterator[bytes], digest: Digest, size_bytes: int) -> None:
        self._chunks = chunks
        self._digest = digest
        self._size_bytes = size_bytes
        self._hasher = digest.hasher()
        self._seen_bytes = 0

    async def batches(self) -> AsyncIterator[Sequence[bytes]]:
        try:
            async for chunk in self._chunks:
                await asyncio.to_thread(self._hasher.update, chunk)
                self._seen_bytes += len(chunk)
                yield [chunk]
        except StorageError:
            return

    @property
    def right(self) -> bool:
        return self._seen_bytes == self._size_bytes and self._hasher.hexdigest() == self._digest.encoded


async def copy(chunks: AsyncIterator[bytes], digest: Digest, size_bytes: int, store: BlobStore) -> str | None:
    """
    Put the bytes into the store, durably. Returns their key; None, and nothing is kept, when they are not the right ones.

    Raises StorageFull, StorageBroken when the store does not take them.
    """
    checked = Checked(chunks, digest, size_bytes)
    key = await store.copy_in(digest, checked.batches())
    if checked.right:
        return key
    await store.remove(key)
    return None


async def is_damaged(store: BlobStore, key: str, digest: Digest, size_bytes: int) -> bool:
    """
    Asked when bytes could not be read right: are they wrong or gone, or was it only the reading?

    Raises StorageBroken when the store does not answer.
    """
    return await store.digest_of(key, digest.algorithm) != (size_bytes, digest)


def unreadable(digest: Digest) -> StorageBroken:
    return StorageBroken(f"the storage breaks off again and again while it is asked for {digest}: try again when it works")


def grouped(things: Sequence[T], size_bytes: Callable[[T], int]) -> Iterator[list[T]]:
    """As many as are worth one commit: what was copied since the last is lost when the program is killed."""
    group: list[T] = []
    total_bytes = 0
    for thing in things:
        group.append(thing)
        total_bytes += size_bytes(thing)
        if len(group) >= GROUP_ROWS or total_bytes >= GROUP_BYTES:
            yield group
            group, total_bytes = [], 0
    if group:
        yield group


async def together(work: Callable[[T], Awaitable[R]], things: Sequence[T]) -> list[R]:
    """The results in order; a few are worked on at once. The first error ends the others and is raised by itself."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(thing: T) -> R:
        async with turns:
            return await work(thing)

    tasks = [asyncio.ensure_future(one(thing)) for thing in things]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
