"""However a list is walked, it gives what the filter says, once each, and a page costs what is on it, not what the project has."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from roadstead.analysis import filters, plans
from roadstead.analysis.kinds import Kind
from roadstead.analysis.notes import Notes
from roadstead.analysis.occurrences import Occurrence, Occurrences, draft
from roadstead.analysis.plans import Order
from roadstead.analysis.queries import filters as shapes
from roadstead.analysis.queries import notes as note_queries
from roadstead.analysis.queries import occurrences as queries
from roadstead.db.database import Statement
from roadstead.errors import FieldInvalid
from roadstead.scanner.severity import Severity
from tests.kit.clock import START_US, Clock

DIGESTS = ["sha256:" + letter * 64 for letter in "abc"]
HOLES = [("LOW", "MAXIMUM"), ("HIGH", "NORMAL"), ("CRITICAL", "NORMAL"), ("", "NORMAL")]
ABC = [f"gcr.io/one/app@{digest}" for digest in DIGESTS]
IN_FIVE_SECONDS = "2026-09-21T14:13:25Z"
"""5 s after the clock's start, and after each occurrence made until then."""

# A filter, and the same in Python.
Case = tuple[str, Callable[[Occurrence], bool], Order]
CASES: dict[str, Case] = {
    "everything": ("", lambda o: True, Order.KIND),
    "one kind": ('kind = "VULNERABILITY"', lambda o: o.kind == Kind.VULNERABILITY, Order.KIND),
    "two kinds": ('kind="VULNERABILITY" OR kind="ATTESTATION"', lambda o: o.kind in (1, 7), Order.KIND),
    "not a kind": ('NOT kind="VULNERABILITY"', lambda o: o.kind != 1, Order.KIND),
    "another kind than": ('kind != "BUILD"', lambda o: o.kind != 2, Order.KIND),
    "no kind at all": ('kind = "BUILD" AND kind = "SECRET"', lambda o: False, Order.KIND),
    "a severity": ('kind="VULNERABILITY" AND severity = "HIGH"', lambda o: o.severity == Severity.HIGH, Order.KIND),
    "a severity or more": (
        'kind="VULNERABILITY" AND vulnerability.effectiveSeverity >= HIGH',
        lambda o: o.kind == 1 and o.severity >= 4,
        Order.KIND,
    ),
    "what can be fixed": ("fixAvailable = true", lambda o: o.fixable, Order.KIND),
    "an image": (f'resourceUrl = "https://{ABC[0]}"', lambda o: o.resource.uri == ABC[0], Order.RESOURCE),
    "an image without scheme": (f'resource_url = "{ABC[0]}"', lambda o: o.resource.uri == ABC[0], Order.RESOURCE),
    "gcloud describe": (
        f'((kind = "VULNERABILITY") OR (kind = "DISCOVERY")) AND ((resourceUrl = "https://{ABC[1]}"))',
        lambda o: o.resource.uri == ABC[1] and o.kind in (1, 6),
        Order.RESOURCE,
    ),
    "gcloud list-tags": (
        f'((has_prefix(resourceUrl, "https://gcr.io/one/app")) AND (kind = "ATTESTATION" OR kind = "IMAGE")) AND '
        f'((resourceUrl = "https://{ABC[0]}") OR (resourceUrl = "https://{ABC[2]}"))',
        lambda o: o.resource.uri in (ABC[0], ABC[2]) and o.kind in (3, 7),
        Order.RESOURCE,
    ),
    "a prefix": ('has_prefix(resourceUrl, "https://gcr.io/one/a")', lambda o: o.resource.uri.startswith("gcr.io/one/a"), Order.RESOURCE),
    "no prefix": ('NOT has_prefix(resourceUrl, "gcr.io/one/app")', lambda o: not o.resource.uri.startswith("gcr.io/one/app"), Order.KIND),
    "gcloud attestations list": (f'has_suffix(resourceUrl, "{DIGESTS[1]}")', lambda o: o.resource.uri.endswith(DIGESTS[1]), Order.DIGEST),
    "another suffix": ('has_suffix(resourceUrl, "bbb")', lambda o: o.resource.uri.endswith("bbb"), Order.KIND),
    "a note": ('noteProjectId="one" AND noteId = "signed"', lambda o: o.note == ("one", "signed"), Order.NOTE),
    "a note by its name": ('noteName = "projects/one/notes/signed"', lambda o: o.note == ("one", "signed"), Order.NOTE),
    "a note's id": ('noteId = "signed"', lambda o: o.note[1] == "signed", Order.KIND),
    "not of a note": ('noteName != "projects/one/notes/signed"', lambda o: o.note != ("one", "signed"), Order.KIND),
    "no such note": ('noteName = "projects/one/notes/none"', lambda o: False, Order.NOTE),
    "a poller": (f'updateTime > "{IN_FIVE_SECONDS}"', lambda o: o.updated_at_us > START_US + 5_000_000, Order.TIME),
    "made since": (f'createTime >= "{IN_FIVE_SECONDS}"', lambda o: o.created_at_us >= START_US + 5_000_000, Order.TIME),
    "made before": (f'createTime < "{IN_FIVE_SECONDS}"', lambda o: o.created_at_us < START_US + 5_000_000, Order.KIND),
    "either of two": (
        f'resourceUrl = "{ABC[0]}" OR kind = "ATTESTATION"', lambda o: o.resource.uri == ABC[0] or o.kind == 7, Order.KIND
    ),
}  # fmt: skip


async def fill(notes: Notes, occurrences: Occurrences, clock: Clock) -> list[Occurrence]:
    """All of project `one`, among what others have."""
    made: list[Occurrence] = []
    await notes.create_many("two", {"signed": {"attestation": {}}})
    await notes.create_many("one", {"signed": {"attestation": {}}, "hole": {"vulnerability": {}}})
    for project, image in (("one", "one/app"), ("two", "one/app"), ("one", "one/other"), ("two", "two/app")):
        for digest in DIGESTS:
            address = f"https://gcr.io/{image}@{digest}"
            bodies: list[dict[str, Any]] = [
                {"noteName": "projects/one/notes/hole", "vulnerability": _hole(severity, kind)} for severity, kind in HOLES
            ]
            bodies += [{"noteName": f"projects/{owner}/notes/signed", "attestation": {}} for owner in ("one", "two")]
            clock.go(1)
            made += await occurrences.create_many(project, [draft({**body, "resourceUri": address}) for body in bodies])
    assert 72 == len(made)
    return made


def _hole(severity: str, kind: str) -> dict[str, Any]:
    issue = {"affectedPackage": "zlib", "fixedVersion": {"kind": kind, "fullName": "1.2"}}
    return {"packageIssue": [issue], **({"effectiveSeverity": severity} if severity else {})}


async def walk(occurrences: Occurrences, text: str, size: int, project: str = "one") -> list[str]:
    found, token = [], ""
    while True:
        page = await occurrences.list(project, text, token, size)
        assert len(page.occurrences) <= size
        found += [each.name for each in page.occurrences]
        token = page.next_token
        if not token:
            return found
        assert len(found) < 100


@pytest.mark.anyio
async def test_every_filter_gives_what_it_says_page_by_page(notes: Notes, occurrences: Occurrences, clock: Clock) -> None:
    made = await fill(notes, occurrences, clock)
    for name, (text, holds, order) in CASES.items():
        wanted = sorted(each.name for each in made if each.project == "one" and holds(each))
        for size in (1, 5, 100):
            assert wanted == sorted(await walk(occurrences, text, size)), name
        assert order is plans.plan(filters.parse(text)).order, name


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text, holds",
    [
        ("", lambda o: True),
        (f'has_suffix(resourceUrl, "{DIGESTS[1]}")', lambda o: o.resource.uri.endswith(DIGESTS[1])),
        (f'resourceUrl = "https://{ABC[0]}"', lambda o: o.resource.uri == ABC[0]),
        ('has_prefix(resourceUrl, "gcr.io/two/")', lambda o: o.resource.uri.startswith("gcr.io/two/")),
    ],
    ids=["all", "suffix", "resource", "prefix"],
)
async def test_occurrences_of_a_note_are_those_of_all_projects(
    notes: Notes, occurrences: Occurrences, clock: Clock, text: str, holds: Callable[[Occurrence], bool]
) -> None:
    """projects.notes.occurrences.list: all occurrences across consumer projects that reference the note."""
    made = await fill(notes, occurrences, clock)
    found: list[str] = []
    token = ""
    while True:
        page = await occurrences.list_of_note("two", "signed", text, token, 5)
        found += [each.name for each in page.occurrences]
        token = page.next_token
        if not token:
            break

    assert sorted(each.name for each in made if each.note == ("two", "signed") and holds(each)) == sorted(found)


@pytest.mark.anyio
async def test_a_token_is_good_for_its_own_filter(notes: Notes, occurrences: Occurrences, clock: Clock) -> None:
    await fill(notes, occurrences, clock)
    token = (await occurrences.list("one", "", "", 1)).next_token

    for text, other in (
        (f'resourceUrl = "{ABC[0]}"', token),
        ("", "nonsense"),
        ("", "[]"),
        ("", '["k",1]'),
        ("", '["k","a","b","c","d"]'),
        ("", f'["k",{10**30},0,0,0]'),
    ):
        with pytest.raises(FieldInvalid):
            await occurrences.list("one", text, other, 1)


# What it costs


def steps(connection: sqlite3.Connection, statement: Statement, values: dict[str, Any]) -> list[str]:
    sql, fixed = statement.sqlite
    return [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", fixed | values)]


def values_of(plan: plans.Plan, parameters: dict[str, Any]) -> dict[str, Any]:
    from roadstead.analysis.occurrences import parameters_of

    return {**parameters, **parameters_of(plan), "project": "one", "note_id": 1, "most": 10}


INDEXES = {
    Order.RESOURCE: "occurrence_resources_by_uri",
    Order.DIGEST: "occurrence_resources_by_digest",
    Order.NOTE: "occurrences_by_note",
    Order.TIME: "occurrences_by_update",
    Order.KIND: "occurrences_by_kind",
}


@pytest.mark.parametrize("of_note", [False, True], ids=["of a project", "of a note"])
@pytest.mark.parametrize("case", CASES)
def test_a_page_is_read_along_one_index_and_nothing_is_sorted(connection: sqlite3.Connection, case: str, of_note: bool) -> None:
    tree = filters.parse(CASES[case][0])
    plan = plans.plan(tree, ("one", "signed") if of_note else None)
    form, parameters = shapes.shape(tree)

    found = steps(connection, queries.page(plan.order, form, of_note), values_of(plan, parameters))

    # A row that is found by its key may come first.
    assert INDEXES[plan.order] in next(step for step in found if "rowid=?" not in step)
    assert [] == [step for step in found if step.startswith("SCAN") or "TEMP B-TREE" in step], found


@pytest.mark.parametrize("text", ["", 'kind = "BUILD"', 'createTime > "2026-01-01T00:00:00Z"', 'noteId = "x" OR kind != "BUILD"'])
def test_a_page_of_notes_is_read_along_one_index(connection: sqlite3.Connection, text: str) -> None:
    form, parameters = shapes.shape(filters.parse(text))
    statement = note_queries.by_update(form) if "Time" in text else note_queries.by_name(form)

    found = steps(connection, statement, {**parameters, "project": "p", "after": "", "after_us": 0, "after_id": 0, "most": 10})

    assert [] == [step for step in found if step.startswith("SCAN") or "TEMP B-TREE" in step], found


@pytest.mark.parametrize("name", ["GET", "LOCK", "RESOURCE", "OF_PROJECT", "RESOURCES_OF_PROJECT", "DELETE", "DELETE_RESOURCE"])
def test_every_other_statement_has_an_index(connection: sqlite3.Connection, name: str) -> None:
    values = {"occurrence": "x", "project": "p", "uri": "u", "resource_id": 1, "kind": 1, "provider": "g", "most": 1, "which": 1}

    found = steps(connection, getattr(queries, name), values)

    assert [] == [step for step in found if step.startswith("SCAN") or "TEMP B-TREE" in step], found
