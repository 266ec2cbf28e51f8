"""Roadstead's image, made by deploy/image without Docker: pushed to a Roadstead, pulled and run by a real Docker engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from roadstead import __version__
from tests.kit.content import manifest_of
from tests.kit.images import debian_mirror
from tests.kit.program import Program
from tests.kit.server import Server

ROOT = Path(__file__).parents[2]
MAKE_SECONDS = 900


@pytest.mark.slow
@pytest.mark.timeout(2 * MAKE_SECONDS)
def test_the_image_that_we_make_is_pulled_and_runs(docker: Program, server: Server, client: httpx.Client, repository: str) -> None:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None or debian_mirror() is None:
        pytest.skip("the image needs root, debootstrap and an apt source")
    name = f"{server.authority}/{repository}:v1"

    made = subprocess.run(
        [sys.executable, ROOT / "deploy/image", "--push", f"{server.url}/{repository}:v1"],
        capture_output=True,
        text=True,
        timeout=MAKE_SECONDS,
        check=False,
    )

    assert 0 == made.returncode, made.stderr
    manifest = manifest_of(client, repository, "v1")
    assert manifest.digest == made.stdout.strip()
    docker.run("pull", name)
    assert f"roadstead {__version__}" == docker.text("run", "--rm", "--network=none", name, "--version")
    (image,) = json.loads(docker.run("image", "inspect", name))
    assert ("10001:10001", ["roadstead"], ["serve", "--listen", "0.0.0.0:5000"]) == tuple(
        image["Config"][key] for key in ("User", "Entrypoint", "Cmd")
    )
    # It serves: its user may write where it must, and all that it imports is there.
    serving = "import subprocess, sys, time, urllib.request as u\n"
    serving += "p = subprocess.Popen(['roadstead', 'serve', '--ready-file', 'ready'])\n"
    serving += "import pathlib\nwhile not pathlib.Path('ready').exists(): time.sleep(0.1); assert p.poll() is None\n"
    serving += "print(u.urlopen('http://127.0.0.1:5000/readyz').read().decode()); p.terminate(); sys.exit(p.wait())"
    said = docker.text("run", "--rm", "--network=none", "--entrypoint", "python", name, "-c", serving)
    assert '{"ready":true,"problems":{}}' in said
