"""
Random requests over the whole route table: no 5xx, no hang, and every error in the specification's form.

A fast run is short; ROADSTEAD_FUZZ_EXAMPLES=100000 makes it long.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from roadstead.api.distribution.routes import ROUTES
from tests.kit.load import OCI_INDEX, OCI_MANIFEST, descriptor
from tests.kit.push import SPEC_FIELDS, Document, digest, image, index, push, push_blob
from tests.kit.raw import Raw, Reply, request
from tests.kit.server import Server

EXAMPLES = int(os.environ.get("ROADSTEAD_FUZZ_EXAMPLES", "700"))
LONGEST_SECONDS = 10.0
LARGE = Random("fuzz").randbytes(50_000)

fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@dataclass(frozen=True, slots=True)
class Known:
    """What is there, so that requests come further than the first check."""

    repository: str
    manifest: Document
    blobs: list[str]
    upload: str


@pytest.fixture
def known(client: httpx.Client, repository: str) -> Known:
    blobs = [push_blob(client, repository, content) for content in (b"{}", LARGE, b"")]
    manifest = image(b"{}", [LARGE])
    push(client, repository, manifest)
    upload = client.post(f"/v2/{repository}/blobs/uploads/").headers["Location"].rsplit("/", 1)[1]
    return Known(repository, manifest, blobs, upload)


_escaped = st.text(alphabet="ab/.-_%:2fF0eE\\;?#", max_size=12)
_odd_digests = ["sha256:", "sha256:" + "0" * 64, "sha512:" + "0" * 128, "sha256:" + "g" * 64, "md5:00", digest(b"")]
_numbers = st.one_of(st.integers(-5, 5).map(str), st.sampled_from(["9" * 30, "1e9", "%E0%A5%A7", "0x1", ""]))
_parameters = ["digest", "mount", "from", "origin", "n", "last", "artifactType", "tag", "digest-algorithm", "x"]
_methods = [*sorted({route.method for route in ROUTES}), "OPTIONS", "TRACE", "PROPFIND"]
_templates = [*sorted({route.template for route in ROUTES}), "/v2/<name>", "/v2/<name>/<reference>", "/<name>"]
_descriptors = st.fixed_dictionaries(
    {},
    optional={
        "mediaType": st.sampled_from([OCI_MANIFEST, "a/b", "", 1, None]),
        "digest": st.sampled_from([*_odd_digests, digest(b"{}"), digest(LARGE), 7, None]),
        "size": st.sampled_from([0, 2, len(LARGE), -1, 1 << 64, "2", 1.5]),
    },
)
_documents = st.fixed_dictionaries(
    {"schemaVersion": st.sampled_from([2, 2, 2, 1, "2"])},
    optional={
        "mediaType": st.sampled_from([OCI_MANIFEST, OCI_INDEX, "a/b", "", "é", None]),
        "config": _descriptors | st.just(descriptor(b"{}")),
        "layers": st.lists(_descriptors | st.just(descriptor(LARGE)), max_size=3),
        "manifests": st.lists(_descriptors, max_size=3),
        "subject": _descriptors,
        "annotations": st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.integers(), max_size=2),
        "artifactType": st.text(max_size=5),
    },
).map(lambda document: json.dumps(document).encode())


@st.composite
def requests(draw: st.DrawFn, known: Known) -> tuple[str, bytes]:
    """Mostly right: one or two parts of a request are odd, or it would not come past the first check."""
    parts = {
        "<name>": st.sampled_from([known.repository] * 6 + ["p/a", "..", "p//a", "", "%2e%2e/a", "P/a"]) | _escaped,
        "<reference>": st.sampled_from(["v1", "v2", "latest", known.manifest.digest, *_odd_digests]) | _escaped,
        "<digest>": st.sampled_from([*known.blobs, known.manifest.digest, *_odd_digests]) | _escaped,
        "<upload>": st.sampled_from([known.upload] * 4 + ["none", known.upload[:-1], known.upload[:33] + "%C3%A9", "-"]) | _escaped,
    }
    path = draw(st.sampled_from(_templates))
    for name, values in parts.items():
        path = path.replace(name, draw(values)) if name in path else path
    query = "&".join(f"{key}={value}" for key, value in draw(st.lists(parameters(known), max_size=3)))
    method = draw(st.sampled_from(_methods))
    body = draw(
        st.sampled_from([b"", b"", LARGE, b"{}", known.manifest.payload, index([known.manifest]).payload])
        | _documents
        | st.binary(max_size=50)
    )
    sent = draw(st.lists(headers(known), max_size=3))
    host = draw(st.sampled_from(["127.0.0.1"] * 6 + ["eu.gcr.io", "a/b", "", "gcr.io:443"]))
    target = path.replace(" ", "%20").replace("#", "%23") + (f"?{query}" if query else "")
    if draw(st.booleans()) and body:
        chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        return method, request(method, target, *sent, "Transfer-Encoding: chunked", host=host) + chunked
    return method, request(method, target, *sent, body=body, host=host)


def parameters(known: Known) -> st.SearchStrategy[tuple[str, str]]:
    values = st.sampled_from(
        [*known.blobs, known.repository, known.manifest.digest, "v1", "gcr.io", "eu.gcr.io:1", "sha512", *_odd_digests, "%FF", "%00"]
    )
    return st.tuples(st.sampled_from(_parameters), values | _numbers | _escaped.map(lambda text: text.replace("#", "")))


def headers(known: Known) -> st.SearchStrategy[str]:
    etag = f'"{known.manifest.digest}"'
    ranges = st.builds("{}-{}".format, _numbers, _numbers)
    return st.one_of(
        st.builds("Content-Range: {}".format, ranges | _escaped),
        st.builds("Range: bytes={}".format, ranges | st.builds("-{}".format, _numbers) | st.builds("{},{}".format, ranges, ranges)),
        st.builds("Content-Type: {}".format, st.sampled_from([OCI_MANIFEST, OCI_INDEX, "a/b", "x", "application/octet-stream"]) | _escaped),
        st.builds(
            "{}: {}".format,
            st.sampled_from(["If-Match", "If-None-Match", "If-Range"]),
            st.sampled_from([etag, "*", '"x"', "x", "W/" + etag]),
        ),
        st.sampled_from(
            ["Accept: */*", "Accept-Encoding: gzip", "Connection: close", "Connection: upgrade", "Upgrade: websocket", "Cookie: a=b"]
        ),
    )


def check(reply: Reply, method: str) -> None:
    assert reply.status < 500, reply
    if reply.status >= 400 and method != "HEAD" and "content-range" not in reply.headers:
        assert "application/json" == reply.headers["content-type"]
        for entry in json.loads(reply.body)["errors"]:
            assert SPEC_FIELDS == set(entry)
            assert entry["message"]
            assert entry["code"] == entry["code"].upper()


@pytest.mark.slow
@fuzz
@given(data=st.data())
def test_no_request_makes_the_server_fail_or_hang(server: Server, known: Known, data: st.DataObject) -> None:
    """Each answer has to come within ten seconds, and the connection has to be ready for the next request or closed."""
    method, sent = data.draw(requests(known))
    with Raw(server.port, LONGEST_SECONDS) as raw:
        reply = raw.send(sent).reply(method)
        check(reply, method)
        if reply.headers.get("connection") == "close":
            assert raw.is_closed()
        else:
            assert 200 == raw.send(request("GET", "/v2/")).reply().status


_pieces = [
    *(b"GET ", b"PUT ", b"/v2/", b"p/a/manifests/v1", b" HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n", b"Content-Length: ", b"5"),
    *(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"a", b"\0", b"\n", b"Expect: 100-continue\r\n", b"Connection: close\r\n"),
]


@pytest.mark.slow
@fuzz
@given(pieces=st.lists(st.sampled_from(_pieces) | st.binary(max_size=4), max_size=20))
def test_no_bytes_make_the_server_fail(server: Server, pieces: list[bytes]) -> None:
    """What may be half a request is not waited for: the connection is closed, and the server has to live with it."""
    with Raw(server.port, LONGEST_SECONDS) as raw:
        raw.send_what_goes(b"".join(pieces)).end()
        for reply in replies(raw):
            assert reply.status < 500


def replies(raw: Raw) -> Iterator[Reply]:
    while True:
        try:
            yield raw.reply()
        except ConnectionError:
            return


def test_nothing_of_it_was_logged_as_a_failure(server: Server, client: httpx.Client, known: Known) -> None:
    """Runs last; in parallel runs it sees what its own server was sent."""
    assert 200 == client.get(f"/v2/{known.repository}/manifests/v1").status_code
    log = server.log.read_text()
    assert "Traceback" not in log
    assert "request failed" not in log
