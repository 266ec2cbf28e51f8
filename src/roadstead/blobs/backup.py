"""
A backup's folder.

    backup.json                          what it is a backup of; written last, so that without it there is no backup
    database-ID.sqlite, database-ID.pg   the database of one moment
    sha256/ab/abcd…                      bytes by digest, for all locations

A later backup into the same folder adds the bytes that are new, writes its backup.json in place of the old one, and then removes
what only the old one had: at every moment the folder holds one whole backup.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from roadstead.blobs.filesystem import fsync_folder, translated
from roadstead.errors import ConfigurationError, StorageBroken
from roadstead.oci.digest import ALGORITHMS, Digest

READ_BYTES = 1024 * 1024
MANIFEST = "backup.json"


class BackupFolder:
    def __init__(self, root: Path) -> None:
        self.root = root
        self._touched: set[Path] = set()
        self._accepted: list[tuple[Path, Path]] = []
        self._lock = -1

    def open(self) -> None:
        """Make it if need be; one backup at a time. Raises ConfigurationError."""
        if self.root.exists() and not (self.root / MANIFEST).exists() and not (self.root / ".lock").exists() and any(self.root.iterdir()):
            raise ConfigurationError(f"{self.root} has other things in it: give a new folder, or one of an earlier backup")
        # The database in it holds secrets.
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(f"another backup is being written to {self.root}: wait for it, or give another folder") from error

    def close(self) -> None:
        os.close(self._lock)

    def path(self, digest: Digest) -> Path:
        return self.root / digest.algorithm / digest.encoded[:2] / digest.encoded

    def has(self, digest: Digest, size_bytes: int) -> bool:
        try:
            return self.path(digest).stat().st_size == size_bytes
        except FileNotFoundError:
            return False

    async def write(self, digest: Digest, batches: AsyncIterator[Sequence[bytes]]) -> Path:
        """A file under a name of its own; accept() and settle() make it the blob's. Raises StorageFull, StorageBroken."""
        try:
            folder = self.path(digest).parent
            folder.mkdir(parents=True, exist_ok=True)
            staged = folder / f".{secrets.token_hex(8)}"
            with staged.open("wb") as file:
                async for batch in batches:
                    await asyncio.to_thread(file.writelines, batch)
            return staged
        except OSError as error:
            raise translated(error) from error

    def accept(self, staged: Path, digest: Digest) -> None:
        self._accepted.append((staged, self.path(digest)))

    async def settle(self) -> None:
        """
        Sync what was accepted and give it its name. Many at once, because after the first sync a file system has little left to do
        for the others: the live server, which may be on the same disk, notices less of it. Raises StorageFull, StorageBroken.
        """
        accepted, self._accepted = self._accepted, []
        await asyncio.to_thread(self._settle, accepted)

    def _settle(self, accepted: Sequence[tuple[Path, Path]]) -> None:
        try:
            for staged, _ in accepted:
                with staged.open("rb") as file:
                    os.fsync(file.fileno())
            for staged, final in accepted:
                staged.rename(final)
                self._touched.add(final.parent)
        except OSError as error:
            raise translated(error) from error

    async def stream(self, digest: Digest) -> AsyncIterator[bytes]:
        """Raises StorageBroken."""
        try:
            with self.path(digest).open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, READ_BYTES):
                    yield chunk
        except OSError as error:
            raise StorageBroken(f"the backup's file for {digest} cannot be read ({error})") from error

    def read_manifest(self) -> bytes:
        """Raises ConfigurationError."""
        try:
            return (self.root / MANIFEST).read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"{self.root} is no whole backup: there is no {MANIFEST}, which is written last; run `roadstead backup` again"
            ) from error

    def write_manifest(self, content: bytes) -> None:
        """Everything before it is durable first; when this returns, it is too. Raises StorageFull, StorageBroken."""
        try:
            for folder in {*self._touched, *(shard.parent for shard in self._touched), self.root, self.root.parent}:
                fsync_folder(folder)
            staged = self.root / f".{MANIFEST}"
            with staged.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            staged.rename(self.root / MANIFEST)
            fsync_folder(self.root)
        except OSError as error:
            raise translated(error) from error

    def prune(self, database: str, needed: set[str]) -> int:
        """Remove what this backup does not need: older ones' bytes and databases, and what was left half-written. How many."""
        gone = 0
        for file in [*self.root.glob("database-*"), *self.root.glob(".listing-*")]:
            if file.name != database:
                file.unlink()
        for algorithm in ALGORITHMS:
            for file in (self.root / algorithm).glob("??/*"):
                if f"{algorithm}:{file.name}" not in needed:
                    file.unlink()
                    gone += 1
        return gone


def file_sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
