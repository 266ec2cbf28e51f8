"""
Documents of other people's servers, at addresses that somebody wrote into a provider's configuration.

Whoever may set up a provider chooses what this server connects to, so it connects to no address inside: loopback, private, link-local
(a cloud's metadata) and the like are refused, but for hosts that the operator's settings name. The address that was looked up and checked
is the one that is connected to, so a name that answers differently the next time gains nothing. https only, no redirects, limited in
size and time; everything that goes wrong is an error.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from roadstead.errors import CredentialInvalid

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 512 * 1024
SECONDS = 10.0


class Fetch:
    """
    inside: hosts (`issuer.example.com`, or with a port `127.0.0.1:8080`) that may have an address inside; of these, ones on loopback may
    be asked over http. authorities: a file of further certificate authorities, in PEM.
    """

    def __init__(self, inside: Collection[str] = (), authorities: Path | None = None, seconds: float = SECONDS) -> None:
        self._inside = frozenset(host.lower() for host in inside)
        self._authorities = authorities
        self._seconds = seconds
        self._context: ssl.SSLContext | None = None

    async def __call__(self, address: str) -> bytes:
        """Raises CredentialInvalid: what cannot be had cannot prove anything."""
        # Slow to import, and most servers never ask anybody.
        import httpx

        try:
            async with asyncio.timeout(self._seconds):
                return await self._get(address)
        except TimeoutError as error:
            raise _unfetched(address, "it took too long") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError, ValueError) as error:
            raise _unfetched(address, type(error).__name__) from error

    async def _get(self, address: str) -> bytes:
        import httpx

        parts = urlsplit(address)
        host = (parts.hostname or "").lower()
        if parts.scheme not in ("https", "http") or not host or parts.username is not None:
            raise _unfetched(address, "it is no https address")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        named = bool({host, f"{host}:{port}"} & self._inside)
        ip = await self._resolved(address, host, port, named)
        if parts.scheme == "http" and not (named and ip.is_loopback):
            raise _unfetched(address, "it is not https")
        where = f"[{ip}]" if ip.version == 6 else str(ip)
        target = f"{parts.scheme}://{where}:{port}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
        headers = {"host": parts.netloc, "accept": "application/json", "user-agent": "roadstead"}
        extensions = {"sni_hostname": host}
        async with (
            httpx.AsyncClient(verify=self.verification(), trust_env=False, timeout=self._seconds) as client,
            client.stream("GET", target, headers=headers, extensions=extensions) as response,
        ):
            if response.status_code != 200:
                raise _unfetched(address, f"it answered with status {response.status_code}")
            return await self._content(address, response)

    async def _content(self, address: str, response: httpx.Response) -> bytes:
        pieces: list[bytes] = []
        size_bytes = 0
        async for piece in response.aiter_bytes():
            pieces.append(piece)
            size_bytes += len(piece)
            if size_bytes > MOST_BYTES:
                raise _unfetched(address, "it is larger than 512 KiB")
        return b"".join(pieces)

    async def _resolved(self, address: str, host: str, port: int, named: bool) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        """One address of it, if none is inside."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(each[4][0]) for each in found]
        if not addresses:
            raise _unfetched(address, "its host has no address")
        if not named and not all(_is_outside(each) for each in addresses):
            raise _unfetched(
                address, "its host has an address inside this network: an operator must name it in the setting for that, or give its keys"
            )
        return addresses[0]

    def also(self, inside: Collection[str]) -> Fetch:
        """The same, for which these hosts may be inside as well."""
        return Fetch(self._inside | set(inside), self._authorities, self._seconds)

    def verification(self) -> ssl.SSLContext:
        """Which certificates are believed."""
        if self._context is None:
            import certifi

            self._context = ssl.create_default_context()
            self._context.load_verify_locations(certifi.where())
            if self._authorities:
                self._context.load_verify_locations(self._authorities)
        return self._context


def _is_outside(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """An IPv4 address written as an IPv6 one, or behind a translator's prefix, is judged by what it leads to."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return _is_outside(address.ipv4_mapped)
        if address.sixtofour:
            return _is_outside(address.sixtofour)
        if address in _NAT64:
            return _is_outside(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address.is_global and not address.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _unfetched(address: str, why: str) -> CredentialInvalid:
    return CredentialInvalid(f"the token could not be checked, so it is refused: {address[:300]} could not be read ({why})")
