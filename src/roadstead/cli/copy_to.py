"""`roadstead copy-to` and `roadstead thaw`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from roadstead import config
from roadstead.cli.gc import existing
from roadstead.cli.output import Format, print_json, size
from roadstead.cli.progress import Progress, run
from roadstead.errors import ConfigurationError

if TYPE_CHECKING:
    from roadstead.registry.moving import Moved, Side


def copy_to(
    target: Annotated[Path, typer.Argument(help="TOML file with the new installation's settings: its database and locations.")],
    data: Annotated[Optional[Path], typer.Option(help="The running server's data folder. [default: data]")] = None,  # noqa: UP045
    config_file: Annotated[Optional[Path], typer.Option("--config", help="TOML file with the running server's settings.")] = None,  # noqa: UP045
    output: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.TABLE,
) -> None:
    """
    Copy a running installation to another database and storage, e.g. from SQLite and a folder to PostgreSQL and S3.

    The server goes on serving. Only for the last changes it refuses writes, and stays so, because from then on pushes belong to the
    new installation; `roadstead thaw` undoes that. Ended in any way, the same command goes on where it was. Every blob and manifest
    is compared with its digest on the way. Uploads under way are not copied: clients begin them anew.
    """
    source, new = config.load(config_file, {"data": data}), config.load(target, {}, environment={})
    existing(source)
    moved = run(_copy(source, new))
    if output is Format.JSON:
        print_json(
            {
                "rows": moved.rows,
                "sizeBytes": moved.size_bytes,
                "copiedBlobs": moved.copied_blobs,
                "copiedBytes": moved.copied_bytes,
                "readOnlySeconds": moved.read_only_seconds,
                "damaged": [{"what": each.what, "name": each.name} for each in moved.damaged],
            }
        )
    else:
        print(_said(moved, target))
    raise typer.Exit(1 if moved.damaged else 0)


def thaw(
    data: Annotated[Optional[Path], typer.Option(help="The server's data folder. [default: data]")] = None,  # noqa: UP045
    config_file: Annotated[Optional[Path], typer.Option("--config", help="TOML file with settings.")] = None,  # noqa: UP045
) -> None:
    """Let a server take writes again that `copy-to` has left read-only. What is pushed to it then is not in the copy."""
    settings = config.load(config_file, {"data": data})
    existing(settings)
    print("The server takes writes again." if run(_thaw(settings)) else "The server took writes already.")


async def _copy(source: config.Settings, target: config.Settings) -> Moved:
    from roadstead import wiring
    from roadstead.registry.moving import Move

    shared = wiring.shared_places(source, target)
    if shared:
        raise ConfigurationError(f"both settings have the same place for {', '.join(shared)}: the new installation needs one of its own")
    here, there = await _opened(source), await _opened(target)
    try:
        with Progress() as progress:
            return await Move(
                here,
                there,
                wiring.now_us,
                lambda now: progress.show(now.phase, now.blobs, now.all_blobs, now.size_bytes, now.all_bytes, now.rows),
            ).run()
    finally:
        await here.database.close()
        await there.database.close()


async def _opened(settings: config.Settings) -> Side:
    from roadstead import wiring
    from roadstead.registry.moving import Side

    await wiring.prepare_here(settings)
    used = wiring.database(settings)
    return Side(used, wiring.stores(settings, used))


async def _thaw(settings: config.Settings) -> bool:
    from roadstead import wiring
    from roadstead.registry import moving

    used = wiring.database(settings)
    try:
        return await moving.thaw(used)
    finally:
        await used.close()


def _said(moved: Moved, target: Path) -> str:
    rows = moved.rows
    damaged = "".join(f"\n    {each.what} {each.name}" for each in moved.damaged)
    if damaged:
        damaged = f"\nDamaged on the server itself, and known on the new one without bytes until they are pushed again:{damaged}\n"
    return f"""\
Both sides are the same: {rows["repositories"]} repositories, {rows["manifests"]} manifests, {rows["tags"]} tags, {rows["blobs"]} blobs
({size(moved.size_bytes)} in the storage, of which {size(moved.copied_bytes)} came with this run).
The server has taken no writes for {moved.read_only_seconds:.1f} seconds, and takes none from now on. Go on with it:
{damaged}
    1. start the new one:       roadstead serve --config {target}
    2. send the clients there (DNS or load balancer), and stop the old one
    3. to stay here instead:    roadstead thaw  (for the old one; then throw the copy away)
"""
