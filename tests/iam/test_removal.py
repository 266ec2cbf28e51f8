"""A project that is deleted: nothing in it works from that moment, and after the grace its images go, in every location, and only they."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.kit.accounts import Installation, installed
from tests.kit.engines import ENGINES
from tests.kit.push import push_image

SOON = {"ROADSTEAD_PROJECT_GRACE_SECONDS": "0"}
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
EU = {"Host": "eu.gcr.io"}
LARGE = "x" * 100_000
"""Small blobs are in the database."""
WAIT_SECONDS = 60


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)


def stored_bytes(data: Path) -> int:
    return sum(file.stat().st_size for file in (data / "blobs").rglob("*") if file.is_file())


def catalog(client: httpx.Client) -> list[str]:
    return list(client.get("/v2/_catalog").json()["repositories"])


@pytest.mark.slow
def test_nothing_works_in_a_project_that_is_being_deleted(installation: Installation) -> None:
    project, other = installation.project(), installation.project()
    push_image(installation.owner, f"{project}/image")
    email = installation.account(project, "pusher")
    installation.grant(other, "roles/viewer", f"serviceAccount:{email}")
    with installation.client(installation.token(f"serviceAccount:{email}")) as robot:
        assert 200 == robot.get(f"/v1/projects/{other}").status_code
        installation.owner.delete(f"/v1/projects/{project}").raise_for_status()

        assert 401 == robot.get(f"/v1/projects/{other}").status_code
        acting = f"/v1/projects/-/serviceAccounts/{email}"
        assert 400 == installation.owner.post(f"{acting}:generateIdToken", json={"audience": "https://run.example.com"}).status_code
        assert 400 == installation.owner.post(f"{acting}:generateAccessToken", json={"scope": [SCOPE]}).status_code
        url = f"/v2/{project}/image/manifests/v1"
        assert 403 == installation.owner.get(url).status_code
        assert 403 == installation.owner.post(f"/v2/{project}/image/blobs/uploads/").status_code
        for path, body in ((f"services/{'pubsub.googleapis.com'}:enable", {}), ("serviceAccounts", {"accountId": "another"})):
            assert 400 == installation.owner.post(f"/v1/projects/{project}/{path}", json=body).status_code

        installation.owner.post(f"/v1/projects/{project}:undelete", json={}).raise_for_status()
        assert 200 == installation.owner.get(url).status_code
        assert 200 == robot.get(f"/v1/projects/{other}").status_code


@pytest.mark.slow
def test_images_go_after_the_grace_and_those_of_others_stay(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with installed(data, env=SOON) as installation, installation.client(installation.owner_token, **EU) as european:
        project = installation.project()
        installation.owner.post("/v1/projects", json={"projectId": f"{project}0"}).raise_for_status()
        installation.enable(f"{project}0", "containerregistry.googleapis.com")
        for name in (f"{project}/image", f"{project}/team/image", f"{project}0/image"):
            push_image(installation.owner, name, unique=LARGE)
            push_image(european, name, unique=LARGE)

        installation.owner.delete(f"/v1/projects/{project}").raise_for_status()
        # A worker looks for it when it starts, and every few minutes.
        installation.server.stop()
        installation.server.start()

        wait_for(lambda: installation.owner.get(f"/v1/projects/{project}").status_code == 404)
        wait_for(lambda: [f"{project}0/image"] == [name for name in catalog(installation.owner) if name.startswith(project)])
        wait_for(lambda: [f"{project}0/image"] == [name for name in catalog(european) if name.startswith(project)])
        for client in (installation.owner, european):
            assert 200 == client.get(f"/v2/{project}0/image/manifests/v1").status_code
        # A layer and a configuration in each of two locations are left of three.
        if ENGINES.blobs == "folder":
            wait_for(lambda: 4 * len(LARGE) < stored_bytes(data) < 5 * len(LARGE))
        assert 409 == installation.owner.post("/v1/projects", json={"projectId": project}).status_code
