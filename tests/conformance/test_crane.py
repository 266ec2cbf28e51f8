"""crane and gcrane, Google's own clients for registries."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.kit.content import complete_image, complete_index, digest_of, is_absent, manifest_of
from tests.kit.images import Layout, image_layout, index_layout, layer_tar
from tests.kit.program import Program
from tests.kit.server import Server

DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.fixture
def name(server: Server, repository: str) -> str:
    return f"{server.authority}/{repository}"


@pytest.fixture
def layout(tmp_path: Path, project: str) -> Layout:
    return image_layout(tmp_path / "layout", project)


@pytest.fixture
def pushed(crane: Program, name: str, layout: Layout) -> Layout:
    """The layout's image, in the repository as v1."""
    crane.run("push", layout.path, f"{name}:v1")
    return layout


@pytest.fixture
def pushed_index(crane: Program, name: str, project: str, tmp_path: Path) -> Layout:
    index = index_layout(tmp_path / "index", project)
    crane.run("push", index.path, f"{name}:multi")
    return index


def test_push_keeps_the_digest_and_pull_gives_the_bytes_back(
    crane: Program, client: httpx.Client, repository: str, name: str, layout: Layout, tmp_path: Path
) -> None:
    reference = crane.text("push", layout.path, f"{name}:v1")
    crane.run("pull", "--format=oci", f"{name}:v1", tmp_path / "back")

    assert f"{name}@{layout.digest}" == reference
    assert layout.manifest == complete_image(client, repository, "v1").payload
    assert layout.manifest == crane.run("manifest", f"{name}:v1")
    for file in layout.path.glob("blobs/sha256/*"):
        assert file.read_bytes() == (tmp_path / "back/blobs/sha256" / file.name).read_bytes()


def test_digest_tag_and_ls(crane: Program, name: str, pushed: Layout) -> None:
    crane.run("tag", f"{name}:v1", "v2")

    assert pushed.digest == crane.text("digest", f"{name}:v2")
    assert ["v1", "v2"] == crane.lines("ls", name)


def test_validate_reads_every_layer(crane: Program, name: str, pushed: Layout, pushed_index: Layout) -> None:
    for tag in ("v1", "multi"):
        assert crane.attempt("validate", "--remote", f"{name}:{tag}").stdout.startswith(b"PASS")


def test_copy_to_another_repository_mounts_the_layers(
    crane: Program, client: httpx.Client, repository: str, name: str, pushed: Layout
) -> None:
    """distribution-spec, Mounting a blob from another repository: 201, and no bytes are sent."""
    copied = crane.attempt("copy", f"{name}:v1", f"{name}/copy:v1")

    image = complete_image(client, f"{repository}/copy", "v1")
    assert pushed.manifest == image.payload
    for layer in image.document["layers"]:
        assert f"mounted blob: {layer['digest']}" in copied.stderr.decode()


def test_every_tag_is_copied(crane: Program, client: httpx.Client, repository: str, name: str, pushed: Layout) -> None:
    crane.run("tag", f"{name}:v1", "v2")

    crane.run("copy", "--all-tags", name, f"{name}/copy")

    for tag in ("v1", "v2"):
        assert pushed.manifest == complete_image(client, f"{repository}/copy", tag).payload


def test_blob_and_config_are_read(crane: Program, name: str, pushed: Layout) -> None:
    document = json.loads(pushed.manifest)

    config = crane.run("config", f"{name}:v1")
    layer = crane.run("blob", f"{name}@{document['layers'][0]['digest']}")

    assert document["config"]["digest"] == digest_of(config)
    assert document["layers"][0]["digest"] == digest_of(layer)


def test_delete_by_tag_leaves_the_manifest(crane: Program, client: httpx.Client, repository: str, name: str, pushed: Layout) -> None:
    crane.run("tag", f"{name}:v1", "v2")

    crane.run("delete", f"{name}:v2")

    assert ["v1"] == crane.lines("ls", name)
    assert is_absent(client, repository, "v2")
    assert pushed.manifest == complete_image(client, repository, pushed.digest).payload


def test_delete_by_digest_removes_the_manifest(crane: Program, client: httpx.Client, repository: str, name: str, pushed: Layout) -> None:
    crane.run("delete", f"{name}:v1")
    assert not is_absent(client, repository, pushed.digest)

    crane.run("delete", f"{name}@{pushed.digest}")

    assert is_absent(client, repository, pushed.digest)
    assert "MANIFEST_UNKNOWN" in crane.refused("manifest", f"{name}@{pushed.digest}")


def test_catalog_lists_the_repository(crane: Program, server: Server, repository: str, pushed: Layout) -> None:
    assert repository in crane.lines("catalog", server.authority)


def test_append_adds_a_layer_to_what_is_there(
    crane: Program, client: httpx.Client, repository: str, name: str, pushed: Layout, tmp_path: Path
) -> None:
    (tmp_path / "layer.tar").write_bytes(layer_tar("more", repository.encode()))

    reference = crane.text("append", "--base", f"{name}:v1", "--new_layer", tmp_path / "layer.tar", "--new_tag", f"{name}:v2")

    before, after = (complete_image(client, repository, tag) for tag in ("v1", "v2"))
    assert f"{name}@{after.digest}" == reference
    assert before.document["layers"] == after.document["layers"][:-1]
    exported = crane.run("export", f"{name}:v2", "-")
    assert repository.encode() in exported


def test_mutate_writes_a_new_image(crane: Program, client: httpx.Client, repository: str, name: str, pushed: Layout) -> None:
    crane.run("mutate", "--label", "answer=42", "--tag", f"{name}:v2", f"{name}:v1")

    image = complete_image(client, repository, "v2")
    assert json.loads(pushed.manifest)["layers"] == image.document["layers"]
    assert "42" == crane.json("config", f"{name}:v2")["config"]["Labels"]["answer"]


def test_an_index_is_pushed_filtered_and_appended_to(
    crane: Program, client: httpx.Client, repository: str, name: str, pushed: Layout, pushed_index: Layout
) -> None:
    assert pushed_index.manifest == complete_index(client, repository, "multi").payload

    crane.run("index", "filter", f"{name}:multi", "--platform=linux/arm64", "--tag", f"{name}:arm64")
    crane.run("index", "append", f"{name}:arm64", "--manifest", f"{name}:v1", "--tag", f"{name}:both")
    crane.run("index", "append", "--docker-empty-base", "--manifest", f"{name}:v1", "--tag", f"{name}:docker")

    children = manifest_of(client, repository, "multi").children
    assert children[1:] == complete_index(client, repository, "arm64").children
    assert [*children[1:], pushed.digest] == complete_index(client, repository, "both").children
    assert DOCKER_MANIFEST_LIST == complete_index(client, repository, "docker").media_type
    assert pushed.digest == crane.text("digest", "--platform=linux/amd64", f"{name}:both")


def test_gcrane_lists_manifests_with_tags_and_copies_recursively(
    gcrane: Program, client: httpx.Client, repository: str, name: str, pushed: Layout
) -> None:
    """It reads Google's additions to the tags list: `manifest` and `child`."""
    gcrane.run("copy", f"{name}:v1", f"{name}/deeper:v1")

    gcrane.run("copy", "--recursive", name, f"{name}-copy")

    listed = gcrane.json("ls", "--json", name)
    assert ["v1"] == listed["manifest"][pushed.digest]["tag"]
    assert ["deeper"] == listed["child"]
    for folder in ("", "/deeper"):
        assert pushed.manifest == complete_image(client, f"{repository}-copy{folder}", "v1").payload


def test_gcrane_collects_what_has_no_tag(
    gcrane: Program, crane: Program, client: httpx.Client, repository: str, name: str, pushed: Layout
) -> None:
    crane.run("mutate", "--label", "new=yes", "--tag", f"{name}:v1", f"{name}:v1")

    untagged = gcrane.lines("gc", name)

    assert [f"{name}@{pushed.digest}"] == untagged
    crane.run("delete", untagged[0])
    assert is_absent(client, repository, pushed.digest)
    complete_image(client, repository, "v1")
