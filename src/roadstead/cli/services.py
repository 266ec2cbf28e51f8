"""`roadstead services`"""

from __future__ import annotations

from typing import Annotated

import typer

from roadstead.cli.client import As, Authority, Output, Server, connected, part
from roadstead.cli.output import Format, print_done, print_json, print_rows

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Services: what a project uses of the server.")

Project = Annotated[str, typer.Option(help="The project's id.")]
Names = Annotated[list[str], typer.Argument(metavar="SERVICE...", help="As containerregistry or containerregistry.googleapis.com.")]


@app.command("list")
def list_services(
    project: Project,
    available: Annotated[bool, typer.Option("--available", help="Also those that are not enabled.")] = False,
    server: Server = "",
    account: As = "",
    ca: Authority = None,
    output: Output = Format.TABLE,
) -> None:
    """
    List the services that a project has enabled.

    \b
    Example: roadstead services list --project shop-images --available
    """
    wanted = {} if available else {"filter": "state:ENABLED"}
    with connected(server, account, ca) as api:
        found = api.every(f"/v1/projects/{part(project)}/services", "services", wanted)
    if output is Format.JSON:
        print_json(found)
        return
    rows = [[each["config"]["name"], each["config"].get("title", ""), each["state"].lower()] for each in found]
    print_rows(["SERVICE", "TITLE", "STATE"], rows, f"{project} has no service enabled.")


@app.command("enable")
def enable(
    names: Names, project: Project, server: Server = "", account: As = "", ca: Authority = None, output: Output = Format.TABLE
) -> None:
    """
    Enable services of a project. Images can be pushed once containerregistry is, and are scanned once containerscanning is.

    \b
    Example: roadstead services enable containerregistry containerscanning --project shop-images
    """
    whole = [full_name(each) for each in names]
    with connected(server, account, ca) as api:
        done = api.post(f"/v1/projects/{part(project)}/services:batchEnable", {"serviceIds": whole})
    print_done(done, f"Enabled {', '.join(whole)} of {project}.", output)


@app.command("disable")
def disable(
    names: Names,
    project: Project,
    with_dependents: Annotated[bool, typer.Option("--with-dependents", help="Also the services that need these.")] = False,
    server: Server = "",
    account: As = "",
    ca: Authority = None,
    output: Output = Format.TABLE,
) -> None:
    """
    Disable services of a project. What is stored stays.

    \b
    Example: roadstead services disable containerscanning --project shop-images
    """
    whole = [full_name(each) for each in names]
    with connected(server, account, ca) as api:
        services = f"/v1/projects/{part(project)}/services"
        done = [api.post(f"{services}/{part(each)}:disable", {"disableDependentServices": with_dependents}) for each in whole]
    print_done(done, f"Disabled {', '.join(whole)} of {project}.", output)


def full_name(name: str) -> str:
    return name if "." in name else f"{name}.googleapis.com"
