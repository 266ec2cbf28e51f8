"""`roadstead serve`"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from roadstead import config, server


def serve(
    data: Annotated[Optional[Path], typer.Option(help="Folder of the database and the blobs; made if need be. [default: data]")] = None,  # noqa: UP045
    listen: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="HOST:PORT, may be given several times; port 0 takes a free one. [default: 127.0.0.1:5000]"),
    ] = None,
    tls_cert: Annotated[Optional[str], typer.Option(metavar="FILE", help="Certificate and chain, PEM: speak HTTPS.")] = None,  # noqa: UP045
    tls_key: Annotated[Optional[str], typer.Option(metavar="FILE", help="The key that belongs to it, PEM.")] = None,  # noqa: UP045
    listen_http: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="HOST:PORT for plain HTTP beside HTTPS, as for health checks; may be given several times."),
    ] = None,
    config_file: Annotated[Optional[Path], typer.Option("--config", help="TOML file with settings.")] = None,  # noqa: UP045
    processes: Annotated[Optional[int], typer.Option(help="Serving processes. [default: one for each core]")] = None,  # noqa: UP045
    no_accounts: Annotated[
        bool, typer.Option("--no-accounts", help="Everybody may do everything; on loopback addresses only, for trying and for tests.")
    ] = False,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Only serve; jobs are run by `roadstead worker`.")] = False,
    ready_file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Gets the base addresses, one a line, once requests are answered."),
    ] = None,
) -> None:
    """Serve the registry until SIGTERM or Ctrl-C."""
    given = {
        **{"data": data, "processes": processes, "tls_cert": tls_cert, "tls_key": tls_key},
        **{"listen": tuple(listen) if listen else None, "listen_http": tuple(listen_http) if listen_http else None},
        "accounts": False if no_accounts else None,
    }
    settings = config.load(config_file, given)

    def ready(addresses: list[str], link: str) -> None:
        print(_welcome(settings, addresses[0], link), flush=True)
        if ready_file is not None:
            server.write_ready_file(ready_file, addresses)

    server.Supervisor(settings, ready, works=not no_worker).run()


def _ourselves() -> str:
    """How this program is called in the shell that started it."""
    return "roadstead" if shutil.which("roadstead") else sys.argv[0]


def _welcome(settings: config.Settings, address: str, link: str) -> str:
    scheme, _, bound = address.partition("://")
    authority = config.reachable(bound)
    image = f"{authority}/my-project/hello:v1"
    lines = [f"Roadstead serves {address} (data in {settings.data.resolve()})."]
    if not settings.accounts:
        lines += ["There are no accounts, so it answers on this machine only, to everyone on it. Try:", ""]
        lines += [f"    docker login {authority} -u anyone -p anything"]
    else:
        if link:
            lines += [f"Its owner is {settings.owner}. Open this link once, within a day, to choose a password:", ""]
            lines += [f"    {settings.public_url.rstrip('/') or f'{scheme}://{authority}'}/signin/link?token={link}", ""]
        lines += ["To push and pull from this machine:", ""]
        lines += [f"    {_ourselves()} admin token --data {settings.data} | docker login -u oauth2accesstoken --password-stdin {authority}"]
    lines += [f"    docker tag IMAGE {image}", f"    docker push {image}", f"    docker pull {image}", ""]
    return "\n".join(lines)
