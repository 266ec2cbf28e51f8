"""Mounts: a blob of another repository without moving its bytes (distribution-spec, Mounting a blob from another repository)."""

from __future__ import annotations

from random import Random

import httpx
import pytest

from tests.kit.push import OCTETS, digest, error, image, push, push_blob

SMALL = Random("a small mount").randbytes(1000)
LARGE = Random("a large mount").randbytes(100_000)


@pytest.fixture(params=["small", "large"])
def content(request: pytest.FixtureRequest, project: str) -> bytes:
    """Nobody else's bytes: a mount without a source looks everywhere."""
    return (SMALL if request.param == "small" else LARGE) + project.encode()


@pytest.fixture
def source(client: httpx.Client, project: str, content: bytes) -> str:
    push_blob(client, f"{project}/source", content)
    return f"{project}/source"


def mount(client: httpx.Client, repository: str, name: str, host: str | None = None, **query: str) -> httpx.Response:
    headers = {"Host": host} if host else {}
    return client.post(f"/v2/{repository}/blobs/uploads/", params={"mount": name, **query}, headers=headers)


def is_offered_an_upload(client: httpx.Client, response: httpx.Response, content: bytes, host: str | None = None) -> bool:
    """The specification's way to say no: 202, and the upload works."""
    if response.status_code != 202:
        return False
    headers = {**OCTETS, **({"Host": host} if host else {})}
    done = client.put(response.headers["Location"], params={"digest": digest(content)}, content=content, headers=headers)
    return done.status_code == 201


def test_a_blob_is_mounted_from_a_repository_that_has_it(client: httpx.Client, repository: str, source: str, content: bytes) -> None:
    response = mount(client, repository, digest(content), **{"from": source})

    assert 201 == response.status_code
    assert f"/v2/{repository}/blobs/{digest(content)}" == response.headers["Location"]
    assert digest(content) == response.headers["Docker-Content-Digest"]
    assert content == client.get(response.headers["Location"]).content


def test_a_mounted_blob_is_enough_for_a_manifest(client: httpx.Client, repository: str, source: str, content: bytes) -> None:
    mount(client, repository, digest(content), **{"from": source})

    assert 201 == push(client, repository, image(content)).status_code


def test_a_blob_is_mounted_from_whoever_has_it(client: httpx.Client, repository: str, source: str, content: bytes) -> None:
    """distribution-spec draft: `from` may be left out."""
    assert 201 == mount(client, repository, digest(content)).status_code
    assert content == client.get(f"/v2/{repository}/blobs/{digest(content)}").content


def test_a_blob_is_mounted_where_it_is_already(client: httpx.Client, source: str, content: bytes) -> None:
    assert 201 == mount(client, source, digest(content), **{"from": source}).status_code


def test_a_mounted_blob_stays_when_its_source_lets_go(client: httpx.Client, repository: str, source: str, content: bytes) -> None:
    mount(client, repository, digest(content), **{"from": source})

    client.delete(f"/v2/{source}/blobs/{digest(content)}")

    assert content == client.get(f"/v2/{repository}/blobs/{digest(content)}").content


@pytest.mark.parametrize("name", ["{project}/never-pushed", "{project}", "NOT/A/NAME", "../..", "{project}/source/"])
def test_a_mount_from_a_repository_that_has_not_got_it_becomes_an_upload(
    client: httpx.Client, project: str, repository: str, source: str, content: bytes, name: str
) -> None:
    response = mount(client, repository, digest(content), **{"from": name.format(project=project)})

    assert 404 == client.get(f"/v2/{repository}/blobs/{digest(content)}").status_code
    assert is_offered_an_upload(client, response, content)


def test_a_blob_that_nobody_has_becomes_an_upload(client: httpx.Client, repository: str, content: bytes) -> None:
    assert is_offered_an_upload(client, mount(client, repository, digest(content)), content)


def test_a_blob_that_its_last_repository_let_go_becomes_an_upload(
    client: httpx.Client, repository: str, source: str, content: bytes
) -> None:
    client.delete(f"/v2/{source}/blobs/{digest(content)}")

    assert is_offered_an_upload(client, mount(client, repository, digest(content)), content)


def test_a_mount_of_what_is_no_digest_is_refused(client: httpx.Client, repository: str, source: str) -> None:
    assert (400, "DIGEST_INVALID") == error(mount(client, repository, "sha256:../../x", **{"from": source}))


@pytest.mark.parametrize("query", [{}, {"from": "source"}, {"from": "source", "origin": "gcr.io"}])
def test_a_mount_from_another_location_becomes_an_upload(
    client: httpx.Client, repository: str, source: str, content: bytes, query: dict[str, str]
) -> None:
    """gcrane sends origin=HOST when it copies between hosts. Each location has its own storage: there is nothing to link."""
    query = {**query, **({"from": source} if "from" in query else {})}

    response = mount(client, repository, digest(content), host="eu.gcr.io", **query)

    assert is_offered_an_upload(client, response, content, host="eu.gcr.io")


@pytest.mark.parametrize("origin", ["gcr.io", "GCR.IO", "gcr.io:443", "gcr.io.corp.example", "localhost:5000"])
def test_an_origin_of_the_same_location_is_mounted(client: httpx.Client, repository: str, source: str, content: bytes, origin: str) -> None:
    assert 201 == mount(client, repository, digest(content), **{"from": source, "origin": origin}).status_code


def test_an_origin_of_another_location_is_not_mounted_from_the_repository_of_that_name_here(
    client: httpx.Client, repository: str, source: str, content: bytes
) -> None:
    """us.gcr.io/p/source is meant, and gcr.io/p/source is what has the bytes."""
    response = mount(client, repository, digest(content), **{"from": source, "origin": "us.gcr.io"})

    assert is_offered_an_upload(client, response, content)
