"""`roadstead serve`"""

from __future__ import annotations

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
    config_file: Annotated[Optional[Path], typer.Option("--config", help="TOML file with settings.")] = None,  # noqa: UP045
    processes: Annotated[Optional[int], typer.Option(help="Serving processes. [default: one for each core]")] = None,  # noqa: UP045
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Only serve; jobs are run by `roadstead worker`.")] = False,
    ready_file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Gets the base addresses, one a line, once requests are answered."),
    ] = None,
) -> None:
    """Serve the registry until SIGTERM or Ctrl-C."""
    settings = config.load(config_file, {"data": data, "listen": tuple(listen) if listen else None, "processes": processes})

    def ready(addresses: list[str]) -> None:
        print(_welcome(addresses[0].removeprefix("http://"), settings.data), flush=True)
        if ready_file is not None:
            server.write_ready_file(ready_file, addresses)

    server.Supervisor(settings, ready, works=not no_worker).run()


def _welcome(authority: str, data: Path) -> str:
    image = f"{authority}/my-project/hello:v1"
    return f"""\
Roadstead serves http://{authority} (data in {data.resolve()}).
There are no accounts yet, so it answers on this machine only, to everyone on it. Try:

    docker login {authority} -u anyone -p anything
    docker tag IMAGE {image}
    docker push {image}
    docker pull {image}
"""
