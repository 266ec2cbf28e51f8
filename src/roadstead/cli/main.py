"""`roadstead COMMAND`. Each noun has its file; this one only gathers them."""

from __future__ import annotations

import sys

import typer

from roadstead import __version__
from roadstead.cli import check, gc, serve
from roadstead.errors import RoadsteadError

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, rich_markup_mode=None)
app.command("serve")(serve.serve)
app.command("check")(check.check)
app.command("gc")(gc.gc)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"roadstead {__version__}")
        raise typer.Exit


@app.callback()
def _main(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version and exit.")) -> None:
    """A self-hosted container registry that GCR's own clients cannot tell from it."""


def main() -> None:
    try:
        app()
    except RoadsteadError as error:
        print(f"roadstead: {error.message}", file=sys.stderr)
        sys.exit(2)
