"""
Roles of IAM v1: those that are predefined, and an installation's own in projects and in the organization.

Spec: https://cloud.google.com/iam/docs/reference/rest/v1/roles, …/projects.roles, …/permissions/queryTestablePermissions.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec

from roadstead.api.google import json
from roadstead.api.google.routing import AUTHENTICATED, Call, Page, Route, listed, of_organization, of_project
from roadstead.errors import FieldInvalid, ResourceUnknown
from roadstead.iam import resources
from roadstead.iam.custom_roles import CustomRole
from roadstead.iam.permissions import PERMISSIONS
from roadstead.iam.roles import BUILT_IN, Role

_PERMISSION = "iam.roles."
# google/iam/admin/v1/iam.proto, RoleLaunchStage; what is left out is the first.
_STAGES: dict[str | int, str] = {0: "ALPHA", 1: "BETA", 2: "GA", 4: "DEPRECATED", 5: "DISABLED", 6: "EAP", "": "ALPHA"}
_FIELDS = {"title", "description", "includedPermissions", "stage"}
_PROJECTS = "//cloudresourcemanager.googleapis.com/projects/"


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What every body here is."""


class _Role(_Body, frozen=True):
    name: str = ""
    title: str = ""
    description: str = ""
    included_permissions: tuple[str, ...] = ()
    stage: str | int = ""
    etag: str = ""
    deleted: bool = False


class _Create(_Body, frozen=True):
    role_id: str = ""
    role: _Role = _Role()
    parent: str = ""


class _Undelete(_Body, frozen=True):
    etag: str = ""
    name: str = ""


class _Query(_Body, frozen=True):
    full_resource_name: str = ""
    page_size: int = 0
    page_token: str = ""
    view: str | int = ""


def _shown(role: Role | CustomRole, *, whole: bool = True) -> dict[str, Any]:
    """Lists show permissions only when they are asked for (view FULL)."""
    fields: dict[str, Any] = {"name": role.name, "title": role.title, "description": role.description, "stage": role.stage}
    if isinstance(role, CustomRole):
        fields |= {"etag": json.text_of(role.etag), "deleted": role.deleted_at_us is not None}
    else:
        fields |= {"etag": "AA=="}
    return json.without_nothing({**fields, "includedPermissions": sorted(role.permissions) if whole else []})


def _parent(call: Call) -> str:
    if "project" in call.variables:
        return resources.project(call.variables["project"])
    if call.variables["organization"] != resources.ORGANIZATION_ID:
        raise ResourceUnknown(f"there is one organization here, organizations/{resources.ORGANIZATION_ID}")
    return f"organizations/{resources.ORGANIZATION_ID}"


def _name(call: Call) -> str:
    return f"{_parent(call)}/roles/{call.variables['role']}"


async def _built_in(call: Call) -> dict[str, Any]:
    name = f"roles/{call.variables['role']}"
    if name not in BUILT_IN:
        raise ResourceUnknown(f"The role named {name[:200]} was not found.", {"role": name[:200]})
    return _shown(BUILT_IN[name])


async def _list_built_in(call: Call) -> dict[str, Any]:
    return _page_of(list(BUILT_IN.values()), call.page(default=300), whole=call.parameter("view") in ("FULL", "1"))


def _page_of(roles: Sequence[Role | CustomRole], page: Page, *, whole: bool) -> dict[str, Any]:
    found = sorted((role for role in roles if role.name > page.token), key=lambda role: role.name)
    return listed("roles", found, page, attrgetter("name"), lambda role: _shown(role, whole=whole))


async def _list(call: Call) -> dict[str, Any]:
    page, parent = call.page(default=300), _parent(call)
    with_deleted = call.parameter("showDeleted") == "true"
    found = await call.services.custom_roles.list(parent, page.token, page.size + 1, with_deleted=with_deleted)
    return _page_of(found, page, whole=call.parameter("view") in ("FULL", "1"))


async def _get(call: Call) -> dict[str, Any]:
    return _shown(await call.services.custom_roles.get(_name(call)))


async def _create(call: Call) -> dict[str, Any]:
    body = await call.body(_Create)
    if "project" in call.variables:
        await call.services.projects.require_active(call.variables["project"])
    role = body.role
    call.details["role"], call.details["permissions"] = body.role_id[:100], list(role.included_permissions[:50])
    return _shown(
        await call.services.custom_roles.create(
            _parent(call), body.role_id, role.title, role.description, role.included_permissions, _stage(role.stage)
        )
    )


async def _patch(call: Call) -> dict[str, Any]:
    """Without a mask, what is in the body and not empty."""
    body = await call.body(_Role)
    mask = {path.replace("included_permissions", "includedPermissions") for path in call.parameter("updateMask").split(",") if path}
    if mask - _FIELDS - {"etag", "name"}:
        raise FieldInvalid(f"updateMask can name {', '.join(sorted(_FIELDS))}", {"updateMask": sorted(mask)[:10]})
    call.details["updateMask"], call.details["permissions"] = sorted(mask), list(body.included_permissions[:50])
    changed = await call.services.custom_roles.update(
        _name(call),
        title=body.title if "title" in mask or (not mask and body.title) else None,
        description=body.description if "description" in mask or (not mask and body.description) else None,
        permissions=body.included_permissions if "includedPermissions" in mask or (not mask and body.included_permissions) else None,
        stage=_stage(body.stage) if "stage" in mask or (not mask and body.stage) else None,
        etag=json.bytes_of(body.etag),
    )
    return _shown(changed)


async def _delete(call: Call) -> dict[str, Any]:
    return _shown(await call.services.custom_roles.delete(_name(call), json.bytes_of(call.parameter("etag"))))


async def _undelete(call: Call) -> dict[str, Any]:
    etag = json.bytes_of((await call.body(_Undelete)).etag)
    return _shown(await call.services.custom_roles.undelete(_name(call), etag))


async def _grantable(call: Call) -> dict[str, Any]:
    """queryGrantableRoles: the predefined ones, and those of the resource's project that the caller may see."""
    body = await call.body(_Query)
    project = body.full_resource_name.removeprefix(_PROJECTS).partition("/")[0] if body.full_resource_name.startswith(_PROJECTS) else ""
    found: list[Role | CustomRole] = list(BUILT_IN.values())
    if project and await call.services.authorizer.permits(call.principal, _PERMISSION + "list", resources.project(project)):
        found += await call.services.custom_roles.list(resources.project(project), most=1000)
    return _page_of(found, _page(body), whole=body.view in ("FULL", 1))


async def _testable(call: Call) -> dict[str, Any]:
    """queryTestablePermissions: all that there are here, and all can be in custom roles."""
    page = _page(await call.body(_Query))
    names = sorted(name for name in PERMISSIONS if name > page.token)
    return listed("permissions", names, page, str, lambda name: {"name": name, "stage": "GA", "customRolesSupportLevel": "SUPPORTED"})


def _page(body: _Query) -> Page:
    if body.page_size < 0:
        raise FieldInvalid("pageSize must be a number, 0 or more")
    return Page(min(body.page_size or 300, 1000), json.bytes_of(body.page_token).decode(errors="replace"))


def _stage(stage: str | int) -> str:
    return _STAGES.get(stage, str(stage))


def _routes(parent: str) -> list[Route]:
    above = of_project if parent.startswith("projects") else of_organization
    roles, role = f"/v1/{parent}/roles", f"/v1/{parent}/roles/{{role}}"
    return [
        Route("GET", roles, _list, _PERMISSION + "list", above),
        Route("POST", roles, _create, _PERMISSION + "create", above),
        Route("GET", role, _get, _PERMISSION + "get", above),
        Route("PATCH", role, _patch, _PERMISSION + "update", above),
        Route("DELETE", role, _delete, _PERMISSION + "delete", above),
        Route("POST", role + ":undelete", _undelete, _PERMISSION + "undelete", above),
    ]


ROUTES: Sequence[Route] = (
    Route("GET", "/v1/roles", _list_built_in, AUTHENTICATED),
    Route("POST", "/v1/roles:queryGrantableRoles", _grantable, AUTHENTICATED),
    Route("GET", "/v1/roles/{role}", _built_in, AUTHENTICATED),
    Route("POST", "/v1/permissions:queryTestablePermissions", _testable, AUTHENTICATED),
    *_routes("projects/{project}"),
    *_routes("organizations/{organization}"),
)
