"""A server in which there are images at two of Google's names, and clients that `roadstead clients configure` has set up for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.kit.program import Program, find
from tests.kit.server import Server
from tests.kit.terminal import Terminal

_QUIET = {
    "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
    "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
    "CLOUDSDK_ACTIVE_CONFIG_NAME": "roadstead",
    "CLOUDSDK_CORE_PROJECT": "my-project",
}


@dataclass(frozen=True, slots=True)
class Lab:
    """
    A server with accounts and HTTPS, in which gcr.io/my-project/hello:v1 and eu.gcr.io/my-project/european:v1 are. digest: of both. ca: its
    authority. token: a file with the owner's access token. url: where it is without any of the ways in.
    """

    server: Server
    url: str
    ca: Path
    token: Path
    digest: str

    def configure(self, terminal: Terminal, *arguments: str, server: str = "") -> str:
        return terminal.said("clients", "configure", *arguments, "--server", server or self.url, "--ca", str(self.ca))


def filled(server: Server, url: str, crane: Program, tls: Path, image: Path, digest: str) -> Lab:
    """By crane, which reaches it by Google's names."""
    token = tls.parent / f"{server.data.parent.name}.token"
    done = server.run("admin", "token", "--out", str(token))
    assert done.returncode == 0, done.stderr
    for host, name in (("gcr.io", "hello"), ("eu.gcr.io", "european")):
        crane.run("auth", "login", host, "-u", "oauth2accesstoken", "--password-stdin", stdin=token.read_bytes())
        crane.run("push", image, f"{host}/my-project/{name}:v1")
    return Lab(server, url, tls / "ca.pem", token, digest)


def findings(terminal: Terminal, lab: Lab, *arguments: str, server: str = "") -> dict[str, str]:
    """Of --check, which must be content."""
    return {
        each["check"]: each["result"]
        for each in json.loads(lab.configure(terminal, *arguments, "--check", "--format", "json", server=server))
    }


def gcloud_of(terminal: Terminal, lab: Lab, *prefix: str) -> Program:
    environment = {**terminal.environment, **_QUIET, "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(lab.token)}
    command = [*prefix, str(find("gcloud"))]
    return Program(Path(find(command[0])), terminal.home, *command[1:], environment=environment)


def unaided(home: Path, gcloud: Path) -> Terminal:
    """Without what the machine says of authorities and proxies, which would win over what is written for gcloud."""
    opened = Terminal(home, CLOUDSDK_CONFIG=str(gcloud))
    for name in list(opened.environment):
        if name.endswith(("_CA_BUNDLE", "_PROXY", "_proxy")) or (name.startswith("CLOUDSDK_") and name != "CLOUDSDK_CONFIG"):
            del opened.environment[name]
    return opened
