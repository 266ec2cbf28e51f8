"""Logging in to a server in one of the ways there are, and remembering it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from roadstead.cli import client, grants
from roadstead.cli.configurations import Configurations
from roadstead.cli.logins import Kind, Login, Logins
from roadstead.cli.options import Options
from roadstead.cli.output import Failed, note

if TYPE_CHECKING:
    import httpx

_KEY_FIELDS = ("client_email", "private_key", "private_key_id", "token_uri")

Grant = Callable[["httpx.Client"], grants.Granted]


def as_person(options: Options, pasted: bool) -> tuple[str, str]:
    """In the browser, or with a code that is pasted. The server and the account. Raises Failed."""
    server = client.choose(Logins().read(), options.server)
    ask = grants.pasted if pasted else grants.in_browser
    return _log_in(options, server, Kind.PERSON, lambda http: ask(http, server))


def with_token(options: Options) -> tuple[str, str]:
    """With an access token on standard input. The server and the account. Raises Failed."""
    server = client.choose(Logins().read(), options.server)
    return _log_in(options, server, Kind.TOKEN, lambda http: grants.Granted(_token(), 0))


def with_key(options: Options, file: Path, given_server: bool, account: str = "") -> tuple[str, str]:
    """
    With a service account's key file. given_server: the key's assertions go to the server that was said, not to where the file says.

    account: whose it has to be. The server and the account. Raises Failed.
    """
    key = _key(file)
    if account and account != key["client_email"]:
        raise Failed(f"{file} is the key of {key['client_email']}, not of {account}")
    server = client.address(options.server) if given_server else _server_of(key)
    token_uri = f"{server}/token" if given_server else key["token_uri"]
    return _log_in(options, server, Kind.KEY, lambda http: grants.by_key(http, key, token_uri), key, token_uri)


def _log_in(
    options: Options, server: str, kind: Kind, grant: Grant, key: dict[str, str] | None = None, token_uri: str = ""
) -> tuple[str, str]:
    logins = Logins()
    authority = str(options.ca.absolute()) if options.ca else logins.read().of(server).ca
    if client.is_open(server):
        note(f"Warning: {server} is not encrypted. Whoever is on the way can read and use your login.")
    with client.http(server, authority) as http:
        granted = grant(http)
        account, expires_at_us = grants.about(http, server, granted.access_token)
    made = Login(
        account=account,
        kind=kind,
        access_token=granted.access_token,
        expires_at_us=expires_at_us,
        refresh_token=granted.refresh_token,
        key=key,
        token_uri=token_uri,
    )
    with logins.change() as kept:
        kept.add(server, made, authority)
    _use(options, server, account, authority)
    return server, account


def _use(options: Options, server: str, account: str, authority: str) -> None:
    """A configuration that says who commands act as says it of whoever is there now."""
    configurations = Configurations()
    known = configurations.get(options.configuration)
    if options.configuration or known.get("core/server") or known.get("core/account"):
        changes = {"core/server": server, "core/account": account, "core/custom_ca_certs_file": authority or None}
        configurations.change(known.name, changes)


def _token() -> str:
    given = sys.stdin.readline().strip()
    if not given or not given.isascii() or not given.isprintable() or " " in given:
        raise Failed("there is no access token on standard input")
    return given


def _key(file: Path) -> dict[str, str]:
    """Raises Failed."""
    try:
        key = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise Failed(f"{file} is no key file of a service account") from error
    if not all(key.get(name) for name in _KEY_FIELDS):
        raise Failed(f"{file} is no key file of a service account: it needs {', '.join(_KEY_FIELDS)}")
    return key


def _server_of(key: dict[str, str]) -> str:
    """The server that made it. Raises Failed."""
    server = key["token_uri"].removesuffix("/token")
    if server == key["token_uri"] or (urlsplit(server).hostname or "").endswith("googleapis.com"):
        raise Failed(f"the key file is of another server, {key['token_uri']}: say which one with --server")
    return client.address(server)
