"""What a test of the API begins with: blobs and manifests of its own, over plain HTTP and in as few requests as possible."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.kit.load import OCI_INDEX, OCI_MANIFEST, descriptor

OCTETS = {"Content-Type": "application/octet-stream"}
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
SPEC_FIELDS = {"code", "message", "detail"}


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest that is not pushed yet, or that was: its bytes and how to name them."""

    media_type: str
    payload: bytes

    @property
    def digest(self) -> str:
        return digest(self.payload)

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": self.media_type}

    @property
    def descriptor(self) -> dict[str, object]:
        return descriptor(self.payload, self.media_type)


def connect(url: str) -> httpx.Client:
    """Plain HTTP only: to load the certificates of the world takes httpx 30 ms, more than most tests take."""
    return httpx.Client(base_url=url, timeout=30, verify=False)


def digest(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def push_blob(client: httpx.Client, repository: str, content: bytes, algorithm: str = "sha256", **headers: str) -> str:
    """In one request; returns the digest."""
    name = digest(content, algorithm)
    response = client.post(f"/v2/{repository}/blobs/uploads/", params={"digest": name}, content=content, headers={**OCTETS, **headers})
    assert 201 == response.status_code, response.text
    return name


def document(media_type: str = OCI_MANIFEST, **fields: Any) -> Document:
    """A manifest of these fields. A field of None is left out."""
    content = {"schemaVersion": 2, "mediaType": media_type, **fields}
    return Document(media_type, json.dumps({key: value for key, value in content.items() if value is not None}).encode())


def image(config: bytes = b"{}", layers: Sequence[bytes] = (), media_type: str = OCI_MANIFEST, **fields: Any) -> Document:
    """An image manifest; nothing is pushed."""
    return document(media_type, config=descriptor(config, CONFIG_TYPE), layers=[descriptor(layer) for layer in layers], **fields)


def index(children: Sequence[Document], media_type: str = OCI_INDEX, **fields: Any) -> Document:
    return document(media_type, manifests=[child.descriptor for child in children], **fields)


def push(client: httpx.Client, repository: str, manifest: Document, reference: str = "v1", **headers: str) -> httpx.Response:
    """PUT a manifest; its blobs have to be there."""
    return client.put(f"/v2/{repository}/manifests/{reference}", content=manifest.payload, headers={**manifest.headers, **headers})


def push_image(client: httpx.Client, repository: str, reference: str = "v1", unique: str = "", **fields: Any) -> Document:
    """An image with blobs of its own, pushed whole."""
    layer = f"a layer of {repository} {reference} {unique}".encode()
    config = json.dumps({"os": "linux", "unique": f"{repository} {reference} {unique}"}).encode()
    for blob in (config, layer):
        push_blob(client, repository, blob)
    manifest = image(config, [layer], **fields)
    response = push(client, repository, manifest, reference)
    assert 201 == response.status_code, response.text
    return manifest


def error(response: httpx.Response) -> tuple[int, str]:
    """
    Status and first code, after the body was found to be of the specification's form (distribution-spec, Error Codes) and
    to say something to a human.
    """
    assert "application/json" == response.headers["Content-Type"]
    entries = response.json()["errors"]
    assert entries
    for entry in entries:
        assert SPEC_FIELDS == set(entry)
        assert len(entry["message"].split()) >= 4, entry
        assert entry["code"] == entry["code"].upper()
    return response.status_code, entries[0]["code"]


def next_page(response: httpx.Response) -> str:
    """Where the answer's Link leads (RFC 8288: `</path?query>; rel="next"`)."""
    match = re.fullmatch(r'<([^>]+)>; ?rel="next"', response.headers["Link"])
    assert match
    return match[1]
