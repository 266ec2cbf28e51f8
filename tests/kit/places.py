"""Where somebody else's program meets an installation with accounts: plain HTTP on loopback, or HTTPS with a private authority."""

from __future__ import annotations

import base64
import itertools
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.kit.accounts import WITH_ACCOUNTS, Installation, installed
from tests.kit.program import Program
from tests.kit.push import push_image
from tests.kit.site import PASSWORD, Browser
from tests.kit.tunnel import Tunnel, serving_securely

HOST = "registry.example.com"
HOSTS = [f"--host={name}" for name in (HOST, "localhost", "127.0.0.1")]
PUSHES, PULLS = "roles/storage.admin", "roles/storage.objectViewer"
TRANSPORTS = ("http", "https")
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Place:
    """
    authority: what the names of images begin with; over HTTPS a name that only the tunnel knows, because programs check the certificate of
    a loopback address less strictly or not at all. url: the address for clients of Google's APIs. ca: the authority's file.
    environment: for Go programs.
    """

    installation: Installation
    authority: str
    url: str
    ca: Path | None
    environment: dict[str, str]

    def lead(self, program: Program) -> Program:
        """From now on it finds and trusts this place."""
        program.environment |= self.environment
        return program

    def flags(self, *flags: str) -> tuple[str, ...]:
        """What a program must be told before it takes plain HTTP: nothing over HTTPS, where no check is switched off."""
        return () if self.ca else flags

    def browser(self) -> Browser:
        return Browser(self.url, self._verify)

    def client(self, token: str = "") -> httpx.Client:
        """As the program does: over the place's own transport, not by the plain address."""
        headers = {"Authorization": f"Bearer {token or self.installation.owner_token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False, verify=self._verify)

    def account(self, project: str, *roles: str) -> str:
        email = self.installation.account(project, f"program-{next(_numbers):04}")
        for role in roles:
            self.installation.grant(project, role, f"serviceAccount:{email}")
        return email

    def key(self, email: str) -> dict[str, Any]:
        """A key file whose token_uri is this place's."""
        with self.client() as client:
            made = client.post(f"/v1/projects/-/serviceAccounts/{email}/keys", json={})
        assert made.status_code == 200, made.text
        return dict(json.loads(base64.b64decode(made.json()["privateKeyData"])))

    def key_of(self, project: str, *roles: str) -> str:
        """A key file as text, of a new account with these roles on the project."""
        return json.dumps(self.key(self.account(project, *roles)))

    def token_of(self, project: str, *roles: str) -> str:
        return self.installation.token_of(self.account(project, *roles))

    def person(self) -> str:
        """The address of an owner with PASSWORD, who came in by the link that `roadstead admin owner` prints."""
        email = f"person-{next(_numbers)}@example.com"
        said = self.installation.server.run("admin", "owner", email)
        assert said.returncode == 0, said.stderr
        link = urlsplit(said.stdout.split()[-1])
        with self.browser() as browser:
            page = browser.get("/signin/link", params={"token": parse_qs(link.query)["token"][0]})
            done = browser.send_form(page, "/signin/link", name="A person", password=PASSWORD, again=PASSWORD)
            assert done.status_code == 303, done.text
        return email

    def pushed(self, project: str) -> str:
        """The name of an image of that project, without its tag v1."""
        push_image(self.installation.owner, f"{project}/there")
        return f"{self.authority}/{project}/there"

    @property
    def _verify(self) -> ssl.SSLContext | bool:
        return ssl.create_default_context(cafile=self.ca) if self.ca else False


@contextmanager
def placed(transport: str, folder: Path) -> Iterator[Place]:
    if transport == "http":
        with installed(folder / "data") as found:
            yield Place(found, found.server.authority, found.url, None, {})
        return
    tls = folder / "tls"
    made = subprocess.run(
        [sys.executable, "-m", "roadstead", "tls", "self-signed", "--out", tls, *HOSTS],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with serving_securely(folder / "data", tls, env=WITH_ACCOUNTS) as server:
        tunnel = Tunnel(server.port)
        environment = {**tunnel.environment, "SSL_CERT_FILE": str(tls / "ca.pem")}
        yield Place(Installation(server), HOST, f"https://localhost:{server.port}", tls / "ca.pem", environment)
        tunnel.close()
