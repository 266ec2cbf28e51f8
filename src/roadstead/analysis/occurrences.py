"""Occurrences: that what a note says is so for one resource."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from roadstead.analysis import filters, masks, names, plans, resources
from roadstead.analysis.filters import Tree
from roadstead.analysis.kinds import OCCURRENCE, Kind
from roadstead.analysis.notes import MOST_CHARACTERS_A_PAGE, STEP, Note, check_count, encoded, kind_of
from roadstead.analysis.plans import Order, Plan
from roadstead.analysis.queries import filters as shapes
from roadstead.analysis.queries import notes as note_queries
from roadstead.analysis.queries import occurrences as queries
from roadstead.analysis.resources import Resource
from roadstead.analysis.vulnerabilities import finished, rating, with_note
from roadstead.db.database import Database, Row, Transaction
from roadstead.errors import Conflict, FieldInvalid, PermissionDenied, ResourceUnknown
from roadstead.scanner.severity import Severity

if TYPE_CHECKING:
    from roadstead.analysis.scanned import Scanned

_SCANNED = "scanned:"
"""How tokens of pages with what scanners found begin; these come after what is stored."""

_OUTPUT_ONLY = ("name", "kind", "createTime", "updateTime", "resourceUri", "noteName")


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants to say. note: (project, id). content: as in the API, without what other fields and the server say."""

    kind: Kind
    resource: Resource
    note: tuple[str, str]
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """
    name: the last part of its name. note: (project, id); the note may be deleted by now.

    content: as in the API, without what other fields here say; of a vulnerability with what its note says.
    """

    project: str
    name: str
    resource: Resource
    note: tuple[str, str]
    kind: Kind
    severity: Severity
    fixable: bool
    content: Mapping[str, Any]
    created_at_us: int
    updated_at_us: int


@dataclass(frozen=True, slots=True)
class OccurrencePage:
    """next_token is "" on the last page."""

    occurrences: Sequence[Occurrence]
    next_token: str


class Occurrences:
    """Whoever calls must have been allowed to, on the note too. What scanners find is only read here (analysis/scanned.py)."""

    def __init__(self, database: Database, scanned: Scanned, now_us: Callable[[], int]) -> None:
        self._database = database
        self._scanned = scanned
        self._now_us = now_us

    async def create(self, project: str, wanted: Draft) -> Occurrence:
        """Raises FieldInvalid, ResourceUnknown (the note), PermissionDenied (a note or project of the server)."""
        (made,) = await self.create_many(project, [wanted])
        return made

    async def create_many(self, project: str, wanted: Sequence[Draft]) -> list[Occurrence]:
        """All or none, in the order given. Raises as create()."""
        check_count(wanted, "occurrences")
        _check_writable(project, wanted)
        ids = [names.new_id() for _ in wanted]
        async with self._database.transaction() as tx:
            # In one order, so that two who need the same wait instead of blocking each other.
            notes = {each: await self._note(tx, each) for each in sorted({draft.note for draft in wanted})}
            keys = {uri: await resource_key(tx, project, Resource(uri)) for uri in sorted({draft.resource.uri for draft in wanted})}
            for occurrence_id, draft in zip(ids, wanted, strict=True):
                row = self._row(draft, notes[draft.note])
                place = {"project": project, "name": occurrence_id, "resource_id": keys[draft.resource.uri]}
                await tx.run(queries.ADD, {**place, **row, "with_scheme": int(draft.resource.with_scheme), "now_us": self._now_us()})
            return [_found(await tx.one(queries.GET, {"project": project, "occurrence": each}), project, each) for each in ids]

    async def get(self, project: str, occurrence_id: str) -> Occurrence:
        """Raises ResourceUnknown."""
        found = await self._scanned.get(project, occurrence_id)
        if found is not None:
            return found
        return _found(await self._database.one(queries.GET, {"project": project, "occurrence": occurrence_id}), project, occurrence_id)

    async def list(self, project: str, filter_text: str = "", token: str = "", size: int = 20) -> OccurrencePage:
        """A page of a project's, in an order that depends on the filter (analysis/plans.py). Raises FieldInvalid."""
        tree = filters.parse(filter_text)
        stored: Sequence[Occurrence] = ()
        if not token.startswith(_SCANNED):
            page = await self._page(plans.resumed(plans.plan(tree), token), tree, project, size, of_note=False)
            if page.next_token:
                return page
            stored, token = page.occurrences, _SCANNED
        found, more = await self._scanned.page(project, tree, token.removeprefix(_SCANNED), size - len(stored))
        return OccurrencePage([*stored, *found], _SCANNED + more if more else "")

    async def list_of_note(self, project: str, note_id: str, filter_text: str = "", token: str = "", size: int = 20) -> OccurrencePage:
        """A page of those attached to a note of project, whatever projects they are in. Raises FieldInvalid, ResourceUnknown."""
        if project in names.OF_THE_SERVER:
            raise FieldInvalid(
                f'what scanners found is listed by project: occurrences of your project with the filter noteId = "{note_id[:100]}"',
                {"field": "parent"},
            )
        if await self._database.one(note_queries.GET, {"project": project, "note": note_id}) is None:
            raise _no_note((project, note_id))
        tree = filters.parse(filter_text)
        plan = plans.resumed(plans.plan(tree, (project, note_id)), token)
        return await self._page(plan, tree, project, size, of_note=True)

    async def update(self, project: str, occurrence_id: str, body: Any, mask: str = "") -> Occurrence:
        """
        body: an occurrence as JSON, of which the mask's fields are taken; without a mask it replaces all. Its resource, its note and its
        kind cannot change.

        Raises FieldInvalid, ResourceUnknown, PermissionDenied.
        """
        given = OCCURRENCE.read(body, "occurrence")
        paths = masks.parse(mask, OCCURRENCE)
        await self._check_not_scanned(project, occurrence_id)
        async with self._database.transaction() as tx:
            row = await tx.one(queries.LOCK, {"project": project, "occurrence": occurrence_id})
            found = _found(row, project, occurrence_id)
            assert row is not None  # or _found() had raised
            _check_writable(project, [found])
            _check_unchanged(found, given, [path[0] for path in paths])
            stored = msgspec.json.decode(row[7])
            whole = masks.merged(stored, given, paths) if paths else given
            wanted = draft({**whole, "resourceUri": found.resource.written, "noteName": names.note(*found.note)})
            if wanted.kind is not found.kind:
                raise FieldInvalid(f"the occurrence is of the kind {found.kind.name}, which cannot change", {"field": wanted.kind.field})
            values = _content(wanted, msgspec.json.decode(row[15]))
            new = {f"new_{name}": values[name] for name in ("severity", "fixable", "content")}
            await tx.run(queries.SAVE, {"which": row[0], "new_note_id": row[12], **new, "now_us": self._now_us()})
        return await self.get(project, occurrence_id)

    async def delete(self, project: str, occurrence_id: str) -> None:
        """Raises ResourceUnknown, PermissionDenied."""
        await self._check_not_scanned(project, occurrence_id)
        async with self._database.transaction() as tx:
            row = await tx.one(queries.LOCK, {"project": project, "occurrence": occurrence_id})
            _check_writable(project, [_found(row, project, occurrence_id)])
            assert row is not None  # or _found() had raised
            await tx.run(queries.DELETE, {"which": row[0]})

    async def _check_not_scanned(self, project: str, occurrence_id: str) -> None:
        """Raises PermissionDenied."""
        found = await self._scanned.get(project, occurrence_id)
        if found is not None:
            _check_writable(project, [found])

    async def _page(self, plan: Plan, tree: Tree, project: str, size: int, *, of_note: bool) -> OccurrencePage:
        form, values = shapes.shape(tree)
        values["project"] = project
        if plan.note is not None:
            row = await self._database.one(note_queries.ID, {"project": plan.note[0], "note": plan.note[1]})
            if row is None:
                return OccurrencePage([], "")
            values["note_id"] = row[0]
        statement = queries.page(plan.order, form, of_note)
        rows: list[Row] = []
        characters, is_last = 0, False
        # One that is large may be as large as many others: a page ends early rather than being hundreds of megabytes.
        while len(rows) <= size and characters < MOST_CHARACTERS_A_PAGE and not is_last:
            most = min(STEP, size + 1 - len(rows))
            part = await self._database.all(statement, {**values, **parameters_of(plan), "most": most})
            rows += part
            characters += sum(len(row[7]) + len(row[15]) for row in part)
            is_last = len(part) < most
            if part:
                plan = replace(plan, after=_key(plan.order, part[-1]))
        said: dict[int, Any] = {}
        found = [_occurrence(row, said) for row in rows[:size]]
        is_last = is_last and len(rows) <= size
        return OccurrencePage(found, "" if is_last else plans.token(plan.order, _key(plan.order, rows[:size][-1])))

    async def _note(self, tx: Transaction, note: tuple[str, str]) -> Note:
        row = await tx.one(note_queries.SHARE, {"project": note[0], "note": note[1]})
        if row is None:
            raise _no_note(note)
        return Note(int(row[0]), str(row[1]), str(row[2]), Kind(row[3]), msgspec.json.decode(row[4]), int(row[5]), int(row[6]))

    def _row(self, wanted: Draft, note: Note) -> dict[str, Any]:
        if wanted.kind is not note.kind:
            name = names.note(*wanted.note)
            raise FieldInvalid(
                f"the note {name} is of the kind {note.kind.name}, so an occurrence of it has `{note.kind.field}`, not "
                f"`{wanted.kind.field}`",
                {"field": wanted.kind.field},
            )
        return {"note_id": note.key, "kind": int(wanted.kind), **_content(wanted, note.content)}


def draft(body: Any, path: str = "occurrence") -> Draft:
    """An occurrence from JSON of any spelling. Raises FieldInvalid."""
    content = OCCURRENCE.read(body, path)
    kind = kind_of(content, path)
    resource = resources.parse(content.get("resourceUri", ""), f"{path}.resourceUri")
    note = names.parse_note(content.get("noteName", ""), f"{path}.noteName")
    return Draft(kind, resource, note, {name: value for name, value in content.items() if name not in _OUTPUT_ONLY})


async def resource_key(tx: Transaction, project: str, resource: Resource) -> int:
    """The key of a resource's row, which is made if there is none."""
    where = {"project": project, "uri": resource.uri}
    row = await tx.one(queries.RESOURCE, where)
    if row is None:
        await tx.run(queries.ADD_RESOURCE, {**where, "digest": resource.digest})
        row = await tx.one(queries.RESOURCE, where)
    if row is None:
        raise Conflict("the resource's occurrences were removed at this moment: try again")
    return int(row[0])


def parameters_of(plan: Plan) -> dict[str, Any]:
    """Of the statements in queries/occurrences.py."""
    found: dict[str, Any] = {f"k{index}": value for index, value in enumerate(plan.after)}
    if plan.order is Order.KIND:
        found["last_kind"] = plan.last_kind
    if plan.order is Order.DIGEST:
        found["digest"] = plan.digest
    return found


def _content(wanted: Draft, note_content: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that come of the content."""
    if wanted.kind is not Kind.VULNERABILITY:
        return {"severity": 0, "fixable": 0, "content": encoded(wanted.content)}
    detail = finished(wanted.content["vulnerability"])
    severity, fixable = rating(detail, note_content)
    return {"severity": int(severity), "fixable": int(fixable), "content": encoded({**wanted.content, "vulnerability": detail})}


def _check_writable(project: str, each: Sequence[Draft | Occurrence]) -> None:
    for one in each:
        if project in names.OF_THE_SERVER or one.note[0] in names.OF_THE_SERVER:
            note = names.note(*one.note)
            raise PermissionDenied(f"what is said by {note} is the server's own: nobody else writes it", {"note": note})


def _check_unchanged(found: Occurrence, given: Mapping[str, Any], masked: Sequence[str]) -> None:
    same = {
        "resourceUri": resources.without_scheme(given.get("resourceUri", found.resource.uri)) == found.resource.uri,
        "noteName": "noteName" not in given or names.parse_note(given["noteName"]) == found.note,
    }
    for field, is_same in same.items():
        if not is_same or (field in masked and field not in given):
            raise FieldInvalid(f"'occurrence.{field}' cannot change: make a new occurrence", {"field": field})


def _no_note(note: tuple[str, str]) -> ResourceUnknown:
    name = names.note(*note)[:300]
    return ResourceUnknown(f"there is no note {name}", {"name": name})


def _found(row: Row | None, project: str, occurrence_id: str) -> Occurrence:
    if row is None:
        name = names.occurrence(project, occurrence_id)[:300]
        raise ResourceUnknown(f"there is no occurrence {name}", {"name": name})
    return _occurrence(row, {})


def _key(order: Order, row: Row) -> plans.Key:
    """See queries/occurrences.py for the columns."""
    match order:
        case Order.RESOURCE:
            return row[11], row[0]
        case Order.DIGEST:
            return row[10], row[0]
        case Order.NOTE:
            return row[1], row[0]
        case Order.TIME:
            return row[9], row[0]
        case Order.KIND:
            return row[3], row[4], row[5], row[0]


def _occurrence(row: Row, said: dict[int, Any]) -> Occurrence:
    """said: what notes say, by their keys, read before."""
    content, kind = msgspec.json.decode(row[7]), Kind(row[3])
    if kind is Kind.VULNERABILITY:
        note = said.get(row[12])
        if note is None:
            note = said[row[12]] = msgspec.json.decode(row[15])
        content["vulnerability"] = with_note(content.get("vulnerability", {}), note)
    return Occurrence(
        project=str(row[1]),
        name=str(row[2]),
        resource=Resource(str(row[11]), bool(row[6])),
        note=(str(row[13]), str(row[14])),
        kind=kind,
        severity=Severity(row[4]),
        fixable=bool(row[5]),
        content=content,
        created_at_us=int(row[8]),
        updated_at_us=int(row[9]),
    )
