"""What Container Registry told beside the tags, and gcloud and gcrane read (contract.md, 1.3)."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from tests.kit.load import OCI_INDEX, OCI_MANIFEST, descriptor
from tests.kit.push import Document, document, error, image, index, next_page, push, push_blob, push_image

YEAR_1_MS = "-62135596800000"
CREATED = "2023-02-11T02:26:42.558Z"


def listed(client: httpx.Client, name: str, query: str = "") -> dict[str, Any]:
    response = client.get(f"/v2/{name}/tags/list{query}")
    assert 200 == response.status_code, response.text
    assert "application/json" == response.headers["Content-Type"]
    return dict(response.json())


def put(client: httpx.Client, repository: str, config: bytes, *layers: bytes, tag: str = "v1", **fields: Any) -> Document:
    for blob in (config, *layers):
        push_blob(client, repository, blob)
    manifest = image(config, layers, **fields)
    response = push(client, repository, manifest, tag)
    assert 201 == response.status_code, response.text
    return manifest


def test_a_manifest_is_told_with_its_tags_size_and_times(gcr: httpx.Client, repository: str) -> None:
    """Sizes and times are texts: go-containerregistry decodes no numbers there."""
    before_ms = time.time_ns() // 1_000_000
    config, layer = json.dumps({"created": CREATED, "os": "linux"}).encode(), b"four"
    manifest = put(gcr, repository, config, layer)
    gcr.put(f"/v2/{repository}/manifests/latest", content=manifest.payload, headers=manifest.headers)

    answer = listed(gcr, repository)

    uploaded_ms = answer["manifest"][manifest.digest].pop("timeUploadedMs")
    assert before_ms <= int(uploaded_ms) <= time.time_ns() // 1_000_000
    assert isinstance(uploaded_ms, str)
    assert {
        "child": [],
        "manifest": {
            manifest.digest: {
                "imageSizeBytes": str(len(config) + 4),
                "layerId": "",
                "mediaType": OCI_MANIFEST,
                "tag": ["latest", "v1"],
                "timeCreatedMs": "1676082402558",
            }
        },
        "name": repository,
        "tags": ["latest", "v1"],
    } == answer


def test_without_a_tag_there_is_an_empty_list(gcr: httpx.Client, repository: str) -> None:
    """Never null: gcrane and scripts that clean up read a list."""
    manifest = push_image(gcr, repository)
    gcr.delete(f"/v2/{repository}/manifests/v1")

    answer = listed(gcr, repository)

    assert [] == answer["manifest"][manifest.digest]["tag"]
    assert [] == answer["tags"]


def test_a_tag_that_moves_is_told_where_it_is(gcr: httpx.Client, repository: str) -> None:
    old, new = push_image(gcr, repository, "latest", "1"), push_image(gcr, repository, "latest", "2")

    manifests = listed(gcr, repository)["manifest"]

    assert ([], ["latest"]) == (manifests[old.digest]["tag"], manifests[new.digest]["tag"])


def test_an_index_and_its_children_are_told_apart(gcr: httpx.Client, repository: str) -> None:
    """Container Registry said 0 and 0 of an index; its children stand for themselves, without a tag."""
    children = [put(gcr, repository, json.dumps({"created": CREATED, "n": number}).encode(), tag=f"c{number}") for number in range(2)]
    for number in range(2):
        gcr.delete(f"/v2/{repository}/manifests/c{number}")
    both = index(children)
    push(gcr, repository, both, "multi")

    manifests = listed(gcr, repository)["manifest"]

    assert {both.digest, *(child.digest for child in children)} == set(manifests)
    told = manifests[both.digest]
    assert ("0", "0", OCI_INDEX, ["multi"]) == (told["imageSizeBytes"], told["timeCreatedMs"], told["mediaType"], told["tag"])
    assert [("1676082402558", [])] * 2 == [(manifests[child.digest]["timeCreatedMs"], manifests[child.digest]["tag"]) for child in children]


ODD = {
    "nothing": (b"{}", YEAR_1_MS),
    "null": (b'{"created":null}', YEAR_1_MS),
    "the year 1": (b'{"created":"0001-01-01T00:00:00Z"}', YEAR_1_MS),
    "1970": (b'{"created":"1970-01-01T00:00:00Z"}', "0"),
    "nanoseconds": (b'{"created":"2023-02-11T02:26:42.558123456Z"}', "1676082402558"),
    "an offset": (b'{"created":"2023-02-11T03:26:42.558+01:00"}', "1676082402558"),
    "words": (b'{"created":"last summer"}', YEAR_1_MS),
    "a number": (b'{"created":1676082402}', YEAR_1_MS),
    "no JSON": (b"\x00\xff not JSON", YEAR_1_MS),
    "not an object": (b"[1]", YEAR_1_MS),
    "empty": (b"", YEAR_1_MS),
    "long": (b'{"history":"' + b"x" * 100_000 + b'","created":"2023-02-11T02:26:42.558Z"}', "1676082402558"),
    "too long": (b'{"history":"' + b"x" * 1_100_000 + b'","created":"2023-02-11T02:26:42.558Z"}', YEAR_1_MS),
}


@pytest.mark.parametrize("name", ODD)
def test_no_config_fails_a_push(gcr: httpx.Client, repository: str, name: str) -> None:
    """Small ones are in the database, larger ones in the blob store; the time is told at once for both."""
    config, expected = ODD[name]

    manifest = put(gcr, repository, config)

    told = listed(gcr, repository)["manifest"][manifest.digest]
    assert (expected, str(len(config))) == (told["timeCreatedMs"], told["imageSizeBytes"])


def test_a_manifest_without_a_config_has_no_time(gcr: httpx.Client, repository: str) -> None:
    push_blob(gcr, repository, b"signed")
    artifact = document("application/vnd.oci.artifact.manifest.v1+json", blobs=[descriptor(b"signed")])
    assert 201 == push(gcr, repository, artifact).status_code

    told = listed(gcr, repository)["manifest"][artifact.digest]

    assert (YEAR_1_MS, "6") == (told["timeCreatedMs"], told["imageSizeBytes"])


def test_sizes_that_a_pusher_made_up_are_told_as_far_as_can_be(gcr: httpx.Client, repository: str) -> None:
    """Layers that need not be here may have any size; their sum must not be more than a database takes."""
    foreign = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": f"sha256:{'0' * 64}",
        "size": (1 << 63) - 1,
    }
    push_blob(gcr, repository, b"{}")
    manifest = document(config=descriptor(b"{}"), layers=[foreign, foreign])
    assert 201 == push(gcr, repository, manifest).status_code

    assert str((1 << 63) - 1) == listed(gcr, repository)["manifest"][manifest.digest]["imageSizeBytes"]


def test_a_media_type_is_written_as_json_wants_it(gcr: httpx.Client, repository: str) -> None:
    odd = 'application/x"}\\y'
    push_blob(gcr, repository, b"{}")
    manifest = document(odd, config=descriptor(b"{}"), layers=[])
    response = push(gcr, repository, manifest)

    assert 201 == response.status_code, response.text
    assert odd == listed(gcr, repository)["manifest"][manifest.digest]["mediaType"]


def test_what_is_below_is_told_in_single_parts(gcr: httpx.Client, project: str) -> None:
    """Images and folders alike; one name may be both. The order of names is not that of their parts: `-` is before `/`."""
    for name in ("a", "a-b", "a/b", "a/b/c", "a.b", "team/x/y", "z"):
        push_image(gcr, f"{project}/{name}")
    # An upload alone is no image.
    push_blob(gcr, f"{project}/only-a-blob", b"{}")

    assert ["a", "a-b", "a.b", "team", "z"] == listed(gcr, project)["child"]
    assert ["b"] == listed(gcr, f"{project}/a")["child"]
    assert ["c"] == listed(gcr, f"{project}/a/b")["child"]
    assert [] == listed(gcr, f"{project}/z")["child"]
    assert {"child": ["x"], "manifest": {}, "name": f"{project}/team", "tags": []} == listed(gcr, f"{project}/team")


def test_a_project_is_listed_by_its_name_alone(gcr: httpx.Client, project: str) -> None:
    """`gcloud container images list --repository=gcr.io/PROJECT`; one that is empty has nothing in it."""
    assert {"child": [], "manifest": {}, "name": project, "tags": []} == listed(gcr, project)

    push_image(gcr, f"{project}/image")

    assert ["image"] == listed(gcr, project)["child"]


def test_a_domain_scoped_project_is_listed_too(gcr: httpx.Client, project: str) -> None:
    """`example.com:proj` is example.com/proj in names."""
    assert {"child": [], "manifest": {}, "name": f"example.com/{project}", "tags": []} == listed(gcr, f"example.com/{project}")

    push_image(gcr, f"example.com/{project}/image")

    assert ["image"] == listed(gcr, f"example.com/{project}")["child"]


def test_what_never_was_is_unknown(gcr: httpx.Client, project: str) -> None:
    """gcrane takes a 404 for an empty place to copy to."""
    push_image(gcr, f"{project}/image")

    for name in (f"{project}/other", f"{project}/imag", f"{project}/image/below"):
        for query in ("", "?n=1000", "?n=100"):
            assert (404, "NAME_UNKNOWN") == error(gcr.get(f"/v2/{name}/tags/list{query}"))


@pytest.mark.parametrize("name", ["P", "..", "p_", "a" * 256, "%2e%2e", "p%00"])
def test_what_is_no_name_is_no_project(gcr: httpx.Client, name: str) -> None:
    assert gcr.get(f"/v2/{name}/tags/list").status_code in (400, 404)


def test_a_project_is_no_repository_to_anything_else(gcr: httpx.Client, project: str) -> None:
    for path in ("manifests/v1", "blobs/uploads/x", f"referrers/sha256:{'0' * 64}"):
        assert (400, "NAME_INVALID") == error(gcr.get(f"/v2/{project}/{path}"))
    assert (400, "NAME_INVALID") == error(gcr.post(f"/v2/{project}/blobs/uploads/"))


def test_a_place_after_its_last_manifest_is_empty(gcr: httpx.Client, repository: str) -> None:
    manifest = push_image(gcr, repository)
    gcr.delete(f"/v2/{repository}/manifests/v1")
    gcr.delete(f"/v2/{repository}/manifests/{manifest.digest}")

    assert {"child": [], "manifest": {}, "name": repository, "tags": []} == listed(gcr, repository)
    assert [] == listed(gcr, repository.partition("/")[0])["child"]


def test_each_location_has_its_own(gcr: httpx.Client, repository: str, project: str) -> None:
    push_image(gcr, repository)

    assert ["image"] == listed(gcr, project)["child"]
    assert {"child": [], "manifest": {}, "name": project, "tags": []} == gcr.get(
        f"/v2/{project}/tags/list", headers={"Host": "eu.gcr.io"}
    ).json()
    assert 404 == gcr.get(f"/v2/{repository}/tags/list", headers={"Host": "eu.gcr.io"}).status_code


def test_the_first_page_of_gcrane_has_every_manifest_and_as_many_tags_as_it_asked_for(gcr: httpx.Client, repository: str) -> None:
    """It asks for 1,000 or 10,000 and reads no second page. Who goes on by the Link gets plain pages."""
    push_blob(gcr, repository, b"{}")
    first, second = image(b"{}"), image(b"{}", annotations={"second": "yes"})
    names = [f"v{number:04}" for number in range(1100)]
    for start in range(0, 1100, 100):
        tags = "&".join(f"tag={name}" for name in names[start : start + 100])
        manifest = first if start < 600 else second
        assert 201 == push(gcr, repository, manifest, f"{manifest.digest}?{tags}").status_code

    answers = [gcr.get(f"/v2/{repository}/tags/list{query}") for query in ("", "?n=10000", "?n=1000")]

    assert [names, names, names[:1000]] == [answer.json()["tags"] for answer in answers]
    for answer in answers:
        manifests = answer.json()["manifest"]
        assert (names[:600], names[600:]) == (manifests[first.digest]["tag"], manifests[second.digest]["tag"])
    assert [False, False, True] == ["Link" in answer.headers for answer in answers]
    rest = gcr.get(next_page(answers[2])).json()
    assert {"name": repository, "tags": names[1000:]} == rest


def test_tags_are_in_the_order_of_the_specification(gcr: httpx.Client, repository: str) -> None:
    manifest = push_image(gcr, repository, "a")
    names = ["B", "A", "a", "b", "_x", "1.10", "1.9", "Z", "aB", "Ab"]
    assert 201 == push(gcr, repository, manifest, f"{manifest.digest}?{'&'.join(f'tag={name}' for name in names)}").status_code

    answer = listed(gcr, repository)

    assert sorted(names, key=lambda tag: (tag.lower(), tag)) == answer["tags"]
    assert sorted(names) == sorted(answer["manifest"][manifest.digest]["tag"])
