"""Artifact Registry's changes of what is in a registry (Artifact Registry API v1): tags, versions and packages."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import pytest

from tests.kit.accounts import Installation
from tests.kit.push import Document, index, push, push_image
from tests.kit.replies import ok, refusal

REPO_ADMIN, WRITER = "roles/artifactregistry.repoAdmin", "roles/artifactregistry.writer"


@dataclass(frozen=True, slots=True)
class Shelf:
    """`team/app` with two images, v1 and v2."""

    project: str
    first: Document
    second: Document

    @property
    def package(self) -> str:
        return f"projects/{self.project}/locations/us/repositories/gcr.io/packages/team%2Fapp"

    def path(self, rest: str = "") -> str:
        return f"/v1/{self.package}{rest}"

    def version(self, document: Document) -> str:
        return f"{self.package}/versions/{document.digest}"


@pytest.fixture
def shelf(installation: Installation) -> Shelf:
    project = installation.project()
    return Shelf(project, *(push_image(installation.owner, f"{project}/team/app", tag) for tag in ("v1", "v2")))


def digest_of(owner: httpx.Client, shelf: Shelf, reference: str) -> str:
    """What the registry itself says; "" for what is not there."""
    return str(owner.head(f"/v2/{shelf.project}/team/app/manifests/{reference}").headers.get("Docker-Content-Digest", ""))


def test_a_tag_is_made_and_moved_and_deleted(shelf: Shelf, owner: httpx.Client) -> None:
    made = ok(owner.post(shelf.path("/tags"), params={"tagId": "latest"}, json={"version": shelf.version(shelf.first)}))
    assert {"name": f"{shelf.package}/tags/latest", "version": shelf.version(shelf.first)} == made
    assert shelf.first.digest == digest_of(owner, shelf, "latest")

    moved = ok(owner.patch(shelf.path("/tags/latest"), params={"updateMask": "version"}, json={"version": shelf.version(shelf.second)}))
    assert shelf.version(shelf.second) == moved["version"]
    assert shelf.second.digest == digest_of(owner, shelf, "latest")

    assert {} == ok(owner.delete(shelf.path("/tags/latest")))
    assert "" == digest_of(owner, shelf, "latest")
    assert shelf.second.digest == digest_of(owner, shelf, "v2")


def test_what_a_tag_cannot_be_is_refused(shelf: Shelf, owner: httpx.Client) -> None:
    here, gone = shelf.version(shelf.first), f"{shelf.package}/versions/sha256:{'0' * 64}"
    tags, v1 = shelf.path("/tags"), shelf.path("/tags/v1")

    assert (409, "ALREADY_EXISTS") == refusal(owner.post(tags, params={"tagId": "v1"}, json={"version": here}))
    assert (404, "NOT_FOUND") == refusal(owner.post(tags, params={"tagId": "new"}, json={"version": gone}))
    assert (404, "NOT_FOUND") == refusal(owner.patch(shelf.path("/tags/none"), json={"version": here}))
    assert (404, "NOT_FOUND") == refusal(owner.delete(shelf.path("/tags/none")))
    for tag in ("", "-bad", "a" * 129):
        assert (400, "INVALID_ARGUMENT") == refusal(owner.post(tags, params={"tagId": tag}, json={"version": here}))
    for version in ("", "v1", shelf.first.digest, here.replace("app", "other"), f"{shelf.package}/versions/v1"):
        assert (400, "INVALID_ARGUMENT") == refusal(owner.patch(v1, json={"version": version}))
    assert (400, "INVALID_ARGUMENT") == refusal(owner.patch(v1, params={"updateMask": "name"}, json={"version": here}))
    assert [shelf.first.digest, ""] == [digest_of(owner, shelf, tag) for tag in ("v1", "new")]


def test_a_version_that_has_a_tag_is_deleted_by_force_alone(shelf: Shelf, owner: httpx.Client) -> None:
    """DeleteVersionRequest.force: by default, a version that is tagged may not be deleted; the tags go with it."""
    path = shelf.path(f"/versions/{shelf.first.digest}")

    assert (400, "FAILED_PRECONDITION") == refusal(owner.delete(path))
    assert (400, "INVALID_ARGUMENT") == refusal(owner.delete(path, params={"force": "yes"}))
    operation = ok(owner.delete(path, params={"force": "true"}))

    assert operation["done"]
    assert ["", "", shelf.second.digest] == [digest_of(owner, shelf, each) for each in (shelf.first.digest, "v1", "v2")]
    assert (404, "NOT_FOUND") == refusal(owner.delete(path, params={"force": "true"}))


def test_a_version_that_an_index_names_is_not_deleted(shelf: Shelf, owner: httpx.Client) -> None:
    both = index([shelf.first, shelf.second])
    assert 201 == push(owner, f"{shelf.project}/team/app", both, "both").status_code

    for force in ("true", "false"):
        refused = owner.delete(shelf.path(f"/versions/{shelf.first.digest}"), params={"force": force})
        assert (400, "FAILED_PRECONDITION") == refusal(refused)
    ok(owner.delete(shelf.path(f"/versions/{both.digest}"), params={"force": "true"}))
    ok(owner.delete(shelf.path(f"/versions/{shelf.first.digest}"), params={"force": "true"}))

    assert ["", "", shelf.second.digest] == [digest_of(owner, shelf, each) for each in ("both", "v1", "v2")]


def test_a_package_is_deleted_whole_and_alone(shelf: Shelf, owner: httpx.Client) -> None:
    """More versions than go in one transaction; a repository below it, and one whose name goes on, are others."""
    both = index([shelf.first, shelf.second])
    assert 201 == push(owner, f"{shelf.project}/team/app", both, "both").status_code
    for number in range(60):
        child = index([shelf.first], annotations={"number": str(number)})
        assert 201 == push(owner, f"{shelf.project}/team/app", child, f"n{number}").status_code
    others = [push_image(owner, f"{shelf.project}/team/{name}") for name in ("app/below", "application")]

    assert ok(owner.delete(shelf.path()))["done"]

    assert {""} == {digest_of(owner, shelf, each) for each in ("v1", "both", "n0", "n59", shelf.second.digest, both.digest)}
    assert (404, "NOT_FOUND") == refusal(owner.get(shelf.path()))
    assert (404, "NOT_FOUND") == refusal(owner.delete(shelf.path()))
    packages = ok(owner.get(f"/v1/projects/{shelf.project}/locations/us/repositories/gcr.io/packages"))["packages"]
    assert ["app%2Fbelow", "application"] == [each["name"].partition("packages/team%2F")[2] for each in packages]
    for other, name in zip(others, ("app/below", "application"), strict=True):
        assert other.payload == owner.get(f"/v2/{shelf.project}/team/{name}/manifests/v1").content


def test_an_operation_is_answered_again_to_those_who_may_see_it(shelf: Shelf, installation: Installation, owner: httpx.Client) -> None:
    operation = ok(owner.delete(shelf.path(f"/versions/{shelf.first.digest}"), params={"force": "true"}))
    path = f"/v1/{operation['name']}"
    elsewhere = installation.project()

    assert operation["name"].startswith(f"projects/{shelf.project}/locations/us/operations/")
    assert operation == ok(owner.get(path))
    for other in (path[:-1], path.replace(shelf.project, elsewhere), path.replace("/ar.", "/acf.")):
        assert (404, "NOT_FOUND") == refusal(owner.get(other))
    with installation.client(installation.robot(elsewhere, "roles/owner")) as stranger:
        assert (404, "NOT_FOUND") == refusal(stranger.get(path))


def test_who_may_only_write_makes_and_moves_tags_and_deletes_nothing(shelf: Shelf, installation: Installation) -> None:
    """Artifact Registry, Access control: Artifact Registry Writer has tags.create and tags.update, and no delete."""
    version = shelf.version(shelf.second)
    with installation.client(installation.robot(shelf.project, WRITER)) as writer:
        ok(writer.post(shelf.path("/tags"), params={"tagId": "latest"}, json={"version": version}))
        ok(writer.patch(shelf.path("/tags/v1"), json={"version": version}))
        for path in ("/tags/v1", f"/versions/{shelf.first.digest}", ""):
            assert (403, "PERMISSION_DENIED") == refusal(writer.delete(shelf.path(path)))
    with installation.client(installation.robot(shelf.project, REPO_ADMIN)) as admin:
        ok(admin.delete(shelf.path("/tags/v1")))
        ok(admin.delete(shelf.path(f"/versions/{shelf.first.digest}")))


def test_rights_on_one_package_change_one_package(shelf: Shelf, installation: Installation, owner: httpx.Client) -> None:
    """And ask again for what was begun there."""
    other = push_image(owner, f"{shelf.project}/team/other")
    elsewhere = shelf.path().replace("team%2Fapp", "team%2Fother")
    email = installation.account(shelf.project, "keeper")
    installation.grant(shelf.project, "roles/browser", f"serviceAccount:{email}")
    with installation.client(installation.token_of(email)) as robot:
        policy = {"bindings": [{"role": REPO_ADMIN, "members": [f"serviceAccount:{email}"]}]}
        ok(owner.post(shelf.path(":setIamPolicy"), json={"policy": policy}))

        operation = ok(robot.delete(shelf.path(f"/versions/{shelf.first.digest}"), params={"force": "true"}))
        again = ok(robot.get(f"/v1/{operation['name']}"))
        ok(robot.delete(shelf.path("/tags/v2")))
        for path in ("/tags/v1", f"/versions/{other.digest}?force=true", ""):
            assert (403, "PERMISSION_DENIED") == refusal(robot.delete(elsewhere + path))

    assert operation == again
    assert other.payload == owner.get(f"/v2/{shelf.project}/team/other/manifests/v1").content


def test_what_was_deleted_is_in_the_audit_log(shelf: Shelf, owner: httpx.Client) -> None:
    ok(owner.delete(shelf.path("/tags/v1")))

    entries = ok(owner.post("/v2/entries:list", json={"resourceNames": [f"projects/{shelf.project}"], "pageSize": 50}))["entries"]

    (entry,) = [each for each in entries if each["protoPayload"]["methodName"].endswith("/tags/{tag}")]
    assert entry["protoPayload"]["resourceName"].endswith("repositories/team/app")
    assert "artifactregistry.googleapis.com" == entry["protoPayload"]["serviceName"]
