"""
One installation with accounts for the tests of Container Analysis over HTTP; isolation is by new projects.

Tests of the room's own classes stand on a database of each kind.
"""

from __future__ import annotations

import pytest

from roadstead.analysis.notes import Notes
from roadstead.analysis.occurrences import Occurrences
from roadstead.analysis.room import Analysis
from roadstead.db.database import Database
from tests.drivers.conftest import connection
from tests.iam.conftest import anyio_backend, clock, database, door, installation, owner
from tests.kit.accounts import Installation
from tests.kit.clock import Clock

__all__ = ["anyio_backend", "clock", "connection", "database", "door", "installation", "owner"]

API = "containeranalysis.googleapis.com"


@pytest.fixture
def project(installation: Installation) -> str:
    made = installation.project()
    installation.enable(made, API)
    return made


@pytest.fixture
def room(database: Database, clock: Clock) -> Analysis:
    return Analysis.of(database, clock)


@pytest.fixture
def notes(room: Analysis) -> Notes:
    return room.notes


@pytest.fixture
def occurrences(room: Analysis) -> Occurrences:
    return room.occurrences
