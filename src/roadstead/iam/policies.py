"""IAM allow policies as they are kept: one for each resource that has any (cloud.google.com/iam/docs/reference/rest/v1/Policy)."""

from __future__ import annotations

import struct
from collections.abc import Callable

import msgspec

from roadstead.db.database import Database, Row, Transaction
from roadstead.errors import Conflict
from roadstead.iam.decide import Binding, Policy, validate
from roadstead.iam.generation import Generation
from roadstead.iam.queries import policies as queries

NO_ETAG = b"\x00\x40\x01"
"""`AEAB`: of a resource without a policy. Google's own is `ACAB`."""

_REVISION = struct.Struct(">Q")


class _Kept(msgspec.Struct, frozen=True):
    role: str
    members: tuple[str, ...]
    condition: dict[str, str] | None = None


class Policies:
    def __init__(self, database: Database, generation: Generation, now_us: Callable[[], int]) -> None:
        self._database = database
        self._generation = generation
        self._now_us = now_us

    async def get(self, resource: str) -> Policy:
        """An empty one if there is none."""
        return policy_of(await self._database.one(queries.GET, {"resource": resource}))

    async def set(self, resource: str, policy: Policy, etag: bytes | None) -> Policy:
        """
        Replace it. etag: that of the policy which was read before; None or empty writes over whatever is there, as Google does.

        Raises PolicyInvalid, MemberInvalid, ConditionInvalid, Conflict.
        """
        bindings = validate(policy.bindings, policy.version)
        async with self._generation.change() as tx:
            return await self.put(tx, resource, Policy(bindings, b"", policy.version), etag)

    async def put(self, tx: Transaction, resource: str, policy: Policy, etag: bytes | None = None) -> Policy:
        """set(), in somebody's transaction, who opened it with Generation.change(); bindings are valid already."""
        row = await tx.one(queries.LOCK, {"resource": resource})
        revision = int(row[0]) if row else 0
        if etag and etag != _etag(revision):
            raise Conflict("the policy was changed meanwhile: read it again, make your change in it and write it with its etag")
        values = {
            "resource": resource,
            "version": policy.version,
            "bindings": _encoded(policy.bindings),
            "revision": revision + 1,
            "now_us": self._now_us(),
        }
        if row is None and await tx.run(queries.ADD, values) == 0:
            raise Conflict("the policy was made by somebody else at this moment: read it, make your change in it and write it again")
        if row is not None:
            await tx.run(queries.PUT, values)
        return Policy(policy.bindings, _etag(revision + 1), policy.version)

    async def remove(self, resource: str) -> None:
        """What is made under the same name later begins without rights of its own."""
        if await self._database.one(queries.GET, {"resource": resource}) is not None:
            async with self._generation.change() as tx:
                await tx.run(queries.DELETE, {"resource": resource})

    async def grant(self, resource: str, role: str, member: str) -> Policy:
        """Add a member to a role, whatever else is there."""
        while True:
            policy = await self.get(resource)
            bindings = (*policy.bindings, Binding(role, (member,), None))
            try:
                return await self.set(resource, Policy(bindings, b"", policy.version), policy.etag)
            except Conflict:
                continue


def policy_of(row: Row | None) -> Policy:
    if row is None:
        return Policy((), NO_ETAG, 1)
    kept = msgspec.json.decode(row[1], type=tuple[_Kept, ...])
    return Policy(tuple(Binding(each.role, each.members, each.condition) for each in kept), _etag(int(row[2])), int(row[0]))


def _encoded(bindings: tuple[Binding, ...]) -> str:
    return msgspec.json.encode(
        [_Kept(each.role, each.members, dict(each.condition) if each.condition is not None else None) for each in bindings]
    ).decode()


def _etag(revision: int) -> bytes:
    return _REVISION.pack(revision) if revision else NO_ETAG
