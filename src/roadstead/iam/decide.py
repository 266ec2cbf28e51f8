"""
May this principal do this? The one place that decides, on values alone.

Nothing is allowed unless a binding says so. Policies only add: what a policy anywhere on the way from the resource up to the organization
gives, no other takes away. A binding counts if its role holds the permission, it names the principal, and its condition holds.

Spec: IAM, Policy (https://cloud.google.com/iam/docs/reference/rest/v1/Policy); Policy inheritance; Quotas and limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from roadstead.errors import ConditionInvalid, MemberInvalid, PolicyInvalid
from roadstead.iam import conditions
from roadstead.iam.conditions import Condition, Context
from roadstead.iam.members import PUBLIC, Principal, parse_member
from roadstead.iam.resources import is_project_id
from roadstead.iam.roles import BASIC, BUILT_IN, expand

MAX_MEMBERS = 1500
MAX_GROUPS = 250
CONDITIONS_VERSION = 3

_CUSTOM_ROLE = re.compile(r"(?:projects/(?P<project>[^/]{1,300})|organizations/[0-9]{1,20})/roles/[A-Za-z0-9_.]{3,64}")
# In characters. How long an expression may be, its parser says.
_CONDITION_LIMITS = {"title": 100, "description": 256, "location": 256}


@dataclass(frozen=True, slots=True)
class Binding:
    """One role for some members. condition has title, description (may be absent) and expression, as on the wire."""

    role: str
    members: tuple[str, ...]
    condition: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """version is 3 if there may be conditions, else 1 (0 is read as 1)."""

    bindings: tuple[Binding, ...]
    etag: bytes = b""
    version: int = 1


def allowed(
    principal: Principal, permission: str, policies: Sequence[Policy], custom_roles: Mapping[str, frozenset[str]], context: Context
) -> bool:
    """
    policies: those of the resource and of everything that it is in; their order does not matter.
    custom_roles: permissions by full role name. context: the resource that is asked for, also for the policies above it.
    """
    return any(permission in expand(binding.role, custom_roles) and _holds(binding, context) for binding in _naming(principal, policies))


def permitted(
    principal: Principal,
    permissions: Iterable[str],
    policies: Sequence[Policy],
    custom_roles: Mapping[str, frozenset[str]],
    context: Context,
) -> frozenset[str]:
    """Those of the permissions that `allowed` says yes to."""
    asked = frozenset(permissions)
    found: set[str] = set()
    for binding in _naming(principal, policies):
        given = asked & expand(binding.role, custom_roles)
        if not found.issuperset(given) and _holds(binding, context):
            found |= given
    return frozenset(found)


def _naming(principal: Principal, policies: Sequence[Policy]) -> Iterator[Binding]:
    members = principal.members()
    return (binding for policy in policies for binding in policy.bindings if not members.isdisjoint(binding.members))


def _holds(binding: Binding, context: Context) -> bool:
    if binding.condition is None:
        return True
    condition = _parsed(binding.condition.get("expression", ""))
    return condition is not None and condition.holds(context)


@lru_cache(maxsize=4096)
def _parsed(expression: str) -> Condition | None:
    """None for what does not parse, such as what a newer version of this program stored: it does not hold."""
    try:
        return conditions.parse(expression)
    except ConditionInvalid:
        return None


def validate(bindings: Sequence[Binding], version: int = 1) -> tuple[Binding, ...]:
    """
    The bindings as they are to be stored, or an error that names the first that cannot be.

    Members are canonical, sorted and there once; bindings of the same role and condition are one; those without members are gone. Whether a
    custom role exists is not known here.

    Raises PolicyInvalid, and ConditionInvalid for an expression.
    """
    if version not in (0, 1, CONDITIONS_VERSION):
        raise PolicyInvalid("a policy's version is 1, or 3 if it has conditions", {"version": version})
    members: dict[tuple[str, tuple[tuple[str, str], ...] | None], set[str]] = {}
    for binding in bindings:
        _check_role(binding.role)
        condition = None if binding.condition is None else _condition(binding, version)
        members.setdefault((binding.role, condition), set()).update(_members(binding))
    merged = [
        Binding(role, tuple(sorted(names)), None if condition is None else dict(condition))
        for (role, condition), names in sorted(members.items(), key=lambda item: (item[0][0], item[0][1] or ()))
        if names
    ]
    _check_sizes(merged)
    return tuple(merged)


def _check_role(role: str) -> None:
    if role in BUILT_IN:
        return
    custom = _CUSTOM_ROLE.fullmatch(role)
    if custom is not None and (custom["project"] is None or is_project_id(custom["project"])):
        return
    if role.startswith("roles/"):
        raise PolicyInvalid("there is no such predefined role on this server", {"role": role[:200]})
    raise PolicyInvalid("a role is named roles/NAME, projects/PROJECT/roles/NAME or organizations/NUMBER/roles/NAME", {"role": role[:200]})


def _members(binding: Binding) -> set[str]:
    try:
        found = {parse_member(member) for member in binding.members}
    except MemberInvalid as error:
        raise PolicyInvalid(error.message, error.detail) from error
    everyone = found & PUBLIC
    if everyone and binding.role in BASIC:
        raise PolicyInvalid(
            "owner, editor and viewer cannot be given to everyone: give allUsers a role for what is to be public, such as "
            "roles/storage.objectViewer",
            {"role": binding.role, "members": sorted(everyone)},
        )
    if everyone and binding.condition is not None:
        raise PolicyInvalid("what is given to everyone cannot have a condition", {"role": binding.role, "members": sorted(everyone)})
    return found


def _condition(binding: Binding, version: int) -> tuple[tuple[str, str], ...]:
    """Its non-empty fields, in one order."""
    given = binding.condition or {}
    if version != CONDITIONS_VERSION:
        raise PolicyInvalid("a policy with conditions must say that its version is 3", {"role": binding.role, "version": version})
    if binding.role in BASIC:
        raise PolicyInvalid("owner, editor and viewer cannot have a condition", {"role": binding.role})
    for name, text in given.items():
        if name != "expression" and len(text) > _CONDITION_LIMITS.get(name, -1):
            raise PolicyInvalid(
                "a condition has a title (100 characters at most), an expression, and may have a description (256)", {"field": name[:100]}
            )
    if not given.get("title"):
        raise PolicyInvalid("a condition needs a title", {"role": binding.role})
    conditions.parse(given.get("expression", ""))
    return tuple(sorted((name, text) for name, text in given.items() if text))


def _check_sizes(bindings: Sequence[Binding]) -> None:
    names = [member for binding in bindings for member in binding.members]
    groups = sum(member.startswith("group:") for member in names)
    if len(names) > MAX_MEMBERS:
        raise PolicyInvalid(f"a policy names {MAX_MEMBERS} members at most, counted in every binding", {"members": len(names)})
    if groups > MAX_GROUPS:
        raise PolicyInvalid(f"a policy names {MAX_GROUPS} groups at most, counted in every binding", {"groups": groups})
