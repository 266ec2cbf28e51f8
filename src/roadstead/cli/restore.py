"""`roadstead restore`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from roadstead import config
from roadstead.cli.output import Format, print_json, size
from roadstead.cli.progress import Progress, run
from roadstead.errors import ConfigurationError

if TYPE_CHECKING:
    from roadstead.registry.restore import Restored


def restore(
    folder: Annotated[Path, typer.Argument(help="The backup's folder.")],
    data: Annotated[Optional[Path], typer.Option(help="The data folder to make. [default: data]")] = None,  # noqa: UP045
    config_file: Annotated[Optional[Path], typer.Option("--config", help="TOML file with the settings to restore to.")] = None,  # noqa: UP045
    output: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.TABLE,
) -> None:
    """
    Make an installation of a backup, in an empty database and storage. Start the server afterwards, not meanwhile.

    Every blob is compared with its digest on the way. Ended in any way, the same command goes on where it was. A backup goes back
    into the kind of database it is of; from there `roadstead copy-to` takes it to another. Exit code 1 if the backup lacks bytes.
    """
    settings = config.load(config_file, {"data": data})
    restored = run(_restore(settings, folder))
    if output is Format.JSON:
        print_json({"blobs": restored.blobs, "sizeBytes": restored.size_bytes, "damaged": restored.damaged})
    else:
        print(f"Restored: {restored.blobs} blobs ({size(restored.size_bytes)}) in files. `roadstead serve` can be started.")
        for digest in restored.damaged:
            print(f"The backup has no right bytes of {digest}: push an image with it again.")
    raise typer.Exit(1 if restored.damaged else 0)


async def _restore(settings: config.Settings, root: Path) -> Restored:
    from roadstead import wiring
    from roadstead.blobs.backup import BackupFolder
    from roadstead.registry.restore import Restore, is_half_restored, read

    folder = BackupFolder(root)
    manifest = read(folder, wiring.engine(settings), list(settings.locations))
    if not await wiring.has_database(settings):
        await wiring.load(settings, root / manifest.database.file)
    used = wiring.database(settings)
    try:
        if not await is_half_restored(used, manifest):
            raise ConfigurationError(
                "there is an installation already, and it is no half-restored one of this backup: restore into an empty place"
            )
        await wiring.prepare_here(settings)
        with Progress() as progress:
            work = Restore(
                used,
                wiring.stores(settings, used),
                folder,
                manifest,
                wiring.now_us,
                lambda now: progress.show("restoring", now.blobs, now.all_blobs, now.size_bytes, now.all_bytes),
            )
            return await work.run()
    finally:
        await used.close()
