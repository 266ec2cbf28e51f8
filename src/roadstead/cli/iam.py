"""`roadstead iam`: service accounts, roles, and policies of projects and repositories."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from roadstead.cli import policies, roles, service_accounts
from roadstead.cli.client import Answer, Client
from roadstead.cli.completion import project_names
from roadstead.cli.options import Options, asking
from roadstead.cli.output import show_list, show_one
from roadstead.cli.policies import AnyCondition, Condition, Member, Place, Role
from roadstead.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Identity and access.")
policy = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Who may do what, in a project or to a repository.")
app.add_typer(policy, name="policy")
app.add_typer(service_accounts.app, name="service-accounts")
app.add_typer(roles.app, name="roles")

Where = Annotated[
    str,
    typer.Argument(
        metavar="[PROJECT]", help="The project's id, unless --repository is given.", show_default=False, autocompletion=project_names
    ),
]
Repository = Annotated[
    str, typer.Option(help="HOST/PROJECT[/PATH]: a registry, a repository, or all whose paths begin so.", show_default=False)
]
Title = Annotated[str, typer.Option(help="The condition's title.", show_default=False)]


@policy.command("show")
@asking
def show(options: Options, where: Where = "", repository: Repository = "") -> None:
    """
    Show who has which role there, not counting what is given further up.

    \b
    Example: roadstead iam policy show --repository gcr.io/shop-images/web
    """
    with options.connect() as api:
        found = _place(api, where, repository).get()
    _print(found, options)


@policy.command("add-binding")
@asking
def add_binding(
    options: Options,
    member: Member,
    role: Role,
    where: Where = "",
    repository: Repository = "",
    condition: Condition = "",
    title: Title = "",
) -> None:
    """
    Give somebody a role.

    \b
    Example: roadstead iam policy add-binding shop-images --member group:web@example.com --role roles/artifactregistry.writer
    """
    edit = policies.adding(member, role, policies.condition_of(condition, title))
    with options.connect() as api:
        _print(_place(api, where, repository).change(edit), options)


@policy.command("remove-binding")
@asking
def remove_binding(
    options: Options,
    member: Member,
    role: Role,
    where: Where = "",
    repository: Repository = "",
    condition: Condition = "",
    title: Title = "",
    any_condition: AnyCondition = False,
) -> None:
    """
    Take a role away from somebody.

    \b
    Example: roadstead iam policy remove-binding shop-images --member user:bob@example.com --role roles/viewer
    """
    edit = policies.removing(member, role, policies.condition_of(condition, title), any_condition)
    with options.connect() as api:
        _print(_place(api, where, repository).change(edit), options)


def _place(api: Client, project: str, repository: str) -> Place:
    """Raises ConfigurationError."""
    if bool(project) == bool(repository):
        raise ConfigurationError("give either a project or --repository HOST/PROJECT[/PATH]")
    return Place.project(api, project) if project else Place.repository(api, repository)


def _print(found: Answer, options: Options) -> None:
    if options.format:
        show_one(found, options)
        return
    rows: list[dict[str, Any]] = [
        {"role": each["role"], "member": member, "condition": each.get("condition", {}).get("expression", "")}
        for each in sorted(found.get("bindings", []), key=lambda each: str(each["role"]))
        for member in each["members"]
    ]
    show_list(rows, "table(role, member, condition)", options, "Nobody has a role there.")
