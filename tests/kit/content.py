"""What a repository holds, read back over plain HTTP: a client's exit code proves nothing about bytes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import httpx

MANIFEST_TYPES = ", ".join(
    [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ]
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as the registry serves it; digest is computed from the bytes, never taken from a header."""

    media_type: str
    payload: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.payload)

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.payload)
        return document

    @property
    def blobs(self) -> list[dict[str, Any]]:
        """The descriptors of the config and the layers."""
        return [self.document["config"], *self.document["layers"]]

    @property
    def children(self) -> list[str]:
        return [child["digest"] for child in self.document["manifests"]]


def digest_of(payload: bytes) -> str:
    return f"sha256:{hashlib.sha256(payload).hexdigest()}"


def manifest_of(client: httpx.Client, repository: str, reference: str) -> Manifest:
    response = client.get(f"/v2/{repository}/manifests/{reference}", headers={"Accept": MANIFEST_TYPES})
    assert response.status_code == 200, response.text
    manifest = Manifest(response.headers["Content-Type"], response.content)
    assert manifest.digest == response.headers["Docker-Content-Digest"]
    assert manifest.document.get("mediaType", manifest.media_type) == manifest.media_type
    return manifest


def blob_of(client: httpx.Client, repository: str, digest: str) -> bytes:
    response = client.get(f"/v2/{repository}/blobs/{digest}", follow_redirects=True)
    assert response.status_code == 200, response.text
    assert digest == digest_of(response.content)
    return response.content


def complete_image(client: httpx.Client, repository: str, reference: str) -> Manifest:
    """The image's manifest, after every blob that it names was read back with its digest and size."""
    manifest = manifest_of(client, repository, reference)
    for blob in manifest.blobs:
        assert blob["size"] == len(blob_of(client, repository, blob["digest"]))
    return manifest


def complete_index(client: httpx.Client, repository: str, reference: str) -> Manifest:
    """The same for an index and each of its images."""
    index = manifest_of(client, repository, reference)
    for child in index.children:
        complete_image(client, repository, child)
    return index


def is_absent(client: httpx.Client, repository: str, reference: str) -> bool:
    return client.head(f"/v2/{repository}/manifests/{reference}", headers={"Accept": MANIFEST_TYPES}).status_code == 404
