"""An installation with accounts, and terminals whose commands about images go there under Google's names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.kit.accounts import Installation, installed
from tests.kit.terminal import Terminal


@dataclass(frozen=True, slots=True)
class ImagesPlace:
    """owner: a terminal where the owner is logged in."""

    installation: Installation
    owner: Terminal

    def client(self, host: str) -> httpx.Client:
        """The owner's, at one of the server's hosts."""
        return self.installation.client(self.installation.owner_token, Host=host)

    def moved(self, *projects: str) -> list[str]:
        """The requests that carried blobs' bytes, from or to these projects, by the server's own log."""
        lines = [json.loads(line) for line in self.installation.server.log.read_text().splitlines() if '"event":"request"' in line]
        asked = [each for each in lines if any(f"/v2/{project}/" in each["path"] for project in projects)]
        assert asked, "the server writes no log"
        return [
            f"{each['method']} {each['path']}" for each in asked if "/blobs/" in each["path"] and each["method"] in ("GET", "PATCH", "PUT")
        ]


def logged_in(installation: Installation, home: Path, token: str = "", **environment: str) -> Terminal:
    """A terminal in a new home. token: whose; the owner's where it is not given."""
    terminal = Terminal(home, **environment)
    done = terminal.run("auth", "login", "--server", installation.url, "--with-token", given=f"{token or installation.owner_token}\n")
    assert 0 == done.returncode, done.stderr
    return terminal


@contextmanager
def images_place(folder: Path) -> Iterator[ImagesPlace]:
    with installed(folder / "data", env={"ROADSTEAD_ACCESS_LOG": "true"}) as installation:
        yield ImagesPlace(installation, logged_in(installation, folder / "owner"))
