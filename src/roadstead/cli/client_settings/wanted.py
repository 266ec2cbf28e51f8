"""What a configuration is asked for, and what it is made of."""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from roadstead.cli.client_settings.content import Content
from roadstead.errors import ConfigurationError

GOOGLE_NAMES = ("gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io")
PROXY = "http://127.0.0.1:3128"

_AUTHORITY = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?(:[1-9][0-9]{0,4})?")


class Mode(enum.StrEnum):
    """
    The ways in (contract.md, section 0). dns: gcr.io itself leads to the server; override: the client asks the server's own address
    instead; name: images have a name of the server's; proxy: `roadstead proxy` leads there.
    """

    DNS = "dns"
    OVERRIDE = "override"
    NAME = "name"
    PROXY = "proxy"


@dataclass(frozen=True, slots=True)
class Name:
    """host: as it stands in the names of images. authority: the HOST[:PORT] that is asked for them."""

    host: str
    authority: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    server: https://HOST[:PORT]. ca: PEM of its authority, "" for what the machine trusts; ca_file: where that is, as a shell reads it.
    proxy: the address of `roadstead proxy`. is_logged_in: whether `roadstead auth login` was here, so that docker can ask this program for
    tokens. docker_folder, gcloud_folder: of the user's own settings.
    """

    server: str
    mode: Mode
    names: tuple[Name, ...]
    docker_folder: PurePosixPath
    gcloud_folder: PurePosixPath
    ca: str = ""
    ca_file: str = ""
    proxy: str = PROXY
    is_logged_in: bool = False

    @property
    def scheme(self) -> str:
        return urlsplit(self.server).scheme

    @property
    def is_plain(self) -> bool:
        """The client itself speaks plain HTTP."""
        return self.scheme == "http" and self.mode in (Mode.OVERRIDE, Mode.NAME)

    @property
    def authority(self) -> str:
        return urlsplit(self.server).netloc

    @property
    def forgotten(self) -> tuple[str, ...]:
        """Google's names that would still lead to Google."""
        named = {each.host for each in self.names}
        return tuple(each for each in GOOGLE_NAMES if each not in named)


@dataclass(frozen=True, slots=True)
class Piece:
    """A file and what must be in it."""

    path: PurePosixPath
    content: Content


@dataclass(frozen=True, slots=True)
class Configuration:
    """
    commands: what to run after the files are there. environment: variables of the client. notes: what to know; sentences. program: says
    whether the client is here, and which one.
    """

    pieces: tuple[Piece, ...] = ()
    commands: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    program: tuple[str, ...] = ()


def names_of(mode: Mode, server: str, given: Sequence[str]) -> tuple[Name, ...]:
    """given: HOST[:PORT], or HOST=HOST[:PORT] where another name of the server is asked. Raises ConfigurationError."""
    parts = urlsplit(server)
    if not given:
        given = {Mode.OVERRIDE: ("gcr.io",), Mode.NAME: (parts.netloc,)}.get(mode, GOOGLE_NAMES)
    return tuple(dict.fromkeys(_name(mode, server, each) for each in given))


def _name(mode: Mode, server: str, text: str) -> Name:
    host, equals, authority = text.lower().partition("=")
    if not _AUTHORITY.fullmatch(host) or (equals and not _AUTHORITY.fullmatch(authority)):
        raise ConfigurationError(f"a name is written gcr.io, or gcr.io=HOST:PORT where the server has another name for it, not {text!r}")
    if mode is not Mode.OVERRIDE:
        if equals:
            raise ConfigurationError(f"{text} names another address: that is for --mode override only")
        return Name(host, host)
    own = urlsplit(server)
    if equals:
        return Name(host, authority)
    if host in ("gcr.io", own.netloc):
        return Name(host, own.netloc)
    if _is_address(own.hostname or ""):
        raise ConfigurationError(f"{own.netloc} is gcr.io's: say which name the server has for {host}, as --name {host}=HOST:PORT")
    return Name(host, f"{host}.{own.netloc}")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." not in host
    return True
