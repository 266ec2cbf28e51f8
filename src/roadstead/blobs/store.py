"""
What the registry asks of a blob store.

A key names finished bytes for ever and is never used for others: removing a key can not hit a blob that was uploaded since.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from roadstead.errors import StorageBroken, UploadUnknown
from roadstead.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class StoredBytes:
    key: str
    size_bytes: int
    changed_at_us: int


class StagedUpload(Protocol):
    """
    The bytes of one upload; close() gives them back. offset_bytes is how many there are.

    row: the upload's name, where rows tell of it (blobs/objectstore.py). Whoever makes a blob of it ends it by deleting that
    row in the same transaction: so exactly one does, and at no moment its bytes belong to nobody. None where there are none.
    """

    offset_bytes: int

    @property
    def row(self) -> str | None: ...

    async def receive(self, batches: AsyncIterator[Sequence[bytes]]) -> None:
        """
        Append what comes. When batches raises, what came before is kept and the error goes on.

        Raises StorageFull, StorageBroken (then nothing of this call is kept), UploadInvalid when somebody else has gone on
        with the upload meanwhile.
        """

    async def content(self) -> bytes: ...

    async def digest(self, algorithm: str) -> Digest: ...

    async def seal(self, digest: Digest) -> str:
        """Make the bytes durable under a new key and return it; ends an upload without a row. Raises UploadUnknown, StorageBroken."""

    async def discard(self) -> None:
        """End the upload and free its bytes. After seal() nothing happens: whether it is a blob by now, the database knows alone."""

    async def free(self) -> None:
        """When a transaction has ended the upload: free its bytes, except those that were sealed."""

    def close(self) -> None: ...


class BlobStore(Protocol):
    async def begin(self, upload: str) -> None:
        """Open a new, empty upload."""

    async def resume(self, upload: str) -> StagedUpload:
        """Raises UploadUnknown, UploadInvalid (somebody else is writing it)."""

    async def offset(self, upload: str) -> int:
        """Bytes staged so far. Raises UploadUnknown."""

    async def expire(self, before_us: int) -> int:
        """Drop uploads not touched since; returns how many."""

    async def sweep(self, before_us: int) -> int:
        """Free what was begun before then and is in no other listing, since a crash left it; returns how many. Raises StorageBroken."""

    def path(self, key: str) -> Path | None:
        """The file that holds the bytes, where there is one; then stream and url are not needed."""

    def stream(self, key: str, start_bytes: int, length_bytes: int) -> AsyncIterator[bytes]:
        """Raises StorageBroken."""

    async def url(self, key: str) -> str | None:
        """An address from which anyone may read the bytes for some minutes; None where clients must come to us."""

    async def digest_of(self, key: str, algorithm: str) -> tuple[int, Digest] | None:
        """Size and digest of what is really there, after reading all of it; None if nothing is."""

    async def copy_in(self, digest: Digest, batches: AsyncIterator[Sequence[bytes]]) -> str:
        """Store bytes that come from another store of ours, durably. Returns their key. Raises StorageFull, StorageBroken."""

    async def remove(self, key: str) -> None:
        """Free the bytes. Removing what is gone is fine. Raises StorageBroken."""

    async def quarantine(self, key: str) -> None:
        """Keep damaged bytes apart, for an operator to look at."""

    async def check(self) -> None:
        """Could bytes be stored and read now? A look, no proof. Raises StorageBroken."""

    async def open_uploads(self) -> int: ...

    def stored(self) -> AsyncIterator[list[StoredBytes]]:
        """All finished bytes, some at a time, in no order."""


def unknown_upload() -> UploadUnknown:
    return UploadUnknown("there is no such upload in this repository: it was finished, cancelled or has expired; begin a new one")


def unreadable() -> StorageBroken:
    return StorageBroken("the blob's bytes cannot be read: run `roadstead check` on the server, or push the image again")
