"""
A folder as a blob store.

    uploads/UPLOAD                       bytes of an upload, in order, as they came
    sha256/ab/abcd….KEY                  finished bytes; KEY is random, see store.py
    quarantine/                          what `roadstead check --repair` found damaged

What touches many bytes or syncs runs in threads; the rest is a few system calls and is done where it is asked for.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import functools
import os
import secrets
import stat
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from roadstead.blobs.store import StoredBytes, unknown_upload, unreadable
from roadstead.errors import StorageBroken, StorageError, StorageFull, UploadInvalid
from roadstead.oci.digest import ALGORITHMS, Digest

if TYPE_CHECKING:
    from hashlib import _Hash

T = TypeVar("T")

READ_BYTES = 1024 * 1024
FLUSH_EVERY_BYTES = 32 * 1024 * 1024
REMEMBERED_HASHES = 256


class FilesystemBlobStore:
    def __init__(self, root: Path, threads: ThreadPoolExecutor) -> None:
        self.root = root
        self._threads = threads
        self._uploads = root / "uploads"
        for folder in (root, self._uploads, root / "quarantine"):
            folder.mkdir(parents=True, exist_ok=True)
        self._shards: set[Path] = set()
        self._hashes = _Hashes()

    async def offload(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, functools.partial(work, *arguments))

    async def begin(self, upload: str) -> None:
        try:
            os.close(os.open(self._uploads / upload, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise translated(error) from error

    async def resume(self, upload: str) -> FilesystemUpload:
        try:
            fd = os.open(self._uploads / upload, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise unknown_upload() from error
        except OSError as error:
            raise translated(error) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            raise UploadInvalid("another request is still writing this upload: ask for its state and go on from there") from error
        if not self._is_staged(upload, fd):
            os.close(fd)
            raise unknown_upload()
        return FilesystemUpload(self, upload, fd, self._hashes)

    def _is_staged(self, upload: str, fd: int) -> bool:
        """Between our open and our lock another request may have made a blob of the file: then it must not be written any more."""
        try:
            return os.path.samestat(os.stat(self._uploads / upload), os.fstat(fd))
        except FileNotFoundError:
            return False

    async def offset(self, upload: str) -> int:
        try:
            return os.stat(self._uploads / upload).st_size
        except FileNotFoundError as error:
            raise unknown_upload() from error

    async def expire(self, before_us: int) -> int:
        gone = 0
        for entry in os.scandir(self._uploads):
            try:
                if entry.stat().st_mtime_ns // 1000 < before_us:
                    os.unlink(entry.path)
                    gone += 1
            except FileNotFoundError:
                continue
        return gone

    async def sweep(self, before_us: int) -> int:
        """An upload is a file and expires as one."""
        return 0

    def path(self, key: str) -> Path:
        return self.root / key

    async def stream(self, key: str, start_bytes: int, length_bytes: int) -> AsyncIterator[bytes]:
        try:
            fd = os.open(self.path(key), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise unreadable() from error
        try:
            offset, end = start_bytes, start_bytes + length_bytes
            while offset < end:
                chunk = await self.offload(os.pread, fd, min(READ_BYTES, end - offset), offset)
                if not chunk:
                    raise unreadable()
                offset += len(chunk)
                yield chunk
        finally:
            os.close(fd)

    async def url(self, key: str) -> str | None:
        return None

    async def digest_of(self, key: str, algorithm: str) -> tuple[int, Digest] | None:
        return await self.offload(self._read_whole, self.path(key), algorithm)

    def _read_whole(self, file: Path, algorithm: str) -> tuple[int, Digest] | None:
        try:
            fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return os.fstat(fd).st_size, file_digest(fd, algorithm)
        except OSError as error:
            raise unreadable() from error
        finally:
            os.close(fd)

    async def copy_in(self, digest: Digest, batches: AsyncIterator[Sequence[bytes]]) -> str:
        name = secrets.token_hex(16)
        await self.begin(name)
        staged = await self.resume(name)
        try:
            await staged.receive(batches)
            return await staged.seal(digest)
        finally:
            await staged.discard()
            staged.close()

    async def remove(self, key: str) -> None:
        try:
            await self.offload(functools.partial(self.path(key).unlink, missing_ok=True))
        except OSError as error:
            raise translated(error) from error

    async def quarantine(self, key: str) -> None:
        source = self.path(key)
        if source.exists():
            source.rename(self.root / "quarantine" / source.name)

    async def check(self) -> None:
        if not await self.offload(os.access, self._uploads, os.W_OK | os.X_OK):
            raise StorageBroken(f"the folder {self._uploads} is gone, or may not be written")

    async def open_uploads(self) -> int:
        return len(await self.offload(os.listdir, self._uploads))

    async def stored(self) -> AsyncIterator[list[StoredBytes]]:
        for algorithm in ALGORITHMS:
            for folder in sorted((self.root / algorithm).glob("??")):
                found = await self.offload(_files, folder, f"{algorithm}/{folder.name}")
                if found:
                    yield found

    def shard(self, digest: Digest) -> Path:
        """The folder for a digest, made durable before anything is put in it."""
        folder = self.root / digest.algorithm / digest.encoded[:2]
        if folder not in self._shards:
            for made in (folder.parent, folder):
                made.mkdir(exist_ok=True)
                fsync_folder(made.parent)
            self._shards.add(folder)
        return folder


class FilesystemUpload:
    """Hashes while it writes, so that finishing needs no second reading when the requests meet in one process."""

    def __init__(self, store: FilesystemBlobStore, upload: str, fd: int, hashes: _Hashes) -> None:
        self.row: str | None = None
        self._store = store
        self._upload = upload
        self._file = store.root / "uploads" / upload
        self._fd = fd
        self._hashes = hashes
        self.offset_bytes = os.fstat(fd).st_size
        self._hash = hashes.take(upload, self.offset_bytes)
        self._flusher: threading.Thread | None = None
        self._flush_error: OSError | None = None
        self._flushed_bytes = self.offset_bytes
        os.lseek(fd, self.offset_bytes, os.SEEK_SET)

    async def receive(self, batches: AsyncIterator[Sequence[bytes]]) -> None:
        async for batch in batches:
            await self._store.offload(self._write, batch)

    def _write(self, pieces: Sequence[bytes]) -> None:
        try:
            _write_all(self._fd, pieces)
        except OSError as error:
            os.ftruncate(self._fd, self.offset_bytes)
            os.lseek(self._fd, self.offset_bytes, os.SEEK_SET)
            raise translated(error) from error
        for piece in pieces:
            self.offset_bytes += len(piece)
            if self._hash is not None:
                self._hash.update(piece)
        if self.offset_bytes - self._flushed_bytes >= FLUSH_EVERY_BYTES:
            self._flush_ahead()

    def _flush_ahead(self) -> None:
        """Let the disk work while bytes still come, so that the fsync at the end finds little to do."""
        if self._flusher is not None and self._flusher.is_alive():
            return
        self._flushed_bytes = self.offset_bytes
        self._flusher = threading.Thread(target=self._flush, args=(os.dup(self._fd),))
        self._flusher.start()

    def _flush(self, fd: int) -> None:
        # The kernel tells of a write error once. Whoever goes on with this upload would not hear of it, so the upload is over.
        try:
            os.fdatasync(fd)
        except OSError as error:
            self._flush_error = error
            self._drop()
        finally:
            os.close(fd)

    async def content(self) -> bytes:
        return os.pread(self._fd, self.offset_bytes, 0)

    async def digest(self, algorithm: str) -> Digest:
        if algorithm == "sha256" and self._hash is not None:
            return Digest(f"sha256:{self._hash.hexdigest()}")
        return await self._store.offload(file_digest, self._fd, algorithm)

    async def seal(self, digest: Digest) -> str:
        return await self._store.offload(self._seal, digest)

    def _seal(self, digest: Digest) -> str:
        try:
            folder = self._store.shard(digest)
            name = f"{digest.encoded}.{secrets.token_hex(4)}"
            if self._flusher is not None:
                self._flusher.join()
            if self._flush_error is not None:
                raise self._flush_error
            os.fsync(self._fd)
            os.rename(self._file, folder / name)
            fsync_folder(folder)
        except OSError as error:
            # What a failed sync has dropped, a second one would not miss.
            self._drop()
            raise translated(error) from error
        return f"{digest.algorithm}/{folder.name}/{name}"

    async def discard(self) -> None:
        self._drop()

    async def free(self) -> None:
        self._drop()

    def _drop(self) -> None:
        self._file.unlink(missing_ok=True)
        self._hash = None

    def close(self) -> None:
        if self._hash is not None:
            self._hashes.keep(self._upload, self.offset_bytes, self._hash)
        # A flusher may still have the file open, and with it the lock.
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        os.close(self._fd)


class _Hashes:
    """
    SHA-256 states of uploads between two requests of this process, by upload and offset.

    Forgetting one costs a second reading of the staged file, nothing else.
    """

    def __init__(self) -> None:
        self._states: OrderedDict[str, tuple[int, _Hash]] = OrderedDict()

    def take(self, upload: str, offset_bytes: int) -> _Hash | None:
        known_bytes, state = self._states.pop(upload, (0, None))
        if offset_bytes == 0:
            return ALGORITHMS["sha256"]()
        return state if known_bytes == offset_bytes else None

    def keep(self, upload: str, offset_bytes: int, state: _Hash) -> None:
        self._states[upload] = (offset_bytes, state)
        if len(self._states) > REMEMBERED_HASHES:
            self._states.popitem(last=False)


def file_digest(fd: int, algorithm: str) -> Digest:
    hasher = ALGORITHMS[algorithm]()
    offset = 0
    while chunk := os.pread(fd, READ_BYTES, offset):
        hasher.update(chunk)
        offset += len(chunk)
    return Digest(f"{algorithm}:{hasher.hexdigest()}")


def fsync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def translated(error: OSError) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("the server's disk is full: nothing was stored; free some space and try again")
    return StorageBroken(f"the server's disk did not do its work ({os.strerror(error.errno or 0)}): nothing was stored; try again")


def _files(folder: Path, prefix: str) -> list[StoredBytes]:
    found = []
    for entry in os.scandir(folder):
        try:
            state = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(state.st_mode):
            found.append(StoredBytes(f"{prefix}/{entry.name}", state.st_size, state.st_ctime_ns // 1000))
    return found


def _write_all(fd: int, pieces: Sequence[bytes]) -> None:
    for start in range(0, len(pieces), 512):
        batch = pieces[start : start + 512]
        expected = sum(map(len, batch))
        written = os.writev(fd, batch)
        if written != expected:
            # A short write is what a disk does just before it is full; the rest says so.
            rest = memoryview(b"".join(batch))[written:]
            while rest:
                rest = rest[os.write(fd, rest) :]
