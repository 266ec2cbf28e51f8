"""
Service accounts of IAM v1. What is asked on an account is its own resource in its own project, whatever the path says of the project.

Spec: https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts; what clients really send: contract.md, 2.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec

from roadstead.api.google import json, policies
from roadstead.api.google.routing import AUTHENTICATED, Call, Route, Variables, listed
from roadstead.errors import FieldInvalid
from roadstead.iam import resources
from roadstead.iam.service_accounts import ServiceAccount

_PERMISSION = "iam.serviceAccounts."


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What every body here is."""


class _Account(_Body, frozen=True):
    """What is not the client's to choose (e-mail, ids) is taken and not looked at: clients send back what they have read."""

    name: str = ""
    project_id: str = ""
    unique_id: str = ""
    email: str = ""
    display_name: str | None = None
    etag: str = ""
    description: str | None = None
    oauth2_client_id: str = ""
    disabled: bool = False


class _Create(_Body, frozen=True):
    account_id: str = ""
    service_account: _Account = _Account()
    name: str = ""


class _Patch(_Body, frozen=True):
    service_account: _Account = _Account()
    update_mask: str = ""


class _Nothing(_Body, frozen=True):
    name: str = ""


def shown(account: ServiceAccount) -> dict[str, Any]:
    """As JSON."""
    return json.without_nothing(
        {
            "name": account.name,
            "projectId": account.project,
            "uniqueId": account.unique_id,
            "email": account.email,
            "displayName": account.display_name,
            "etag": account.etag,
            "description": account.description,
            "oauth2ClientId": account.unique_id,
            "disabled": account.disabled,
        }
    )


def of_account(variables: Variables) -> str:
    return resources.service_account(variables["project"], variables["account"])


async def _create(call: Call) -> dict[str, Any]:
    body = await call.body(_Create)
    project = await call.services.projects.require_active(call.variables["project"])
    account = body.service_account
    call.details["accountId"] = body.account_id[:100]
    return shown(
        await call.services.service_accounts.create(project.id, body.account_id, account.display_name or "", account.description or "")
    )


async def _get(call: Call) -> dict[str, Any]:
    return shown(await call.services.service_accounts.get(call.variables["account"], call.variables["project"]))


async def _list(call: Call) -> dict[str, Any]:
    page = call.page(default=20, most=100)
    found = await call.services.service_accounts.list(call.variables["project"], page.token, page.size + 1)
    return listed("accounts", found, page, attrgetter("email"), shown)


async def _patch(call: Call) -> dict[str, Any]:
    """Without a mask, what is in the body."""
    body = await call.body(_Patch)
    mask = {path for path in body.update_mask.replace("display_name", "displayName").split(",") if path}
    if mask - {"displayName", "description", "etag"}:
        raise FieldInvalid("updateMask can name displayName and description", {"updateMask": sorted(mask)[:10]})
    account = body.service_account
    name = (account.display_name or "") if "displayName" in mask else account.display_name if not mask else None
    description = (account.description or "") if "description" in mask else account.description if not mask else None
    return await _changed(call, name, description, account.etag)


async def _update(call: Call) -> dict[str, Any]:
    """PUT: only these two can be changed."""
    body = await call.body(_Account)
    return await _changed(call, body.display_name, body.description, body.etag)


async def _changed(call: Call, display_name: str | None, description: str | None, etag: str) -> dict[str, Any]:
    etag = json.text_of(json.bytes_of(etag))
    return shown(
        await call.services.service_accounts.patch(
            call.variables["account"], call.variables["project"], display_name=display_name, description=description, etag=etag
        )
    )


async def _delete(call: Call) -> dict[str, Any]:
    await call.services.service_accounts.delete(call.variables["account"], call.variables["project"])
    return {}


async def _undelete(call: Call) -> dict[str, Any]:
    """The account is its number: the address may be another's now."""
    await call.body(_Nothing)
    project = await call.services.projects.require_active(call.variables["project"])
    return {"restoredAccount": shown(await call.services.service_accounts.undelete(call.variables["account"], project.id))}


async def _disable(call: Call) -> dict[str, Any]:
    await call.body(_Nothing)
    await call.services.service_accounts.disable(call.variables["account"], call.variables["project"])
    return {}


async def _enable(call: Call) -> dict[str, Any]:
    await call.body(_Nothing)
    await call.services.service_accounts.enable(call.variables["account"], call.variables["project"])
    return {}


_ACCOUNTS, _ACCOUNT = "/v1/projects/{project}/serviceAccounts", "/v1/projects/{project}/serviceAccounts/{account}"

ROUTES: Sequence[Route] = (
    Route("POST", _ACCOUNTS, _create, _PERMISSION + "create"),
    Route("GET", _ACCOUNTS, _list, _PERMISSION + "list"),
    Route("GET", _ACCOUNT, _get, _PERMISSION + "get", of_account),
    Route("PATCH", _ACCOUNT, _patch, _PERMISSION + "update", of_account),
    Route("PUT", _ACCOUNT, _update, _PERMISSION + "update", of_account),
    Route("DELETE", _ACCOUNT, _delete, _PERMISSION + "delete", of_account),
    Route("POST", _ACCOUNT + ":undelete", _undelete, _PERMISSION + "undelete"),
    Route("POST", _ACCOUNT + ":disable", _disable, _PERMISSION + "disable", of_account),
    Route("POST", _ACCOUNT + ":enable", _enable, _PERMISSION + "enable", of_account),
    Route("POST", _ACCOUNT + ":getIamPolicy", policies.get, _PERMISSION + "getIamPolicy", of_account),
    Route("POST", _ACCOUNT + ":setIamPolicy", policies.put, _PERMISSION + "setIamPolicy", of_account),
    Route("POST", _ACCOUNT + ":testIamPermissions", policies.test, AUTHENTICATED, of_account),
)
