"""
The Docker engine and its command.

Spec: Docker's manual, "Verify repository client with certificates", "HTTP/HTTPS proxy" of the daemon, credHelpers of the command line.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from roadstead.cli.client_settings.content import Json, Whole
from roadstead.cli.client_settings.wanted import Configuration, Mode, Piece, Wanted
from roadstead.errors import ConfigurationError

CERTIFICATES = PurePosixPath("/etc/docker/certs.d")
_DROP_IN = PurePosixPath("/etc/systemd/system/docker.service.d/roadstead-proxy.conf")
_DAEMON = PurePosixPath("/etc/docker/daemon.json")


def configuration(wanted: Wanted) -> Configuration:
    """Raises ConfigurationError."""
    if wanted.mode is Mode.OVERRIDE:
        raise ConfigurationError(
            "Docker asks the host that stands in the image's name, and can be told of mirrors of Docker Hub only: "
            "choose --mode dns, name or proxy"
        )
    hosts = [each.host for each in wanted.names]
    pieces = [Piece(CERTIFICATES / host / "ca.crt", Whole(wanted.ca, is_copy=True)) for host in hosts if wanted.ca]
    commands, notes = [], []
    if wanted.mode is Mode.NAME and wanted.is_plain:
        pieces.append(Piece(_DAEMON, Json({"insecure-registries": hosts})))
        commands.append("systemctl reload docker")
    if wanted.mode is Mode.PROXY:
        pieces.append(Piece(_DROP_IN, Whole(drop_in(wanted.proxy))))
        commands += ["systemctl daemon-reload", "systemctl restart docker"]
        notes.append("The proxy leads to this server only: the engine cannot reach other registries through it.")
    if wanted.is_logged_in:
        pieces.append(Piece(wanted.docker_folder / "config.json", Json({"credHelpers": dict.fromkeys(hosts, "roadstead")})))
        notes.append("docker-credential-roadstead must be on the PATH; it gives docker tokens of your `roadstead auth login`.")
    else:
        commands += [f"docker login -u _json_key --password-stdin {host} < key.json" for host in hosts]
        notes.append(f"After `roadstead auth login --server {wanted.server}` docker can ask this program for tokens instead of a key file.")
    return Configuration(tuple(pieces), tuple(commands), (), tuple(notes), ("docker", "--version"))


def drop_in(proxy: str) -> str:
    """Of systemd, for a daemon that is to use the proxy."""
    return f'[Service]\nEnvironment="HTTPS_PROXY={proxy}"\n'
