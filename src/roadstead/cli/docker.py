"""
docker's side of a login: `docker-credential-roadstead`, and the lines in docker's settings that make it be asked.

Tokens are given for hosts that `roadstead auth configure-docker` was told of, and for the servers' own, and for no others.
Spec: docker-credential-helpers, Development; Docker CLI, credHelpers.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from roadstead import __version__, config
from roadstead.cli import client
from roadstead.cli.logins import Logins, replace
from roadstead.cli.output import Failed, note
from roadstead.errors import ConfigurationError, RoadsteadError

PROGRAM = "docker-credential-roadstead"
HELPER = "roadstead"
USER = "oauth2accesstoken"
LEFT_SECONDS = 600
"""A push may ask for more registry tokens with the one that docker was given when it began."""

# docker knows by this very sentence that it may go on without credentials.
_NOT_FOUND = "credentials not found in native keychain"


def configure(hosts: Sequence[str]) -> str:
    """Puts the helper for these hosts into docker's settings, whose path it returns. Raises Failed, ConfigurationError."""
    for host in hosts:
        if "/" in host or not host.isprintable() or " " in host or not host:
            raise ConfigurationError(f"{host!r} is no host of image names: write it as in gcr.io or 127.0.0.1:5000")
    file = config.docker_folder() / "config.json"
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = file.read_bytes() if file.exists() else b"{}"
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror}") from error
    try:
        settings: Any = json.loads(text or b"{}")
    except ValueError as error:
        raise Failed(f"{file} is no JSON: docker would not read it either") from error
    helpers = settings.setdefault("credHelpers", {}) if isinstance(settings, dict) else None
    if not isinstance(helpers, dict):
        raise Failed(f"{file} has another form than docker's settings: credHelpers must be an object")
    for host in hosts:
        if helpers.get(host, HELPER) != HELPER:
            note(f"{host} was docker-credential-{helpers[host]}'s before.")
        helpers[host] = HELPER
    replace(file, json.dumps(settings, indent="\t", ensure_ascii=False).encode() + b"\n", mode)
    return str(file)


def configure_for(server: str, hosts: Sequence[str]) -> str:
    """As configure, and docker is given tokens of this server's logins for them. Raises Failed, ConfigurationError."""
    file = configure(hosts)
    with Logins().change() as kept:
        for name, known in kept.servers.items():
            known.docker_hosts = [each for each in known.docker_hosts if each not in hosts]
            known.docker_hosts += hosts if name == server else []
    return file


def warn_if_missing() -> None:
    if shutil.which(PROGRAM) is None:
        note(f"Warning: {PROGRAM} is not on the PATH, where docker looks for it.")


def helper() -> None:
    """The program that docker runs. What went wrong is said on standard output, as docker reads it."""
    try:
        print(_answer(sys.argv[1:], sys.stdin))
    except (Failed, RoadsteadError) as error:
        print(error.message)
        sys.exit(1)


def _answer(arguments: list[str], given: Any) -> str:
    match arguments:
        case ["get"]:
            return _get(given.readline().strip())
        case ["list"]:
            kept = Logins().read()
            return json.dumps(
                {
                    f"https://{host}": USER
                    for server, known in kept.servers.items()
                    if known.logins
                    for host in (*known.docker_hosts, urlsplit(server).netloc)
                }
            )
        case ["store" | "erase"]:
            # `docker login` and `logout` want it to succeed; the login is of `roadstead auth`, and stays.
            given.read()
            return ""
        case ["version"]:
            return f"{PROGRAM} {__version__}"
        case _:
            raise Failed(f"usage: {PROGRAM} get|store|erase|list|version")


def _get(wanted: str) -> str:
    host = (urlsplit(wanted if "://" in wanted else f"//{wanted}").netloc or wanted).lower()
    kept = Logins().read()
    servers = [name for name, known in kept.servers.items() if known.logins]
    told = [name for name in servers if host in kept.servers[name].docker_hosts]
    server = next(iter([*told, *(name for name in servers if host == urlsplit(name).netloc)]), "")
    if not server:
        raise Failed(_NOT_FOUND)
    with client.connected(server, "") as connected:
        return msgspec.json.encode({"ServerURL": wanted, "Username": USER, "Secret": connected.token(LEFT_SECONDS)}).decode()
