"""`roadstead iam service-accounts`, and in short `roadstead service-accounts`"""

from __future__ import annotations

from typing import Annotated

import typer

from roadstead.cli import account_keys, policies
from roadstead.cli.client import part
from roadstead.cli.options import Options, asking, listing
from roadstead.cli.output import confirm, show_done, show_list, show_one
from roadstead.cli.policies import AnyCondition, Condition, Member, Place, PolicyFile, Role

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Service accounts: programs that log in.")
app.add_typer(account_keys.app, name="keys")

Email = Annotated[str, typer.Argument(metavar="SERVICE_ACCOUNT", help="As NAME@PROJECT.iam.gserviceaccount.com.")]

COLUMNS = 'table(displayName:label="DISPLAY NAME", email, disabled)'


@app.command("list")
@listing
def list_accounts(options: Options) -> None:
    """
    List a project's service accounts.

    \b
    Example: roadstead iam service-accounts list --project shop-images
    """
    project = options.need_project()
    with options.connect() as api:
        found = api.every(f"/v1/projects/{part(project)}/serviceAccounts", "accounts", page_size=options.page_size)
    # What is not said of an account is false; a column of nothing would not say so.
    rows = [{"disabled": False, **each} for each in found] if not options.format else found
    show_list(rows, COLUMNS, options, f"{project} has no service accounts.")


@app.command("create")
@asking
def create(
    options: Options,
    name: Annotated[str, typer.Argument(metavar="NAME", help="6 to 30 small letters, digits and dashes.")],
    display_name: Annotated[str, typer.Option(help="A name for people.", show_default=False)] = "",
    description: Annotated[str, typer.Option(help="What it is for.", show_default=False)] = "",
) -> None:
    """
    Make a service account. It may do nothing yet: roadstead projects add-iam-policy-binding gives it roles.

    \b
    Example: roadstead iam service-accounts create pusher --display-name="Pushes from the pipeline" --project=shop-images
    """
    body = {"accountId": name, "serviceAccount": {"displayName": display_name, "description": description}}
    project = options.need_project()
    with options.connect() as api:
        made = api.post(f"/v1/projects/{part(project)}/serviceAccounts", body)
    show_done(made, f"Made {made['email']}.", options)


@app.command("describe")
@asking
def describe(options: Options, email: Email) -> None:
    """
    Show a service account.

    \b
    Example: roadstead iam service-accounts describe pusher@shop-images.iam.gserviceaccount.com
    """
    with options.connect() as api:
        found = api.get(_path(email))
    show_one(found, options)


@app.command("disable")
@asking
def disable(options: Options, email: Email) -> None:
    """
    Let nobody in with this account, its keys and its tokens, until it is enabled again.

    \b
    Example: roadstead iam service-accounts disable pusher@shop-images.iam.gserviceaccount.com
    """
    with options.connect() as api:
        done = api.post(f"{_path(email)}:disable")
    show_done(done, f"{email} is disabled.", options)


@app.command("enable")
@asking
def enable(options: Options, email: Email) -> None:
    """
    Let a disabled account in again.

    \b
    Example: roadstead iam service-accounts enable pusher@shop-images.iam.gserviceaccount.com
    """
    with options.connect() as api:
        done = api.post(f"{_path(email)}:enable")
    show_done(done, f"{email} is enabled.", options)


@app.command("delete")
@asking
def delete(options: Options, email: Email) -> None:
    """
    Delete an account, whose keys and tokens end at once.

    \b
    Example: roadstead iam service-accounts delete pusher@shop-images.iam.gserviceaccount.com
    """
    confirm("This service account will be deleted; its keys and tokens end at once.", options, [email])
    with options.connect() as api:
        done = api.delete(_path(email))
    show_done(done, f"Deleted {email}.", options)


@app.command("get-iam-policy")
@listing
def get_policy(options: Options, email: Email) -> None:
    """
    Show who may do what with a service account.

    \b
    Example: roadstead iam service-accounts get-iam-policy pusher@shop-images.iam.gserviceaccount.com
    """
    with options.connect() as api:
        found = Place.service_account(api, email).get()
    policies.show(found, options)


@app.command("set-iam-policy")
@asking
def set_policy(options: Options, email: Email, file: PolicyFile) -> None:
    """
    Replace the whole policy of a service account with the one in a file.

    \b
    Example: roadstead iam service-accounts set-iam-policy pusher@shop-images.iam.gserviceaccount.com policy.yaml
    """
    policy = policies.read(file)
    with options.connect() as api:
        done = Place.service_account(api, email).put(policy)
    policies.changed(done, email, options)


@app.command("add-iam-policy-binding")
@asking
def add_binding(options: Options, email: Email, member: Member, role: Role, condition: Condition = "") -> None:
    """
    Let somebody act as a service account, or look after it.

    \b
    Example: roadstead iam service-accounts add-iam-policy-binding pusher@shop-images.iam.gserviceaccount.com \\
        --member=user:bob@example.com --role=roles/iam.serviceAccountTokenCreator
    """
    edit = policies.adding(member, role, policies.condition_of(condition))
    with options.connect() as api:
        done = Place.service_account(api, email).change(edit)
    policies.changed(done, email, options)


@app.command("remove-iam-policy-binding")
@asking
def remove_binding(
    options: Options, email: Email, member: Member, role: Role, condition: Condition = "", any_condition: AnyCondition = False
) -> None:
    """
    Take a role on a service account away from somebody.

    \b
    Example: roadstead iam service-accounts remove-iam-policy-binding pusher@shop-images.iam.gserviceaccount.com \\
        --member=user:bob@example.com --role=roles/iam.serviceAccountTokenCreator
    """
    edit = policies.removing(member, role, policies.condition_of(condition), any_condition)
    with options.connect() as api:
        done = Place.service_account(api, email).change(edit)
    policies.changed(done, email, options)


def _path(email: str) -> str:
    return f"/v1/projects/-/serviceAccounts/{part(email)}"
