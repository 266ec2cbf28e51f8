"""Request targets (RFC 9112, 3.2), over a socket, because HTTP libraries send the origin form alone."""

from __future__ import annotations

import httpx
import pytest

from tests.kit.push import image, push, push_blob
from tests.kit.raw import Raw, Reply
from tests.kit.server import Server


def get(server: Server, target: str, *headers: str) -> Reply:
    lines = [f"GET {target} HTTP/1.1", *headers]
    with Raw(server.port) as raw:
        return raw.send("".join(f"{line}\r\n" for line in (*lines, "")).encode()).reply()


@pytest.mark.parametrize("scheme", ["http", "https", "HTTP"])
def test_the_absolute_form_is_its_path(server: Server, scheme: str) -> None:
    """RFC 9112, 3.2.2: a server MUST accept the absolute-form in requests, even though most clients send it to proxies only."""
    reply = get(server, f"{scheme}://registry.example.com:5000/v2/", "Host: registry.example.com:5000")

    assert (200, "registry/2.0") == (reply.status, reply.headers["docker-distribution-api-version"])


def test_a_query_goes_with_the_path(server: Server, client: httpx.Client, repository: str) -> None:
    push_blob(client, repository, b"{}")
    for tag in ("v1", "v2"):
        assert 201 == push(client, repository, image(b"{}"), tag).status_code

    reply = get(server, f"http://x/v2/{repository}/tags/list?n=1", "Host: x")

    assert (200, True) == (reply.status, b'["v1"]' in reply.body)


def test_the_target_s_host_counts_and_not_the_header_s(server: Server, client: httpx.Client, repository: str) -> None:
    """RFC 9112, 3.2.2: an origin server MUST ignore the received Host header field and use the host information of the request-target."""
    push_blob(client, repository, b"{}", Host="eu.gcr.io")
    manifest = image(b"{}")
    assert 201 == push(client, repository, manifest, Host="eu.gcr.io").status_code
    path = f"/v2/{repository}/manifests/v1"

    there = get(server, f"http://eu.gcr.io{path}", "Host: us.gcr.io")
    elsewhere = get(server, f"http://us.gcr.io{path}", "Host: eu.gcr.io")

    assert (200, manifest.payload) == (there.status, there.body)
    assert 404 == elsewhere.status


@pytest.mark.parametrize("target", ["http://x", "http://x?a=b"])
def test_an_address_without_a_path_is_the_root(server: Server, target: str) -> None:
    assert get(server, "/", "Host: x").status == get(server, target, "Host: x").status == 404


@pytest.mark.parametrize(
    "target",
    ["http:///v2/", "http://somebody@x/v2/", "http://somebody:secret@x/v2/", "http://x:y/v2/", "http://x:123456/v2/", "http://a%20b/v2/"],
)
def test_a_target_s_host_that_is_none_is_refused(server: Server, target: str) -> None:
    """As in the header. RFC 9110, 4.2.4: a name before the host is an error."""
    assert 400 == get(server, target, "Host: x").status


@pytest.mark.parametrize("headers", [[], ["Host: x", "Host: x"]], ids=["none", "two"])
def test_there_must_be_one_host_header_all_the_same(server: Server, headers: list[str]) -> None:
    """RFC 9112, 3.2: a server MUST respond with 400 to a request without one or with several."""
    assert 400 == get(server, "http://x/v2/", *headers).status


@pytest.mark.parametrize("target", ["ftp://x/v2/", "httpx://x/v2/"])
def test_what_is_neither_form_is_nothing_of_ours(server: Server, target: str) -> None:
    assert get(server, target, "Host: x").status in (400, 404)
