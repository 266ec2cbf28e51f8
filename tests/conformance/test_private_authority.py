"""
Google's names, HTTPS with a private authority, and accounts, as in a lab: `docker push gcr.io/…` ends at our server.

The names get there through a proxy of the tests' own, so nothing of this machine is changed; the clients check the certificate for
the name that the user typed. (docker takes any certificate, and plain HTTP, from 127.0.0.1: that would show nothing.)
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from roadstead import certificates
from tests.kit.accounts import WITH_ACCOUNTS, Installation
from tests.kit.content import complete_image
from tests.kit.engine import docker_of, running_engine
from tests.kit.images import GREETING, Layout, image_layout
from tests.kit.observed import log_lines, wait_for
from tests.kit.program import Program
from tests.kit.server import Server
from tests.kit.tunnel import Tunnel, serving_securely

HOST = "eu.gcr.io"
SETTINGS = {**WITH_ACCOUNTS, "ROADSTEAD_ACCESS_LOG": "true"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `roadstead tls self-signed`."""
    folder = tmp_path_factory.mktemp("authority")
    certificates.self_signed(folder, [])
    return folder


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, authority: Path) -> Iterator[Server]:
    with serving_securely(tmp_path_factory.mktemp("secure") / "data", authority, env=SETTINGS) as server:
        yield server


@pytest.fixture(scope="module")
def installation(secure: Server) -> Installation:
    return Installation(secure)


@pytest.fixture
def project(installation: Installation) -> str:
    return installation.project()


@pytest.fixture
def key(installation: Installation, project: str) -> str:
    """A key file of an account that may push."""
    account = installation.account(project)
    installation.grant(project, "roles/storage.admin", f"serviceAccount:{account}")
    return json.dumps(installation.key(account))


@pytest.fixture(scope="module")
def tunnel(secure: Server) -> Iterator[Tunnel]:
    running = Tunnel(secure.port)
    yield running
    running.close()


@pytest.fixture
def trusting(tunnel: Tunnel, authority: Path) -> Mapping[str, str]:
    """The environment of a Go program that reaches us under Google's names and trusts our authority."""
    return {**tunnel.environment, "SSL_CERT_FILE": str(authority / "ca.pem")}


@pytest.fixture
def client(installation: Installation) -> Iterator[httpx.Client]:
    """Over the plain address, which shows that both are one registry. The Host is the location's."""
    with installation.client(installation.owner_token, Host=HOST) as http:
        yield http


@pytest.fixture
def name(repository: str) -> str:
    return f"{HOST}/{repository}"


@pytest.fixture
def layout(tmp_path: Path, project: str) -> Layout:
    return image_layout(tmp_path / "layout", project)


def came_over_tls(server: Server, repository: str) -> bool:
    """Was the manifest put, and was everything that writes inside TLS? (The test itself reads without.)"""
    lines = wait_for(lambda: [line for line in log_lines(server) if line.get("path", "").startswith(f"/v2/{repository}/")])
    written = [line for line in lines if line["method"] not in ("GET", "HEAD")]
    return "PUT" in {line["method"] for line in written} and {"https"} == {line["scheme"] for line in written}


def test_crane_pushes_and_pulls(
    crane: Program, client: httpx.Client, secure: Server, tunnel: Tunnel, trusting: Mapping[str, str], installation: Installation,
    repository: str, name: str, layout: Layout, tmp_path: Path,
) -> None:  # fmt: skip
    token = installation.owner_token.encode()
    crane.run("auth", "login", HOST, "-u", "oauth2accesstoken", "--password-stdin", stdin=token, environment=trusting)
    crane.run("push", layout.path, f"{name}:v1", environment=trusting)
    crane.run("pull", "--format=oci", f"{name}:v1", tmp_path / "back", environment=trusting)

    assert layout.manifest == complete_image(client, repository, "v1").payload
    assert layout.manifest == (tmp_path / "back/blobs/sha256" / layout.digest.removeprefix("sha256:")).read_bytes()
    assert f"CONNECT {HOST}:443" in tunnel.asked
    assert came_over_tls(secure, repository)


def test_crane_refuses_who_is_not_vouched_for(crane: Program, tunnel: Tunnel, name: str, layout: Layout) -> None:
    said = crane.refused("push", layout.path, f"{name}:v1", environment={**tunnel.environment, "SSL_CERT_FILE": "/dev/null"})

    assert "x509: certificate signed by unknown authority" in said


def test_skopeo_pushes_and_pulls_with_a_folder_of_authorities(
    skopeo: Program, client: httpx.Client, secure: Server, tunnel: Tunnel, authority: Path, key: str, repository: str, name: str,
    layout: Layout, tmp_path: Path,
) -> None:  # fmt: skip
    folder = tmp_path / "certs.d"
    folder.mkdir()
    shutil.copy(authority / "ca.pem", folder / "ca.crt")
    way = tunnel.environment

    skopeo.run("login", "--cert-dir", folder, "-u", "_json_key", "--password-stdin", HOST, stdin=key.encode(), environment=way)
    skopeo.run("copy", "--dest-cert-dir", folder, f"oci:{layout.path}:v1", f"docker://{name}:v1", environment=way)
    skopeo.run("copy", "--src-cert-dir", folder, f"docker://{name}:v1", f"oci:{tmp_path}/back:v1", environment=way)

    assert layout.manifest == complete_image(client, repository, "v1").payload
    assert layout.manifest == (tmp_path / "back/blobs/sha256" / layout.digest.removeprefix("sha256:")).read_bytes()
    assert came_over_tls(secure, repository)
    assert "x509" in skopeo.refused("inspect", f"docker://{name}:v1", environment={**way, "SSL_CERT_FILE": "/dev/null"})


@pytest.fixture(scope="module")
def trusting_docker(tunnel: Tunnel, authority: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Its engine is what trusts and asks, so it gets the environment; certs.d would have to be in the machine's own /etc."""
    with running_engine({**tunnel.environment, "SSL_CERT_FILE": str(authority / "ca.pem")}) as engine:
        yield docker_of(engine, tmp_path_factory.mktemp("docker"))


def test_docker_pushes_to_gcr_io_and_runs_what_it_pulls(
    trusting_docker: Program, client: httpx.Client, secure: Server, tunnel: Tunnel, key: str, repository: str, name: str, context: Path
) -> None:
    docker = trusting_docker
    docker.run("login", "-u", "_json_key", "--password-stdin", HOST, stdin=key.encode())
    docker.run("build", "--network=none", "--tag", f"{name}:v1", context)

    docker.run("push", f"{name}:v1")
    docker.run("rmi", f"{name}:v1")
    docker.run("pull", f"{name}:v1")

    assert GREETING == docker.text("run", "--rm", "--network=none", f"{name}:v1")
    complete_image(client, repository, "v1")
    assert came_over_tls(secure, repository)
    assert f"CONNECT {HOST}:443" in tunnel.asked
    assert f"CONNECT {HOST}:80" not in tunnel.asked
