"""analysis/removal.py: what was said in a project that is gone goes with it; what others said stays, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from roadstead.analysis import removal
from roadstead.analysis.notes import Notes
from roadstead.analysis.occurrences import Occurrences, draft
from roadstead.analysis.removal import Removal
from roadstead.db import schema
from roadstead.db.database import Database, Statement
from roadstead.errors import ResourceUnknown
from tests.kit.clock import Clock

pytestmark = pytest.mark.anyio

MANY = 3 * removal.BATCH // 2


def about(project: str, number: int = 0) -> Any:
    return draft({"resourceUri": f"https://gcr.io/x/{number}", "noteName": f"projects/{project}/notes/signed", "attestation": {}})


async def count(database: Database, table: Any, project: str) -> int:
    row = await database.one(Statement(select(func.count()).select_from(table).where(table.c.project == project)), {})
    assert row is not None
    return int(row[0])


async def test_nothing_of_it_stays_and_nothing_of_others_goes(
    database: Database, notes: Notes, occurrences: Occurrences, clock: Clock
) -> None:
    """More than one transaction removes, and doing it twice does no harm: a job may run again."""
    for project in ("gone", "stays"):
        await notes.create_many(project, {"signed": {"attestation": {}}, "other": {"build": {}}})
    await occurrences.create_many("gone", [about("gone", number) for number in range(MANY)])
    await occurrences.create("gone", about("stays"))
    attached = await occurrences.create("stays", about("gone"))
    kept = await occurrences.create("stays", about("stays"))

    for _ in range(2):
        await Removal(database, clock).of_project(b"gone")

    assert [0, 0] == [await count(database, table, "gone") for table in (schema.occurrences, schema.occurrence_resources)]
    assert [] == (await notes.list("gone")).notes
    assert {attached.name, kept.name} == {each.name for each in (await occurrences.list("stays")).occurrences}
    assert ("gone", "signed") == (await occurrences.get("stays", attached.name)).note
    assert ["other", "signed"] == [note.name for note in (await notes.list("stays")).notes]
    with pytest.raises(ResourceUnknown):
        await notes.get("gone", "signed")
    assert 1 == await count(database, schema.notes, "gone"), "the name, as long as an occurrence of others needs it"
