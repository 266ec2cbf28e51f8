"""What a running server tells of itself: its metrics, the lines of its log, its processes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from tests.kit.server import Server

T = TypeVar("T")

SECONDS = 20.0


def wait_for(what: Callable[[], T], seconds: float = SECONDS) -> T:
    """What it returns once that is true; fails the test when it does not become so."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > deadline:
            pytest.fail("what was waited for did not come", pytrace=True)
        time.sleep(0.02)
    return found


class Metrics:
    """One answer of /metrics, read by prometheus-client's own parser."""

    def __init__(self, url: str) -> None:
        from prometheus_client.parser import text_string_to_metric_families

        response = httpx.get(f"{url}/metrics", timeout=10)
        assert 200 == response.status_code, response.text
        self.content_type = response.headers["Content-Type"]
        self.families = {family.name: family for family in text_string_to_metric_families(response.text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def sum(self, name: str, **labels: str) -> float:
        """Of all samples of the name that have these labels."""
        return sum(s.value for s in self.samples if s.name == f"roadstead_{name}" and labels.items() <= s.labels.items())

    def labels(self, name: str, label: str) -> set[str]:
        return {sample.labels[label] for sample in self.samples if sample.name == f"roadstead_{name}"}


def log_lines(server: Server) -> list[dict[str, Any]]:
    """Every line that begins like JSON must be JSON; what the command prints when it is ready does not."""
    return [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
