"""Rights on a registry's bucket are rights on its images, as Container Registry's documentation gives them (contract.md, 2.8)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kit.accounts import Installation
from tests.kit.google import GCloud, needs_gcloud
from tests.kit.push import push_image

EU = {"Host": "eu.gcr.io"}


def given(installation: Installation, bucket: str, role: str, member: str) -> None:
    """What `gcloud storage buckets add-iam-policy-binding` sends."""
    url = f"/storage/v1/b/{bucket}/iam"
    policy = installation.owner.get(url, params={"optionsRequestedPolicyVersion": 3}).json()
    policy["bindings"] = [*policy.get("bindings", []), {"role": role, "members": [member]}]
    response = installation.owner.put(url, json=policy)
    assert 200 == response.status_code, response.text
    assert policy["bindings"] == response.json()["bindings"]


def test_a_buckets_policy_is_for_the_images_of_its_host(installation: Installation) -> None:
    """artifacts.P is gcr.io's, eu.artifacts.P is eu.gcr.io's: rights on the one are none on the other."""
    project = installation.project()
    push_image(installation.owner, f"{project}/image")
    with installation.client(installation.owner_token, **EU) as european:
        push_image(european, f"{project}/image")
    email = installation.account(project, "reader")
    token = installation.token(f"serviceAccount:{email}")
    with installation.client(token) as reader, installation.client(token, **EU) as european:
        url = f"/v2/{project}/image/manifests/v1"
        assert [403, 403] == [reader.get(url).status_code, european.get(url).status_code]

        given(installation, f"eu.artifacts.{project}.appspot.com", "roles/storage.objectViewer", f"serviceAccount:{email}")
        assert [403, 200] == [reader.get(url).status_code, european.get(url).status_code]

        given(installation, f"artifacts.{project}.appspot.com", "roles/storage.objectViewer", f"serviceAccount:{email}")
        assert [200, 200] == [reader.get(url).status_code, european.get(url).status_code]


def test_all_users_of_a_bucket_pull_without_a_credential(installation: Installation) -> None:
    """GCR's way to make images public."""
    project = installation.project()
    push_image(installation.owner, f"{project}/image")
    with installation.client() as nobody:
        assert 401 == nobody.get(f"/v2/{project}/image/manifests/v1").status_code

        given(installation, f"artifacts.{project}.appspot.com", "roles/storage.objectViewer", "allUsers")

        assert 200 == nobody.get(f"/v2/{project}/image/manifests/v1").status_code


def test_policies_have_cloud_storages_shape(installation: Installation) -> None:
    project = installation.project(registry=False)
    bucket = f"artifacts.{project}.appspot.com"

    policy = installation.owner.get(f"/storage/v1/b/{bucket}/iam").json()
    assert ("storage#policy", f"projects/_/buckets/{bucket}") == (policy["kind"], policy["resourceId"])
    asked = {"permissions": ["storage.buckets.get", "storage.objects.create"]}
    held = installation.owner.get(f"/storage/v1/b/{bucket}/iam/testPermissions", params=asked).json()
    assert {"kind": "storage#testIamPermissionsResponse", **asked} == held
    installation.owner.put(f"/storage/v1/b/{bucket}/iam", json={"bindings": [], "etag": policy["etag"]}).raise_for_status()
    old = installation.owner.put(f"/storage/v1/b/{bucket}/iam", json={"bindings": [], "etag": policy["etag"]})
    assert (412, "conditionNotMet") == (old.status_code, old.json()["error"]["errors"][0]["reason"])


def test_buckets_are_listed_and_read(installation: Installation) -> None:
    project = installation.project(registry=False)

    listed: list[dict[str, Any]] = installation.owner.get("/storage/v1/b", params={"project": project}).json()["items"]

    names = {f"{prefix}artifacts.{project}.appspot.com" for prefix in ("", "us.", "eu.", "asia.")}
    assert names <= {bucket["name"] for bucket in listed}
    assert listed[0] == installation.owner.get(f"/storage/v1/b/{listed[0]['name']}").json()
    with installation.client(installation.robot(installation.project(registry=False), "roles/owner")) as robot:
        assert [403, 403] == [robot.get("/storage/v1/b", params={"project": name}).status_code for name in (project, "no-such-project")]


@pytest.mark.parametrize(
    "bucket", ["a-bucket", "artifacts.P.appspot.com.example.com", "xx.artifacts.{}.appspot.com", "artifacts.a%2Fb.appspot.com"]
)
def test_other_buckets_are_not_here(installation: Installation, bucket: str) -> None:
    answer = installation.owner.get(f"/storage/v1/b/{bucket.format(installation.project(registry=False))}/iam")

    assert 404 == answer.status_code


def test_what_is_missing_and_what_is_forbidden_are_answered_alike(installation: Installation) -> None:
    mine, other = installation.project(registry=False), installation.project(registry=False)
    with installation.client(installation.robot(mine, "roles/owner")) as robot:
        answers = [robot.get(f"/storage/v1/b/artifacts.{name}.appspot.com/iam") for name in (other, "no-such-project")]

        assert [403, 403] == [answer.status_code for answer in answers]
        assert answers[0].text.replace(other, "X") == answers[1].text.replace("no-such-project", "X")
        assert "forbidden" == answers[0].json()["error"]["errors"][0]["reason"]


@pytest.mark.slow
@needs_gcloud
def test_gcloud_storage_buckets(installation: Installation, tmp_path: Path) -> None:
    gcloud, project = GCloud(installation, tmp_path), installation.project(registry=False)
    bucket = f"gs://artifacts.{project}.appspot.com"
    binding = ("--member", "user:v@example.com", "--role", "roles/storage.objectViewer")

    gcloud("storage", "buckets", "add-iam-policy-binding", bucket, *binding)
    assert "user:v@example.com" in gcloud("storage", "buckets", "get-iam-policy", bucket)
    gcloud("storage", "buckets", "remove-iam-policy-binding", bucket, *binding)
    assert "user:v@example.com" not in gcloud("storage", "buckets", "get-iam-policy", bucket)
