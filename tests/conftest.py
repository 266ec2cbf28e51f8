"""Fixtures that every test may use. `server` is the only one that starts anything."""

from __future__ import annotations

import itertools
import os
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.kit.engines import ENGINES
from tests.kit.push import connect
from tests.kit.server import Server, serving

_numbers = itertools.count()

LONGEST = (
    "flows/test_backup.py", "flows/test_moving.py", "flows/test_scanning_survives.py", "flows/test_many_nodes.py", "flows/test_check.py",
    "conformance/test_our_image.py", "conformance/test_login_clients.py", "flows/test_power_loss.py", "iam/test_attacks.py",
    "conformance/test_docker.py", "conformance/test_login_gcloud.py", "conformance/test_scan_debian.py",
)  # fmt: skip
"""Files that take minutes begin first, so that at the end nobody waits for one of them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--db", choices=("sqlite", "postgres"), default=ENGINES.database, help="what the servers keep names in")
    parser.addoption("--blobs", choices=("folder", "s3"), default=ENGINES.blobs, help="what the servers keep bytes in")


def pytest_configure(config: pytest.Config) -> None:
    ENGINES.database, ENGINES.blobs = config.getoption("--db"), config.getoption("--blobs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files as LONGEST has them, then those of the most tests; the tests of a file stay in their order."""
    tests = Counter(item.path for item in items)
    longest = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (longest.get(item.path, len(longest)), -tests[item.path], item.path))


def pytest_unconfigure() -> None:
    ENGINES.remove()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("roadstead") / "data") as running:
        yield running


@pytest.fixture
def project() -> str:
    """A project nobody else uses: isolation is by name, nothing is cleaned up."""
    return f"p-{os.getpid()}-{next(_numbers)}-{secrets.token_hex(3)}"


@pytest.fixture
def repository(project: str) -> str:
    return f"{project}/image"


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with connect(server.url) as http:
        yield http


@pytest.fixture(scope="session")
def tools() -> Path:
    """Where `make test` puts the programs it builds (crane, oras, cosign, the conformance suite)."""
    return Path(__file__).parents[1] / ".cache" / "bin"
