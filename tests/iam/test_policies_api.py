"""Policies over HTTP: etags, conditions, custom roles, and rights on one repository or on the beginning of a path."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.kit.accounts import Installation
from tests.kit.google import GCloud, needs_gcloud
from tests.kit.push import push_image

VIEWER = {"role": "roles/viewer", "members": ["user:v@example.com"]}
CONDITION = {"title": "soon over", "expression": 'request.time < timestamp("2030-01-01T00:00:00Z")'}
CONDITIONAL = {"role": "roles/browser", "members": ["user:w@example.com"], "condition": CONDITION}


def read(installation: Installation, project: str, version: int = 3) -> dict[str, Any]:
    body = {"options": {"requestedPolicyVersion": version}} if version else {}
    response = installation.owner.post(f"/v1/projects/{project}:getIamPolicy", json=body)
    assert 200 == response.status_code, response.text
    return dict(response.json())


def write(installation: Installation, project: str, policy: dict[str, Any], **body: str) -> httpx.Response:
    return installation.owner.post(f"/v1/projects/{project}:setIamPolicy", json={"policy": policy, **body})


def test_what_was_set_is_read(installation: Installation) -> None:
    project = installation.project(registry=False)
    policy = read(installation, project)

    stored = write(installation, project, {**policy, "bindings": [*policy["bindings"], VIEWER], "version": 3}).json()

    assert stored == read(installation, project)
    assert VIEWER in stored["bindings"]
    assert stored["etag"] != policy["etag"]
    assert 1 == stored["version"]


def test_an_old_etag_writes_nothing(installation: Installation) -> None:
    """Two administrators at once: the second reads again."""
    project = installation.project(registry=False)
    policy = read(installation, project)
    assert 200 == write(installation, project, {**policy, "bindings": [VIEWER]}).status_code

    refused = write(installation, project, {**policy, "bindings": []})

    assert (409, "ABORTED") == (refused.status_code, refused.json()["error"]["status"])
    assert [VIEWER] == read(installation, project)["bindings"]


def test_etags_come_back_in_either_alphabet(installation: Installation) -> None:
    """contract.md, 2: gcloud writes bytes URL-safe, Python's clients do not, and either may leave out the padding."""
    project = installation.project(registry=False)
    for change in (lambda etag: etag.replace("+", "-").replace("/", "_"), lambda etag: etag.rstrip("=")):
        policy = read(installation, project)
        assert policy["etag"] == base64.b64encode(base64.b64decode(policy["etag"])).decode()
        assert 200 == write(installation, project, {**policy, "etag": change(policy["etag"])}).status_code
    assert 400 == write(installation, project, {"bindings": [], "etag": "not base64 at all!"}).status_code


def test_conditions_are_shown_only_to_who_knows_them(installation: Installation) -> None:
    """Else an old client would write the binding back without its condition, and so give the role for ever."""
    project = installation.project(registry=False)
    assert 200 == write(installation, project, {"bindings": [CONDITIONAL], "version": 3}).status_code

    whole = read(installation, project, 3)
    assert (3, [CONDITIONAL]) == (whole["version"], whole["bindings"])
    for version in (0, 1):
        old = read(installation, project, version)
        assert 1 == old["version"]
        assert old["bindings"][0]["role"].startswith("roles/browser_withcond_")
        assert "condition" not in old["bindings"][0]
        assert 400 == write(installation, project, old).status_code
    assert 400 == write(installation, project, {"bindings": [CONDITIONAL], "version": 1}).status_code
    assert whole == read(installation, project, 3)


def test_a_mask_without_bindings_leaves_them(installation: Installation) -> None:
    project = installation.project(registry=False)
    assert 200 == write(installation, project, {"bindings": [VIEWER]}).status_code

    assert 200 == write(installation, project, {"bindings": []}, updateMask="etag").status_code
    assert [VIEWER] == read(installation, project)["bindings"]
    assert 200 == write(installation, project, {"bindings": []}, updateMask="bindings,etag").status_code
    assert "bindings" not in read(installation, project)


@pytest.mark.parametrize(
    "binding",
    [
        {"role": "roles/no.such", "members": ["user:v@example.com"]},
        {"role": "projects/other-project/roles/mine", "members": ["user:v@example.com"]},
        {"role": "organizations/0/roles/missing", "members": ["user:v@example.com"]},
        {"role": "roles/owner", "members": ["allUsers"]},
        {"role": "roles/viewer", "members": ["somebody"]},
        {"role": "roles/viewer", "members": ["user:v@example.com"], "colour": "red"},
        {"role": "roles/browser", "members": ["user:v@example.com"], "condition": {"title": "t", "expression": "resource.nam == 1"}},
    ],
)
def test_what_makes_no_sense_is_not_stored(installation: Installation, binding: dict[str, Any]) -> None:
    project = installation.project(registry=False)
    before = read(installation, project)

    assert 400 == write(installation, project, {"bindings": [binding], "version": 3}).status_code
    assert before == read(installation, project)


def test_permissions_are_tested_by_name_only(installation: Installation) -> None:
    project = installation.project(registry=False)
    with installation.client(installation.robot(project, "roles/viewer")) as viewer:
        asked = ["resourcemanager.projects.get", "resourcemanager.projects.delete", "compute.instances.get"]
        url = f"/v1/projects/{project}:testIamPermissions"
        assert {"permissions": asked[:1]} == viewer.post(url, json={"permissions": asked}).json()
        for wrong in ("*", "storage.*", "storage.objects.*", "storage", ""):
            assert 400 == viewer.post(url, json={"permissions": [wrong]}).status_code
        assert 400 == viewer.post(url, json={"permissions": ["storage.objects.get"] * 101}).status_code
    with installation.client() as nobody:
        assert 401 == nobody.post(url, json={"permissions": []}).status_code


@pytest.mark.slow
def test_only_who_may_set_a_policy_sets_it(installation: Installation) -> None:
    """An editor gives nobody rights, least of all himself."""
    project = installation.project(registry=False)
    for role in ("roles/editor", "roles/viewer", "roles/storage.admin", "roles/iam.serviceAccountAdmin"):
        with installation.client(installation.robot(project, role)) as robot:
            response = robot.post(f"/v1/projects/{project}:setIamPolicy", json={"policy": {"bindings": []}})
            assert 403 == response.status_code, role
    assert read(installation, project)["bindings"]


# Finer than Container Registry was


def test_rights_on_a_repository_and_on_a_paths_beginning(installation: Installation) -> None:
    """contract.md, 2.7: gcr.io/P/team/app is package team/app of projects/P/locations/us/repositories/gcr.io."""
    project = installation.project()
    email = installation.account(project, "reader")
    for path in ("team/app", "team/app/sub", "team/application", "other"):
        push_image(installation.owner, f"{project}/{path}")
    with installation.client(installation.token(f"serviceAccount:{email}")) as reader:

        def pulls(path: str) -> int:
            return reader.get(f"/v2/{project}/{path}/manifests/v1").status_code

        assert [403, 403] == [pulls("team/app"), pulls("other")]

        package = f"/v1/projects/{project}/locations/us/repositories/gcr.io/packages/{quote('team/app', safe='')}"
        policy = installation.owner.get(f"{package}:getIamPolicy").json()
        assert "bindings" not in policy
        binding = {"role": "roles/artifactregistry.reader", "members": [f"serviceAccount:{email}"]}
        stored = installation.owner.post(f"{package}:setIamPolicy", json={"policy": {**policy, "bindings": [binding]}})
        assert 200 == stored.status_code, stored.text

        assert [200, 200, 403, 403] == [pulls(path) for path in ("team/app", "team/app/sub", "team/application", "other")]
        held = reader.post(f"{package}:testIamPermissions", json={"permissions": ["artifactregistry.repositories.downloadArtifacts"]})
        assert ["artifactregistry.repositories.downloadArtifacts"] == held.json()["permissions"]

        whole = f"/v1/projects/{project}/locations/us/repositories/gcr.io"
        installation.owner.post(f"{whole}:setIamPolicy", json={"policy": {"bindings": [binding]}}).raise_for_status()
        assert 200 == pulls("other")


def test_repositories_are_those_of_the_hosts(installation: Installation) -> None:
    project = installation.project()
    base = f"/v1/projects/{project}/locations"

    assert "DOCKER" == installation.owner.get(f"{base}/us/repositories/gcr.io").json()["format"]
    listed = installation.owner.get(f"{base}/us/repositories").json()["repositories"]
    assert {"gcr.io", "us.gcr.io"} == {each["name"].rpartition("/")[2] for each in listed}
    for wrong in ("europe/repositories/gcr.io", "us/repositories/other", "us/repositories/gcr.io%2Fx"):
        assert 404 == installation.owner.get(f"{base}/{wrong}").status_code
    for path in ("..", "a%2F%2Fb", "A", "a%00b", "a%2F..%2Fb"):
        assert 404 == installation.owner.get(f"{base}/us/repositories/gcr.io/packages/{path}:getIamPolicy").status_code, path
    settings = installation.owner.get(f"/v1/projects/{project}/projectSettings").json()
    assert "REDIRECTION_FROM_GCR_IO_ENABLED" == settings["legacyRedirectionState"]


@pytest.mark.slow
@needs_gcloud
def test_gcloud_artifacts_repositories(installation: Installation, tmp_path: Path) -> None:
    gcloud, project = GCloud(installation, tmp_path), installation.project()
    here, binding = (
        ("gcr.io", "--location", "us", "--project", project),
        ("--member", "user:v@example.com", "--role", "roles/artifactregistry.reader"),
    )

    assert "gcr.io" in gcloud("artifacts", "repositories", "list", "--location", "us", "--project", project)
    assert "eu.gcr.io" in gcloud("artifacts", "repositories", "list", "--project", project)
    gcloud("artifacts", "repositories", "describe", *here)
    gcloud("artifacts", "repositories", "add-iam-policy-binding", *here, *binding)
    assert "user:v@example.com" in gcloud("artifacts", "repositories", "get-iam-policy", *here)
    gcloud("artifacts", "repositories", "remove-iam-policy-binding", *here, *binding)
    assert "user:v@example.com" not in gcloud("artifacts", "repositories", "get-iam-policy", *here)


@pytest.mark.slow
@needs_gcloud
def test_gcloud_organizations(installation: Installation, tmp_path: Path) -> None:
    """This installation is the one organization."""
    gcloud, binding = GCloud(installation, tmp_path), ("--member", "user:v@example.com", "--role", "roles/browser", "--condition", "None")

    assert "0" == gcloud("organizations", "list", "--format", "value(name.basename())")
    gcloud("organizations", "add-iam-policy-binding", "0", *binding)
    assert "user:v@example.com" in gcloud("organizations", "get-iam-policy", "0")
    gcloud("organizations", "remove-iam-policy-binding", "0", *binding)
    project = installation.project(registry=False)
    assert "organization" in gcloud("projects", "get-ancestors", project)
    gcloud("config", "set", "project", project)
