"""Cloud Asset v1, searchAllResources: the buckets of registries, as `gcloud container images list-gcr-usage` asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.accounts import Installation, installed
from tests.kit.push import push_image

ASKED = {"query": "name:artifacts appspot com", "assetTypes": "storage.googleapis.com/Bucket", "readMask": "name,parentFullResourceName"}


def search(client: httpx.Client, scope: str, **parameters: str | int) -> Any:
    response = client.get(f"/v1/{scope}:searchAllResources", params={**ASKED, **parameters})
    assert 200 == response.status_code, response.text
    return response.json()


def test_the_buckets_with_images_are_found(installation: Installation) -> None:
    project, owner = installation.project(), installation.owner
    assert {} == search(owner, f"projects/{project}")
    push_image(owner, f"{project}/image")
    with installation.client(installation.owner_token, Host="eu.gcr.io") as there:
        push_image(there, f"{project}/image")

    found = search(owner, f"projects/{project}")["results"]

    assert {
        (f"//storage.googleapis.com/{prefix}artifacts.{project}.appspot.com", f"//cloudresourcemanager.googleapis.com/projects/{project}")
        for prefix in ("", "eu.")
    } == {(each["name"], each["parentFullResourceName"]) for each in found}


def test_a_project_that_is_being_deleted_has_none(installation: Installation) -> None:
    project, owner = installation.project(), installation.owner
    push_image(owner, f"{project}/image")

    assert 200 == owner.delete(f"/v1/projects/{project}").status_code

    assert {} == search(owner, f"projects/{project}")


def test_other_assets_are_not_there(installation: Installation) -> None:
    project, owner = installation.project(), installation.owner
    push_image(owner, f"{project}/image")

    assert {} == search(owner, f"projects/{project}", assetTypes="compute.googleapis.com/Instance")
    assert {"results"} == set(search(owner, f"projects/{project}", query=""))


@pytest.mark.parametrize("scope", ["projects/{}", "organizations/0"])
def test_another_query_is_refused(installation: Installation, scope: str) -> None:
    scope = scope.format(installation.project())

    refused = installation.owner.get(f"/v1/{scope}:searchAllResources", params={"query": "state:ACTIVE"})

    assert (400, "INVALID_ARGUMENT") == (refused.status_code, refused.json()["error"]["status"])


@pytest.mark.slow
def test_those_of_all_projects_come_in_pages(tmp_path: Path) -> None:
    """In an installation of its own, where nobody else makes projects meanwhile."""
    with installed(tmp_path / "data", "--processes", "1") as own:
        projects = sorted(own.project() for _ in range(3))
        own.project()
        for project in projects:
            push_image(own.owner, f"{project}/image")
        found, token, pages = [], "", 0
        while pages == 0 or token:
            answer = search(own.owner, "organizations/0", pageSize=1, pageToken=token)
            found += [each["parentFullResourceName"].rpartition("/")[2] for each in answer.get("results", [])]
            token, pages = answer.get("nextPageToken", ""), pages + 1

        assert projects == found
        assert pages <= 5
        with own.client(own.robot(projects[0], "roles/owner")) as robot:
            assert 403 == robot.get("/v1/organizations/0:searchAllResources").status_code
