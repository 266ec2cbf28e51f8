"""Notes: what can be said of many resources, once. Occurrences say of which."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from roadstead.analysis import assessments, filters, masks, names
from roadstead.analysis.filters import And, Condition, Tree
from roadstead.analysis.kinds import NOTE, Kind
from roadstead.analysis.queries import filters as shapes
from roadstead.analysis.queries import notes as queries
from roadstead.db.database import Database, Row, Transaction
from roadstead.errors import AlreadyExists, FieldInvalid, PermissionDenied, ResourceUnknown

if TYPE_CHECKING:
    from roadstead.analysis.scanned import Scanned

MOST_BYTES = 1024 * 1024
"""Of one note or occurrence as JSON."""
MOST_AT_ONCE = 1000
"""notes.batchCreate, occurrences.batchCreate."""

STEP = 100
MOST_CHARACTERS_A_PAGE = 4 * 1024 * 1024

_OUTPUT_ONLY = ("name", "kind", "createTime", "updateTime")


@dataclass(frozen=True, slots=True)
class Draft:
    """What a note says. content: as in the API, without name, kind and times, in the form that analysis/fields.py gives."""

    kind: Kind
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Note:
    """key: the row's. content: see Draft."""

    key: int
    project: str
    name: str
    kind: Kind
    content: Mapping[str, Any]
    created_at_us: int
    updated_at_us: int


@dataclass(frozen=True, slots=True)
class NotePage:
    """next_token is "" on the last page."""

    notes: Sequence[Note]
    next_token: str


class Notes:
    """Whoever calls must have been allowed to. What is the server's own is only read (analysis/scanned.py)."""

    def __init__(self, database: Database, scanned: Scanned, now_us: Callable[[], int]) -> None:
        self._database = database
        self._scanned = scanned
        self._now_us = now_us

    async def create(self, project: str, note_id: str, body: Any) -> Note:
        """body: a note as JSON. Raises FieldInvalid, AlreadyExists, PermissionDenied (a project of the server)."""
        (made,) = await self.create_many(project, {note_id: body})
        return made

    async def create_many(self, project: str, bodies: Mapping[str, Any]) -> list[Note]:
        """All or none, in the order given; keys are ids. Raises as create()."""
        _check_project(project)
        check_count(bodies, "notes")
        drafts = {names.check_note_id(note_id): draft(body) for note_id, body in bodies.items()}
        async with self._database.transaction() as tx:
            # In one order, so that two who make the same wait instead of blocking each other.
            for note_id in sorted(drafts):
                if not await self._add(tx, project, note_id, drafts[note_id]):
                    name = names.note(project, note_id)
                    raise AlreadyExists(f"there is a note {name} already: update it, or choose another noteId", {"name": name})
            made = [_found(await tx.one(queries.GET, _named(project, note_id)), project, note_id) for note_id in drafts]
            for each in made:
                await self._assess(tx, each.key, project, each.kind, each.content)
            return made

    async def _assess(self, tx: Transaction, key: int, project: str, kind: Kind, content: Mapping[str, Any]) -> None:
        if kind is Kind.VULNERABILITY_ASSESSMENT:
            await assessments.save(tx, key, project, content)

    async def get(self, project: str, note_id: str) -> Note:
        """Raises ResourceUnknown."""
        row = await self._database.one(queries.GET, _named(project, note_id))
        if row is None and project in names.OF_THE_SERVER:
            found = await self._scanned.note(project, note_id)
            if found is None:
                raise _unknown(project, note_id)
            return found
        return _found(row, project, note_id)

    async def list(self, project: str, filter_text: str = "", token: str = "", size: int = 20) -> NotePage:
        """A page of a project's notes, by their ids, or by the last change if the filter says since when. Raises FieldInvalid."""
        tree = filters.parse(filter_text)
        _check_columns(tree)
        if project in names.OF_THE_SERVER:
            if filter_text:
                raise FieldInvalid("the server's own notes are listed without a filter", {"field": "filter"})
            return await self._scanned.notes(project, token, size)
        form, values = shapes.shape(tree)
        since = _since(tree)
        statement = queries.by_name(form) if since is None else queries.by_update(form)
        after_us, after_id = (since or 0, 0) if since is None or not token else _place(token)
        values |= {"project": project, "after": token, "after_us": after_us, "after_id": after_id}
        rows: list[Row] = []
        characters, is_last = 0, False
        # As of occurrences, a page of large ones ends early.
        while len(rows) <= size and characters < MOST_CHARACTERS_A_PAGE and not is_last:
            most = min(STEP, size + 1 - len(rows))
            part = await self._database.all(statement, {**values, "most": most})
            rows += part
            characters += sum(len(row[4]) for row in part)
            is_last = len(part) < most
            if part:
                values |= {"after": part[-1][2], "after_us": part[-1][6], "after_id": part[-1][0]}
        found = [_note(row) for row in rows[:size]]
        if is_last and len(rows) <= size:
            return NotePage(found, "")
        last = found[-1]
        return NotePage(found, last.name if since is None else f"{last.updated_at_us}/{last.key}")

    async def update(self, project: str, note_id: str, body: Any, mask: str = "") -> Note:
        """
        body: a note as JSON, of which the mask's fields are taken; without a mask it replaces all. Its kind cannot change.

        Raises FieldInvalid, ResourceUnknown, PermissionDenied.
        """
        _check_project(project)
        given = NOTE.read(body, "note")
        paths = masks.parse(mask, NOTE)
        async with self._database.transaction() as tx:
            found = _found(await tx.one(queries.LOCK, _named(project, note_id)), project, note_id)
            whole = masks.merged({**found.content}, given, paths) if paths else given
            wanted = draft(whole)
            if wanted.kind is not found.kind:
                raise FieldInvalid(f"the note is of the kind {found.kind.name}, which cannot change", {"field": wanted.kind.field})
            await self._save(tx, found.key, wanted)
            await self._assess(tx, found.key, project, wanted.kind, wanted.content)
        return await self.get(project, note_id)

    async def delete(self, project: str, note_id: str) -> None:
        """Occurrences that are attached to it stay, and are those of a note made again. Raises ResourceUnknown, PermissionDenied."""
        _check_project(project)
        async with self._database.transaction() as tx:
            found = _found(await tx.one(queries.LOCK, _named(project, note_id)), project, note_id)
            await assessments.forget(tx, found.key)
            if not await tx.run(queries.DELETE_FREE, {"which": found.key}):
                await tx.run(queries.DELETE_ATTACHED, {"which": found.key, "nothing": "{}", "now_us": self._now_us()})

    async def _add(self, tx: Transaction, project: str, note_id: str, wanted: Draft) -> bool:
        values = {**_named(project, note_id), "new_kind": int(wanted.kind), "new_content": encoded(wanted.content)}
        return await tx.run(queries.ADD, {**values, "now_us": self._now_us()}) > 0

    async def _save(self, tx: Transaction, key: int, wanted: Draft) -> None:
        values = {"which": key, "new_kind": int(wanted.kind), "new_content": encoded(wanted.content)}
        await tx.run(queries.SAVE, {**values, "now_us": self._now_us()})


def draft(body: Any) -> Draft:
    """A note from JSON of any spelling. Raises FieldInvalid."""
    content = NOTE.read(body, "note")
    kind = kind_of(content, "note")
    return Draft(kind, {name: value for name, value in content.items() if name not in _OUTPUT_ONLY})


def kind_of(content: Mapping[str, Any], path: str) -> Kind:
    """That of the one detail, which is required; `kind` may repeat it. Raises FieldInvalid."""
    kinds = [kind for kind in Kind if kind.field in content]
    if not kinds:
        said = content.get("kind", "")
        hint = (
            f" `{Kind[said].field}`, as its kind says" if said in Kind.__members__ else f": one of {', '.join(kind.field for kind in Kind)}"
        )
        raise FieldInvalid(f"'{path}' needs{hint}", {"field": Kind[said].field if said in Kind.__members__ else path})
    if content.get("kind", kinds[0].name) != kinds[0].name:
        raise FieldInvalid(f"'{path}.kind' is {content['kind']}, but it has `{kinds[0].field}`", {"field": f"{path}.kind"})
    return kinds[0]


def encoded(content: Mapping[str, Any]) -> str:
    """As it is kept. Raises FieldInvalid for more than MOST_BYTES."""
    text = msgspec.json.encode(content)
    if len(text) > MOST_BYTES:
        raise FieldInvalid(f"a note or an occurrence may have {MOST_BYTES} bytes as JSON")
    return text.decode()


def check_count(bodies: Mapping[str, Any] | Sequence[Any], path: str) -> None:
    """Raises FieldInvalid."""
    if not 0 < len(bodies) <= MOST_AT_ONCE:
        raise FieldInvalid(f"'{path}' must have 1 to {MOST_AT_ONCE}", {"field": path})


def _check_project(project: str) -> None:
    if project in names.OF_THE_SERVER:
        raise PermissionDenied(f"what is in project {project} is the server's own: nobody else writes it", {"project": project})


def _check_columns(tree: Tree) -> None:
    if isinstance(tree, Condition):
        if tree.column not in queries.FILTERED_BY:
            raise FieldInvalid("notes can be filtered by kind, noteId, noteProjectId, createTime and updateTime", {"field": "filter"})
    else:
        for part in tree.parts if hasattr(tree, "parts") else (tree.part,):
            _check_columns(part)


def _since(tree: Tree) -> int | None:
    """What the filter says at its top: nothing that was changed before this."""
    parts = tree.parts if isinstance(tree, And) else (tree,)
    found = [
        int(part.value)
        for part in parts
        if isinstance(part, Condition) and part.column in ("created", "updated") and part.operator in ("=", ">", ">=")
    ]
    return max(found) if found else None


def _place(token: str) -> tuple[int, int]:
    first, _, second = token.partition("/")
    if not (first.isascii() and second.isascii() and first.isdigit() and second.isdigit() and len(token) < 40):
        raise FieldInvalid("pageToken must be the nextPageToken of the page before, with the same filter", {"field": "pageToken"})
    return min(int(first), 2**62), min(int(second), 2**62)


def _named(project: str, note_id: str) -> dict[str, Any]:
    return {"project": project, "note": note_id}


def _found(row: Row | None, project: str, note_id: str) -> Note:
    if row is None:
        raise _unknown(project, note_id)
    return _note(row)


def _unknown(project: str, note_id: str) -> ResourceUnknown:
    name = names.note(project, note_id)[:300]
    return ResourceUnknown(f"there is no note {name}", {"name": name})


def _note(row: Row) -> Note:
    return Note(int(row[0]), str(row[1]), str(row[2]), Kind(row[3]), msgspec.json.decode(row[4]), int(row[5]), int(row[6]))
