"""`roadstead gc`"""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from roadstead import config
from roadstead.cli.output import Format, print_json, size
from roadstead.errors import ConfigurationError

if TYPE_CHECKING:
    from roadstead.registry.gc import Collected


def gc(
    data: Annotated[Optional[Path], typer.Option(help="The server's data folder. [default: data]")] = None,  # noqa: UP045
    config_file: Annotated[Optional[Path], typer.Option("--config", help="TOML file with settings.")] = None,  # noqa: UP045
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be freed.")] = False,
    grace: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Seconds a blob without a manifest is kept for pushes under way. [default: gc_grace_seconds, 3600]"),
    ] = None,
    output: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.TABLE,
) -> None:
    """Free what no image needs. Safe beside a running server, which does the same by itself every few minutes."""
    from roadstead import wiring

    settings = config.load(config_file, {"data": data, "gc_grace_seconds": grace})
    existing(settings)
    wiring.prepare(settings)
    found = asyncio.run(_collect(settings, dry_run))
    if output is Format.JSON:
        print_json({"dryRun": dry_run, **dataclasses.asdict(found)})
        return
    verb = "would be freed" if dry_run else "freed"
    print(f"{found.blobs} blobs ({size(found.size_bytes)}) {verb}, {found.orphans} orphaned files and {found.uploads} abandoned uploads.")
    if found.protected_blobs:
        print(f"{found.protected_blobs} more ({size(found.protected_bytes)}) have no manifest and are kept for pushes under way.")


async def _collect(settings: config.Settings, dry_run: bool) -> Collected:
    from roadstead import wiring

    own = wiring.parts(settings)
    try:
        if dry_run:
            return await own.collector.estimate()
        collected = await own.collector.collect(sweep=True)
        await own.worker.run_due()
        return collected
    finally:
        await own.database.close()


def existing(settings: config.Settings) -> None:
    """Raises ConfigurationError: a typing error must not make a new, empty registry."""
    from roadstead import wiring

    if not settings.database and not wiring.database_file(settings).exists():
        raise ConfigurationError(f"{settings.data} is no data folder of a server: give the right one with --data")
