"""Referrers (distribution-spec, Listing Referrers)."""

from __future__ import annotations

import httpx
import pytest

from roadstead.api.distribution.referrers import PAGE
from tests.kit.load import OCI_INDEX
from tests.kit.push import Document, digest, error, image, index, next_page, push, push_blob, push_image

SBOM, SIGNATURE = "application/vnd.example.sbom", "application/vnd.example.signature+json; version=1"


@pytest.fixture
def subject(client: httpx.Client, repository: str) -> Document:
    push_blob(client, repository, b"{}")
    return push_image(client, repository)


def refer(client: httpx.Client, repository: str, subject: Document, artifact_type: str | None = None, **annotations: str) -> Document:
    manifest = image(b"{}", artifactType=artifact_type, subject=subject.descriptor, annotations=annotations or None)
    response = push(client, repository, manifest, manifest.digest)
    assert 201 == response.status_code, response.text
    return manifest


def referrers(client: httpx.Client, repository: str, subject: str, **query: str) -> httpx.Response:
    response = client.get(f"/v2/{repository}/referrers/{subject}", params=query)
    assert 200 == response.status_code, response.text
    return response


def digests(response: httpx.Response) -> list[str]:
    return [descriptor["digest"] for descriptor in response.json()["manifests"]]


def test_the_answer_is_an_index_of_descriptors(client: httpx.Client, repository: str, subject: Document) -> None:
    """With media type, size, digest, artifactType and the annotations of each manifest."""
    sbom = refer(client, repository, subject, SBOM, title="ü and 🚢")

    response = referrers(client, repository, subject.digest)

    assert OCI_INDEX == response.headers["Content-Type"]
    assert {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [{**sbom.descriptor, "artifactType": SBOM, "annotations": {"title": "ü and 🚢"}}],
    } == response.json()


def test_the_artifact_type_of_an_image_is_that_of_its_config(client: httpx.Client, repository: str, subject: Document) -> None:
    refer(client, repository, subject)

    (descriptor,) = referrers(client, repository, subject.digest).json()["manifests"]

    assert "application/vnd.oci.image.config.v1+json" == descriptor["artifactType"]


def test_an_index_can_refer_too(client: httpx.Client, repository: str, subject: Document) -> None:
    manifest = index([subject], subject=subject.descriptor, artifactType=SBOM)
    push(client, repository, manifest, "set")

    assert [manifest.digest] == digests(referrers(client, repository, subject.digest))


def test_a_subject_nobody_refers_to_has_an_empty_list(client: httpx.Client, repository: str, subject: Document) -> None:
    response = referrers(client, repository, subject.digest)

    assert [] == response.json()["manifests"]
    assert "OCI-Filters-Applied" not in response.headers


@pytest.mark.parametrize("known", ["repository", "nothing"])
def test_an_unknown_subject_has_an_empty_list_not_an_error(client: httpx.Client, repository: str, known: str) -> None:
    """distribution-spec: a registry that has the API MUST NOT answer 404, or clients fall back to tags."""
    if known == "repository":
        push_image(client, repository)

    assert [] == digests(referrers(client, repository, digest(b"unknown")))


def test_referrers_of_a_subject_that_comes_later_or_never(client: httpx.Client, repository: str) -> None:
    push_blob(client, repository, b"{}")
    later = image(b"{}", annotations={"pushed": "later"})
    early = refer(client, repository, later, SBOM)
    assert [early.digest] == digests(referrers(client, repository, later.digest))

    push(client, repository, later, "v1")

    assert [early.digest] == digests(referrers(client, repository, later.digest))


def test_the_list_can_be_filtered_by_artifact_type(client: httpx.Client, repository: str, subject: Document) -> None:
    """OCI-Filters-Applied says that the client need not filter again."""
    sbom = refer(client, repository, subject, SBOM)
    signature = refer(client, repository, subject, SIGNATURE)

    filtered = referrers(client, repository, subject.digest, artifactType=SIGNATURE)

    assert [signature.digest] == digests(filtered)
    assert "artifactType" == filtered.headers["OCI-Filters-Applied"]
    assert sorted([sbom.digest, signature.digest]) == sorted(digests(referrers(client, repository, subject.digest)))
    assert [] == digests(referrers(client, repository, subject.digest, artifactType="application/vnd.example"))


def test_the_referrers_of_another_repository_are_not_listed(client: httpx.Client, project: str) -> None:
    push_blob(client, f"{project}/a", b"{}")
    push_blob(client, f"{project}/b", b"{}")
    subject = image(b"{}")
    refer(client, f"{project}/a", subject, SBOM)

    assert [] == digests(referrers(client, f"{project}/b", subject.digest))


def test_a_deleted_referrer_is_not_listed(client: httpx.Client, repository: str, subject: Document) -> None:
    gone, stays = refer(client, repository, subject, SBOM), refer(client, repository, subject, SIGNATURE)

    client.delete(f"/v2/{repository}/manifests/{gone.digest}")

    assert [stays.digest] == digests(referrers(client, repository, subject.digest))


def test_referrers_outlive_their_subject(client: httpx.Client, repository: str, subject: Document) -> None:
    signature = refer(client, repository, subject, SIGNATURE)

    client.delete(f"/v2/{repository}/manifests/{subject.digest}")

    assert [signature.digest] == digests(referrers(client, repository, subject.digest))


@pytest.mark.parametrize("name", ["v1", "sha256:short", "sha256:..", "md5:" + "0" * 32])
def test_a_subject_is_named_by_digest(client: httpx.Client, repository: str, subject: Document, name: str) -> None:
    assert (400, "DIGEST_INVALID") == error(client.get(f"/v2/{repository}/referrers/{name}"))


@pytest.mark.parametrize("value", ["\ud800", "a\udfff"])
def test_half_a_character_in_an_annotation_cannot_poison_the_list(
    client: httpx.Client, repository: str, subject: Document, value: str
) -> None:
    """JSON can write a lone surrogate, UTF-8 cannot: once stored, every later list would fail."""
    poisoned = push(client, repository, image(b"{}", subject=subject.descriptor, annotations={"x": value}), "poison")
    good = refer(client, repository, subject, SBOM)

    assert (400, "MANIFEST_INVALID") == error(poisoned)
    assert [good.digest] == digests(referrers(client, repository, subject.digest))


def test_more_than_a_page_is_reached_by_its_links(client: httpx.Client, repository: str, subject: Document) -> None:
    """distribution-spec: a Link is set when there are too many for one answer; the filter goes on."""
    names = sorted(refer(client, repository, subject, SIGNATURE, number=str(number)).digest for number in range(PAGE + 1))
    refer(client, repository, subject, SBOM)

    first = referrers(client, repository, subject.digest, artifactType=SIGNATURE)
    second = client.get(next_page(first))

    assert names[:PAGE] == digests(first)
    assert names[PAGE:] == digests(second)
    assert "artifactType" == second.headers["OCI-Filters-Applied"]
    assert "Link" not in second.headers
