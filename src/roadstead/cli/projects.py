"""`roadstead projects`"""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from roadstead.cli.client import As, Authority, Output, Server, connected, part
from roadstead.cli.output import Format, print_done, print_json, print_rows
from roadstead.cli.services import full_name
from roadstead.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Projects: what images, rights and services belong to.")

ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's id.")]


@app.command("list")
def list_projects(
    deleted: Annotated[bool, typer.Option("--deleted", help="Those that are deleted and can still be undeleted.")] = False,
    server: Server = "",
    account: As = "",
    ca: Authority = None,
    output: Output = Format.TABLE,
) -> None:
    """
    List the projects that you may see.

    \b
    Example: roadstead projects list --format json
    """
    state = "DELETE_REQUESTED" if deleted else "ACTIVE"
    with connected(server, account, ca) as api:
        found = api.every("/v1/projects", "projects", {"filter": f"lifecycleState:{state}"})
    if output is Format.JSON:
        print_json(found)
        return
    rows = [[each["projectId"], each.get("name", ""), each["projectNumber"], each["createTime"][:10]] for each in found]
    print_rows(["PROJECT", "NAME", "NUMBER", "CREATED"], rows, "There are no projects that you may see.")


@app.command("create")
def create(
    project: ProjectArgument,
    name: Annotated[str, typer.Option(help="A name for people.", show_default=False)] = "",
    label: Annotated[Optional[list[str]], typer.Option(help="KEY=VALUE, may be given several times.", show_default=False)] = None,  # noqa: UP045
    enable: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="A service to enable, such as containerregistry; may be given several times.", show_default=False),
    ] = None,
    server: Server = "",
    account: As = "",
    ca: Authority = None,
    output: Output = Format.TABLE,
) -> None:
    """
    Make a project.

    \b
    Example: roadstead projects create shop-images --name "The shop" --enable containerregistry
    """
    labels = dict(_label(text) for text in label or ())
    with connected(server, account, ca) as api:
        api.post("/v1/projects", {"projectId": project, "name": name or project, "labels": labels})
        if enable:
            api.post(f"/v1/projects/{part(project)}/services:batchEnable", {"serviceIds": [full_name(each) for each in enable]})
        made = api.get(f"/v1/projects/{part(project)}")
    print_done(made, f"Made the project {project}.", output)


@app.command("describe")
def describe(project: ProjectArgument, server: Server = "", account: As = "", ca: Authority = None, output: Output = Format.TABLE) -> None:
    """
    Show a project.

    \b
    Example: roadstead projects describe shop-images
    """
    with connected(server, account, ca) as api:
        found = api.get(f"/v1/projects/{part(project)}")
    if output is Format.JSON:
        print_json(found)
        return
    labels = ", ".join(f"{key}={value}" for key, value in sorted(found.get("labels", {}).items()))
    rows = [
        ["project", found["projectId"]],
        ["name", found.get("name", "")],
        ["number", found["projectNumber"]],
        ["state", found["lifecycleState"]],
        ["created", found["createTime"]],
        ["labels", labels],
    ]
    print_rows(["", ""], rows, "")


@app.command("delete")
def delete(project: ProjectArgument, server: Server = "", account: As = "", ca: Authority = None, output: Output = Format.TABLE) -> None:
    """
    Delete a project: nobody gets at its images any more, and after the server's grace period (30 days) they are gone.

    \b
    Example: roadstead projects delete shop-images
    """
    with connected(server, account, ca) as api:
        done = api.delete(f"/v1/projects/{part(project)}")
    print_done(done, f"Deleted the project {project}. Until its images are removed: roadstead projects undelete {project}", output)


@app.command("undelete")
def undelete(project: ProjectArgument, server: Server = "", account: As = "", ca: Authority = None, output: Output = Format.TABLE) -> None:
    """
    Take back a deletion.

    \b
    Example: roadstead projects undelete shop-images
    """
    with connected(server, account, ca) as api:
        done = api.post(f"/v1/projects/{part(project)}:undelete")
    print_done(done, f"The project {project} is back.", output)


def _label(text: str) -> tuple[str, str]:
    key, given, value = text.partition("=")
    if not given or not key:
        raise ConfigurationError("a label is written KEY=VALUE")
    return key, value
