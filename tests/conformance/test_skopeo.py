"""skopeo: copies between formats and places, which must keep digests where the format is kept."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.kit.content import complete_image, complete_index, digest_of, is_absent
from tests.kit.images import Layout, image_layout, index_layout
from tests.kit.program import Program
from tests.kit.server import Server

FROM = "--src-tls-verify=false"
TO = "--dest-tls-verify=false"


@pytest.fixture
def layout(tmp_path: Path, project: str) -> Layout:
    return image_layout(tmp_path / "layout", project)


@pytest.fixture
def index(tmp_path: Path, project: str) -> Layout:
    return index_layout(tmp_path / "index", project)


@pytest.fixture
def name(server: Server, repository: str) -> str:
    return f"docker://{server.authority}/{repository}"


def test_an_oci_layout_goes_to_the_registry_and_back(
    skopeo: Program, client: httpx.Client, repository: str, name: str, layout: Layout, tmp_path: Path
) -> None:
    skopeo.run("copy", TO, f"oci:{layout.path}:v1", f"{name}:v1")
    skopeo.run("copy", FROM, f"{name}:v1", f"oci:{tmp_path}/back:v1")

    assert layout.manifest == complete_image(client, repository, "v1").payload
    back = json.loads((tmp_path / "back/index.json").read_text())
    assert layout.digest == back["manifests"][0]["digest"]
    assert sorted(file.name for file in layout.path.glob("blobs/sha256/*")) == sorted(
        digest_of(file.read_bytes()).removeprefix("sha256:") for file in (tmp_path / "back/blobs/sha256").iterdir()
    )


def test_an_image_is_converted_to_docker_schema_2_on_its_way(
    skopeo: Program, client: httpx.Client, repository: str, name: str, layout: Layout
) -> None:
    skopeo.run("copy", TO, "--format=v2s2", f"oci:{layout.path}:v1", f"{name}:v1")

    manifest = complete_image(client, repository, "v1")
    assert "application/vnd.docker.distribution.manifest.v2+json" == manifest.media_type
    assert {"application/vnd.docker.image.rootfs.diff.tar.gzip"} == {layer["mediaType"] for layer in manifest.document["layers"]}


def test_a_directory_holds_the_same_manifest(skopeo: Program, name: str, layout: Layout, tmp_path: Path) -> None:
    skopeo.run("copy", TO, f"oci:{layout.path}:v1", f"{name}:v1")
    skopeo.run("copy", FROM, f"{name}:v1", f"dir:{tmp_path}/directory")
    skopeo.run("copy", TO, f"dir:{tmp_path}/directory", f"{name}:v2")

    assert layout.manifest == (tmp_path / "directory/manifest.json").read_bytes()
    assert layout.manifest == skopeo.run("inspect", "--raw", "--tls-verify=false", f"{name}:v2")


def test_an_index_is_copied_with_all_its_images(skopeo: Program, client: httpx.Client, repository: str, name: str, index: Layout) -> None:
    skopeo.run("copy", "--all", "--preserve-digests", TO, f"oci:{index.path}:v1", f"{name}:v1")
    skopeo.run("copy", "--all", "--preserve-digests", FROM, TO, f"{name}:v1", f"{name}/copy:v1")

    assert index.manifest == complete_index(client, repository, "v1").payload
    assert index.manifest == complete_index(client, f"{repository}/copy", "v1").payload


def test_inspect_reads_the_exact_bytes(skopeo: Program, client: httpx.Client, repository: str, name: str, layout: Layout) -> None:
    skopeo.run("copy", TO, f"oci:{layout.path}:v1", f"{name}:v1")

    inspected = skopeo.json("inspect", "--tls-verify=false", f"{name}:v1")

    manifest = complete_image(client, repository, "v1")
    assert layout.manifest == skopeo.run("inspect", "--raw", "--tls-verify=false", f"{name}:v1")
    assert layout.manifest == skopeo.run("inspect", "--raw", "--tls-verify=false", f"{name}@{layout.digest}")
    assert layout.digest == inspected["Digest"]
    assert ["v1"] == inspected["RepoTags"]
    assert [layer["digest"] for layer in manifest.document["layers"]] == inspected["Layers"]


def test_tags_are_listed_and_deleted(skopeo: Program, client: httpx.Client, repository: str, name: str, layout: Layout) -> None:
    """skopeo deletes the digest that the tag names, and with it every tag of that manifest."""
    for tag in ("v1", "v2"):
        skopeo.run("copy", TO, f"oci:{layout.path}:v1", f"{name}:{tag}")
    assert ["v1", "v2"] == skopeo.json("list-tags", "--tls-verify=false", name)["Tags"]

    skopeo.run("delete", "--tls-verify=false", f"{name}:v1")

    assert is_absent(client, repository, "v1")
    assert is_absent(client, repository, layout.digest)
    assert "manifest unknown" in skopeo.refused("inspect", "--tls-verify=false", f"{name}:v1")


def test_directories_are_synchronised_both_ways(
    skopeo: Program, client: httpx.Client, server: Server, project: str, repository: str, name: str, layout: Layout, tmp_path: Path
) -> None:
    for tag in ("v1", "v2"):
        skopeo.run("copy", TO, f"oci:{layout.path}:v1", f"{name}:{tag}")
    address = f"{server.authority}/{repository}"

    skopeo.run("sync", "--src=docker", "--dest=dir", FROM, address, tmp_path / "mirror")
    skopeo.run("sync", "--src=dir", "--dest=docker", TO, tmp_path / "mirror", f"{server.authority}/{project}/mirror")

    assert {"image:v1", "image:v2"} == {folder.name for folder in (tmp_path / "mirror").iterdir()}
    for tag in ("v1", "v2"):
        assert layout.manifest == complete_image(client, f"{project}/mirror/image", tag).payload


def test_layers_are_compressed_with_zstd(
    skopeo: Program, client: httpx.Client, repository: str, name: str, layout: Layout, tmp_path: Path
) -> None:
    skopeo.run("copy", TO, "--dest-compress-format=zstd", f"oci:{layout.path}:v1", f"{name}:zstd")
    skopeo.run("copy", FROM, f"{name}:zstd", f"oci:{tmp_path}/back:v1")

    manifest = complete_image(client, repository, "zstd")
    assert {"application/vnd.oci.image.layer.v1.tar+zstd"} == {layer["mediaType"] for layer in manifest.document["layers"]}
    assert (tmp_path / "back/blobs/sha256" / manifest.digest.removeprefix("sha256:")).read_bytes() == manifest.payload
