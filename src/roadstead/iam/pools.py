"""
Workload identity pools, and the providers in them whose tokens are taken.

A pool is a name space for identities from outside; a provider says who vouches for them (an OpenID Connect issuer), for which audience,
and what their claims become here. Names have the project's number, as in the principals that policies name. What was deleted can be had
back for 30 days; until then its name is not free.

Spec: IAM API v1, projects.locations.workloadIdentityPools and .providers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from roadstead.db.database import Database, Row, Statement, Transaction
from roadstead.errors import AlreadyExists, FieldInvalid, ResourceUnknown, StateForbids
from roadstead.iam import claims
from roadstead.iam.generation import Generation
from roadstead.iam.issuers import read_keys
from roadstead.iam.queries import federation as queries

HOST = "iam.googleapis.com"
UNDELETE_US = 30 * 86_400 * 1_000_000
MOST_POOLS = 100
MOST_PROVIDERS = 100
MOST_AUDIENCES = 10
MOST_ATTRIBUTES = 50

_ID = re.compile(r"[a-z0-9-]{4,32}")
_KEY = re.compile(r"google\.(?:subject|groups)|attribute\.[a-z0-9_]{1,100}")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]*")
# Anybody can have a token of these: without a condition a pool would be open to all their users.
_SHARED = frozenset(
    {
        "https://token.actions.githubusercontent.com",
        "https://gitlab.com",
        "https://app.terraform.io",
        "https://accounts.google.com",
        "https://oidc.codefresh.io",
        "https://agent.buildkite.com",
    }
)

Clock = Callable[[], int]
_Kind = TypeVar("_Kind", "Pool", "Provider")


@dataclass(frozen=True, slots=True)
class Pool:
    """name: `projects/NUMBER/locations/global/workloadIdentityPools/ID`. deleted_at_us: None unless it can be had back."""

    name: str
    project: str
    display_name: str
    description: str
    disabled: bool
    deleted_at_us: int | None


@dataclass(frozen=True, slots=True)
class Provider:
    """
    name: `POOL/providers/ID`. No audiences means the provider's own name. jwks: the issuer's public keys, "" to fetch them from the issuer.

    mapping: `google.subject`, `google.groups` and `attribute.NAME` from expressions over `assertion`. condition: "" for none.
    """

    name: str
    pool: str
    display_name: str
    description: str
    issuer: str
    audiences: tuple[str, ...]
    mapping: Mapping[str, str]
    condition: str
    jwks: str
    disabled: bool
    deleted_at_us: int | None

    @property
    def accepted_audiences(self) -> frozenset[str]:
        return frozenset(self.audiences) or frozenset((f"//{HOST}/{self.name}", f"https://{HOST}/{self.name}"))


def pool_name(project_number: int, pool_id: str) -> str:
    return f"projects/{project_number}/locations/global/workloadIdentityPools/{pool_id}"


def provider_name(project_number: int, pool_id: str, provider_id: str) -> str:
    return f"{pool_name(project_number, pool_id)}/providers/{provider_id}"


class Pools:
    def __init__(self, database: Database, generation: Generation, now_us: Clock) -> None:
        self._database = database
        self._generation = generation
        self._now_us = now_us

    async def create_pool(self, pool: Pool) -> Pool:
        """Raises FieldInvalid, AlreadyExists."""
        _check_id(pool.name)
        _check_texts(pool.display_name, pool.description)
        async with self._generation.change() as tx:
            if await tx.one(queries.LOCK_POOL, {"name": pool.name}):
                raise _exists("pool", pool.name)
            await _check_number(tx, queries.NUMBER_OF_POOLS, {"project": pool.project}, MOST_POOLS)
            values = {"name": pool.name, "project": pool.project}
            texts = {"display_name": pool.display_name, "description": pool.description}
            await tx.run(queries.ADD_POOL, {**values, **texts, "disabled": int(pool.disabled)})
        return replace(pool, deleted_at_us=None)

    async def get_pool(self, name: str) -> Pool:
        """A deleted one too, while it can be had back. Raises ResourceUnknown."""
        row = await self._database.one(queries.POOL, {"name": name})
        if row is None:
            raise _unknown(name)
        return _pool(row)

    async def list_pools(self, project: str, last: str, most: int, deleted: bool = False) -> list[Pool]:
        """By name, after last."""
        parameters = {"project": project, "last": last, "most": most, "deleted": int(deleted)}
        return [_pool(row) for row in await self._database.all(queries.POOLS, parameters)]

    async def change_pool(self, name: str, change: Callable[[Pool], Pool]) -> Pool:
        """change gives what it shall be. Raises ResourceUnknown, FieldInvalid, StateForbids for a deleted one."""
        return await self._change_pool(name, lambda pool: change(_alive(pool)))

    async def delete_pool(self, name: str) -> Pool:
        """Its tokens stop at once. Raises ResourceUnknown, StateForbids."""
        return await self._change_pool(name, lambda pool: replace(_alive(pool), deleted_at_us=self._now_us()))

    async def undelete_pool(self, name: str) -> Pool:
        """Raises ResourceUnknown, StateForbids."""
        return await self._change_pool(name, lambda pool: replace(_dead(pool), deleted_at_us=None))

    async def _change_pool(self, name: str, change: Callable[[Pool], Pool]) -> Pool:
        async with self._generation.change() as tx:
            row = await tx.one(queries.LOCK_POOL, {"name": name})
            if row is None:
                raise _unknown(name)
            pool = change(_pool(row))
            _check_texts(pool.display_name, pool.description)
            texts = {"display_name": pool.display_name, "description": pool.description}
            changes = {**texts, "disabled": int(pool.disabled), "deleted_at_us": pool.deleted_at_us}
            await tx.run(queries.CHANGE_POOL, {"the_name": name, **changes})
        return pool

    async def create_provider(self, provider: Provider) -> Provider:
        """Raises FieldInvalid, ConditionInvalid, AlreadyExists, ResourceUnknown for the pool."""
        _check_id(provider.name)
        check(provider)
        async with self._generation.change() as tx:
            row = await tx.one(queries.LOCK_POOL, {"name": provider.pool})
            if row is None:
                raise _unknown(provider.pool)
            _alive(_pool(row))
            if await tx.one(queries.PROVIDER, {"name": provider.name}):
                raise _exists("provider", provider.name)
            await _check_number(tx, queries.NUMBER_OF_PROVIDERS, {"pool": provider.pool}, MOST_PROVIDERS)
            await tx.run(queries.ADD_PROVIDER, {"name": provider.name, "pool": provider.pool, **_values(provider)})
        return replace(provider, deleted_at_us=None)

    async def get_provider(self, name: str) -> Provider:
        """A deleted one too, while it can be had back. Raises ResourceUnknown."""
        row = await self._database.one(queries.PROVIDER, {"name": name})
        if row is None:
            raise _unknown(name)
        return _provider(row)

    async def list_providers(self, pool: str, last: str, most: int, deleted: bool = False) -> list[Provider]:
        """By name, after last."""
        parameters = {"pool": pool, "last": last, "most": most, "deleted": int(deleted)}
        return [_provider(row) for row in await self._database.all(queries.PROVIDERS, parameters)]

    async def change_provider(self, name: str, change: Callable[[Provider], Provider]) -> Provider:
        """change gives what it shall be. Raises ResourceUnknown, FieldInvalid, ConditionInvalid, StateForbids for a deleted one."""
        return await self._change_provider(name, lambda provider: change(_alive(provider)))

    async def delete_provider(self, name: str) -> Provider:
        """No new tokens; those that were given keep their hour. Raises ResourceUnknown, StateForbids."""
        return await self._change_provider(name, lambda provider: replace(_alive(provider), deleted_at_us=self._now_us()))

    async def undelete_provider(self, name: str) -> Provider:
        """Raises ResourceUnknown, StateForbids."""
        return await self._change_provider(name, lambda provider: replace(_dead(provider), deleted_at_us=None))

    async def _change_provider(self, name: str, change: Callable[[Provider], Provider]) -> Provider:
        async with self._generation.change() as tx:
            row = await tx.one(queries.LOCK_PROVIDER, {"name": name})
            if row is None:
                raise _unknown(name)
            provider = change(_provider(row))
            check(provider)
            await tx.run(queries.CHANGE_PROVIDER, {"the_name": name, "deleted_at_us": provider.deleted_at_us, **_values(provider)})
        return provider

    async def purge(self) -> None:
        """Forget what was deleted 30 days ago; a worker calls it now and then."""
        before = {"before_us": self._now_us() - UNDELETE_US}
        async with self._database.transaction() as tx:
            await tx.run(queries.PURGE_PROVIDERS, before)
            await tx.run(queries.PURGE_POOLS, before)


def check(provider: Provider) -> None:
    """Raises FieldInvalid, ConditionInvalid."""
    _check_texts(provider.display_name, provider.description)
    _check_issuer(provider.issuer)
    if len(provider.audiences) > MOST_AUDIENCES or not all(
        0 < len(each) <= 256 and _PRINTABLE.fullmatch(each) for each in provider.audiences
    ):
        raise FieldInvalid("oidc.allowedAudiences may have 10 audiences of 256 characters at most")
    _check_mapping(provider.mapping)
    condition = claims.parse(provider.condition, ("assertion", "google", "attribute")) if provider.condition else None
    if provider.issuer in _SHARED and (condition is None or not condition.roots):
        raise FieldInvalid(
            f"everybody can have a token of {provider.issuer}: attributeCondition must say whose are taken, by one of the provider's "
            "claims, such as assertion.repository_owner == 'my-organization'"
        )
    if provider.jwks:
        read_keys(provider.jwks.encode())


def _check_issuer(issuer: str) -> None:
    parts = urlsplit(issuer)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment or parts.username or len(issuer) > 500:
        raise FieldInvalid("oidc.issuerUri must be an https address without query and fragment, as the provider's tokens have it in iss")


def _check_mapping(mapping: Mapping[str, str]) -> None:
    if "google.subject" not in mapping:
        raise FieldInvalid('attributeMapping must say what google.subject is, such as {"google.subject": "assertion.sub"}')
    if len(mapping) > MOST_ATTRIBUTES + 2:
        raise FieldInvalid(f"attributeMapping may have {MOST_ATTRIBUTES} attributes at most")
    for key, expression in mapping.items():
        if not _KEY.fullmatch(key):
            raise FieldInvalid(
                "attributeMapping's names are google.subject, google.groups and attribute.NAME, with lower-case letters, digits and "
                "underscores",
                {"name": key[:200]},
            )
        if len(expression) > 2048:
            raise FieldInvalid("an expression of attributeMapping has 2048 characters at most", {"name": key})
        claims.parse(expression, ("assertion",))


def _check_texts(display_name: str, description: str) -> None:
    if len(display_name) > 32 or not _PRINTABLE.fullmatch(display_name):
        raise FieldInvalid("displayName has 32 characters at most")
    if len(description) > 256 or not _PRINTABLE.fullmatch(description):
        raise FieldInvalid("description has 256 characters at most")


def _check_id(name: str) -> None:
    own = name.rpartition("/")[2]
    if not _ID.fullmatch(own) or own.startswith("gcp-"):
        raise FieldInvalid("the id has 4 to 32 lower-case letters, digits and hyphens, and does not begin with gcp-", {"id": own[:100]})


async def _check_number(tx: Transaction, statement: Statement, parameters: dict[str, object], most: int) -> None:
    row = await tx.one(statement, parameters)
    if row and row[0] >= most:
        raise FieldInvalid(f"there may be {most} of these at most, deleted ones included")


def _alive(thing: _Kind) -> _Kind:
    if thing.deleted_at_us is not None:
        raise StateForbids(f"{thing.name} is deleted: undelete it first")
    return thing


def _dead(thing: _Kind) -> _Kind:
    if thing.deleted_at_us is None:
        raise StateForbids(f"{thing.name} is not deleted")
    return thing


def _exists(kind: str, name: str) -> AlreadyExists:
    return AlreadyExists(f"there is a {kind} {name} already, or it was deleted less than 30 days ago: then undelete it", {"name": name})


def _unknown(name: str) -> ResourceUnknown:
    return ResourceUnknown(f"there is no {name}", {"name": name})


def _values(provider: Provider) -> dict[str, object]:
    return {
        "display_name": provider.display_name,
        "description": provider.description,
        "issuer": provider.issuer,
        "audiences": msgspec.json.encode(provider.audiences).decode(),
        "attribute_mapping": msgspec.json.encode(dict(provider.mapping)).decode(),
        "attribute_condition": provider.condition,
        "jwks": provider.jwks or None,
        "disabled": int(provider.disabled),
    }


def _pool(row: Row) -> Pool:
    name, project, display_name, description, disabled, deleted_at_us = row
    return Pool(name, project, display_name, description, bool(disabled), deleted_at_us)


def _provider(row: Row) -> Provider:
    name, pool, display_name, description, issuer, audiences, mapping, condition, jwks, disabled, deleted_at_us = row
    return Provider(
        name=name,
        pool=pool,
        display_name=display_name,
        description=description,
        issuer=issuer,
        audiences=msgspec.json.decode(audiences, type=tuple[str, ...]),
        mapping=msgspec.json.decode(mapping, type=dict[str, str]),
        condition=condition,
        jwks=jwks or "",
        disabled=bool(disabled),
        deleted_at_us=deleted_at_us,
    )
