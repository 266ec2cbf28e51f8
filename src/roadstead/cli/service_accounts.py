"""`roadstead service-accounts`"""

from __future__ import annotations

from typing import Annotated

import typer

from roadstead.cli.client import As, Authority, Output, Server, connected, part
from roadstead.cli.output import Format, print_done, print_json, print_rows

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Service accounts: programs that log in.")

Project = Annotated[str, typer.Option(help="The project's id.")]
Email = Annotated[str, typer.Argument(metavar="ADDRESS", help="As NAME@PROJECT.iam.gserviceaccount.com.")]


@app.command("list")
def list_accounts(project: Project, server: Server = "", account: As = "", ca: Authority = None, output: Output = Format.TABLE) -> None:
    """
    List a project's service accounts.

    \b
    Example: roadstead service-accounts list --project shop-images
    """
    with connected(server, account, ca) as api:
        found = api.every(f"/v1/projects/{part(project)}/serviceAccounts", "accounts")
    if output is Format.JSON:
        print_json(found)
        return
    rows = [[each["email"], each.get("displayName", ""), "disabled" if each.get("disabled") else ""] for each in found]
    print_rows(["ADDRESS", "NAME", "STATE"], rows, f"{project} has no service accounts.")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="6 to 30 small letters, digits and dashes.")],
    project: Project,
    display_name: Annotated[str, typer.Option(help="A name for people.", show_default=False)] = "",
    description: Annotated[str, typer.Option(help="What it is for.", show_default=False)] = "",
    server: Server = "",
    account: As = "",
    ca: Authority = None,
    output: Output = Format.TABLE,
) -> None:
    """
    Make a service account. It may do nothing yet: roadstead iam policy add-binding gives it roles.

    \b
    Example: roadstead service-accounts create pusher --project shop-images
    """
    body = {"accountId": name, "serviceAccount": {"displayName": display_name, "description": description}}
    with connected(server, account, ca) as api:
        made = api.post(f"/v1/projects/{part(project)}/serviceAccounts", body)
    print_done(made, f"Made {made['email']}.", output)


@app.command("disable")
def disable(email: Email, server: Server = "", account: As = "", ca: Authority = None, output: Output = Format.TABLE) -> None:
    """
    Let nobody in with this account, its keys and its tokens, until it is enabled again.

    \b
    Example: roadstead service-accounts disable pusher@shop-images.iam.gserviceaccount.com
    """
    with connected(server, account, ca) as api:
        done = api.post(f"{_path(email)}:disable")
    print_done(done, f"{email} is disabled.", output)


@app.command("enable")
def enable(email: Email, server: Server = "", account: As = "", ca: Authority = None, output: Output = Format.TABLE) -> None:
    """
    Let a disabled account in again.

    \b
    Example: roadstead service-accounts enable pusher@shop-images.iam.gserviceaccount.com
    """
    with connected(server, account, ca) as api:
        done = api.post(f"{_path(email)}:enable")
    print_done(done, f"{email} is enabled.", output)


@app.command("delete")
def delete(email: Email, server: Server = "", account: As = "", ca: Authority = None, output: Output = Format.TABLE) -> None:
    """
    Delete an account, whose keys and tokens end at once.

    \b
    Example: roadstead service-accounts delete pusher@shop-images.iam.gserviceaccount.com
    """
    with connected(server, account, ca) as api:
        done = api.delete(_path(email))
    print_done(done, f"Deleted {email}.", output)


def _path(email: str) -> str:
    return f"/v1/projects/-/serviceAccounts/{part(email)}"
