"""
People: those who sign in. A person is `user:E-MAIL` in policies and has a password here, an account with an OpenID provider, or both.

What is issued to a person before valid_from_us (tokens, sessions) is void: disabling somebody, a new password and "sign out everywhere"
move it to now, and take effect in every process of this machine before they are answered (generation.py).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from roadstead.db.database import Database, Row, Transaction
from roadstead.errors import AlreadyExists, CredentialInvalid, FieldInvalid, MemberInvalid, ResourceUnknown, StateForbids
from roadstead.iam.credentials import Kind
from roadstead.iam.generation import Generation
from roadstead.iam.members import parse_member
from roadstead.iam.passwords import MOST_CHARACTERS, Passwords, check_new
from roadstead.iam.queries import credentials as secret_queries
from roadstead.iam.queries import people as queries

MOST_NAME_CHARACTERS = 200
PENDING = "pending:"
"""Begins a one-time-password secret that its owner has not confirmed yet."""


@dataclass(frozen=True, slots=True)
class Person:
    """
    email is in lower case. id: 21 digits, never used twice. issuer and subject: the account with an OpenID provider, or "".

    has_second_factor: a login needs a one-time password beside the password.
    """

    email: str
    id: str
    name: str
    has_password: bool
    has_second_factor: bool
    issuer: str
    subject: str
    disabled: bool
    valid_from_us: int
    created_at_us: int
    last_login_at_us: int | None

    @property
    def member(self) -> str:
        return f"user:{self.email}"


class People:
    def __init__(self, database: Database, generation: Generation, now_us: Callable[[], int], passwords: Passwords | None = None) -> None:
        self._database = database
        self._generation = generation
        self._now_us = now_us
        self._passwords = passwords or Passwords()

    async def create(self, email: str, name: str = "", password: str | None = None, issuer: str = "", subject: str = "") -> Person:
        """Raises FieldInvalid, AlreadyExists, TooManyRequests."""
        address = canonical_email(email)
        hashed = None
        if password is not None:
            check_new(password, address)
            hashed = await self._passwords.hashed(password)
        row = {
            "email": address,
            "id": new_id(),
            "name": checked_name(name),
            "password_hash": hashed,
            "issuer": issuer or None,
            "subject": subject or None,
            "now_us": self._now_us(),
        }
        async with self._generation.change() as tx:
            if await tx.run(queries.ADD, row) == 0:
                raise AlreadyExists(f"there is an account for {address} already", {"email": address})
        return await self.get(address)

    async def get(self, email: str) -> Person:
        """Raises ResourceUnknown."""
        row = await self._database.one(queries.GET, {"who": email.lower()})
        if row is None:
            raise unknown(email)
        return _person(row)

    async def of_subject(self, issuer: str, subject: str) -> Person | None:
        """Whose account with an OpenID provider it is."""
        row = await self._database.one(queries.OF_SUBJECT, {"issuer": issuer, "subject": subject})
        return _person(row) if row else None

    async def list(self, after: str = "", most: int = 1000) -> list[Person]:
        """In the order of their e-mails, after the one given."""
        return [_person(row) for row in await self._database.all(queries.PAGE, {"after": after, "most": most})]

    async def check_password(self, email: str, password: str) -> Person:
        """
        Who it is. Takes as long, and says the same, for whoever has no account, no password, or may not sign in.

        Raises CredentialInvalid, TooManyRequests.
        """
        row = await self._database.one(queries.GET, {"who": email.strip().lower()[:MOST_CHARACTERS]})
        kept = row[3] if row is not None else None
        right = await self._passwords.is_right(kept, password)
        if row is None or kept is None or not right or row[8]:
            raise CredentialInvalid("the e-mail address or the password is wrong")
        if self._passwords.is_old(kept):
            await self._rehash(row, password)
        return _person(row)

    async def set_password(self, email: str, password: str) -> Person:
        """Everything that was issued to the person before is void. Raises FieldInvalid, ResourceUnknown, TooManyRequests."""
        return await self.set_hashed(email, await self.hashed(email, password))

    async def hashed(self, email: str, password: str) -> str:
        """The part of set_password() that may fail, for whoever uses something up in between. Raises FieldInvalid, TooManyRequests."""
        check_new(password, email.lower())
        return await self._passwords.hashed(password)

    async def set_hashed(self, email: str, hashed: str) -> Person:
        """What hashed() gave. Raises ResourceUnknown."""
        async with self._generation.change() as tx:
            person = await locked(tx, email)
            await tx.run(queries.SET_PASSWORD, {"who": person.email, "hash": hashed, "now_us": self._now_us()})
            await void_secrets(tx, person)
        return await self.get(email)

    async def set_name(self, email: str, name: str) -> None:
        """Raises FieldInvalid, ResourceUnknown."""
        async with self._generation.change() as tx:
            person = await locked(tx, email)
            await tx.run(queries.SET_NAME, {"who": person.email, "new_name": checked_name(name)})

    async def link(self, email: str, issuer: str, subject: str) -> None:
        """
        The person may sign in with this account of an OpenID provider.

        Raises ResourceUnknown, AlreadyExists (it is somebody else's), StateForbids (the person has another there).
        """
        owner = await self.of_subject(issuer, subject)
        async with self._generation.change() as tx:
            person = await locked(tx, email)
            if owner is not None and owner.email != person.email:
                raise AlreadyExists("this account of the provider belongs to another person here")
            if person.issuer and (person.issuer, person.subject) != (issuer, subject):
                raise StateForbids(f"{person.email} signs in with another account of an OpenID provider already")
            await tx.run(queries.SET_SUBJECT, {"who": person.email, "new_issuer": issuer, "new_subject": subject})

    async def disable(self, email: str) -> None:
        """No login, no token and no session of the person is good any more. Raises ResourceUnknown."""
        async with self._generation.change() as tx:
            person = await locked(tx, email)
            await tx.run(queries.SET_DISABLED, {"who": person.email, "is_disabled": 1, "now_us": self._now_us()})
            await void_secrets(tx, person)

    async def enable(self, email: str) -> None:
        """What was issued before stays void. Raises ResourceUnknown."""
        async with self._generation.change() as tx:
            person = await locked(tx, email)
            await tx.run(queries.SET_DISABLED, {"who": person.email, "is_disabled": 0, "now_us": self._now_us()})

    async def sign_out_everywhere(self, email: str) -> None:
        """Raises ResourceUnknown."""
        async with self._generation.change() as tx:
            person = await locked(tx, email)
            await tx.run(queries.SET_VALID_FROM, {"who": person.email, "now_us": self._now_us()})
            await void_secrets(tx, person)

    async def delete(self, email: str) -> None:
        """With memberships in groups. Policies keep naming the e-mail, as at Google. Raises ResourceUnknown."""
        async with self._generation.change() as tx:
            person = await locked(tx, email)
            await tx.run(secret_queries.DELETE_ALL_OF_MEMBER, {"whose": person.member})
            await tx.run(queries.LEAVE_ALL, {"whose": person.member})
            await tx.run(queries.DELETE, {"who": person.email})

    async def signed_in(self, email: str) -> None:
        """Remember when. Nobody's rights change."""
        async with self._database.transaction() as tx:
            await tx.run(queries.SET_LOGIN, {"who": email.lower(), "now_us": self._now_us()})

    async def _rehash(self, row: Row, password: str) -> None:
        """With today's parameters, unless somebody changed the password meanwhile."""
        renewed = await self._passwords.hashed(password)
        async with self._database.transaction() as tx:
            await tx.run(queries.REHASH, {"who": row[0], "old_hash": row[3], "new_hash": renewed})


async def locked(tx: Transaction, email: str) -> Person:
    """Raises ResourceUnknown."""
    row = await tx.one(queries.LOCK, {"who": email.lower()})
    if row is None:
        raise unknown(email)
    return _person(row)


async def void_secrets(tx: Transaction, person: Person) -> None:
    """Recovery codes stay: they are no login."""
    for kind in Kind:
        if kind is not Kind.RECOVERY:
            await tx.run(secret_queries.DELETE_KIND_OF_MEMBER, {"whose": person.member, "what": kind.value})


def canonical_email(text: str) -> str:
    """In lower case. Raises FieldInvalid."""
    try:
        return parse_member(f"user:{text.strip()}").removeprefix("user:")
    except MemberInvalid as error:
        raise FieldInvalid("this is not an e-mail address", {"field": "email", "value": text[:100]}) from error


def checked_name(text: str) -> str:
    """Raises FieldInvalid."""
    name = text.strip()
    if len(name) > MOST_NAME_CHARACTERS or not name.isprintable():
        raise FieldInvalid(f"a name has at most {MOST_NAME_CHARACTERS} printable characters", {"field": "name"})
    return name


def new_id() -> str:
    """21 digits, as Google's, none of them a leading zero."""
    return str(10**20 + secrets.randbelow(9 * 10**20))


def unknown(email: str) -> ResourceUnknown:
    return ResourceUnknown("there is no such person here", {"email": email[:300]})


def _person(row: Row) -> Person:
    email, ident, name, password_hash, totp_secret, _, issuer, subject, disabled, valid_from_us, created_at_us, last_login_at_us = row
    return Person(
        email=email,
        id=ident,
        name=name,
        has_password=password_hash is not None,
        has_second_factor=bool(totp_secret) and not totp_secret.startswith(PENDING),
        issuer=issuer or "",
        subject=subject or "",
        disabled=bool(disabled),
        valid_from_us=int(valid_from_us),
        created_at_us=int(created_at_us),
        last_login_at_us=None if last_login_at_us is None else int(last_login_at_us),
    )
