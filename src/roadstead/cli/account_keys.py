"""`roadstead iam service-accounts keys`, with gcloud's arguments; what they do is in keys.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roadstead.cli import keys
from roadstead.cli.keys import Id, Lifetime
from roadstead.cli.options import Options, asking, listing
from roadstead.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Keys of service accounts.")

OfAccount = Annotated[
    str, typer.Option("--iam-account", metavar="ADDRESS", help="The service account, as NAME@PROJECT.iam.gserviceaccount.com.")
]


@app.command("list")
@listing
def list_of_account(
    options: Options,
    email: OfAccount,
    managed_by: Annotated[str, typer.Option(metavar="user|any", help="The server has no keys of its own: all are the users'.")] = "user",
) -> None:
    """
    List a service account's keys, and warn of those that expire within 30 days or have not been used for 90.

    \b
    Example: roadstead iam service-accounts keys list --iam-account=pusher@shop-images.iam.gserviceaccount.com
    """
    if managed_by not in ("user", "any", "system"):
        raise ConfigurationError("--managed-by is user, system or any")
    with options.connect() as api:
        found = [] if managed_by == "system" else keys.of_account(api, email)
    keys.show(found, options)


@app.command("create")
@asking
def create_of_account(
    options: Options,
    out: Annotated[Path, typer.Argument(metavar="OUTPUT-FILE", help="The key file to write (0600). It must not be there yet.")],
    email: OfAccount,
    lifetime: Lifetime = "",
    key_file_type: Annotated[str, typer.Option(metavar="json", help="Key files are JSON.")] = "json",
) -> None:
    """
    Make a key, and write the file that Google's clients read. Its private half is nowhere else.

    \b
    Example: roadstead iam service-accounts keys create key.json --iam-account=pusher@shop-images.iam.gserviceaccount.com
    """
    if key_file_type != "json":
        raise ConfigurationError("--key-file-type can only be json: p12 is not made here")
    keys.make(options, email, out, lifetime)


@app.command("disable")
@asking
def disable(options: Options, key: Id, email: OfAccount) -> None:
    """
    Let nobody in with this key until it is enabled again.

    \b
    Example: roadstead iam service-accounts keys disable KEY_ID --iam-account=pusher@shop-images.iam.gserviceaccount.com
    """
    keys.switch(options, email, key, "disable")


@app.command("enable")
@asking
def enable(options: Options, key: Id, email: OfAccount) -> None:
    """
    Let a disabled key in again.

    \b
    Example: roadstead iam service-accounts keys enable KEY_ID --iam-account=pusher@shop-images.iam.gserviceaccount.com
    """
    keys.switch(options, email, key, "enable")


@app.command("delete")
@asking
def delete(options: Options, key: Id, email: OfAccount) -> None:
    """
    Delete a key, for ever.

    \b
    Example: roadstead iam service-accounts keys delete KEY_ID --iam-account=pusher@shop-images.iam.gserviceaccount.com
    """
    keys.remove(options, email, key)
