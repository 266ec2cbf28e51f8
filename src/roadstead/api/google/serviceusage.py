"""
Service Usage v1: which APIs a project has enabled. Everything is done at once; clients that poll get the same answer again.

Spec: https://cloud.google.com/service-usage/docs/reference/rest/v1/services; what clients really send: contract.md, 2.2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from roadstead.api.google.routing import Call, Route, listed
from roadstead.errors import FieldInvalid
from roadstead.iam import services
from roadstead.iam.projects import Project

MOST_AT_ONCE = 20
"""Service Usage, services.batchEnable."""

_PERMISSION = "serviceusage.services."
_TYPE = "type.googleapis.com/google.api.serviceusage.v1."
_FILTER = re.compile(r"\s*state\s*[:=]\s*\"?(?P<state>ENABLED|DISABLED)\"?\s*")


class _Nothing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`{}`; name is in the path too."""

    name: str = ""


class _Disable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """check_if_service_has_usage is not looked at: whoever disables an API here loses nothing that is stored."""

    name: str = ""
    disable_dependent_services: bool = False
    check_if_service_has_usage: str | int = ""


class _BatchEnable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    parent: str = ""
    service_ids: tuple[str, ...] = ()


def _service(project: Project, service: str, enabled: bool) -> dict[str, Any]:
    return {
        "name": f"projects/{project.number}/services/{service}",
        "parent": f"projects/{project.number}",
        "config": {"name": service, "title": services.title(service)},
        "state": "ENABLED" if enabled else "DISABLED",
    }


async def _list(call: Call) -> dict[str, Any]:
    project = await call.services.projects.get(call.variables["project"])
    wanted = _FILTER.fullmatch(call.parameter("filter"))
    if call.parameter("filter") and wanted is None:
        raise FieldInvalid("filter is state:ENABLED or state:DISABLED", {"filter": call.parameter("filter")[:100]})
    enabled = await call.services.projects.services(project.id)
    page = call.page(default=50, most=200)
    names = sorted(
        name
        for name in enabled | services.CATALOGUE.keys()
        if name > page.token and (wanted is None or (wanted["state"] == "ENABLED") == (name in enabled))
    )
    return listed("services", names, page, str, lambda name: _service(project, name, name in enabled))


async def _get(call: Call) -> dict[str, Any]:
    project = await call.services.projects.get(call.variables["project"])
    service = services.check(call.variables["service"])
    return _service(project, service, service in await call.services.projects.services(project.id))


async def _batch_get(call: Call) -> dict[str, Any]:
    """`?names=projects/P/services/S&names=…`"""
    project = await call.services.projects.get(call.variables["project"])
    names = [services.check(name.rpartition("/")[2]) for name in call.request.parameters().get("names", [])]
    if len(names) > MOST_AT_ONCE + 10:
        raise FieldInvalid("at most 30 services can be asked for at once")
    enabled = await call.services.projects.services(project.id)
    return {"services": [_service(project, name, name in enabled) for name in names]}


async def _enable(call: Call) -> dict[str, Any]:
    await call.body(_Nothing)
    service = call.variables["service"]
    project = await _switch_on(call, [service])
    answer = {"@type": _TYPE + "EnableServiceResponse", "service": _service(project, service, True)}
    return await _done(call, "acf", project, [service], answer)


async def _batch_enable(call: Call) -> dict[str, Any]:
    asked = (await call.body(_BatchEnable)).service_ids
    if not asked or len(asked) > MOST_AT_ONCE:
        raise FieldInvalid(f"serviceIds has 1 to {MOST_AT_ONCE} services")
    project = await _switch_on(call, asked)
    answer = {"@type": _TYPE + "BatchEnableServicesResponse", "services": [_service(project, service, True) for service in asked]}
    return await _done(call, "acat", project, asked, answer)


async def _disable(call: Call) -> dict[str, Any]:
    body = await call.body(_Disable)
    project = await call.services.projects.require_active(call.variables["project"])
    service = call.variables["service"]
    call.details["services"] = [service[:100]]
    await call.services.projects.disable(project.id, service, with_dependents=body.disable_dependent_services)
    answer = {"@type": _TYPE + "DisableServiceResponse", "service": _service(project, service, False)}
    return await _done(call, "acf", project, [service], answer)


async def _switch_on(call: Call, asked: Sequence[str]) -> Project:
    project = await call.services.projects.require_active(call.variables["project"])
    call.details["services"] = [service[:100] for service in asked]
    await call.services.projects.enable(project.id, asked)
    return project


async def _done(call: Call, kind: str, project: Project, names: Sequence[str], answer: dict[str, Any]) -> dict[str, Any]:
    metadata = {"@type": _TYPE + "OperationMetadata", "resourceNames": [f"projects/{project.number}/services/{name}" for name in names]}
    return await call.services.projects.operations.done(kind, project.id, answer, metadata)


ROUTES: Sequence[Route] = (
    Route("GET", "/v1/projects/{project}/services", _list, _PERMISSION + "list"),
    Route("GET", "/v1/projects/{project}/services:batchGet", _batch_get, _PERMISSION + "get"),
    Route("POST", "/v1/projects/{project}/services:batchEnable", _batch_enable, _PERMISSION + "enable"),
    Route("GET", "/v1/projects/{project}/services/{service}", _get, _PERMISSION + "get"),
    Route("POST", "/v1/projects/{project}/services/{service}:enable", _enable, _PERMISSION + "enable"),
    Route("POST", "/v1/projects/{project}/services/{service}:disable", _disable, _PERMISSION + "disable"),
)
