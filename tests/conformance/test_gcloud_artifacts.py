"""
`gcloud artifacts …` and what else of gcloud looks at a registry by other APIs than its own, under Google's names over HTTPS
(contract.md, 2.7). gcloud itself turns gcr.io/P/IMG into projects/P/locations/us/repositories/gcr.io/packages/IMG; where it takes no
gcr.io names it takes us-docker.pkg.dev/P/gcr.io.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.gcr import Gcr, GcrGCloud, installed_as_gcr
from tests.kit.google import needs_gcloud
from tests.kit.push import Document, push, push_image

pytestmark = [pytest.mark.slow, needs_gcloud]

HERE = ("--location=us", "--repository=gcr.io")
ARTIFACTS = "artifactregistry.googleapis.com"


@pytest.fixture(scope="module")
def gcr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcr]:
    with installed_as_gcr("https", tmp_path_factory.mktemp("artifacts")) as found:
        yield found


@pytest.fixture(scope="module")
def shelf(gcr: Gcr) -> dict[str, Document]:
    """By path: two images, one in a folder and with two tags. The project is the key ""'s."""
    owner, project = gcr.installation.owner, gcr.installation.project()
    nginx, app = push_image(owner, f"{project}/nginx"), push_image(owner, f"{project}/team/app")
    assert 201 == push(owner, f"{project}/team/app", app, "latest").status_code
    return {project: nginx, "nginx": nginx, "team/app": app}


@pytest.fixture(scope="module")
def project(shelf: dict[str, Document]) -> str:
    return next(iter(shelf))


@pytest.fixture(scope="module")
def gcloud(gcr: Gcr, project: str, tmp_path_factory: pytest.TempPathFactory) -> GcrGCloud:
    return gcr.gcloud(tmp_path_factory.mktemp("gcloud"), project)


def told(gcloud: GcrGCloud, *arguments: str) -> Any:
    return json.loads(gcloud(*arguments, "--format=json"))


@pytest.mark.parametrize("path", ["nginx", "team/app"])
def test_an_image_is_described(gcloud: GcrGCloud, project: str, shelf: dict[str, Document], path: str) -> None:
    """By its tag and by its digest."""
    digest = shelf[path].digest
    for reference in (":v1", f"@{digest}"):
        found = told(gcloud, "artifacts", "docker", "images", "describe", f"gcr.io/{project}/{path}{reference}")["image_summary"]
        assert (digest, "gcr.io") == (found["digest"], found["repository"])


def test_an_image_that_is_not_there_is_not_described(gcloud: GcrGCloud, project: str) -> None:
    done = gcloud.run("artifacts", "docker", "images", "describe", f"gcr.io/{project}/nginx:none")

    assert 1 == done.returncode
    assert "Image not found" in done.stderr


def test_images_are_listed(gcloud: GcrGCloud, project: str, shelf: dict[str, Document]) -> None:
    """All of a registry; those below a path."""
    listing = ("artifacts", "docker", "images", "list")
    registry = f"us-docker.pkg.dev/{project}/gcr.io"

    images = told(gcloud, *listing, registry, "--include-tags")
    below = told(gcloud, *listing, f"{registry}/team", "--include-tags")

    wanted = [(f"gcr.io/{project}/{path}", shelf[path].digest, tags) for path, tags in (("nginx", ["v1"]), ("team/app", ["latest", "v1"]))]
    assert wanted == [(each["package"], each["version"], each["tags"]) for each in images]
    assert [(shelf["team/app"].digest, ["latest", "v1"])] == [(each["version"], each["tags"]) for each in below]
    assert images[1]["metadata"]["imageSizeBytes"] == below[0]["metadata"]["imageSizeBytes"]


def test_docker_tags_are_listed(gcloud: GcrGCloud, project: str, shelf: dict[str, Document]) -> None:
    """Of a registry, and of one image."""
    registry = f"us-docker.pkg.dev/{project}/gcr.io"

    tags = told(gcloud, "artifacts", "docker", "tags", "list", registry)
    of_one = told(gcloud, "artifacts", "docker", "tags", "list", f"{registry}/team/app")

    assert ["v1", "latest", "v1"] == [each["tag"].rpartition("/")[2] for each in tags]
    assert {shelf["team/app"].digest} == {each["version"].rpartition("/")[2] for each in of_one}


def test_packages_are_listed_and_described(gcloud: GcrGCloud, project: str) -> None:
    """A filter that the server does not know, gcloud applies by itself."""
    listed = told(gcloud, "artifacts", "packages", "list", *HERE, "--sort-by=~name")
    chosen = told(gcloud, "artifacts", "packages", "list", *HERE, "--filter=name~app")
    described = told(gcloud, "artifacts", "packages", "describe", "team/app", *HERE)

    assert ["team/app", "nginx"] == [each["name"] for each in listed]
    assert ["team/app"] == [each["name"] for each in chosen]
    assert f"projects/{project}/locations/us/repositories/gcr.io/packages/team%2Fapp" == described["name"]


def test_versions_and_tags_are_listed_and_described(gcloud: GcrGCloud, shelf: dict[str, Document]) -> None:
    here, digest = ("--package=team/app", *HERE), shelf["team/app"].digest

    (version,) = told(gcloud, "artifacts", "versions", "list", *here, "--sort-by=createTime")
    tags = told(gcloud, "artifacts", "tags", "list", *here)
    described = told(gcloud, "artifacts", "versions", "describe", digest, *here)

    assert digest == version["name"].rpartition("/")[2]
    assert ["latest", "v1"] == [each["name"].rpartition("/")[2] for each in tags]
    assert version["name"].rpartition("/")[2] == described["name"].rpartition("/")[2]


def test_registries_in_use_are_found(gcr: Gcr, gcloud: GcrGCloud, project: str) -> None:
    """`container images list-gcr-usage`: the buckets are found by Cloud Asset Inventory, their use by the registry."""
    usage = ("container", "images", "list-gcr-usage")
    with gcr.installation.client(gcr.installation.owner_token, Host="eu.gcr.io") as there:
        other = gcr.installation.project()
        push_image(there, f"{other}/image")

    assert [{"repository": f"gcr.io/{project}", "usage": "ACTIVE"}] == told(gcloud, *usage, f"--project={project}")
    everywhere = [each["repository"] for each in told(gcloud, *usage, "--organization=0")]
    assert {f"gcr.io/{project}", f"eu.gcr.io/{other}"} == set(everywhere)
    assert [] == told(gcloud, *usage, f"--project={gcr.installation.project()}")


def test_an_api_that_is_not_enabled_is_named(gcr: Gcr, tmp_path: Path) -> None:
    """With where to enable it, as Google says it; and then it is there."""
    other = gcr.installation.project(registry=False)
    gcloud = gcr.gcloud(tmp_path, other)

    refused = gcloud.run("artifacts", "packages", "list", *HERE)
    gcloud("services", "enable", ARTIFACTS)

    assert 1 == refused.returncode
    assert f"Enable it by visiting https://console.developers.google.com/apis/api/{ARTIFACTS}/overview?project={other}" in refused.stderr
    assert [] == told(gcloud, "artifacts", "packages", "list", *HERE)


def test_who_may_only_see_the_project_sees_no_image(gcr: Gcr, project: str, tmp_path: Path) -> None:
    gcloud = gcr.gcloud(tmp_path, project, gcr.installation.robot(project, "roles/browser"))

    for command in (
        ("artifacts", "docker", "images", "describe", f"gcr.io/{project}/nginx:v1"),
        ("artifacts", "packages", "list", *HERE),
        ("container", "images", "list-gcr-usage", f"--project={project}"),
    ):
        done = gcloud.run(*command)
        assert 0 != done.returncode
        assert "denied" in done.stderr, done.stderr
