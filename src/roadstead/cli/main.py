"""`roadstead COMMAND`. Each noun has its file; this one only gathers them."""

from __future__ import annotations

import os
import sys

import typer

from roadstead import __version__
from roadstead.cli import admin, backup, check, copy_to, gc, migrate, restore, serve, tls, worker
from roadstead.errors import RoadsteadError

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, rich_markup_mode=None)
app.command("serve")(serve.serve)
app.add_typer(admin.app, name="admin")
app.command("worker")(worker.worker)
app.command("migrate")(migrate.migrate)
app.command("check")(check.check)
app.command("gc")(gc.gc)
app.command("backup")(backup.backup)
app.command("restore")(restore.restore)
app.command("copy-to")(copy_to.copy_to)
app.command("thaw")(copy_to.thaw)
app.add_typer(tls.app, name="tls")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"roadstead {__version__}")
        raise typer.Exit


@app.callback()
def _main(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version and exit.")) -> None:
    """A self-hosted container registry that GCR's own clients cannot tell from it."""
    # Whoever may read the database or the blobs may read every image: what this program makes is its user's alone.
    os.umask(0o077)


def main() -> None:
    try:
        app()
    except RoadsteadError as error:
        print(f"roadstead: {error.message}", file=sys.stderr)
        sys.exit(2)
