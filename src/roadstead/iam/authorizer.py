"""The one place that decides: may this principal do that on this resource? No, unless a policy says yes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

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
from roadstead.iam.roles import BUILT_IN

REMEMBERED = 20_000


class Authorizer:
    """Policies are remembered until the generation changes; a decision about known ones costs no query."""

    def __init__(self, database: Database, generation: Generation, now_us: Callable[[], int]) -> None:
        self._database = database
        self._generation = generation
        self._now_us = now_us
        self._policies: OrderedDict[str, Policy] = OrderedDict()
        self._custom: dict[str, frozenset[str]] = {}
        self._known_at = -1

    async def permits(self, principal: Principal, permission: str, resource: str) -> bool:
        chain, policies = await self._known(resource)
        return decide.allowed(principal, permission, policies, self._custom, self._context(chain[0]))

    async def permitted(self, principal: Principal, permissions: Iterable[str], resource: str) -> frozenset[str]:
        """Those of permissions that it has."""
        chain, policies = await self._known(resource)
        return decide.permitted(principal, frozenset(permissions), policies, self._custom, self._context(chain[0]))

    async def is_conditional(self, resource: str) -> bool:
        """Whether time can change what is allowed here, so that an answer may not be remembered."""
        _, policies = await self._known(resource)
        return any(binding.condition for policy in policies for binding in policy.bindings)

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

    async def below(self, resource: str, most: int = 1000) -> list[str]:
        """The resources below that have policies of their own."""
        parameters = {"first": resource + "/", "end": resource + "0", "most": most}
        return [str(row[0]) for row in await self._database.all(queries.BELOW, parameters)]

    async def _known(self, resource: str) -> tuple[tuple[str, ...], Sequence[Policy]]:
        chain = resources.chain(resource)
        generation = self._generation.value
        if generation != self._known_at:
            self._policies.clear()
            self._custom.clear()
            self._known_at = generation
        found = []
        for each in chain:
            policy = self._policies.get(each)
            if policy is None:
                policy = policy_of(await self._database.one(queries.GET, {"resource": each}))
                await self._learn_roles(policy, generation)
                if generation == self._known_at:
                    self._policies[each] = policy
                    if len(self._policies) > REMEMBERED:
                        self._policies.popitem(last=False)
            found.append(policy)
        return chain, found

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
        if "/locations/" not in resource:
            kind = "cloudresourcemanager.googleapis.com/Project" if project else "cloudresourcemanager.googleapis.com/Organization"
            return Context(self._now_us(), resource, kind, "cloudresourcemanager.googleapis.com")
        kind = "artifactregistry.googleapis.com/Package" if "/repositories/" in resource else "artifactregistry.googleapis.com/Repository"
        return Context(self._now_us(), resource, kind, "artifactregistry.googleapis.com")


def denied(permission: str, resource: str) -> PermissionDenied:
    return PermissionDenied(f"Permission '{permission}' denied on resource '{resources.full_name(resource)}' (or it may not exist).")
