"""`roadstead init`: from nothing to a server, a login and a project."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlsplit

import typer

from roadstead.cli import client, docker, sign_in
from roadstead.cli.client import Client
from roadstead.cli.configurations import Configurations
from roadstead.cli.logins import Logins
from roadstead.cli.options import Options, asking, made_of
from roadstead.cli.output import Failed, note
from roadstead.errors import ConfigurationError

HOSTS = ("gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io")
_MOST_LISTED = 50
_ATTEMPTS = 3


@asking
def init(
    options: Options,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", "--no-launch-browser", help="Print a link, and ask for the code that it ends with.")
    ] = False,
    skip_login: Annotated[bool, typer.Option("--skip-login", help="Stay who is logged in.")] = False,
    docker_hosts: Annotated[
        str,
        typer.Option("--docker", metavar="HOST,…", help="Let docker use the login for these hosts, without asking.", show_default=False),
    ] = "",
) -> None:
    """
    Get started: choose a server, log in, choose a project.

    What is said with --server, --account and --project is not asked for. With --quiet nothing is asked: the login that there is stays.

    \b
    Example: roadstead init --server https://registry.example.com
    """
    store = Configurations()
    name = store.get(options.configuration).name
    note(f"Setting up the configuration [{name}].")
    server = _server(options)
    chosen = made_of({**_said(options), "server": server})
    account = _account(chosen, server, skip_login or options.quiet, no_browser)
    authority = str(options.ca.absolute()) if options.ca else Logins().read().of(server).ca
    store.change(name, {"core/server": server, "core/account": account, "core/custom_ca_certs_file": authority or None})
    chosen = made_of({**_said(options), "server": server, "account": account})
    with chosen.connect() as api:
        project = options.given_project or _project(api, options)
    if project:
        store.change(name, {"core/project": project})
        note(f"Your project is {project}.")
    _docker(options, server, docker_hosts)
    note(f"Roadstead is set up: you are {account} at {server}. Try: roadstead projects list")


def _said(options: Options) -> dict[str, object]:
    return {"configuration": options.configuration, "ca": options.ca, "quiet": options.quiet}


def _server(options: Options) -> str:
    """Raises Failed, ConfigurationError."""
    known = options.server or Logins().read().server
    if options.given_server or (options.quiet and known):
        return client.address(known)
    if options.quiet:
        raise ConfigurationError("say which server: roadstead init --quiet --server https://HOST")
    for _ in range(_ATTEMPTS):
        given = _ask(f"The server's address{f' [{known}]' if known else ', such as https://registry.example.com'}: ") or known
        try:
            server = client.address(given)
            _reach(server, options)
            return server
        except (Failed, ConfigurationError) as error:
            note(f"That does not work: {error.message}.")
    raise Failed("no server was chosen")


def _reach(server: str, options: Options) -> None:
    """Raises Failed, before a browser is opened for nothing."""
    authority = str(options.ca.absolute()) if options.ca else Logins().read().of(server).ca
    with client.http(server, authority) as http:
        http.get("/healthz")


def _account(options: Options, server: str, stays: bool, no_browser: bool) -> str:
    """Who is logged in at the end. Raises Failed."""
    known = Logins().read().servers.get(server)
    accounts = sorted(known.logins) if known else []
    if options.account:
        return client.whose(Logins().read(), server, options.account).account
    if stays:
        return client.whose(Logins().read(), server, "").account
    if accounts:
        choice = _choose("Who do you want to be?", [*accounts, "Log in with another account"])
        if choice < len(accounts):
            return accounts[choice]
    return sign_in.as_person(options, pasted=no_browser)[1]


def _project(api: Client, options: Options) -> str:
    """The one that is chosen; "" for none."""
    found = sorted(each["projectId"] for each in api.every("/v1/projects", "projects", {"filter": "lifecycleState:ACTIVE"}))
    if options.quiet:
        return options.project if options.project in found else ""
    if not found:
        note("There is no project that you may see yet. Make one: roadstead projects create PROJECT_ID --set-as-default")
        return ""
    if len(found) > _MOST_LISTED:
        note(f"You may see {len(found)} projects.")
        for _ in range(_ATTEMPTS):
            given = _ask("The id of the one to work in, or nothing: ")
            if not given or given in found:
                return given
            note(f"You may not see {given}.")
        return ""
    choice = _choose("Which project do you want to work in?", [*found, "None of them now"])
    return found[choice] if choice < len(found) else ""


def _docker(options: Options, server: str, given: str) -> None:
    """Raises Failed, ConfigurationError."""
    hosts = [each for each in given.split(",") if each]
    if not hosts and not options.quiet:
        own = urlsplit(server).netloc
        sets: Sequence[tuple[str, list[str]]] = (
            ("No", []),
            (f"Yes, for {own}", [own]),
            (f"Yes, for {', '.join(HOSTS)} and {own}", [*HOSTS, own]),
        )
        hosts = sets[_choose("Shall docker, podman and crane use this login?", [text for text, _ in sets])][1]
    if hosts:
        note(f"{docker.configure_for(server, hosts)}: {', '.join(hosts)} with logins of {server}.")
        docker.warn_if_missing()


def _choose(question: str, choices: Sequence[str]) -> int:
    """Its place; Enter is the first. Raises Failed."""
    note("\n".join([question, *(f" [{number}] {text}" for number, text in enumerate(choices, start=1))]))
    for _ in range(_ATTEMPTS):
        given = _ask(f"A number from 1 to {len(choices)} [1]: ") or "1"
        if given in choices:
            return choices.index(given)
        if given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= len(choices):
            return int(given[:9]) - 1
        note(f"{given} is none of these.")
    raise Failed("nothing was chosen")


def _ask(question: str) -> str:
    """Raises Failed when nobody is there."""
    print(question, end="", file=sys.stderr, flush=True)
    given = sys.stdin.readline()
    if not given:
        raise Failed("nobody is there to answer: say it with options, and --quiet")
    return given.strip()
