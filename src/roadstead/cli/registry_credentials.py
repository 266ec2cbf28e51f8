"""
How the command line proves who it is to a registry: with a login of `roadstead auth` where there is one, else as docker does.

Spec: distribution, Token Authentication; docker-credential-helpers, Development; Docker CLI, config.json.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from roadstead import config
from roadstead.cli.client import Client, is_open
from roadstead.cli.output import Failed
from roadstead.cli.registry_answers import address

if TYPE_CHECKING:
    import httpx

HELPER_SECONDS = 60
MAX_ANSWER_BYTES = 1024 * 1024
CLIENT = "roadstead-cli"

_IDENTITY = "<token>"
"""A credential helper says by this user name that the secret is an identity token."""
_CHALLENGE = re.compile(r'([A-Za-z_]+)="([^"]*)"')
_HELPER = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Account:
    """A user name and password, or an identity token; all "" for nobody."""

    user: str = ""
    password: str = ""
    identity_token: str = ""

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


class LoginCredentials:
    """The access token of a login, which a Roadstead takes on every path of /v2/."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = asyncio.Lock()

    async def header(self, scopes: frozenset[str]) -> str:
        async with self._lock:
            return f"Bearer {await asyncio.to_thread(self._client.token)}"

    async def renew(self, response: httpx.Response, scopes: frozenset[str]) -> bool:
        """Whether it is worth another try. Raises Failed."""
        async with self._lock:
            sent = response.request.headers.get("authorization", "")
            current = f"Bearer {await asyncio.to_thread(self._client.token)}"
            if sent == current:
                current = f"Bearer {await asyncio.to_thread(self._client.fresh_token)}"
            return bool(sent != current)


class DockerCredentials:
    """What docker would send: nothing at first, then what the registry's challenge asks for."""

    def __init__(self, http: httpx.AsyncClient, elsewhere: Callable[[], httpx.AsyncClient], host: str, address: str) -> None:
        self._http, self._elsewhere, self._host, self._address = http, elsewhere, host, address
        self._lock = asyncio.Lock()
        self._account: Account | None = None
        self._challenge: dict[str, str] | None = None
        self._tokens: dict[frozenset[str], str] = {}
        self._basic = ""

    async def header(self, scopes: frozenset[str]) -> str:
        if self._challenge is None or self._basic:
            return self._basic
        async with self._lock:
            if scopes not in self._tokens:
                self._tokens[scopes] = await self._token(scopes)
            return self._tokens[scopes]

    async def renew(self, response: httpx.Response, scopes: frozenset[str]) -> bool:
        """Whether it is worth another try. Raises Failed."""
        scheme, _, rest = response.headers.get("www-authenticate", "").partition(" ")
        sent = response.request.headers.get("authorization", "")
        async with self._lock:
            if scheme.lower() == "basic":
                account = await self._who()
                self._basic = account.basic if account.user else ""
                return bool(self._basic and sent != self._basic)
            if scheme.lower() != "bearer":
                return False
            self._challenge = dict(_CHALLENGE.findall(rest))
            if self._tokens.get(scopes, sent) == sent:
                self._tokens[scopes] = await self._token(scopes)
            return bool(self._tokens[scopes] != sent)

    async def _who(self) -> Account:
        if self._account is None:
            self._account = await asyncio.to_thread(of_docker, self._host)
        if self._account != Account() and is_open(self._address):
            raise Failed(f"{self._host} is not encrypted: your password is not sent to it")
        return self._account

    async def _token(self, scopes: frozenset[str]) -> str:
        challenge = self._challenge or {}
        http, realm, headers = self._realm(challenge.get("realm", ""))
        account = await self._who()
        if account != Account() and is_open(realm):
            raise Failed(
                f"{self._host} sends those who want a token to {realm[:200]!r}, which is not encrypted: your password is not sent there"
            )
        service = {"service": challenge["service"]} if challenge.get("service") else {}
        asked = sorted(scopes)
        if account.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": account.identity_token, "client_id": CLIENT, "scope": " ".join(asked)}
            response = await http.post(realm, data={**form, **service}, headers=headers)
        else:
            headers |= {"authorization": account.basic} if account.user else {}
            parameters = {**service, "scope": asked}
            response = await http.get(realm, params=parameters, headers=headers)
        try:
            answer: Any = response.json() if len(response.content) <= MAX_ANSWER_BYTES else None
        except ValueError:
            answer = None
        token = (answer.get("token") or answer.get("access_token")) if isinstance(answer, dict) else None
        if response.status_code != 200 or not isinstance(token, str) or not token.isascii() or not token.isprintable():
            who = account.user or ("you" if account.identity_token else "nobody in particular")
            raise Failed(
                f"{self._host} gives {who} no token for {', '.join(asked)} (HTTP {response.status_code}): docker login {self._host}"
            )
        return f"Bearer {token}"

    def _realm(self, realm: str) -> tuple[httpx.AsyncClient, str, dict[str, str]]:
        """
        Where tokens are given, and by which connections and with which headers that is reached.

        A password goes to no address that is less safe than the registry's own. Raises Failed.
        """
        parts = address(self._host, realm)
        if parts.netloc.lower() in (self._host, urlsplit(self._address).netloc):
            # The name that the registry was called by need not be one that this machine finds.
            return self._http, f"{self._address}{parts.path}", {"host": self._host}
        if parts.scheme not in ("http", "https") or not parts.hostname or (parts.scheme == "http" and self._address.startswith("https://")):
            raise Failed(f"{self._host} sends those who want a token to {realm[:200]!r}, where no password is sent")
        return self._elsewhere(), realm, {}


Credentials = LoginCredentials | DockerCredentials


def of_docker(host: str) -> Account:
    """Who docker would be at this host, by its settings and helpers; nobody where it knows nobody. Raises Failed."""
    file = config.docker_folder() / "config.json"
    try:
        settings: Any = json.loads(file.read_bytes())
    except FileNotFoundError:
        return Account()
    except (OSError, ValueError) as error:
        raise Failed(f"{file} cannot be read: {error}") from error
    if not isinstance(settings, dict):
        return Account()
    helper = _table(settings, "credHelpers").get(host) or settings.get("credsStore")
    if isinstance(helper, str) and helper:
        found = _ask(helper, host)
        if found is not None:
            return found
    known = _table(settings, "auths")
    for key in (host, f"https://{host}", f"https://{host}/", f"https://{host}/v1/", f"https://{host}/v2/", f"http://{host}"):
        if isinstance(entry := known.get(key), dict):
            return _entry(entry, host)
    return Account()


def _table(settings: dict[str, Any], name: str) -> dict[str, Any]:
    found = settings.get(name)
    return found if isinstance(found, dict) else {}


def _entry(entry: dict[str, Any], host: str) -> Account:
    if entry.get("identitytoken"):
        return Account(identity_token=str(entry["identitytoken"]))
    if entry.get("username"):
        return Account(str(entry["username"]), str(entry.get("password", "")))
    try:
        user, _, password = base64.b64decode(str(entry.get("auth", ""))).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Failed(f"docker's login for {host} is damaged: docker login {host}") from error
    return Account(user, password.rstrip("\0"))


def _ask(helper: str, host: str) -> Account | None:
    """None where the helper knows nobody."""
    if _HELPER.fullmatch(helper) is None:
        raise Failed(f"docker's settings name {helper!r} as a credential helper, which is no name of one")
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run([program, "get"], input=host.encode(), capture_output=True, check=False, timeout=HELPER_SECONDS)
    except OSError as error:
        raise Failed(f"{program}, which docker's settings name for {host}, does not run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{program} did not answer within {HELPER_SECONDS} seconds") from error
    said = done.stdout[:MAX_ANSWER_BYTES]
    if done.returncode:
        if b"credentials not found" in said:
            return None
        raise Failed(f"{program} has no login for {host}: {said.decode(errors='replace').strip()[:300]}")
    try:
        answer = json.loads(said)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(f"{program} answers with something else than a login") from error
    return Account(identity_token=secret) if user == _IDENTITY else Account(user, secret)
