"""`roadstead clients`: what docker, containerd, gcloud and others must be told of a server."""

from __future__ import annotations

import enum
import re
import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Annotated, Optional
from urllib.parse import urlsplit

import typer

from roadstead import config
from roadstead.cli import client
from roadstead.cli.client_settings import (
    buildkit,
    containerd,
    docker,
    gcloud,
    gcrane,
    kaniko,
    kubernetes,
    podman,
    python,
    reached,
    written,
)
from roadstead.cli.client_settings.content import Whole
from roadstead.cli.client_settings.reached import Finding
from roadstead.cli.client_settings.wanted import PROXY, Configuration, Mode, Wanted, names_of
from roadstead.cli.logins import Logins
from roadstead.cli.options import Options, asking
from roadstead.cli.output import Failed, note, plain, show_list
from roadstead.errors import ConfigurationError
from roadstead.proxy.names import APIS

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Tell clients of a server.")

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\n?")
_PROXY = re.compile(r"http://[A-Za-z0-9.-]{1,253}:[1-9][0-9]{0,4}")


class Client(enum.StrEnum):
    DOCKER = "docker"
    CONTAINERD = "containerd"
    CRIO = "cri-o"
    PODMAN = "podman"
    BUILDKIT = "buildkit"
    KANIKO = "kaniko"
    GCLOUD = "gcloud"
    GCRANE = "gcrane"
    PYTHON = "python"
    KUBERNETES = "kubernetes"


_KNOWN: dict[Client, tuple[Callable[[Wanted], Configuration], Mode]] = {
    Client.DOCKER: (docker.configuration, Mode.DNS),
    Client.CONTAINERD: (containerd.configuration, Mode.OVERRIDE),
    Client.CRIO: (podman.crio, Mode.OVERRIDE),
    Client.PODMAN: (podman.configuration, Mode.OVERRIDE),
    Client.BUILDKIT: (buildkit.configuration, Mode.OVERRIDE),
    Client.KANIKO: (kaniko.configuration, Mode.OVERRIDE),
    Client.GCLOUD: (gcloud.configuration, Mode.OVERRIDE),
    Client.GCRANE: (gcrane.configuration, Mode.DNS),
    Client.PYTHON: (python.configuration, Mode.OVERRIDE),
    Client.KUBERNETES: (kubernetes.configuration, Mode.OVERRIDE),
}
"""What makes the configuration, and the way in where none is said."""

_ASK_APIS = (Client.GCLOUD, Client.PYTHON)


@app.callback()
def _clients() -> None:
    """Tell clients of a server."""


@app.command("configure")
@asking
def configure(
    options: Options,
    which: Annotated[Client, typer.Argument(metavar="CLIENT", help=f"{', '.join(Client)}.")],
    mode: Annotated[
        Optional[Mode],  # noqa: UP045
        typer.Option(help="The way in: docs/clients.md says what each needs. [default: the client's usual one]", show_default=False),
    ] = None,
    name: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="Host in the names of images, as gcr.io, or gcr.io=HOST:PORT; may be given several times. [default: Google's]",
            show_default=False,
        ),
    ] = None,
    proxy: Annotated[str, typer.Option(help="Where `roadstead proxy` listens, for --mode proxy.")] = PROXY,
    root: Annotated[Path, typer.Option(help="Write and check below this folder, as for an image of a machine.")] = Path("/"),
    apply: Annotated[bool, typer.Option("--apply", help="Write the files, instead of printing what to write.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Say whether the files are there and the server is reached.")] = False,
) -> None:
    """
    Print what a client must be told of a server; --apply writes it, --check tries it.

    \b
    Example: roadstead clients configure containerd --server https://registry.example.com:5000 --ca ca.pem
             roadstead clients configure gcloud --mode proxy --apply
    """
    if apply and check:
        raise ConfigurationError("give --apply or --check, one after the other")
    if options.given_format and not check:
        raise ConfigurationError("--format is for --check: what is printed otherwise is the text of the files")
    make, usual = _KNOWN[which]
    wanted = _wanted(options, mode or usual, name or [], proxy)
    made = make(wanted)
    if check:
        _print_findings(_findings(which, wanted, made, root), options)
    elif apply:
        _apply(which, wanted, made, root, options.quiet)
    else:
        print(plain(_text(which, wanted, made)), end="")


def _wanted(options: Options, mode: Mode, names: list[str], proxy: str) -> Wanted:
    """Raises Failed, ConfigurationError."""
    kept = Logins().read()
    chosen = client.choose(kept, options.server)
    known = kept.servers.get(chosen)
    file = str(options.ca.absolute()) if options.ca else known.ca if known else ""
    if mode is Mode.DNS and urlsplit(chosen).scheme == "http":
        raise ConfigurationError(f"by their own names clients ask gcr.io by HTTPS, and {chosen} is plain HTTP: choose another --mode")
    if not _PROXY.fullmatch(proxy):
        raise ConfigurationError(f"a proxy is written http://HOST:PORT, not {proxy!r}")
    return Wanted(
        server=chosen,
        mode=mode,
        names=names_of(mode, chosen, names),
        ca=_certificates(file) if file and not (chosen.startswith("http://") and mode is not Mode.PROXY) else "",
        ca_file=shlex.quote(file),
        proxy=proxy,
        is_logged_in=bool(known and known.logins),
        docker_folder=PurePosixPath(config.docker_folder().absolute()),
        gcloud_folder=PurePosixPath(config.gcloud_folder().absolute()),
    )


def _certificates(file: str) -> str:
    """Nothing else that may stand in the file, such as a key. Raises ConfigurationError."""
    import ssl

    try:
        found = _CERTIFICATE.findall(Path(file).read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is no PEM file with certificates that can be read") from error
    if not found:
        raise ConfigurationError(f"{file} is no PEM file with certificates that can be read")
    text = "".join(each if each.endswith("\n") else each + "\n" for each in found)
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(f"{file} holds no certificates that can be read") from error
    return text


def _text(which: Client, wanted: Wanted, made: Configuration) -> str:
    parts = []
    for piece in made.pieces:
        if isinstance(piece.content, Whole) and piece.content.is_copy:
            parts.append(f"# {piece.path}\n# a copy of {wanted.ca_file}\n")
        else:
            beside = "" if isinstance(piece.content, Whole) else ", beside what is there"
            parts.append(f"# {piece.path}{beside}\n{piece.content.text}")
    if made.environment:
        parts.append("# Variables of the client\n" + "".join(f"{each}\n" for each in made.environment))
    if made.commands:
        parts.append(f"# {'Then' if made.pieces else 'Run'}\n" + "".join(f"{each}\n" for each in made.commands))
    parts.append("".join(f"# Note: {each}\n" for each in _notes(which, wanted, made)))
    return "\n".join(each for each in parts if each)


def _notes(which: Client, wanted: Wanted, made: Configuration) -> list[str]:
    hosts = [each.host for each in wanted.names]
    notes = list(made.notes)
    if wanted.mode is Mode.DNS:
        asked = dict.fromkeys([*hosts, *(APIS if which in _ASK_APIS else ())])
        notes.append(f"These must resolve to the server, which must listen on port 443, as in /etc/hosts: ADDRESS {' '.join(asked)}")
    if wanted.mode is Mode.PROXY:
        notes.append(f"The proxy must run: roadstead proxy --server {wanted.server} --listen {wanted.proxy.removeprefix('http://')}")
    if wanted.mode is Mode.NAME:
        notes.append(f"Images are called {hosts[0]}/PROJECT/IMAGE; what is called gcr.io/… is still Google's.")
    elif wanted.forgotten and not (wanted.mode is Mode.OVERRIDE and which in _ASK_APIS):
        notes.append(f"{', '.join(wanted.forgotten)} still lead to Google: name them with --name.")
    guessed = [each for each in wanted.names if each.host != each.authority and each.authority == f"{each.host}.{wanted.authority}"]
    notes += [f"{each.authority} must resolve to the server, which knows by it that {each.host} is meant." for each in guessed]
    return notes


def _apply(which: Client, wanted: Wanted, made: Configuration, root: Path, quiet: bool) -> None:
    """Raises Failed."""

    def may_change(file: Path) -> bool:
        try:
            return quiet or typer.confirm(f"{file} is there already. Change it?", err=True)
        except typer.Abort:
            return False

    for piece in made.pieces:
        done = written.write(root, piece, may_change)
        print(plain(f"{'Wrote' if done else 'Nothing to change in'} {written.place(root, piece)}"))
    if which is Client.DOCKER and wanted.is_logged_in:
        hosts = [each.host for each in wanted.names]
        with Logins().change() as kept:
            for server, known in kept.servers.items():
                known.docker_hosts = [each for each in known.docker_hosts if each not in hosts]
                known.docker_hosts += hosts if server == wanted.server else []
    for title, lines in (("Variables of the client", made.environment), ("Now run" if made.pieces else "Run", made.commands)):
        if lines:
            print(plain("\n".join([f"{title}:", *(f"    {each}".replace("\n", "\n    ") for each in lines)])))
    for each in _notes(which, wanted, made):
        note(f"Note: {each}")


def _findings(which: Client, wanted: Wanted, made: Configuration, root: Path) -> list[Finding]:
    found = []
    for piece in made.pieces:
        file = written.place(root, piece)
        try:
            is_there = written.is_there(root, piece)
        except Failed as error:
            found.append(Finding(f"{file} is as it should be", "failed", error.message))
        else:
            found.append(Finding(f"{file} is as it should be", "ok" if is_there else "failed", "" if is_there else "run it with --apply"))
    found += [Finding(f"the client has {each}", "skipped", "only the client's own shell knows") for each in made.environment]
    found += reached.reach(wanted, reached.asked(wanted, APIS if which in _ASK_APIS else ()))
    if made.program:
        found.append(reached.program(made.program))
    return found


def _print_findings(found: list[Finding], options: Options) -> None:
    """Raises Failed if anything failed."""
    show_list([asdict(each) for each in found], "table(check, result, detail)", options, "Nothing to check.")
    failed = sum(each.result == "failed" for each in found)
    if failed:
        raise Failed(f"{failed} of {len(found)} checks failed")
