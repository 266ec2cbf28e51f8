"""`roadstead proxy`: Google's names lead to one server, and nothing leads anywhere else (RFC 9110, 9.3.6; contract.md, mode D)."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from roadstead import certificates
from roadstead.proxy import tunnels
from roadstead.proxy.tunnels import Proxy
from tests.kit.observed import wait_for
from tests.kit.proxied import Proxied, proxied, through, to_the_end, tunnel
from tests.kit.push import push_image
from tests.kit.raw import Raw, Reply
from tests.kit.server import Server
from tests.kit.terminal import Terminal
from tests.kit.tunnel import serving_securely

OPEN = {"ROADSTEAD_ACCOUNTS": "false"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of `roadstead tls self-signed`."""
    made = tmp_path_factory.mktemp("tls")
    certificates.self_signed(made, [])
    return made


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Server]:
    with serving_securely(tmp_path_factory.mktemp("secure") / "data", folder, "--processes", "1", env=OPEN) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(secure: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """As it is started for a server with HTTPS."""
    terminal = Terminal(tmp_path_factory.mktemp("home"))
    with proxied(terminal, "--server", f"https://127.0.0.1:{secure.port}", "--map", "registry.example.com:8443") as running:
        yield running


def connect(raw: Raw, target: str) -> Reply:
    return raw.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()).reply("HEAD")


@pytest.mark.parametrize("name", ["gcr.io", "eu.gcr.io", "cloudresourcemanager.googleapis.com", "accounts.google.com"])
def test_google_s_names_lead_to_the_server_and_its_certificate_is_checked(proxy: Proxied, folder: Path, name: str) -> None:
    with through(proxy, folder, name) as client:
        response = client.get("/v2/")

    assert (200, "registry/2.0") == (response.status_code, response.headers["docker-distribution-api-version"])


def test_each_name_keeps_its_location(proxy: Proxied, folder: Path, repository: str) -> None:
    with through(proxy, folder, "eu.gcr.io") as european, through(proxy, folder) as other:
        push_image(european, repository)

        assert [200, 404] == [each.get(f"/v2/{repository}/manifests/v1").status_code for each in (european, other)]


def test_a_name_of_the_operator_s_own_is_led_too(proxy: Proxied) -> None:
    with Raw(proxy.port) as raw:
        assert 200 == connect(raw, "registry.example.com:8443").status


@pytest.mark.parametrize(
    "target",
    ["example.com:443", "gcr.io:80", "gcr.io:8443", "127.0.0.1:443", "[::1]:443", "gcr.io.example.com:443", "registry.example.com:443"],
)
def test_what_is_not_mapped_is_refused(proxy: Proxied, target: str) -> None:
    """Or whoever reaches it could use it to go anywhere."""
    with Raw(proxy.port) as raw:
        reply = raw.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()).reply()

    assert 403 == reply.status
    assert f"{target} is not among the names that this proxy leads to its server" in reply.body.decode()


def test_names_are_compared_as_dns_does(proxy: Proxied) -> None:
    with Raw(proxy.port) as raw:
        assert 200 == connect(raw, "EU.gcr.io.:443").status


def test_a_request_that_is_no_tunnel_is_refused(proxy: Proxied) -> None:
    """RFC 9110, 15.5.6: 405 comes with Allow."""
    with Raw(proxy.port) as raw:
        reply = raw.send(b"GET http://gcr.io/v2/ HTTP/1.1\r\nHost: gcr.io\r\n\r\n").reply()

    assert (405, "CONNECT") == (reply.status, reply.headers["allow"])
    assert "ask for http://gcr.io/v2/ by https://" in reply.body.decode()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"hello\r\n\r\n", 400, id="no-request"),
        pytest.param(b"CONNECT gcr.io:443\r\n\r\n", 400, id="http-0.9"),
        pytest.param(b"CONNECT gcr.io HTTP/1.1\r\n\r\n", 403, id="no-port"),
        pytest.param(b"\x16\x03\x01\x02\x00\r\n\r\n", 400, id="tls"),
        pytest.param(b"CONNECT gcr.io:443 HTTP/1.1\r\nX: " + b"x" * tunnels.HEAD_BYTES, 431, id="too-long"),
    ],
)
def test_what_is_no_request_gets_an_answer(proxy: Proxied, sent: bytes, status: int) -> None:
    with Raw(proxy.port) as raw:
        assert status == raw.send(sent).reply().status


def test_sigterm_ends_it_with_tunnels_open(secure: Server, tmp_path: Path) -> None:
    with proxied(Terminal(tmp_path), "--server", f"https://127.0.0.1:{secure.port}") as running, Raw(running.port) as raw:
        connect(raw, "gcr.io:443")

        assert (0, "") == running.stop()
        assert raw.is_closed()


@pytest.mark.slow
def test_control_c_ends_it_too(secure: Server, tmp_path: Path) -> None:
    with proxied(Terminal(tmp_path), "--server", f"https://127.0.0.1:{secure.port}") as running:
        running.process.send_signal(signal.SIGINT)

        assert 0 == running.process.wait(20)


def test_a_server_that_is_away_is_told_in_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with proxied(Terminal(tmp_path), "--server", f"https://127.0.0.1:{port}") as running:
        with Raw(running.port) as raw:
            reply = raw.send(b"CONNECT gcr.io:443 HTTP/1.1\r\n\r\n").reply()

        assert (502, f"roadstead proxy: the server 127.0.0.1:{port} cannot be reached\n") == (reply.status, reply.body.decode())
        assert f"the server 127.0.0.1:{port} cannot be reached" in running.stop()[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(["--server", "http://127.0.0.1:5000"], "speaks plain HTTP", id="no-certificate"),
        pytest.param(["--server", "https://127.0.0.1:5000", "--tls-cert", "{pair}"], "belong together", id="half-a-pair"),
        pytest.param(["--server", "ftp://x"], "a server is written https://HOST", id="no-server"),
        pytest.param(["--server", "https://x", "--map", "a/b"], "a name to map is written HOST or HOST:PORT", id="no-name"),
        pytest.param(["--server", "https://x", "--map", "a:0"], "a name to map is written HOST or HOST:PORT", id="no-port"),
        pytest.param(["--server", "https://x", "--listen", "3128"], "must be HOST:PORT", id="no-address"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: list[str], said: str) -> None:
    assert said in Terminal(tmp_path).refused("proxy", *options, code=2)


def test_a_port_that_is_taken_is_told_in_a_sentence(proxy: Proxied, tmp_path: Path) -> None:
    said = Terminal(tmp_path).refused("proxy", "--server", "https://x", "--listen", f"127.0.0.1:{proxy.port}")

    assert f"cannot listen on 127.0.0.1:{proxy.port}" in said


def test_who_opens_it_to_others_is_warned(secure: Server, tmp_path: Path) -> None:
    with proxied(Terminal(tmp_path), "--server", f"https://127.0.0.1:{secure.port}", "--listen", "0.0.0.0:0") as running:
        assert "can be reached from other machines" in running.stop()[1]


@contextmanager
def inside(server: tuple[str, int]) -> Iterator[int]:
    """A proxy in this process, whose limits a test has changed. Its port."""
    stop, ready = asyncio.Event(), threading.Event()
    loop = asyncio.new_event_loop()
    ports: list[int] = []

    def told(port: int) -> None:
        ports.append(port)
        ready.set()

    serving = Proxy(server, {"gcr.io:443"}).serve("127.0.0.1", 0, stop, told)
    thread = threading.Thread(target=loop.run_until_complete, args=(serving,))
    thread.start()
    assert ready.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """Says back what it was told, once the client has said all."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                with listener.accept()[0] as client:
                    client.settimeout(20)
                    with suppress(OSError):
                        said = b""
                        while data := client.recv(65536):
                            said += data
                        client.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield "127.0.0.1", listener.getsockname()[1]
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(20)


def test_half_a_connection_may_end_before_the_other(echo: tuple[str, int]) -> None:
    sent = bytes(range(256)) * 8192

    with inside(echo) as port, tunnel(port) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)

        assert sent == to_the_end(client)


def test_a_tunnel_in_which_nothing_moves_is_closed(echo: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnels, "IDLE_SECONDS", 0.2)

    with inside(echo) as port, tunnel(port) as client:
        assert b"" == to_the_end(client)


def test_a_client_that_reads_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has not taken is thrown away with the connection, or a stranger could fill this machine's memory."""
    monkeypatch.setattr(tunnels, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(tunnels, "CLOSE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener, inside(listener.getsockname()) as port, tunnel(port) as client:
        server = listener.accept()[0]
        with server, suppress(OSError):
            while True:
                server.sendall(bytes(1 << 20))

        wait_for(lambda: _is_reset(client))


def _is_reset(client: socket.socket) -> bool:
    """Sending fails once the other side is gone for good."""
    try:
        client.sendall(b"x")
    except OSError:
        return True
    return False


def test_a_client_that_says_nothing_is_sent_away(echo: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnels, "HEAD_SECONDS", 0.2)

    with inside(echo) as port, Raw(port) as raw:
        assert 408 == raw.send(b"CONNECT gcr.io").reply().status


def test_there_is_a_limit_of_connections(echo: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnels, "MOST_CONNECTIONS", 2)

    with inside(echo) as port:
        with tunnel(port), tunnel(port), Raw(port) as third:
            assert 503 == third.reply().status
        wait_for(lambda: _is_let_in(port))  # whoever leaves makes room


def _is_let_in(port: int) -> bool:
    with Raw(port) as raw:
        return connect(raw, "gcr.io:443").status == 200
