"""Artifact Registry's view of what is in a registry (Artifact Registry API v1): packages, versions, tags and dockerImages, to be read."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.kit.accounts import Installation
from tests.kit.push import Document, image, push, push_blob, push_image
from tests.kit.replies import ok, refusal

READER = "roles/artifactregistry.reader"


@dataclass(frozen=True, slots=True)
class Shelf:
    """`nginx` with two images, of which one has two tags, and `team/app` with one, in gcr.io; one more in eu.gcr.io."""

    project: str
    both: list[Document]
    app: Document
    elsewhere: Document

    @property
    def repository(self) -> str:
        return f"projects/{self.project}/locations/us/repositories/gcr.io"

    def path(self, rest: str = "") -> str:
        return f"/v1/{self.repository}/{rest}"


@pytest.fixture(scope="module")
def shelf(installation: Installation) -> Shelf:
    project, owner = installation.project(), installation.owner
    both = [push_image(owner, f"{project}/nginx", tag) for tag in ("v1", "v2")]
    assert 201 == push(owner, f"{project}/nginx", both[1], "latest").status_code
    app = push_image(owner, f"{project}/team/app")
    with installation.client(installation.owner_token, Host="eu.gcr.io") as there:
        elsewhere = push_image(there, f"{project}/europe")
    return Shelf(project, sorted(both, key=lambda each: each.digest), app, elsewhere)


def pages(client: httpx.Client, path: str, field: str, size: int, **parameters: str) -> Iterator[list[dict[str, Any]]]:
    token = ""
    while True:
        answer = ok(client.get(path, params={"pageSize": size, "pageToken": token, **parameters}))
        yield answer.get(field, [])
        token = answer.get("nextPageToken", "")
        if not token:
            return


def test_packages_are_listed_in_pages(shelf: Shelf, owner: httpx.Client) -> None:
    """By name; what is in another location is not here. A slash in a path is %2F in the package's name."""
    found = list(pages(owner, shelf.path("packages"), "packages", 1))

    assert [["nginx"], ["team%2Fapp"]] == [[each["name"].removeprefix(f"{shelf.repository}/packages/") for each in page] for page in found]
    assert found[1] == [ok(owner.get(shelf.path("packages/team%2Fapp")))]
    assert {"name", "createTime", "updateTime"} == set(found[0][0])


@pytest.mark.parametrize("slash", ["%2F", "%252F"])
def test_a_slash_may_be_encoded_twice(shelf: Shelf, owner: httpx.Client, slash: str) -> None:
    """gcloud writes %2F into the name and then encodes the name; google-cloud-artifact-registry does not."""
    (version,) = ok(owner.get(shelf.path(f"packages/team{slash}app/versions")))["versions"]

    assert version["name"] == f"{shelf.repository}/packages/team%2Fapp/versions/{shelf.app.digest}"
    assert version["name"] == ok(owner.get(shelf.path(f"packages/team{slash}app/versions/{shelf.app.digest}")))["name"]
    assert shelf.app.digest in ok(owner.get(shelf.path(f"dockerImages/team{slash}app@{shelf.app.digest}")))["name"]


def test_versions_are_listed_in_pages(shelf: Shelf, owner: httpx.Client) -> None:
    found = list(pages(owner, shelf.path("packages/nginx/versions"), "versions", 1))

    assert [[f"{shelf.repository}/packages/nginx/versions/{each.digest}"] for each in shelf.both] == [[each["name"]] for (each,) in found]


def test_a_version_has_its_tags_where_they_are_asked_for(shelf: Shelf, owner: httpx.Client) -> None:
    """view: BASIC has none, FULL has them."""
    package = f"{shelf.repository}/packages/nginx"
    digest = owner_digest(owner, shelf, "latest")
    path = shelf.path(f"packages/nginx/versions/{digest}")

    basic, full = (ok(owner.get(path, params={"view": view})) for view in ("BASIC", "FULL"))

    tags = [{"name": f"{package}/tags/{tag}", "version": full["name"]} for tag in ("latest", "v2")]
    assert tags == full.pop("relatedTags")
    assert basic == full
    assert f"{shelf.repository}/dockerImages/nginx@{digest}" == full["metadata"]["name"]


def owner_digest(owner: httpx.Client, shelf: Shelf, tag: str) -> str:
    """What the registry itself says."""
    return str(owner.head(f"/v2/{shelf.project}/nginx/manifests/{tag}").headers["Docker-Content-Digest"])


def test_tags_are_listed_in_pages(shelf: Shelf, owner: httpx.Client) -> None:
    package = f"{shelf.repository}/packages/nginx"
    found = list(pages(owner, shelf.path("packages/nginx/tags"), "tags", 2))

    names = [each["name"] for page in found for each in page]
    assert [f"{package}/tags/{tag}" for tag in ("latest", "v1", "v2")] == names
    assert [2, 1] == [len(page) for page in found]
    assert found[0][0] == ok(owner.get(shelf.path("packages/nginx/tags/latest")))
    assert f"{package}/versions/{owner_digest(owner, shelf, 'latest')}" == found[0][0]["version"]


@pytest.mark.parametrize("slash", ["/", "%2F"])
def test_the_tags_of_one_version_are_chosen(shelf: Shelf, owner: httpx.Client, slash: str) -> None:
    """What `gcloud artifacts docker images delete` asks before it deletes."""
    version = f"{shelf.repository}/packages/nginx/versions/{owner_digest(owner, shelf, 'latest')}"
    of_app = f"{shelf.repository}/packages/team{slash}app/versions/{shelf.app.digest}"

    found = list(pages(owner, shelf.path("packages/nginx/tags"), "tags", 1, filter=f'version="{version}"'))
    one = ok(owner.get(shelf.path("packages/team%2Fapp/tags"), params={"filter": f'version="{of_app}"'}))
    others = ok(owner.get(shelf.path("packages/nginx/tags"), params={"filter": f'version="{of_app}"'}))

    assert ["latest", "v2"] == [each["name"].rpartition("/")[2] for (each,) in found]
    assert ["v1"] == [each["name"].rpartition("/")[2] for each in one["tags"]]
    assert {} == others


def test_images_are_listed_in_pages_over_all_packages(shelf: Shelf, owner: httpx.Client) -> None:
    """By package and digest, whatever the size of a page."""
    wanted = [*(f"nginx@{each.digest}" for each in shelf.both), f"team%2Fapp@{shelf.app.digest}"]

    for size in (1, 2, 3, 100):
        found = list(pages(owner, shelf.path("dockerImages"), "dockerImages", size))
        assert wanted == [each["name"].removeprefix(f"{shelf.repository}/dockerImages/") for page in found for each in page]
        assert all(len(page) == size for page in found[:-1])


def test_an_image_says_where_it_is_pulled_from_and_when_it_was_made(shelf: Shelf, installation: Installation, owner: httpx.Client) -> None:
    project = installation.project()
    config, layer = b'{"created": "2024-02-03T04:05:06.789Z", "os": "linux"}', b"a layer"
    for blob in (config, layer):
        push_blob(owner, f"{project}/made", blob)
    document = image(config, [layer])
    assert 201 == push(owner, f"{project}/made", document).status_code

    (found,) = ok(owner.get(f"/v1/projects/{project}/locations/us/repositories/gcr.io/dockerImages"))["dockerImages"]

    assert f"gcr.io/{project}/made@{document.digest}" == found["uri"]
    assert ["v1"] == found["tags"]
    assert str(len(config) + len(layer)) == found["imageSizeBytes"]
    assert "2024-02-03T04:05:06.789000Z" == found["buildTime"]
    assert document.media_type == found["mediaType"]


def test_each_host_is_a_repository_of_its_own(shelf: Shelf, owner: httpx.Client) -> None:
    (found,) = ok(owner.get(f"/v1/projects/{shelf.project}/locations/europe/repositories/eu.gcr.io/dockerImages"))["dockerImages"]

    assert f"eu.gcr.io/{shelf.project}/europe@{shelf.elsewhere.digest}" == found["uri"]
    assert {} == ok(owner.get(f"/v1/projects/{shelf.project}/locations/asia/repositories/asia.gcr.io/packages"))


@pytest.mark.parametrize(
    "rest",
    [
        "packages/nothing", "packages/nothing/versions", "packages/nothing/tags", "packages/team", "packages/nginx/tags/none",
        f"packages/nginx/versions/sha256:{'0' * 64}", "packages/nginx/versions/nonsense", "packages/nginx/tags/%00",
        f"dockerImages/nginx@sha256:{'0' * 64}", "dockerImages/nginx", "dockerImages/NGINX@x", "packages/..%2Fx",
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found(shelf: Shelf, owner: httpx.Client, rest: str) -> None:
    assert (404, "NOT_FOUND") == refusal(owner.get(shelf.path(rest)))


@pytest.mark.parametrize(
    ("rest", "parameters"),
    [
        ("packages", {"filter": 'name="x"'}),
        ("packages", {"orderBy": "createTime desc"}),
        ("dockerImages", {"orderBy": "uploadTime"}),
        ("packages/nginx/versions", {"filter": "createTime>1"}),
        ("packages/nginx/versions", {"view": "SIDE"}),
        ("packages/nginx/tags", {"filter": "version=x"}),
        ("packages", {"pageSize": "many"}),
        ("packages", {"pageToken": "%%%"}),
    ],
)
def test_what_is_not_understood_is_refused(shelf: Shelf, owner: httpx.Client, rest: str, parameters: dict[str, str]) -> None:
    """Rather than answered with something else: gcloud then filters and sorts by itself."""
    assert (400, "INVALID_ARGUMENT") == refusal(owner.get(shelf.path(rest), params=parameters))


def test_a_page_token_leads_nowhere_else(shelf: Shelf, installation: Installation, owner: httpx.Client) -> None:
    """A token is what its client makes of it: one that names another project's package tells nothing of that."""
    mine = installation.project()
    path = f"/v1/projects/{mine}/locations/us/repositories/gcr.io"
    push_image(owner, f"{mine}/own")
    email = installation.account(mine)
    installation.grant(mine, READER, f"serviceAccount:{email}")
    with installation.client(installation.token_of(email)) as robot:
        for name in (f"{shelf.project}/nginx", f"{shelf.project}/", "", f"{mine}/", "\U0010ffff"):
            for field in ("packages", "dockerImages"):
                token = base64.b64encode(f"{name} sha256:".encode()).decode()
                answer = ok(robot.get(f"{path}/{field}", params={"pageToken": token}))
                assert {mine} >= {each["name"].split("/")[1] for each in answer.get(field, [])}
                assert shelf.project not in str(answer)


def test_rights_on_one_package_show_one_package(shelf: Shelf, installation: Installation, owner: httpx.Client) -> None:
    email = installation.account(shelf.project, "one-package")
    policy = {"policy": {"bindings": [{"role": READER, "members": [f"serviceAccount:{email}"]}]}}
    assert 200 == owner.post(shelf.path("packages/team%2Fapp:setIamPolicy"), json=policy).status_code
    with installation.client(installation.token_of(email)) as robot:
        assert 1 == len(ok(robot.get(shelf.path("packages/team%2Fapp/versions")))["versions"])
        assert 1 == len(ok(robot.get(shelf.path("packages/team%2Fapp/tags")))["tags"])
        ok(robot.get(shelf.path(f"dockerImages/team%2Fapp@{shelf.app.digest}")))
        for rest in ("packages", "dockerImages", "packages/nginx", "packages/nginx/tags", f"dockerImages/nginx@{shelf.both[0].digest}"):
            assert (403, "PERMISSION_DENIED") == refusal(robot.get(shelf.path(rest)))


def test_a_condition_takes_packages_out_of_the_lists(shelf: Shelf, installation: Installation, owner: httpx.Client) -> None:
    """Who may see all but one sees all but that, on every page and by any token."""
    email = installation.account(shelf.project, "all-but-one")
    condition = {"title": "not nginx", "expression": '!resource.name.endsWith("/nginx")'}
    binding = {"role": READER, "members": [f"serviceAccount:{email}"], "condition": condition}
    read = owner.post(f"/v1/projects/{shelf.project}:getIamPolicy", json={"options": {"requestedPolicyVersion": 3}}).json()
    policy = {**read, "version": 3, "bindings": [*read["bindings"], binding]}
    assert 200 == owner.post(f"/v1/projects/{shelf.project}:setIamPolicy", json={"policy": policy}).status_code
    inside = base64.b64encode(f"{shelf.project}/nginx sha256:".encode()).decode()
    with installation.client(installation.token_of(email)) as robot:
        for field in ("packages", "dockerImages"):
            for size in (1, 100):
                found = [each["name"] for page in pages(robot, shelf.path(field), field, size) for each in page]
                assert 1 == len(found)
                assert found[0].startswith(f"{shelf.repository}/{field}/team%2Fapp")
            assert "nginx" not in robot.get(shelf.path(field), params={"pageToken": inside}).text
        assert (403, "PERMISSION_DENIED") == refusal(robot.get(shelf.path("packages/nginx/versions")))


@pytest.mark.parametrize("rest", ["packages", "dockerImages", "packages/nginx", "packages/nginx/versions", "packages/nginx/tags"])
def test_the_api_must_be_enabled(installation: Installation, owner: httpx.Client, rest: str) -> None:
    """In the words after which gcloud offers to enable it (googlecloudsdk, api_enablement.py)."""
    project = installation.project(registry=False)

    refused = owner.get(f"/v1/projects/{project}/locations/us/repositories/gcr.io/{rest}")

    assert (403, "PERMISSION_DENIED") == refusal(refused)
    service = "artifactregistry.googleapis.com"
    assert refused.json()["error"]["message"].endswith(
        f"Enable it by visiting https://console.developers.google.com/apis/api/{service}/overview?project={project} then retry. If you "
        "enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
    )
    (info,) = refused.json()["error"]["details"]
    assert ("SERVICE_DISABLED", service) == (info["reason"], info["metadata"]["service"])
    installation.enable(project, service)
    assert 403 != owner.get(f"/v1/projects/{project}/locations/us/repositories/gcr.io/{rest}").status_code
