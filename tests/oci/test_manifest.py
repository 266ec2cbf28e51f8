"""Manifests (image-spec, Image Manifest and Image Index; Docker Image Manifest V2, Schema 2)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.errors import ManifestInvalid
from roadstead.oci import manifest, mediatype
from roadstead.oci.digest import Digest

EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
A, B, C = (Digest.of(name) for name in (b"a", b"b", b"c"))


def described(digest: str = A, media_type: str = LAYER_TYPE, size: int = 1, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size, **more}


def image(**fields: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_IMAGE,
        "config": described(A, CONFIG_TYPE),
        "layers": [described(B), described(C)],
        **fields,
    }


def index(**fields: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [described(A, mediatype.OCI_IMAGE)], **fields}


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


def parse(document: Any, content_type: str = "") -> manifest.Manifest:
    return manifest.parse(json.dumps(document).encode(), content_type)


# What is taken


def test_an_image_names_its_config_and_layers() -> None:
    parsed = parse(image())

    assert mediatype.OCI_IMAGE == parsed.media_type
    assert [A, B, C] == [blob.digest for blob in parsed.blobs]
    assert () == parsed.children
    assert parsed.subject is None


def test_an_index_names_its_children() -> None:
    parsed = parse(index())

    assert mediatype.OCI_INDEX == parsed.media_type
    assert [A] == [child.digest for child in parsed.children]
    assert () == parsed.blobs


@pytest.mark.parametrize(
    ("document", "content_type", "expected"),
    [
        (image(), mediatype.OCI_IMAGE, mediatype.OCI_IMAGE),
        (image(), f"{mediatype.OCI_IMAGE}; charset=utf-8", mediatype.OCI_IMAGE),
        (image(), "", mediatype.OCI_IMAGE),
        (without(image(), "mediaType"), mediatype.OCI_IMAGE, mediatype.OCI_IMAGE),
        (without(image(), "mediaType"), "", mediatype.OCI_IMAGE),
        (without(index(), "mediaType"), "", mediatype.OCI_INDEX),
        (without(index(), "mediaType"), mediatype.DOCKER_MANIFEST_LIST, mediatype.DOCKER_MANIFEST_LIST),
        (image(mediaType=mediatype.DOCKER_MANIFEST), mediatype.DOCKER_MANIFEST, mediatype.DOCKER_MANIFEST),
        (image(mediaType="application/vnd.example+json"), "application/vnd.example+json", "application/vnd.example+json"),
    ],
)
def test_the_media_type_is_the_document_s_then_the_header_s_then_what_the_fields_tell(
    document: dict[str, Any], content_type: str, expected: str
) -> None:
    """image-spec, Image Manifest: mediaType SHOULD be used; older tools leave it out and send only the header."""
    assert expected == parse(document, content_type).media_type


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (image(), CONFIG_TYPE),
        (image(artifactType="application/vnd.example.sbom"), "application/vnd.example.sbom"),
        (image(config=described(A, "application/vnd.example.config")), "application/vnd.example.config"),
        (image(artifactType="application/vnd.x", config=described(A, EMPTY_TYPE)), "application/vnd.x"),
        (index(artifactType="application/vnd.example.set"), "application/vnd.example.set"),
        (index(), ""),
    ],
)
def test_the_artifact_type_falls_back_to_the_config_s_media_type(document: dict[str, Any], expected: str) -> None:
    """distribution-spec, Listing Referrers: if artifactType is empty it MUST be the config descriptor's mediaType."""
    assert expected == parse(document).artifact_type


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    ],
)
def test_a_foreign_layer_need_not_be_here(media_type: str) -> None:
    parsed = parse(image(layers=[described(B, media_type, urls=["https://example.com/x"]), described(C)]))

    assert [False, True, False] == [blob.foreign for blob in parsed.blobs]


def test_subject_and_annotations_are_read() -> None:
    parsed = parse(image(subject=described(C, mediatype.OCI_IMAGE), annotations={"a": "b", "ü": "\n"}))

    assert C == parsed.subject
    assert {"a": "b", "ü": "\n"} == parsed.annotations


def test_an_artifact_manifest_names_its_blobs() -> None:
    """The artifact manifest of the specification's drafts is still pushed by older tools."""
    document = {"schemaVersion": 2, "mediaType": mediatype.OCI_ARTIFACT, "artifactType": "a/b", "blobs": [described(B)]}

    assert [B] == [blob.digest for blob in parse(document).blobs]


@pytest.mark.parametrize(
    "document",
    [
        image(unknown={"deep": [1, 2, {"x": None}]}),
        image(layers=[]),
        image(layers=[described(B), described(B)]),
        index(manifests=[]),
        image(annotations=None, subject=None),
        image(config=described(Digest.of(b"x", "sha512"))),
        image(layers=[described(B, size=(1 << 63) - 1)]),
        image(layers=[described(B, size=0, data="aGk=", platform={"os": "linux"})]),
        index(manifests=[described(A, mediatype.OCI_IMAGE, platform={"os": "linux", "architecture": "arm64"})]),
    ],
)
def test_what_the_specification_allows_is_taken(document: dict[str, Any]) -> None:
    """Unknown fields MUST be ignored (image-spec, Extensibility); the bytes are kept whatever they are."""
    parse(document)


# What is refused

REFUSED: dict[str, Any] = {
    "an array": [image()],
    "a text": "manifest",
    "a number": 2,
    "null": None,
    "nothing in it": {},
    "no schema version": without(image(), "schemaVersion"),
    "schema version 1": image(schemaVersion=1),
    "a schema version that is a text": image(schemaVersion="2"),
    "a schema version that is true": image(schemaVersion=True),
    "a schema version with a fraction": image(schemaVersion=2.5),
    "neither layers nor manifests": without(image(), "config", "layers"),
    "an image without config": without(image(), "config"),
    "an image's type on an index": index(mediaType=mediatype.OCI_IMAGE),
    "an index's type on an image": image(mediaType=mediatype.OCI_INDEX),
    "docker's list type on an image": image(mediaType=mediatype.DOCKER_MANIFEST_LIST),
    "layers that are an object": image(layers={"0": described(B)}),
    "layers that are a text": image(layers="none"),
    "manifests that are a number": index(manifests=1),
    "a layer that is a digest": image(layers=[B]),
    "a layer that is null": image(layers=[None]),
    "a config that is null": image(config=None),
    "a config that is a list": image(config=[described(A)]),
    "a layer without digest": image(layers=[without(described(B), "digest")]),
    "a layer without size": image(layers=[without(described(B), "size")]),
    "a size that is a text": image(layers=[described(B, size="1")]),  # type: ignore[arg-type]
    "a size that is true": image(layers=[described(B, size=True)]),
    "a size with a fraction": image(layers=[described(B, size=1.0)]),  # type: ignore[arg-type]
    "a negative size": image(layers=[described(B, size=-1)]),
    "a size past 63 bits": image(layers=[described(B, size=1 << 63)]),
    "a digest that is a path": image(layers=[described("sha256:../../etc/passwd")]),
    "a digest of an unknown algorithm": image(layers=[described("md5:" + "0" * 32)]),
    "a digest in capitals": image(layers=[described(B.upper())]),
    "a digest that is a number": image(layers=[described(1)]),  # type: ignore[arg-type]
    "a media type that is a number": image(mediaType=7),
    "a media type of no type": image(mediaType="manifest"),
    "a media type with a line end": image(mediaType="a/b\r\nSet-Cookie: x"),
    "a media type that is not ASCII": image(mediaType="application/é"),
    "a media type without end": image(mediaType="a/" + "b" * 300),
    "a subject without digest": image(subject={"mediaType": mediatype.OCI_IMAGE, "size": 1}),
    "a subject that is a digest": image(subject=A),
    "annotations that are a list": image(annotations=["a"]),
    "an annotation that is a number": image(annotations={"a": 1}),
    "an annotation that is null": image(annotations={"a": None}),
    "an artifact type that is a list": image(artifactType=["a/b"]),
    "an artifact type that is not ASCII": image(artifactType="a/é"),
    "an artifact type without end": image(artifactType="a" * 2000),
    "a config type that is not ASCII": image(config=described(A, "a/é")),
    "too many layers": image(layers=[described(B)] * (manifest.MAX_DESCRIPTORS + 1)),
    "too many children": index(manifests=[described(B)] * (manifest.MAX_DESCRIPTORS + 1)),
}


@pytest.mark.parametrize("document", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_manifest_is_refused_with_a_sentence(document: Any) -> None:
    with pytest.raises(ManifestInvalid) as refused:
        parse(document)
    assert len(refused.value.message.split()) >= 4
    assert len(refused.value.message) < 500


AMBIGUOUS: dict[str, Any] = {
    "layers and manifests": image(manifests=[]),
    "config and manifests": index(config=described(A, CONFIG_TYPE)),
    "layers, empty, and manifests": index(layers=[]),
    "layers, null, and manifests": index(layers=None),
    "blobs and manifests": index(blobs=[]),
}


@pytest.mark.parametrize("document", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
@pytest.mark.parametrize("content_type", ["", mediatype.OCI_IMAGE, mediatype.OCI_INDEX, "application/vnd.example+json"])
def test_what_can_be_read_as_an_image_and_as_an_index_is_refused(document: dict[str, Any], content_type: str) -> None:
    """CVE-2021-41190: the same bytes must not be an image to the scanner and an index to the one who runs it."""
    with pytest.raises(ManifestInvalid):
        parse(without(document, "mediaType"), content_type)


@pytest.mark.parametrize(
    "content_type", [mediatype.OCI_INDEX, mediatype.DOCKER_MANIFEST, "application/json", "text/plain", "application/octet-stream"]
)
def test_a_content_type_that_contradicts_the_document_is_refused(content_type: str) -> None:
    with pytest.raises(ManifestInvalid, match="Content-Type"):
        parse(image(), content_type)


@pytest.mark.parametrize(
    "content_type",
    ["application/vnd.docker.distribution.manifest.v1+json", "application/vnd.docker.distribution.manifest.v1+prettyjws"],
)
def test_docker_s_schema_1_is_refused_with_what_to_do(content_type: str) -> None:
    with pytest.raises(ManifestInvalid, match="schema 1"):
        parse({"schemaVersion": 1, "name": "p/a", "fsLayers": []}, content_type)


@pytest.mark.parametrize(
    "name", ["Layers", "LAYERS", "Config", "MediaType", "mediatype", "Manifests", "Subject", "SchemaVersion", "layer\u017f", "blob\u017f"]
)
def test_a_field_in_the_wrong_case_is_refused(name: str) -> None:
    """Go's JSON ignores case, with Unicode's folding (the long s is an s): docker would read a field that we had ignored."""
    with pytest.raises(ManifestInvalid):
        parse(image(**{name: []}))


@pytest.mark.parametrize("name", ["Digest", "SIZE", "MediaType", "mediatype", "\u017fize", "dige\u017ft"])
@pytest.mark.parametrize("where", ["config", "layers", "subject", "manifests"])
def test_a_descriptor_s_field_in_the_wrong_case_is_refused(where: str, name: str) -> None:
    """The same trick a floor deeper: {"digest": "what we check", "Digest": "what docker pulls"}."""
    odd = described(A, **{name: C})
    document = {
        "config": image(config=odd),
        "layers": image(layers=[odd]),
        "subject": image(subject=odd),
        "manifests": index(manifests=[odd]),
    }[where]

    with pytest.raises(ManifestInvalid):
        parse(document)


BYTES: dict[str, bytes] = {
    "nothing": b"",
    "a blank": b" ",
    "half a document": json.dumps(image()).encode()[:-1],
    "two documents": json.dumps(image()).encode() * 2,
    "not UTF-8": json.dumps(image()).encode().replace(b"vnd", b"\xff\xfe"),
    "UTF-16": json.dumps(image()).encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(image()).encode(),
    "NaN": json.dumps(image(x=1)).encode().replace(b'"x": 1', b'"x": NaN'),
    "Infinity": json.dumps(image(x=1)).encode().replace(b'"x": 1', b'"x": -Infinity'),
    "a trailing comma": json.dumps(image()).encode()[:-1] + b",}",
    "a comment": b"/* */" + json.dumps(image()).encode(),
    "single quotes": json.dumps(image()).encode().replace(b'"', b"'"),
    "a control character": json.dumps(image(x="~")).encode().replace(b"~", b"\x01"),
    "a duplicate field": json.dumps(image()).encode()[:-1] + b', "layers": []}',
    "a duplicate field in a descriptor": json.dumps(image()).encode().replace(b'"size": 1', b'"size": 1, "size": 2', 1),
    "a duplicate field in an unknown one": json.dumps(image(x="~")).encode().replace(b'"~"', b'{"a": 1, "a": 1}'),
    "deep arrays": b"[" * 100_000,
    "deep and whole arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a deep unknown field": json.dumps(image(x="~")).encode().replace(b'"~"', b"[" * 100_000 + b"]" * 100_000),
    "a huge number": json.dumps(image(x="~")).encode().replace(b'"~"', b"9" * 1_000_000),
    "a huge size": json.dumps(image()).encode().replace(b'"size": 1', b'"size": ' + b"9" * 1_000_000, 1),
    "a huge exponent as size": json.dumps(image()).encode().replace(b'"size": 1', b'"size": 1e400', 1),
    "a lone surrogate in an annotation": json.dumps(image(annotations={"a": "\ud800"})).encode(),
    "a lone surrogate as an annotation's name": json.dumps(image(annotations={"\udfff": "a"})).encode(),
    "a lone surrogate in a digest": json.dumps(image(layers=[described("sha256:\ud800")])).encode(),
    "a lone surrogate in a media type": json.dumps(image(mediaType="a/\ud800")).encode(),
    "a lone surrogate in an unknown field": json.dumps(image(x="\udc00")).encode(),
}


@pytest.mark.parametrize("payload", BYTES.values(), ids=BYTES.keys())
def test_bytes_that_are_not_one_clear_json_document_are_refused(payload: bytes) -> None:
    """Quickly, and with an error that can itself be written as JSON in UTF-8."""
    with pytest.raises(ManifestInvalid) as refused:
        manifest.parse(payload, "")
    json.dumps([refused.value.message, refused.value.detail], ensure_ascii=False).encode("utf-8")
    assert len(refused.value.message) < 500


def test_a_pair_of_surrogates_is_a_character() -> None:
    """JSON writes characters beyond 16 bits so; json.dumps does."""
    assert {"a": "🚢"} == parse(image(annotations={"a": "🚢"})).annotations


def test_a_manifest_of_4_mib_is_taken_and_one_byte_more_is_not() -> None:
    payload = json.dumps(image()).encode()
    largest = payload + b" " * (manifest.MAX_BYTES - len(payload))

    manifest.parse(largest, "")
    with pytest.raises(ManifestInvalid, match="4 MiB"):
        manifest.parse(largest + b" ", "")


def test_the_most_descriptors_are_taken() -> None:
    document = {**image(layers=[described(B)] * manifest.MAX_DESCRIPTORS)}

    assert manifest.MAX_DESCRIPTORS + 1 == len(parse(document).blobs)


# Properties

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from([A, B, LAYER_TYPE]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["mediaType", "digest", "size", "Digest", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)
_names = sorted({*image(), *index(), "subject", "annotations", "artifactType", "blobs", "Layers"})
_types = st.sampled_from(["", "a", "a/b", "application/json", *mediatype.IMAGES, *mediatype.INDEXES, *mediatype.DOCKER_SCHEMA_1])


@given(st.binary(max_size=200), _types | st.text(max_size=30))
def test_any_bytes_are_a_manifest_or_manifest_invalid(payload: bytes, content_type: str) -> None:
    try:
        manifest.parse(payload, content_type)
    except ManifestInvalid as error:
        json.dumps([error.message, error.detail], ensure_ascii=False).encode("utf-8")


@given(st.dictionaries(st.sampled_from(_names), _json), st.booleans(), _types)
def test_any_document_is_a_manifest_or_manifest_invalid(fields: dict[str, Any], is_image: bool, content_type: str) -> None:
    """Almost right documents, which reach every check."""
    document = {**(image() if is_image else index()), **fields}
    try:
        parsed = parse(document, content_type)
    except ManifestInvalid as error:
        json.dumps([error.message, error.detail], ensure_ascii=False).encode("utf-8")
        return
    # What is taken has one reading, and only values that an answer can carry.
    assert not (parsed.blobs and parsed.children)
    parsed.media_type.encode("ascii")
    parsed.artifact_type.encode("ascii")
    json.dumps(parsed.annotations, ensure_ascii=False).encode("utf-8")


@given(st.lists(st.tuples(st.binary(max_size=8), st.integers(0, (1 << 63) - 1)), max_size=20))
def test_the_layers_of_an_image_are_read_in_order_with_their_sizes(layers: list[tuple[bytes, int]]) -> None:
    parsed = parse(image(layers=[described(Digest.of(content), size=size) for content, size in layers]))

    assert [(Digest.of(content), size) for content, size in layers] == [(blob.digest, blob.size_bytes) for blob in parsed.blobs[1:]]
