"""
Two of the ways in (contract.md, section 0), with what `roadstead clients configure` writes and real clients: the server's own address in
the place of Google's, and `roadstead proxy`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from roadstead import certificates
from tests.kit.accounts import WITH_ACCOUNTS
from tests.kit.google import needs_gcloud
from tests.kit.images import image_layout
from tests.kit.lab import Lab, filled, findings, gcloud_of, unaided
from tests.kit.program import Program, find
from tests.kit.proxied import Proxied, proxied
from tests.kit.server import Server
from tests.kit.terminal import Terminal
from tests.kit.tunnel import pair_in, serving_securely

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    certificates.self_signed(folder, [])
    return folder


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    layout = image_layout(tmp_path_factory.mktemp("image") / "layout", "the ways in")
    return layout.path, layout.digest


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, tls: Path) -> Iterator[Server]:
    """On ports of its own, where nobody looks for gcr.io."""
    with serving_securely(tmp_path_factory.mktemp("elsewhere") / "data", tls, "--processes", "1", env=WITH_ACCOUNTS) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(elsewhere: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    with proxied(Terminal(tmp_path_factory.mktemp("proxy")), "--server", f"https://127.0.0.1:{elsewhere.port}") as running:
        yield running


@pytest.fixture(scope="module")
def away(
    elsewhere: Server, proxy: Proxied, tls: Path, tools: Path, image: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Lab:
    environment = {**proxy.environment, "SSL_CERT_FILE": str(tls / "ca.pem")}
    crane = Program(find("crane", tools), tmp_path_factory.mktemp("crane"), environment=environment)
    return filled(elsewhere, f"https://127.0.0.1:{elsewhere.port}", crane, tls, *image)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return unaided(tmp_path / "home", tmp_path / "gcloud")


# By the server's own address in gcr.io's place.


@needs_gcloud
def test_overrides_bring_gcloud_s_apis_here(away: Lab, terminal: Terminal) -> None:
    away.configure(terminal, "gcloud", "--apply")

    assert "my-project" == gcloud_of(terminal, away).text("projects", "list", "--format=value(projectId)")
    assert "ok" == findings(terminal, away, "gcloud")[f"{away.url} is this server"]


def test_podman_s_files_lead_skopeo_here(away: Lab, terminal: Terminal, skopeo: Program, tmp_path: Path) -> None:
    """containers-registries.conf(5): prefix is what the image is called, location who is asked."""
    authority = away.url.removeprefix("https://")
    away.configure(terminal, "podman", "--root", str(tmp_path / "root"), "--apply")
    files = tmp_path / "root/etc/containers"
    skopeo.options = (*skopeo.options, "--registries-conf", str(files / "registries.conf.d/50-roadstead.conf"))
    trusting = ["--cert-dir", str(files / "certs.d" / authority)]

    skopeo.run("login", *trusting, "-u", "oauth2accesstoken", "--password-stdin", authority, stdin=away.token.read_bytes())
    found = skopeo.json("inspect", "--no-tags", *trusting, "docker://gcr.io/my-project/hello:v1")
    skopeo.run("copy", "--src-cert-dir", trusting[1], "docker://gcr.io/my-project/hello:v1", f"oci:{tmp_path}/back:v1")

    assert ("gcr.io/my-project/hello", away.digest) == (found["Name"], found["Digest"])


def test_podman_s_files_lead_podman_here(away: Lab, terminal: Terminal, podman: Program, tmp_path: Path) -> None:
    """Pulls by the name gcr.io. Pushes go where the name says, so they need the server's own."""
    authority = away.url.removeprefix("https://")
    away.configure(terminal, "podman", "--root", str(tmp_path / "root"), "--apply")
    files = tmp_path / "root/etc/containers"
    podman.environment["CONTAINERS_REGISTRIES_CONF"] = str(files / "registries.conf.d/50-roadstead.conf")
    trusting = ["--cert-dir", str(files / "certs.d" / authority)]

    podman.run("login", *trusting, "-u", "oauth2accesstoken", "--password-stdin", authority, stdin=away.token.read_bytes())
    podman.run("pull", *trusting, "gcr.io/my-project/hello:v1")
    podman.run("push", *trusting, "gcr.io/my-project/hello:v1", f"{authority}/my-project/hello:by-podman")

    assert "gcr.io" in podman.refused("push", *trusting, "gcr.io/my-project/hello:v1")


@pytest.fixture
def ctr(tmp_path: Path) -> Iterator[Program]:
    """A containerd of the test's own."""
    if os.geteuid() != 0:
        pytest.skip("containerd needs root")
    find("containerd")
    folder = Path(tempfile.mkdtemp(prefix="rs-"))
    (folder / "config.toml").write_text(
        f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{folder}/socket"\n'
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["containerd", "-c", str(folder / "config.toml")], stdout=log, stderr=log)
    program = Program(find("ctr"), tmp_path / "home", "-a", f"{folder}/socket")
    try:
        deadline = time.monotonic() + 30
        while program.attempt("version").returncode:
            if time.monotonic() > deadline or process.poll() is not None:
                pytest.skip(f"containerd does not start here: {(folder / 'log').read_text()[-1000:]}")
            time.sleep(0.1)
        yield program
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def test_containerd_s_files_lead_it_here(away: Lab, terminal: Terminal, ctr: Program, tmp_path: Path) -> None:
    """Pulls and pushes; eu.gcr.io is not named, and is not this server's."""
    away.configure(terminal, "containerd", "--root", str(tmp_path / "root"), "--apply")
    options = [
        "--hosts-dir",
        str(tmp_path / "root/etc/containerd/certs.d"),
        "--user",
        f"oauth2accesstoken:{away.token.read_text().strip()}",
    ]

    ctr.run("images", "pull", *options, "--snapshotter", "native", "gcr.io/my-project/hello:v1")
    ctr.run("images", "tag", "gcr.io/my-project/hello:v1", "gcr.io/my-project/hello:by-containerd")
    ctr.run("images", "push", *options, "gcr.io/my-project/hello:by-containerd")

    assert away.digest in ctr.text("images", "ls")


# By `roadstead proxy`.


@needs_gcloud
def test_the_proxy_brings_all_of_gcloud_here(away: Lab, proxy: Proxied, terminal: Terminal) -> None:
    settings = ["gcloud", "--mode", "proxy", "--proxy", proxy.address]
    away.configure(terminal, *settings, "--apply")
    gcloud = gcloud_of(terminal, away)

    assert {"ok"} == set(findings(terminal, away, *settings).values())
    assert "my-project" == gcloud.text("projects", "list", "--format=value(projectId)")
    assert ["v1"] == gcloud.lines("container", "images", "list-tags", "eu.gcr.io/my-project/european", "--format=value(tags)")
    gcloud.run("container", "images", "add-tag", "--quiet", "gcr.io/my-project/hello:v1", "gcr.io/my-project/hello:by-gcloud")


def through(proxy: Proxied, lab: Lab) -> Mapping[str, str]:
    return {**proxy.environment, "SSL_CERT_FILE": str(lab.ca), "REQUESTS_CA_BUNDLE": str(lab.ca), "CURL_CA_BUNDLE": str(lab.ca)}


def test_the_proxy_leads_go_programs_here(away: Lab, proxy: Proxied, crane: Program, gcrane: Program) -> None:
    for program in (crane, gcrane):
        program.environment |= through(proxy, away)
        program.run("auth", "login", "gcr.io", "-u", "oauth2accesstoken", "--password-stdin", stdin=away.token.read_bytes())

    assert away.digest == crane.text("digest", "gcr.io/my-project/hello:v1")
    assert f"gcr.io/my-project/hello@{away.digest}" in gcrane.text("ls", "-r", "gcr.io/my-project")


def test_the_proxy_leads_skopeo_requests_and_curl_here(away: Lab, proxy: Proxied, skopeo: Program, tmp_path: Path) -> None:
    environment = through(proxy, away)
    skopeo.environment |= environment
    skopeo.run("login", "-u", "oauth2accesstoken", "--password-stdin", "gcr.io", stdin=away.token.read_bytes())
    python = Program(Path(sys.executable), tmp_path / "python", environment=environment)
    curl = Program(find("curl"), tmp_path / "curl", environment=environment)

    assert away.digest == skopeo.json("inspect", "docker://gcr.io/my-project/hello:v1")["Digest"]
    assert "401" == python.text("-c", "import requests; print(requests.get('https://eu.gcr.io/v2/').status_code)")
    assert "401" == curl.text("-s", "-o", "/dev/null", "-w", "%{http_code}", "https://cloudresourcemanager.googleapis.com/v1/projects")
    assert "403" in curl.refused("-sS", "https://example.com/")


def test_the_proxy_ends_tls_for_a_server_without(
    elsewhere: Server, away: Lab, tls: Path, crane: Program, terminal: Terminal, image: tuple[Path, str]
) -> None:
    """As `make run` serves. The addresses in the server's answers are https:// nevertheless: crane goes where they say for its token."""
    plain = f"http://127.0.0.1:{elsewhere.url.rpartition(':')[2]}"
    with proxied(terminal, "--server", plain, *pair_in(tls)) as running:
        crane.environment |= through(running, away)
        crane.run("auth", "login", "gcr.io", "-u", "oauth2accesstoken", "--password-stdin", stdin=away.token.read_bytes())
        crane.run("push", image[0], "gcr.io/my-project/by-plain:v1")

        assert away.digest == crane.text("digest", "gcr.io/my-project/by-plain:v1")
        assert (0, "") == running.stop()
