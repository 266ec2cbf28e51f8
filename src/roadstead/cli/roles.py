"""`roadstead iam roles`"""

from __future__ import annotations

from typing import Annotated

import typer

from roadstead.cli.client import part
from roadstead.cli.options import Options, asking, listing
from roadstead.cli.output import show_list, show_one

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Roles: names for sets of permissions.")


@app.command("list")
@listing
def list_roles(
    options: Options,
    show_deleted: Annotated[bool, typer.Option("--show-deleted", help="Also those that are deleted and can be undeleted.")] = False,
) -> None:
    """
    List the roles that there are everywhere; with --project, those that a project has made itself.

    \b
    Example: roadstead iam roles list --filter name:artifactregistry --format 'table(name, title)'
    """
    path = f"/v1/projects/{part(options.given_project)}/roles" if options.given_project else "/v1/roles"
    wanted = {"showDeleted": "true"} if show_deleted else {}
    with options.connect() as api:
        found = api.every(path, "roles", wanted, page_size=options.page_size)
    show_list(found, "table(name:sort=1, title)", options, "There are no roles.")


@app.command("describe")
@asking
def describe(
    options: Options, role: Annotated[str, typer.Argument(metavar="ROLE", help="As roles/viewer, or the id of a project's own.")]
) -> None:
    """
    Show a role, with its permissions.

    \b
    Example: roadstead iam roles describe roles/artifactregistry.reader
    """
    own = f"projects/{part(options.need_project())}/roles/{part(role)}" if "/" not in role else ""
    with options.connect() as api:
        found = api.get(f"/v1/{own or '/'.join(part(each) for each in role.split('/'))}")
    show_one(found, options)
