"""`roadstead backup`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import msgspec
import typer

from roadstead import config
from roadstead.cli.gc import existing
from roadstead.cli.output import Format, print_json, size
from roadstead.cli.progress import Progress, run

if TYPE_CHECKING:
    from roadstead.registry import backup as room


def backup(
    folder: Annotated[
        Path, typer.Argument(help="Where to: a new folder, or one of an earlier backup, to which only what is new is added.")
    ],
    data: Annotated[Optional[Path], typer.Option(help="The server's data folder. [default: data]")] = None,  # noqa: UP045
    config_file: Annotated[Optional[Path], typer.Option("--config", help="TOML file with settings.")] = None,  # noqa: UP045
    output: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.TABLE,
) -> None:
    """
    Back up database and blobs into a folder, while the server runs. Exit code 1 if the server itself has damaged blobs.

    Everything acknowledged before the backup began is in it, and on the disk when it ends. Until then, and when it fails, an earlier
    backup in the folder stays whole. PostgreSQL is dumped by pg_dump, which must be installed.
    """
    settings = config.load(config_file, {"data": data})
    existing(settings)
    manifest, progress = run(_backup(settings, folder))
    if output is Format.JSON:
        print_json({**msgspec.to_builtins(manifest), "copiedBlobs": progress.copied_blobs, "copiedBytes": progress.copied_bytes})
    else:
        rows = manifest.rows
        print(
            f"{folder} has {rows['repositories']} repositories, {rows['manifests']} manifests, {rows['tags']} tags and "
            f"{rows['blobs']} blobs of {manifest.began_at}: {size(manifest.stored_bytes)} in files, "
            f"{size(progress.copied_bytes)} of them new."
        )
        for digest in manifest.damaged:
            print(f"The server has no right bytes of {digest}: run `roadstead check`.")
    raise typer.Exit(1 if manifest.damaged else 0)


async def _backup(settings: config.Settings, folder: Path) -> tuple[room.Manifest, room.Progress]:
    from roadstead import wiring
    from roadstead.blobs.backup import BackupFolder
    from roadstead.registry.backup import Backup

    await wiring.prepare_here(settings)
    used = wiring.database(settings)
    try:
        with Progress() as progress:
            work = Backup(
                used,
                wiring.stores(settings, used),
                wiring.dumper(settings),
                BackupFolder(folder.absolute()),
                wiring.now_us,
                lambda now: progress.show("copying", now.blobs, now.all_blobs, now.size_bytes, now.all_bytes),
            )
            return await work.run(), work.progress
    finally:
        await used.close()
