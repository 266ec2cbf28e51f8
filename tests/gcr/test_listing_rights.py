"""Who is told what is in a place, below it, and whether it is used: what the gate lets into, and no name that the caller may not know."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.kit.accounts import Installation
from tests.kit.push import push_image

READER = "roles/artifactregistry.reader"


@pytest.fixture(scope="module")
def project(installation: Installation) -> str:
    """With an image at its top and three in two folders. Tests give each member rights of its own in it."""
    name = installation.project()
    for path in ("image", "secret/a", "team/a", "team/b"):
        push_image(installation.owner, f"{name}/{path}")
    return name


@pytest.fixture(scope="module")
def viewer(installation: Installation, project: str) -> str:
    """A token of somebody who may read the project and nothing else."""
    return installation.robot(project, "roles/viewer")


def listed(client: httpx.Client, name: str, query: str = "") -> tuple[int, Any]:
    response = client.get(f"/v2/{name}/tags/list{query}")
    return response.status_code, response.json().get("child") if response.status_code == 200 else response.json()["errors"][0]["code"]


def bind(installation: Installation, project: str, member: str, **binding: Any) -> None:
    url = f"/v1/projects/{project}"
    policy = installation.owner.post(f"{url}:getIamPolicy", json={"options": {"requestedPolicyVersion": 3}}).json()
    bindings = [*policy.get("bindings", []), {"role": READER, "members": [member], **binding}]
    response = installation.owner.post(f"{url}:setIamPolicy", json={"policy": {**policy, "version": 3, "bindings": bindings}})
    assert 200 == response.status_code, response.text


def bind_prefix(installation: Installation, project: str, path: str, member: str) -> None:
    url = f"/v1/projects/{project}/locations/us/repositories/gcr.io/packages/{path}"
    response = installation.owner.post(f"{url}:setIamPolicy", json={"policy": {"bindings": [{"role": READER, "members": [member]}]}})
    assert 200 == response.status_code, response.text


def test_a_stranger_is_told_nothing_of_any_place(installation: Installation, project: str, viewer: str) -> None:
    """Nor whether there is one: the answer is the same for what is not there."""
    theirs = installation.project()
    push_image(installation.owner, f"{theirs}/team/image")
    with installation.client(viewer) as stranger, installation.client() as nobody:
        for query in ("", "?n=10000", "?n=100", "?check_usage_only=true"):
            for name in (theirs, f"{theirs}/team", f"{theirs}/team/image", f"{theirs}/none", "no-such-project", "example.com/no-such"):
                assert (403, "DENIED") == listed(stranger, name, query)
                assert (401, "UNAUTHORIZED") == listed(nobody, name, query)


def test_the_challenge_of_a_project_asks_for_its_token(installation: Installation, project: str) -> None:
    """As gcloud reads it."""
    response = httpx.get(f"{installation.url}/v2/{project}/tags/list")

    assert response.headers["WWW-Authenticate"].endswith(f'scope="repository:{project}:pull"')


def test_gcloud_lists_the_images_of_a_project(installation: Installation, project: str, viewer: str) -> None:
    """It asks for a token of the bare project, and then for its list."""
    token = installation.registry_token(viewer, f"repository:{project}:pull")
    with installation.client(token) as client:
        assert (200, ["image", "secret", "team"]) == listed(client, project)
        # The token is for nothing else.
        assert 401 == client.get(f"/v2/{project}/image/tags/list").status_code


def test_a_token_for_one_place_tells_of_what_is_below_it_alone(installation: Installation, project: str) -> None:
    token = installation.registry_token(installation.owner_token, f"repository:{project}/team:pull")
    with installation.client(token) as client:
        assert (200, ["a", "b"]) == listed(client, f"{project}/team")
        for name in (project, f"{project}/secret", f"{project}/team/a"):
            assert (401, "UNAUTHORIZED") == listed(client, name)


def test_who_may_read_a_folder_lists_it_and_nothing_above(installation: Installation, project: str) -> None:
    email = installation.account(project, "folder-reader")
    bind_prefix(installation, project, "team", f"serviceAccount:{email}")
    with installation.client(installation.token(f"serviceAccount:{email}")) as client:
        assert (200, ["a", "b"]) == listed(client, f"{project}/team")
        for name in (project, f"{project}/secret", f"{project}/tea"):
            assert (403, "DENIED") == listed(client, name)


def test_a_condition_hides_what_it_forbids(installation: Installation, project: str) -> None:
    """A right on the project that does not hold for some names: these are not told, and a folder is told if anything in it may be."""
    email = installation.account(project, "careful-reader")
    forbidden = f'resource.name.startsWith("projects/{project}/locations/gcr/repositories/secret")'
    also = 'resource.name.endsWith("/team/a")'
    condition = {"title": "no secrets", "expression": f"!({forbidden} || {also})"}
    bind(installation, project, f"serviceAccount:{email}", condition=condition)
    with installation.client(installation.token(f"serviceAccount:{email}")) as client:
        assert (200, ["image", "team"]) == listed(client, project)
        assert (200, ["b"]) == listed(client, f"{project}/team")
        assert (403, "DENIED") == listed(client, f"{project}/secret")
        token = installation.registry_token(client.headers["Authorization"].removeprefix("Bearer "), f"repository:{project}:pull")
    with installation.client(token) as client:
        assert (200, ["image", "team"]) == listed(client, project)


def test_a_project_that_is_empty_lists_nothing(installation: Installation) -> None:
    empty = installation.project()

    assert (200, []) == listed(installation.owner, empty)


def test_a_domain_scoped_project_is_listed_by_who_may(installation: Installation, project: str, viewer: str) -> None:
    scoped = f"example.com:{project}"
    installation.owner.post("/v1/projects", json={"projectId": scoped}).raise_for_status()
    installation.enable(scoped, "containerregistry.googleapis.com")
    push_image(installation.owner, f"example.com/{project}/app")

    assert (200, ["app"]) == listed(installation.owner, f"example.com/{project}")
    with installation.client(viewer) as other:
        assert (403, "DENIED") == listed(other, f"example.com/{project}")
        assert (403, "DENIED") == listed(other, "example.com")


def test_a_project_without_the_api_is_refused_in_container_registry_s_words(installation: Installation) -> None:
    off = installation.project(registry=False)
    for query in ("", "?check_usage_only=true"):
        response = installation.owner.get(f"/v2/{off}/tags/list{query}")

        assert 403 == response.status_code
        assert response.json()["errors"][0]["message"].startswith(f"Token exchange failed for project '{off}'.")


def test_what_everybody_may_pull_everybody_may_list(installation: Installation) -> None:
    public = installation.project()
    push_image(installation.owner, f"{public}/team/a")
    installation.grant(public, "roles/storage.objectViewer", "allUsers")

    with installation.client() as nobody:
        assert (200, ["team"]) == listed(nobody, public)
        assert (200, ["a"]) == listed(nobody, f"{public}/team")


@pytest.mark.slow
def test_a_right_that_ends_ends_the_list(installation: Installation) -> None:
    own = installation.project()
    before = installation.owner.post(f"/v1/projects/{own}:getIamPolicy", json={}).json()
    with installation.client(installation.robot(own, "roles/viewer")) as client:
        assert (200, []) == listed(client, own)
        current = installation.owner.post(f"/v1/projects/{own}:getIamPolicy", json={}).json()
        policy = {**before, "etag": current["etag"]}
        installation.owner.post(f"/v1/projects/{own}:setIamPolicy", json={"policy": policy}).raise_for_status()

        assert (403, "DENIED") == listed(client, own)


def test_deleting_what_is_tagged_needs_the_right_first(installation: Installation, project: str, viewer: str) -> None:
    """Who may not delete is not told whether there is a tag."""
    digest = installation.owner.get(f"/v2/{project}/image/manifests/v1").headers["Docker-Content-Digest"]
    with installation.client(viewer, Host="gcr.io") as reader:
        for reference in (digest, f"sha256:{'0' * 64}"):
            assert 403 == reader.delete(f"/v2/{project}/image/manifests/{reference}").status_code
    refused = installation.owner.delete(f"/v2/{project}/image/manifests/{digest}", headers={"Host": "gcr.io"})
    assert (400, "GOOGLE_MANIFEST_DANGLING_TAG") == (refused.status_code, refused.json()["errors"][0]["code"])
