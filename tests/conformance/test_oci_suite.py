"""The Open Container Initiative's conformance suite: every category, for the released version and the next."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.kit.conformance import VERSIONS, run
from tests.kit.program import find
from tests.kit.server import Server


@pytest.mark.parametrize("version", VERSIONS)
def test_every_category_passes(server: Server, tools: Path, tmp_path: Path, version: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing fails, and nothing is skipped: a skip is an optional request that the registry did not support."""
    report = run(server.url, version, tmp_path, find("conformance", tools))
    with capsys.disabled():
        print(f"\n{report}")

    assert ([], []) == (report.failed, report.skipped), report.details()
    assert len(report.passed) > 600


def test_a_registry_that_is_not_there_fails(tools: Path, tmp_path: Path) -> None:
    """The suite's runner must be able to fail."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        report = run(f"http://127.0.0.1:{closed.getsockname()[1]}", "1.1", tmp_path, find("conformance", tools))

    assert report.failed
    assert not report.passed
