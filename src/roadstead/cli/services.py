"""`roadstead services`"""

from __future__ import annotations

from typing import Annotated

import typer

from roadstead.cli.client import part
from roadstead.cli.options import Options, asking, listing
from roadstead.cli.output import show_done, show_list
from roadstead.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Services: what a project uses of the server.")

Names = Annotated[list[str], typer.Argument(metavar="SERVICE...", help="As containerregistry or containerregistry.googleapis.com.")]

COLUMNS = "table(config.name:label=NAME:sort=1, config.title:label=TITLE, state:label=STATE)"


@app.command("list")
@listing
def list_services(
    options: Options,
    enabled: Annotated[bool, typer.Option("--enabled", help="Those that are enabled, as without it.")] = False,
    available: Annotated[bool, typer.Option("--available", help="Also those that are not enabled.")] = False,
) -> None:
    """
    List the services that a project has enabled.

    \b
    Example: roadstead services list --project shop-images --available
    """
    if enabled and available:
        raise ConfigurationError("give either --enabled or --available")
    project = options.need_project()
    wanted = {} if available else {"filter": "state:ENABLED"}
    with options.connect() as api:
        found = api.every(f"/v1/projects/{part(project)}/services", "services", wanted, page_size=options.page_size)
    show_list(found, COLUMNS, options, f"{project} has no service enabled.")


@app.command("enable")
@asking
def enable(options: Options, names: Names) -> None:
    """
    Enable services of a project. Images can be pushed once containerregistry is, and are scanned once containerscanning is.

    \b
    Example: roadstead services enable containerregistry.googleapis.com containerscanning --project=shop-images
    """
    project = options.need_project()
    whole = [full_name(each) for each in names]
    with options.connect() as api:
        done = api.post(f"/v1/projects/{part(project)}/services:batchEnable", {"serviceIds": whole})
    show_done(done, f"Enabled {', '.join(whole)} of {project}.", options)


@app.command("disable")
@asking
def disable(
    options: Options,
    names: Names,
    force: Annotated[bool, typer.Option("--force", "--with-dependents", help="Also the services that need these.")] = False,
) -> None:
    """
    Disable services of a project. What is stored stays.

    \b
    Example: roadstead services disable containerscanning.googleapis.com --project=shop-images
    """
    project = options.need_project()
    whole = [full_name(each) for each in names]
    with options.connect() as api:
        services = f"/v1/projects/{part(project)}/services"
        done = [api.post(f"{services}/{part(each)}:disable", {"disableDependentServices": force}) for each in whole]
    show_done(done, f"Disabled {', '.join(whole)} of {project}.", options)


def full_name(name: str) -> str:
    return name if "." in name else f"{name}.googleapis.com"
