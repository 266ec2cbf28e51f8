"""Members become principals: is the account there, is it enabled, which groups is it in. Remembered until something changes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from roadstead.db.database import Database
from roadstead.errors import CredentialInvalid
from roadstead.iam.generation import Generation
from roadstead.iam.members import ANONYMOUS, Principal
from roadstead.iam.queries import policies as queries

REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    valid_from_us: int


class Principals:
    def __init__(self, database: Database, generation: Generation) -> None:
        self._database = database
        self._generation = generation
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._known_at = -1

    async def load(self, member: str, issued_at_us: int, attributes: frozenset[str] = frozenset()) -> Principal:
        """
        issued_at_us: when the credential was made that says so. attributes: of a federated identity, as its token has them.

        Raises CredentialInvalid when the account is gone or disabled, or the credential older than what the account trusts.
        """
        if not member:
            return ANONYMOUS
        if member.startswith("principal://"):
            await self._remembered(f"pool:{_pool_of(member)}")
            return Principal(member, frozenset(), attributes)
        known = await self._remembered(member)
        if issued_at_us < known.valid_from_us:
            raise CredentialInvalid("this credential was made void when the account was signed out everywhere: sign in again")
        return known.principal

    async def _remembered(self, member: str) -> _Known:
        generation = self._generation.value
        if generation != self._known_at:
            self._known.clear()
            self._known_at = generation
        known = self._known.get(member)
        if known is None:
            known = await self._look_up(member)
            if generation == self._known_at:
                self._known[member] = known
                if len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
        return known

    async def _look_up(self, member: str) -> _Known:
        kind, _, email = member.partition(":")
        if kind == "pool":
            return await self._look_up_pool(email)
        statement = queries.PERSON if kind == "user" else queries.ACCOUNT
        row = await self._database.one(statement, {"email": email}) if kind in ("user", "serviceAccount") else None
        if row is None or row[0]:
            raise CredentialInvalid("the account of this credential does not exist any more, or is disabled")
        groups = await self._database.all(queries.GROUPS, {"member": member})
        return _Known(Principal(member, frozenset(str(each[0]) for each in groups)), int(row[1]))

    async def _look_up_pool(self, name: str) -> _Known:
        row = await self._database.one(queries.POOL, {"name": name})
        if row is None or row[0]:
            raise CredentialInvalid("the workload identity pool of this credential does not exist any more, or is disabled")
        return _Known(ANONYMOUS, 0)


def _pool_of(member: str) -> str:
    """`principal://iam.googleapis.com/POOL/subject/SUBJECT` → its pool."""
    return member.removeprefix("principal://iam.googleapis.com/").partition("/subject/")[0]
