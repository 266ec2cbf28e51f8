"""podman: build, push, pull, run, manifest lists."""

from __future__ import annotations

import resource
from pathlib import Path

import httpx

from tests.kit.content import complete_image, complete_index
from tests.kit.images import GREETING
from tests.kit.program import Program
from tests.kit.server import Server


def limits() -> list[str]:
    """The limits of this process: podman's defaults are higher, and a root of a sandbox may not raise them."""
    numbers = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    return [f"--ulimit={name}={min(1024, resource.getrlimit(number)[1])}" for name, number in numbers.items()]


def test_a_built_image_is_pushed_pulled_and_runs(
    podman: Program, client: httpx.Client, server: Server, repository: str, context: Path
) -> None:
    name = f"{server.authority}/{repository}:v1"
    built = podman.text("build", "--quiet", "--tag", name, context)

    podman.run("push", "--tls-verify=false", "--digestfile", "digest", name)
    podman.run("rmi", name)
    assert [] == podman.json("images", "--format=json")
    pulled = podman.text("pull", "--quiet", "--tls-verify=false", name)

    manifest = complete_image(client, repository, "v1")
    assert (podman.home / "digest").read_text() == manifest.digest
    assert built == pulled == manifest.document["config"]["digest"].removeprefix("sha256:")
    assert GREETING == podman.text("run", "--rm", "--network=none", *limits(), name)


def test_a_digest_is_pulled(podman: Program, client: httpx.Client, server: Server, repository: str, context: Path) -> None:
    name = f"{server.authority}/{repository}"
    built = podman.text("build", "--quiet", "--tag", f"{name}:v1", context)
    podman.run("push", "--tls-verify=false", f"{name}:v1")
    podman.run("rmi", f"{name}:v1")

    digest = complete_image(client, repository, "v1").digest

    assert built == podman.text("pull", "--quiet", "--tls-verify=false", f"{name}@{digest}")


def test_a_manifest_list_is_pushed_with_all_its_images(
    podman: Program, client: httpx.Client, server: Server, repository: str, context: Path
) -> None:
    name = f"{server.authority}/{repository}:list"
    podman.run("manifest", "create", name)
    for architecture in ("amd64", "arm64"):
        (context / "unique").write_text(f"{repository} for {architecture}")
        podman.run("build", "--platform", f"linux/{architecture}", "--manifest", name, context)

    podman.run("manifest", "push", "--all", "--tls-verify=false", "--digestfile", podman.home / "digest", name, f"docker://{name}")

    index = complete_index(client, repository, "list")
    assert (podman.home / "digest").read_text() == index.digest
    assert {"amd64", "arm64"} == {child["platform"]["architecture"] for child in index.document["manifests"]}
    podman.run("manifest", "rm", name)
    podman.run("rmi", "--all", "--force")
    pulled = podman.text("pull", "--quiet", "--tls-verify=false", "--platform=linux/arm64", name)
    children = {child["platform"]["architecture"]: child["digest"] for child in index.document["manifests"]}
    config = complete_image(client, repository, children["arm64"]).document["config"]
    assert pulled == config["digest"].removeprefix("sha256:")
