"""
The server, as commands see it: which one, as whom, and what it says in words.

Which and as whom: as options.py says, else the server that was logged in to last, and whoever logged in there last. An access token that is
about to end is replaced by a new one without a word.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional
from urllib.parse import quote, urlsplit

import msgspec
import typer

from roadstead import __version__
from roadstead.cli import grants
from roadstead.cli.logins import Kept, Kind, Login, Logins
from roadstead.cli.output import Failed
from roadstead.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx

Server = Annotated[
    str,
    typer.Option(
        envvar="ROADSTEAD_SERVER",
        help="The server, as https://registry.example.com. [default: the configuration's, else the last one logged in to]",
        show_default=False,
    ),
]
Account = Annotated[
    str,
    typer.Option(
        "--account",
        "--as",
        envvar=["ROADSTEAD_ACCOUNT", "ROADSTEAD_AS"],
        help="Which of the accounts that are logged in.",
        show_default=False,
    ),
]
Authority = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--ca", help="PEM file of the server's authority. It is remembered at login.", show_default=False),
]

TIMEOUT_SECONDS = 60
LEFT_SECONDS = 60
"""A token is replaced when it has less time left."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PAGE = 500

Answer = dict[str, Any]
"""A JSON object of one of Google's APIs."""


class Refused(Failed):
    """The server answered with an error. status: of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def address(text: str) -> str:
    """A server's address without a slash at its end; https where nothing is said, but on this machine. Raises ConfigurationError."""
    wrong = ConfigurationError("a server is written https://HOST or https://HOST:PORT, without a path")
    if "://" not in text:
        text = f"{'http' if urlsplit(f'//{text}').hostname in _LOOPBACK else 'https'}://{text}"
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError as error:
        raise wrong from error
    if not usable or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise wrong
    return f"{parts.scheme}://{parts.netloc.lower()}"


def is_open(server: str) -> bool:
    """What is sent can be read on the way."""
    parts = urlsplit(server)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK


@contextmanager
def http(server: str, ca: str, seconds: float = TIMEOUT_SECONDS) -> Iterator[httpx.Client]:
    """For one server, which has so long for each answer. Everything that goes wrong on the way is raised as Failed."""
    import httpx

    agent = {"user-agent": f"roadstead-cli/{__version__}"}
    try:
        with httpx.Client(base_url=server, headers=agent, verify=trust(server, ca), timeout=seconds, follow_redirects=False) as client:
            yield client
    except httpx.TimeoutException as error:
        raise Failed(f"{server} did not answer within {seconds:g} seconds") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise Failed(f"the certificate of {server} is not one that this machine trusts: give its authority with --ca FILE") from error
        raise Failed(f"{server} cannot be reached: {error}") from error


def trust(server: str, ca: str) -> Any:
    """What httpx takes as verify. Raises ConfigurationError."""
    import ssl

    if server.startswith("http://"):
        # It is not needed, and to read what the machine trusts takes longer than to ask the server. This one trusts nobody.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not ca:
        return True
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"{ca} is no PEM file with certificates that can be read") from error


def choose(kept: Kept, server: str) -> str:
    """Raises Failed when nothing was said and nobody is logged in anywhere."""
    if server:
        return address(server)
    if not kept.server:
        raise Failed("nobody is logged in: roadstead auth login --server https://HOST")
    return kept.server


def whose(kept: Kept, server: str, account: str) -> Login:
    """Raises Failed."""
    known = kept.servers.get(server)
    login = known.logins.get(account or known.account) if known else None
    if login is None:
        raise Failed(f"{account or 'nobody'} is {'not ' if account else ''}logged in to {server}: roadstead auth login --server {server}")
    return login


class Client:
    """Somebody at a server. Raises Failed, also Refused, from every method."""

    def __init__(self, client: httpx.Client, logins: Logins, server: str, login: Login) -> None:
        self.server = server
        self.login = login
        self._http = client
        self._logins = logins

    def token(self, left_seconds: float = LEFT_SECONDS) -> str:
        """An access token that is good for so long, where the account can get new ones."""
        if self.login.kind is Kind.TOKEN or self.login.expires_at_us > (time.time() + left_seconds) * 1e6:
            return self.login.access_token
        return self.fresh_token()

    def fresh_token(self) -> str:
        """A new access token; of an account that has only the one, that."""
        if self.login.kind is Kind.TOKEN:
            return self.login.access_token
        try:
            granted = grants.renew(self._http, self.login)
        except grants.Ended as error:
            raise Failed(f"{self.login.account} has to log in again: {error.message}. {self._again}") from error
        self.login = msgspec.structs.replace(self.login, access_token=granted.access_token, expires_at_us=granted.expires_at_us)
        with self._logins.change() as kept:
            # Another command may have logged out meanwhile.
            if self.login.account in kept.of(self.server).logins:
                kept.of(self.server).logins[self.login.account] = self.login
        return self.login.access_token

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Answer:
        return self._call("GET", path, None, parameters or {})

    def post(self, path: str, body: Mapping[str, object] | None = None, parameters: Mapping[str, str] | None = None) -> Answer:
        return self._call("POST", path, body or {}, parameters or {})

    def delete(self, path: str) -> Answer:
        return self._call("DELETE", path, None, {})

    def put(self, path: str, body: Mapping[str, object]) -> Answer:
        return self._call("PUT", path, body, {})

    def patch(self, path: str, body: Mapping[str, object], parameters: Mapping[str, str] | None = None) -> Answer:
        return self._call("PATCH", path, body, parameters or {})

    def every(
        self, path: str, field: str, parameters: Mapping[str, str] | None = None, most: int | None = None, page_size: int | None = None
    ) -> list[Answer]:
        """All pages of a list, or as many as most rows need."""
        found: list[Answer] = []
        token = ""
        size = min(page_size or _PAGE, most or _PAGE)
        while True:
            answer = self.get(path, {**(parameters or {}), "pageSize": str(size), **({"pageToken": token} if token else {})})
            found += answer.get(field, [])
            token = str(answer.get("nextPageToken", ""))
            if not token or (most is not None and len(found) >= most):
                return found[:most]

    def _call(self, method: str, path: str, body: Mapping[str, object] | None, parameters: Mapping[str, str]) -> Answer:
        token = self.token()
        response = self._send(method, path, body, parameters, token)
        if response.status_code == 401 and self.login.kind is not Kind.TOKEN:
            # The server may have new keys, or have had its clock set: what it gives now is good.
            response = self._send(method, path, body, parameters, self.fresh_token())
        answer = grants.answer(response, self.server)
        if response.status_code == 200:
            return answer
        raise Refused(self._sentence(response.status_code, answer), response.status_code)

    def _send(self, method: str, path: str, body: Mapping[str, object] | None, parameters: Mapping[str, str], token: str) -> httpx.Response:
        return self._http.request(method, path, json=body, params=dict(parameters), headers={"authorization": f"Bearer {token}"})

    def _sentence(self, status: int, answer: Answer) -> str:
        error = answer.get("error")
        message = str(error.get("message", "")) if isinstance(error, dict) else ""
        message = (message or f"HTTP {status}").rstrip(".")
        if status == 401:
            return f"{self.server} does not take the login of {self.login.account}: {message}. {self._again}"
        if status == 403:
            return f"{self.login.account} may not do that: {message}"
        return message

    @property
    def _again(self) -> str:
        return f"Log in again: roadstead auth login --server {self.server}"


@contextmanager
def connected(server: str, account: str, ca: Path | None = None, seconds: float = TIMEOUT_SECONDS) -> Iterator[Client]:
    """Whoever is said, and what is remembered where nothing is. Raises Failed."""
    logins = Logins()
    kept = logins.read()
    chosen = choose(kept, server)
    login = whose(kept, chosen, account)
    with http(chosen, str(ca) if ca else kept.of(chosen).ca, seconds) as client:
        yield Client(client, logins, chosen, login)


def part(text: str) -> str:
    """One segment of a path."""
    return quote(text, safe="")
