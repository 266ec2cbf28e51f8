"""buildah: images from Dockerfiles and from nothing, in both of the formats that registries hold."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.kit.content import complete_image
from tests.kit.program import Program
from tests.kit.server import Server

MEDIA_TYPES = {
    "v2s2": (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ),
    "oci": (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.oci.image.layer.v1.tar+gzip",
    ),
}


@pytest.mark.parametrize("image_format", MEDIA_TYPES)
def test_a_built_image_is_pushed_in_either_format_and_pulled(
    buildah: Program, client: httpx.Client, server: Server, repository: str, context: Path, image_format: str
) -> None:
    name = f"{server.authority}/{repository}:v1"
    buildah.run("bud", "--format", "docker" if image_format == "v2s2" else "oci", "--isolation=chroot", "--layers", "--tag", name, context)

    buildah.run("push", "--tls-verify=false", "--format", image_format, "--digestfile", "digest", name)
    buildah.run("rmi", "--all", "--force")
    pulled = buildah.text("pull", "--quiet", "--tls-verify=false", name)

    manifest = complete_image(client, repository, "v1")
    layers = {layer["mediaType"] for layer in manifest.document["layers"]}
    assert (buildah.home / "digest").read_text() == manifest.digest
    assert MEDIA_TYPES[image_format] == (manifest.media_type, manifest.document["config"]["mediaType"], *layers)
    assert pulled == manifest.document["config"]["digest"].removeprefix("sha256:")


def test_a_container_from_scratch_is_committed_straight_to_the_registry(
    buildah: Program, client: httpx.Client, server: Server, repository: str, context: Path
) -> None:
    container = buildah.text("from", "scratch")
    buildah.run("copy", container, context / "hello", "/hello")
    buildah.run("config", "--cmd", "/hello", "--label", "made-by=buildah", container)

    buildah.run("commit", "--tls-verify=false", container, f"docker://{server.authority}/{repository}:v1")
    pulled = buildah.text("from", "--tls-verify=false", f"{server.authority}/{repository}:v1")

    manifest = complete_image(client, repository, "v1")
    assert 1 == len(manifest.document["layers"])
    assert manifest.digest == buildah.json("inspect", pulled)["FromImageDigest"]
    assert {"made-by": "buildah"}.items() <= buildah.json("inspect", pulled)["OCIv1"]["config"]["Labels"].items()
