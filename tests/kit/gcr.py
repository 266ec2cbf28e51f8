"""
An installation that gcloud and docker meet under Google's names, with nothing of the machine's own names and ports changed.

Over HTTPS these are the names themselves, `gcr.io` and `storage.googleapis.com` alike, without one setting that says where an API is; the
way there is a proxy, and a private authority vouches for them. Over plain HTTP the registry is `gcr.io.localhost`, for which gcloud takes
it, and the APIs are where gcloud is told (contract.md, 0: modes C and D).
"""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import select
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from roadstead import certificates
from tests.kit.accounts import WITH_ACCOUNTS, Installation, installed
from tests.kit.google import GCloud
from tests.kit.tunnel import Tunnel, join, serving_securely

QUIET_SECONDS = 90
APIS = (
    "artifactregistry", "cloudasset", "cloudresourcemanager", "containeranalysis", "iam", "iamcredentials", "logging", "ondemandscanning",
    "serviceusage", "storage",
)  # fmt: skip


class Forwarding(Tunnel):
    """A proxy for what is asked for in plain HTTP (RFC 9112, 3.2.2: the absolute form of a target), one request to a connection."""

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head and (data := client.recv(65536)):
            head += data
        line, _, rest = head.partition(b"\r\n")
        method, target, version = line.split(b" ")
        self.asked.append(f"{method.decode()} {target.decode()}")
        if method == b"CONNECT":
            # Go programs try HTTPS first, and then what works.
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            client.close()
            return
        path = target.split(b"/", 3)[3]
        rest = re.sub(rb"(?im)^connection:.*\r\n", b"", rest)
        server = socket.create_connection(("127.0.0.1", self._target))
        server.sendall(b"%s /%s %s\r\nConnection: close\r\n%s" % (method, path, version, rest))
        join(client, server)


@dataclass(frozen=True, slots=True)
class Gcr:
    """suffix: what follows each of Google's registry names. ca: the authority's file, None over plain HTTP."""

    installation: Installation
    suffix: str
    way: Tunnel
    ca: Path | None

    def host(self, name: str = "gcr.io") -> str:
        return f"{name}{self.suffix}"

    def gcloud(self, folder: Path, project: str, token: str = "") -> GcrGCloud:
        return GcrGCloud(self, folder, project, token)

    def client(self, name: str, token: str = "") -> httpx.Client:
        """Somebody who asks for one of Google's names over HTTPS, the owner if no token is given; over HTTP, by the plain address."""
        given = token or self.installation.owner_token
        if self.ca is None:
            return self.installation.client(given)
        return httpx.Client(
            base_url=f"https://{name}",
            headers={"Authorization": f"Bearer {given}"},
            proxy=f"http://127.0.0.1:{self.way.port}",
            verify=ssl.create_default_context(cafile=self.ca),
            trust_env=False,
            timeout=30,
        )

    def key(self, email: str) -> dict[str, Any]:
        """A key file that was asked for where Google makes them, and so has a token_uri under one of Google's names."""
        with self.client("iam.googleapis.com") as client:
            made = client.post(f"/v1/projects/-/serviceAccounts/{email}/keys", json={})
        assert made.status_code == 200, made.text
        return dict(json.loads(base64.b64decode(made.json()["privateKeyData"])))

    @property
    def environment(self) -> dict[str, str]:
        """For Go programs."""
        return {**self.way.environment, **({"SSL_CERT_FILE": str(self.ca)} if self.ca else {})}


class GcrGCloud(GCloud):
    """With the token of somebody, the owner if none is given, and a project set."""

    def __init__(self, gcr: Gcr, folder: Path, project: str, token: str) -> None:
        super().__init__(gcr.installation, folder, token)
        self._env = {name: value for name, value in self._env.items() if "ENDPOINT_OVERRIDES" not in name and "PROXY" not in name.upper()}
        self._env |= {"CLOUDSDK_CORE_PROJECT": project}
        self._env |= {"CLOUDSDK_PROXY_TYPE": "http", "CLOUDSDK_PROXY_ADDRESS": "127.0.0.1", "CLOUDSDK_PROXY_PORT": str(gcr.way.port)}
        if gcr.ca:
            self._env["CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE"] = str(gcr.ca)
        else:
            self._env |= {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": f"{gcr.installation.url}/" for api in APIS}

    @property
    def environment(self) -> dict[str, str]:
        """For what runs gcloud itself, such as docker's credential helper."""
        return {name: value for name, value in self._env.items() if name.startswith("CLOUDSDK_")}

    def agreeing(self, *arguments: str) -> str:
        """What it says on a terminal, where it asks and is always answered with yes; it must succeed."""
        leader, follower = pty.openpty()
        env = {**self._env, "CLOUDSDK_CORE_DISABLE_PROMPTS": "0", "TERM": "dumb", "COLUMNS": "2000"}
        process = subprocess.Popen(
            ["gcloud", *arguments], env=env, stdin=follower, stdout=follower, stderr=follower, start_new_session=True
        )
        os.close(follower)
        said = b""
        with suppress(OSError):  # the program has ended
            while select.select([leader], [], [], QUIET_SECONDS)[0] and (data := os.read(leader, 65536)):
                said += data
                if re.search(rb"\([yY]/[nN]\)\?\s*$", said):
                    os.write(leader, b"y\n")
        code = process.wait(QUIET_SECONDS)
        os.close(leader)
        assert code == 0, said.decode()
        return said.decode().replace("\r", "")


@contextmanager
def installed_as_gcr(transport: str, folder: Path) -> Iterator[Gcr]:
    if transport == "http":
        with installed(folder / "data") as found:
            way: Tunnel = Forwarding(found.server.port)
            yield Gcr(found, ".localhost", way, None)
            way.close()
        return
    certificates.self_signed(folder / "tls", [])
    with serving_securely(folder / "data", folder / "tls", env=WITH_ACCOUNTS) as server:
        way = Tunnel(server.port)
        yield Gcr(Installation(server), "", way, folder / "tls/ca.pem")
        way.close()
