"""Blobs over HTTP (distribution-spec, Pulling and Deleting Blobs; ranges as in RFC 9110, 14)."""

from __future__ import annotations

import re
from random import Random

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kit.push import digest, error, image, push, push_blob

SMALL = Random("a small blob").randbytes(1000)
LARGE = Random("a large blob").randbytes(300_000)
ABSENT = digest(b"nobody has this")


@pytest.fixture(params=["small", "large"])
def content(request: pytest.FixtureRequest) -> bytes:
    """Small blobs are in the database, large ones are files: both must answer alike."""
    return SMALL if request.param == "small" else LARGE


@pytest.fixture
def path(client: httpx.Client, repository: str, content: bytes) -> str:
    return f"/v2/{repository}/blobs/{push_blob(client, repository, content)}"


def test_a_blob_is_served_with_its_digest_and_length(client: httpx.Client, path: str, content: bytes) -> None:
    response = client.get(path)

    assert (200, content) == (response.status_code, response.content)
    assert digest(content) == response.headers["Docker-Content-Digest"]
    assert str(len(content)) == response.headers["Content-Length"]
    assert "application/octet-stream" == response.headers["Content-Type"]
    assert "bytes" == response.headers["Accept-Ranges"]


def test_head_tells_what_get_would(client: httpx.Client, path: str) -> None:
    head, full = client.head(path), client.get(path)

    assert (200, b"") == (head.status_code, head.content)
    names = ("Content-Type", "Content-Length", "Docker-Content-Digest", "ETag", "Accept-Ranges")
    assert [full.headers[name] for name in names] == [head.headers[name] for name in names]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_empty_blob_is_a_blob(client: httpx.Client, repository: str, algorithm: str) -> None:
    name = push_blob(client, repository, b"", algorithm)

    response = client.get(f"/v2/{repository}/blobs/{name}")

    assert (200, b"", "0") == (response.status_code, response.content, response.headers["Content-Length"])


def test_no_browser_may_take_a_blob_for_a_page(client: httpx.Client, repository: str) -> None:
    """What anyone can upload must not run as a script of this origin."""
    name = push_blob(client, repository, b"<script>alert(1)</script>")

    headers = client.get(f"/v2/{repository}/blobs/{name}").headers

    assert ("application/octet-stream", "nosniff") == (headers["Content-Type"], headers["X-Content-Type-Options"])


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_blob_that_is_not_there_is_unknown(client: httpx.Client, repository: str, method: str) -> None:
    push_blob(client, repository, SMALL)

    response = client.request(method, f"/v2/{repository}/blobs/{ABSENT}")

    assert 404 == response.status_code
    if method != "HEAD":
        assert (404, "BLOB_UNKNOWN") == error(response)


def test_a_blob_of_another_repository_is_unknown_here(client: httpx.Client, project: str, content: bytes) -> None:
    name = push_blob(client, f"{project}/a", content)
    push_blob(client, f"{project}/b", b"something else")

    assert (404, "BLOB_UNKNOWN") == error(client.get(f"/v2/{project}/b/blobs/{name}"))


# Caches


def test_a_blob_that_the_client_has_is_not_sent_again(client: httpx.Client, path: str, content: bytes) -> None:
    etag = client.head(path).headers["ETag"]

    same = client.get(path, headers={"If-None-Match": etag})
    other = client.get(path, headers={"If-None-Match": f'"{ABSENT}"'})

    assert (304, b"", etag) == (same.status_code, same.content, same.headers["ETag"])
    assert (200, content) == (other.status_code, other.content)


def test_a_blob_may_be_kept_for_ever(client: httpx.Client, path: str) -> None:
    assert "immutable" in client.get(path).headers["Cache-Control"]


# Single ranges


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=0-99", slice(0, 100)),
        ("bytes=100-199", slice(100, 200)),
        ("bytes=500-", slice(500, None)),
        ("bytes=0-", slice(0, None)),
        ("bytes=-1", slice(-1, None)),
        ("bytes=-100", slice(-100, None)),
        ("bytes=-99999999", slice(0, None)),
        ("bytes=10-99999999999999999", slice(10, None)),
        ("BYTES=5-9", slice(5, 10)),
        ("bytes= 5-9", slice(5, 10)),
    ],
)
def test_a_range_is_served_exactly(client: httpx.Client, path: str, content: bytes, asked: str, expected: slice) -> None:
    """Pulls that were interrupted go on with one."""
    response = client.get(path, headers={"Range": asked})

    first, last, _ = expected.indices(len(content))
    assert (206, content[expected]) == (response.status_code, response.content)
    assert f"bytes {first}-{last - 1}/{len(content)}" == response.headers["Content-Range"]
    assert str(last - first) == response.headers["Content-Length"]
    assert digest(content) == response.headers["Docker-Content-Digest"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_range_is_what_slicing_gives(client: httpx.Client, path: str, content: bytes, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(content) - 1))
    last = data.draw(st.integers(first, len(content) * 2))

    response = client.get(path, headers={"Range": f"bytes={first}-{last}"})

    assert (206, content[first : last + 1]) == (response.status_code, response.content)


@pytest.mark.parametrize(
    "asked", ["bytes={size}-", "bytes={size}-{size}", "bytes=99999999999-", "bytes=-0", "bytes={size}-,-0", "bytes=9-5"]
)
def test_a_range_of_which_nothing_is_there_is_416_with_the_size(client: httpx.Client, path: str, content: bytes, asked: str) -> None:
    """RFC 9110, 15.5.17. One that ends before it begins may also be ignored; the conformance suite expects 416."""
    response = client.get(path, headers={"Range": asked.format(size=len(content))})

    assert 416 == response.status_code
    assert f"bytes */{len(content)}" == response.headers["Content-Range"]


@pytest.mark.parametrize("asked", ["bytes=0-0", "bytes=0-", "bytes=-1"])
def test_an_empty_blob_has_no_range(client: httpx.Client, repository: str, asked: str) -> None:
    name = push_blob(client, repository, b"")

    response = client.get(f"/v2/{repository}/blobs/{name}", headers={"Range": asked})

    assert (416, "bytes */0") == (response.status_code, response.headers["Content-Range"])


@pytest.mark.parametrize(
    "asked",
    [
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5",
        "bytes=--5",
        "bytes=1-2-3",
        "bytes=0x0-0x5",
        "bytes=1.5-2",
        "bytes=+1-2",
        "bytes=0-1,",
        "bytes=0-1,x",
        "items=0-5",
        "=0-5",
        "0-5",
        "bytes=" + "9" * 30 + "-",
        "bytes=0-" + "9" * 5000,
        "bytes=" + ",".join(["0-0"] * 1000),
    ],
)
def test_a_range_that_is_none_is_ignored(client: httpx.Client, path: str, content: bytes, asked: str) -> None:
    """RFC 9110, 14.2: MAY ignore; a server that fails at it, or answers with 1,000 parts, helps nobody but an attacker."""
    response = client.get(path, headers={"Range": asked})

    assert (200, content) == (response.status_code, response.content)


def test_a_range_in_arabic_digits_is_ignored(client: httpx.Client, path: str, content: bytes) -> None:
    response = client.get(path, headers=[(b"Range", "bytes=१-२".encode())])

    assert (200, content) == (response.status_code, response.content)


def test_head_ignores_ranges(client: httpx.Client, path: str, content: bytes) -> None:
    """RFC 9110, 14.2: a Range with another method than GET MUST be ignored."""
    response = client.head(path, headers={"Range": "bytes=0-4"})

    assert (200, str(len(content))) == (response.status_code, response.headers["Content-Length"])


@pytest.mark.parametrize(
    ("if_range", "status"),
    [("same", 206), (f'"{ABSENT}"', 200), ("weak", 200), ("Wed, 21 Oct 2015 07:28:00 GMT", 200), ("nonsense", 200)],
)
def test_if_range_gives_the_part_only_of_the_same_content(client: httpx.Client, path: str, if_range: str, status: int) -> None:
    """RFC 9110, 13.1.5: a strong comparison, so a weak tag never matches."""
    etag = client.head(path).headers["ETag"]
    sent = {"same": etag, "weak": f"W/{etag}"}.get(if_range, if_range)

    response = client.get(path, headers={"Range": "bytes=0-4", "If-Range": sent})

    assert status == response.status_code


def test_if_none_match_comes_before_the_range(client: httpx.Client, path: str) -> None:
    etag = client.head(path).headers["ETag"]

    response = client.get(path, headers={"Range": "bytes=0-4", "If-None-Match": etag})

    assert 304 == response.status_code


# Several ranges


def parts(response: httpx.Response) -> list[tuple[str, bytes]]:
    """(Content-Range, bytes) of each part of a multipart/byteranges, read as RFC 2046 writes it."""
    kind, boundary = response.headers["Content-Type"].split("; boundary=")
    assert "multipart/byteranges" == kind
    preamble, *pieces, epilogue = response.content.split(f"\r\n--{boundary}".encode())
    assert b"" == preamble
    assert b"--\r\n" == epilogue
    found = []
    for piece in pieces:
        head, _, body = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n"))
        assert "application/octet-stream" == fields["content-type"]
        found.append((fields["content-range"], body))
    return found


def test_several_ranges_are_parts_in_the_order_asked(client: httpx.Client, path: str, content: bytes) -> None:
    response = client.get(path, headers={"Range": "bytes=900-909, 0-9,-5"})

    size = len(content)
    assert 206 == response.status_code
    assert [
        (f"bytes 900-909/{size}", content[900:910]),
        (f"bytes 0-9/{size}", content[:10]),
        (f"bytes {size - 5}-{size - 1}/{size}", content[-5:]),
    ] == parts(response)
    assert str(len(response.content)) == response.headers["Content-Length"]


def test_of_several_ranges_those_past_the_end_are_left_out(client: httpx.Client, path: str, content: bytes) -> None:
    one = client.get(path, headers={"Range": "bytes=0-9,99999999-"})
    two = client.get(path, headers={"Range": "bytes=0-9,99999999-,20-29"})

    assert (206, content[:10]) == (one.status_code, one.content)
    assert re.fullmatch(r"bytes 0-9/\d+", one.headers["Content-Range"])
    assert [content[:10], content[20:30]] == [body for _, body in parts(two)]


def test_many_ranges_are_served_up_to_a_limit(client: httpx.Client, path: str, content: bytes) -> None:
    asked = [(start, start + 2) for start in range(0, 640, 10)]

    response = client.get(path, headers={"Range": "bytes=" + ",".join(f"{first}-{last}" for first, last in asked)})

    assert 206 == response.status_code
    assert [content[first : last + 1] for first, last in asked] == [body for _, body in parts(response)]


# Deleting


def test_a_blob_that_no_manifest_needs_is_deleted(client: httpx.Client, path: str) -> None:
    response = client.delete(path)

    assert 202 == response.status_code
    assert (404, "BLOB_UNKNOWN") == error(client.get(path))
    assert (404, "BLOB_UNKNOWN") == error(client.delete(path))


def test_a_blob_that_a_manifest_needs_is_not_deleted(client: httpx.Client, repository: str, path: str, content: bytes) -> None:
    """An image that was acknowledged stays whole."""
    manifest = image(content)
    push(client, repository, manifest)

    refused = client.delete(path)
    assert (405, "UNSUPPORTED") == error(refused)
    assert manifest.digest in refused.json()["errors"][0]["message"]
    assert content == client.get(path).content

    client.delete(f"/v2/{repository}/manifests/{manifest.digest}")
    assert 202 == client.delete(path).status_code


def test_a_blob_deleted_in_one_repository_stays_in_the_other(client: httpx.Client, project: str, content: bytes) -> None:
    names = [push_blob(client, f"{project}/{image}", content) for image in ("a", "b")]

    client.delete(f"/v2/{project}/a/blobs/{names[0]}")

    assert 404 == client.get(f"/v2/{project}/a/blobs/{names[0]}").status_code
    assert content == client.get(f"/v2/{project}/b/blobs/{names[1]}").content


def test_a_deleted_blob_can_be_uploaded_again(client: httpx.Client, repository: str, path: str, content: bytes) -> None:
    client.delete(path)

    push_blob(client, repository, content)

    assert content == client.get(path).content
