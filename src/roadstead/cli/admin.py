"""`roadstead admin`: for whoever may read the server's own data, which is every right there is."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional, TypeVar

import typer

from roadstead import config
from roadstead.cli.durations import seconds
from roadstead.cli.gc import existing
from roadstead.cli.options import Format, Options
from roadstead.cli.output import show_list
from roadstead.errors import AlreadyExists, FieldInvalid, ReadOnly

if TYPE_CHECKING:
    from roadstead.accounts import Accounts

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Get in, or back in, on the server's own machine.")

T = TypeVar("T")
Data = Annotated[Optional[Path], typer.Option(help="The server's data folder. [default: data]")]  # noqa: UP045
Config = Annotated[Optional[Path], typer.Option("--config", help="TOML file with settings.")]  # noqa: UP045
Url = Annotated[str, typer.Option("--url", help="The server's address for the link, where it is another than the settings say.")]

_PEOPLE = (
    "table(email:label=ADDRESS, name, disabled.yesno(yes=disabled, no=''):label=STATE,"
    " secondFactor.yesno(yes=yes, no=''):label='SECOND FACTOR', issuer)"
)


@app.command("token")
def token(
    data: Data = None,
    config_file: Config = None,
    member: Annotated[
        str, typer.Option(help="user:ADDRESS or serviceAccount:ADDRESS that the token is for. [default: the owner]", show_default=False)
    ] = "",
    lifetime: Annotated[str, typer.Option(help="How long it is good: 90s, 15m, 1h, 1d; 24 hours at the most.")] = "1h",
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write it into this file (0600), for gcloud's auth/access_token_file, instead of printing it."),
    ] = None,
) -> None:
    """
    Print a short-lived access token: docker's password for the user oauth2accesstoken, and Bearer on every API.
    """
    settings = _settings(config_file, data)
    lifetime_seconds = _lifetime(lifetime)

    async def make(own: Accounts) -> str:
        from roadstead import accounts

        subject = member or f"user:{settings.owner.lower()}"
        made = await accounts.access_token(own, subject, lifetime_seconds)
        # It writes nothing else, so it works while a server is being copied; then there is no log to write to.
        with suppress(ReadOnly):
            await _note(own, "token", subject, lifetime_seconds=lifetime_seconds)
        return made

    made = _run(settings, make)
    if out is None:
        print(made)
        return
    fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as file:
        os.fchmod(fd, 0o600)
        file.write(made)


@app.command("link")
def link(
    email: Annotated[str, typer.Argument(help="Whose. [default: the owner's]", show_default=False)] = "",
    data: Data = None,
    config_file: Config = None,
    url: Url = "",
    keep_second_factor: Annotated[bool, typer.Option("--keep-second-factor", help="Do not remove the one-time password.")] = False,
) -> None:
    """
    Print a link that lets somebody in once, to choose a new password. Their sessions and their second factor end.
    """
    settings = _settings(config_file, data)

    async def make(own: Accounts) -> str:
        from roadstead import accounts

        address = (email or settings.owner).lower()
        await own.people.sign_out_everywhere(address)
        if not keep_second_factor:
            await own.second_factor.remove(address)
        made = await accounts.one_time_link(own, address)
        await _note(own, "link", f"user:{address}", second_factor_removed=not keep_second_factor)
        return made

    print(_link(settings, url, _run(settings, make)))


@app.command("add")
def add(
    email: Annotated[str, typer.Argument(help="The address of the new account.")],
    data: Data = None,
    config_file: Config = None,
    url: Url = "",
    name: Annotated[str, typer.Option(help="What the person is called.")] = "",
) -> None:
    """
    Make an account without any rights, and print the link by which its person gets in. Rights come by policies.
    """
    settings = _settings(config_file, data)

    async def make(own: Accounts) -> str:
        from roadstead import accounts

        person = await own.people.create(email, name)
        await _note(own, "add", person.member)
        return await accounts.one_time_link(own, person.email)

    print(_link(settings, url, _run(settings, make)))


@app.command("owner")
def owner(
    email: Annotated[str, typer.Argument(help="The address of an account; it is made if need be.")],
    data: Data = None,
    config_file: Config = None,
    url: Url = "",
) -> None:
    """
    Give somebody every right on the whole installation, and print a link for a new account.
    """
    settings = _settings(config_file, data)

    async def make(own: Accounts) -> str:
        from roadstead import accounts

        try:
            person = await own.people.create(email)
        except AlreadyExists:
            person = await own.people.get(email)
        for role in accounts.OWNER_ROLES:
            await own.policies.grant("organization", role, person.member)
        await _note(own, "owner", person.member, roles=accounts.OWNER_ROLES)
        return "" if person.has_password or person.issuer else await accounts.one_time_link(own, person.email)

    secret = _run(settings, make)
    print(f"{email} owns this installation.")
    if secret:
        print(_link(settings, url, secret))


@app.command("disable")
def disable(
    email: Annotated[str, typer.Argument(help="Whose account.")],
    data: Data = None,
    config_file: Config = None,
    enable: Annotated[bool, typer.Option("--undo", help="Enable it again.")] = False,
) -> None:
    """
    Shut an account: its sessions and tokens end at once, and nobody signs in to it.
    """
    settings = _settings(config_file, data)

    async def change(own: Accounts) -> None:
        await (own.people.enable(email) if enable else own.people.disable(email))
        await _note(own, "enable" if enable else "disable", f"user:{email.lower()}")

    _run(settings, change)
    print(f"{email} is {'enabled' if enable else 'disabled'}.")


@app.command("group")
def group(
    email: Annotated[str, typer.Argument(help="The group's address, as group:ADDRESS in policies; it is made if need be.")],
    data: Data = None,
    config_file: Config = None,
    add: Annotated[Optional[list[str]], typer.Option(help="user:ADDRESS or serviceAccount:ADDRESS; may be given several times.")] = None,  # noqa: UP045
    remove: Annotated[Optional[list[str]], typer.Option(help="As add.")] = None,  # noqa: UP045
    output: Format = "",
) -> None:
    """
    Put members into a group, take them out, and list who is in it.
    """
    settings = _settings(config_file, data)

    async def change(own: Accounts) -> list[tuple[str, str]]:
        with suppress(AlreadyExists):
            await own.groups.create(email)
            await _note(own, "group.create", f"group:{email.lower()}")
        for member in add or ():
            await own.groups.add_member(email, member)
            await _note(own, "group.add", f"group:{email.lower()}", added=member)
        for member in remove or ():
            await own.groups.remove_member(email, member)
            await _note(own, "group.remove", f"group:{email.lower()}", removed=member)
        return [(each.member, each.source) for each in await own.groups.members(email)]

    found = _run(settings, change)
    rows = [{"member": member, "source": source} for member, source in found]
    show_list(rows, "table(member, source.yesno(no=here):label=FROM)", Options(format=output), f"Nobody is in {email}.")


@app.command("people")
def people(data: Data = None, config_file: Config = None, output: Format = "") -> None:
    """
    List the accounts of people.
    """
    settings = _settings(config_file, data)
    found = _run(settings, lambda own: own.people.list())
    rows = [
        {
            "email": each.email,
            "name": each.name,
            "disabled": each.disabled,
            "password": each.has_password,
            "secondFactor": each.has_second_factor,
            "issuer": each.issuer,
        }
        for each in found
    ]
    show_list(rows, _PEOPLE, Options(format=output))


def _settings(config_file: Path | None, data: Path | None) -> config.Settings:
    settings = config.load(config_file, {"data": data})
    existing(settings)
    return settings


def _run(settings: config.Settings, work: Callable[[Accounts], Awaitable[T]]) -> T:
    from roadstead import wiring

    wiring.migrate(settings)

    async def run() -> T:
        async with wiring.local_accounts(settings) as own:
            return await work(own)

    return asyncio.run(run())


async def _note(own: Accounts, command: str, subject: str, **details: object) -> None:
    """In the audit log, before anything is printed: who on this machine did it to whom. No secrets."""
    from roadstead.iam.audit import Entry, Outcome

    entry = Entry(
        at_us=time.time_ns() // 1000,
        member=f"local:{os.getuid()}",
        method=f"admin.{command}",
        resource="organization",
        outcome=Outcome.OK,
        details={"subject": subject, **details},
    )
    await own.audit.record_now(entry)


def _link(settings: config.Settings, url: str, secret: str) -> str:
    scheme = "https" if settings.tls_cert else "http"
    base = (url or settings.public_url).rstrip("/") or f"{scheme}://{config.reachable(settings.listen[0])}"
    return f"{base}/signin/link?token={secret}"


def _lifetime(text: str) -> int:
    """Raises FieldInvalid."""
    found = seconds(text, ("", "s", "m", "h", "d"))
    if found is None:
        raise FieldInvalid("a lifetime is a number with s, m, h or d, such as 90s, 15m or 1h")
    return found
