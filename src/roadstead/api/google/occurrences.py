"""
Container Analysis: occurrences.

Who makes one needs `occurrences.create` on the project and `notes.attachOccurrence` on the note, which may be in another project. Who may
read an occurrence may read its note: a provider's notes are for those who have occurrences of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from roadstead.analysis import names
from roadstead.analysis.occurrences import Draft, Occurrence, OccurrencePage, draft
from roadstead.analysis.resources import Resource
from roadstead.analysis.summaries import Count
from roadstead.api.google import json, notes
from roadstead.api.google.containeranalysis import (
    MOST_BATCH_BYTES,
    PAGE_SIZE,
    PARENTS,
    body,
    listed,
    of_batch,
    of_note,
    of_occurrence,
    parent,
    policy_routes,
)
from roadstead.api.google.routing import Call, Route
from roadstead.errors import ResourceUnknown
from roadstead.iam import resources
from roadstead.scanner.severity import Severity

_PERMISSION = "containeranalysis.occurrences."
_ATTACH = "containeranalysis.notes.attachOccurrence"


def shown(occurrence: Occurrence, location: str) -> dict[str, Any]:
    return {
        "name": names.occurrence(occurrence.project, occurrence.name, location),
        "resourceUri": occurrence.resource.written,
        "noteName": names.note(*occurrence.note),
        "kind": occurrence.kind.name,
        **occurrence.content,
        "createTime": json.time_of(occurrence.created_at_us),
        "updateTime": json.time_of(occurrence.updated_at_us),
    }


async def _create(call: Call) -> dict[str, Any]:
    project, location = await parent(call)
    (wanted,) = await _attachable(call, [draft(await body(call))])
    call.details["note"], call.details["occurrenceOf"] = names.note(*wanted.note), wanted.resource.written[:300]
    made = await call.services.analysis.occurrences.create(project, wanted)
    call.details["occurrence"] = made.name
    return shown(made, location)


async def _batch_create(call: Call) -> dict[str, Any]:
    project, location = await parent(call)
    bodies = of_batch(await body(call, MOST_BATCH_BYTES), "occurrences", list, names.parent(project, location))
    # Thousands of messages are read apart from other requests.
    drafts = await asyncio.to_thread(lambda: [draft(each, f"occurrences[{index}]") for index, each in enumerate(bodies)])
    wanted = await _attachable(call, drafts)
    call.details["occurrences"] = len(wanted)
    made = await call.services.analysis.occurrences.create_many(project, wanted)
    return {"occurrences": [shown(each, location) for each in made]}


async def _attachable(call: Call, wanted: Sequence[Draft]) -> list[Draft]:
    """With projects' names in place of numbers. Raises PermissionDenied, the same for a note that is not there."""
    projects: dict[str, str] = {}
    for project in {each.note[0] for each in wanted}:
        projects[project] = await _id_of(call, project)
    found = [replace(each, note=(projects[each.note[0]], each.note[1])) for each in wanted]
    for before, after in {each.note: other.note for each, other in zip(wanted, found, strict=True)}.items():
        await call.require(_ATTACH, resources.note(*after), resources.note(*before))
    return found


async def _id_of(call: Call, project: str) -> str:
    if project.isascii() and project.isdigit() and len(project) < 19:
        try:
            return await call.services.projects.id_of_number(int(project))
        except ResourceUnknown:
            return project
    return project


async def _list(call: Call) -> dict[str, Any]:
    project, location = await parent(call)
    page = call.page(PAGE_SIZE)
    found = await call.services.analysis.occurrences.list(project, call.parameter("filter"), page.token, page.size)
    return _page(found, location)


async def _list_of_note(call: Call) -> dict[str, Any]:
    project, location = await parent(call)
    page, note = call.page(PAGE_SIZE), call.variables["note"]
    found = await call.services.analysis.occurrences.list_of_note(project, note, call.parameter("filter"), page.token, page.size)
    return _page(found, location)


def _page(found: OccurrencePage, location: str) -> dict[str, Any]:
    return listed("occurrences", [shown(each, location) for each in found.occurrences], found.next_token)


async def _get(call: Call) -> dict[str, Any]:
    project, location = await parent(call)
    return shown(await call.services.analysis.occurrences.get(project, call.variables["occurrence"]), location)


async def _note(call: Call) -> dict[str, Any]:
    project, location = await parent(call)
    found = await call.services.analysis.occurrences.get(project, call.variables["occurrence"])
    return notes.shown(await call.services.analysis.notes.get(*found.note), location)


async def _update(call: Call) -> dict[str, Any]:
    project, location = await parent(call)
    wanted, mask = await body(call), call.parameter("updateMask")
    return shown(await call.services.analysis.occurrences.update(project, call.variables["occurrence"], wanted, mask), location)


async def _delete(call: Call) -> dict[str, Any]:
    project, _ = await parent(call)
    await call.services.analysis.occurrences.delete(project, call.variables["occurrence"])
    # Nothing gets this name again.
    await call.services.policies.remove(call.resource)
    return {}


async def _summary(call: Call) -> dict[str, Any]:
    project, _ = await parent(call)
    found = await call.services.analysis.summaries.by_resource(project, call.parameter("filter"))
    return json.without_nothing({"counts": [_count(resource, count) for resource, count in found]})


def _count(resource: Resource, count: Count) -> dict[str, Any]:
    severity = count.severity.name if count.severity is not Severity.SEVERITY_UNSPECIFIED else ""
    fixable = str(count.fixable) if count.fixable else ""
    return json.without_nothing(
        {"resourceUri": resource.written, "severity": severity, "fixableCount": fixable, "totalCount": str(count.total)}
    )


def _routes(above: str) -> Sequence[Route]:
    every, one = above + "/occurrences", above + "/occurrences/{occurrence}"
    return (
        Route("POST", every, _create, _PERMISSION + "create"),
        Route("POST", every + ":batchCreate", _batch_create, _PERMISSION + "create"),
        Route("GET", every, _list, _PERMISSION + "list"),
        Route("GET", every + ":vulnerabilitySummary", _summary, _PERMISSION + "list"),
        Route("GET", one, _get, _PERMISSION + "get", of_occurrence),
        Route("GET", one + "/notes", _note, _PERMISSION + "get", of_occurrence),
        Route("PATCH", one, _update, _PERMISSION + "update", of_occurrence),
        Route("DELETE", one, _delete, _PERMISSION + "delete", of_occurrence),
        Route("GET", above + "/notes/{note}/occurrences", _list_of_note, "containeranalysis.notes.listOccurrences", of_note),
        *policy_routes(one, _PERMISSION),
    )


ROUTES: Sequence[Route] = tuple(route for above in PARENTS for route in _routes(above))
