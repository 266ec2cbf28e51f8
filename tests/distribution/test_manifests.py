"""Manifests over HTTP (distribution-spec, Pulling, Pushing and Deleting Manifests)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.kit.load import OCI_INDEX, OCI_MANIFEST, descriptor
from tests.kit.push import Document, connect, digest, document, error, image, index, push, push_blob, push_image
from tests.kit.server import Server

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
ABSENT = digest(b"nobody has this")


@pytest.fixture
def an_image(client: httpx.Client, repository: str) -> Document:
    """An image whose blobs are there and whose manifest is not."""
    config, layer = b'{"os":"linux"}', f"a layer of {repository}".encode()
    for blob in (config, layer):
        push_blob(client, repository, blob)
    return image(config, [layer])


def get(client: httpx.Client, repository: str, reference: str, **headers: str) -> httpx.Response:
    return client.get(f"/v2/{repository}/manifests/{reference}", headers=headers)


# Pushing and pulling


def test_a_push_is_created_at_its_digest(client: httpx.Client, repository: str, an_image: Document) -> None:
    """distribution-spec, Pushing Manifests: 201, and Location is the pullable manifest."""
    response = push(client, repository, an_image)

    assert 201 == response.status_code
    assert f"/v2/{repository}/manifests/{an_image.digest}" == response.headers["Location"]
    assert an_image.digest == response.headers["Docker-Content-Digest"]
    assert an_image.payload == client.get(response.headers["Location"]).content


def test_a_manifest_is_served_byte_for_byte(client: httpx.Client, repository: str, an_image: Document) -> None:
    """distribution-spec, Pushing Manifests: the registry MUST store the manifest in the exact byte representation."""
    odd = Document(OCI_MANIFEST, b"\n " + an_image.payload.replace(b",", b" ,\t\n") + b"\r\n")

    push(client, repository, odd)

    assert odd.payload == get(client, repository, "v1").content
    assert odd.payload == get(client, repository, odd.digest).content


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_a_pull_tells_type_digest_and_length(client: httpx.Client, repository: str, an_image: Document, by: str) -> None:
    push(client, repository, an_image)

    response = get(client, repository, "v1" if by == "tag" else an_image.digest)

    assert 200 == response.status_code
    assert an_image.payload == response.content
    assert OCI_MANIFEST == response.headers["Content-Type"]
    assert an_image.digest == response.headers["Docker-Content-Digest"]
    assert str(len(an_image.payload)) == response.headers["Content-Length"]


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_head_tells_what_get_would(client: httpx.Client, repository: str, an_image: Document, by: str) -> None:
    push(client, repository, an_image)
    path = f"/v2/{repository}/manifests/{'v1' if by == 'tag' else an_image.digest}"

    head, full = client.head(path), client.get(path)

    assert 200 == head.status_code
    assert b"" == head.content
    names = ("Content-Type", "Content-Length", "Docker-Content-Digest", "ETag")
    assert [full.headers[name] for name in names] == [head.headers[name] for name in names]


@pytest.mark.parametrize("accept", ["*/*", OCI_INDEX, "text/html", "application/json;q=0.1", ""])
def test_the_stored_manifest_is_served_whatever_accept_says(client: httpx.Client, repository: str, an_image: Document, accept: str) -> None:
    """Clients check what they get, and some send no Accept at all; gcloud stops at any error but 404."""
    push(client, repository, an_image)

    response = get(client, repository, "v1", Accept=accept)

    assert (200, OCI_MANIFEST) == (response.status_code, response.headers["Content-Type"])


def test_a_tag_moves_and_the_old_manifest_stays(client: httpx.Client, repository: str) -> None:
    old = push_image(client, repository, "v1", "old")
    new = push_image(client, repository, "v1", "new")

    assert new.payload == get(client, repository, "v1").content
    assert old.payload == get(client, repository, old.digest).content


def test_a_push_by_digest_makes_no_tag(client: httpx.Client, repository: str, an_image: Document) -> None:
    assert 201 == push(client, repository, an_image, an_image.digest).status_code

    assert an_image.payload == get(client, repository, an_image.digest).content
    assert [] == client.get(f"/v2/{repository}/tags/list").json()["tags"]


def test_a_push_to_another_digest_is_refused(client: httpx.Client, repository: str, an_image: Document) -> None:
    response = push(client, repository, an_image, ABSENT)

    assert (400, "DIGEST_INVALID") == error(response)
    assert {"expected": ABSENT, "received": an_image.digest} == response.json()["errors"][0]["detail"]
    assert 404 == get(client, repository, an_image.digest).status_code


def test_pushing_the_same_again_changes_nothing(client: httpx.Client, repository: str, an_image: Document) -> None:
    first, again = push(client, repository, an_image), push(client, repository, an_image)

    assert (201, 201) == (first.status_code, again.status_code)
    assert first.headers["Location"] == again.headers["Location"]


def test_a_manifest_can_be_pushed_under_its_sha512(client: httpx.Client, repository: str, an_image: Document) -> None:
    name = digest(an_image.payload, "sha512")

    response = push(client, repository, an_image, name)

    assert 201 == response.status_code
    assert name == response.headers["Docker-Content-Digest"]
    pulled = get(client, repository, name)
    assert (an_image.payload, name) == (pulled.content, pulled.headers["Docker-Content-Digest"])


def test_an_image_of_sha512_blobs_and_one_that_mixes_both(client: httpx.Client, repository: str) -> None:
    push_blob(client, repository, b"config", "sha512")
    push_blob(client, repository, b"layer")
    config = {**descriptor(b"config"), "digest": digest(b"config", "sha512")}
    mixed = document(config=config, layers=[descriptor(b"layer")])

    assert 201 == push(client, repository, mixed).status_code


def test_a_streamed_push_has_no_content_length(client: httpx.Client, repository: str, an_image: Document) -> None:
    pieces = (an_image.payload[start : start + 7] for start in range(0, len(an_image.payload), 7))

    response = client.put(f"/v2/{repository}/manifests/v1", content=pieces, headers=an_image.headers)

    assert 201 == response.status_code
    assert an_image.payload == get(client, repository, "v1").content


# Several tags in one push (distribution-spec draft, Pushing Manifests with tags)


def test_one_push_can_give_several_tags(client: httpx.Client, repository: str, an_image: Document) -> None:
    path = f"/v2/{repository}/manifests/{an_image.digest}?tag=v1&tag=v1.2&tag=latest"

    response = client.put(path, content=an_image.payload, headers=an_image.headers)

    assert 201 == response.status_code
    assert ["v1", "v1.2", "latest"] == response.headers.get_list("OCI-Tag")
    assert ["latest", "v1", "v1.2"] == client.get(f"/v2/{repository}/tags/list").json()["tags"]
    for tag in ("v1", "v1.2", "latest"):
        assert an_image.digest == get(client, repository, tag).headers["Docker-Content-Digest"]


def test_one_bad_tag_of_several_stores_nothing(client: httpx.Client, repository: str, an_image: Document) -> None:
    path = f"/v2/{repository}/manifests/{an_image.digest}?tag=good&tag=.bad"

    response = client.put(path, content=an_image.payload, headers=an_image.headers)

    assert (400, "TAG_INVALID") == error(response)
    assert 404 == get(client, repository, an_image.digest).status_code
    assert 404 == get(client, repository, "good").status_code


def test_too_many_tags_are_refused(client: httpx.Client, repository: str, an_image: Document) -> None:
    path = f"/v2/{repository}/manifests/{an_image.digest}?" + "&".join(f"tag=t{number}" for number in range(101))

    response = client.put(path, content=an_image.payload, headers=an_image.headers)

    assert 400 == error(response)[0]
    assert "100 tags" in response.json()["errors"][0]["message"]


# What a manifest names


def test_all_that_misses_is_named(client: httpx.Client, repository: str) -> None:
    """distribution-spec, Error Codes: MANIFEST_BLOB_UNKNOWN for content that is not known to the registry."""
    push_blob(client, repository, b"here")
    manifest = image(b"config that misses", [b"here", b"layer that misses", b"another that misses"])

    response = push(client, repository, manifest)

    assert (400, "MANIFEST_BLOB_UNKNOWN") == error(response)
    missing = {entry["detail"]["digest"] for entry in response.json()["errors"]}
    assert {digest(b"config that misses"), digest(b"layer that misses"), digest(b"another that misses")} == missing
    assert 404 == get(client, repository, "v1").status_code


def test_a_refused_push_leaves_no_repository(client: httpx.Client, repository: str) -> None:
    push(client, repository, image(b"misses"))

    assert (404, "NAME_UNKNOWN") == error(client.get(f"/v2/{repository}/tags/list"))


def test_a_blob_of_another_repository_is_not_here(client: httpx.Client, project: str) -> None:
    """CVE-2024-39897: whoever knows a digest must not get the bytes by naming it in a manifest of their own."""
    secret = push_blob(client, f"{project}/victim", b"the victim's layer")

    response = push(client, f"{project}/attacker", image(b"the victim's layer"))

    assert (400, "MANIFEST_BLOB_UNKNOWN") == error(response)
    assert 404 == client.get(f"/v2/{project}/attacker/blobs/{secret}").status_code


def test_a_size_that_is_not_the_blob_s_is_refused(client: httpx.Client, repository: str) -> None:
    push_blob(client, repository, b"12345")
    manifest = document(config={**descriptor(b"12345"), "size": 4}, layers=[])

    response = push(client, repository, manifest)

    assert (400, "SIZE_INVALID") == error(response)
    assert {"digest": digest(b"12345"), "size": 5} == response.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    "media_type",
    ["application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"],
)
def test_a_foreign_layer_may_be_absent(client: httpx.Client, repository: str, media_type: str) -> None:
    """Windows base layers: their bytes are elsewhere by licence."""
    push_blob(client, repository, b"{}")
    foreign = {**descriptor(b"elsewhere", media_type), "urls": ["https://example.com/layer"]}

    response = push(client, repository, document(config=descriptor(b"{}"), layers=[foreign]))

    assert 201 == response.status_code


def test_the_children_of_an_index_must_be_here(client: httpx.Client, repository: str) -> None:
    here, absent = push_image(client, repository), image(b"never pushed")

    response = push(client, repository, index([here, absent]), "all")

    assert (400, "MANIFEST_BLOB_UNKNOWN") == error(response)
    assert [{"digest": absent.digest}] == [entry["detail"] for entry in response.json()["errors"]]


def test_an_index_of_images_and_an_index_of_indexes(client: httpx.Client, repository: str) -> None:
    children = [push_image(client, repository, tag) for tag in ("amd64", "arm64")]
    inner = index(children)
    outer = index([inner])

    assert 201 == push(client, repository, inner, inner.digest).status_code
    assert 201 == push(client, repository, outer, "all").status_code

    pulled = get(client, repository, "all")
    assert (outer.payload, OCI_INDEX) == (pulled.content, pulled.headers["Content-Type"])


def test_docker_s_schema_2_manifests_and_lists(client: httpx.Client, repository: str) -> None:
    push_blob(client, repository, b"{}")
    manifest = image(b"{}", media_type=DOCKER_MANIFEST)
    listed = index([manifest], media_type=DOCKER_LIST)

    assert 201 == push(client, repository, manifest, "one").status_code
    assert 201 == push(client, repository, listed, "list").status_code

    assert DOCKER_MANIFEST == get(client, repository, "one").headers["Content-Type"]
    assert DOCKER_LIST == get(client, repository, "list").headers["Content-Type"]


def test_a_manifest_of_a_media_type_nobody_knows(client: httpx.Client, repository: str) -> None:
    """distribution-spec, Pushing Manifests: a registry SHOULD take manifests of media types it does not know."""
    push_blob(client, repository, b"{}")
    manifest = image(b"{}", media_type="application/vnd.example.thing.v7+json", nobodyKnows={"this": ["field"]})

    assert 201 == push(client, repository, manifest).status_code
    assert manifest.media_type == get(client, repository, "v1").headers["Content-Type"]
    assert manifest.payload == get(client, repository, "v1").content


def test_the_content_type_is_the_media_type_of_a_manifest_that_does_not_say(client: httpx.Client, repository: str) -> None:
    push_blob(client, repository, b"{}")
    manifest = Document(DOCKER_MANIFEST, json.dumps({"schemaVersion": 2, "config": descriptor(b"{}"), "layers": []}).encode())

    push(client, repository, manifest)

    assert DOCKER_MANIFEST == get(client, repository, "v1").headers["Content-Type"]


def test_a_content_type_that_contradicts_the_manifest_is_refused(client: httpx.Client, repository: str, an_image: Document) -> None:
    """CVE-2021-41190: what is stored has one media type, and it is the one that is served."""
    response = push(client, repository, Document(OCI_INDEX, an_image.payload))

    assert (400, "MANIFEST_INVALID") == error(response)


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, "application/vnd.example+json"])
def test_bytes_that_are_an_image_and_an_index_are_refused(client: httpx.Client, repository: str, media_type: str) -> None:
    """CVE-2021-41190, the other half: both `manifests` and `layers`."""
    push_blob(client, repository, b"{}")

    response = push(client, repository, image(b"{}", media_type=media_type, manifests=[]))

    assert (400, "MANIFEST_INVALID") == error(response)


# Subjects (distribution-spec, Pushing Manifests with Subject)


@pytest.mark.parametrize("subject", ["present", "absent"])
def test_a_manifest_with_a_subject_is_acknowledged_with_oci_subject(client: httpx.Client, repository: str, subject: str) -> None:
    """It MUST be accepted whether or not the subject exists; OCI-Subject says that the referrers API knows it."""
    push_blob(client, repository, b"{}")
    named = push_image(client, repository) if subject == "present" else image(b"never pushed")

    response = push(client, repository, image(b"{}", subject=named.descriptor), "signature")

    assert 201 == response.status_code
    assert named.digest == response.headers["OCI-Subject"]


def test_a_manifest_without_a_subject_has_no_oci_subject(client: httpx.Client, repository: str, an_image: Document) -> None:
    assert "OCI-Subject" not in push(client, repository, an_image).headers


# Caches and conditions (RFC 9110, 13)


@pytest.mark.parametrize("etag", ['"{}"', 'W/"{}"', '"other", "{}"', '"{}" , "other"', "*"])
def test_a_manifest_that_the_client_has_is_not_sent_again(client: httpx.Client, repository: str, an_image: Document, etag: str) -> None:
    push(client, repository, an_image)

    response = get(client, repository, "v1", **{"If-None-Match": etag.format(an_image.digest)})

    assert 304 == response.status_code
    assert b"" == response.content
    assert f'"{an_image.digest}"' == response.headers["ETag"]


@pytest.mark.parametrize("etag", [f'"{ABSENT}"', "{}", '"', '""', "nonsense"])
def test_a_manifest_that_the_client_does_not_have_is_sent(client: httpx.Client, repository: str, an_image: Document, etag: str) -> None:
    """An entity tag has quotes; what has none is not one."""
    push(client, repository, an_image)

    response = get(client, repository, "v1", **{"If-None-Match": etag.format(an_image.digest)})

    assert (200, an_image.payload) == (response.status_code, response.content)


def test_a_tag_is_moved_only_from_where_the_client_saw_it(client: httpx.Client, repository: str) -> None:
    old, new = push_image(client, repository, "v1", "old"), push_image(client, repository, "other", "new")

    stale = push(client, repository, new, "v1", **{"If-Match": f'"{ABSENT}"'})
    moved = push(client, repository, new, "v1", **{"If-Match": f'"{old.digest}"'})
    late = push(client, repository, old, "v1", **{"If-Match": f'"{old.digest}"'})

    assert (412, "DENIED") == error(stale)
    assert 201 == moved.status_code
    assert (412, "DENIED") == error(late)
    assert {"digest": new.digest} == late.json()["errors"][0]["detail"]
    assert new.digest == get(client, repository, "v1").headers["Docker-Content-Digest"]


def test_if_match_of_anything_needs_a_tag_that_is_there(client: httpx.Client, repository: str, an_image: Document) -> None:
    absent = push(client, repository, an_image, "v1", **{"If-Match": "*"})
    push(client, repository, an_image, "v1")
    present = push(client, repository, an_image, "v1", **{"If-Match": "*"})

    assert (412, 201) == (absent.status_code, present.status_code)


def test_a_refused_condition_stores_nothing(client: httpx.Client, repository: str, an_image: Document) -> None:
    push(client, repository, an_image, "v1", **{"If-Match": f'"{ABSENT}"'})

    assert 404 == get(client, repository, "v1").status_code
    assert 404 == get(client, repository, an_image.digest).status_code


def test_a_write_once_tag_is_written_once(client: httpx.Client, repository: str, an_image: Document) -> None:
    first = push(client, repository, an_image, "v1", **{"If-None-Match": "*"})
    again = push(client, repository, an_image, "v1", **{"If-None-Match": "*"})

    assert 201 == first.status_code
    assert (412, "DENIED") == error(again)


@pytest.mark.parametrize("condition", [{"If-None-Match": f'"{ABSENT}"'}, {"If-Match": ABSENT}, {"If-Match": "v1"}])
def test_a_condition_that_says_nothing_is_refused(
    client: httpx.Client, repository: str, an_image: Document, condition: dict[str, str]
) -> None:
    """To ignore it would be to overwrite what the client wanted to protect."""
    assert 400 == error(push(client, repository, an_image, **condition))[0]


def race(server: Server, repository: str, contenders: list[Document], headers: dict[str, str]) -> list[int]:
    """All push at once to `v1`, each over its own connection; returns the statuses."""

    def contend(manifest: Document) -> int:
        with connect(server.url) as own:
            return push(own, repository, manifest, "v1", **headers).status_code

    with ThreadPoolExecutor(len(contenders)) as pool:
        return list(pool.map(contend, contenders))


def contenders(client: httpx.Client, repository: str, count: int) -> list[Document]:
    push_blob(client, repository, b"{}")
    return [image(b"{}", annotations={"number": str(number)}) for number in range(count)]


@pytest.mark.parametrize("condition", ["If-Match", "If-None-Match"])
def test_of_many_conditional_pushes_at_once_exactly_one_wins(server: Server, client: httpx.Client, repository: str, condition: str) -> None:
    """CVE-2026-31801: also in a race, and over several serving processes, a tag that may be created once is created once."""
    racers = contenders(client, repository, 24)
    headers = {"If-None-Match": "*"}
    if condition == "If-Match":
        start = push_image(client, repository, "v1")
        headers = {"If-Match": f'"{start.digest}"'}

    statuses = race(server, repository, racers, headers)

    assert {201: 1, 412: 23} == {status: statuses.count(status) for status in sorted(set(statuses))}
    winner = racers[statuses.index(201)]
    assert winner.payload == get(client, repository, "v1").content


def test_a_counter_of_moves_loses_none(server: Server, client: httpx.Client, repository: str) -> None:
    """Read, then move if unchanged, from many clients: the chain of manifests has every acknowledged move."""
    push_blob(client, repository, b"{}")
    push(client, repository, image(b"{}", annotations={"count": "0"}))

    def increment(_: int) -> int:
        with connect(server.url) as own:
            for attempt in range(1000):
                seen = get(own, repository, "v1")
                count = int(seen.json()["annotations"]["count"])
                moved = image(b"{}", annotations={"count": str(count + 1)})
                if push(own, repository, moved, "v1", **{"If-Match": seen.headers["ETag"]}).status_code == 201:
                    return attempt
        raise AssertionError("no move succeeded")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(increment, range(16)))

    assert "16" == get(client, repository, "v1").json()["annotations"]["count"]


# Deleting (distribution-spec, Deleting Manifests, Deleting tags)


def test_delete_by_tag_removes_only_the_tag(client: httpx.Client, repository: str) -> None:
    manifest = push_image(client, repository, "v1")
    push(client, repository, manifest, "v2")

    response = client.delete(f"/v2/{repository}/manifests/v1")

    assert 202 == response.status_code
    assert (404, "MANIFEST_UNKNOWN") == error(get(client, repository, "v1"))
    assert manifest.payload == get(client, repository, "v2").content
    assert manifest.payload == get(client, repository, manifest.digest).content


def test_delete_by_digest_removes_the_manifest_and_its_tags(client: httpx.Client, repository: str) -> None:
    manifest = push_image(client, repository, "v1")
    push(client, repository, manifest, "v2")
    other = push_image(client, repository, "other")

    response = client.delete(f"/v2/{repository}/manifests/{manifest.digest}")

    assert 202 == response.status_code
    assert [404] * 3 == [get(client, repository, name).status_code for name in ("v1", "v2", manifest.digest)]
    assert ["other"] == client.get(f"/v2/{repository}/tags/list").json()["tags"]
    assert other.payload == get(client, repository, "other").content


@pytest.mark.parametrize("reference", ["v2", ABSENT])
def test_what_is_not_there_cannot_be_deleted(client: httpx.Client, repository: str, reference: str) -> None:
    push_image(client, repository, "v1")

    assert (404, "MANIFEST_UNKNOWN") == error(client.delete(f"/v2/{repository}/manifests/{reference}"))


def test_a_deleted_manifest_can_be_pushed_again(client: httpx.Client, repository: str) -> None:
    """Its blobs are still protected, so the client needs to send only the manifest."""
    manifest = push_image(client, repository)
    client.delete(f"/v2/{repository}/manifests/{manifest.digest}")

    assert 201 == push(client, repository, manifest).status_code
    assert manifest.payload == get(client, repository, "v1").content


def test_deleting_in_one_repository_leaves_the_other(client: httpx.Client, project: str) -> None:
    manifests = {}
    for name in ("a", "b"):
        push_blob(client, f"{project}/{name}", b"{}")
        manifests[name] = image(b"{}")
        push(client, f"{project}/{name}", manifests[name])

    client.delete(f"/v2/{project}/a/manifests/{manifests['a'].digest}")

    assert 404 == get(client, f"{project}/a", "v1").status_code
    assert 200 == get(client, f"{project}/b", "v1").status_code


def test_a_pull_of_an_unknown_repository_is_a_manifest_unknown(client: httpx.Client, repository: str) -> None:
    assert (404, "MANIFEST_UNKNOWN") == error(get(client, repository, "v1"))


def test_a_read_after_the_answer_is_never_stale(server: Server, client: httpx.Client, repository: str) -> None:
    """From any process: each read goes over a new connection, so that it may meet any of them."""
    push_blob(client, repository, b"{}")
    stale: list[Any] = []
    for number in range(40):
        manifest = image(b"{}", annotations={"number": str(number)})
        push(client, repository, manifest)
        with connect(server.url) as own:
            seen = get(own, repository, "v1").headers["Docker-Content-Digest"]
        stale += [number] if seen != manifest.digest else []
    assert [] == stale
