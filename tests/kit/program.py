"""Somebody else's program, run as its users run it, in a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

TIMEOUT_SECONDS = 120
NOTHING_MORE: Mapping[str, str] = {}


def find(name: str, folder: Path | None = None) -> Path:
    """The program's path, in folder or on PATH; skips the test, with the reason, where it is not installed."""
    found = shutil.which(name, path=str(folder) if folder else None)
    if found is None:
        pytest.skip(f"{name} is not installed: run tests/install-tools")
    return Path(found)


def confined(home: Path) -> dict[str, str]:
    """
    An environment in which a program reads and writes its settings, credentials and caches below home only.

    The few lines of configuration are what container tools refuse to start without, or would otherwise take from the machine.
    """
    home.mkdir(parents=True, exist_ok=True)
    files = {
        "containers/policy.json": '{"default": [{"type": "insecureAcceptAnything"}]}',
        "containers/auth.json": "{}",
        "containers/registries.conf": "",
        "containers/containers.conf": "",
        "config.json": "{}",
    }
    for name, content in files.items():
        (home / ".config" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / ".config" / name).write_text(content)
    (home / "tmp").mkdir(exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_DATA_HOME": str(home / ".local"),
        "DOCKER_CONFIG": str(home / ".config"),
        "REGISTRY_AUTH_FILE": str(home / ".config/containers/auth.json"),
        "CONTAINERS_REGISTRIES_CONF": str(home / ".config/containers/registries.conf"),
        "CONTAINERS_CONF": str(home / ".config/containers/containers.conf"),
    }


class Program:
    """options are put before every command, e.g. the storage of podman; environment is added to the confined one."""

    def __init__(self, path: Path, home: Path, *options: str, environment: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.home = home
        self.options = options
        self.environment = {**confined(home), **(environment or {})}

    def attempt(
        self, *arguments: str | Path, stdin: bytes = b"", environment: Mapping[str, str] = NOTHING_MORE
    ) -> subprocess.CompletedProcess[bytes]:
        """Run it and return whatever came of it; paths are relative to its home."""
        return subprocess.run(
            [self.path, *self.options, *arguments],
            input=stdin,
            capture_output=True,
            cwd=self.home,
            env={**self.environment, **environment},
            check=False,
            timeout=TIMEOUT_SECONDS,
        )

    def run(self, *arguments: str | Path, stdin: bytes = b"", environment: Mapping[str, str] = NOTHING_MORE) -> bytes:
        """What it printed; fails the test, with all it said, where it exits with an error."""
        done = self.attempt(*arguments, stdin=stdin, environment=environment)
        if done.returncode:
            pytest.fail(f"{self._said(done)}\nexit code {done.returncode}", pytrace=False)
        return done.stdout

    def text(self, *arguments: str | Path, stdin: bytes = b"", environment: Mapping[str, str] = NOTHING_MORE) -> str:
        return self.run(*arguments, stdin=stdin, environment=environment).decode().strip()

    def lines(self, *arguments: str | Path) -> list[str]:
        return self.text(*arguments).splitlines()

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.run(*arguments))

    def refused(self, *arguments: str | Path, stdin: bytes = b"", environment: Mapping[str, str] = NOTHING_MORE) -> str:
        """What it says on stderr when it fails; fails the test where it succeeds."""
        done = self.attempt(*arguments, stdin=stdin, environment=environment)
        if not done.returncode:
            pytest.fail(f"this should have failed:\n{self._said(done)}", pytrace=False)
        return done.stderr.decode()

    def _said(self, done: subprocess.CompletedProcess[bytes]) -> str:
        command = " ".join(str(word) for word in done.args)
        return f"$ {command}\n{done.stdout.decode(errors='replace')[-4000:]}\n{done.stderr.decode(errors='replace')[-8000:]}"
