"""
What the registry asks of a blob store.

A key names finished bytes for ever and is never used for others: removing a key can not hit a blob that was uploaded since.
All methods block; callers run those that touch many bytes or sync in a thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from roadstead.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class StoredBytes:
    key: str
    size_bytes: int
    changed_at_us: int


class StagedUpload(Protocol):
    """Exclusive access to the bytes of one upload; close() gives it back."""

    offset_bytes: int

    def write(self, pieces: Sequence[bytes]) -> None:
        """Append. Raises StorageFull, StorageBroken; then offset_bytes is unchanged."""

    def content(self) -> bytes: ...

    def digest(self, algorithm: str) -> Digest: ...

    def seal(self, digest: Digest) -> str:
        """Make the bytes durable under a new key and end the upload. Returns the key."""

    def discard(self) -> None: ...

    def close(self) -> None: ...


class BlobStore(Protocol):
    def begin(self, upload: str) -> None:
        """Open a new, empty upload."""

    def resume(self, upload: str) -> StagedUpload:
        """Raises UploadUnknown, UploadInvalid (somebody else is writing it)."""

    def offset(self, upload: str) -> int:
        """Bytes staged so far. Raises UploadUnknown."""

    def expire(self, before_us: int) -> int:
        """Drop uploads not touched since; returns how many."""

    def path(self, key: str) -> Path: ...

    def remove(self, key: str) -> None:
        """Free the bytes. Removing what is gone is fine."""

    def quarantine(self, key: str) -> None:
        """Keep damaged bytes apart, for an operator to look at."""

    def stored(self) -> Iterator[StoredBytes]:
        """All finished bytes, in no order."""
