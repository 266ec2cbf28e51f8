"""oras: anything that is not an image, and what refers to it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import pytest

from tests.kit.content import blob_of, complete_image, digest_of, is_absent, manifest_of
from tests.kit.images import Layout, image_layout
from tests.kit.program import Program
from tests.kit.server import Server

ARTIFACT_TYPE = "application/vnd.example.model"
MEDIA_TYPE = "application/vnd.example.weights.v7"
HTTP = "--plain-http"


@pytest.fixture
def name(server: Server, repository: str) -> str:
    return f"{server.authority}/{repository}"


@pytest.fixture
def weights(oras: Program, project: str) -> bytes:
    """What the file `weights` in the program's home holds: 80 kB that no other test has."""
    content = b"".join(hashlib.sha256(f"{project} {number}".encode()).digest() for number in range(2500))
    (oras.home / "weights").write_bytes(content)
    return content


@pytest.fixture
def pushed(oras: Program, name: str, weights: bytes) -> str:
    """The digest of an artifact with that file, in the repository as v1."""
    oras.run("push", HTTP, "--artifact-type", ARTIFACT_TYPE, f"{name}:v1", f"weights:{MEDIA_TYPE}")
    return oras.text("resolve", HTTP, f"{name}:v1")


def attach(oras: Program, subject: str, artifact_type: str, content: str) -> str:
    """The new referrer's digest."""
    (oras.home / "attached.txt").write_text(content)
    output = oras.json("attach", HTTP, "--format=json", "--artifact-type", artifact_type, subject, "attached.txt:text/plain")
    return str(output["digest"])


def test_an_artifact_of_an_unknown_type_is_pushed_and_pulled(
    oras: Program, client: httpx.Client, repository: str, name: str, pushed: str, weights: bytes
) -> None:
    oras.run("pull", HTTP, "--output", "pulled", f"{name}@{pushed}")

    manifest = complete_image(client, repository, "v1")
    assert pushed == manifest.digest
    assert ARTIFACT_TYPE == manifest.document["artifactType"]
    assert (MEDIA_TYPE, digest_of(weights)) == tuple(manifest.document["layers"][0][key] for key in ("mediaType", "digest"))
    assert weights == (oras.home / "pulled/weights").read_bytes()


def test_attached_artifacts_are_discovered_by_type(oras: Program, client: httpx.Client, repository: str, name: str, pushed: str) -> None:
    """distribution-spec, Listing Referrers: filtered by artifactType, and the answer says so."""
    sbom = attach(oras, f"{name}:v1", "application/spdx+json", "one")
    scan = attach(oras, f"{name}@{pushed}", "application/sarif+json", "two")
    signature = attach(oras, f"{name}@{sbom}", "application/vnd.example.signature", "three")

    everything = oras.json("discover", HTTP, "--format=json", f"{name}:v1")
    response = client.get(f"/v2/{repository}/referrers/{pushed}", params={"artifactType": "application/spdx+json"})

    assert {sbom, scan} == {referrer["digest"] for referrer in everything["referrers"]}
    nested = next(referrer for referrer in everything["referrers"] if referrer["digest"] == sbom)
    assert [signature] == [referrer["digest"] for referrer in nested["referrers"]]
    assert "artifactType" == response.headers["OCI-Filters-Applied"]
    assert [sbom] == [referrer["digest"] for referrer in response.json()["manifests"]]
    assert ["v1"] == oras.lines("repo", "tags", HTTP, name), "a registry with the referrers API gets no fallback tags"
    assert complete_image(client, repository, sbom).document["subject"]["digest"] == pushed


def test_a_recursive_copy_brings_the_referrers(oras: Program, client: httpx.Client, repository: str, name: str, pushed: str) -> None:
    sbom = attach(oras, f"{name}:v1", "application/spdx+json", "one")

    oras.run("copy", "--recursive", "--from-plain-http", "--to-plain-http", f"{name}:v1", f"{name}/copy:v1")

    assert pushed == complete_image(client, f"{repository}/copy", "v1").digest
    copied = oras.json("discover", HTTP, "--format=json", f"{name}/copy:v1")
    assert [sbom] == [referrer["digest"] for referrer in copied["referrers"]]
    assert sbom == complete_image(client, f"{repository}/copy", sbom).digest


def test_a_deleted_referrer_is_no_longer_discovered(oras: Program, name: str, pushed: str) -> None:
    sbom = attach(oras, f"{name}:v1", "application/spdx+json", "one")

    oras.run("manifest", "delete", HTTP, "--force", f"{name}@{sbom}")

    assert not oras.json("discover", HTTP, "--format=json", f"{name}:v1").get("referrers")


def test_blobs_are_pushed_fetched_and_deleted(oras: Program, client: httpx.Client, repository: str, name: str, weights: bytes) -> None:
    digest = digest_of(weights)

    oras.run("blob", "push", HTTP, name, "weights")
    oras.run("blob", "fetch", HTTP, "--output", "fetched", f"{name}@{digest}")

    assert weights == blob_of(client, repository, digest) == (oras.home / "fetched").read_bytes()
    assert len(weights) == oras.json("blob", "fetch", HTTP, "--descriptor", f"{name}@{digest}")["size"]
    oras.run("blob", "delete", HTTP, "--force", f"{name}@{digest}")
    assert 404 == client.head(f"/v2/{repository}/blobs/{digest}").status_code
    assert "not found" in oras.refused("blob", "fetch", HTTP, "--output", "gone", f"{name}@{digest}")


def test_manifests_are_fetched_pushed_and_deleted(oras: Program, client: httpx.Client, repository: str, name: str, pushed: str) -> None:
    payload = oras.run("manifest", "fetch", HTTP, f"{name}:v1")
    odd = payload.replace(b",", b" ,\n")
    (oras.home / "odd.json").write_bytes(odd)

    oras.run("manifest", "push", HTTP, f"{name}:odd", "odd.json")

    assert pushed == digest_of(payload)
    assert odd == manifest_of(client, repository, "odd").payload == oras.run("manifest", "fetch", HTTP, f"{name}:odd")
    oras.run("manifest", "delete", HTTP, "--force", f"{name}@{digest_of(odd)}")
    assert is_absent(client, repository, "odd")
    assert not is_absent(client, repository, "v1")


def test_repositories_and_tags_are_listed(oras: Program, server: Server, name: str, project: str, pushed: str) -> None:
    oras.run("tag", HTTP, f"{name}:v1", "v2", "latest")

    assert ["latest", "v1", "v2"] == oras.lines("repo", "tags", HTTP, name)
    assert [project + "/image"] == [found for found in oras.lines("repo", "ls", HTTP, server.authority) if found.startswith(project)]
    assert ["image"] == oras.lines("repo", "ls", HTTP, f"{server.authority}/{project}/")


def test_an_index_is_created_and_an_oci_layout_is_copied(
    oras: Program, client: httpx.Client, repository: str, name: str, tmp_path: Path, project: str
) -> None:
    layouts: list[Layout] = [image_layout(tmp_path / name, f"{project} {name}", architecture=name) for name in ("amd64", "arm64")]
    for layout in layouts:
        oras.run("copy", "--from-oci-layout", "--to-plain-http", f"{layout.path}:v1", f"{name}:{layout.path.name}")

    oras.run("manifest", "index", "create", HTTP, f"{name}:multi", "amd64", "arm64")

    assert [layout.digest for layout in layouts] == manifest_of(client, repository, "multi").children
    for layout in layouts:
        assert layout.manifest == complete_image(client, repository, layout.path.name).payload


def test_a_backup_restores_artifacts_with_their_referrers(
    oras: Program, client: httpx.Client, repository: str, name: str, pushed: str
) -> None:
    sbom = attach(oras, f"{name}:v1", "application/spdx+json", "one")
    oras.run("backup", HTTP, "--include-referrers", "--output", "backup.tar", f"{name}:v1")

    oras.run("restore", HTTP, "--input", "backup.tar", f"{name}/restored:v1")

    assert pushed == complete_image(client, f"{repository}/restored", "v1").digest
    assert sbom == complete_image(client, f"{repository}/restored", sbom).digest
