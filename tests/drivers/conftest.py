"""Plans of queries are asked of an empty database with the schema."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from roadstead.db.migrate import migrate_sqlite


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    file = tmp_path_factory.mktemp("plans") / "registry.sqlite"
    migrate_sqlite(file)
    opened = sqlite3.connect(file)
    yield opened
    opened.close()
