"""
`roadstead COMMAND`. Each noun has its file; this one only says which, and reads a file when its command is called.

What stands here of a command is what its own help begins with.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from roadstead import __version__
from roadstead.cli.client import Account, Authority, Server
from roadstead.cli.options import ConfigurationName, Format, Project, Quiet
from roadstead.cli.output import Failed, plain
from roadstead.errors import RoadsteadError

COMMANDS = {
    "init": ("init:init", "Get started: choose a server, log in, choose a project."),
    "auth": ("auth:app", "Log in to a server, and let docker use the login."),
    "config": ("config:app", "Which project, server and account commands take where nothing is said."),
    "projects": ("projects:app", "Projects: what images, rights and services belong to."),
    "services": ("services:app", "Services: what a project uses of the server."),
    "iam": ("iam:app", "Identity and access."),
    "service-accounts": ("service_accounts:app", "Service accounts: programs that log in."),
    "keys": ("keys:app", "Keys of service accounts."),
    "container": ("images:container", "Container images, named as in gcloud."),
    "images": ("images:app", "Images in the registry: list, describe, tag, untag, delete and copy them."),
    "audit": ("audit:audit", "Show who did what, when, from where and with which result: every write, and everything that was refused."),
    "proxy": ("proxy:proxy", "Lead gcr.io and Google's other names to a server, for clients that take an HTTPS proxy."),
    "clients": ("clients:app", "Tell clients of a server."),
    "serve": ("serve:serve", "Serve the registry until SIGTERM or Ctrl-C."),
    "worker": ("worker:worker", "Run jobs and collection, for nodes that are started with `serve --no-worker`, until SIGTERM or Ctrl-C."),
    "admin": ("admin:app", "Get in, or back in, on the server's own machine."),
    "scan": ("scan:scan", "Find the vulnerable packages of an image on this machine."),
    "exceptions": ("exceptions:app", "Vulnerabilities that do not matter here, and why."),
    "advisories": ("advisories:app", "Advisories that images are matched with."),
    "migrate": ("migrate:migrate", "Create the database's schema, or bring it to this program's."),
    "check": ("check:check", "Read every blob and manifest and compare it with its digest."),
    "gc": ("gc:gc", "Free what no image needs."),
    "backup": ("backup:backup", "Back up database and blobs into a folder, while the server runs."),
    "restore": ("restore:restore", "Make an installation of a backup, in an empty database and storage."),
    "copy-to": (
        "copy_to:copy_to",
        "Copy a running installation to another database and storage, e.g. from SQLite and a folder to PostgreSQL and S3.",
    ),
    "thaw": ("copy_to:thaw", "Let a server take writes again that `copy-to` has left read-only."),
    "tls": ("tls:app", "Certificates for HTTPS."),
}
"""By name: the module and what in it, and the first sentence of its help."""


class Commands(TyperGroup):
    """Reads the file of a command when it is called: to list them all, none is needed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        found = getattr(import_module(f"roadstead.cli.{module}"), attribute)
        if not isinstance(found, typer.Typer):
            function, found = found, typer.Typer(add_completion=False, rich_markup_mode=None)
            found.command(cmd_name)(function)
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentence) for name, (_, sentence) in COMMANDS.items()])


app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, rich_markup_mode=None)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"roadstead {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version and exit."),
    server: Server = "",
    account: Account = "",
    ca: Authority = None,
    project: Project = "",
    configuration: ConfigurationName = "",
    quiet: Quiet = False,
    format: Format = "",
) -> None:
    """
    A self-hosted container registry that GCR's own clients cannot tell from it.

    The options from --server on are of the commands that ask a server, and can stand before or after them.
    """
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
