"""docker-credential-roadstead as crane runs it, which reads docker's settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.accounts import installed
from tests.kit.terminal import CREDENTIAL_HELPER, Terminal

pytestmark = pytest.mark.slow


def test_crane_gets_a_token_from_the_login(tmp_path: Path, tools: Path) -> None:
    if not (tools / "crane").exists():
        pytest.skip("crane is not built: make tools")
    programs = tmp_path / "bin"
    programs.mkdir()
    helper = programs / "docker-credential-roadstead"
    helper.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{CREDENTIAL_HELPER}' \"$@\"\n")
    helper.chmod(0o755)
    with installed(tmp_path / "data", "--processes", "1") as installation:
        terminal = Terminal(tmp_path, PATH=f"{programs}:{tools}:/usr/bin:/bin")
        done = terminal.run("auth", "login", "--server", installation.url, "--with-token", given=installation.owner_token)
        assert 0 == done.returncode, done.stderr
        image = f"{installation.server.authority}/{installation.project()}/empty:v1"
        # An image of one layer, which is an empty tar file.
        (tmp_path / "layer.tar").write_bytes(bytes(1024))
        push = ["crane", "append", "--insecure", "-f", str(tmp_path / "layer.tar"), "-t", image]

        refused = subprocess.run(push, env=terminal.environment, capture_output=True, text=True, check=False)
        terminal.said("auth", "configure-docker")
        pushed = subprocess.run(push, env=terminal.environment, capture_output=True, text=True, check=False)

    assert 0 != refused.returncode
    assert 0 == pushed.returncode, pushed.stderr
