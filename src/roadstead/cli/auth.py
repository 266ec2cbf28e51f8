"""`roadstead auth`: logging in to a server, and handing the login on to docker."""

from __future__ import annotations

import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Optional
from urllib.parse import urlsplit

import msgspec
import typer

from roadstead.cli import client, docker, grants
from roadstead.cli.client import As, Authority, Output, Server
from roadstead.cli.logins import Kind, Login, Logins
from roadstead.cli.output import Failed, Format, note, print_done, print_json, print_rows
from roadstead.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Log in to a server, and let docker use the login.")

_KEY_FIELDS = ("client_email", "private_key", "private_key_id", "token_uri")


@app.command("login")
def login(
    server: Server = "",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print a link, and ask for the code that it ends with.")] = False,
    with_token: Annotated[bool, typer.Option("--with-token", help="Read an access token from standard input.")] = False,
    key_file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Log in as a service account with its key file, a copy of which is kept.", show_default=False),
    ] = None,
    ca: Authority = None,
    output: Output = Format.TABLE,
) -> None:
    """
    Log in: in the browser, with a code that is pasted, with a token or with a key file.

    \b
    Example: roadstead auth login --server https://registry.example.com
    """
    if sum((no_browser, with_token, key_file is not None)) > 1:
        raise ConfigurationError("only one of --no-browser, --with-token and --key-file can be given")
    key = _key(key_file) if key_file else None
    logins = Logins()
    kept = logins.read()
    chosen = _of_key(key) if key and not server else client.choose(kept, server)
    authority = str(ca.absolute()) if ca else kept.of(chosen).ca
    if client.is_open(chosen):
        note(f"Warning: {chosen} is not encrypted. Whoever is on the way can read and use your login.")
    with client.http(chosen, authority) as http:
        if key:
            token_uri = f"{chosen}/token" if server else key["token_uri"]
            granted, kind = grants.by_key(http, key, token_uri), Kind.KEY
        elif with_token:
            granted, kind, token_uri = grants.Granted(_token(), 0), Kind.TOKEN, ""
        else:
            granted, kind, token_uri = (grants.pasted if no_browser else grants.in_browser)(http, chosen), Kind.PERSON, ""
        account, expires_at_us = grants.about(http, chosen, granted.access_token)
    made = Login(
        account=account,
        kind=kind,
        access_token=granted.access_token,
        expires_at_us=expires_at_us,
        refresh_token=granted.refresh_token,
        key=key,
        token_uri=token_uri,
    )
    with logins.change() as kept:
        kept.add(chosen, made, authority)
    print_done({"server": chosen, "account": account}, f"Logged in to {chosen} as {account}.", output)


@app.command("list")
def list_logins(output: Output = Format.TABLE) -> None:
    """
    List the accounts that are logged in. The first of a server is who commands act as.

    \b
    Example: roadstead auth list
    """
    kept = Logins().read()
    found = [
        {
            "server": server,
            "account": each.account,
            "kind": each.kind.value,
            "active": server == kept.server and each.account == known.account,
            "default": each.account == known.account,
            "tokenExpires": _time(each.expires_at_us),
        }
        for server, known in kept.servers.items()
        for each in sorted(known.logins.values(), key=lambda each: each.account != known.account)
    ]
    if output is Format.JSON:
        print_json(found)
        return
    rows = [["*" if each["active"] else "", str(each["account"]), str(each["server"]), str(each["kind"])] for each in found]
    print_rows(["", "ACCOUNT", "SERVER", "KIND"], rows, "Nobody is logged in: roadstead auth login --server https://HOST")


@app.command("logout")
def logout(
    account: Annotated[str, typer.Argument(help="Who. [default: whoever logged in last]", show_default=False)] = "",
    server: Server = "",
    forget: Annotated[bool, typer.Option("--forget", help="Only forget it here, if the server is gone.")] = False,
    ca: Authority = None,
    output: Output = Format.TABLE,
) -> None:
    """
    End a login, here and at the server: its tokens are void from then on. The same as revoke.

    \b
    Example: roadstead auth logout alice@example.com
    """
    logins = Logins()
    kept = logins.read()
    chosen = client.choose(kept, server)
    ended = client.whose(kept, chosen, account)
    token = ended.refresh_token or ended.access_token
    if not forget:
        with client.http(chosen, str(ca) if ca else kept.of(chosen).ca) as http:
            grants.revoke(http, chosen, token)
    with logins.change() as kept:
        kept.forget(chosen, ended.account)
    print_done({"server": chosen, "account": ended.account}, f"{ended.account} is logged out of {chosen}.", output)
    if ended.kind is Kind.KEY:
        note("The key itself is still good: roadstead keys delete ends it.")


app.command("revoke", hidden=True)(logout)


@app.command("token")
def token(server: Server = "", account: As = "", ca: Authority = None) -> None:
    """
    Print a new access token: Bearer on every API, and docker's password for the user oauth2accesstoken.

    Example: curl -H "Authorization: Bearer $(roadstead auth token)" https://registry.example.com/v1/projects
    """
    with client.connected(server, account, ca) as connected:
        print(connected.fresh_token())


@app.command("docker-login")
def docker_login(
    host: Annotated[str, typer.Argument(help="HOST of image names. [default: the server's own]", show_default=False)] = "",
    run: Annotated[bool, typer.Option("--run", help="Run docker with it, instead of printing how to.")] = False,
    server: Server = "",
    account: As = "",
    ca: Authority = None,
) -> None:
    """
    Say how docker logs in with an access token, which is good for an hour; configure-docker makes it last.

    \b
    Example: roadstead auth docker-login gcr.io --run
    """
    with client.connected(server, account, ca) as connected:
        named = host or urlsplit(connected.server).netloc
        command = ["docker", "login", "-u", docker.USER, "--password-stdin", named]
        if not run:
            who = ["roadstead", "auth", "token", "--server", connected.server, "--as", connected.login.account]
            print(f"{shlex.join(who)} | {shlex.join(command)}")
            return
        access_token = connected.fresh_token()
    try:
        done = subprocess.run(command, input=access_token, text=True, check=False)
    except FileNotFoundError as error:
        raise Failed("docker is not installed here") from error
    raise typer.Exit(done.returncode)


@app.command("configure-docker")
def configure_docker(
    hosts: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="[HOST]...", help="Hosts of image names. [default: the server's own]", show_default=False),
    ] = None,
    server: Server = "",
) -> None:
    """
    Let docker ask this program for a token whenever it needs one for these hosts.

    \b
    Example: roadstead auth configure-docker gcr.io eu.gcr.io
    """
    logins = Logins()
    kept = logins.read()
    chosen = client.choose(kept, server)
    client.whose(kept, chosen, "")
    named = hosts or [urlsplit(chosen).netloc]
    file = docker.configure(named)
    with logins.change() as kept:
        for name, known in kept.servers.items():
            known.docker_hosts = [each for each in known.docker_hosts if each not in named]
            known.docker_hosts += named if name == chosen else []
    print(f"{file}: {', '.join(named)} with logins of {chosen}.")
    docker.warn_if_missing()


def _token() -> str:
    given = sys.stdin.readline().strip()
    if not given or not given.isascii() or not given.isprintable() or " " in given:
        raise Failed("there is no access token on standard input")
    return given


def _key(file: Path) -> dict[str, str]:
    """Raises Failed."""
    try:
        key = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise Failed(f"{file} is no key file of a service account") from error
    if not all(key.get(name) for name in _KEY_FIELDS):
        raise Failed(f"{file} is no key file of a service account: it needs {', '.join(_KEY_FIELDS)}")
    return key


def _of_key(key: dict[str, str]) -> str:
    """The server that made it. Raises Failed."""
    server = key["token_uri"].removesuffix("/token")
    if server == key["token_uri"] or (urlsplit(server).hostname or "").endswith("googleapis.com"):
        raise Failed(f"the key file is of another server, {key['token_uri']}: say which one with --server")
    return client.address(server)


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at_us else ""
