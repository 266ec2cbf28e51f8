"""Locations: the Host header says which registry is meant (`gcr.io`, `us.gcr.io`, …); each has its own storage."""

from __future__ import annotations

from random import Random

import httpx
import pytest

from tests.kit.engines import only_with
from tests.kit.push import image, push, push_blob
from tests.kit.raw import Raw, request
from tests.kit.server import Server

LOCATIONS = {"gcr.io": "gcr", "us.gcr.io": "us", "eu.gcr.io": "eu", "asia.gcr.io": "asia", "mirror.gcr.io": "mirror"}
LARGE = Random("a blob that is a file").randbytes(100_000)


def manifest_of(client: httpx.Client, repository: str, host: str) -> httpx.Response:
    return client.get(f"/v2/{repository}/manifests/v1", headers={"Host": host})


def push_to(client: httpx.Client, repository: str, host: str, unique: str) -> bytes:
    push_blob(client, repository, b"{}", Host=host)
    manifest = image(b"{}", annotations={"unique": unique})
    assert 201 == push(client, repository, manifest, Host=host).status_code
    return manifest.payload


def test_one_name_on_every_host_is_as_many_repositories(client: httpx.Client, repository: str) -> None:
    """gcr.io/p/a and eu.gcr.io/p/a have nothing in common."""
    pushed = {host: push_to(client, repository, host, host) for host in LOCATIONS}

    assert pushed == {host: manifest_of(client, repository, host).content for host in LOCATIONS}


def test_what_is_pushed_to_one_location_is_unknown_at_the_others(client: httpx.Client, repository: str) -> None:
    push_to(client, repository, "eu.gcr.io", "eu")
    name = push_blob(client, repository, LARGE, Host="eu.gcr.io")

    for host in set(LOCATIONS) - {"eu.gcr.io"}:
        assert 404 == manifest_of(client, repository, host).status_code
        assert 404 == client.get(f"/v2/{repository}/blobs/{name}", headers={"Host": host}).status_code


@pytest.mark.parametrize("host", LOCATIONS)
@only_with("each location's bucket and prefix is a setting", blobs="folder")
def test_each_location_keeps_its_bytes_in_its_own_folder(server: Server, client: httpx.Client, repository: str, host: str) -> None:
    """Data that must stay in the EU stays in the EU's storage."""
    content = LARGE + repository.encode()

    name = push_blob(client, repository, content, Host=host)

    encoded = name.removeprefix("sha256:")
    found = [file.relative_to(server.data / "blobs").parts[0] for file in server.data.glob(f"blobs/*/sha256/??/{encoded}*")]
    assert [LOCATIONS[host]] == found


def test_deleting_at_one_location_leaves_the_other(client: httpx.Client, repository: str) -> None:
    for host in ("gcr.io", "eu.gcr.io"):
        push_to(client, repository, host, "same")

    client.delete(f"/v2/{repository}/manifests/v1", headers={"Host": "eu.gcr.io"})

    assert 404 == manifest_of(client, repository, "eu.gcr.io").status_code
    assert 200 == manifest_of(client, repository, "gcr.io").status_code


@pytest.mark.parametrize(
    "host",
    ["gcr.io", "GCR.IO", "gcr.io:443", "gcr.io.", "localhost", "localhost:5000", "127.0.0.1:1", "[::1]:5000", "registry.example.com"],
)
def test_the_server_s_own_names_are_the_default_location(client: httpx.Client, repository: str, host: str) -> None:
    """What is pushed to 127.0.0.1:5000/p/a is gcr.io/p/a."""
    payload = push_to(client, repository, "127.0.0.1:5000", "default")

    assert payload == manifest_of(client, repository, host).content


@pytest.mark.parametrize("host", ["eu.gcr.io", "EU.GCR.IO", "Eu.Gcr.Io:8443", "eu.gcr.io:80", "eu.gcr.io.", "eu.gcr.io.:443"])
def test_a_host_is_the_same_in_any_case_with_any_port_and_with_the_root_s_dot(client: httpx.Client, repository: str, host: str) -> None:
    """RFC 9110, 4.2.3. A name that is not recognized would silently be another storage."""
    payload = push_to(client, repository, "eu.gcr.io", "eu")

    assert payload == manifest_of(client, repository, host).content


@pytest.mark.parametrize("host", ["eu.gcr.io.corp.example", "EU.gcr.io.Corp.Example.:5000", "eu.gcr.io.localhost"])
def test_a_name_that_begins_with_a_location_s_host_is_that_location_s(client: httpx.Client, repository: str, host: str) -> None:
    """gcloud takes names of an operator's own only where they begin so (contract.md, mode C)."""
    payload = push_to(client, repository, "eu.gcr.io", "eu")

    assert payload == manifest_of(client, repository, host).content


@pytest.mark.parametrize("host", ["gcr.io.corp.example", "xeu.gcr.io.corp.example", "eu.gcr.iox", "corp.example.eu.gcr.io", "eu.gcr"])
def test_a_name_that_only_looks_so_is_the_server_s_own(client: httpx.Client, repository: str, host: str) -> None:
    payload = push_to(client, repository, "gcr.io", "default")

    assert payload == manifest_of(client, repository, host).content


MALFORMED = [
    "",
    "a/b",
    "gcr.io/",
    "x?",
    "gcr.io#",
    "a b",
    "user@gcr.io",
    "gcr.io:",
    "gcr.io:port",
    "gcr.io:123456",
    "[::1",
    "::1",
    "gcr.io,eu.gcr.io",
    "gcr.io\\",
    "gcr.io%00",
    "gcr.io;",
    "é",
    "http://gcr.io",
    "a" * 300,
    "[g::1]",
]


@pytest.mark.parametrize("host", MALFORMED)
def test_a_malformed_host_is_refused(server: Server, host: str) -> None:
    """RFC 9112, 3.2; CVE-2026-48710: a Host that is read differently by two readers passes one's checks as another."""
    with Raw(server.port) as raw:
        reply = raw.send(request("GET", "/v2/", host=host)).reply()

    assert (400, "UNSUPPORTED") == (reply.status, reply.code)


def test_a_request_without_host_is_refused(server: Server) -> None:
    with Raw(server.port) as raw:
        reply = raw.send(b"GET /v2/ HTTP/1.1\r\n\r\n").reply()

    assert 400 == reply.status


@pytest.mark.parametrize("hosts", [("gcr.io", "eu.gcr.io"), ("eu.gcr.io", "gcr.io"), ("gcr.io", "gcr.io")])
def test_a_request_with_two_hosts_is_refused(server: Server, hosts: tuple[str, str]) -> None:
    """RFC 9112, 3.2: MUST be answered with 400."""
    with Raw(server.port) as raw:
        reply = raw.send(request("GET", "/v2/", f"Host: {hosts[1]}", host=hosts[0])).reply()

    assert 400 == reply.status


def test_a_forwarded_host_is_not_believed(client: httpx.Client, repository: str) -> None:
    """Anybody can send it."""
    push_to(client, repository, "eu.gcr.io", "eu")

    response = client.get(f"/v2/{repository}/manifests/v1", headers={"X-Forwarded-Host": "eu.gcr.io", "Forwarded": "host=eu.gcr.io"})

    assert 404 == response.status_code


def test_a_request_line_with_a_host_of_its_own_reaches_no_other_location(server: Server, client: httpx.Client, repository: str) -> None:
    """RFC 9112, 3.2.2: an absolute-form target's host comes before the Host header. To refuse is safe, to mix the two is not."""
    push_to(client, repository, "gcr.io", "default")

    with Raw(server.port) as raw:
        reply = raw.send(request("GET", f"http://eu.gcr.io/v2/{repository}/manifests/v1", host="gcr.io")).reply()

    assert reply.status in (400, 404)
