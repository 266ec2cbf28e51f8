"""A look inside an installation, past the server: its files or objects, and its rows. For tests that damage them, or count them."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg

from tests.kit.engines import ENGINES
from tests.kit.server import Server


class Inside:
    """Of what a Server stands on. An S3 server of the tests keeps each object as a file, so both are files here."""

    def __init__(self, server: Server) -> None:
        self._data = server.data
        self._database = server.env.get("ROADSTEAD_DATABASE")
        locations = server.env.get("ROADSTEAD_LOCATIONS")
        self._bucket = re.match(r"s3://([^/]+)", json.loads(locations)["gcr"]["storage"]) if locations else None

    def files(self) -> list[Path]:
        """Of finished blobs, and of segments of uploads where these are objects."""
        return self._found("blobs/*/sha256/*/*", "*/blobs/*/*")

    def stored_bytes(self) -> int:
        """Of files(); what is removed meanwhile does not count."""
        total = 0
        for file in self.files():
            with suppress(FileNotFoundError):
                total += file.stat().st_size
        return total

    def uploads(self) -> list[Path]:
        return self._found("blobs/*/uploads/*", "*/nothing")

    def quarantine(self) -> list[Path]:
        return self._found("blobs/*/quarantine/*", "*/quarantine/*")

    def _found(self, folder: str, bucket: str) -> list[Path]:
        top, pattern = self._data, folder
        if self._bucket is not None:
            top, pattern = ENGINES.s3().folder / "objects" / self._bucket[1], bucket
        # Path.glob fails where a folder is removed meanwhile, as S3 servers do with empty ones.
        every = [Path(root, name) for root, _, names in os.walk(top) for name in names]
        return [
            file for file in every if file.relative_to(top).match(pattern) and len(file.relative_to(top).parts) == pattern.count("/") + 1
        ]

    def file_of(self, digest: str) -> Path:
        """Where the blob's bytes are."""
        ((key,),) = self.rows("SELECT storage_key FROM blobs WHERE digest = ?", digest)
        (file,) = [file for file in self.files() if str(file).endswith(f"/{key}")]
        return file

    def rows(self, statement: str, *values: object) -> Sequence[Sequence[Any]]:
        """Run one statement, with ? for each value, and commit."""
        if self._database:
            return asyncio.run(self._ask(statement, values))
        connection = sqlite3.connect(self._data / "registry.sqlite")
        try:
            with connection:
                return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    async def _ask(self, statement: str, values: Sequence[object]) -> Sequence[Sequence[Any]]:
        numbers = itertools.count(1)
        connection = await asyncpg.connect(self._database)
        try:
            return [tuple(row) for row in await connection.fetch(re.sub(r"\?", lambda _: f"${next(numbers)}", statement), *values)]
        finally:
            await connection.close()
