"""What a proxy in front says of a request's origin, believed only from the operator's own (settings, trusted_proxies)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from roadstead.api.messages import Request

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def believe(request: Request, proxies: Sequence[Network]) -> None:
    """
    Set client and scheme to those before the proxies. Of X-Forwarded-For, which grows to the right, the last address that is not a proxy
    counts: whatever stands before it anybody may have written.
    """
    if not proxies or not _is_one(request.client, proxies):
        return
    scheme = request.header(b"x-forwarded-proto").split(",")[-1].strip().lower()
    if scheme in ("http", "https"):
        request.scheme = scheme
    for text in reversed(request.header(b"x-forwarded-for").split(",")):
        address = text.strip()
        if not _is_address(address):
            return
        request.client = address
        if not _is_one(address, proxies):
            return


def origin(request: Request, public_url: str) -> str:
    """
    The server's base address as the client itself wrote it, once a proxy was believed: newer clients refuse to be sent to any other
    (contract.md, 1.1). public_url: used for a client that named that host, or none.
    """
    host = request.header(b"host")
    if public_url and host in ("", public_url.partition("://")[2]):
        return public_url
    return f"{request.scheme}://{host}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_one(text: str, proxies: Sequence[Network]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in proxies if network.version == address.version)
