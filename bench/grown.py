"""An installation that has grown: rows of many tags and repositories, made in bulk, because pushing them would take hours."""

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

from client import OCI_MANIFEST, sha256
from content import manifest

REPOSITORY = "bench-project/grown"
_NOW_US = 1_700_000_000_000_000


def tag(number: int) -> str:
    return f"t{number:07d}"


def other(number: int) -> str:
    return f"bench-project/other-{number:06d}"


def _payload(name: str) -> bytes:
    """A manifest without layers; its config is the empty blob of two bytes."""
    config = {"digest": f"sha256:{sha256(b'{}')}", "size": 2}
    return manifest(config, [])[:-1] + f',"annotations":{{"name":{json.dumps(name)}}}}}'.encode()


def _manifest(number: int, repository: int, name: str) -> tuple:
    payload = _payload(name)
    digest = f"sha256:{sha256(payload)}"
    kind = "application/vnd.oci.image.config.v1+json"
    return number, repository, digest, OCI_MANIFEST, kind, "{}", len(payload), payload, _NOW_US, 2, _NOW_US // 1000


def rows(tags: int, repositories: int) -> Iterator[tuple[str, str, list[tuple]]]:
    """(table, columns, rows). One repository with all the tags, ten to a manifest, and others of one manifest and one tag each."""
    manifests = -(-tags // 10)
    yield "blobs", "id, location, digest, size_bytes, content, created_at_us", [(1, "gcr", f"sha256:{sha256(b'{}')}", 2, b"{}", _NOW_US)]
    names = [REPOSITORY, *(other(number) for number in range(repositories))]
    yield "repositories", "id, location, name, created_at_us", [(i, "gcr", name, _NOW_US) for i, name in enumerate(names, 1)]
    yield "blob_links", "repository_id, blob_id", [(i, 1) for i in range(1, len(names) + 1)]
    of = [1] * manifests + list(range(2, repositories + 2))
    step = 20_000
    columns = "id, repository_id, digest, media_type, artifact_type, annotations, size_bytes, payload, pushed_at_us, image_size_bytes, created_at_ms"
    for first in range(0, len(of), step):
        chunk = [_manifest(i + 1, of[i], f"{i}") for i in range(first, min(first + step, len(of)))]
        yield "manifests", columns, chunk
        yield "manifest_blobs", "manifest_id, blob_id, repository_id", [(row[0], 1, row[1]) for row in chunk]
    for first in range(0, tags, step):
        chunk = [(1, tag(i), i // 10 + 1, _NOW_US) for i in range(first, min(first + step, tags))]
        yield "tags", "repository_id, name, manifest_id, updated_at_us", chunk
    chunk = [(i + 2, "latest", manifests + i + 1, _NOW_US) for i in range(repositories)]
    yield "tags", "repository_id, name, manifest_id, updated_at_us", chunk


def fill_sqlite(file: Path, tags: int, repositories: int) -> None:
    connection = sqlite3.connect(file)
    with connection:
        for table, columns, chunk in rows(tags, repositories):
            marks = ", ".join("?" * len(columns.split(",")))
            connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", chunk)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("ANALYZE")
    connection.close()


def fill_postgres(psql: list[str], tags: int, repositories: int) -> None:
    """psql: the command with its address."""
    process = subprocess.Popen([*psql, "-v", "ON_ERROR_STOP=1", "-q"], stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(b"BEGIN;\n")
    for table, columns, chunk in rows(tags, repositories):
        process.stdin.write(f"COPY {table} ({columns}) FROM STDIN;\n".encode())
        for row in chunk:
            process.stdin.write(
                "\t".join(f"\\\\x{value.hex()}" if isinstance(value, bytes) else str(value) for value in row).encode() + b"\n"
            )
        process.stdin.write(b"\\.\n")
    for table in ("blobs", "repositories", "manifests"):
        process.stdin.write(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}));\n".encode())
    process.stdin.write(b"COMMIT; ANALYZE; CHECKPOINT;\n")
    process.stdin.close()
    if process.wait():
        raise RuntimeError("psql failed")
