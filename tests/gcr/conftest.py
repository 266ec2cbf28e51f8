"""Container Registry's own additions: the same servers as elsewhere, asked by Container Registry's names."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.kit.accounts import Installation, installed
from tests.kit.push import connect
from tests.kit.server import Server


@pytest.fixture
def gcr(server: Server) -> Iterator[httpx.Client]:
    """As gcloud asks: for gcr.io."""
    with connect(server.url) as http:
        http.headers["Host"] = "gcr.io"
        yield http


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("accounts") / "data") as found:
        yield found


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
