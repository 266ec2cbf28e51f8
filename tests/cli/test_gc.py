"""`roadstead gc`"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.kit.inside import Inside
from tests.kit.push import connect, push_blob, push_image
from tests.kit.server import Server, serving

LARGE = Random("garbage").randbytes(100_000)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that does not collect by itself, so that the numbers are what the commands do."""
    folder: Path = tmp_path_factory.mktemp("gc")
    env = {"ROADSTEAD_GC_INTERVAL_SECONDS": "100000"}
    with serving(folder / "data", "--processes", "1", env=env) as running:
        with connect(running.url) as client:
            push_image(client, "project/kept")
        yield running


@pytest.fixture
def client(own: Server) -> Iterator[httpx.Client]:
    with connect(own.url) as http:
        yield http


def gc(server: Server, *options: str) -> dict[str, Any]:
    done = server.run("gc", "--format", "json", *options)
    assert 0 == done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_a_dry_run_says_what_would_go_and_takes_nothing(own: Server, client: httpx.Client, repository: str) -> None:
    name = push_blob(client, repository, LARGE + b"dry")

    first, second = gc(own, "--dry-run", "--grace", "0"), gc(own, "--dry-run", "--grace", "0")

    assert first == second
    assert first["dryRun"] is True
    assert first["blobs"] >= 1
    assert 200 == client.head(f"/v2/{repository}/blobs/{name}").status_code


@pytest.mark.slow
def test_what_no_manifest_needs_is_freed_and_the_rest_stays(own: Server, client: httpx.Client, repository: str) -> None:
    name = push_blob(client, repository, LARGE + b"freed")
    file = Inside(own).file_of(name)
    expected = gc(own, "--dry-run", "--grace", "0")["blobs"]

    found = gc(own, "--grace", "0")

    assert (False, expected) == (found["dryRun"], found["blobs"])
    assert 404 == client.head(f"/v2/{repository}/blobs/{name}").status_code
    assert not file.exists()
    assert 200 == client.get("/v2/project/kept/manifests/v1").status_code
    assert 0 == gc(own, "--grace", "0")["blobs"]


@pytest.mark.slow
def test_a_fresh_blob_is_protected_for_its_grace(own: Server, client: httpx.Client, repository: str) -> None:
    """A push under way uploads blobs first."""
    name = push_blob(client, repository, LARGE + b"fresh")

    assert 0 == gc(own)["blobs"]
    assert 0 == gc(own, "--grace", "3600")["blobs"]

    assert 200 == client.head(f"/v2/{repository}/blobs/{name}").status_code


def test_the_blobs_of_a_deleted_manifest_are_freed(own: Server, client: httpx.Client, repository: str) -> None:
    manifest = push_image(client, repository)
    blobs = [blob["digest"] for blob in (json.loads(manifest.payload)["config"], *json.loads(manifest.payload)["layers"])]
    client.delete(f"/v2/{repository}/manifests/{manifest.digest}")

    gc(own, "--grace", "0")

    assert [404, 404] == [client.head(f"/v2/{repository}/blobs/{name}").status_code for name in blobs]


def test_a_table_is_for_people(own: Server) -> None:
    said = own.run("gc", "--dry-run").stdout

    assert "would be freed" in said
    assert "{" not in said


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "roadstead", *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["gc", "check"])
def test_a_folder_that_is_no_registry_s_is_refused_and_left_alone(tmp_path: Path, command: str) -> None:
    """A typing error must not make a new, empty registry, nor report that all is well."""
    (tmp_path / "other").mkdir()
    for name in ("other", "absent"):
        done = run(tmp_path, command, "--data", name)

        assert 2 == done.returncode
        assert name in done.stderr
        assert "Traceback" not in done.stderr
    assert [] == list((tmp_path / "other").iterdir())
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize(
    "options", [["--grace", "-1"], ["--grace", "soon"], ["--grace", "nan"], ["--format", "xml"], ["--config", "absent.toml"]]
)
def test_wrong_options_are_refused(own: Server, options: list[str]) -> None:
    done = own.run("gc", *options)

    assert 2 == done.returncode
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
