"""
One installation with accounts for the tests of Container Analysis over HTTP; isolation is by new projects.

Tests of the room's own classes stand on a database of each kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from roadstead.analysis.notes import Notes
from roadstead.analysis.occurrences import Occurrences
from roadstead.analysis.room import Analysis
from roadstead.db.database import Database
from tests.drivers.test_database import DATABASES
from tests.kit.accounts import Installation, installed
from tests.kit.clock import Clock


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("analysis") / "data") as found:
        yield found


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    opened = (await asyncio.to_thread(DATABASES[request.param], tmp_path))()
    yield opened
    await opened.close()


@pytest.fixture
def room(database: Database, clock: Clock) -> Analysis:
    return Analysis.of(database, clock)


@pytest.fixture
def notes(room: Analysis) -> Notes:
    return room.notes


@pytest.fixture
def occurrences(room: Analysis) -> Occurrences:
    return room.occurrences
