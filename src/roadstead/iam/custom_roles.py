"""
Roles that an installation makes for itself, in a project or in the organization. They hold permissions that are known here.

A role that was deleted gives nothing from that moment; it can be had back for UNDELETE_SECONDS.
Spec: IAM API v1, projects.roles and organizations.roles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from roadstead.db.database import Database, Row
from roadstead.errors import AlreadyExists, Conflict, FieldInvalid, ResourceUnknown, StateForbids
from roadstead.iam.generation import Generation
from roadstead.iam.permissions import PERMISSIONS
from roadstead.iam.queries import roles as queries

UNDELETE_SECONDS = 7 * 24 * 3600
STAGES = ("ALPHA", "BETA", "GA", "DEPRECATED", "DISABLED", "EAP")
MOST_PER_PAGE = 1000
MOST_PERMISSIONS = 3000

_ID = re.compile(r"[A-Za-z0-9_.]{3,64}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class CustomRole:
    """name is `PARENT/roles/ID`, PARENT `projects/P` or `organizations/0`. deleted_at_us is None except while it can be had back."""

    name: str
    title: str
    description: str
    permissions: frozenset[str]
    stage: str
    revision: int
    deleted_at_us: int | None

    @property
    def etag(self) -> bytes:
        return self.revision.to_bytes(8, "big")


class CustomRoles:
    def __init__(self, database: Database, generation: Generation, now_us: Callable[[], int]) -> None:
        self._database = database
        self._generation = generation
        self._now_us = now_us

    async def create(
        self, parent: str, role_id: str, title: str = "", description: str = "", permissions: Iterable[str] = (), stage: str = "GA"
    ) -> CustomRole:
        """Raises FieldInvalid, AlreadyExists (also while one of the name can be had back)."""
        if _ID.fullmatch(role_id) is None:
            raise FieldInvalid("a role's id has 3 to 64 letters, digits, `_` and `.`", {"roleId": role_id[:100]})
        role = CustomRole(f"{parent}/roles/{role_id}", title, description, frozenset(permissions), stage, 1, None)
        _check(role)
        async with self._generation.change() as tx:
            added = await tx.run(
                queries.ADD,
                {"name": role.name, "title": title, "description": description, "permissions": _encoded(role.permissions), "stage": stage},
            )
            if not added:
                raise AlreadyExists(f"A role named {role_id} in {parent} already exists.", {"role": role.name})
        return role

    async def get(self, name: str) -> CustomRole:
        """Also one that was deleted and can be had back. Raises ResourceUnknown."""
        return self._found(await self._database.one(queries.GET, {"role": _clean(name)}), name)

    async def is_usable(self, name: str) -> bool:
        """Whether a policy can give it."""
        row = await self._database.one(queries.GET, {"role": _clean(name)})
        return row is not None and row[6] is None

    async def list(self, parent: str, after: str = "", most: int = 100, *, with_deleted: bool = False) -> list[CustomRole]:
        """In the order of their names, those after one."""
        # A `0` follows the `/`: what is between begins with the one and is before the other.
        between = {"first": f"{parent}/roles/", "end": f"{parent}/roles0"}
        values = {**between, "after": _clean(after), "with_deleted": int(with_deleted), "most": max(1, min(most, MOST_PER_PAGE))}
        return [_role(row) for row in await self._database.all(queries.PAGE, values)]

    async def update(
        self,
        name: str,
        *,
        title: str | None = None,
        description: str | None = None,
        permissions: Sequence[str] | None = None,
        stage: str | None = None,
        etag: bytes = b"",
    ) -> CustomRole:
        """What is None stays. What it gives changes at once, wherever it is given. Raises ResourceUnknown, FieldInvalid, Conflict."""

        def change(role: CustomRole) -> CustomRole:
            if role.deleted_at_us is not None:
                raise StateForbids(f"role {name} is deleted: undelete it first", {"role": name})
            return replace(
                role,
                title=role.title if title is None else title,
                description=role.description if description is None else description,
                permissions=role.permissions if permissions is None else frozenset(permissions),
                stage=role.stage if stage is None else stage,
            )

        return await self._change(name, etag, change)

    async def delete(self, name: str, etag: bytes = b"") -> CustomRole:
        """Raises ResourceUnknown, Conflict."""
        return await self._change(name, etag, lambda role: replace(role, deleted_at_us=role.deleted_at_us or self._now_us()))

    async def undelete(self, name: str, etag: bytes = b"") -> CustomRole:
        """Raises ResourceUnknown, Conflict."""
        return await self._change(name, etag, lambda role: replace(role, deleted_at_us=None))

    async def purge(self) -> int:
        """Forget those that cannot be had back any more; how many. A worker calls it now and then."""
        async with self._database.transaction() as tx:
            return await tx.run(queries.DELETE_OLD, {"before_us": self._earliest_us()})

    async def _change(self, name: str, etag: bytes, change: Callable[[CustomRole], CustomRole]) -> CustomRole:
        async with self._generation.change() as tx:
            found = self._found(await tx.one(queries.LOCK, {"role": _clean(name)}), name)
            if etag and etag != found.etag:
                raise Conflict("the role was changed meanwhile: read it again, then write")
            changed = change(found)
            _check(changed)
            await tx.run(
                queries.SAVE,
                {
                    "role": changed.name,
                    "new_title": changed.title,
                    "new_description": changed.description,
                    "new_permissions": _encoded(changed.permissions),
                    "new_stage": changed.stage,
                    "new_deleted_at_us": changed.deleted_at_us,
                },
            )
        return replace(changed, revision=found.revision + 1)

    def _earliest_us(self) -> int:
        return self._now_us() - UNDELETE_SECONDS * 1_000_000

    def _found(self, row: Row | None, name: str) -> CustomRole:
        if row is None or (row[6] is not None and row[6] < self._earliest_us()):
            raise ResourceUnknown(f"The role named {name[:200]} was not found.", {"role": name[:200]})
        return _role(row)


def _role(row: Row) -> CustomRole:
    name, title, description, permissions, stage, revision, deleted_at_us = row
    decoded = frozenset(msgspec.json.decode(permissions, type=list[str]))
    return CustomRole(name, title, description, decoded, stage, int(revision), deleted_at_us)


def _encoded(permissions: Iterable[str]) -> str:
    return msgspec.json.encode(sorted(permissions)).decode()


def _clean(text: str) -> str:
    """No role has a NUL, and PostgreSQL takes no text that has."""
    return text.partition("\0")[0]


def _check(role: CustomRole) -> None:
    """Raises FieldInvalid."""
    for field, text, most in (("title", role.title, 100), ("description", role.description, 300)):
        if len(text) > most or _CONTROL.search(text) or any("\ud800" <= each <= "\udfff" for each in text):
            raise FieldInvalid(f"{field} has at most {most} characters, none of them a control character", {"field": field})
    if role.stage not in STAGES:
        raise FieldInvalid(f"stage is one of {', '.join(STAGES)}", {"stage": role.stage[:50]})
    unknown = sorted(role.permissions - PERMISSIONS)
    if unknown or len(role.permissions) > MOST_PERMISSIONS:
        raise FieldInvalid(
            f"Permission {unknown[0][:100] if unknown else ''} is not valid.", {"permissions": [each[:100] for each in unknown[:20]]}
        )
