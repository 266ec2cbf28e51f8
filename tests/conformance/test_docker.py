"""docker, with an engine of its own: build, push, pull, run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.kit.content import Manifest, complete_image, complete_index, is_absent
from tests.kit.images import GREETING
from tests.kit.program import Program
from tests.kit.server import Server

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.fixture
def name(server: Server, repository: str, docker: Program) -> Iterator[str]:
    """The image's name without a tag; what the engine still holds of it is removed afterwards, for the disk's sake."""
    yield f"{server.authority}/{repository}"
    for image in set(docker.lines("images", "--quiet", "--no-trunc", f"{server.authority}/{repository}")):
        docker.attempt("rmi", "--force", image)


def pushed_digest(output: str) -> str:
    found = re.search(r"digest: (sha256:[0-9a-f]{64}) size: \d+", output)
    assert found, output
    return found[1]


def image_id(docker: Program, reference: str) -> str:
    return docker.text("inspect", "--format", "{{.Id}}", reference)


def config_digest(manifest: Manifest) -> str:
    """What docker calls the image's id: equal before and after means that config and layers came back the same."""
    return str(manifest.document["config"]["digest"])


def build(docker: Program, context: Path, reference: str) -> None:
    docker.run("build", "--network=none", "--tag", reference, context)


def test_a_built_image_is_pushed_pulled_and_runs(docker: Program, client: httpx.Client, repository: str, name: str, context: Path) -> None:
    build(docker, context, f"{name}:v1")
    built = image_id(docker, f"{name}:v1")

    digest = pushed_digest(docker.text("push", f"{name}:v1"))
    docker.run("rmi", f"{name}:v1")
    docker.run("pull", f"{name}:v1")

    manifest = complete_image(client, repository, "v1")
    assert digest == manifest.digest
    assert DOCKER_MANIFEST == manifest.media_type
    assert built == image_id(docker, f"{name}:v1") == config_digest(manifest)
    assert GREETING == docker.text("run", "--rm", "--network=none", f"{name}:v1")


def test_a_digest_pulls_what_the_tag_no_longer_names(docker: Program, name: str, context: Path) -> None:
    build(docker, context, f"{name}:v1")
    first = image_id(docker, f"{name}:v1")
    digest = pushed_digest(docker.text("push", f"{name}:v1"))
    (context / "unique").write_text("a second version")
    build(docker, context, f"{name}:v1")
    assert digest != pushed_digest(docker.text("push", f"{name}:v1"))
    docker.run("rmi", "--force", f"{name}:v1", first)

    docker.run("pull", f"{name}@{digest}")

    assert first == image_id(docker, f"{name}@{digest}")


def test_a_pushed_layer_is_not_uploaded_again(docker: Program, client: httpx.Client, name: str, project: str, context: Path) -> None:
    """distribution-spec, Checking if content exists, and Mounting a blob from another repository."""
    build(docker, context, f"{name}:v1")
    docker.run("push", f"{name}:v1")
    other = name.replace(f"{project}/image", f"{project}/other/image")

    docker.run("tag", f"{name}:v1", f"{name}:v2")
    retagged = docker.text("push", f"{name}:v2")
    docker.run("tag", f"{name}:v1", f"{other}:v1")
    mounted = docker.text("push", f"{other}:v1")

    assert 2 == retagged.count("Layer already exists")
    assert 2 == mounted.count("Mounted from")
    for output in (retagged, mounted):
        assert not re.search(r": Pushed$", output, re.MULTILINE)
    assert complete_image(client, f"{project}/image", "v2") == complete_image(client, f"{project}/other/image", "v1")


def test_every_tag_of_a_repository_is_pulled(docker: Program, name: str, context: Path) -> None:
    build(docker, context, f"{name}:v1")
    docker.run("tag", f"{name}:v1", f"{name}:v2")
    docker.run("push", "--all-tags", name)
    docker.run("rmi", f"{name}:v1", f"{name}:v2")

    docker.run("pull", "--all-tags", name)

    assert {"v1", "v2"} == set(docker.lines("images", "--format", "{{.Tag}}", name))


def test_a_manifest_list_is_pushed_and_its_image_for_this_platform_runs(
    docker: Program, client: httpx.Client, repository: str, name: str, context: Path
) -> None:
    architecture = docker.text("version", "--format", "{{.Server.Arch}}")
    build(docker, context, f"{name}:here")
    (context / "unique").write_text("the image for another platform")
    build(docker, context, f"{name}:there")
    here, there = (pushed_digest(docker.text("push", f"{name}:{tag}")) for tag in ("here", "there"))

    docker.run("manifest", "create", "--insecure", f"{name}:list", f"{name}@{here}", f"{name}@{there}")
    docker.run("manifest", "annotate", "--arch", "s390x", f"{name}:list", f"{name}@{there}")
    digest = docker.text("manifest", "push", "--insecure", f"{name}:list").splitlines()[-1]
    docker.run("rmi", f"{name}:here")
    docker.run("pull", f"{name}:list")

    index = complete_index(client, repository, "list")
    assert digest == index.digest
    assert DOCKER_MANIFEST_LIST == index.media_type
    platforms = {child["digest"]: child["platform"]["architecture"] for child in index.document["manifests"]}
    assert {here: architecture, there: "s390x"} == platforms
    inspected = docker.json("manifest", "inspect", "--insecure", f"{name}:list")
    assert {here, there} == {child["digest"] for child in inspected["manifests"]}
    assert GREETING == docker.text("run", "--rm", "--network=none", f"{name}:list")


def test_a_debian_with_nginx_comes_back_as_it_was(docker: Program, client: httpx.Client, repository: str, name: str, debian: Path) -> None:
    """A layer of some forty megabytes: uploaded in chunks of a stream whose length nobody knows before its end."""
    docker.run("import", "--change", "EXPOSE 80", "--change", 'CMD ["nginx", "-g", "daemon off;"]', debian, f"{name}:bookworm")
    imported = image_id(docker, f"{name}:bookworm")

    digest = pushed_digest(docker.text("push", f"{name}:bookworm"))
    docker.run("rmi", f"{name}:bookworm")
    docker.run("pull", f"{name}:bookworm")

    manifest = complete_image(client, repository, "bookworm")
    assert digest == manifest.digest
    assert manifest.document["layers"][0]["size"] > 20 * 2**20
    assert imported == image_id(docker, f"{name}:bookworm") == config_digest(manifest)
    ran = docker.attempt("run", "--rm", "--network=none", f"{name}:bookworm", "nginx", "-v")
    assert ran.stderr.startswith(b"nginx version: nginx/"), ran.stderr


def test_what_does_not_exist_is_refused_in_words_docker_understands(
    docker: Program, client: httpx.Client, repository: str, name: str
) -> None:
    assert is_absent(client, repository, "none")
    assert "manifest unknown" in docker.refused("pull", f"{name}:none") or "not found" in docker.refused("pull", f"{name}:none")
