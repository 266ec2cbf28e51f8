"""`roadstead proxy` for a server without HTTPS: it ends TLS, and passes requests on one by one (RFC 9112, 6 and 7)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from roadstead import certificates
from roadstead.proxy import tunnels
from roadstead.proxy.forwarding import forward
from tests.kit.proxied import Proxied, proxied, through, to_the_end, trusting, tunnel
from tests.kit.push import digest, push_image
from tests.kit.server import Server
from tests.kit.terminal import Terminal
from tests.kit.tunnel import pair_in


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of `roadstead tls self-signed`."""
    made = tmp_path_factory.mktemp("tls")
    certificates.self_signed(made, [])
    return made


@pytest.fixture(scope="module")
def ending(server: Server, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    terminal = Terminal(tmp_path_factory.mktemp("home"))
    with proxied(terminal, "--server", server.url, *pair_in(folder)) as running:
        yield running


def chunks(*pieces: bytes) -> Iterator[bytes]:
    yield from pieces


def test_bodies_of_every_kind_pass_when_tls_ends_here(ending: Proxied, folder: Path, repository: str) -> None:
    """With a length, in chunks, with none, one after the other on one connection."""
    content = bytes(range(256)) * 4096
    name = digest(content)
    with through(ending, folder) as client:
        push_image(client, repository)
        upload = client.post(f"/v2/{repository}/blobs/uploads/").headers["location"]
        patched = client.patch(upload, content=chunks(content[:7], content[7:]), headers={"content-type": "application/octet-stream"})
        done = client.put(patched.headers["location"], params={"digest": name})

        assert (202, 201) == (patched.status_code, done.status_code)
        assert content == client.get(f"/v2/{repository}/blobs/{name}").content


@pytest.mark.parametrize(
    "head",
    [
        pytest.param("Content-Length: 5\r\nContent-Length: 5", id="two-lengths"),
        pytest.param("Content-Length: 5\r\nTransfer-Encoding: chunked", id="length-and-chunks"),
        pytest.param("Transfer-Encoding: gzip, chunked", id="another-coding"),
        pytest.param("Content-Length: +5", id="no-number"),
        pytest.param("Transfer-Encoding : chunked", id="blank-before-colon"),
        pytest.param("X: a\nContent-Length: 5", id="bare-newline"),
        pytest.param(" folded: 5", id="folded"),
        pytest.param("X: " + "x" * tunnels.HEAD_BYTES, id="too-long"),
        pytest.param("Transfer-Encoding: chunked\r\n\r\nx\r\n", id="no-size-of-a-chunk"),
        pytest.param("Transfer-Encoding: chunked\r\n\r\n" + "f" * 16 + "\r\n", id="huge-chunk"),
    ],
)
def test_a_request_whose_end_is_uncertain_ends_the_connection(ending: Proxied, folder: Path, head: str) -> None:
    """RFC 9112, 6.3: what two readers read differently lets a second request hide in a first."""
    with inside_tls(ending, folder) as secured:
        secured.sendall(f"PUT /v2/p/a/manifests/v1 HTTP/1.1\r\nHost: gcr.io\r\n{head}\r\n\r\nhello".encode())

        assert b" 201 " not in to_the_end(secured)


def test_who_the_client_says_it_is_for_is_not_passed_on() -> None:
    """The server believes its proxies, and this one vouches for nobody; that the scheme is https it does say."""
    sent = b"GET /v2/ HTTP/1.1\r\nHost: gcr.io\r\nX-Forwarded-Proto: http\r\nForwarded: for=192.0.2.7\r\nConnection: close\r\n\r\n"
    writer = _Kept()

    async def forwarded() -> None:
        received = asyncio.StreamReader()
        received.feed_data(sent)
        received.feed_eof()
        await forward(received, writer, lambda: None)  # type: ignore[arg-type]

    asyncio.run(forwarded())

    assert b"GET /v2/ HTTP/1.1\r\nHost: gcr.io\r\nConnection: close\r\nX-Forwarded-Proto: https\r\n\r\n" == writer.data


class _Kept:
    """What a stream is given."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    async def drain(self) -> None:
        pass

    def write_eof(self) -> None:
        pass


def inside_tls(proxy: Proxied, folder: Path) -> ssl.SSLSocket:
    return trusting(folder).wrap_socket(tunnel(proxy.port), server_hostname="gcr.io")
