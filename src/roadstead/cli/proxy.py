"""`roadstead proxy`"""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from typing import TYPE_CHECKING, Annotated, Optional
from urllib.parse import urlsplit

import typer

from roadstead import config
from roadstead.cli import client
from roadstead.cli.client import Server
from roadstead.cli.logins import Logins
from roadstead.cli.options import made_of
from roadstead.cli.output import Failed, note
from roadstead.errors import ConfigurationError

if TYPE_CHECKING:
    from roadstead.proxy.tunnels import Proxy

_PORTS = {"https": 443, "http": 80}


def proxy(
    listen: Annotated[str, typer.Option(help="HOST:PORT; port 0 takes a free one.")] = "127.0.0.1:3128",
    server: Server = "",
    mapped: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--map", metavar="HOST[:PORT]", help="Lead this name to the server too, beside Google's; may be given several times."),
    ] = None,
    tls_cert: Annotated[str, typer.Option(metavar="FILE", help="For a server without HTTPS: end it here, with this certificate.")] = "",
    tls_key: Annotated[str, typer.Option(metavar="FILE", help="The key that belongs to it, PEM.")] = "",
) -> None:
    """
    Lead gcr.io and Google's other names to a server, for clients that take an HTTPS proxy. It leads nowhere else.

    \b
    Example: roadstead proxy --server https://registry.example.com:5000
             gcloud config set proxy/type http; gcloud config set proxy/address 127.0.0.1; gcloud config set proxy/port 3128
             HTTPS_PROXY=http://127.0.0.1:3128 crane ls gcr.io/my-project/hello
    """
    from roadstead import tls
    from roadstead.proxy import names, tunnels

    host, port = config.address(listen)
    address = client.choose(Logins().read(), made_of({"server": server}).server)
    certificate = tls.certificate(tls_cert, tls_key)
    parts = urlsplit(address)
    if parts.scheme == "http" and certificate is None:
        raise ConfigurationError(
            f"{address} speaks plain HTTP, but clients ask for gcr.io by HTTPS: give the proxy a certificate for Google's names with "
            "--tls-cert and --tls-key (roadstead tls self-signed makes one), or let the server itself speak HTTPS"
        )
    if parts.scheme == "https" and certificate is not None:
        raise ConfigurationError(f"{address} speaks HTTPS itself, with its own certificate: leave --tls-cert and --tls-key out")
    targets = {tunnels.mapped(each) for each in (*names.NAMES, *(mapped or ()))}
    target = (parts.hostname or "", parts.port or _PORTS[parts.scheme])
    running = tunnels.Proxy(target, targets, certificate.context if certificate else None, note)
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        note(f"Warning: {listen} can be reached from other machines, and whoever reaches it reaches {address}.")
    try:
        asyncio.run(_until_told(running, host, port, address))
    except OSError as error:
        raise Failed(f"cannot listen on {listen}: {error.strerror or error}") from error


async def _until_told(running: Proxy, host: str, port: int, address: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)

    def ready(bound: int) -> None:
        shown = config.reachable(f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}")
        print(f"http://{shown} leads Google's names to {address}. For the clients: HTTPS_PROXY=http://{shown}", flush=True)

    await running.serve(host, port, stop, ready)
