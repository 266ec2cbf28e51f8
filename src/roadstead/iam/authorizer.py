"""The one place that decides: may this principal do that on this resource? No, unless a policy says yes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from roadstead.db.database import Database
from roadstead.errors import PermissionDenied, Unauthenticated
from roadstead.iam import decide, resources
from roadstead.iam.conditions import Context
from roadstead.iam.decide import Policy
from roadstead.iam.generation import Generation
from roadstead.iam.members import Principal
from roadstead.iam.policies import policy_of
from roadstead.iam.queries import policies as queries
from roadstead.iam.roles import BUILT_IN, expand

REMEMBERED = 20_000
_T = TypeVar("_T")
STEP = 1000


class Authorizer:
    """Policies are remembered until the generation changes; a decision about known ones costs no query."""

    def __init__(self, database: Database, generation: Generation, now_us: Callable[[], int]) -> None:
        self._database = database
        self._generation = generation
        self._now_us = now_us
        self._policies: OrderedDict[str, Policy] = OrderedDict()
        self._chains: OrderedDict[str, Sequence[Policy]] = OrderedDict()
        self._custom: dict[str, frozenset[str]] = {}
        self._known_at = -1
        self._places: dict[str, list[str]] = {}
        self._places_at: tuple[int, frozenset[str]] | None = None
        self._reading = asyncio.Lock()

    async def permits(self, principal: Principal, permission: str, resource: str) -> bool:
        policies = await self._known(resource)
        return decide.allowed(principal, permission, policies, self._custom, self._context(resource))

    async def permitted(self, principal: Principal, permissions: Iterable[str], resource: str) -> frozenset[str]:
        """Those of permissions that it has."""
        policies = await self._known(resource)
        return decide.permitted(principal, frozenset(permissions), policies, self._custom, self._context(resource))

    async def is_conditional(self, resource: str) -> bool:
        """Whether time can change what is allowed here, so that an answer may not be remembered."""
        return any(binding.condition for policy in await self._known(resource) for binding in policy.bindings)

    async def require(self, principal: Principal, permission: str, resource: str, asked_for: str = "") -> None:
        """
        asked_for: the resource as the caller named it, if that differs: whose number it is, a refusal does not tell either.

        Raises PermissionDenied, which does not tell whether the resource is there; Unauthenticated when nobody in particular asks.
        """
        if not await self.permits(principal, permission, resource):
            self.require_somebody(principal)
            raise denied(permission, asked_for or resource)

    def require_somebody(self, principal: Principal) -> None:
        """Raises Unauthenticated."""
        if principal.is_anonymous:
            raise Unauthenticated(
                "this needs an access token: send `Authorization: Bearer TOKEN`, which `roadstead admin token`, gcloud or a login give"
            )

    async def places(self, principal: Principal, permissions: frozenset[str]) -> frozenset[str]:
        """
        The resources whose own policies name it with one of permissions, if their conditions hold: elsewhere it has none of them.

        The first question after a change reads all policies once; all who ask meanwhile wait for that.
        """
        async with self._reading:
            generation = self._forget()
            if self._places_at != (generation, permissions):
                self._places = await self._all_places(permissions, generation)
                self._places_at = (generation, permissions)
        return frozenset(place for member in principal.members() for place in self._places.get(member, ()))

    async def _all_places(self, permissions: frozenset[str], generation: int) -> dict[str, list[str]]:
        """By member."""
        found: dict[str, list[str]] = {}
        after = ""
        while rows := await self._database.all(queries.AFTER, {"after": after, "most": STEP}):
            for row in rows:
                after = str(row[3])
                policy = policy_of(row)
                await self._learn_roles(policy, generation)
                for binding in policy.bindings:
                    if permissions.isdisjoint(expand(binding.role, self._custom)):
                        continue
                    for member in binding.members:
                        found.setdefault(member, []).append(after)
        return found

    async def _known(self, resource: str) -> Sequence[Policy]:
        """Those of the resource and of all that it is in."""
        generation = self._forget()
        known = self._chains.get(resource)
        if known is None:
            known = [policy for policy in await self._read(resources.chain(resource), generation) if policy.bindings]
            if generation == self._known_at:
                _remember(self._chains, resource, known)
        return known

    async def _read(self, chain: Sequence[str], generation: int) -> list[Policy]:
        """
        Of the whole chain in one query, or a few for a long one. That a path has no policy is not remembered for each part of it: names
        are strangers' to choose, and would push out what is there.
        """
        found = [self._policies[each] for each in chain if each in self._policies]
        missing = [each for each in chain if each not in self._policies]
        for start in range(0, len(missing), queries.SEVERAL):
            part = missing[start : start + queries.SEVERAL]
            parameters = {f"r{index}": part[index] if index < len(part) else "" for index in range(queries.SEVERAL)}
            rows = {str(row[3]): policy_of(row) for row in await self._database.all(queries.GET_SEVERAL, parameters)}
            for each in part:
                policy = rows.get(each) or policy_of(None)
                await self._learn_roles(policy, generation)
                found.append(policy)
                if generation == self._known_at and (each in rows or "/repositories/" not in each):
                    _remember(self._policies, each, policy)
        return found

    def _forget(self) -> int:
        """What is older than the generation, which is returned."""
        generation = self._generation.value
        if generation != self._known_at:
            self._policies.clear()
            self._chains.clear()
            self._custom.clear()
            self._known_at = generation
        return generation

    async def _learn_roles(self, policy: Policy, generation: int) -> None:
        for binding in policy.bindings:
            if binding.role in BUILT_IN or binding.role in self._custom:
                continue
            row = await self._database.one(queries.CUSTOM_ROLE, {"name": binding.role})
            permissions = frozenset(msgspec.json.decode(row[0], type=list[str])) if row else frozenset[str]()
            if generation == self._known_at:
                self._custom[binding.role] = permissions

    def _context(self, resource: str) -> Context:
        project = resources.project_of(resource)
        if (analysed := resources.analysed(resource)) is not None:
            kind = "containeranalysis.googleapis.com/Note" if analysed[0] == "notes" else "containeranalysis.googleapis.com/Occurrence"
            return Context(self._now_us(), resource, kind, "containeranalysis.googleapis.com")
        if "/locations/" not in resource:
            kind = "cloudresourcemanager.googleapis.com/Project" if project else "cloudresourcemanager.googleapis.com/Organization"
            return Context(self._now_us(), resource, kind, "cloudresourcemanager.googleapis.com")
        kind = "artifactregistry.googleapis.com/Package" if "/repositories/" in resource else "artifactregistry.googleapis.com/Repository"
        return Context(self._now_us(), resource, kind, "artifactregistry.googleapis.com")


def _remember(kept: OrderedDict[str, _T], key: str, value: _T) -> None:
    kept[key] = value
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)


def denied(permission: str, resource: str) -> PermissionDenied:
    return PermissionDenied(f"Permission '{permission}' denied on resource '{resources.full_name(resource)}' (or it may not exist).")
