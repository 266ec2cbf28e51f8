"""`roadstead advisories`, on a data folder of its own; what feeds say is tested where they are read."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.kit.terminal import Terminal

SECDB = {
    "distroversion": "v3.22",
    "reponame": "main",
    "packages": [{"pkg": {"name": "busybox", "secfixes": {"1.37.0-r1": ["CVE-2026-0001"]}}}],
}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """A feed's file by HTTP; its address."""
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "main.json").write_text(json.dumps(SECDB))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=tmp_path / "mirror"))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/main.json"
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_feeds_are_loaded_fetched_and_shown(terminal: Terminal, tmp_path: Path, mirror: str) -> None:
    data = ["--data", str(tmp_path / "data")]
    own = Terminal(terminal.home, ROADSTEAD_FEEDS=json.dumps({"mirrored": {"urls": [mirror]}}))
    terminal.said("migrate", *data)

    own.said("advisories", "import", "--feed", "alpine-secdb", str(tmp_path / "mirror" / "main.json"), *data)
    fetched = own.run("advisories", "update", "mirrored", *data)

    feeds = {each["name"]: each for each in own.json("advisories", "status", *data)["feeds"]}
    assert 1 == feeds["alpine-secdb"]["records"]
    assert (0, 1) == (fetched.returncode, feeds["mirrored"]["records"]), fetched.stderr


@pytest.mark.slow
def test_what_is_no_feed_is_told_in_a_sentence(terminal: Terminal, tmp_path: Path) -> None:
    data = ["--data", str(tmp_path / "data")]
    (tmp_path / "empty.json").write_text("{}")
    terminal.said("migrate", *data)

    assert "is no feed" in terminal.refused("advisories", "import", "--feed", "osv", str(tmp_path / "empty.json"), *data)
    assert "no file or folder" in terminal.refused("advisories", "import", "--feed", "osv", str(tmp_path / "absent.json"), *data)
    assert "no feed nosuch" in terminal.refused("advisories", "update", "nosuch", *data)
    assert "is no data folder" in terminal.refused("advisories", "status", "--data", str(tmp_path / "absent"), code=2)
