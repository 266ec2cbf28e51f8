"""`roadstead keys`: of service accounts, and which of them want looking after."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from roadstead.cli.client import Answer, As, Authority, Client, Output, Server, connected, part
from roadstead.cli.durations import seconds
from roadstead.cli.output import Failed, Format, note, print_done, print_json, print_rows
from roadstead.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Keys of service accounts.")

EXPIRING = timedelta(days=30)
UNUSED = timedelta(days=90)
_FOREVER = 9999

Email = Annotated[str, typer.Argument(metavar="ADDRESS", help="The service account, as NAME@PROJECT.iam.gserviceaccount.com.")]
Id = Annotated[str, typer.Argument(metavar="KEY", help="The key's id, 40 hexadecimal digits.")]


@dataclass(frozen=True, slots=True)
class _Key:
    """expires, used: None for never."""

    id: str
    email: str
    created: datetime
    expires: datetime | None
    used: datetime | None
    disabled: bool

    @classmethod
    def of(cls, answer: Answer) -> _Key:
        _, _, _, email, _, key = answer["name"].split("/")
        expires, used = _time(answer["validBeforeTime"]), answer.get("lastAuthenticatedTime")
        return cls(
            id=key,
            email=email,
            created=_time(answer["validAfterTime"]),
            expires=None if expires.year == _FOREVER else expires,
            used=_time(used) if used else None,
            disabled=bool(answer.get("disabled")),
        )

    def state(self, now: datetime) -> str:
        if self.expires and self.expires <= now:
            return "expired"
        return "disabled" if self.disabled else "active"

    def warnings(self, now: datetime) -> list[str]:
        """Of keys that somebody could use."""
        if self.state(now) != "active":
            return []
        found = []
        if self.expires and self.expires - now <= EXPIRING:
            found.append(f"the key {self.id} of {self.email} expires on {self.expires:%Y-%m-%d}: make another in time.")
        if now - (self.used or self.created) >= UNUSED:
            since = f"since {self.used:%Y-%m-%d}" if self.used else f"since it was made on {self.created:%Y-%m-%d}"
            found.append(f"the key {self.id} of {self.email} was not used {since}: delete it if nobody needs it.")
        return found


@app.command("list")
def list_keys(
    email: Annotated[
        str, typer.Argument(metavar="[ADDRESS]", help="A service account's, unless --project is given.", show_default=False)
    ] = "",
    project: Annotated[str, typer.Option(help="Of all the project's service accounts.", show_default=False)] = "",
    server: Server = "",
    account: As = "",
    ca: Authority = None,
    output: Output = Format.TABLE,
) -> None:
    """
    List keys, and warn of those that expire within 30 days or have not been used for 90. Last use may be a minute old.

    \b
    Example: roadstead keys list --project shop-images
    """
    if bool(email) == bool(project):
        raise ConfigurationError("give either a service account's address or --project")
    with connected(server, account, ca) as api:
        found = _of_project(api, project) if project else _of_account(api, email)
    known, now = [_Key.of(each) for each in found], datetime.now(UTC)
    if output is Format.JSON:
        print_json(found)
    else:
        columns = ["KEY", "ACCOUNT", "CREATED", "EXPIRES", "LAST USED", "STATE"]
        print_rows(columns, [_row(each, now) for each in known], "There are no keys.")
    for sentence in (sentence for each in known for sentence in each.warnings(now)):
        note(f"Warning: {sentence}")


@app.command("create")
def create(
    email: Email,
    out: Annotated[Path, typer.Option(help="The key file to write (0600). It must not be there yet.")],
    lifetime: Annotated[str, typer.Option(help="How long it is good: 12h, 90d. [default: for ever]", show_default=False)] = "",
    server: Server = "",
    account: As = "",
    ca: Authority = None,
    output: Output = Format.TABLE,
) -> None:
    """
    Make a key, and write the file that Google's clients read. Its private half is nowhere else.

    \b
    Example: roadstead keys create pusher@shop-images.iam.gserviceaccount.com --out key.json --lifetime 90d
    """
    body = {"privateKeyType": "TYPE_GOOGLE_CREDENTIALS_FILE", **({"lifetime": f"{_seconds(lifetime)}s"} if lifetime else {})}
    # Before the key is made: one whose file cannot be written would be lost, but good.
    try:
        fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Failed(f"{out} cannot be made: {error.strerror}") from error
    try:
        with connected(server, account, ca) as api:
            made = api.post(f"{_path(email)}/keys", body)
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(base64.b64decode(made["privateKeyData"]))
            file.flush()
            os.fsync(fd)
    except BaseException:
        out.unlink()
        raise
    finally:
        os.close(fd)
    shown = {name: value for name, value in made.items() if name != "privateKeyData"}
    if output is Format.JSON:
        print_json(shown)
        return
    expires = _Key.of(shown).expires
    print(f"Wrote {out}, with the key {_Key.of(shown).id} of {email}, good {f'until {expires:%Y-%m-%d}' if expires else 'for ever'}.")


@app.command("disable")
def disable(email: Email, key: Id, server: Server = "", account: As = "", ca: Authority = None, output: Output = Format.TABLE) -> None:
    """
    Let nobody in with this key until it is enabled again.

    \b
    Example: roadstead keys disable pusher@shop-images.iam.gserviceaccount.com 0123456789abcdef0123456789abcdef01234567
    """
    with connected(server, account, ca) as api:
        done = api.post(f"{_path(email)}/keys/{part(key)}:disable")
    print_done(done, f"The key {key} is disabled.", output)


@app.command("enable")
def enable(email: Email, key: Id, server: Server = "", account: As = "", ca: Authority = None, output: Output = Format.TABLE) -> None:
    """
    Let a disabled key in again.

    \b
    Example: roadstead keys enable pusher@shop-images.iam.gserviceaccount.com 0123456789abcdef0123456789abcdef01234567
    """
    with connected(server, account, ca) as api:
        done = api.post(f"{_path(email)}/keys/{part(key)}:enable")
    print_done(done, f"The key {key} is enabled.", output)


@app.command("delete")
def delete(email: Email, key: Id, server: Server = "", account: As = "", ca: Authority = None, output: Output = Format.TABLE) -> None:
    """
    Delete a key, for ever.

    \b
    Example: roadstead keys delete pusher@shop-images.iam.gserviceaccount.com 0123456789abcdef0123456789abcdef01234567
    """
    with connected(server, account, ca) as api:
        done = api.delete(f"{_path(email)}/keys/{part(key)}")
    print_done(done, f"Deleted the key {key}.", output)


def _of_project(api: Client, project: str) -> list[Answer]:
    accounts = api.every(f"/v1/projects/{part(project)}/serviceAccounts", "accounts")
    return [key for each in accounts for key in _of_account(api, each["email"])]


def _of_account(api: Client, email: str) -> list[Answer]:
    return list(api.get(f"{_path(email)}/keys", {"keyTypes": "USER_MANAGED"}).get("keys", []))


def _row(key: _Key, now: datetime) -> Sequence[str]:
    created, expires, used = (f"{each:%Y-%m-%d}" if each else "never" for each in (key.created, key.expires, key.used))
    return [key.id, key.email, created, expires, used, key.state(now)]


def _path(email: str) -> str:
    return f"/v1/projects/-/serviceAccounts/{part(email)}"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _seconds(text: str) -> int:
    """Raises ConfigurationError."""
    found = seconds(text, ("h", "d"))
    if found is None:
        raise ConfigurationError("a lifetime is a number with h or d, such as 12h or 90d")
    return found
