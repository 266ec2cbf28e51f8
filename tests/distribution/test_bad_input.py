"""What no good client sends: every answer is an error in the specification's form, quickly, and the server goes on."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.kit.load import OCI_MANIFEST, descriptor
from tests.kit.push import connect, digest, error, image, push, push_blob, push_image
from tests.kit.raw import Raw, Reply, request
from tests.kit.server import Server, serving

MIB = 1024 * 1024


def ask(server: Server, method: str, path: str, *headers: str, body: bytes = b"") -> Reply:
    """Over a socket, because HTTP libraries tidy paths up."""
    with Raw(server.port) as raw:
        return raw.send(request(method, path, *headers, body=body)).reply(method)


# Paths

NAMES = [
    "..",
    "../..",
    "p/..",
    "p/../../etc",
    "p/./a",
    "p//a",
    "p/a/",
    "/p/a",
    "%2e%2e/%2e%2e/etc",
    "p/%2e%2e/a",
    "p%2f..%2fa",
    "p/%252e%252e/a",
    "p%252fa",
    "p/a%00",
    "p/%00/a",
    "p/a%0d%0aSet-Cookie:%20x",
    "p/a;v=1",
    "p/a\\b",
    "p/a%5cb",
    "P/A",
    "p/a%20b",
    "p/%C3%A9",
    "p/%FF",
    "p/%zz",
    "p/%",
    "p/%u0041",
    "p/" + "a" * 300,
    "p" + "/a" * 2000,
    "",
    "p/${jndi:ldap:}",
    "p/a'--",
    "p/*",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tail", ["manifests/v1", "tags/list", "blobs/" + digest(b"x"), "referrers/" + digest(b"x"), "blobs/uploads/x"])
def test_what_is_no_name_is_never_a_path(server: Server, name: str, tail: str) -> None:
    """CVE-2024-3727, path traversal: a name is matched against the grammar after it was decoded once, and only once."""
    reply = ask(server, "GET", f"/v2/{name}/{tail}")

    assert (400, "NAME_INVALID") == (reply.status, reply.code)


@pytest.mark.parametrize("name", [name for name in NAMES if name])
def test_what_is_no_name_is_not_pushed_to(server: Server, name: str) -> None:
    assert 400 == ask(server, "POST", f"/v2/{name}/blobs/uploads/").status
    assert 400 == ask(server, "PUT", f"/v2/{name}/manifests/v1", "Content-Type: a/b", body=b"{}").status
    assert 400 == ask(server, "DELETE", f"/v2/{name}/manifests/v1").status


def test_an_escaped_slash_is_a_slash_everywhere(server: Server, client: httpx.Client, repository: str) -> None:
    """One reading of a path, whatever asks: what is decoded is what is looked up, and what will be authorized."""
    manifest = push_image(client, repository)

    reply = ask(server, "GET", f"/v2/{repository.replace('/', '%2F')}/manifests/v1")

    assert (200, manifest.payload) == (reply.status, reply.body)


def test_an_escaped_colon_is_a_digest(server: Server, client: httpx.Client, repository: str) -> None:
    """RFC 3986 allows to escape it, and some clients do."""
    manifest = push_image(client, repository)

    reply = ask(server, "GET", f"/v2/{repository}/manifests/{manifest.digest.replace(':', '%3A')}")

    assert (200, manifest.payload) == (reply.status, reply.body)


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("..", "TAG_INVALID"),
        ("%2e%2e", "TAG_INVALID"),
        (".v1", "TAG_INVALID"),
        ("v1%00", "TAG_INVALID"),
        ("v1%0a", "TAG_INVALID"),
        ("%E0%A5%A7", "TAG_INVALID"),
        ("a" * 129, "TAG_INVALID"),
        ("a" * 30_000, "TAG_INVALID"),
        ("", "TAG_INVALID"),
        ("sha256:", "DIGEST_INVALID"),
        ("sha256:..%2f..%2fx", "NAME_INVALID"),
        ("sha256:%2e%2e", "DIGEST_INVALID"),
        ("sha256:" + "A" * 64, "DIGEST_INVALID"),
        ("sha256:" + "a" * 63, "DIGEST_INVALID"),
        ("sha256:" + "a" * 30_000, "DIGEST_INVALID"),
        ("md5:" + "a" * 32, "DIGEST_INVALID"),
        ("sha256:" + "%D9%A1" * 64, "DIGEST_INVALID"),
        ("sha256:" + "a" * 64 + "%00", "DIGEST_INVALID"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_is_no_reference_is_refused(server: Server, repository: str, reference: str, code: str, method: str) -> None:
    reply = ask(server, method, f"/v2/{repository}/manifests/{reference}", body=b"{}" if method == "PUT" else b"")

    if "%2f" in reference:
        assert reply.status in (400, 404)  # the slash makes it another path
    else:
        assert (400, code) == (reply.status, reply.code)


@pytest.mark.parametrize("name", ["..", "v1", "sha256:..", "sha256:" + "g" * 64, "%00", "uploads%00"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_is_no_blob_s_digest_is_refused(server: Server, repository: str, name: str, method: str) -> None:
    reply = ask(server, method, f"/v2/{repository}/blobs/{name}")

    assert (400, "DIGEST_INVALID") == (reply.status, reply.code)


@pytest.mark.parametrize(
    "path",
    [
        "/v2/x",
        "/v2/_catalog/",
        "/v2//_catalog",
        "/v2//",
        "/v2/tags/list",
        "/v2/manifests/v1",
        "/v2/manifests/*",
        "/v2/blobs/*",
        "/v2/blobs/uploads/",
        "/v2/blobs/uploads/*",
        "/v2/<name>/tags",
        "/v2/p/a/tags/lists",
        "/v2/p/a/tags/list/",
        "/v2/p/a",
        "/v2x/p/a/tags/list",
        "/v22/p/a/manifests/v1",
        "/v2.0/p/a/manifests/v1",
        "/v2%20/p/a/manifests/v1",
        "/v1/p/a/manifests/v1",
        "/",
        "//v2/",
        "/V2/",
        "/x/../v2/",
        "/%2e%2e/v2/",
        "/v2/../v2/_catalog",
        "/favicon.ico",
        "/.env",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_what_is_no_path_of_the_api_is_refused(server: Server, path: str, method: str) -> None:
    """A path is exactly one of the table's, or an error; it must not be read as a similar one."""
    reply = ask(server, method, path)

    assert reply.status in (400, 404, 405)
    assert reply.code in ("NAME_INVALID", "NAME_UNKNOWN", "UNSUPPORTED")


@pytest.mark.parametrize("query", ["n=%FF", "n=%00", "last=%C3%28", "&".join(f"a{number}=1" for number in range(300))])
def test_a_malformed_query_is_refused(server: Server, client: httpx.Client, repository: str, query: str) -> None:
    push_image(client, repository)

    assert 400 == ask(server, "GET", f"/v2/{repository}/tags/list?{query}").status


@pytest.mark.parametrize("query", ["?", "&&&", "=", "n", "%", "?n=1?n=2", "x=" + "y" * 10_000])
def test_an_odd_query_is_no_failure(server: Server, client: httpx.Client, repository: str, query: str) -> None:
    push_image(client, repository)

    assert ask(server, "GET", f"/v2/{repository}/tags/list?{query}").status in (200, 400)


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND", "LOCK", "POST", "PATCH"])
def test_a_method_that_is_not_possible_says_which_are(server: Server, repository: str, method: str) -> None:
    """RFC 9110, 15.5.6: MUST have Allow."""
    reply = ask(server, method, f"/v2/{repository}/manifests/v1")

    assert (405, "UNSUPPORTED") == (reply.status, reply.code)
    assert "DELETE, GET, HEAD, PUT" == reply.headers["allow"]


# Manifests


def put_manifest(client: httpx.Client, repository: str, payload: bytes, content_type: str = OCI_MANIFEST) -> httpx.Response:
    return client.put(f"/v2/{repository}/manifests/v1", content=payload, headers={"Content-Type": content_type})


def pieces(payload: bytes) -> Iterator[bytes]:
    yield from (payload[start : start + 65536] for start in range(0, len(payload), 65536))


def test_a_manifest_of_4_mib_is_taken(client: httpx.Client, repository: str) -> None:
    push_blob(client, repository, b"{}")
    payload = image(b"{}").payload
    largest = payload + b" " * (4 * MIB - len(payload))

    assert 201 == put_manifest(client, repository, largest).status_code
    assert largest == client.get(f"/v2/{repository}/manifests/v1").content


@pytest.mark.parametrize("size_bytes", [4 * MIB + 1, 40 * MIB])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_larger_manifest_is_413(client: httpx.Client, repository: str, size_bytes: int, streamed: bool) -> None:
    """CVE-2017-11468. The client reads the answer although the server did not read all that was sent."""
    payload = b" " * size_bytes
    body = pieces(payload) if streamed else payload

    response = client.put(f"/v2/{repository}/manifests/v1", content=body, headers={"Content-Type": OCI_MANIFEST})

    assert (413, "MANIFEST_INVALID") == error(response)


def test_a_manifest_that_claims_to_be_large_is_refused_before_it_is_sent(server: Server, repository: str) -> None:
    with Raw(server.port) as raw:
        raw.send(request("PUT", f"/v2/{repository}/manifests/v1", f"Content-Length: {1 << 40}", "Expect: 100-continue"))
        assert 413 == raw.reply().status


PAYLOADS = {
    "nothing": b"",
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a deep field": json.dumps({"schemaVersion": 2, "config": descriptor(b"{}"), "layers": [], "x": "~"})
    .encode()
    .replace(b'"~"', b"[" * 200_000 + b"]" * 200_000),
    "a number of a million digits": b'{"schemaVersion": ' + b"9" * 1_000_000 + b"}",
    "a digest with half a character": b'{"schemaVersion":2,"layers":[{"mediaType":"a/b","digest":"sha256:\\ud800","size":1}]}',
    "a field with half a character": b'{"schemaVersion":2,"layers":[],"LAYERS\\ud800":1}',
    "not UTF-8": b'{"schemaVersion":2,"x":"\xff"}',
    "NUL": b"\0" * 1000,
    "gzip": b"\x1f\x8b\x08" + Random(1).randbytes(1000),
    "10,001 layers": json.dumps({"schemaVersion": 2, "config": descriptor(b"{}"), "layers": [descriptor(b"{}")] * 10_001}).encode(),
    "a size of a million digits": json.dumps({"schemaVersion": 2, "config": {**descriptor(b"{}"), "size": "~"}, "layers": []})
    .encode()
    .replace(b'"~"', b"1" * 1_000_000),
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_what_is_no_manifest_is_refused_quickly(client: httpx.Client, repository: str, payload: bytes) -> None:
    push_blob(client, repository, b"{}")
    started = time.monotonic()

    response = put_manifest(client, repository, payload)

    assert (400, "MANIFEST_INVALID") == error(response)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "content_type", ["x", "/", "é/é", "a/" + "b" * 300, "application/json", "text/html", "multipart/form-data; boundary=x"]
)
def test_an_odd_content_type_is_refused(client: httpx.Client, repository: str, content_type: str) -> None:
    push_blob(client, repository, b"{}")
    headers = [(b"Content-Type", content_type.encode("latin-1"))]

    response = client.put(f"/v2/{repository}/manifests/v1", content=image(b"{}").payload, headers=headers)

    assert (400, "MANIFEST_INVALID") == error(response)


def test_an_error_carries_no_header_of_the_client_s(client: httpx.Client, repository: str) -> None:
    """A media type becomes a header of the answer: a line end in it would begin another."""
    push_blob(client, repository, b"{}")
    odd = image(b"{}", media_type="a/b\r\nSet-Cookie: stolen=1")

    response = push(client, repository, odd, **{"Content-Type": ""})

    assert 400 == response.status_code
    assert "Set-Cookie" not in response.headers


# HTTP itself

PUT = b"PUT /v2/p/a/manifests/v1 HTTP/1.1\r\nHost: x\r\n"
MALFORMED = {
    "no HTTP": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9": b"GET /v2/ HTTP/9.9\r\nHost: x\r\n\r\n",
    "an unknown method": b"FETCH /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "a method in lower case": b"get /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "a blank in the path": b"GET /v2/ x HTTP/1.1\r\nHost: x\r\n\r\n",
    "a NUL in the path": b"GET /v2/\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header without colon": b"GET /v2/ HTTP/1.1\r\nHost x\r\n\r\n",
    "a blank before the colon": b"GET /v2/ HTTP/1.1\r\nHost : x\r\n\r\n",
    "a NUL in a header": b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "a bare CR": b"GET /v2/ HTTP/1.1\r\nHost: x\rX: y\r\n\r\n",
    "a folded header first": b"GET /v2/ HTTP/1.1\r\n Host: x\r\n\r\n",
    "a negative length": PUT + b"Content-Length: -1\r\n\r\n",
    "a length of words": PUT + b"Content-Length: ten\r\n\r\n",
    "a length past 64 bits": PUT + b"Content-Length: 99999999999999999999\r\n\r\n",
    "two lengths": PUT + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a list of lengths": PUT + b"Content-Length: 1, 1\r\n\r\na",
    "length and chunks": PUT + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": PUT + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "a coding that is not chunked": PUT + b"Transfer-Encoding: gzip\r\n\r\nabc",
    "chunked, but not last": PUT + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "an almost chunked": PUT + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_request_is_400_and_the_end(server: Server, data: bytes) -> None:
    """RFC 9112: where two readers could see different requests (smuggling), there is none."""
    with Raw(server.port) as raw:
        reply = raw.send(data).reply()

        assert 400 == reply.status
        assert reply.code
        assert "close" == reply.headers["connection"]
        assert raw.is_closed()


@pytest.mark.parametrize(
    "chunk", [b"x\r\n", b"-1\r\n", b"5\r\nabcdefgh\r\n0\r\n\r\n", b"fffffffffffffffffff\r\n", b"0x5\r\nabcde\r\n", b"5 5\r\n"]
)
def test_a_malformed_chunk_ends_the_request_and_nothing_after_it_is_a_request(
    server: Server, client: httpx.Client, repository: str, chunk: bytes
) -> None:
    push_image(client, repository)
    smuggled = request("DELETE", f"/v2/{repository}/manifests/v1")

    with Raw(server.port) as raw:
        raw.send(request("PUT", f"/v2/{repository}/manifests/v2", "Transfer-Encoding: chunked", "Content-Type: a/b"))
        assert 400 == raw.send_what_goes(chunk + smuggled).reply().status
        assert raw.is_closed()

    assert 200 == client.get(f"/v2/{repository}/manifests/v1").status_code


def test_a_request_hidden_in_a_refused_body_is_not_carried_out(server: Server, client: httpx.Client, repository: str) -> None:
    """The body of a request that was answered early is a body to its end."""
    push_image(client, repository)
    smuggled = request("DELETE", f"/v2/{repository}/manifests/v1")

    with Raw(server.port) as raw:
        raw.send(request("PATCH", f"/v2/{repository}/blobs/uploads/none", f"Content-Length: {len(smuggled) + 10}"))
        assert 404 == raw.reply().status
        raw.send_what_goes(smuggled)
        assert raw.is_closed()

    assert 200 == client.get(f"/v2/{repository}/manifests/v1").status_code


def test_nothing_is_carried_out_after_the_last_answer(server: Server, client: httpx.Client, repository: str) -> None:
    """RFC 9112, 9.6: a server that has sent close MUST NOT process further requests of the connection."""
    push_image(client, repository)
    last = request("GET", "/v2/", "Connection: close")

    with Raw(server.port) as raw:
        assert 200 == raw.send(last + request("DELETE", f"/v2/{repository}/manifests/v1")).reply().status
        assert raw.is_closed()

    assert 200 == client.get(f"/v2/{repository}/manifests/v1").status_code


def test_pipelined_requests_are_answered_in_order(server: Server, client: httpx.Client, repository: str) -> None:
    """RFC 9112, 9.3.2; also where one has to wait for the disk and the next would not."""
    upload = client.post(f"/v2/{repository}/blobs/uploads/").headers["Location"]
    large = Random("pipelined").randbytes(100_000)
    requests = [
        request("GET", "/v2/"),
        request("PATCH", upload, body=large),
        request("GET", "/v2/nothing"),
        request("PUT", f"{upload}?digest={digest(large)}"),
        request("GET", f"/v2/{repository}/blobs/{digest(large)}"),
        request("GET", "/nothing"),
        request("HEAD", "/v2/"),
    ]
    methods = [data.split(b" ", 1)[0].decode() for data in requests]

    with Raw(server.port) as raw:
        raw.send(b"".join(requests))
        replies = [raw.reply(method) for method in methods]

    assert [200, 202, 404, 201, 200, 404, 200] == [reply.status for reply in replies]
    assert large == replies[4].body


def test_an_upgrade_is_not_followed(server: Server) -> None:
    """curl --http2 and probes ask for one; the answer is HTTP/1.1, and the connection goes on."""
    with Raw(server.port) as raw:
        first = raw.send(request("GET", "/v2/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")).reply()
        assert 200 == first.status
    with Raw(server.port) as raw:
        assert (
            404 == raw.send(request("GET", "/x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")).reply().status
        )


@pytest.mark.parametrize("target", ["*", "127.0.0.1:80", "ftp://127.0.0.1/v2/", "v2/", "?"])
@pytest.mark.parametrize("method", ["OPTIONS", "CONNECT", "GET"])
def test_a_target_that_is_no_path_is_refused(server: Server, method: str, target: str) -> None:
    reply = ask(server, method, target)

    assert 400 <= reply.status < 500
    assert reply.code


def test_http_1_0_is_answered_and_closed(server: Server) -> None:
    with Raw(server.port) as raw:
        assert 200 == raw.send(b"GET /v2/ HTTP/1.0\r\nHost: localhost\r\n\r\n").reply().status
        assert raw.is_closed()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2 * MIB,
        b"GET /v2/" + b"a" * 2 * MIB,
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 300_000,
    ],
)
def test_a_head_without_end_is_431(server: Server, head: bytes) -> None:
    """RFC 6585, 5: memory stays flat, and the client is told."""
    with Raw(server.port) as raw:
        reply = raw.send_what_goes(head).reply()

        assert 431 == reply.status
        assert reply.code
        assert raw.is_closed()


def test_a_long_head_is_fine(server: Server) -> None:
    """contract.md, 1.1: a service account's key as password makes a header of 3.5 KB; allow 16 KB."""
    assert 200 == ask(server, "GET", "/v2/", "Authorization: Basic " + "a" * 16_384).status


def test_the_server_still_answers_after_all_that(server: Server) -> None:
    for data in (*MALFORMED.values(), b"", b"GET", b"POST /v2/p/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"):
        with Raw(server.port) as raw:
            raw.send_what_goes(data)

    assert 200 == ask(server, "GET", "/v2/").status
    assert "Traceback" not in server.log.read_text()


# Slow clients

IMPATIENT = """\
import sys
from roadstead.api import http1
http1.HEAD_SECONDS, http1.IDLE_SECONDS, http1.LOOK_SECONDS = 1.0, 1.5, 0.05
sys.argv = ["roadstead", *sys.argv[4:]]  # what is left of: python -m roadstead …
from roadstead.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same server with its patience cut from 20 and 60 seconds to 1 and 1.5."""
    folder: Path = tmp_path_factory.mktemp("impatient")
    (folder / "serve.py").write_text(IMPATIENT)
    with serving(folder / "data", "--processes", "1", command=[sys.executable, str(folder / "serve.py")]) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("head", [b"", b"G", b"GET /v2/ HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_does_not_come_is_408(impatient: Server, head: bytes) -> None:
    """Slowloris: a connection is not held for a request that never is one."""
    with Raw(impatient.port) as raw:
        reply = raw.send(head).reply()

        assert (408, "close") == (reply.status, reply.headers["connection"])
        assert reply.code
        assert raw.is_closed()


@pytest.mark.slow
def test_a_head_that_drips_is_408(impatient: Server) -> None:
    with Raw(impatient.port) as raw:
        started = time.monotonic()
        raw.send(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n")
        for _ in range(40):
            raw.send_what_goes(b"X: y\r\n")
            time.sleep(0.03)
        assert 408 == raw.reply().status
        assert time.monotonic() - started < 3


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_a_body_that_stalls_is_408_and_what_came_is_kept(impatient: Server, repository: str, framing: str) -> None:
    """The client can go on where it stopped."""
    with connect(impatient.url) as client:
        upload = client.post(f"/v2/{repository}/blobs/uploads/").headers["Location"]
        with Raw(impatient.port) as raw:
            raw.send(request("PATCH", upload, framing) + (b"3e8\r\n" if "chunked" in framing else b"") + b"a" * 1000)
            reply = raw.reply()

        assert (408, "BLOB_UPLOAD_INVALID") == (reply.status, reply.code)
        assert "0-999" == client.get(upload).headers["Range"]


@pytest.mark.slow
def test_a_slow_but_steady_body_is_not_a_stall(impatient: Server, repository: str) -> None:
    """More than 1 KiB in each window, for longer than the window."""
    with connect(impatient.url) as client:
        upload = client.post(f"/v2/{repository}/blobs/uploads/").headers["Location"]
        with Raw(impatient.port) as raw:
            raw.send(request("PATCH", upload, "Content-Length: 24000"))
            for _ in range(24):
                raw.send(b"a" * 1000)
                time.sleep(0.08)
            assert 202 == raw.reply().status


@pytest.mark.slow
def test_a_request_late_on_an_old_connection_has_its_whole_time(impatient: Server, repository: str) -> None:
    """The time begins with the request, not with the connection or with the watch's last look."""
    with connect(impatient.url) as client:
        upload = client.post(f"/v2/{repository}/blobs/uploads/").headers["Location"]
    with Raw(impatient.port) as raw:
        for pause in (0.7, 0.95):
            assert 200 == raw.send(request("GET", "/v2/")).reply().status
            time.sleep(pause)
            half = request("GET", "/v2/")
            raw.send(half[:10])
            time.sleep(0.3)
            assert 200 == raw.send(half[10:]).reply().status
        raw.send(request("PATCH", upload, "Content-Length: 10"))
        time.sleep(0.6)
        assert 202 == raw.send(b"0123456789").reply().status


@pytest.mark.slow
def test_an_idle_connection_between_requests_is_no_slow_client(impatient: Server) -> None:
    with Raw(impatient.port) as raw:
        assert 200 == raw.send(request("GET", "/v2/")).reply().status
        time.sleep(1.7)
        assert 200 == raw.send(request("GET", "/v2/")).reply().status
