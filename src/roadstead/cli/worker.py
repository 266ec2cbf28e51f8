"""`roadstead worker`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from roadstead import config, server


def worker(
    data: Annotated[Optional[Path], typer.Option(help="Folder of what is kept in files. [default: data]")] = None,  # noqa: UP045
    config_file: Annotated[Optional[Path], typer.Option("--config", help="TOML file with settings.")] = None,  # noqa: UP045
    listen: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="HOST:PORT where /healthz, /readyz and /metrics are answered. [default: nowhere]"),
    ] = None,
    ready_file: Annotated[Optional[Path], typer.Option(help="Is written once jobs are taken.")] = None,  # noqa: UP045
) -> None:
    """Run jobs and collection, for nodes that are started with `serve --no-worker`, until SIGTERM or Ctrl-C."""

    def ready(addresses: list[str], _: str) -> None:
        print("Roadstead's worker takes jobs.", flush=True)
        if ready_file is not None:
            server.write_ready_file(ready_file, addresses)

    server.Supervisor(config.load(config_file, {"data": data}), ready, serves=False, health=listen or ()).run()
