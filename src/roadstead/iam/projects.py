"""
Projects: what repositories, policies and service accounts are in, and which APIs are enabled there.

A project that is deleted can be had back for GRACE_SECONDS. After that its images and all that belongs to it are removed; its id stays
taken for ever, as at Google, so that nobody gets what others still send to it.

Spec: Resource Manager API v1 and v3, projects; Service Usage API v1, services.
"""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from roadstead.db.database import Database, Row, Transaction
from roadstead.errors import AlreadyExists, Conflict, FieldInvalid, ResourceUnknown, StateForbids
from roadstead.iam import resources, services
from roadstead.iam.decide import Binding, Policy, validate
from roadstead.iam.generation import Generation
from roadstead.iam.operations import Operations
from roadstead.iam.policies import Policies
from roadstead.iam.queries import projects as queries
from roadstead.iam.queries import service_accounts
from roadstead.iam.roles import OWNER
from roadstead.jobs import queue
from roadstead.jobs.kinds import REMOVE_ANALYSIS, REMOVE_IMAGES, SCAN_PROJECT

ACTIVE = "ACTIVE"
DELETE_REQUESTED = "DELETE_REQUESTED"
GONE = "GONE"
"""All but its id and number is removed: it is found no more, and its id is taken."""

GRACE_SECONDS = 30 * 24 * 3600.0
"""A job of the registry; its argument is what the names of the project's repositories begin with, without the `/`."""

MOST_PER_PAGE = 1000
REMEMBERED = 20_000

_BATCH = 100
_TRIES = 20
_MOST_LABELS = 64
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_NAME = re.compile(r"[\w '\"!()&.,:-]{1,60}")


@dataclass(frozen=True, slots=True)
class Project:
    """number: 12 digits. state: ACTIVE or DELETE_REQUESTED; deleted_at_us is None when active."""

    id: str
    number: int
    name: str
    state: str
    labels: Mapping[str, str]
    created_at_us: int
    updated_at_us: int
    deleted_at_us: int | None

    @property
    def etag(self) -> bytes:
        return self.updated_at_us.to_bytes(8, "big")


@dataclass(frozen=True, slots=True)
class _Standing:
    """What every push asks of a project."""

    state: str
    enabled: frozenset[str]


class Projects:
    """Reads raise ResourceUnknown for what is not there; whoever asks must have been allowed to know that."""

    def __init__(self, database: Database, generation: Generation, now_us: Callable[[], int], grace_seconds: float = GRACE_SECONDS) -> None:
        self._database = database
        self._generation = generation
        self._now_us = now_us
        self._grace_us = int(grace_seconds * 1e6)
        self._policies = Policies(database, generation, now_us)
        self._standings: OrderedDict[str, _Standing] = OrderedDict()
        self._known_at = -1
        self.operations = Operations(database, now_us)

    async def create(self, project_id: str, name: str = "", labels: Mapping[str, str] | None = None, creator: str = "") -> Project:
        """
        creator, a member, becomes its owner; "" leaves it to the organization's. Without a name it is called by its id.

        Raises FieldInvalid; AlreadyExists, also while one of the id is being deleted, and for ever after.
        """
        resources.check_project_id(project_id)
        resources.check_not_reserved(project_id)
        given = dict(labels or {})
        _check(name or project_id, given)
        owners = validate((Binding(OWNER, (creator,)),)) if creator else ()
        async with self._generation.change() as tx:
            await self._add(tx, project_id, name or project_id, given)
            for service in services.OF_NEW_PROJECTS:
                await tx.run(queries.ENABLE, {"project": project_id, "service": service, "now_us": self._now_us()})
            if owners:
                await self._policies.put(tx, resources.project(project_id), Policy(owners))
        return await self.get(project_id)

    async def adopt(self, project_id: str) -> None:
        """One that has images from before there were accounts, whatever its id looks like. Raises AlreadyExists."""
        async with self._generation.change() as tx:
            await self._add(tx, project_id, project_id, {})

    async def suggest(self, name: str) -> str:
        """An id that nobody has, from a name: `Tutorial Project` → `tutorial-project-268109`."""
        words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        stem = (words if words[:1].isalpha() else f"project-{words}".rstrip("-"))[:23].rstrip("-")
        while True:
            found = f"{stem}-{secrets.randbelow(900_000) + 100_000}"
            if await self._database.one(queries.GET, {"project": found}) is None:
                return found

    async def get(self, project_id: str) -> Project:
        """Raises ResourceUnknown."""
        return _found(await self._database.one(queries.GET, {"project": _clean(project_id)}), project_id)

    async def require_active(self, project_id: str) -> Project:
        """Raises ResourceUnknown, StateForbids."""
        return _active(await self.get(project_id))

    async def id_of_number(self, number: int) -> str:
        """Raises ResourceUnknown."""
        row = await self._database.one(queries.ID_OF_NUMBER, {"number": number}) if 0 < number < 2**63 else None
        if row is None:
            raise _unknown(str(number))
        return str(row[0])

    async def list(self, after: str = "", most: int = 100) -> list[Project]:
        """In the order of their ids, those after one; at most 1,000. Whoever shows them asks for each whether the caller may see it."""
        values = {"after": _clean(after), "but_state": GONE, "most": max(1, min(most, MOST_PER_PAGE))}
        return [_project(row) for row in await self._database.all(queries.PAGE, values)]

    async def update(
        self, project_id: str, *, name: str | None = None, labels: Mapping[str, str] | None = None, etag: bytes = b""
    ) -> Project:
        """What is None stays. Raises ResourceUnknown, StateForbids, FieldInvalid, Conflict."""
        _check(name, labels)
        async with self._database.transaction() as tx:
            found = _active(await _locked(tx, project_id))
            if etag and etag != found.etag:
                raise Conflict("the project was changed meanwhile: read it again, then write")
            changed = replace(found, name=found.name if name is None else name, labels=found.labels if labels is None else labels)
            await self._save(tx, changed)
        return await self.get(project_id)

    async def delete(self, project_id: str) -> Project:
        """Nothing in it can be used from now on; undelete() takes it back within the grace. Raises ResourceUnknown, StateForbids."""
        return await self._change(project_id, lambda found: replace(_active(found), state=DELETE_REQUESTED, deleted_at_us=self._now_us()))

    async def undelete(self, project_id: str) -> Project:
        """Raises ResourceUnknown, StateForbids."""
        return await self._change(project_id, lambda found: replace(_deleted(found), state=ACTIVE, deleted_at_us=None))

    async def purge(self) -> int:
        """
        Remove for good what nobody may have back any more; how many projects. A worker calls it now and then.

        The images go with a job REMOVE_IMAGES of the same transaction.
        """
        gone = 0
        before_us = self._now_us() - self._grace_us
        rows = await self._database.all(queries.DUE, {"in_state": DELETE_REQUESTED, "before_us": before_us, "most": _BATCH})
        for (project_id,) in rows:
            async with self._database.transaction() as tx:
                row = await tx.one(queries.LOCK, {"project": project_id})
                found = _project(row) if row else None
                if found is None or found.state != DELETE_REQUESTED or (found.deleted_at_us or 0) >= before_us:
                    continue
                await self._remove(tx, found)
                await self._generation.bump(tx)
            gone += 1
        await self._generation.seen()
        await self.operations.purge()
        return gone

    async def is_active(self, project_id: str) -> bool:
        """Costs no query for what was asked before. False for one that is not there."""
        return (await self._standing(project_id)).state == ACTIVE

    async def is_enabled(self, project_id: str, service: str) -> bool:
        """Costs no query for a project that was asked about before. False also for one that is not there or is being deleted."""
        standing = await self._standing(project_id)
        return service in standing.enabled and standing.state == ACTIVE

    async def services(self, project_id: str) -> frozenset[str]:
        """Those that are enabled."""
        return frozenset(str(row[0]) for row in await self._database.all(queries.SERVICES, {"project": _clean(project_id)}))

    async def enable(self, project_id: str, asked: Sequence[str]) -> frozenset[str]:
        """The services, and what they need; those that are on now. Raises ResourceUnknown, StateForbids, FieldInvalid."""
        wanted = services.with_needs(asked)
        async with self._generation.change() as tx:
            _active(await _locked(tx, project_id))
            for service in sorted(wanted):
                is_new = await tx.run(queries.ENABLE, {"project": project_id, "service": service, "now_us": self._now_us()})
                if is_new and service == services.SCANNING:
                    await queue.enqueue(tx, SCAN_PROJECT, project_id.encode(), self._now_us())
        return wanted

    async def disable(self, project_id: str, service: str, *, with_dependents: bool = False) -> None:
        """
        Switch one off, with_dependents also those that need it. Nothing that is stored is removed.

        Raises ResourceUnknown, FieldInvalid; StateForbids when others need it or it is not on.
        """
        services.check(service)
        async with self._generation.change() as tx:
            _active(await _locked(tx, project_id))
            enabled = {str(row[0]) for row in await tx.all(queries.SERVICES, {"project": project_id})}
            if service not in enabled:
                raise StateForbids(f"Not allowed to disable service {service}: it is not enabled in project {project_id}.")
            off = {service} | services.dependents(service, enabled)
            if len(off) > 1 and not with_dependents:
                others = ", ".join(sorted(off - {service}))
                raise StateForbids(
                    f"The service {service} is depended on by the following active service(s): {others}; Please specify "
                    "disable_dependent_services=true if you want to proceed with disabling all services."
                )
            for each in sorted(off):
                await tx.run(queries.DISABLE, {"project": project_id, "which": each})

    async def _standing(self, project_id: str) -> _Standing:
        generation = self._generation.value
        if generation != self._known_at:
            self._standings.clear()
            self._known_at = generation
        standing = self._standings.get(project_id)
        if standing is None:
            rows = await self._database.all(queries.STANDING, {"project": _clean(project_id)})
            standing = _Standing(str(rows[0][0]) if rows else GONE, frozenset(str(row[1]) for row in rows if row[1]))
            if generation == self._known_at:
                self._standings[project_id] = standing
                if len(self._standings) > REMEMBERED:
                    self._standings.popitem(last=False)
        return standing

    async def _add(self, tx: Transaction, project_id: str, name: str, labels: Mapping[str, str]) -> None:
        for _ in range(_TRIES):
            # Read with a lock first: whoever deletes or purges it has the row.
            if await tx.one(queries.LOCK, {"project": project_id}) is not None:
                break
            values = {"id": project_id, "name": name, "state": ACTIVE, "labels": _encoded(labels), "now_us": self._now_us()}
            if await tx.run(queries.ADD, {**values, "number": secrets.randbelow(9 * 10**11) + 10**11}):
                return
        raise AlreadyExists("Requested entity already exists: choose another project id", {"project": project_id})

    async def _change(self, project_id: str, change: Callable[[Project], Project]) -> Project:
        async with self._generation.change() as tx:
            changed = change(await _locked(tx, project_id))
            await self._save(tx, changed)
        return await self.get(project_id)

    async def _save(self, tx: Transaction, project: Project) -> None:
        await tx.run(
            queries.SAVE,
            {
                "project": project.id,
                "new_name": project.name,
                "new_state": project.state,
                "new_labels": _encoded(project.labels),
                "new_deleted_at_us": project.deleted_at_us,
                # An etag must differ although two changes fall into one tick of the clock.
                "now_us": max(self._now_us(), project.updated_at_us + 1),
            },
        )

    async def _remove(self, tx: Transaction, project: Project) -> None:
        for (email,) in await tx.all(queries.EMAILS, {"project": project.id}):
            await tx.run(service_accounts.DELETE_KEYS, {"account": email})
            await tx.run(service_accounts.DELETE_MEMBERSHIPS, {"whose": f"serviceAccount:{email}"})
            await tx.run(service_accounts.DELETE_CREDENTIALS, {"whose": f"serviceAccount:{email}"})
            await tx.run(service_accounts.DELETE, {"account": email})
        resource = resources.project(project.id)
        for statement in queries.REMOVE:
            # A `0` follows the `/`: what is between begins with the one and is before the other.
            await tx.run(statement, {"project": project.id, "resource": resource, "first": resource + "/", "end": resource + "0"})
        await self._save(tx, replace(project, name="", state=GONE, labels={}))
        await queue.enqueue(tx, REMOVE_IMAGES, resources.name_prefix(project.id).encode(), self._now_us())
        await queue.enqueue(tx, REMOVE_ANALYSIS, project.id.encode(), self._now_us())


async def _locked(tx: Transaction, project_id: str) -> Project:
    """Raises ResourceUnknown."""
    return _found(await tx.one(queries.LOCK, {"project": _clean(project_id)}), project_id)


def _found(row: Row | None, project_id: str) -> Project:
    found = _project(row) if row else None
    if found is None or found.state == GONE:
        raise _unknown(project_id)
    return found


def _unknown(project_id: str) -> ResourceUnknown:
    return ResourceUnknown(f"there is no project {project_id[:100]}", {"project": project_id[:100]})


def _active(project: Project) -> Project:
    if project.state != ACTIVE:
        raise StateForbids(f"project {project.id} is being deleted: undelete it first", {"project": project.id})
    return project


def _deleted(project: Project) -> Project:
    if project.state != DELETE_REQUESTED:
        raise StateForbids(f"project {project.id} is not deleted", {"project": project.id})
    return project


def _project(row: Row) -> Project:
    project_id, number, name, state, labels, created_at_us, updated_at_us, deleted_at_us = row
    decoded = msgspec.json.decode(labels, type=dict[str, str])
    return Project(project_id, int(number), name, state, decoded, int(created_at_us), int(updated_at_us), deleted_at_us)


def _encoded(labels: Mapping[str, str]) -> str:
    return msgspec.json.encode(dict(sorted(labels.items()))).decode()


def _clean(text: str) -> str:
    """No project has a NUL, and PostgreSQL takes no text that has."""
    return text.partition("\0")[0]


def _check(name: str | None, labels: Mapping[str, str] | None) -> None:
    """Raises FieldInvalid."""
    if name is not None and _NAME.fullmatch(name) is None:
        raise FieldInvalid("a project's name has 1 to 60 letters, digits, blanks, hyphens, quotes, `!` and the like", {"name": name[:100]})
    given = labels or {}
    if len(given) > _MOST_LABELS:
        raise FieldInvalid(f"a project has at most {_MOST_LABELS} labels")
    for key, value in given.items():
        if _LABEL_KEY.fullmatch(key) is None or _LABEL_VALUE.fullmatch(value) is None:
            raise FieldInvalid(
                "a label's key and value have at most 63 lower-case letters, digits, `_` and `-`; a key begins with a letter",
                {"label": key[:100]},
            )
