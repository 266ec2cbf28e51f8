"""
Two of the ways in (contract.md, section 0), with what `roadstead clients configure` writes and real clients: Google's names by DNS, and
names of the operator's own that gcloud takes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from roadstead import certificates
from roadstead.proxy.names import NAMES
from tests.kit.engine import docker_of, running_engine
from tests.kit.google import needs_gcloud
from tests.kit.images import GREETING, image_layout
from tests.kit.lab import Lab, filled, gcloud_of, unaided
from tests.kit.namespace import NamedServer, skip_unless_possible
from tests.kit.program import Program, find
from tests.kit.terminal import Terminal
from tests.kit.tunnel import pair_in

pytestmark = pytest.mark.slow

OWN = ("gcr.io.corp.example", "eu.gcr.io.corp.example", "gcr.io.localhost")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    certificates.self_signed(folder, [*certificates.NAMES, *OWN])
    return folder


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    layout = image_layout(tmp_path_factory.mktemp("image") / "layout", "the ways in")
    return layout.path, layout.digest


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory, tls: Path, tools: Path, image: tuple[Path, str]) -> Iterator[Lab]:
    """By the names, on ports 443 and 80, for whoever is inside the server's network namespace."""
    skip_unless_possible()
    server = NamedServer(tmp_path_factory.mktemp("named") / "data", [*NAMES, *OWN], *pair_in(tls), "--processes", "1")
    crane = find("crane", tools)
    try:
        server.start()
        home = tmp_path_factory.mktemp("crane")
        yield filled(server, "https://gcr.io", server.program(crane, home, SSL_CERT_FILE=str(tls / "ca.pem")), tls, *image)
    finally:
        server.stop()


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return unaided(tmp_path / "home", tmp_path / "gcloud")


# By DNS: gcr.io is this server.


@needs_gcloud
def test_dns_brings_all_of_gcloud_here(named: Lab, terminal: Terminal, tmp_path: Path) -> None:
    """Nothing is set but the authority. A key made here names the host that was asked for it, and logs in there."""
    assert isinstance(named.server, NamedServer)
    lab, key = named, tmp_path / "key.json"
    lab.configure(terminal, "gcloud", "--mode", "dns", "--apply")
    gcloud = gcloud_of(terminal, lab, *named.server.inside)

    assert "my-project" == gcloud.text("projects", "list", "--format=value(projectId)")
    assert [lab.digest.removeprefix("sha256:")[:12]] == gcloud.lines(
        "container", "images", "list-tags", "gcr.io/my-project/hello", "--format=value(digest)"
    )
    assert ["gcr.io/my-project/hello"] == gcloud.lines(
        "container", "images", "list", "--repository=gcr.io/my-project", "--format=value(name)"
    )
    assert ["v1"] == gcloud.lines("container", "images", "list-tags", "eu.gcr.io/my-project/european", "--format=value(tags)")

    gcloud.run("iam", "service-accounts", "create", "builder")
    gcloud.run("iam", "service-accounts", "keys", "create", str(key), "--iam-account=builder@my-project.iam.gserviceaccount.com")
    del gcloud.environment["CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"]
    gcloud.run("auth", "activate-service-account", "--key-file", str(key))
    assert gcloud.text("auth", "print-access-token")
    gcloud.run("auth", "revoke", "builder@my-project.iam.gserviceaccount.com")


def test_dns_is_found_well_from_inside_and_not_from_outside(named: Lab, terminal: Terminal) -> None:
    assert isinstance(named.server, NamedServer)
    lab, command = named, ["clients", "configure", "gcloud", "--mode", "dns", "--server", "https://gcr.io", "--ca", str(named.ca)]
    lab.configure(terminal, "gcloud", "--mode", "dns", "--apply")
    check = [*command, "--check", "--format", "json"]

    inside = subprocess.run(
        [*named.server.inside, sys.executable, "-m", "roadstead", *check],
        env=terminal.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {each["check"]: each["result"] for each in json.loads(inside.stdout)}
    outside = terminal.run(*check)

    assert 0 == inside.returncode, inside.stdout
    assert "ok" == found["https://gcr.io is this server"] == found["https://oauth2.googleapis.com is this server"]
    assert 1 == outside.returncode
    assert "failed" == {each["check"]: each["result"] for each in json.loads(outside.stdout)}["https://gcr.io is this server"]


def test_dns_leads_google_s_libraries_here(named: Lab, terminal: Terminal) -> None:
    """No endpoint is named: the library asks cloudresourcemanager.googleapis.com."""
    assert isinstance(named.server, NamedServer)
    script = textwrap.dedent(f"""
        from google.cloud.resourcemanager_v3 import ProjectsClient
        from google.oauth2.credentials import Credentials
        client = ProjectsClient(credentials=Credentials({named.token.read_text().strip()!r}), transport="rest")
        print([project.project_id for project in client.search_projects()])
    """)
    python = named.server.program(Path(sys.executable), terminal.home, REQUESTS_CA_BUNDLE=str(named.ca))

    assert "['my-project']" == python.text("-c", script)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://accounts.google.com/o/oauth2/auth?client_id=x", {"200", "302", "303", "400"}),
        ("https://oauth2.googleapis.com/token", {"405"}),
        ("https://oauth2.googleapis.com/revoke", {"405"}),
        ("https://cloudresourcemanager.googleapis.com/v1/projects", {"401"}),
        ("https://storage.googleapis.com/storage/v1/b/artifacts.my-project.appspot.com", {"401"}),
    ],
)
def test_dns_each_host_has_its_api(named: Lab, tmp_path: Path, url: str, expected: set[str]) -> None:
    assert isinstance(named.server, NamedServer)
    curl = named.server.program(find("curl"), tmp_path)

    assert curl.text("-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(named.ca), url) in expected


@pytest.fixture
def docker(named: Lab, terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """Its engine runs inside, where /etc/docker is what was written for it."""
    assert isinstance(named.server, NamedServer)
    find("dockerd")
    named.configure(terminal, "docker", "--root", str(tmp_path / "root"), "--apply")
    named.configure(terminal, "docker", "--mode", "name", "--name", OWN[0], "--root", str(tmp_path / "root"), "--apply")
    bind = f"mount --bind {tmp_path}/root/etc/docker /etc/docker"
    subprocess.run([*named.server.inside, "sh", "-c", f"mkdir -p /etc/docker && {bind}"], check=True)
    wrapper = tmp_path / "bin" / "dockerd"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(named.server.inside)} {shutil.which("dockerd")} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    with running_engine() as engine:
        yield docker_of(engine, tmp_path / "docker")


def test_docker_pushes_to_gcr_io_and_to_a_name_of_the_operator_s(named: Lab, docker: Program, context: Path) -> None:
    """With no more than the authority in certs.d: the engine is on the server's own machine, but by names, so certificates are checked."""
    for host in ("gcr.io", OWN[0]):
        docker.run("login", "-u", "oauth2accesstoken", "--password-stdin", host, stdin=named.token.read_bytes())
        docker.run("build", "--network=none", "--tag", f"{host}/my-project/built:v1", context)
        docker.run("push", f"{host}/my-project/built:v1")
        docker.run("rmi", f"{host}/my-project/built:v1")
    docker.run("pull", "gcr.io/my-project/built:v1")

    assert GREETING == docker.text("run", "--rm", "--network=none", "gcr.io/my-project/built:v1")
    # For this one no authority was written.
    assert "x509: certificate signed by unknown authority" in docker.refused("pull", f"{OWN[1]}/my-project/european:v1")


# By a name of the operator's own: gcr.io.corp.example.


@needs_gcloud
@pytest.mark.parametrize(("host", "name"), [(OWN[0], "hello"), (OWN[1], "european"), (OWN[2], "hello")], ids=["https", "location", "http"])
def test_gcloud_takes_names_of_the_operator_s_own(named: Lab, terminal: Terminal, host: str, name: str) -> None:
    """What the name begins with says the location; gcloud speaks plain HTTP to *.localhost."""
    assert isinstance(named.server, NamedServer)
    named.configure(terminal, "gcloud", "--mode", "name", "--name", host, "--apply")
    gcloud = gcloud_of(terminal, named, *named.server.inside)

    assert ["v1"] == gcloud.lines("container", "images", "list-tags", f"{host}/my-project/{name}", "--format=value(tags)")
    assert [f"{host}/my-project/{name}"] == gcloud.lines(
        "container", "images", "list", f"--repository={host}/my-project", f"--filter=name~{name}", "--format=value(name)"
    )


@needs_gcloud
def test_gcloud_gives_docker_credentials_for_such_a_name(named: Lab, terminal: Terminal) -> None:
    assert isinstance(named.server, NamedServer)
    named.configure(terminal, "gcloud", "--mode", "name", "--name", OWN[0], "--apply")
    gcloud = gcloud_of(terminal, named, *named.server.inside)

    gcloud.run("auth", "configure-docker", OWN[0])

    settings = Path(terminal.environment["DOCKER_CONFIG"]) / "config.json"
    assert "gcloud" == json.loads(settings.read_text())["credHelpers"][OWN[0]]
