"""Container Analysis: notes. Those in the server's own projects (goog-vulnz, goog-analysis) everybody may read and nobody may write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roadstead.analysis import names
from roadstead.analysis.notes import Note
from roadstead.api.google import json
from roadstead.api.google.containeranalysis import (
    MOST_BATCH_BYTES,
    PAGE_SIZE,
    PARENTS,
    body,
    listed,
    of_batch,
    of_note,
    parent,
    policy_routes,
)
from roadstead.api.google.routing import Call, Route

_PERMISSION = "containeranalysis.notes."


def shown(note: Note, location: str) -> dict[str, Any]:
    return {
        "name": names.note(note.project, note.name, location),
        "kind": note.kind.name,
        **note.content,
        **({"createTime": json.time_of(note.created_at_us)} if note.created_at_us else {}),
        **({"updateTime": json.time_of(note.updated_at_us)} if note.updated_at_us else {}),
    }


async def _create(call: Call) -> dict[str, Any]:
    project, location = await parent(call)
    note_id = call.parameter("noteId")
    call.details["note"] = note_id[:300]
    return shown(await call.services.analysis.notes.create(project, note_id, await body(call)), location)


async def _batch_create(call: Call) -> dict[str, Any]:
    project, location = await parent(call)
    bodies = of_batch(await body(call, MOST_BATCH_BYTES), "notes", dict, names.parent(project, location))
    call.details["notes"] = len(bodies)
    return {"notes": [shown(each, location) for each in await call.services.analysis.notes.create_many(project, bodies)]}


async def _list(call: Call) -> dict[str, Any]:
    project, location = await parent(call)
    page = call.page(PAGE_SIZE)
    found = await call.services.analysis.notes.list(project, call.parameter("filter"), page.token, page.size)
    return listed("notes", [shown(each, location) for each in found.notes], found.next_token)


async def _get(call: Call) -> dict[str, Any]:
    project, location = await parent(call)
    return shown(await call.services.analysis.notes.get(project, call.variables["note"]), location)


async def _update(call: Call) -> dict[str, Any]:
    project, location = await parent(call)
    wanted, mask = await body(call), call.parameter("updateMask")
    return shown(await call.services.analysis.notes.update(project, call.variables["note"], wanted, mask), location)


async def _delete(call: Call) -> dict[str, Any]:
    project, _ = await parent(call)
    await call.services.analysis.notes.get(project, call.variables["note"])
    # Rights first: a note without them is nobody's, rights without a note would be those of the next one of this name.
    await call.services.policies.remove(call.resource)
    await call.services.analysis.notes.delete(project, call.variables["note"])
    return {}


def _routes(above: str) -> Sequence[Route]:
    every, one = above + "/notes", above + "/notes/{note}"
    return (
        Route("POST", every, _create, _PERMISSION + "create"),
        Route("POST", every + ":batchCreate", _batch_create, _PERMISSION + "create"),
        Route("GET", every, _list, _PERMISSION + "list", open_in=names.OF_THE_SERVER),
        Route("GET", one, _get, _PERMISSION + "get", of_note, open_in=names.OF_THE_SERVER),
        Route("PATCH", one, _update, _PERMISSION + "update", of_note),
        Route("DELETE", one, _delete, _PERMISSION + "delete", of_note),
        *policy_routes(one, _PERMISSION),
    )


ROUTES: Sequence[Route] = tuple(route for above in PARENTS for route in _routes(above))
