"""Uploads over HTTP (distribution-spec, Pushing Blobs)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from random import Random

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kit.engines import only_with
from tests.kit.push import OCTETS, connect, digest, error, push_blob
from tests.kit.raw import Raw, request
from tests.kit.server import Server

SMALL = Random("a small upload").randbytes(1000)
LARGE = Random("a large upload").randbytes(200_000)
ABSENT = digest(b"something else")


@pytest.fixture(params=["small", "large"])
def content(request: pytest.FixtureRequest) -> bytes:
    """Small blobs end in the database, large ones in files."""
    return SMALL if request.param == "small" else LARGE


@pytest.fixture
def upload(client: httpx.Client, repository: str) -> str:
    """The location of an upload that has begun."""
    return begin(client, repository)


def begin(client: httpx.Client, repository: str) -> str:
    response = client.post(f"/v2/{repository}/blobs/uploads/")
    assert 202 == response.status_code, response.text
    location: str = response.headers["Location"]
    return location


def patch(client: httpx.Client, upload: str, chunk: bytes, start: int | None = None) -> httpx.Response:
    headers = dict(OCTETS)
    if start is not None:
        headers["Content-Range"] = f"{start}-{start + len(chunk) - 1}"
    return client.patch(upload, content=chunk, headers=headers)


def finish(client: httpx.Client, upload: str, name: str, content: bytes = b"", **headers: str) -> httpx.Response:
    return client.put(upload, params={"digest": name}, content=content, headers={**OCTETS, **headers})


def blob(client: httpx.Client, repository: str, name: str) -> bytes:
    response = client.get(f"/v2/{repository}/blobs/{name}")
    assert 200 == response.status_code, response.text
    return response.content


def pieces(content: bytes, size_bytes: int = 1000) -> Iterator[bytes]:
    """To be sent as they come: httpx uses chunked transfer encoding for an iterator."""
    yield from (content[start : start + size_bytes] for start in range(0, len(content), size_bytes))


# The ways to push a blob


def test_a_whole_blob_in_one_post(client: httpx.Client, repository: str, content: bytes) -> None:
    """distribution-spec, Single POST."""
    response = client.post(f"/v2/{repository}/blobs/uploads/", params={"digest": digest(content)}, content=content, headers=OCTETS)

    assert 201 == response.status_code
    assert f"/v2/{repository}/blobs/{digest(content)}" == response.headers["Location"]
    assert digest(content) == response.headers["Docker-Content-Digest"]
    assert content == blob(client, repository, digest(content))


def test_a_whole_blob_streamed_in_one_post(client: httpx.Client, repository: str, content: bytes) -> None:
    response = client.post(f"/v2/{repository}/blobs/uploads/", params={"digest": digest(content)}, content=pieces(content), headers=OCTETS)

    assert 201 == response.status_code
    assert content == blob(client, repository, digest(content))


def test_post_then_put(client: httpx.Client, repository: str, upload: str, content: bytes) -> None:
    """distribution-spec, POST then PUT: what containerd does."""
    response = finish(client, upload, digest(content), content)

    assert 201 == response.status_code
    assert f"/v2/{repository}/blobs/{digest(content)}" == response.headers["Location"]
    assert content == blob(client, repository, digest(content))


def test_post_then_a_streamed_put(client: httpx.Client, repository: str, upload: str, content: bytes) -> None:
    response = client.put(upload, params={"digest": digest(content)}, content=pieces(content), headers=OCTETS)

    assert 201 == response.status_code
    assert content == blob(client, repository, digest(content))


def test_a_streamed_patch_and_an_empty_put(client: httpx.Client, repository: str, upload: str, content: bytes) -> None:
    """What docker does: one PATCH without Content-Length, then the digest."""
    patched = client.patch(upload, content=pieces(content), headers=OCTETS)
    done = finish(client, patched.headers["Location"], digest(content))

    assert (202, 201) == (patched.status_code, done.status_code)
    assert f"0-{len(content) - 1}" == patched.headers["Range"]
    assert content == blob(client, repository, digest(content))


@pytest.mark.parametrize("last", ["empty", "with body", "with body and Content-Range"])
def test_chunks_and_a_last_put(client: httpx.Client, repository: str, upload: str, content: bytes, last: str) -> None:
    """distribution-spec, Pushing a blob in chunks."""
    third = len(content) // 3
    first = patch(client, upload, content[:third], 0)
    second = patch(client, first.headers["Location"], content[third : 2 * third], third)
    assert (202, f"0-{third - 1}") == (first.status_code, first.headers["Range"])
    assert (202, f"0-{2 * third - 1}") == (second.status_code, second.headers["Range"])

    rest = content[2 * third :]
    if last == "empty":
        patch(client, upload, rest, 2 * third)
        done = finish(client, upload, digest(content))
    else:
        span = {"Content-Range": f"{2 * third}-{len(content) - 1}"} if "Range" in last else {}
        done = finish(client, upload, digest(content), rest, **span)

    assert 201 == done.status_code
    assert content == blob(client, repository, digest(content))


@pytest.mark.parametrize("span", ["0-{last}", "bytes 0-{last}/*", "bytes=0-{last}", "bytes 0-{last}/{size}", "0-{last}/{size}"])
def test_the_forms_of_content_range_that_clients_send(client: httpx.Client, repository: str, upload: str, span: str) -> None:
    """The specification writes 0-99; RFC 9110 and some clients write bytes 0-99/*."""
    sent = span.format(last=len(SMALL) - 1, size=len(SMALL))

    response = client.patch(upload, content=SMALL, headers={"Content-Range": sent})

    assert (202, f"0-{len(SMALL) - 1}") == (response.status_code, response.headers["Range"])


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("way", ["one post", "post and put", "chunks"])
def test_a_blob_by_either_algorithm(client: httpx.Client, repository: str, content: bytes, algorithm: str, way: str) -> None:
    name = digest(content, algorithm)
    if way == "one post":
        push_blob(client, repository, content, algorithm)
    elif way == "post and put":
        assert 201 == finish(client, begin(client, repository), name, content).status_code
    else:
        upload = begin(client, repository)
        patch(client, upload, content[:500], 0)
        patch(client, upload, content[500:], 500)
        assert 201 == finish(client, upload, name).status_code

    assert content == blob(client, repository, name)


def test_an_upload_can_be_announced_for_an_algorithm(client: httpx.Client, repository: str) -> None:
    known = client.post(f"/v2/{repository}/blobs/uploads/", params={"digest-algorithm": "sha512"})
    unknown = client.post(f"/v2/{repository}/blobs/uploads/", params={"digest-algorithm": "md5"})

    assert 202 == known.status_code
    assert (400, "BLOB_UPLOAD_INVALID") == error(unknown)


def test_an_empty_blob_in_every_way(client: httpx.Client, repository: str) -> None:
    empty = digest(b"")
    assert 201 == client.post(f"/v2/{repository}/blobs/uploads/", params={"digest": empty}).status_code
    assert 201 == finish(client, begin(client, repository), empty).status_code
    upload = begin(client, repository)
    assert 202 == client.patch(upload, content=b"").status_code
    assert 201 == finish(client, upload, empty).status_code

    assert b"" == blob(client, repository, empty)


def test_an_upload_s_path_without_its_slash(client: httpx.Client, repository: str) -> None:
    """As some clients send it."""
    assert 202 == client.post(f"/v2/{repository}/blobs/uploads").status_code


def test_a_location_is_relative_and_holds_the_whole_state(client: httpx.Client, repository: str) -> None:
    """
    Some clients drop the query of a Location; and it must not be made from a Host header that anybody can send.
    """
    response = client.post(f"/v2/{repository}/blobs/uploads/", headers={"Host": "evil.example"})

    assert response.headers["Location"].startswith(f"/v2/{repository}/blobs/uploads/")
    assert "?" not in response.headers["Location"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200) | st.sampled_from([SMALL, LARGE]),
    cuts=st.lists(st.floats(0, 1), max_size=6),
    ways=st.lists(st.sampled_from(["ranged", "plain", "streamed"]), min_size=7, max_size=7),
    algorithm=st.sampled_from(["sha256", "sha512"]),
    put_has_body=st.booleans(),
)
def test_any_split_of_an_upload_gives_the_same_blob(
    client: httpx.Client, repository: str, content: bytes, cuts: Sequence[float], ways: Sequence[str], algorithm: str, put_has_body: bool
) -> None:
    bounds = sorted({0, len(content), *(int(cut * len(content)) for cut in cuts)})
    chunks = [content[first:last] for first, last in pairwise(bounds)]
    rest = chunks.pop() if put_has_body and chunks else b""
    upload, offset = begin(client, repository), 0
    for way, chunk in zip(ways, chunks, strict=False):
        if way == "streamed":
            response = client.patch(upload, content=pieces(chunk, 70_000), headers=OCTETS)
        else:
            response = patch(client, upload, chunk, offset if way == "ranged" else None)
        offset += len(chunk)
        assert (202, f"0-{max(0, offset - 1)}") == (response.status_code, response.headers["Range"])

    assert 201 == finish(client, upload, digest(content, algorithm), rest).status_code

    assert content == blob(client, repository, digest(content, algorithm))


# The state of an upload


def test_the_state_tells_where_to_go_on(client: httpx.Client, upload: str) -> None:
    """distribution-spec, Pushing a blob in chunks: GET gives 204 with Range and Location."""
    at_first = client.get(upload)
    patch(client, upload, SMALL, 0)
    after = client.get(upload)

    assert (204, "0-0") == (at_first.status_code, at_first.headers["Range"])
    assert (204, f"0-{len(SMALL) - 1}", upload) == (after.status_code, after.headers["Range"], after.headers["Location"])


def test_a_cancelled_upload_is_unknown(client: httpx.Client, upload: str) -> None:
    patch(client, upload, SMALL, 0)

    assert 204 == client.delete(upload).status_code

    assert (404, "BLOB_UPLOAD_UNKNOWN") == error(client.get(upload))
    assert (404, "BLOB_UPLOAD_UNKNOWN") == error(patch(client, upload, SMALL))
    assert (404, "BLOB_UPLOAD_UNKNOWN") == error(finish(client, upload, digest(SMALL)))
    assert (404, "BLOB_UPLOAD_UNKNOWN") == error(client.delete(upload))


def test_a_finished_upload_is_unknown(client: httpx.Client, upload: str, content: bytes) -> None:
    finish(client, upload, digest(content), content)

    assert (404, "BLOB_UPLOAD_UNKNOWN") == error(client.get(upload))
    assert (404, "BLOB_UPLOAD_UNKNOWN") == error(finish(client, upload, digest(content)))


def test_an_upload_that_was_not_finished_is_no_blob(client: httpx.Client, repository: str, upload: str, content: bytes) -> None:
    patch(client, upload, content, 0)

    assert 404 == client.get(f"/v2/{repository}/blobs/{digest(content)}").status_code


# What goes wrong


def test_a_chunk_out_of_order_is_416_and_tells_where_to_go_on(client: httpx.Client, repository: str, upload: str) -> None:
    """distribution-spec, Pushing a blob in chunks: 416, and the upload can go on."""
    patch(client, upload, SMALL[:100], 0)

    ahead = patch(client, upload, SMALL[200:], 200)
    behind = patch(client, upload, SMALL[:100], 0)

    assert (416, "BLOB_UPLOAD_INVALID") == error(ahead) == error(behind)
    assert ("0-99", "0-99") == (ahead.headers["Range"], behind.headers["Range"])
    assert {"offset": 100} == ahead.json()["errors"][0]["detail"]
    patch(client, upload, SMALL[100:], 100)
    assert 201 == finish(client, upload, digest(SMALL)).status_code
    assert SMALL == blob(client, repository, digest(SMALL))


def test_a_last_put_out_of_order_is_416(client: httpx.Client, upload: str) -> None:
    patch(client, upload, SMALL[:100], 0)

    response = finish(client, upload, digest(SMALL), SMALL[500:], **{"Content-Range": f"500-{len(SMALL) - 1}"})

    assert (416, "BLOB_UPLOAD_INVALID") == error(response)


@pytest.mark.parametrize(
    "span",
    [
        "",
        "bytes",
        "0",
        "0-",
        "-9",
        "a-b",
        "9-0",
        "0-10",
        "0-8",
        "0-9-9",
        "0-9/x",
        "items 0-9",
        "0x0-0x9",
        "1e0-9",
        "\u0966-\u0969",
        "9" * 30 + "-9",
    ],
)
def test_a_content_range_that_does_not_fit_is_refused(client: httpx.Client, upload: str, span: str) -> None:
    """Ten bytes are sent, so only 0-9 says the truth."""
    response = client.patch(upload, content=b"0123456789", headers=[(b"Content-Range", span.encode())])

    if span == "":
        assert 202 == response.status_code, "an empty field is no range"
    else:
        assert (400, "BLOB_UPLOAD_INVALID") == error(response)
        assert "0-0" == client.get(upload).headers["Range"], "nothing of a refused chunk is kept"


def test_a_streamed_chunk_that_is_shorter_than_its_content_range_is_refused(client: httpx.Client, upload: str) -> None:
    response = client.patch(upload, content=pieces(SMALL), headers={"Content-Range": f"0-{len(SMALL)}"})

    assert (400, "BLOB_UPLOAD_INVALID") == error(response)


@pytest.mark.parametrize("span", ["0-4", "5-14"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_whole_blob_with_a_content_range_that_does_not_fit_is_refused(
    client: httpx.Client, repository: str, span: str, streamed: bool
) -> None:
    """
    Ten bytes in one POST are bytes 0-9. Without a limit that holds, a streamed body could also claim few bytes and bring many.
    """
    body = b"0123456789"
    response = client.post(
        f"/v2/{repository}/blobs/uploads/",
        params={"digest": digest(body)},
        content=pieces(body, 4) if streamed else body,
        headers={"Content-Range": span},
    )

    assert response.status_code in (400, 416)
    assert "BLOB_UPLOAD_INVALID" == error(response)[1]
    assert 404 == client.get(f"/v2/{repository}/blobs/{digest(body)}").status_code


@pytest.mark.parametrize("way", ["one post", "one streamed post", "last put", "empty put"])
def test_content_with_another_digest_is_refused(client: httpx.Client, repository: str, content: bytes, way: str) -> None:
    """distribution-spec, Error Codes: DIGEST_INVALID; nothing is stored under either digest."""
    if way.endswith("post"):
        body = pieces(content) if "streamed" in way else content
        response = client.post(f"/v2/{repository}/blobs/uploads/", params={"digest": ABSENT}, content=body, headers=OCTETS)
    else:
        upload = begin(client, repository)
        if way == "empty put":
            patch(client, upload, content, 0)
        response = finish(client, upload, ABSENT, b"" if way == "empty put" else content)

    assert (400, "DIGEST_INVALID") == error(response)
    assert {"expected": ABSENT, "received": digest(content)} == response.json()["errors"][0]["detail"]
    for name in (ABSENT, digest(content)):
        assert 404 == client.get(f"/v2/{repository}/blobs/{name}").status_code


def test_a_put_without_a_digest_is_refused_and_the_upload_goes_on(client: httpx.Client, upload: str) -> None:
    patch(client, upload, SMALL, 0)

    assert (400, "BLOB_UPLOAD_INVALID") == error(client.put(upload))
    assert (400, "DIGEST_INVALID") == error(finish(client, upload, "sha256:short"))
    assert 201 == finish(client, upload, digest(SMALL)).status_code


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_an_upload_of_another_repository_is_unknown_here(client: httpx.Client, project: str, method: str) -> None:
    """CVE-2026-32589: an upload's id is good in its own repository only."""
    own, foreign = f"{project}/own", f"{project}/foreign"
    upload = begin(client, foreign)
    patch(client, upload, SMALL, 0)

    response = client.request(method, upload.replace(foreign, own), params={"digest": digest(SMALL)})

    assert (404, "BLOB_UPLOAD_UNKNOWN") == error(response)
    assert f"0-{len(SMALL) - 1}" == client.get(upload).headers["Range"], "and the other's upload is as it was"


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_an_upload_of_the_same_name_at_another_location_is_unknown_here(client: httpx.Client, upload: str, method: str) -> None:
    response = client.request(method, upload, params={"digest": digest(b"")}, headers={"Host": "eu.gcr.io"})

    assert (404, "BLOB_UPLOAD_UNKNOWN") == error(response)


@pytest.mark.parametrize(
    "name",
    [
        "0",
        "0" * 32,
        "0" * 32 + "-" + "0" * 32,
        "-",
        "..",
        ".",
        "%00",
        "0" * 32 + "-%00",
        "0" * 32 + "-%C3%A9",
        "%D8%A7" * 32 + "-" + "0" * 32,
        "0" * 5000,
        "uploads",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_an_id_that_was_never_given_is_unknown(server: Server, repository: str, name: str, method: str) -> None:
    """Over a socket, because HTTP libraries tidy paths up."""
    with Raw(server.port) as raw:
        reply = raw.send(request(method, f"/v2/{repository}/blobs/uploads/{name}?digest={digest(b'')}")).reply()

    assert (404, "BLOB_UPLOAD_UNKNOWN") == (reply.status, reply.code)


def test_ids_of_uploads_cannot_be_guessed(client: httpx.Client, repository: str) -> None:
    """122 random bits at the least, and none of them twice."""
    names = {begin(client, repository).rsplit("/", 1)[1] for _ in range(20)}

    assert 20 == len(names)
    assert all(len(name) >= 32 for name in names)


# Broken connections and several requests at once


def test_an_upload_goes_on_after_a_broken_connection(server: Server, client: httpx.Client, repository: str, upload: str) -> None:
    """What arrived before is kept; the client asks how much that is, and sends the rest."""
    head = request("PATCH", upload, f"Content-Length: {len(LARGE)}", "Content-Type: application/octet-stream")
    with Raw(server.port) as broken:
        broken.send(head + LARGE[:150_000])
    offset = arrived(client, upload, 150_000)

    assert f"0-{offset - 1}" == client.get(upload).headers["Range"]
    resumed = patch(client, upload, LARGE[offset:], offset)
    assert (202, f"0-{len(LARGE) - 1}") == (resumed.status_code, resumed.headers["Range"])
    assert 201 == finish(client, upload, digest(LARGE)).status_code
    assert LARGE == blob(client, repository, digest(LARGE))


def arrived(client: httpx.Client, upload: str, least_bytes: int) -> int:
    """The upload's offset once that many bytes were written. In a bucket they are seen when the request has ended."""
    for _ in range(1000):
        time.sleep(0.005)
        offset = int(client.get(upload).headers["Range"].split("-")[1]) + 1
        if offset >= least_bytes:
            return offset
    raise AssertionError(f"only {offset} of {least_bytes} bytes arrived")


def test_a_connection_broken_within_a_chunked_body_ends_the_request_only(
    server: Server, client: httpx.Client, repository: str, upload: str
) -> None:
    head = request("PATCH", upload, "Transfer-Encoding: chunked")
    with Raw(server.port) as broken:
        broken.send(head + b"3e8\r\n" + SMALL + b"\r\n3e8\r\nhalf of")
    arrived(client, upload, 1000)

    rest = client.get(upload)
    offset = int(rest.headers["Range"].split("-")[1]) + 1
    whole = SMALL + b"half of" + LARGE
    assert offset in (1000, 1007)
    assert 202 == patch(client, upload, whole[offset:], offset).status_code
    assert 201 == finish(client, upload, digest(whole)).status_code


def test_of_several_first_chunks_at_once_exactly_one_is_taken(server: Server, client: httpx.Client, repository: str, upload: str) -> None:
    """Two requests never mix their bytes."""
    chunks = [Random(number).randbytes(50_000) for number in range(6)]

    def send(chunk: bytes) -> httpx.Response:
        with connect(server.url) as own:
            return patch(own, upload, chunk, 0)

    with ThreadPoolExecutor(len(chunks)) as pool:
        responses = list(pool.map(send, chunks))

    taken = [chunk for chunk, response in zip(chunks, responses, strict=True) if response.status_code == 202]
    assert 1 == len(taken), [response.status_code for response in responses]
    assert {202, 416} == {response.status_code for response in responses}
    assert 201 == finish(client, upload, digest(taken[0])).status_code
    assert taken[0] == blob(client, repository, digest(taken[0]))


@pytest.mark.slow
@only_with("nobody holds an upload into a bucket: there the second to end is told that it was overtaken", blobs="folder")
def test_a_second_request_while_one_is_writing_is_told_to_wait(server: Server, client: httpx.Client, upload: str) -> None:
    """It waits a moment for the first to end, for that is what a client that lost its connection sees; then it is refused."""
    with Raw(server.port) as busy:
        busy.send(request("PATCH", upload, "Content-Length: 2000") + SMALL)
        arrived(client, upload, 1000)
        response = patch(client, upload, SMALL, 1000)
        assert (400, "BLOB_UPLOAD_INVALID") == error(response)
        assert 202 == busy.send(SMALL).reply().status

    assert "0-1999" == client.get(upload).headers["Range"]


def test_the_same_blob_pushed_by_many_at_once_is_one_blob(server: Server, client: httpx.Client, repository: str, content: bytes) -> None:
    unique = content + repository.encode()

    def send(_: int) -> str:
        with connect(server.url) as own:
            return push_blob(own, repository, unique)

    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(send, range(8)))

    assert {digest(unique)} == set(names)
    assert unique == blob(client, repository, names[0])


def test_the_body_is_asked_for_before_it_is_sent(server: Server, upload: str) -> None:
    """RFC 9110, 10.1.1: Expect: 100-continue; curl sends it with every large body."""
    with Raw(server.port) as raw:
        raw.send(request("PATCH", upload, "Expect: 100-continue", f"Content-Length: {len(SMALL)}"))
        assert 100 == raw.reply().status
        assert 202 == raw.send(SMALL).reply().status


def test_a_body_that_is_not_wanted_is_not_asked_for(server: Server, repository: str) -> None:
    with Raw(server.port) as raw:
        raw.send(request("PATCH", f"/v2/{repository}/blobs/uploads/{'0' * 65}", "Expect: 100-continue", "Content-Length: 1000000"))
        reply = raw.reply()

        assert (404, "BLOB_UPLOAD_UNKNOWN", "close") == (reply.status, reply.code, reply.headers["connection"])
        assert raw.is_closed()
