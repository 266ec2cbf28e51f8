"""
What the command line remembers: servers, who is logged in there, and which authority to trust.

One file, `credentials.json` in the person's folder (0700), readable by nobody else (0600). It is replaced whole, under a lock, so that
neither a crash nor a second command leaves half of it.
"""

from __future__ import annotations

import enum
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from roadstead import config
from roadstead.cli.output import Failed

FILE = "credentials.json"


class Kind(enum.StrEnum):
    """How an account gets access tokens: a person's refresh token, a service account's key, or not at all: it has this one."""

    PERSON = "person"
    KEY = "key"
    TOKEN = "token"  # noqa: S105


class Login(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """
    access_token is good until expires_at_us (microseconds), 0 where that is unknown. key: the key file, as Google's clients read it.

    token_uri: where the key's assertions go.
    """

    account: str
    kind: Kind
    access_token: str = ""
    expires_at_us: int = 0
    refresh_token: str = ""
    key: dict[str, str] | None = None
    token_uri: str = ""


class Known(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel"):
    """A server. account: whoever logged in last. ca: a file. docker_hosts: image names' hosts that are this server's."""

    account: str = ""
    ca: str = ""
    logins: dict[str, Login] = msgspec.field(default_factory=dict)
    docker_hosts: list[str] = msgspec.field(default_factory=list)


class Kept(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel"):
    """server: the one that was logged in to last. servers: by address, without a slash at the end."""

    server: str = ""
    servers: dict[str, Known] = msgspec.field(default_factory=dict)

    def of(self, server: str) -> Known:
        return self.servers.setdefault(server, Known())

    def add(self, server: str, login: Login, ca: str) -> None:
        """Now the one that is used where nothing is said."""
        known = self.of(server)
        known.logins[login.account] = login
        known.account, known.ca, self.server = login.account, ca, server

    def forget(self, server: str, account: str) -> None:
        known = self.of(server)
        known.logins.pop(account, None)
        if known.account == account:
            known.account = next(iter(known.logins), "")
        if not known.logins and self.server == server:
            self.server = next((name for name, each in self.servers.items() if each.logins), "")


class Logins:
    def __init__(self, folder: Path | None = None) -> None:
        """folder: config.user_folder() if it is not given."""
        self._folder = folder or config.user_folder()

    @property
    def file(self) -> Path:
        return self._folder / FILE

    def read(self) -> Kept:
        """Raises Failed."""
        try:
            return msgspec.json.decode(self.file.read_bytes(), type=Kept)
        except FileNotFoundError:
            return Kept()
        except OSError as error:
            raise Failed(f"{self.file} cannot be read: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise Failed(f"{self.file} is damaged ({error}): remove it and log in again") from error

    @contextmanager
    def change(self) -> Iterator[Kept]:
        """What is changed in it is written at the end, unless something is raised. Raises Failed."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Failed(f"{self._folder} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = self.read()
            yield kept
            replace(self.file, msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
        finally:
            os.close(lock)


def replace(file: Path, content: bytes, mode: int = 0o600) -> None:
    """The whole file at once, also where its name is a link to elsewhere. Raises Failed."""
    target = file.resolve()
    try:
        fd, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(fd, "wb") as written:
                os.fchmod(fd, mode)
                written.write(content)
                written.flush()
                os.fsync(fd)
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise Failed(f"{file} cannot be written: {error.strerror}") from error
