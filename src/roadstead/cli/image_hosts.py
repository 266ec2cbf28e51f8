"""
Which server a host of image names is at, and who asks there.

A server that somebody is logged in to has its own host and those that `roadstead auth configure-docker` was told of. Google's hosts,
gcr.io and the like, are at the server that --server says, else the one that was logged in to last. Every other host is a registry of its
own, at that address, with whatever login docker has for it.
"""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from roadstead import __version__
from roadstead.cli import client
from roadstead.cli.logins import Kept, Known, Logins
from roadstead.cli.registry_client import Registry
from roadstead.cli.registry_credentials import Credentials, DockerCredentials, LoginCredentials

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 15
CONNECTIONS = 64

_GOOGLES = re.compile(r"(?:[a-z0-9-]+\.)?gcr\.io")


class Hosts:
    """server, account, ca: as --server, --as and --ca say. attempts: how often registries are asked when they fail."""

    def __init__(self, server: str, account: str, ca: Path | None, attempts: int = 3) -> None:
        self._logins = Logins()
        self._kept = self._logins.read()
        self._server, self._account, self._ca, self._attempts = server, account, ca, attempts
        self._open = AsyncExitStack()
        self._elsewhere: httpx.AsyncClient | None = None
        self._registries: dict[tuple[str, str], Registry] = {}
        self._clients: dict[str, tuple[httpx.AsyncClient, Credentials | None]] = {}

    async def __aenter__(self) -> Hosts:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._open.aclose()

    def registry(self, host: str, server: str = "") -> Registry:
        """server: where it is, whatever else is known of the host. Raises Failed, ConfigurationError."""
        address = client.address(server) if server else self._address(host)
        known = self._registries.get((host, address))
        if known is None:
            http, login = self._client(address)
            known = Registry(
                http, self._anywhere, host, address, login or DockerCredentials(http, self._anywhere, host, address), self._attempts
            )
            self._registries[host, address] = known
        return known

    def _address(self, host: str) -> str:
        server = address_of(self._kept, host, client.address(self._server) if self._server else self._kept.server)
        return server or client.choose(self._kept, self._server)

    def _anywhere(self) -> httpx.AsyncClient:
        """For where registries send to, and their token services."""
        if self._elsewhere is None:
            self._elsewhere = self._connections(True)
        return self._elsewhere

    def _connections(self, verify: Any) -> httpx.AsyncClient:
        import httpx

        opened = httpx.AsyncClient(
            headers={"user-agent": f"roadstead-cli/{__version__}"},
            verify=verify,
            timeout=httpx.Timeout(client.TIMEOUT_SECONDS, connect=CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
        )
        self._open.push_async_callback(opened.aclose)
        return opened

    def _client(self, address: str) -> tuple[httpx.AsyncClient, Credentials | None]:
        """Connections to a server, and the login where there is one: at the server that was chosen that of --as, else the last one."""
        if address in self._clients:
            return self._clients[address]
        known = self._kept.of(address)
        is_chosen = address == (client.address(self._server) if self._server else self._kept.server)
        account = self._account if is_chosen else ""
        http = self._connections(client.trust(address, str(self._ca) if self._ca and is_chosen else known.ca))
        login: Credentials | None = None
        if known.logins or account:
            connected = client.connected(address, account, self._ca if is_chosen else None)
            login = LoginCredentials(self._open.enter_context(connected))
        self._clients[address] = http, login
        return self._clients[address]


def address_of(kept: Kept, host: str, chosen: str) -> str:
    """
    The address of the server that a host of image names is at; "" where that is the one to choose, and none was.

    Raises ConfigurationError.
    """
    servers = [name for name, known in kept.servers.items() if known.logins]
    for server in (chosen, *servers):
        if server and host == urlsplit(server).netloc:
            return server
    for server in (chosen, *servers):
        if server and host in kept.servers.get(server, Known()).docker_hosts:
            return server
    if _GOOGLES.fullmatch(host):
        return chosen
    return client.address(host)
