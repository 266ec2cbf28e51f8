"""Each program that people push and pull with, ready to run; a test is skipped where its program is not installed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.engine import Engine, docker_of, running_engine
from tests.kit.gcr import Gcr, installed_as_gcr
from tests.kit.images import build_context, debian_nginx, static_program
from tests.kit.places import TRANSPORTS, Place, placed
from tests.kit.program import Program, find


@pytest.fixture(scope="session")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The static program in the tiny images."""
    return static_program(tmp_path_factory.mktemp("hello"))


@pytest.fixture
def context(tmp_path: Path, hello: Path, project: str) -> Path:
    """A folder to build an image from that no other test has."""
    return build_context(tmp_path / "context", hello, project)


@pytest.fixture(scope="session")
def debian(tools: Path) -> Path:
    """A Debian with nginx, as a tar of its files."""
    return debian_nginx(tools.parent)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with running_engine() as running:
        yield running


@pytest.fixture(scope="session")
def docker(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Program:
    return docker_of(engine, tmp_path_factory.mktemp("docker"))


@pytest.fixture
def storage() -> Iterator[list[str]]:
    """
    Options for a storage of podman's or buildah's own, in a short path: podman allows 50 characters.

    vfs is the one driver that needs nothing of the kernel and leaves nothing mounted.
    """
    if os.geteuid() != 0:
        pytest.skip("a container storage of the tests' own needs root")
    with tempfile.TemporaryDirectory(prefix="rs-") as folder:
        yield ["--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver=vfs"]


@pytest.fixture
def podman(storage: list[str], tmp_path: Path) -> Program:
    # runc, because crun refuses machines with both kinds of cgroups mounted.
    options = ["--tmpdir", str(tmp_path / "podman"), "--events-backend=none", "--cgroup-manager=cgroupfs", "--runtime=runc"]
    return Program(find("podman"), tmp_path / "home", *storage, *options)


@pytest.fixture
def buildah(storage: list[str], tmp_path: Path) -> Program:
    return Program(find("buildah"), tmp_path / "home", *storage)


@pytest.fixture
def skopeo(tmp_path: Path) -> Program:
    return Program(find("skopeo"), tmp_path / "home", "--insecure-policy", "--tmpdir", str(tmp_path))


@pytest.fixture
def crane(tools: Path, tmp_path: Path) -> Program:
    return Program(find("crane", tools), tmp_path / "home")


@pytest.fixture
def gcrane(tools: Path, tmp_path: Path) -> Program:
    return Program(find("gcrane", tools), tmp_path / "home")


@pytest.fixture
def oras(tools: Path, tmp_path: Path) -> Program:
    return Program(find("oras", tools), tmp_path / "home")


@pytest.fixture
def cosign(tools: Path, tmp_path: Path) -> Program:
    return Program(find("cosign", tools), tmp_path / "home", environment={"COSIGN_PASSWORD": "secret"})


@pytest.fixture(scope="session", params=TRANSPORTS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An installation with accounts, over each transport."""
    with placed(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.fixture(scope="session", params=TRANSPORTS)
def gcr(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcr]:
    """An installation with accounts under Container Registry's names, over each transport."""
    with installed_as_gcr(request.param, tmp_path_factory.mktemp(f"gcr-{request.param}")) as found:
        yield found


@pytest.fixture
def credential_helper(tools: Path, tmp_path: Path) -> Program:
    return Program(find("docker-credential-gcr", tools), tmp_path / "home")


@pytest.fixture
def trusting(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's libraries speak through requests, which takes a private authority from the environment; certifi's list alone otherwise."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    if place.ca:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(place.ca))
