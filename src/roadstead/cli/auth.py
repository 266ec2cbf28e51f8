"""`roadstead auth`: logging in to a server, and handing the login on to docker."""

from __future__ import annotations

import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Optional
from urllib.parse import urlsplit

import typer

from roadstead.cli import client, docker, grants, sign_in
from roadstead.cli.configurations import Configurations
from roadstead.cli.logins import Kind, Logins
from roadstead.cli.options import Options, asking, listing
from roadstead.cli.output import Failed, note, show_done, show_list
from roadstead.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Log in to a server, and let docker use the login.")

COLUMNS = "table(status.yesno(yes='*', no=''):label=ACTIVE, account, server, kind)"

Who = Annotated[str, typer.Argument(metavar="[ACCOUNT]", help="Who. [default: whoever commands act as]", show_default=False)]


@app.command("login")
@asking
def login(
    options: Options,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", "--no-launch-browser", help="Print a link, and ask for the code that it ends with.")
    ] = False,
    with_token: Annotated[bool, typer.Option("--with-token", help="Read an access token from standard input.")] = False,
    key_file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--key-file", "--cred-file", help="Log in as a service account with its key file, a copy of which is kept.", show_default=False
        ),
    ] = None,
) -> None:
    """
    Log in: in the browser, with a code that is pasted, with a token or with a key file.

    \b
    Example: roadstead auth login --server https://registry.example.com
    """
    if sum((no_browser, with_token, key_file is not None)) > 1:
        raise ConfigurationError("only one of --no-browser, --with-token and --key-file can be given")
    if key_file:
        server, account = sign_in.with_key(options, key_file, given_server=bool(options.given_server))
    elif with_token:
        server, account = sign_in.with_token(options)
    else:
        server, account = sign_in.as_person(options, pasted=no_browser)
    show_done({"server": server, "account": account}, f"Logged in to {server} as {account}.", options)


@app.command("activate-service-account")
@asking
def activate_service_account(
    options: Options,
    key_file: Annotated[Path, typer.Option("--key-file", help="Its key file, a copy of which is kept.")],
    email: Annotated[str, typer.Argument(metavar="[ACCOUNT]", help="Whose key it has to be.", show_default=False)] = "",
) -> None:
    """
    Log in as a service account. The same as login --key-file.

    \b
    Example: roadstead auth activate-service-account --key-file=key.json
    """
    server, account = sign_in.with_key(options, key_file, given_server=bool(options.given_server), account=email)
    show_done({"server": server, "account": account}, f"Logged in to {server} as {account}.", options)


@app.command("list")
@listing
def list_logins(options: Options) -> None:
    """
    List the accounts that are logged in, and which of them commands act as.

    \b
    Example: roadstead auth list --filter=status:ACTIVE --format='value(account)'
    """
    kept = Logins().read()
    used = client.address(options.server) if options.server else kept.server
    found: list[dict[str, Any]] = []
    for server, known in kept.servers.items():
        for each in sorted(known.logins.values(), key=lambda each: each.account != known.account):
            default = each.account == known.account
            active = server == used and (each.account == options.account if options.account else default)
            found.append(
                {
                    "server": server,
                    "account": each.account,
                    "kind": each.kind.value,
                    "status": "ACTIVE" if active else "",
                    "active": active,
                    "default": default,
                    "tokenExpires": _time(each.expires_at_us),
                }
            )
    show_list(found, COLUMNS, options, "Nobody is logged in: roadstead auth login --server https://HOST")


def _revoke(options: Options, who: Who, forget: bool) -> None:
    logins = Logins()
    kept = logins.read()
    chosen = client.choose(kept, options.server)
    ended = client.whose(kept, chosen, who or options.account)
    token = ended.refresh_token or ended.access_token
    if not forget:
        with client.http(chosen, str(options.ca) if options.ca else kept.of(chosen).ca) as http:
            grants.revoke(http, chosen, token)
    with logins.change() as kept:
        kept.forget(chosen, ended.account)
    configurations = Configurations()
    if (known := configurations.get(options.configuration)).get("core/account") == ended.account:
        configurations.change(known.name, {"core/account": None})
    show_done({"server": chosen, "account": ended.account}, f"{ended.account} is logged out of {chosen}.", options)
    if ended.kind is Kind.KEY:
        note("The key itself is still good: roadstead keys delete ends it.")


Forget = Annotated[bool, typer.Option("--forget", help="Only forget it here, if the server is gone.")]


@app.command("logout")
@asking
def logout(options: Options, who: Who = "", forget: Forget = False) -> None:
    """
    End a login, here and at the server: its tokens are void from then on. The same as revoke.

    \b
    Example: roadstead auth logout alice@example.com
    """
    _revoke(options, who, forget)


@app.command("revoke")
@asking
def revoke(options: Options, who: Who = "", forget: Forget = False) -> None:
    """
    End a login, here and at the server: its tokens are void from then on.

    \b
    Example: roadstead auth revoke alice@example.com
    """
    _revoke(options, who, forget)


@app.command("token")
@asking
def token(options: Options) -> None:
    """
    Print a new access token: Bearer on every API, and docker's password for the user oauth2accesstoken.

    Example: curl -H "Authorization: Bearer $(roadstead auth token)" https://registry.example.com/v1/projects
    """
    with options.connect() as connected:
        print(connected.fresh_token())


@app.command("print-access-token")
@asking
def print_access_token(options: Options, who: Who = "") -> None:
    """
    Print a new access token. The same as token.

    Example: roadstead auth print-access-token | docker login -u oauth2accesstoken --password-stdin gcr.io
    """
    with client.connected(options.server, who or options.account, options.ca) as connected:
        print(connected.fresh_token())


@app.command("docker-login")
@asking
def docker_login(
    options: Options,
    host: Annotated[str, typer.Argument(help="HOST of image names. [default: the server's own]", show_default=False)] = "",
    run: Annotated[bool, typer.Option("--run", help="Run docker with it, instead of printing how to.")] = False,
) -> None:
    """
    Say how docker logs in with an access token, which is good for an hour; configure-docker makes it last.

    \b
    Example: roadstead auth docker-login gcr.io --run
    """
    with options.connect() as connected:
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
@asking
def configure_docker(
    options: Options,
    hosts: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="[HOST,…]", help="Hosts of image names. [default: the server's own]", show_default=False),
    ] = None,
) -> None:
    """
    Let docker ask this program for a token whenever it needs one for these hosts.

    \b
    Example: roadstead auth configure-docker gcr.io,eu.gcr.io
    """
    kept = Logins().read()
    chosen = client.choose(kept, options.server)
    client.whose(kept, chosen, options.account)
    named = [host for each in hosts or () for host in each.split(",")] or [urlsplit(chosen).netloc]
    file = docker.configure_for(chosen, named)
    print(f"{file}: {', '.join(named)} with logins of {chosen}.")
    docker.warn_if_missing()


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at_us else ""
