"""Installations side by side in one test, with settings in files: embedded (SQLite and a folder), scaled (PostgreSQL and S3)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.kit.engines import ENGINES
from tests.kit.server import Server

EMBEDDED, SCALED = "embedded", "scaled"


class Installation:
    """folder holds its settings and, where it keeps files, its data. Empty at first. accounts: whether requests need them."""

    def __init__(self, folder: Path, kind: str, *, accounts: bool = False, **settings: float) -> None:
        folder.mkdir(parents=True)
        self.kind = kind
        self.data = folder / "data"
        self.file = folder / "settings.toml"
        lines = [f'data = "{self.data}"', f"accounts = {str(accounts).lower()}", *(f"{name} = {value}" for name, value in settings.items())]
        # As tests/kit/engines.py has it for the others.
        lines += ['oci_hosts = ["127.0.0.1"]', "advisories_update_seconds = 0"]
        if kind == SCALED:
            lines += [
                f'database = "{ENGINES.postgres().new_database()}"',
                *_tables(ENGINES.s3().locations(ENGINES.s3().new_bucket(), redirect=False)),
            ]
        self.file.write_text("\n".join(lines) + "\n")

    def server(self) -> Server:
        server = Server(self.data, "--config", str(self.file))
        server.env = environment()
        return server

    def command(self, *arguments: str) -> list[str]:
        """`roadstead` with this installation's settings."""
        return [sys.executable, "-m", "roadstead", *arguments, "--config", str(self.file)]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, env=environment(), check=False)

    def json(self, *arguments: str) -> Any:
        """What the command says with --format json, which must succeed."""
        done = self.run(*arguments, "--format", "json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())


def environment() -> dict[str, str]:
    """Without what pytest's --db and --blobs would set: these installations say it in their files."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ROADSTEAD_")}


def _tables(locations: str) -> list[str]:
    """The setting ROADSTEAD_LOCATIONS as TOML."""
    lines = []
    for name, location in json.loads(locations).items():
        options = location.pop("options")
        lines += [f"[locations.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in location.items())]
        lines += [f"[locations.{name}.options]", *(f"{key} = {json.dumps(value)}" for key, value in options.items())]
    return lines
