"""`roadstead keys`, in short for `roadstead iam service-accounts keys`: which there are, and which of them want looking after."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from roadstead.cli.client import Answer, Client, part
from roadstead.cli.durations import seconds
from roadstead.cli.options import Options, asking, listing
from roadstead.cli.output import Failed, confirm, note, show_done, show_list
from roadstead.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Keys of service accounts.")

EXPIRING = timedelta(days=30)
UNUSED = timedelta(days=90)
_FOREVER = 9999
COLUMNS = (
    "table(name.scope(keys):label=KEY_ID, name.segment(3):label=ACCOUNT, validAfterTime.date('%Y-%m-%d'):label=CREATED_AT,"
    " expires:label=EXPIRES_AT, lastUsed:label=LAST_USED, state:label=STATE)"
)

Email = Annotated[str, typer.Argument(metavar="ADDRESS", help="The service account, as NAME@PROJECT.iam.gserviceaccount.com.")]
Id = Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, 40 hexadecimal digits.")]
Lifetime = Annotated[str, typer.Option(help="How long it is good: 12h, 90d. [default: for ever]", show_default=False)]


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

    def row(self, now: datetime) -> dict[str, str]:
        """What the server does not say in so many words."""
        expires, used = (f"{each:%Y-%m-%d}" if each else "never" for each in (self.expires, self.used))
        return {"expires": expires, "lastUsed": used, "state": self.state(now)}

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
@listing
def list_keys(
    options: Options,
    email: Annotated[
        str, typer.Argument(metavar="[ADDRESS]", help="A service account's. [default: the project's]", show_default=False)
    ] = "",
) -> None:
    """
    List keys, and warn of those that expire within 30 days or have not been used for 90. Last use may be a minute old.

    \b
    Example: roadstead keys list --project shop-images
    """
    if email and options.given_project:
        raise ConfigurationError("give either a service account's address or --project")
    project = "" if email else options.need_project()
    with options.connect() as api:
        found = of_account(api, email) if email else _of_project(api, project)
    show(found, options)


@app.command("create")
@asking
def create(
    options: Options,
    email: Email,
    out: Annotated[Path, typer.Option(help="The key file to write (0600). It must not be there yet.")],
    lifetime: Lifetime = "",
) -> None:
    """
    Make a key, and write the file that Google's clients read. Its private half is nowhere else.

    \b
    Example: roadstead keys create pusher@shop-images.iam.gserviceaccount.com --out key.json --lifetime 90d
    """
    make(options, email, out, lifetime)


@app.command("disable")
@asking
def disable(options: Options, email: Email, key: Id) -> None:
    """
    Let nobody in with this key until it is enabled again.

    \b
    Example: roadstead keys disable pusher@shop-images.iam.gserviceaccount.com 0123456789abcdef0123456789abcdef01234567
    """
    switch(options, email, key, "disable")


@app.command("enable")
@asking
def enable(options: Options, email: Email, key: Id) -> None:
    """
    Let a disabled key in again.

    \b
    Example: roadstead keys enable pusher@shop-images.iam.gserviceaccount.com 0123456789abcdef0123456789abcdef01234567
    """
    switch(options, email, key, "enable")


@app.command("delete")
@asking
def delete(options: Options, email: Email, key: Id) -> None:
    """
    Delete a key, for ever.

    \b
    Example: roadstead keys delete pusher@shop-images.iam.gserviceaccount.com 0123456789abcdef0123456789abcdef01234567
    """
    remove(options, email, key)


def show(found: list[Answer], options: Options) -> None:
    known, now = [_Key.of(each) for each in found], datetime.now(UTC)
    rows = found if options.format else [{**row, **key.row(now)} for row, key in zip(found, known, strict=True)]
    show_list(rows, COLUMNS, options, "There are no keys.")
    for sentence in (sentence for each in known for sentence in each.warnings(now)):
        note(f"Warning: {sentence}")


def make(options: Options, email: str, out: Path, lifetime: str) -> None:
    body = {"privateKeyType": "TYPE_GOOGLE_CREDENTIALS_FILE", **({"lifetime": f"{_seconds(lifetime)}s"} if lifetime else {})}
    # Before the key is made: one whose file cannot be written would be lost, but good.
    try:
        fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Failed(f"{out} cannot be made: {error.strerror}") from error
    try:
        with options.connect() as api:
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
    key = _Key.of(shown)
    good = f"until {key.expires:%Y-%m-%d}" if key.expires else "for ever"
    show_done(shown, f"Wrote {out}, with the key {key.id} of {email}, good {good}.", options)


def switch(options: Options, email: str, key: str, verb: str) -> None:
    with options.connect() as api:
        done = api.post(f"{_path(email)}/keys/{part(key)}:{verb}")
    show_done(done, f"The key {key} is {verb}d.", options)


def remove(options: Options, email: str, key: str) -> None:
    confirm(f"This key of {email} will be deleted, for ever.", options, [key])
    with options.connect() as api:
        done = api.delete(f"{_path(email)}/keys/{part(key)}")
    show_done(done, f"Deleted the key {key}.", options)


def _of_project(api: Client, project: str) -> list[Answer]:
    accounts = api.every(f"/v1/projects/{part(project)}/serviceAccounts", "accounts")
    return [key for each in accounts for key in of_account(api, each["email"])]


def of_account(api: Client, email: str) -> list[Answer]:
    return list(api.get(f"{_path(email)}/keys", {"keyTypes": "USER_MANAGED"}).get("keys", []))


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
