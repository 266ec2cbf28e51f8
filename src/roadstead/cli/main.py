"""`roadstead COMMAND`. Each noun has its file; this one only gathers them."""

from __future__ import annotations

import os
import sys

import typer

from roadstead import __version__
from roadstead.cli import (
    admin,
    audit,
    auth,
    backup,
    check,
    copy_to,
    gc,
    keys,
    migrate,
    policies,
    projects,
    restore,
    serve,
    service_accounts,
    services,
    tls,
    worker,
)
from roadstead.cli.output import Failed, plain
from roadstead.errors import RoadsteadError

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, rich_markup_mode=None)
app.command("serve")(serve.serve)
app.add_typer(admin.app, name="admin")
app.add_typer(auth.app, name="auth")
app.add_typer(projects.app, name="projects")
app.add_typer(services.app, name="services")
app.add_typer(policies.app, name="iam")
app.add_typer(service_accounts.app, name="service-accounts")
app.add_typer(keys.app, name="keys")
app.command("audit")(audit.audit)
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
    except Failed as error:
        # In the server's words, which may hold other people's.
        print(f"roadstead: {plain(error.message)}", file=sys.stderr)
        sys.exit(1)
