"""
What gcloud does with projects, rights and accounts beyond the plain round of each (tests/iam): as the guides of Container Registry have it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.content import complete_image
from tests.kit.gcr import Gcr, GcrGCloud, installed_as_gcr
from tests.kit.google import needs_gcloud
from tests.kit.program import Program, find
from tests.kit.push import push_image

pytestmark = [pytest.mark.slow, needs_gcloud]

REGISTRY = "containerregistry.googleapis.com"


@pytest.fixture(scope="module")
def gcr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcr]:
    with installed_as_gcr("http", tmp_path_factory.mktemp("administration")) as found:
        yield found


@pytest.fixture
def project(gcr: Gcr) -> str:
    return gcr.installation.project()


@pytest.fixture
def gcloud(gcr: Gcr, project: str, tmp_path: Path) -> GcrGCloud:
    return gcr.gcloud(tmp_path / "gcloud", project)


def test_a_project_s_ancestors_are_told_with_their_policies(gcloud: GcrGCloud, project: str) -> None:
    found = json.loads(gcloud("projects", "get-ancestors-iam-policy", project, "--format=json"))

    assert [("project", project), ("organization", "0")] == [(each["type"], each["id"]) for each in found]
    assert all(any(binding["role"] == "roles/owner" for binding in each["policy"]["bindings"]) for each in found)


def test_who_has_a_role_is_asked_as_the_guides_do(gcloud: GcrGCloud, project: str) -> None:
    """A whole policy is written from a file, and read by member."""
    before = json.loads(gcloud("projects", "get-iam-policy", project, "--format=json"))
    before["bindings"].append({"role": "roles/storage.objectViewer", "members": ["user:v@example.com", "user:w@example.com"]})
    file = Path(gcloud.environment["CLOUDSDK_CONFIG"]) / "policy.json"
    file.write_text(json.dumps(before))

    gcloud("projects", "set-iam-policy", project, str(file))
    of_one = gcloud(
        *("projects", "get-iam-policy", project, "--flatten=bindings[].members"),
        *("--format=value(bindings.role)", "--filter=bindings.members:v@example.com"),
    )

    assert "roles/storage.objectViewer" == of_one


def test_a_project_is_made_once(gcloud: GcrGCloud, project: str) -> None:
    again = gcloud.run("projects", "create", project)

    assert 1 == again.returncode
    assert "already in use by another project" in again.stderr


def test_what_others_need_is_disabled_by_force_only(gcr: Gcr, gcloud: GcrGCloud, project: str) -> None:
    """Container Registry tells of pushes by Pub/Sub. Without it there is no registry any more, and with it what there was."""
    image = push_image(gcr.installation.owner, f"{project}/image")

    refused = gcloud.run("services", "disable", "pubsub.googleapis.com")
    gcloud("services", "disable", "pubsub.googleapis.com", "--force")
    away = gcr.installation.owner.get(f"/v2/{project}/image/manifests/v1")
    gcloud("services", "enable", REGISTRY)

    assert "is depended on by the following active service(s): containerregistry.googleapis.com" in refused.stderr
    assert (403, "DENIED") == (away.status_code, away.json()["errors"][0]["code"])
    assert image.payload == complete_image(gcr.installation.owner, f"{project}/image", "v1").payload


@pytest.mark.parametrize("host", ["gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io"])
def test_a_role_on_a_bucket_is_a_role_on_its_host(gcr: Gcr, gcloud: GcrGCloud, project: str, host: str) -> None:
    """Container Registry, Configuring access control: `gcloud storage buckets add-iam-policy-binding gs://us.artifacts.P.appspot.com`."""
    installation, repository = gcr.installation, f"{project}/image"
    reader = installation.account(project, "reader")
    bucket = f"gs://{host.removesuffix('gcr.io')}artifacts.{project}.appspot.com"
    member = (f"--member=serviceAccount:{reader}", "--role=roles/storage.objectViewer")
    hosts = {host, "gcr.io", "eu.gcr.io"}
    for each in hosts:
        with installation.client(installation.owner_token, Host=each) as there:
            push_image(there, repository)

    gcloud("storage", "buckets", "add-iam-policy-binding", bucket, *member)

    token = installation.token(f"serviceAccount:{reader}")
    seen = {}
    for each in hosts:
        with installation.client(token, Host=each) as there:
            seen[each] = there.get(f"/v2/{repository}/manifests/v1").status_code
    assert {each: 200 if each == host else 403 for each in hosts} == seen


def test_an_account_comes_back_by_its_number(gcloud: GcrGCloud, project: str) -> None:
    email = f"worker@{project}.iam.gserviceaccount.com"
    gcloud("iam", "service-accounts", "create", "worker", "--display-name=Worker", "--description=pulls")
    number = gcloud("iam", "service-accounts", "describe", email, "--format=value(uniqueId)")

    gcloud("iam", "service-accounts", "delete", email)
    assert "" == gcloud("iam", "service-accounts", "list", "--format=value(email)")
    gcloud("iam", "service-accounts", "undelete", number)

    assert ["Worker,pulls"] == gcloud("iam", "service-accounts", "list", "--format=csv[no-heading](displayName,description)").split()


def test_a_disabled_account_has_no_way_in_until_it_is_enabled(gcr: Gcr, gcloud: GcrGCloud, project: str, tmp_path: Path) -> None:
    email, file = gcr.installation.account(project, "sleeper"), tmp_path / "key.json"
    gcloud("iam", "service-accounts", "keys", "create", str(file), f"--iam-account={email}")
    other = gcr.gcloud(tmp_path / "other", project)
    other.forget_token()

    gcloud("iam", "service-accounts", "disable", email)
    refused = other.run("auth", "activate-service-account", f"--key-file={file}")
    gcloud("iam", "service-accounts", "enable", email)
    other("auth", "activate-service-account", f"--key-file={file}")

    assert 0 != refused.returncode
    assert email == other("auth", "list", "--filter=status:ACTIVE", "--format=value(account)")
    (key,) = json.loads(gcloud("iam", "service-accounts", "keys", "list", f"--iam-account={email}", "--managed-by=user", "--format=json"))
    assert json.loads(file.read_text())["private_key_id"] == key["name"].rpartition("/")[2]


def test_roles_are_found_and_copied(gcloud: GcrGCloud, project: str) -> None:
    resource = f"//cloudresourcemanager.googleapis.com/projects/{project}"

    grantable = gcloud("iam", "list-grantable-roles", resource, "--format=value(name)").split()
    testable = gcloud("iam", "list-testable-permissions", resource, "--filter=name~dockerimages", "--format=value(name)").split()
    gcloud("iam", "roles", "copy", "--source=roles/storage.objectViewer", "--destination=copied", f"--dest-project={project}")
    copied = json.loads(gcloud("iam", "roles", "describe", "copied", f"--project={project}", "--format=json"))

    assert {"roles/storage.objectViewer", "roles/artifactregistry.reader"} <= set(grantable)
    assert ["artifactregistry.dockerimages.get", "artifactregistry.dockerimages.list"] == testable
    assert {"storage.objects.get", "storage.objects.list"} <= set(copied["includedPermissions"])


def test_docker_is_told_to_ask_gcloud(gcr: Gcr, gcloud: GcrGCloud, tmp_path: Path) -> None:
    """`auth configure-docker` with a list of hosts, and then what docker does: `docker-credential-gcloud get`."""
    environment = {**gcloud.environment, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
    shell = Program(find("gcloud"), tmp_path / "home", environment=environment)
    helper = Program(find("docker-credential-gcloud"), tmp_path / "home", environment=environment)

    shell.run("auth", "configure-docker", "gcr.io,us.gcr.io,eu.gcr.io,asia.gcr.io")
    told = json.loads(helper.run("get", stdin=b"https://eu.gcr.io"))

    settings = json.loads((shell.home / ".config/config.json").read_text())
    assert dict.fromkeys(("gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io"), "gcloud") == settings["credHelpers"]
    assert ("_dcgcloud_token", gcr.installation.owner_token) == (told["Username"], told["Secret"])
