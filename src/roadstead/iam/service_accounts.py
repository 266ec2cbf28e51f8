"""
Service accounts: who programs are. What they may do is in policies, how they prove who they are in keys.py.

An account that was deleted can be had back for 30 days, by its number, with its keys. One that is made under the same address meanwhile is
somebody else: it gets nothing that the old one had, and the old one cannot come back.

Spec: IAM API v1, projects.serviceAccounts.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from roadstead.db.database import Database, Transaction
from roadstead.errors import AlreadyExists, Conflict, FieldInvalid, ResourceUnknown
from roadstead.iam import resources
from roadstead.iam.generation import Generation
from roadstead.iam.queries import service_accounts as queries

DOMAIN = "iam.gserviceaccount.com"
UNDELETE_SECONDS = 30 * 24 * 3600
ANY_PROJECT = "-"
MOST_PER_PAGE = 1000

_US = 1_000_000
_MOST_DISPLAY_NAME_BYTES = 100
_MOST_DESCRIPTION_BYTES = 256
_ACCOUNT_ID = re.compile(r"[a-z](?:[-a-z0-9]{4,28}[a-z0-9])")
_NAME = re.compile(r"[!-~]{1,300}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_PURGE_BATCH = 100

Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """
    email and unique_id (21 digits) both name it. deleted_at_us is None except while it can be had back. Tokens from before
    valid_from_us are void. revision grows with every change.
    """

    email: str
    project: str
    unique_id: str
    display_name: str
    description: str
    disabled: bool
    deleted_at_us: int | None
    valid_from_us: int
    revision: int
    created_at_us: int

    @property
    def member(self) -> str:
        return f"serviceAccount:{self.email}"

    @property
    def name(self) -> str:
        return f"projects/{self.project}/serviceAccounts/{self.email}"

    @property
    def etag(self) -> str:
        return base64.b64encode(self.revision.to_bytes(8, "big")).decode()


def email_of(project: str, account_id: str) -> str:
    """A domain-scoped project, `example.com:p`, comes in reverse: `ACCOUNT@p.example.com.iam.gserviceaccount.com`."""
    domain, _, name = project.rpartition(":")
    return f"{account_id}@{name}.{domain}.{DOMAIN}" if domain else f"{account_id}@{name}.{DOMAIN}"


def project_of_email(email: str) -> str:
    """The project that the address says. Raises ResourceUnknown when it is no service account's of ours."""
    if not email.endswith("." + DOMAIN):
        raise _unknown(email)
    project = email.partition("@")[2].removesuffix("." + DOMAIN)
    name, _, domain = project.partition(".")
    return f"{domain}:{name}" if domain else name


class ServiceAccounts:
    """
    Methods take an account by its e-mail address or number, and the project that a request's path names, ANY_PROJECT for `-`: an account of
    another project is not found there.
    """

    def __init__(self, database: Database, generation: Generation, now_us: Clock) -> None:
        self._database = database
        self._generation = generation
        self._now_us = now_us

    async def create(self, project: str, account_id: str, display_name: str = "", description: str = "") -> ServiceAccount:
        """
        account_id is what comes before the `@`: 6 to 30 lower-case letters, digits and hyphens. The project is not looked at.

        Raises FieldInvalid, AlreadyExists.
        """
        if not _ACCOUNT_ID.fullmatch(account_id):
            raise FieldInvalid(
                "a service account's id has 6 to 30 lower-case letters, digits and hyphens, a letter first and no hyphen last",
                {"accountId": account_id[:100]},
            )
        _check_texts(display_name, description)
        email = email_of(project, account_id)
        async with self._generation.change() as tx:
            row = await tx.one(queries.LOCK_BY_EMAIL, {"name": email})
            before = _account(row) if row else None
            if before and before.deleted_at_us is None:
                raise _exists(account_id, project)
            if before:
                await self._forget(tx, before)
            values = {
                "email": email,
                "project": project,
                "unique_id": _new_id(),
                "display_name": display_name,
                "description": description,
                # Tokens that the account of this address had before are not the new one's.
                "valid_from_us": self._now_us() if before else 0,
                "now_us": self._now_us(),
            }
            if not await tx.run(queries.ADD, values):
                raise _exists(account_id, project)
        return await self.get(email)

    async def get(self, account: str, project: str = ANY_PROJECT) -> ServiceAccount:
        """Raises ResourceUnknown, also for one that was deleted."""
        _check_name(account)
        row = await self._database.one(queries.BY_ID if account.isdigit() else queries.BY_EMAIL, {"name": account})
        return _found(row, account, project, deleted=False)

    async def project_of(self, account: str) -> str:
        """By an address, the project that it says; by a number, also of one that was deleted. Raises ResourceUnknown."""
        if not account.isdigit():
            return project_of_email(account)
        row = await self._database.one(queries.BY_ID, {"name": account})
        if row is None:
            raise _unknown(account)
        return _account(row).project

    async def list(self, project: str, after: str = "", most: int = 100) -> list[ServiceAccount]:
        """In the order of e-mail addresses, those after one, at most 1,000. Raises FieldInvalid when `after` can be none."""
        if after and not is_name(after):
            raise FieldInvalid("the page token is not one of this server", {"field": "pageToken"})
        if not is_name(project):
            return []
        values = {"project": project, "after": after, "most": max(1, min(most, MOST_PER_PAGE))}
        return [_account(row) for row in await self._database.all(queries.OF_PROJECT, values)]

    async def patch(
        self, account: str, project: str = ANY_PROJECT, *, display_name: str | None = None, description: str | None = None, etag: str = ""
    ) -> ServiceAccount:
        """
        What is None stays. An etag must be that of what is changed; "" is none.

        Raises ResourceUnknown, FieldInvalid, Conflict.
        """
        _check_texts(display_name or "", description or "")
        async with self._database.transaction() as tx:
            found = await locked(tx, account, project)
            if etag and etag != found.etag:
                raise Conflict("the service account was changed meanwhile: read it again, then write", {"etag": found.etag})
            await _save(
                tx,
                replace(
                    found,
                    display_name=found.display_name if display_name is None else display_name,
                    description=found.description if description is None else description,
                ),
            )
        return await self.get(account, project)

    async def disable(self, account: str, project: str = ANY_PROJECT) -> None:
        """Its keys are refused until it is enabled, what was made before for ever. Raises ResourceUnknown."""
        now_us = self._now_us()
        await self._change(account, project, lambda found: replace(found, disabled=True, valid_from_us=now_us))

    async def enable(self, account: str, project: str = ANY_PROJECT) -> None:
        """Raises ResourceUnknown."""
        await self._change(account, project, lambda found: replace(found, disabled=False))

    async def delete(self, account: str, project: str = ANY_PROJECT) -> None:
        """Its keys and tokens are refused at once; undelete() takes it back within 30 days. Raises ResourceUnknown."""
        now_us = self._now_us()
        await self._change(account, project, lambda found: replace(found, deleted_at_us=now_us, valid_from_us=now_us))

    async def undelete(self, unique_id: str, project: str = ANY_PROJECT) -> ServiceAccount:
        """By its number only, because its address may be another's now. Its keys work again. Raises ResourceUnknown."""
        earliest_us = self._now_us() - UNDELETE_SECONDS * _US
        _check_name(unique_id)
        async with self._generation.change() as tx:
            found = _found(await tx.one(queries.LOCK_BY_ID, {"name": unique_id}), unique_id, project, deleted=True)
            if (found.deleted_at_us or 0) <= earliest_us:
                raise _unknown(unique_id)
            await _save(tx, replace(found, deleted_at_us=None))
        return await self.get(found.email)

    async def purge(self) -> int:
        """Forget those that cannot be had back any more; how many of them. A worker calls it now and then."""
        before_us = self._now_us() - UNDELETE_SECONDS * _US
        gone = 0
        for row in await self._database.all(queries.DELETED_BEFORE, {"before_us": before_us, "most": _PURGE_BATCH}):
            async with self._database.transaction() as tx:
                again = await tx.one(queries.LOCK_BY_ID, {"name": row[2]})
                if again is None or again[6] is None or again[6] >= before_us:
                    continue
                await self._forget(tx, _account(again))
                await self._generation.bump(tx)
            gone += 1
        await self._generation.seen()
        return gone

    async def _change(self, account: str, project: str, change: Callable[[ServiceAccount], ServiceAccount]) -> None:
        async with self._generation.change() as tx:
            await _save(tx, change(await locked(tx, account, project)))

    async def _forget(self, tx: Transaction, account: ServiceAccount) -> None:
        """
        Rights that name the address must not become those of whoever gets the address next: policies name the account by its number from
        now on, as Google writes it. Nor is who might act as this account anybody to the next one.
        """
        await tx.run(queries.DELETE_POLICY, {"whose": resources.service_account(account.project, account.email)})
        await tx.run(queries.DELETE_KEYS, {"account": account.email})
        await tx.run(queries.DELETE_MEMBERSHIPS, {"whose": account.member})
        await tx.run(queries.DELETE_CREDENTIALS, {"whose": account.member})
        written, gone = f'"{account.member}"', f'"deleted:{account.member}?uid={account.unique_id}"'
        for resource, bindings in await tx.all(queries.LOCK_POLICIES_WITH, {"pattern": f"%{written}%"}):
            values = {"whose": resource, "new_bindings": str(bindings).replace(written, gone), "now_us": self._now_us()}
            await tx.run(queries.SET_BINDINGS, values)
        await tx.run(queries.DELETE, {"account": account.email})


async def locked(tx: Transaction, account: str, project: str) -> ServiceAccount:
    """Whoever changes an account or its keys has its row. Raises ResourceUnknown."""
    _check_name(account)
    row = await tx.one(queries.LOCK_BY_ID if account.isdigit() else queries.LOCK_BY_EMAIL, {"name": account})
    return _found(row, account, project, deleted=False)


async def _save(tx: Transaction, account: ServiceAccount) -> None:
    await tx.run(
        queries.SAVE,
        {
            "account": account.email,
            "new_display_name": account.display_name,
            "new_description": account.description,
            "new_disabled": int(account.disabled),
            "new_deleted_at_us": account.deleted_at_us,
            "new_valid_from_us": account.valid_from_us,
        },
    )


def _account(row: Sequence[object]) -> ServiceAccount:
    email, project, unique_id, display_name, description, disabled, deleted_at_us, valid_from_us, revision, created_at_us = row
    return ServiceAccount(
        email=str(email),
        project=str(project),
        unique_id=str(unique_id),
        display_name=str(display_name),
        description=str(description),
        disabled=bool(disabled),
        deleted_at_us=deleted_at_us if isinstance(deleted_at_us, int) else None,
        valid_from_us=int(str(valid_from_us)),
        revision=int(str(revision)),
        created_at_us=int(str(created_at_us)),
    )


def _found(row: Sequence[object] | None, account: str, project: str, *, deleted: bool) -> ServiceAccount:
    found = _account(row) if row else None
    if found is None or project not in (ANY_PROJECT, found.project) or (found.deleted_at_us is not None) != deleted:
        raise _unknown(account)
    return found


def _unknown(account: str) -> ResourceUnknown:
    shown = account[:200].encode("ascii", "replace").decode()
    return ResourceUnknown(f"there is no service account {shown}", {"account": shown})


def _exists(account_id: str, project: str) -> AlreadyExists:
    return AlreadyExists(f"service account {account_id} already exists within project projects/{project}")


def is_name(text: str) -> bool:
    """Whether an e-mail address, number or project can be written so. Databases take neither a NUL nor half a character."""
    return _NAME.fullmatch(text) is not None


def _check_name(account: str) -> None:
    if not is_name(account):
        raise _unknown(account)


def _new_id() -> str:
    """21 digits, as Google's; it says nothing of the account."""
    return str(10**20 + secrets.randbelow(9 * 10**20))


def _check_texts(display_name: str, description: str) -> None:
    for field, text, most in (
        ("displayName", display_name, _MOST_DISPLAY_NAME_BYTES),
        ("description", description, _MOST_DESCRIPTION_BYTES),
    ):
        if len(text.encode(errors="surrogatepass")) > most or _CONTROL.search(text) or any("\ud800" <= each <= "\udfff" for each in text):
            raise FieldInvalid(f"{field} has at most {most} bytes of UTF-8 and no control characters", {"field": field})
