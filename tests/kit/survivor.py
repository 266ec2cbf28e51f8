"""Reads what is left of a registry after a power loss, without starting it: the database by SQL, large blobs from the simulated disk."""

from __future__ import annotations

import random
import shutil
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from tests.kit.inodes import File
from tests.kit.ledger import BLOB, MANIFEST, TAG, Key
from tests.kit.load import digest_of
from tests.kit.powerloss import Disk

DATABASE = "registry.sqlite"
MANIFESTS = "SELECT r.name, m.digest, m.payload FROM manifests m JOIN repositories r ON r.id = m.repository_id"
TAGS = "SELECT r.name, t.name, m.digest FROM tags t JOIN repositories r ON r.id = t.repository_id JOIN manifests m ON m.id = t.manifest_id"
BLOBS = "SELECT id, location, digest, content, storage_key FROM blobs"
LINKS = "SELECT r.name, l.blob_id FROM blob_links l JOIN repositories r ON r.id = l.repository_id"


@dataclass
class Found:
    """digests: of the bytes that are there. damaged: rows whose bytes are not, acknowledged or not, and a database that is broken."""

    digests: dict[Key, str] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)


class Reader:
    """Remembers the digests of large files that did not change between two moments."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._digests: dict[tuple[File, int], str] = {}

    def read(self, disk: Disk, source: random.Random | None) -> Found:
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir()
        files = {path: node for path, node in disk.nodes(source) if isinstance(node, File)}
        for path in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-journal"):
            if path in files:
                (self._scratch / path).write_bytes(files[path].after(source))
        found = Found()
        connection = sqlite3.connect(self._scratch / DATABASE)
        try:
            self._read(connection, files, found, source)
        except sqlite3.DatabaseError as error:
            found.damaged.append(f"the database cannot be read: {error}")
        finally:
            connection.close()
        return found

    def _read(self, connection: sqlite3.Connection, files: dict[str, File], found: Found, source: random.Random | None) -> None:
        if connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'tags'").fetchone() == (0,):
            return  # lost before the first start was over
        said = [row[0] for row in connection.execute("PRAGMA quick_check")]
        if said != ["ok"]:
            found.damaged.append(f"quick_check: {said[:3]}")
        for repository, digest, payload in connection.execute(MANIFESTS):
            found.digests[Key(MANIFEST, repository, digest)] = digest_of(payload)
        for repository, name, digest in connection.execute(TAGS):
            found.digests[Key(TAG, repository, name)] = found.digests[Key(MANIFEST, repository, digest)]
        blobs: dict[int, tuple[str, str | None]] = {}
        for blob_id, location, digest, content, storage_key in connection.execute(BLOBS):
            actual = digest_of(content) if content is not None else self._digest(files.get(f"blobs/{location}/{storage_key}"), source)
            blobs[blob_id] = (digest, actual)
            if actual != digest:
                found.damaged.append(f"row of blob {digest} with storage key {storage_key}: its bytes have the digest {actual}")
        for repository, blob_id in connection.execute(LINKS):
            digest, actual = blobs[blob_id]
            if actual is not None:
                found.digests[Key(BLOB, repository, digest)] = actual

    def _digest(self, file: File | None, source: random.Random | None) -> str | None:
        if file is None:
            return None
        if file.pending:
            return digest_of(file.after(source))
        version = (file, file.synced)
        if version not in self._digests:
            self._digests[version] = digest_of(bytes(file.durable))
        return self._digests[version]
