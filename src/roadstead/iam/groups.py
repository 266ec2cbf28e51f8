"""
Groups: people and service accounts that policies name together, as `group:E-MAIL`.

A membership is added here by somebody, or comes from the claims of an OpenID provider; the latter are replaced as a whole at every login,
so that whoever leaves a group there leaves it here too, for tokens and sessions that exist already as well (CVE-2025-23208).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from roadstead.db.database import Database, Reader
from roadstead.errors import AlreadyExists, FieldInvalid, ResourceUnknown
from roadstead.iam.generation import Generation
from roadstead.iam.members import parse_member
from roadstead.iam.people import canonical_email, checked_name
from roadstead.iam.queries import people as queries

MOST_CLAIMED = 1000


@dataclass(frozen=True, slots=True)
class Group:
    email: str
    name: str
    created_at_us: int


@dataclass(frozen=True, slots=True)
class Membership:
    """source: "" when somebody added it here, else the OpenID provider's issuer."""

    member: str
    source: str


class Groups:
    def __init__(self, database: Database, generation: Generation, now_us: Callable[[], int]) -> None:
        self._database = database
        self._generation = generation
        self._now_us = now_us

    async def create(self, email: str, name: str = "") -> Group:
        """Raises FieldInvalid, AlreadyExists."""
        group = Group(canonical_email(email), checked_name(name), self._now_us())
        async with self._generation.change() as tx:
            if await tx.run(queries.ADD_GROUP, {"email": group.email, "name": group.name, "now_us": group.created_at_us}) == 0:
                raise AlreadyExists(f"there is a group {group.email} already", {"email": group.email})
        return group

    async def list(self, after: str = "", most: int = 1000) -> list[Group]:
        return [Group(*row) for row in await self._database.all(queries.GROUPS, {"after": after, "most": most})]

    async def delete(self, email: str) -> None:
        """With all that was added to it here. Raises ResourceUnknown."""
        async with self._generation.change() as tx:
            if await tx.run(queries.DELETE_GROUP, {"which": email.lower()}) == 0:
                raise _unknown(email)
            await tx.run(queries.EMPTY_GROUP, {"which": email.lower()})

    async def add_member(self, email: str, member: str) -> None:
        """member: `user:…` or `serviceAccount:…`; groups in groups there are none. Raises FieldInvalid, MemberInvalid, ResourceUnknown."""
        canonical = parse_member(member)
        if not canonical.startswith(("user:", "serviceAccount:")):
            raise FieldInvalid("the members of a group are people and service accounts", {"member": member[:300]})
        async with self._generation.change() as tx:
            if await tx.one(queries.GET_GROUP, {"which": email.lower()}) is None:
                raise _unknown(email)
            await tx.run(queries.ADD_TO_GROUP, {"member": canonical, "group": email.lower(), "source": ""})

    async def remove_member(self, email: str, member: str) -> None:
        """Raises MemberInvalid, ResourceUnknown."""
        async with self._generation.change() as tx:
            if await tx.run(queries.REMOVE_FROM_GROUP, {"whose": parse_member(member), "which": email.lower()}) == 0:
                raise ResourceUnknown(f"{member} was not added to {email} here")

    async def members(self, email: str, after: str = "", most: int = 1000) -> Sequence[Membership]:
        """In the order of their names, after the one given."""
        parameters = {"which": email.lower(), "after": after, "most": most}
        return [Membership(*row) for row in await self._database.all(queries.MEMBERS_OF, parameters)]

    async def of(self, member: str) -> frozenset[str]:
        """The addresses of the groups that the member is in, from whatever source."""
        return await groups_of(self._database, member)

    async def claimed(self, member: str, source: str, groups: frozenset[str]) -> None:
        """At a login: of this source the member is in these groups and in no others. Takes effect at once when it changes anything."""
        kept = frozenset(sorted(groups)[:MOST_CLAIMED])
        parameters = {"whose": member, "from_source": source}
        if kept == {row[0] for row in await self._database.all(queries.GROUPS_FROM, parameters)}:
            return
        async with self._generation.change() as tx:
            await tx.run(queries.LEAVE_FROM, parameters)
            for group in sorted(kept):
                await tx.run(queries.ADD_TO_GROUP, {"member": member, "group": group, "source": source})


async def groups_of(reader: Reader, member: str) -> frozenset[str]:
    """As Groups.of, for whoever has no Groups."""
    return frozenset(row[0] for row in await reader.all(queries.GROUPS_OF, {"whose": member}))


def _unknown(email: str) -> ResourceUnknown:
    return ResourceUnknown("there is no such group here", {"email": email[:300]})
