"""
Resource Manager: projects, in the shapes of v1 (gcloud) and v3 (google-cloud-resource-manager), and the one organization.

Spec: https://cloud.google.com/resource-manager/reference/rest; what clients really send: contract.md, 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from roadstead.api.google import json, policies
from roadstead.api.google.routing import AUTHENTICATED, Call, Route, of_organization, page_token
from roadstead.errors import FieldInvalid, ResourceUnknown
from roadstead.iam import resources
from roadstead.iam.operations import unknown
from roadstead.iam.project_filter import parse
from roadstead.iam.projects import ACTIVE, Project

MOST_LOOKED_AT = 5000
"""Projects in one request, most of which the caller may not see; the next page goes on from there."""

_BATCH = 500
_GET = "resourcemanager.projects.get"
_ORGANIZATION = f"organizations/{resources.ORGANIZATION_ID}"
_V1 = "type.googleapis.com/google.cloudresourcemanager.v1."
_V3 = "type.googleapis.com/google.cloud.resourcemanager.v3."


class _Parent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: str = ""
    id: str = ""


class _ProjectV1(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What is not ours to choose (number, state, time) is taken and not looked at: clients send back what they have read."""

    project_id: str = ""
    name: str = ""
    labels: dict[str, str] | None = None
    parent: _Parent | None = None
    project_number: str | int = ""
    lifecycle_state: str | int = ""
    create_time: str = ""
    tags: dict[str, str] | None = None
    configured_capabilities: tuple[str, ...] = ()


class _ProjectV3(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    name: str = ""
    parent: str = ""
    project_id: str = ""
    display_name: str = ""
    labels: dict[str, str] | None = None
    etag: str = ""
    state: str | int = ""
    create_time: str = ""
    update_time: str = ""
    delete_time: str = ""
    tags: dict[str, str] | None = None
    configured_capabilities: tuple[str, ...] = ()


class _Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{}`"""


def _v1(project: Project) -> dict[str, Any]:
    return json.without_nothing(
        {
            "projectNumber": str(project.number),
            "projectId": project.id,
            "lifecycleState": project.state,
            "name": project.name,
            "labels": dict(project.labels),
            "createTime": json.time_of(project.created_at_us),
            "parent": {"type": "organization", "id": resources.ORGANIZATION_ID},
        }
    )


def _v3(project: Project) -> dict[str, Any]:
    return json.without_nothing(
        {
            "name": f"projects/{project.number}",
            "parent": _ORGANIZATION,
            "projectId": project.id,
            "state": project.state,
            "displayName": project.name,
            "labels": dict(project.labels),
            "createTime": json.time_of(project.created_at_us),
            "updateTime": json.time_of(project.updated_at_us),
            "deleteTime": json.time_of(project.deleted_at_us) if project.deleted_at_us is not None else "",
            "etag": json.text_of(project.etag),
        }
    )


async def _get_v1(call: Call) -> dict[str, Any]:
    return _v1(await call.services.projects.get(call.variables["project"]))


async def _get_v3(call: Call) -> dict[str, Any]:
    return _v3(await call.services.projects.get(call.variables["project"]))


async def _list_v1(call: Call) -> dict[str, Any]:
    found, after = await _visible(call, call.parameter("filter"), call.page())
    return json.without_nothing({"projects": [_v1(project) for project in found], "nextPageToken": page_token(after)})


async def _list_v3(call: Call) -> dict[str, Any]:
    if call.parameter("parent") not in ("", _ORGANIZATION):
        raise FieldInvalid(f"parent is {_ORGANIZATION}: this installation", {"parent": call.parameter("parent")[:100]})
    wanted = "" if call.parameter("showDeleted") == "true" else f"state:{ACTIVE}"
    found, after = await _visible(call, wanted, call.page())
    return json.without_nothing({"projects": [_v3(project) for project in found], "nextPageToken": page_token(after)})


async def _search_v3(call: Call) -> dict[str, Any]:
    found, after = await _visible(call, call.parameter("query"), call.page())
    return json.without_nothing({"projects": [_v3(project) for project in found], "nextPageToken": page_token(after)})


async def _visible(call: Call, wanted: str, page: tuple[int, str]) -> tuple[Sequence[Project], str]:
    """A page of the projects that the caller may see, and where the next begins, "" if there is none."""
    test, (size, after) = parse(wanted), page
    found: list[Project] = []
    for _ in range(MOST_LOOKED_AT // _BATCH):
        batch = await call.services.projects.list(after, _BATCH)
        for project in batch:
            if test(project) and await call.services.authorizer.permits(call.principal, _GET, resources.project(project.id)):
                if len(found) == size:
                    return found, after
                found.append(project)
            after = project.id
        if len(batch) < _BATCH:
            return found, ""
    return found, after


async def _create_v1(call: Call) -> dict[str, Any]:
    body = await call.body(_ProjectV1)
    if body.parent is not None and (body.parent.type, body.parent.id) != ("organization", resources.ORGANIZATION_ID):
        raise FieldInvalid(f"a project's parent is organization {resources.ORGANIZATION_ID}: this installation")
    project = await _create(call, body.project_id, body.name, body.labels)
    answer = {"@type": _V1 + "Project", **_v1(project)}
    return await call.services.projects.operations.done("cp", project.id, answer, {"@type": _V1 + "ProjectCreationStatus"})


async def _create_v3(call: Call) -> dict[str, Any]:
    body = await call.body(_ProjectV3)
    if body.parent not in ("", _ORGANIZATION):
        raise FieldInvalid(f"a project's parent is {_ORGANIZATION}: this installation")
    project = await _create(call, body.project_id, body.display_name, body.labels)
    return await _done_v3(call, "cp", "Create", project)


async def _create(call: Call, project_id: str, name: str, labels: dict[str, str] | None) -> Project:
    projects = call.services.projects
    chosen = project_id or await projects.suggest(name or "project")
    call.details["project"] = chosen[:100]
    return await projects.create(chosen, name, labels, creator=call.principal.member)


async def _update_v1(call: Call) -> dict[str, Any]:
    body = await call.body(_ProjectV1)
    return _v1(await call.services.projects.update(call.variables["project"], name=body.name or None, labels=body.labels or {}))


async def _update_v3(call: Call) -> dict[str, Any]:
    """Without a mask, what is in the body (AIP-134)."""
    body = await call.body(_ProjectV3)
    named = {path.partition(".")[0] for path in call.parameter("updateMask").replace("display_name", "displayName").split(",") if path}
    if named - {"displayName", "labels", "*"}:
        raise FieldInvalid("updateMask can name displayName and labels", {"updateMask": sorted(named)[:10]})
    whole = "*" in named
    name = body.display_name if whole or "displayName" in named or (not named and body.display_name) else None
    labels = (body.labels or {}) if whole or "labels" in named or (not named and body.labels is not None) else None
    etag = json.bytes_of(body.etag)
    project = await call.services.projects.update(call.variables["project"], name=name, labels=labels, etag=etag)
    return await _done_v3(call, "up", "Update", project)


async def _delete_v1(call: Call) -> dict[str, Any]:
    await call.services.projects.delete(call.variables["project"])
    return {}


async def _delete_v3(call: Call) -> dict[str, Any]:
    return await _done_v3(call, "dp", "Delete", await call.services.projects.delete(call.variables["project"]))


async def _undelete_v1(call: Call) -> dict[str, Any]:
    await call.body(_Nothing)
    await call.services.projects.undelete(call.variables["project"])
    return {}


async def _undelete_v3(call: Call) -> dict[str, Any]:
    return await _done_v3(call, "ud", "Undelete", await call.services.projects.undelete(call.variables["project"]))


async def _done_v3(call: Call, kind: str, verb: str, project: Project) -> dict[str, Any]:
    answer, metadata = {"@type": _V3 + "Project", **_v3(project)}, {"@type": f"{_V3}{verb}ProjectMetadata"}
    return await call.services.projects.operations.done(kind, project.id, answer, metadata)


async def _ancestry(call: Call) -> dict[str, Any]:
    project = await call.services.projects.get(call.variables["project"])
    above = (("project", project.id), ("organization", resources.ORGANIZATION_ID))
    return {"ancestor": [{"resourceId": {"type": kind, "id": name}} for kind, name in above]}


async def _operation(call: Call) -> dict[str, Any]:
    """One that the caller may not see is answered like one that is not there."""
    name = f"operations/{call.variables['operation']}"
    project, operation = await call.services.projects.operations.get(name)
    permission = "serviceusage.operations.get" if name.startswith("operations/ac") else _GET
    if not await call.services.authorizer.permits(call.principal, permission, resources.project(project)):
        raise unknown(name)
    return operation


async def _organization(call: Call) -> dict[str, Any]:
    if call.variables["organization"] != resources.ORGANIZATION_ID:
        raise ResourceUnknown(f"there is one organization here, {_ORGANIZATION}")
    return {
        "name": _ORGANIZATION,
        "organizationId": resources.ORGANIZATION_ID,
        "displayName": "roadstead",
        "lifecycleState": ACTIVE,
        "state": ACTIVE,
    }


async def _organizations(call: Call) -> dict[str, Any]:
    if not await call.services.authorizer.permits(call.principal, "resourcemanager.organizations.get", resources.ORGANIZATION):
        return {}
    call.variables["organization"] = resources.ORGANIZATION_ID
    return {"organizations": [await _organization(call)]}


def _routes(version: str) -> list[Route]:
    project, organization = f"/{version}/projects/{{project}}", f"/{version}/organizations/{{organization}}"
    below = "resourcemanager.organizations"
    return [
        Route("POST", f"{project}:getIamPolicy", policies.get, "resourcemanager.projects.getIamPolicy"),
        Route("POST", f"{project}:setIamPolicy", policies.put, "resourcemanager.projects.setIamPolicy"),
        Route("POST", f"{project}:testIamPermissions", policies.test, AUTHENTICATED),
        Route("GET", organization, _organization, f"{below}.get", of_organization),
        Route("POST", f"{organization}:getIamPolicy", policies.get, f"{below}.getIamPolicy", of_organization),
        Route("POST", f"{organization}:setIamPolicy", policies.put, f"{below}.setIamPolicy", of_organization),
        Route("POST", f"{organization}:testIamPermissions", policies.test, AUTHENTICATED, of_organization),
        Route("GET", f"/{version}/operations/{{operation=**}}", _operation, AUTHENTICATED),
    ]


_CREATE, _DELETE, _UNDELETE, _UPDATE = (f"resourcemanager.projects.{verb}" for verb in ("create", "delete", "undelete", "update"))

ROUTES: Sequence[Route] = (
    Route("GET", "/v1/projects", _list_v1, AUTHENTICATED),
    Route("POST", "/v1/projects", _create_v1, _CREATE, of_organization),
    Route("GET", "/v1/projects/{project}", _get_v1, _GET),
    Route("PUT", "/v1/projects/{project}", _update_v1, _UPDATE),
    Route("DELETE", "/v1/projects/{project}", _delete_v1, _DELETE),
    Route("POST", "/v1/projects/{project}:undelete", _undelete_v1, _UNDELETE),
    Route("POST", "/v1/projects/{project}:getAncestry", _ancestry, _GET),
    Route("POST", "/v1/organizations:search", _organizations, AUTHENTICATED),
    *_routes("v1"),
    Route("GET", "/v3/projects", _list_v3, AUTHENTICATED),
    Route("GET", "/v3/projects:search", _search_v3, AUTHENTICATED),
    Route("POST", "/v3/projects", _create_v3, _CREATE, of_organization),
    Route("GET", "/v3/projects/{project}", _get_v3, _GET),
    Route("PATCH", "/v3/projects/{project}", _update_v3, _UPDATE),
    Route("DELETE", "/v3/projects/{project}", _delete_v3, _DELETE),
    Route("POST", "/v3/projects/{project}:undelete", _undelete_v3, _UNDELETE),
    Route("GET", "/v3/organizations:search", _organizations, AUTHENTICATED),
    *_routes("v3"),
)
