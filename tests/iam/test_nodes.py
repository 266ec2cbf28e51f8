"""Two nodes on one database: what one changes, the other goes by within a moment, and all of one node's processes at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.kit.accounts import WITH_ACCOUNTS, Installation
from tests.kit.push import push_image
from tests.kit.server import Server, serving

# iam/generation.py polls twice a second; the rest is for a machine that has other things to do.
SECONDS = 5.0


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Server]]:
    data = tmp_path_factory.mktemp("nodes") / "data"
    with (
        serving(data, "--processes", "2", env=WITH_ACCOUNTS) as one,
        serving(data, "--no-worker", "--processes", "2", env=WITH_ACCOUNTS) as other,
    ):
        yield Installation(one), other


def soon(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.05)


def statuses(server: Server, path: str, token: str) -> set[int]:
    """Over new connections, which different processes take."""
    return {httpx.get(f"{server.url}{path}", headers={"Authorization": f"Bearer {token}"}).status_code for _ in range(8)}


@pytest.mark.slow
def test_a_grant_and_its_end_reach_the_other_node(nodes: tuple[Installation, Server]) -> None:
    installation, other = nodes
    project = installation.project()
    push_image(installation.owner, f"{project}/image")
    path = f"/v2/{project}/image/manifests/v1"
    email = installation.account(project)
    token = installation.token(f"serviceAccount:{email}")
    assert {403} == statuses(other, path, token)
    before = installation.owner.post(f"/v1/projects/{project}:getIamPolicy", json={}).json()

    installation.grant(project, "roles/storage.objectViewer", f"serviceAccount:{email}")

    assert {200} == statuses(installation.server, path, token), "at once where it was given"
    soon(lambda: statuses(other, path, token) == {200})

    current = installation.owner.post(f"/v1/projects/{project}:getIamPolicy", json={}).json()
    installation.owner.post(f"/v1/projects/{project}:setIamPolicy", json={"policy": {**before, "etag": current["etag"]}})

    assert {403} == statuses(installation.server, path, token)
    soon(lambda: statuses(other, path, token) == {403})


@pytest.mark.slow
def test_a_disabled_account_is_out_on_the_other_node(nodes: tuple[Installation, Server]) -> None:
    installation, other = nodes
    project = installation.project()
    email = installation.account(project)
    installation.grant(project, "roles/viewer", f"serviceAccount:{email}")
    token = installation.token(f"serviceAccount:{email}")
    soon(lambda: statuses(other, "/v2/", token) == {200})

    installation.owner.post(f"/v1/projects/{project}/serviceAccounts/{email}:disable")

    assert {401} == statuses(installation.server, "/v2/", token)
    soon(lambda: statuses(other, "/v2/", token) == {401})


def test_one_node_s_tokens_are_good_on_the_other(nodes: tuple[Installation, Server]) -> None:
    installation, other = nodes
    project = installation.project()
    push_image(installation.owner, f"{project}/image")

    token = installation.registry_token(installation.owner_token, f"repository:{project}/image:pull")

    soon(lambda: statuses(other, f"/v2/{project}/image/manifests/v1", token) == {200})
