"""
Workload identity pools and their providers, of IAM v1: whose tokens from outside are taken.

Every change is done when it is answered; the operations that clients poll say so. Spec:
https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import msgspec

from roadstead.api.google import json
from roadstead.api.google.routing import Call, Route, listed
from roadstead.errors import FieldInvalid, ResourceUnknown
from roadstead.iam.pools import UNDELETE_US, Pool, Provider, pool_name

_TYPE = "type.googleapis.com/google.iam.v1."


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Clients send back what they have read: name, state and expireTime are taken and not looked at."""

    name: str = ""
    display_name: str = ""
    description: str = ""
    state: str | int = ""
    disabled: bool = False
    expire_time: str = ""


class _PoolBody(_Body, frozen=True):
    mode: str | int = ""


class _Oidc(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    issuer_uri: str = ""
    allowed_audiences: tuple[str, ...] = ()
    jwks_json: str = ""


class _ProviderBody(_Body, frozen=True):
    attribute_mapping: dict[str, str] = msgspec.field(default_factory=dict)
    attribute_condition: str = ""
    oidc: _Oidc | None = None
    aws: msgspec.Raw = msgspec.Raw()
    saml: msgspec.Raw = msgspec.Raw()
    x509: msgspec.Raw = msgspec.Raw()


class _Nothing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str = ""


def _shown_pool(pool: Pool) -> dict[str, Any]:
    return json.without_nothing(
        {
            "name": pool.name,
            "displayName": pool.display_name,
            "description": pool.description,
            "disabled": pool.disabled,
            **_state(pool),
        }
    )


def _shown_provider(provider: Provider) -> dict[str, Any]:
    oidc = {"issuerUri": provider.issuer, "allowedAudiences": list(provider.audiences), "jwksJson": provider.jwks}
    return json.without_nothing(
        {
            "name": provider.name,
            "displayName": provider.display_name,
            "description": provider.description,
            "disabled": provider.disabled,
            "attributeMapping": dict(provider.mapping),
            "attributeCondition": provider.condition,
            "oidc": json.without_nothing(oidc),
            **_state(provider),
        }
    )


def _state(thing: Pool | Provider) -> dict[str, str]:
    if thing.deleted_at_us is None:
        return {"state": "ACTIVE"}
    return {"state": "DELETED", "expireTime": json.time_of(thing.deleted_at_us + UNDELETE_US)}


def _pool_done(pool: Pool, kind: str) -> dict[str, Any]:
    return _done(pool.name, kind, "WorkloadIdentityPool", _shown_pool(pool))


def _provider_done(provider: Provider, kind: str) -> dict[str, Any]:
    return _done(provider.name, kind, "WorkloadIdentityPoolProvider", _shown_provider(provider))


def _done(name: str, kind: str, type_name: str, shown: dict[str, Any]) -> dict[str, Any]:
    """A google.longrunning.Operation, at an end. Its name says what can be read again."""
    return {"name": f"{name}/operations/{kind}", "done": True, "response": {"@type": _TYPE + type_name, **shown}}


async def _pool(call: Call, pool_id: str = "") -> str:
    """The pool's name, which has the project's number. Raises ResourceUnknown."""
    if call.variables["location"] != "global":
        raise ResourceUnknown("workload identity pools are in the location global only")
    project = await call.services.projects.get(call.variables["project"])
    return pool_name(project.number, pool_id or call.variables["pool"])


async def _provider(call: Call, provider_id: str = "") -> str:
    pool = await _pool(call)
    return f"{pool}/providers/{provider_id or call.variables['provider']}"


async def _create_pool(call: Call) -> dict[str, Any]:
    body = await call.body(_PoolBody)
    if body.mode not in ("", 0, "FEDERATION_ONLY", 1, "MODE_UNSPECIFIED"):
        raise FieldInvalid("mode can be FEDERATION_ONLY")
    project = await call.services.projects.require_active(call.variables["project"])
    name = await _pool(call, call.parameter("workloadIdentityPoolId") or "-")
    call.details["pool"] = name
    pool = Pool(name, project.id, body.display_name, body.description, body.disabled, None)
    return _pool_done(await call.services.federation.pools.create_pool(pool), "create")


async def _get_pool(call: Call) -> dict[str, Any]:
    return _shown_pool(await call.services.federation.pools.get_pool(await _pool(call)))


async def _list_pools(call: Call) -> dict[str, Any]:
    page = call.page(default=50, most=100)
    await _pool(call, "none")
    pools = await call.services.federation.pools.list_pools(
        call.variables["project"], page.token, page.size + 1, call.parameter("showDeleted") == "true"
    )
    return listed("workloadIdentityPools", pools, page, attrgetter("name"), _shown_pool)


async def _patch_pool(call: Call) -> dict[str, Any]:
    body = await call.body(_PoolBody)
    values = {"displayName": ("display_name", body.display_name), "description": ("description", body.description)}
    changes = _masked(call, {**values, "disabled": ("disabled", body.disabled)})
    pools = call.services.federation.pools
    return _pool_done(await pools.change_pool(await _pool(call), lambda pool: replace(pool, **changes)), "update")


async def _delete_pool(call: Call) -> dict[str, Any]:
    return _pool_done(await call.services.federation.pools.delete_pool(await _pool(call)), "delete")


async def _undelete_pool(call: Call) -> dict[str, Any]:
    await call.body(_Nothing)
    return _pool_done(await call.services.federation.pools.undelete_pool(await _pool(call)), "undelete")


async def _pool_operation(call: Call) -> dict[str, Any]:
    return _pool_done(await call.services.federation.pools.get_pool(await _pool(call)), call.variables["operation"][:100])


async def _create_provider(call: Call) -> dict[str, Any]:
    body = await call.body(_ProviderBody)
    await call.services.projects.require_active(call.variables["project"])
    oidc = _oidc(body)
    name = await _provider(call, call.parameter("workloadIdentityPoolProviderId") or "-")
    call.details["provider"], call.details["issuer"] = name, oidc.issuer_uri[:300]
    provider = Provider(
        name=name,
        pool=await _pool(call),
        display_name=body.display_name,
        description=body.description,
        issuer=oidc.issuer_uri,
        audiences=oidc.allowed_audiences,
        mapping=body.attribute_mapping,
        condition=body.attribute_condition,
        jwks=oidc.jwks_json,
        disabled=body.disabled,
        deleted_at_us=None,
    )
    return _provider_done(await call.services.federation.pools.create_provider(provider), "create")


async def _get_provider(call: Call) -> dict[str, Any]:
    return _shown_provider(await call.services.federation.pools.get_provider(await _provider(call)))


async def _list_providers(call: Call) -> dict[str, Any]:
    page = call.page(default=50, most=100)
    providers = await call.services.federation.pools.list_providers(
        await _pool(call), page.token, page.size + 1, call.parameter("showDeleted") == "true"
    )
    return listed("workloadIdentityPoolProviders", providers, page, attrgetter("name"), _shown_provider)


async def _patch_provider(call: Call) -> dict[str, Any]:
    body = await call.body(_ProviderBody)
    oidc = body.oidc or _Oidc()
    values: dict[str, tuple[str, object]] = {
        "displayName": ("display_name", body.display_name),
        "description": ("description", body.description),
        "disabled": ("disabled", body.disabled),
        "attributeMapping": ("mapping", body.attribute_mapping),
        "attributeCondition": ("condition", body.attribute_condition),
        "oidc.issuerUri": ("issuer", oidc.issuer_uri),
        "oidc.allowedAudiences": ("audiences", oidc.allowed_audiences),
        "oidc.jwksJson": ("jwks", oidc.jwks_json),
    }
    changes = _masked(call, values)
    call.details["changed"] = sorted(changes)
    pools = call.services.federation.pools
    return _provider_done(await pools.change_provider(await _provider(call), lambda provider: replace(provider, **changes)), "update")


async def _delete_provider(call: Call) -> dict[str, Any]:
    return _provider_done(await call.services.federation.pools.delete_provider(await _provider(call)), "delete")


async def _undelete_provider(call: Call) -> dict[str, Any]:
    await call.body(_Nothing)
    return _provider_done(await call.services.federation.pools.undelete_provider(await _provider(call)), "undelete")


async def _provider_operation(call: Call) -> dict[str, Any]:
    return _provider_done(await call.services.federation.pools.get_provider(await _provider(call)), call.variables["operation"][:100])


def _oidc(body: _ProviderBody) -> _Oidc:
    """Raises FieldInvalid."""
    if body.oidc is None:
        raise FieldInvalid("oidc is missing: of aws, saml and x509 providers, none are known here")
    return body.oidc


def _masked(call: Call, values: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    """The fields that updateMask names; `oidc` are all below it. Raises FieldInvalid."""
    paths = [path.strip() for path in call.parameter("updateMask").split(",") if path.strip()]
    if not paths:
        raise FieldInvalid("updateMask must say which fields change")
    changes: dict[str, Any] = {}
    for path in paths:
        camel = _camel(path)
        named = [each for each in values if camel in ("*", each) or each.startswith(camel + ".")]
        if not named:
            raise FieldInvalid(f"updateMask can name {', '.join(values)}", {"updateMask": path[:100]})
        changes |= dict(values[each] for each in named)
    return changes


def _camel(path: str) -> str:
    """`oidc.issuer_uri` → `oidc.issuerUri`"""
    words = path.split("_")
    return words[0] + "".join(word[:1].upper() + word[1:] for word in words[1:])


_POOLS = "/v1/projects/{project}/locations/{location}/workloadIdentityPools"
_POOL = _POOLS + "/{pool}"
_PROVIDERS, _PROVIDER = _POOL + "/providers", _POOL + "/providers/{provider}"
_ON_POOLS, _ON_PROVIDERS = "iam.workloadIdentityPools.", "iam.workloadIdentityPoolProviders."

ROUTES: Sequence[Route] = (
    Route("POST", _POOLS, _create_pool, _ON_POOLS + "create"),
    Route("GET", _POOLS, _list_pools, _ON_POOLS + "list"),
    Route("GET", _POOL, _get_pool, _ON_POOLS + "get"),
    Route("PATCH", _POOL, _patch_pool, _ON_POOLS + "update"),
    Route("DELETE", _POOL, _delete_pool, _ON_POOLS + "delete"),
    Route("POST", _POOL + ":undelete", _undelete_pool, _ON_POOLS + "undelete"),
    Route("GET", _POOL + "/operations/{operation}", _pool_operation, _ON_POOLS + "get"),
    Route("POST", _PROVIDERS, _create_provider, _ON_PROVIDERS + "create"),
    Route("GET", _PROVIDERS, _list_providers, _ON_PROVIDERS + "list"),
    Route("GET", _PROVIDER, _get_provider, _ON_PROVIDERS + "get"),
    Route("PATCH", _PROVIDER, _patch_provider, _ON_PROVIDERS + "update"),
    Route("DELETE", _PROVIDER, _delete_provider, _ON_PROVIDERS + "delete"),
    Route("POST", _PROVIDER + ":undelete", _undelete_provider, _ON_PROVIDERS + "undelete"),
    Route("GET", _PROVIDER + "/operations/{operation}", _provider_operation, _ON_PROVIDERS + "get"),
)
