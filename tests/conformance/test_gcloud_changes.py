"""
`gcloud artifacts …` that changes what is in a registry: tags are added and deleted, images, versions and packages are deleted, under
Google's names over HTTPS (contract.md, 2.7).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.gcr import Gcr, GcrGCloud, installed_as_gcr
from tests.kit.google import needs_gcloud
from tests.kit.push import Document, index, push, push_image

pytestmark = [pytest.mark.slow, needs_gcloud]

HERE = ("--location=us", "--repository=gcr.io")


@pytest.fixture(scope="module")
def gcr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcr]:
    with installed_as_gcr("https", tmp_path_factory.mktemp("changes")) as found:
        yield found


@pytest.fixture(scope="module")
def project(gcr: Gcr) -> str:
    return gcr.installation.project()


@pytest.fixture(scope="module")
def gcloud(gcr: Gcr, project: str, tmp_path_factory: pytest.TempPathFactory) -> GcrGCloud:
    return gcr.gcloud(tmp_path_factory.mktemp("gcloud"), project)


def tags_of(gcr: Gcr, name: str) -> list[str]:
    return list(gcr.installation.owner.get(f"/v2/{name}/tags/list").json().get("tags", []))


def digest_of(gcr: Gcr, name: str, reference: str) -> str:
    """What the registry itself says; "" for what is not there."""
    return str(gcr.installation.owner.head(f"/v2/{name}/manifests/{reference}").headers.get("Docker-Content-Digest", ""))


def image(gcr: Gcr, name: str, *tags: str) -> Document:
    made = push_image(gcr.installation.owner, name, tags[0])
    for tag in tags[1:]:
        assert 201 == push(gcr.installation.owner, name, made, tag).status_code
    return made


def test_docker_tags_are_added_moved_and_deleted(gcr: Gcr, gcloud: GcrGCloud, project: str) -> None:
    """By the name that gcloud takes here; a tag that is there is moved by deleting it first."""
    name, here = f"{project}/team/app", f"us-docker.pkg.dev/{project}/gcr.io/team/app"
    first, second = image(gcr, name, "v1"), image(gcr, name, "v2")
    tags = ("artifacts", "docker", "tags")

    gcloud(*tags, "add", f"{here}:v1", f"{here}:latest")
    assert first.digest == digest_of(gcr, name, "latest")
    gcloud(*tags, "add", f"{here}@{second.digest}", f"{here}:latest")
    assert second.digest == digest_of(gcr, name, "latest")
    gcloud(*tags, "delete", f"{here}:latest", "--quiet")

    assert ["v1", "v2"] == tags_of(gcr, name)
    gone = gcloud.run(*tags, "delete", f"{here}:latest", "--quiet")
    assert 1 == gone.returncode
    assert "latest" in gone.stderr


def test_docker_images_are_deleted(gcr: Gcr, gcloud: GcrGCloud, project: str) -> None:
    """One by its tag, one with all its tags, then all that are left."""
    name, here = f"{project}/web", f"us-docker.pkg.dev/{project}/gcr.io/web"
    one, many, left = image(gcr, name, "one"), image(gcr, name, "a", "b"), image(gcr, name, "left")
    delete = ("artifacts", "docker", "images", "delete")

    gcloud(*delete, f"{here}:one", "--quiet")
    assert "" == digest_of(gcr, name, one.digest)
    refused = gcloud.run(*delete, f"{here}@{many.digest}", "--quiet")
    assert "because it is tagged" in refused.stderr
    gcloud(*delete, f"{here}@{many.digest}", "--delete-tags", "--quiet")
    assert ["left"] == tags_of(gcr, name)
    gcloud(*delete, here, "--quiet")

    assert "" == digest_of(gcr, name, left.digest)


def test_an_image_that_an_index_needs_is_not_deleted(gcr: Gcr, gcloud: GcrGCloud, project: str) -> None:
    """The index goes first."""
    name, here = f"{project}/multi", f"us-docker.pkg.dev/{project}/gcr.io/multi"
    child = image(gcr, name, "child")
    both = index([child])
    assert 201 == push(gcr.installation.owner, name, both, "both").status_code
    delete = ("artifacts", "docker", "images", "delete")

    refused = gcloud.run(*delete, f"{here}@{child.digest}", "--delete-tags", "--quiet")

    assert 1 == refused.returncode
    assert "FAILED_PRECONDITION" in refused.stderr
    assert child.digest == digest_of(gcr, name, child.digest)
    gcloud(*delete, f"{here}@{both.digest}", "--delete-tags", "--quiet")
    gcloud(*delete, f"{here}@{child.digest}", "--delete-tags", "--quiet")
    assert "" == digest_of(gcr, name, child.digest)


def test_tags_versions_and_packages_are_changed_by_their_own_commands(gcr: Gcr, gcloud: GcrGCloud, project: str) -> None:
    name, package = f"{project}/lib", ("--package=lib", *HERE)
    first, second = image(gcr, name, "v1"), image(gcr, name, "v2")

    gcloud("artifacts", "tags", "create", "latest", f"--version={first.digest}", *package)
    assert first.digest == digest_of(gcr, name, "latest")
    gcloud("artifacts", "tags", "update", "latest", f"--version={second.digest}", *package)
    assert second.digest == digest_of(gcr, name, "latest")
    gcloud("artifacts", "tags", "delete", "latest", *package, "--quiet")
    assert ["v1", "v2"] == tags_of(gcr, name)
    refused = gcloud.run("artifacts", "versions", "delete", first.digest, *package, "--quiet")
    assert 1 == refused.returncode
    gcloud("artifacts", "versions", "delete", first.digest, "--delete-tags", *package, "--quiet")
    assert ["v2"] == tags_of(gcr, name)
    gcloud("artifacts", "packages", "delete", "lib", *HERE, "--quiet")

    listed = json.loads(gcloud("artifacts", "packages", "list", *HERE, "--format=json"))
    assert "lib" not in [each["name"] for each in listed]


def test_who_may_only_push_deletes_nothing(gcr: Gcr, project: str, tmp_path: Path) -> None:
    name, here = f"{project}/kept", f"us-docker.pkg.dev/{project}/gcr.io/kept"
    kept = image(gcr, name, "v1")
    writer = gcr.gcloud(tmp_path, project, gcr.installation.robot(project, "roles/artifactregistry.writer"))

    writer("artifacts", "docker", "tags", "add", f"{here}:v1", f"{here}:v2")
    for command in (("tags", "delete", f"{here}:v1"), ("images", "delete", f"{here}:v1", "--delete-tags")):
        refused = writer.run("artifacts", "docker", *command, "--quiet")
        assert 1 == refused.returncode
        assert "PERMISSION_DENIED" in refused.stderr

    assert kept.digest == digest_of(gcr, name, "v1")
