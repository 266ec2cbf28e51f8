"""
One-time passwords beside the password (TOTP, RFC 6238: six digits, SHA-1, 30 seconds, as every authenticator app makes them).

A code is good once: its time step is remembered, and an older or equal one is refused (RFC 6238, 5.2). Recovery codes stand in for a lost
device, each once; only their SHA-256 is kept.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import pyotp

from roadstead.db.database import Database
from roadstead.errors import CredentialInvalid, StateForbids
from roadstead.iam.credentials import Credentials, Kind, keep, new_family
from roadstead.iam.generation import Generation
from roadstead.iam.people import PENDING, locked, unknown, void_secrets
from roadstead.iam.queries import credentials as secret_queries
from roadstead.iam.queries import people as queries

STEP_SECONDS = 30
# Clocks of phones differ a little: one step before and after now is good (RFC 6238, 5.2).
STEPS_AROUND = 1
RECOVERY_CODES = 10
RECOVERY_BYTES = 10
RECOVERY_SECONDS = 10 * 365 * 24 * 3600
APPLICATION = "Roadstead"

_CODE = re.compile(r"[0-9]{6}")
_RECOVERY = re.compile(r"[a-z2-7]{16}")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """secret: base32, to type into an authenticator; address: the same as otpauth://, for a QR code."""

    secret: str
    address: str


class SecondFactor:
    def __init__(self, database: Database, credentials: Credentials, generation: Generation, now_us: Callable[[], int]) -> None:
        self._database = database
        self._credentials = credentials
        self._generation = generation
        self._now_us = now_us

    async def enrol(self, email: str) -> Enrolment:
        """A secret that counts once confirm() has seen a code of it. Raises ResourceUnknown, StateForbids (there is one already)."""
        secret = pyotp.random_base32()
        async with self._database.transaction() as tx:
            person = await locked(tx, email)
            if person.has_second_factor:
                raise StateForbids("one-time passwords are on already: turn them off before you use another device")
            await tx.run(queries.SET_TOTP, {"who": person.email, "secret": PENDING + secret, "step": 0})
        return _enrolment(secret, person.email)

    async def pending(self, email: str) -> Enrolment | None:
        """What enrol() began, so that a mistyped code does not need a new one."""
        row = await self._database.one(queries.GET, {"who": email.lower()})
        if row is None or not row[4] or not row[4].startswith(PENDING):
            return None
        return _enrolment(row[4].removeprefix(PENDING), row[0])

    async def confirm(self, email: str, code: str) -> list[str]:
        """
        From now on logins need a code, and what was issued to the person before is void: somebody may have had the password alone.

        The recovery codes, which are shown this once. Raises CredentialInvalid, ResourceUnknown.
        """
        codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
        async with self._generation.change() as tx:
            row = await tx.one(queries.LOCK, {"who": email.lower()})
            if row is None:
                raise unknown(email)
            if not row[4] or not row[4].startswith(PENDING):
                raise CredentialInvalid("begin to set one-time passwords up first")
            secret = row[4].removeprefix(PENDING)
            step = self._step(secret, code, 0)
            person = await locked(tx, email)
            member = person.member
            await tx.run(queries.SET_TOTP, {"who": row[0], "secret": secret, "step": step})
            await tx.run(queries.SET_VALID_FROM, {"who": row[0], "now_us": self._now_us()})
            await void_secrets(tx, person)
            await tx.run(secret_queries.DELETE_KIND_OF_MEMBER, {"whose": member, "what": Kind.RECOVERY.value})
            family = new_family()
            for each in codes:
                await keep(
                    tx, Kind.RECOVERY, _kept(row[0], each.replace("-", "")), member, "", self._now_us(), RECOVERY_SECONDS, {}, family
                )
        return codes

    async def verify(self, email: str, code: str) -> None:
        """A code of the device, or a recovery code, which is then used up. Raises CredentialInvalid."""
        typed = code.replace(" ", "").replace("-", "").lower()
        if _RECOVERY.fullmatch(typed):
            await self._credentials.take(_kept(email.lower(), typed), Kind.RECOVERY)
            return
        async with self._database.transaction() as tx:
            row = await tx.one(queries.LOCK, {"who": email.lower()})
            if row is None or not row[4] or row[4].startswith(PENDING):
                raise wrong()
            step = self._step(row[4], typed, int(row[5]))
            await tx.run(queries.SET_TOTP_STEP, {"who": row[0], "step": step})

    async def remove(self, email: str) -> None:
        """Recovery codes too. The caller has seen to it that it is the person, or an administrator. Raises ResourceUnknown."""
        async with self._database.transaction() as tx:
            person = await locked(tx, email)
            await tx.run(queries.SET_TOTP, {"who": person.email, "secret": None, "step": 0})
            await tx.run(secret_queries.DELETE_KIND_OF_MEMBER, {"whose": person.member, "what": Kind.RECOVERY.value})

    async def recovery_codes_left(self, email: str) -> int:
        return len(await self._credentials.list(f"user:{email.lower()}", Kind.RECOVERY))

    def _step(self, secret: str, code: str, last_step: int) -> int:
        """The time step that the code is of, if it is later than the last one that was used. Raises CredentialInvalid."""
        typed = code.replace(" ", "")
        if not _CODE.fullmatch(typed):
            raise wrong()
        now = self._now_us() // (STEP_SECONDS * 1_000_000)
        generator = pyotp.TOTP(secret)
        found = 0
        for step in range(now - STEPS_AROUND, now + STEPS_AROUND + 1):
            # Every step is compared: the time must not say which one it was.
            if hmac.compare_digest(generator.generate_otp(step), typed) and step > last_step:
                found = step
        if not found:
            raise wrong()
        return found


def wrong() -> CredentialInvalid:
    return CredentialInvalid("this code is wrong or was used already: wait for the next one")


def _enrolment(secret: str, email: str) -> Enrolment:
    return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=APPLICATION))


def _kept(email: str, code: str) -> str:
    """What of a recovery code is hashed: it is good for one account only."""
    return f"{Kind.RECOVERY.value}_{hashlib.sha256(email.encode()).hexdigest()}_{code}"


def _recovery_code() -> str:
    """80 bits, in groups that are easy to type."""
    text = base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, 16, 4))
