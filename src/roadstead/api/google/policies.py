"""
getIamPolicy, setIamPolicy and testIamPermissions, the same on every resource that has a policy.

Whoever asks without `requestedPolicyVersion` 3 does not see conditions: such a binding has a role that cannot be set, so that it cannot be
written back as one that always holds. Spec: IAM v1, google/iam/v1/iam_policy.proto, policy.proto; IAM, Understanding allow policies.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from roadstead.api.google import json
from roadstead.api.google.routing import Call
from roadstead.errors import FieldInvalid, NotFound, PolicyInvalid, ResourceUnknown, StateForbids
from roadstead.iam import resources
from roadstead.iam.decide import CONDITIONS_VERSION, Binding, Policy
from roadstead.iam.roles import BUILT_IN, OWNER

MOST_PERMISSIONS = 100
_MOST_TOLD = 40
_PERMISSION = re.compile(r"[a-zA-Z0-9_.-]{1,100}\.[a-zA-Z0-9_]{1,100}\.[a-zA-Z0-9_]{1,100}")


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What every body here is."""


class Expression(_Body, frozen=True):
    title: str = ""
    description: str = ""
    expression: str = ""
    location: str = ""


class BindingBody(_Body, frozen=True):
    role: str = ""
    members: tuple[str, ...] = ()
    condition: Expression | None = None


class PolicyBody(_Body, frozen=True):
    """audit_configs are taken and dropped: everything is audited. kind and resource_id are Cloud Storage's."""

    version: int = 0
    bindings: tuple[BindingBody, ...] = ()
    etag: str = ""
    audit_configs: tuple[dict[str, Any], ...] = ()
    kind: str = ""
    resource_id: str = ""


class _Options(_Body, frozen=True):
    requested_policy_version: int = 0


class _Get(_Body, frozen=True):
    options: _Options | None = None
    resource: str = ""


class _Set(_Body, frozen=True):
    policy: PolicyBody | None = None
    update_mask: str = ""
    resource: str = ""


class _Test(_Body, frozen=True):
    permissions: tuple[str, ...] = ()
    resource: str = ""


async def get(call: Call) -> dict[str, Any]:
    """GET with `options.requestedPolicyVersion`, or POST with it in the body."""
    wanted = version(call.request.parameter("options.requestedPolicyVersion") or "")
    if call.request.method == "POST":
        options = (await call.body(_Get)).options
        wanted = options.requested_policy_version if options else wanted
    await check_exists(call)
    return shown(await call.services.policies.get(call.resource), wanted)


async def put(call: Call) -> dict[str, Any]:
    """setIamPolicy."""
    body = await call.body(_Set)
    if body.policy is None:
        raise FieldInvalid("policy is missing")
    mask = [path.partition(".")[0] for path in body.update_mask.split(",") if path]
    return shown(await replace(call, body.policy, keeps_bindings=bool(mask) and "bindings" not in mask), CONDITIONS_VERSION)


async def test(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller has; none on what is not there."""
    return {"permissions": held} if (held := await permissions_held(call, (await call.body(_Test)).permissions)) else {}


async def permissions_held(call: Call, asked: Sequence[str]) -> list[str]:
    """In the order that they were asked in. Raises FieldInvalid."""
    if len(asked) > MOST_PERMISSIONS:
        raise FieldInvalid(f"at most {MOST_PERMISSIONS} permissions can be tested at once")
    for each in asked:
        if _PERMISSION.fullmatch(each) is None:
            raise FieldInvalid(
                "a permission is named SERVICE.RESOURCE.VERB; `*` is not possible: name each that you ask for", {"permission": each[:100]}
            )
    try:
        await check_exists(call)
    except NotFound:
        return []
    held = await call.services.authorizer.permitted(call.principal, asked, call.resource)
    return [each for each in asked if each in held]


async def replace(call: Call, body: PolicyBody, *, keeps_bindings: bool = False) -> Policy:
    """Raises ResourceUnknown, PolicyInvalid, ConditionInvalid, FieldInvalid; Conflict when the etag is not that of what is there."""
    await check_exists(call)
    before = await call.services.policies.get(call.resource)
    bindings = before.bindings if keeps_bindings else tuple(map(_binding, body.bindings))
    await _check_roles(call, bindings)
    if call.resource == resources.ORGANIZATION and not _has_owner(bindings):
        raise StateForbids("the organization would have no owner any more, and nobody could give it one: name another first")
    # gcloud always says 3. What is kept is 3 only if there is a condition.
    version = body.version if any(binding.condition for binding in bindings) else min(body.version, 1)
    etag = json.bytes_of(body.etag) or (before.etag if keeps_bindings else b"")
    stored = await call.services.policies.set(call.resource, Policy(bindings, b"", version), etag or None)
    added, removed = _grants(stored) - _grants(before), _grants(before) - _grants(stored)
    call.details["added"], call.details["removed"] = sorted(added)[:_MOST_TOLD], sorted(removed)[:_MOST_TOLD]
    return stored


async def check_exists(call: Call) -> None:
    """Whoever comes here may know. Raises ResourceUnknown."""
    if call.resource == resources.ORGANIZATION:
        return
    project = resources.project_of(call.resource)
    if not project:
        raise ResourceUnknown("there is no such organization here", {"resource": call.resource})
    await call.services.projects.get(project)
    _, is_account, account = call.resource.partition("/serviceAccounts/")
    if is_account:
        await call.services.service_accounts.get(account, project)
    match resources.analysed(call.resource):
        case "notes", note:
            await call.services.analysis.notes.get(project, note)
        case "occurrences", occurrence:
            await call.services.analysis.occurrences.get(project, occurrence)


def shown(policy: Policy, requested_version: int) -> dict[str, Any]:
    """As JSON, for a caller that knows policies of this version."""
    whole = requested_version >= CONDITIONS_VERSION
    conditional = any(binding.condition for binding in policy.bindings)
    bindings = [_shown_binding(binding, whole) for binding in policy.bindings]
    fields = {"version": CONDITIONS_VERSION if whole and conditional else 1, "etag": json.text_of(policy.etag)}
    return {**fields, "bindings": bindings} if bindings else fields


def _shown_binding(binding: Binding, whole: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": binding.role, "members": list(binding.members)}
    if not binding.condition:
        return fields
    if not whole:
        # As Google writes it; there is no such role, so it is refused when it comes back.
        digest = hashlib.sha256(msgspec.json.encode(dict(sorted(binding.condition.items())))).hexdigest()
        return {**fields, "role": f"{binding.role}_withcond_{digest[:20]}"}
    return {**fields, "condition": dict(binding.condition)}


def _binding(body: BindingBody) -> Binding:
    condition = None if body.condition is None else {name: text for name, text in msgspec.structs.asdict(body.condition).items() if text}
    return Binding(body.role, body.members, condition)


async def _check_roles(call: Call, bindings: Sequence[Binding]) -> None:
    """A custom role is one of the organization, or of the project that the resource is in."""
    project = resources.project_of(call.resource)
    for role in {binding.role for binding in bindings} - BUILT_IN.keys():
        parent = role.rpartition("/roles/")[0]
        usable = parent == f"organizations/{resources.ORGANIZATION_ID}" or (bool(project) and parent == resources.project(project))
        if usable:
            usable = await call.services.custom_roles.is_usable(role)
        if not usable:
            raise PolicyInvalid(f"Role {role[:200]} does not exist in the resource's hierarchy.", {"role": role[:200]})


def _has_owner(bindings: Sequence[Binding]) -> bool:
    owners = (member for binding in bindings if binding.role == OWNER and not binding.condition for member in binding.members)
    return any(not member.startswith("deleted:") for member in owners)


def _grants(policy: Policy) -> set[str]:
    return {
        f"{binding.role} {member}{' if ' + binding.condition.get('title', '') if binding.condition else ''}"
        for binding in policy.bindings
        for member in binding.members
    }


def version(text: str) -> int:
    if text and not (text.isascii() and text.isdigit() and len(text) < 4):
        raise FieldInvalid("requestedPolicyVersion is 0, 1 or 3")
    return int(text or 0)
