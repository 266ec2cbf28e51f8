"""Container Registry's own additions: the same servers as elsewhere, asked by Container Registry's names."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.iam.conftest import anyio_backend, database, door, installation
from tests.kit.push import connect
from tests.kit.server import Server

__all__ = ["anyio_backend", "database", "door", "installation"]


@pytest.fixture
def gcr(server: Server) -> Iterator[httpx.Client]:
    """As gcloud asks: for gcr.io."""
    with connect(server.url) as http:
        http.headers["Host"] = "gcr.io"
        yield http
