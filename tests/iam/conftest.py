"""
One installation with accounts for all tests of identity and access; isolation is by new projects.

Tests of the room's own classes stand on a database of each kind, a clock that the test sets, and a generation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from roadstead.db.database import Database
from roadstead.iam.generation import Generation, SharedNumber
from tests.drivers.test_database import DATABASES, Open, done_with
from tests.kit.accounts import Installation, installed
from tests.kit.clock import Clock


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("accounts") / "data") as found:
        yield found


@pytest.fixture
def owner(installation: Installation) -> httpx.Client:
    return installation.owner


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=DATABASES)
async def door(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    yield await asyncio.to_thread(DATABASES[request.param], tmp_path)
    await asyncio.to_thread(done_with, tmp_path)


@pytest.fixture
async def database(door: Open) -> AsyncIterator[Database]:
    opened = door()
    yield opened
    await opened.close()


@pytest.fixture
async def other_node(door: Open) -> AsyncIterator[Database]:
    """Another process's or node's door to the same database."""
    opened = door()
    yield opened
    await opened.close()


@pytest.fixture
def generation(database: Database) -> Generation:
    return Generation(database, SharedNumber())
