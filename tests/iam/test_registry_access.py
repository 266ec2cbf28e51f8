"""Who may pull, push and delete: docker's token flow, and the rights behind it (contract.md, 1.1)."""

from __future__ import annotations

import base64
import json
import re

import httpx
import pytest

from tests.kit.accounts import Installation
from tests.kit.push import digest, push_blob, push_image


def challenge(response: httpx.Response) -> dict[str, str]:
    header = response.headers["WWW-Authenticate"]
    assert header.startswith("Bearer realm=")
    return dict(re.findall(r'(\w+)="([^"]*)"', header))


def test_nobody_is_told_where_tokens_are(installation: Installation) -> None:
    """docker begins with GET /v2/ and looks for the realm; gcloud wants it first and no blanks after commas."""
    response = httpx.get(f"{installation.url}/v2/")

    assert 401 == response.status_code
    assert f"{installation.url}/v2/token" == challenge(response)["realm"]
    assert ", " not in response.headers["WWW-Authenticate"]
    assert "UNAUTHORIZED" == response.json()["errors"][0]["code"]


def test_an_owner_pushes_and_pulls_by_the_token_flow(installation: Installation) -> None:
    name = f"{installation.project()}/image"
    refused = httpx.put(f"{installation.url}/v2/{name}/manifests/v1", content=b"{}")
    asked = challenge(refused)
    assert f"repository:{name}:pull,push" == asked["scope"]
    got = httpx.get(
        asked["realm"], params={"service": asked["service"], "scope": asked["scope"]}, auth=("oauth2accesstoken", installation.owner_token)
    ).json()

    with installation.client(got["token"]) as client:
        manifest = push_image(client, name)

        assert manifest.payload == client.get(f"/v2/{name}/manifests/v1").content
        assert got["token"] == got["access_token"]
        assert 0 < got["expires_in"] <= 3600


@pytest.mark.parametrize("name", ["oauth2accesstoken", "_token", "_dcgcloud_token", "_dcgcr_2_1_5_token"])
def test_names_that_stand_for_a_token(installation: Installation, name: str) -> None:
    """Also directly on every path, as GCR took them."""
    project = installation.project()

    response = httpx.get(f"{installation.url}/v2/{project}/x/tags/list", auth=(name, installation.owner_token))

    assert 404 == response.status_code


def test_a_key_file_is_a_password(installation: Installation) -> None:
    project = installation.project()
    email = installation.account(project)
    installation.grant(project, "roles/storage.objectAdmin", f"serviceAccount:{email}")
    key = json.dumps(installation.key(email))

    for name, password in (("_json_key", key), ("_json_key_base64", base64.b64encode(key.encode()).decode())):
        response = httpx.get(f"{installation.url}/v2/{project}/x/tags/list", auth=(name, password))
        assert 404 == response.status_code, name

    disabled = installation.owner.post(f"/v1/projects/{project}/serviceAccounts/{email}/keys/{json.loads(key)['private_key_id']}:disable")
    assert 200 == disabled.status_code
    assert 401 == httpx.get(f"{installation.url}/v2/{project}/x/tags/list", auth=("_json_key", key)).status_code


def test_everybody_may_pull_what_is_given_to_all_users(installation: Installation) -> None:
    project = installation.project()
    push_image(installation.owner, f"{project}/image")
    url = f"{installation.url}/v2/{project}/image/manifests/v1"
    assert 401 == httpx.get(url).status_code

    installation.grant(project, "roles/storage.objectViewer", "allUsers")

    assert 200 == httpx.get(url).status_code
    assert (
        200
        == httpx.get(
            url, headers={"Authorization": f"Bearer {installation.registry_token('', f'repository:{project}/image:pull')}"}
        ).status_code
    )
    assert 401 == httpx.delete(url).status_code


@pytest.mark.slow
def test_a_grant_and_its_end_hold_at_once(installation: Installation) -> None:
    """In every process, also for tokens that were made before."""
    project = installation.project()
    push_image(installation.owner, f"{project}/image")
    token = installation.robot(project)
    path = f"/v2/{project}/image/manifests/v1"
    before = installation.owner.post(f"/v1/projects/{project}:getIamPolicy", json={}).json()
    robot = next(each for each in [installation.robot(project, "roles/storage.objectViewer")])
    with installation.client(robot) as client, installation.client(token) as other:
        for _ in range(20):
            assert (200, 403) == (client.get(path).status_code, other.get(path).status_code)

        current = installation.owner.post(f"/v1/projects/{project}:getIamPolicy", json={}).json()
        taken = installation.owner.post(f"/v1/projects/{project}:setIamPolicy", json={"policy": {**before, "etag": current["etag"]}})

        assert 200 == taken.status_code
        for _ in range(20):
            assert 403 == client.get(path).status_code


def test_what_is_missing_and_what_is_forbidden_look_the_same(installation: Installation) -> None:
    project, other = installation.project(), installation.project()
    push_image(installation.owner, f"{project}/image")
    with installation.client(installation.robot(other, "roles/owner")) as stranger:
        answers = {
            (response.status_code, response.json()["errors"][0]["code"], response.json()["errors"][0]["message"])
            for path in (
                f"/v2/{project}/image/manifests/v1",
                f"/v2/{project}/nothing/manifests/v1",
                "/v2/no-such-project/image/manifests/v1",
                f"/v2/{project}/image/tags/list",
                f"/v2/{project}/image/blobs/{digest(b'{}')}",
                f"/v2/{project}/image/referrers/{digest(b'{}')}",
            )
            for response in [stranger.get(path)]
        }

    assert 1 == len(answers), answers
    assert (403, "DENIED") == next(iter(answers))[:2]


def test_a_catalog_has_what_its_reader_may_read(installation: Installation) -> None:
    mine, theirs = installation.project(), installation.project()
    push_image(installation.owner, f"{mine}/a/b")
    push_image(installation.owner, f"{theirs}/c")
    with installation.client(installation.robot(mine, "roles/viewer")) as reader, installation.client() as nobody:
        # What everybody may read is in everybody's.
        public = set(nobody.get("/v2/_catalog").json()["repositories"])
        assert {f"{mine}/a/b"} == set(reader.get("/v2/_catalog").json()["repositories"]) - public
        assert {f"{mine}/a/b", f"{theirs}/c"} <= set(installation.owner.get("/v2/_catalog?n=100000").json()["repositories"])
        assert f"{mine}/a/b" not in nobody.get("/v2/_catalog").text


def test_pushing_needs_the_container_registry_api(installation: Installation) -> None:
    """The sentence that GCR gave (contract.md, 1.1)."""
    project = installation.project(registry=False)

    response = httpx.get(
        f"{installation.url}/v2/token", params={"scope": f"repository:{project}/x:push,pull"}, auth=("_token", installation.owner_token)
    )

    assert 403 == response.status_code
    (error,) = response.json()["errors"]
    assert "DENIED" == error["code"]
    assert error["message"].startswith(
        f"Token exchange failed for project '{project}'. Please enable Google Container Registry API in Cloud Console at "
    )
    assert 403 == installation.owner.get(f"/v2/{project}/x/tags/list").status_code


@pytest.mark.slow
def test_a_mount_needs_read_on_its_source(installation: Installation) -> None:
    source, target = installation.project(), installation.project()
    push_image(installation.owner, f"{source}/image")
    blob = push_blob(installation.owner, f"{source}/image", b"{}")
    assert 200 == installation.owner.head(f"/v2/{source}/image/blobs/{blob}").status_code
    with installation.client(installation.robot(target, "roles/storage.objectAdmin")) as stranger:
        for query in ({"mount": blob, "from": f"{source}/image"}, {"mount": blob}):
            assert 202 == stranger.post(f"/v2/{target}/image/blobs/uploads/", params=query).status_code
    assert (
        201 == installation.owner.post(f"/v2/{target}/image/blobs/uploads/", params={"mount": blob, "from": f"{source}/image"}).status_code
    )


@pytest.mark.slow
def test_a_repository_or_a_prefix_can_be_given_alone(installation: Installation) -> None:
    """Finer than GCR."""
    project = installation.project()
    for name in ("team/a", "team/b", "other", "teammate"):
        push_image(installation.owner, f"{project}/{name}")
    email = installation.account(project)
    path = f"/v1/projects/{project}/locations/us/repositories/gcr.io/packages/team"
    given = installation.owner.post(
        f"{path}:setIamPolicy",
        json={"policy": {"bindings": [{"role": "roles/artifactregistry.reader", "members": [f"serviceAccount:{email}"]}]}},
    )
    assert 200 == given.status_code, given.text

    with installation.client(installation.token(f"serviceAccount:{email}")) as client:
        statuses = {
            name: client.get(f"/v2/{project}/{name}/manifests/v1").status_code for name in ("team/a", "team/b", "other", "teammate")
        }
        assert {"team/a": 200, "team/b": 200, "other": 403, "teammate": 403} == statuses
        assert 403 == client.delete(f"/v2/{project}/team/a/manifests/v1").status_code
        assert {f"{project}/team/a", f"{project}/team/b"} == {
            name for name in client.get("/v2/_catalog").json()["repositories"] if name.startswith(project)
        }
        # The same path on another host is another repository, and was not given.
        assert 403 == client.get(f"/v2/{project}/team/a/manifests/v1", headers={"Host": "eu.gcr.io"}).status_code


def test_who_may_only_create_does_not_move_a_tag(installation: Installation) -> None:
    """CVE-2026-31801 of a peer: `latest` could be overwritten by a user with create rights only."""
    project = installation.project()
    first = push_image(installation.owner, f"{project}/image", "latest")
    with installation.client(installation.robot(project, "roles/storage.objectCreator")) as creator:
        push_image(creator, f"{project}/new", "latest")
        again = creator.put(f"/v2/{project}/image/manifests/latest", content=first.payload, headers={"Content-Type": first.media_type})
        assert 201 == again.status_code
        other = push_image(installation.owner, f"{project}/image", "other", unique="7")
        moved = creator.put(f"/v2/{project}/image/manifests/latest", content=other.payload, headers={"Content-Type": other.media_type})

    assert (403, "DENIED") == (moved.status_code, moved.json()["errors"][0]["code"])
    assert first.payload == installation.owner.get(f"/v2/{project}/image/manifests/latest").content


def test_a_registry_token_ends_with_what_it_was_made_of(installation: Installation) -> None:
    """Or `docker` would go on for an hour after a logout."""
    project = installation.project()
    push_image(installation.owner, f"{project}/image")
    token = installation.token()
    made = installation.registry_token(token, f"repository:{project}/image:pull,push")
    with installation.client(made) as client:
        assert 200 == client.get(f"/v2/{project}/image/manifests/v1").status_code

        assert 200 == httpx.post(f"{installation.url}/revoke", data={"token": token}).status_code

        for _ in range(20):
            assert 401 == client.get(f"/v2/{project}/image/manifests/v1").status_code
        assert 401 == client.post(f"/v2/{project}/image/blobs/uploads/").status_code


def test_a_token_for_one_repository_lists_no_other(installation: Installation) -> None:
    """Who hands it to a step of a pipeline tells of that repository only."""
    project = installation.project()
    for name in ("one", "other"):
        push_image(installation.owner, f"{project}/{name}")

    def listed(*scopes: str) -> set[str]:
        with installation.client(installation.registry_token(installation.owner_token, *scopes)) as client:
            names = client.get("/v2/_catalog?n=100000").json()["repositories"]
        return {name for name in names if name.startswith(f"{project}/")}

    assert {f"{project}/one"} == listed(f"repository:{project}/one:pull")
    assert set() == listed()
    assert {f"{project}/one", f"{project}/other"} == listed("registry:catalog:*")


def test_a_credential_in_many_spellings_is_remembered_in_one(installation: Installation) -> None:
    """More blanks are the same header to HTTP; they must not fill the memory, and are still right."""
    for blanks in range(1, 6):
        response = httpx.get(f"{installation.url}/v2/", headers={"Authorization": f"Bearer{' ' * blanks}{installation.owner_token}"})

        assert 200 == response.status_code


def test_a_project_itself_is_no_repository(installation: Installation) -> None:
    project = f"example.com:{installation.project(registry=False)}"
    installation.owner.post("/v1/projects", json={"projectId": project}).raise_for_status()
    installation.enable(project, "containerregistry.googleapis.com")
    name = project.replace(":", "/")

    refused = installation.owner.post(f"/v2/{name}/blobs/uploads/")

    assert (400, "NAME_INVALID") == (refused.status_code, refused.json()["errors"][0]["code"])
    assert 400 == installation.owner.put(f"/v2/{name}/manifests/v1", content=b"{}").status_code
    push_image(installation.owner, f"{name}/image")
    assert 200 == installation.owner.get(f"/v2/{name}/image/manifests/v1").status_code
