"""Roles over HTTP: those that are predefined, and an installation's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.accounts import Installation
from tests.kit.google import GCloud, needs_gcloud
from tests.kit.push import push_image

PULL = ["storage.objects.get", "storage.objects.list"]


def made(installation: Installation, parent: str, role_id: str = "puller", **role: Any) -> httpx.Response:
    body = {"roleId": role_id, "role": {"title": "Puller", "stage": "GA", "includedPermissions": PULL, **role}}
    return installation.owner.post(f"/v1/{parent}/roles", json=body)


def test_predefined_roles_are_listed_and_read(installation: Installation) -> None:
    listed = installation.owner.get("/v1/roles", params={"pageSize": 1000}).json()["roles"]
    assert {"roles/owner", "roles/viewer", "roles/storage.objectViewer"} <= {role["name"] for role in listed}
    assert all("includedPermissions" not in role for role in listed)

    role = installation.owner.get("/v1/roles/storage.objectViewer").json()
    assert set(PULL) <= set(role["includedPermissions"])
    assert 404 == installation.owner.get("/v1/roles/no.such").status_code
    assert 401 == httpx.get(f"{installation.url}/v1/roles").status_code
    grantable = installation.owner.post(
        "/v1/roles:queryGrantableRoles", json={"fullResourceName": "//cloudresourcemanager.googleapis.com/projects/p", "pageSize": 1000}
    )
    assert {role["name"] for role in listed} <= {role["name"] for role in grantable.json()["roles"]}


def test_permissions_that_a_role_can_hold_are_paged(installation: Installation) -> None:
    names: list[str] = []
    token = ""
    while True:
        body = {"fullResourceName": "//cloudresourcemanager.googleapis.com/projects/p", "pageSize": 50, "pageToken": token}
        page = installation.owner.post("/v1/permissions:queryTestablePermissions", json=body).json()
        names += [permission["name"] for permission in page["permissions"]]
        token = page.get("nextPageToken", "")
        if not token:
            break

    assert set(PULL) <= set(names)
    assert sorted(set(names)) == names


def test_an_own_role_gives_what_it_holds_from_that_moment(installation: Installation) -> None:
    project = installation.project()
    push_image(installation.owner, f"{project}/image")
    role = made(installation, f"projects/{project}").json()
    assert f"projects/{project}/roles/puller" == role["name"]
    email = installation.account(project, "reader")
    installation.grant(project, role["name"], f"serviceAccount:{email}")
    with installation.client(installation.token(f"serviceAccount:{email}")) as reader:

        def pulls() -> int:
            return reader.get(f"/v2/{project}/image/manifests/v1").status_code

        url = f"/v1/{role['name']}"
        assert 200 == pulls()
        installation.owner.patch(url, params={"updateMask": "includedPermissions"}, json={"includedPermissions": []}).raise_for_status()
        assert 403 == pulls()
        installation.owner.patch(url, params={"updateMask": "includedPermissions"}, json={"includedPermissions": PULL}).raise_for_status()
        assert 200 == pulls()
        assert installation.owner.delete(url).json()["deleted"]
        assert 403 == pulls()
        assert "deleted" not in installation.owner.post(f"{url}:undelete", json={}).json()
        assert 200 == pulls()
        installation.owner.patch(url, params={"updateMask": "stage"}, json={"stage": "DISABLED"}).raise_for_status()
        assert 403 == pulls()


def test_roles_are_listed_by_parent(installation: Installation) -> None:
    project, other = installation.project(registry=False), installation.project(registry=False)
    made(installation, f"projects/{project}").raise_for_status()
    made(installation, f"projects/{project}", "second").raise_for_status()
    made(installation, f"projects/{other}").raise_for_status()
    installation.owner.delete(f"/v1/projects/{project}/roles/second").raise_for_status()

    def names(**parameters: str) -> list[str]:
        found = installation.owner.get(f"/v1/projects/{project}/roles", params=parameters).json()
        return [role["name"].rpartition("/")[2] for role in found.get("roles", [])]

    assert ["puller"] == names()
    assert ["puller", "second"] == names(showDeleted="true")
    assert 409 == made(installation, f"projects/{project}", "second").status_code


def test_the_organizations_roles_can_be_given_everywhere(installation: Installation) -> None:
    project = installation.project(registry=False)
    role_id = "org_" + project.replace("-", "_")
    role = made(installation, "organizations/0", role_id).json()["name"]
    assert f"organizations/0/roles/{role_id}" == role

    installation.grant(project, role, "user:v@example.com")

    assert 404 == made(installation, "organizations/5", role_id).status_code
    installation.owner.delete(f"/v1/{role}").raise_for_status()


def test_a_projects_roles_can_be_given_there_only(installation: Installation) -> None:
    project, other = installation.project(registry=False), installation.project(registry=False)
    role = made(installation, f"projects/{project}").json()["name"]
    binding = {"role": role, "members": ["user:v@example.com"]}

    assert 400 == installation.owner.post(f"/v1/projects/{other}:setIamPolicy", json={"policy": {"bindings": [binding]}}).status_code


@pytest.mark.parametrize(
    ("role_id", "role"),
    [
        ("x", {}),
        ("a-b-c", {}),
        ("mine", {"includedPermissions": ["storage.objects.*"]}),
        ("mine", {"includedPermissions": ["no.such.permission"]}),
        ("mine", {"stage": "SOON"}),
        ("mine", {"title": "x" * 101}),
        ("mine", {"title": "two\x00parts"}),
        ("mine", {"colour": "red"}),
    ],
)
def test_what_no_role_can_be_is_refused(installation: Installation, role_id: str, role: dict[str, Any]) -> None:
    assert 400 == made(installation, f"projects/{installation.project(registry=False)}", role_id, **role).status_code


@pytest.mark.slow
def test_an_old_etag_writes_nothing_and_only_role_admins_write(installation: Installation) -> None:
    project = installation.project(registry=False)
    role = made(installation, f"projects/{project}").json()
    url = f"/v1/{role['name']}"
    assert "New" == installation.owner.patch(url, json={"title": "New", "etag": role["etag"]}).json()["title"]
    assert 409 == installation.owner.patch(url, json={"title": "Newer", "etag": role["etag"]}).status_code

    with installation.client(installation.robot(project, "roles/editor")) as editor:
        assert 403 == editor.patch(url, json={"includedPermissions": ["resourcemanager.projects.setIamPolicy"]}).status_code
        assert 403 == editor.delete(url).status_code
    with installation.client(installation.robot(project, "roles/iam.roleAdmin")) as admin:
        assert 200 == admin.patch(url, json={"title": "By the admin"}).status_code


@pytest.mark.slow
@needs_gcloud
def test_gcloud_iam_roles(installation: Installation, tmp_path: Path) -> None:
    gcloud, project = GCloud(installation, tmp_path), installation.project(registry=False)

    gcloud("iam", "roles", "create", "puller", "--project", project, "--title", "Puller", "--permissions", ",".join(PULL))
    assert "Puller" == gcloud("iam", "roles", "describe", "puller", "--project", project, "--format", "value(title)")
    gcloud("iam", "roles", "update", "puller", "--project", project, "--add-permissions", "storage.buckets.get")
    assert "storage.buckets.get" in gcloud("iam", "roles", "describe", "puller", "--project", project)
    assert f"projects/{project}/roles/puller" == gcloud("iam", "roles", "list", "--project", project, "--format", "value(name)")
    gcloud("iam", "roles", "delete", "puller", "--project", project)
    gcloud("iam", "roles", "undelete", "puller", "--project", project)
    assert "roles/storage.objectViewer" in gcloud("iam", "roles", "list", "--format", "value(name)")
