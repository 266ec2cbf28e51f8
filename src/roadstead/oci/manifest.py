"""
Manifests: JSON that names blobs or other manifests (image-spec, Image Manifest and Image Index; Docker schema 2).

The bytes are the manifest; parse() only reads them. A reading must be the only possible one: the same bytes may not be an
image to one reader and an index to another, so ambiguous documents are refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from roadstead.errors import DigestInvalid, ManifestInvalid
from roadstead.oci import mediatype
from roadstead.oci.digest import Digest

MAX_BYTES = 4 * 1024 * 1024
MAX_DESCRIPTORS = 10_000

_FIELDS = {"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "blobs", "subject", "annotations"}
_DESCRIPTOR_FIELDS = {"mediaType", "digest", "size", "artifactType", "annotations", "data", "platform", "urls"}
_SPELLING = {name.casefold(): name for name in _FIELDS | _DESCRIPTOR_FIELDS}
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """media type, digest and size in bytes of some content. foreign: it need not be in this registry."""

    media_type: str
    digest: Digest
    size_bytes: int
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    What a manifest's bytes say.

    blobs: config and layers; children: the manifests of an index. artifact_type falls back to the config's media type, as the
    referrers API wants it (distribution-spec, Listing Referrers). config: the first of blobs, None where there is none.
    """

    media_type: str
    artifact_type: str
    blobs: tuple[Descriptor, ...]
    children: tuple[Descriptor, ...]
    subject: Digest | None
    annotations: dict[str, str]
    config: Descriptor | None = None

    @property
    def image_size_bytes(self) -> int:
        """Of config and layers, as they are sent; 0 for an index. What no database could keep is the most that it can."""
        return min(sum(blob.size_bytes for blob in self.blobs), (1 << 63) - 1)


def parse(payload: bytes, content_type: str) -> Manifest:
    """
    Read a manifest that was pushed with this Content-Type ("" if none was sent).

    Raises ManifestInvalid with a sentence that says what is wrong.
    """
    document = _document(payload)
    media_type = _media_type(document, content_type)
    is_index = "manifests" in document
    is_image = "layers" in document or "config" in document or "blobs" in document
    if is_index and is_image:
        raise ManifestInvalid("a manifest has either manifests or config and layers, not both")
    if not is_index and not is_image:
        raise ManifestInvalid("a manifest has manifests (an index) or config and layers (an image)")
    if (media_type in mediatype.INDEXES and not is_index) or (media_type in mediatype.IMAGES and is_index):
        raise ManifestInvalid(f"the content is not what {media_type} means")
    if media_type in mediatype.IMAGES and "config" not in document:
        raise ManifestInvalid("an image manifest has a config descriptor")

    blobs, config_type = _blobs(document)
    subject = document.get("subject")
    artifact_type = _text(document, "artifactType") or config_type
    if not artifact_type.isascii():
        raise ManifestInvalid("artifactType and the config's mediaType are written in ASCII")
    return Manifest(
        media_type=media_type,
        artifact_type=artifact_type,
        blobs=blobs,
        children=_descriptors(document, "manifests"),
        subject=_descriptor(subject, "subject").digest if subject is not None else None,
        annotations=_annotations(document),
        config=blobs[0] if "config" in document else None,
    )


def _document(payload: bytes) -> dict[str, Any]:
    if len(payload) > MAX_BYTES:
        raise ManifestInvalid("the manifest is larger than 4 MiB")
    try:
        document = json.loads(payload.decode("utf-8"), object_pairs_hook=_unambiguous, parse_constant=_no_constant)
        if _SURROGATE.search(payload):
            # Half a character can be written in JSON, but no answer could ever carry it.
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise ManifestInvalid("the manifest is nested too deeply") from error
    except ValueError as error:
        raise ManifestInvalid(f"the manifest is not JSON in UTF-8: {error}"[:300]) from error
    if not isinstance(document, dict):
        raise ManifestInvalid("a manifest is a JSON object")
    _check_spelling(document, _FIELDS)
    version = document.get("schemaVersion")
    if type(version) is not int or version != 2:
        raise ManifestInvalid("schemaVersion must be 2; Docker's schema 1 is not served any more: push with a newer docker")
    return document


def _check_spelling(item: dict[str, Any], fields: set[str]) -> None:
    """Go's JSON ignores case (and takes a long s for an s), so "Layers" would be read by docker and not by us."""
    for key in item:
        if key not in fields and (right := _SPELLING.get(key.casefold())) in fields:
            raise ManifestInvalid(f"the field {key!r} must be written {right!r}")


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a field is given twice")
    return result


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _media_type(document: dict[str, Any], content_type: str) -> str:
    inside = _text(document, "mediaType")
    outside = content_type.split(";", 1)[0].strip()
    if outside in mediatype.DOCKER_SCHEMA_1:
        raise ManifestInvalid("Docker's schema 1 is not served any more: push with a newer docker")
    if inside and outside and inside != outside:
        raise ManifestInvalid(f"Content-Type is {outside!r} but the manifest's mediaType is {inside!r}")
    media_type = inside or outside or (mediatype.OCI_INDEX if "manifests" in document else mediatype.OCI_IMAGE)
    if len(media_type) > 255 or "/" not in media_type or not media_type.isascii() or not media_type.isprintable():
        raise ManifestInvalid("the media type is not TYPE/SUBTYPE of at most 255 characters")
    return media_type


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > 1024:
        raise ManifestInvalid(f"{key} must be a text of at most 1,024 characters")
    return value


def _blobs(document: dict[str, Any]) -> tuple[tuple[Descriptor, ...], str]:
    found = list(_descriptors(document, "layers")) + list(_descriptors(document, "blobs"))
    if "config" not in document:
        return tuple(found), ""
    config = _descriptor(document["config"], "config")
    return (config, *found), config.media_type


def _descriptors(document: dict[str, Any], key: str) -> tuple[Descriptor, ...]:
    items = document.get(key)
    if items is None:
        return ()
    if not isinstance(items, list) or len(items) > MAX_DESCRIPTORS:
        raise ManifestInvalid(f"{key} must be a list of at most {MAX_DESCRIPTORS} descriptors")
    return tuple(_descriptor(item, f"{key}[{index}]") for index, item in enumerate(items))


def _descriptor(item: object, where: str) -> Descriptor:
    if not isinstance(item, dict):
        raise ManifestInvalid(f"{where} must be a descriptor: an object with mediaType, digest and size")
    _check_spelling(item, _DESCRIPTOR_FIELDS)
    media_type, digest, size = item.get("mediaType", ""), item.get("digest"), item.get("size")
    if not isinstance(media_type, str) or not isinstance(digest, str):
        raise ManifestInvalid(f"{where} must have a mediaType and a digest")
    if type(size) is not int or not 0 <= size < 1 << 63:
        raise ManifestInvalid(f"{where}.size must be a number of bytes")
    try:
        parsed = Digest.parse(digest)
    except DigestInvalid as error:
        raise ManifestInvalid(f"{where}.digest: {error.message}", error.detail) from error
    return Descriptor(media_type, parsed, size, mediatype.is_foreign(media_type))


def _annotations(document: dict[str, Any]) -> dict[str, str]:
    annotations = document.get("annotations")
    if annotations is None:
        return {}
    if not isinstance(annotations, dict) or not all(isinstance(value, str) for value in annotations.values()):
        raise ManifestInvalid("annotations must map texts to texts")
    return annotations
