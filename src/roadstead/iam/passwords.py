"""Passwords: argon2id, away from the event loop, and which ones are taken at all (NIST SP 800-63B-4, 3.1.1)."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from roadstead.errors import FieldInvalid, TooManyRequests

T = TypeVar("T")

LEAST_CHARACTERS, MOST_CHARACTERS = 12, 1024
# RFC 9106, 4: the second recommended choice has 64 MiB; with one lane it costs one thread, and two threads bound the memory.
MEMORY_KIB, PASSES, THREADS = 64 * 1024, 3, 2
MOST_WAITING = 32

# What lists of leaked passwords begin with, of those that are long enough; the rest of them fall under the rules below.
_COMMON = """
    password1234 password12345 password123456 passwordpassword password123! password1234! passw0rd1234 p@ssw0rd1234 adminpassword
    administrator administrator1 admin1234567 changeme1234 changemenow1 changemeplease letmein12345 letmeinplease welcome12345
    welcome123456 iloveyou1234 iloveyou12345 iloveyouforever qwertyuiopas qwertyuiop123 qwertyuiop12 qwertyuiop123456 qwerty123456
    qwerty1234567 qwertyqwerty 1q2w3e4r5t6y 1qaz2wsx3edc 1qaz2wsx3edc4rfv zaq12wsxcde3 q1w2e3r4t5y6 asdfghjkl123 asdfghjklqwe
    zxcvbnm12345 abcdefghijkl abcdefg12345 abcd12345678 abc123456789 123456789abc 123456789012 1234567890qwerty correcthorsebatterystaple
    trustno1trustno1 football1234 baseball1234 basketball12 dragondragon monkeymonkey sunshine1234 princess1234 superman1234
    mynameisnobody thisismypassword mypassword123 secretpassword supersecret123 roadsteadroadstead defaultpassword
"""
COMMON = frozenset(_COMMON.split())


class Passwords:
    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="password")
        self._waiting = 0
        self._nobody_s = ""

    async def hashed(self, password: str) -> str:
        """Raises TooManyRequests."""
        return await self._run(self._hasher.hash, _bytes(password))

    async def is_right(self, password_hash: str | None, password: str) -> bool:
        """Takes as long when there is no hash, so that nobody learns by the time who has an account. Raises TooManyRequests."""
        if not self._nobody_s:
            self._nobody_s = await self.hashed(secrets.token_hex(32))
        right = await self._run(self._verify, password_hash or self._nobody_s, _bytes(password[:MOST_CHARACTERS]))
        return right and password_hash is not None and len(password) <= MOST_CHARACTERS

    def is_old(self, password_hash: str) -> bool:
        """Made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def _verify(self, password_hash: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        if self._waiting >= MOST_WAITING:
            raise TooManyRequests("too many people are signing in at this moment: try again", 2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        finally:
            self._waiting -= 1


def check_new(password: str, email: str) -> None:
    """Raises FieldInvalid, in words for the person who chose it."""
    problem = ""
    plain = unicodedata.normalize("NFKC", password).casefold()
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        problem = f"a password has {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters"
    elif "\0" in password:
        problem = "a password has no NUL characters"
    elif plain in COMMON or plain.rstrip("0123456789!.?") in COMMON:
        problem = "this password is one of the first that others try: choose another"
    elif len(set(plain)) < 5 or _is_row(plain):
        problem = "this password repeats itself: choose another"
    elif plain in (email, email.partition("@")[0] * 2) or plain == email.replace("@", ""):
        problem = "the password must not be the e-mail address"
    if problem:
        raise FieldInvalid(problem, {"field": "password"})


def _is_row(text: str) -> bool:
    """`abcdefghijkl`, `123456789012`, `lkjihg…`: each character follows the one before."""
    pairs = itertools.pairwise(text)
    steps = {(ord(second) - ord(first)) % (10 if first.isdigit() and second.isdigit() else 0x110000) for first, second in pairs}
    return len(steps) == 1


def _bytes(password: str) -> bytes:
    """The same password typed on another keyboard is the same."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace")
