"""Built-in TLS: certificates for labs, HTTPS beside HTTP, and renewal without a restart."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from roadstead import certificates
from roadstead.errors import ConfigurationError
from tests.kit.engines import ENGINES, only_with
from tests.kit.observed import children, log_lines, wait_for
from tests.kit.push import digest, push_blob, push_image
from tests.kit.raw import Raw, request
from tests.kit.server import Server, serving
from tests.kit.tunnel import pair_in

SECONDS = 30
OPEN = {"ROADSTEAD_ACCOUNTS": "false"}  # who may do what is another matter
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Files:
    """What `roadstead tls self-signed` made in a folder."""

    folder: Path

    @property
    def options(self) -> list[str]:
        return pair_in(self.folder)

    def trusting(self) -> ssl.SSLContext:
        """A client that trusts the private authority and nobody else, and takes nothing that RFC 5280 forbids."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    def certificate(self, name: str = "tls.pem") -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.folder / name).read_bytes())


class SecureRaw(Raw):
    """A connection of which every byte is ours, inside TLS."""

    def __init__(self, port: int, context: ssl.SSLContext, seconds: float = SECONDS) -> None:
        super().__init__(port, seconds)
        self._socket = context.wrap_socket(self._socket, server_hostname="localhost", suppress_ragged_eofs=False)

    def _exactly(self, size_bytes: int) -> bytes:
        """TLS gives 16 KiB at a time: to put those together one by one takes longer than to receive them."""
        pieces, missing = [self._kept[:size_bytes]], size_bytes - len(self._kept)
        self._kept = self._kept[size_bytes:]
        while missing > 0:
            pieces.append(self._socket.recv(min(missing, 65536)))
            missing -= len(pieces[-1])
            assert pieces[-1], "closed by the server"
        return b"".join(pieces)

    @property
    def serial(self) -> int:
        shown = self._socket.getpeercert(binary_form=True)  # type: ignore[attr-defined]
        return x509.load_der_x509_certificate(shown).serial_number


def made(folder: Path, *hosts: str) -> Files:
    certificates.self_signed(folder, hosts)
    return Files(folder)


def addresses(server: Server) -> list[str]:
    return (server.data.parent / f"{server.data.name}.ready").read_text().split()


def connect(server: Server, files: Files) -> httpx.Client:
    return httpx.Client(base_url=f"https://localhost:{server.port}", verify=files.trusting(), timeout=SECONDS, trust_env=False)


@contextmanager
def serving_securely(folder: Path, files: Files, *options: str, **env: str) -> Iterator[Server]:
    with serving(folder / "data", *files.options, *options, env={**OPEN, **env}) as server:
        yield server


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return made(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Iterator[Server]:
    """HTTPS, and plain HTTP on another port."""
    options = ("--processes", "2", "--listen-http", "127.0.0.1:0")
    with serving_securely(tmp_path_factory.mktemp("secure"), files, *options, ROADSTEAD_ACCESS_LOG="true") as server:
        yield server


@pytest.fixture
def client(secure: Server, files: Files) -> Iterator[httpx.Client]:
    with connect(secure, files) as http:
        yield http


# Certificates for labs


def shaken_hands(files: Files, host: str) -> bool:
    """Python's own client and server, without a network. Raises ssl.SSLCertVerificationError."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(files.folder / "tls.pem", files.folder / "tls.key")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = files.trusting().wrap_bio(back, there, server_hostname=host)
    server = server_side.wrap_bio(there, back, server_side=True)
    done: set[ssl.SSLObject] = set()
    for side in (client, server) * 4:
        try:
            side.do_handshake()
            done.add(side)
        except ssl.SSLWantReadError:
            continue
    return client in done


NAMES = [
    *("localhost", "127.0.0.1", "::1", "gcr.io", "eu.gcr.io", "us.gcr.io", "mirror.gcr.io", "accounts.google.com"),
    *("containeranalysis.googleapis.com", "oauth2.googleapis.com"),
]


@pytest.mark.parametrize("name", NAMES)
def test_the_usual_certificate_is_good_for_what_a_container_registry_s_clients_ask_for(files: Files, name: str) -> None:
    assert shaken_hands(files, name)


@pytest.mark.parametrize("name", ["example.com", "a.b.gcr.io", "googleapis.com", "127.0.0.2"])
def test_it_is_good_for_nothing_else(files: Files, name: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken_hands(files, name)


def test_openssl_finds_nothing_to_complain_of(files: Files) -> None:
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", files.folder / "ca.pem", files.folder / "tls.pem"]

    assert "OK" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_command_makes_files_that_only_we_can_read_the_keys_of(tmp_path: Path) -> None:
    """JSON for programs: paths, fingerprints, the end."""
    command = [sys.executable, "-m", "roadstead", "tls", "self-signed", "--data", "data", "--host", "registry.example.com"]

    done = subprocess.run([*command, "--days", "30", "--format", "json"], cwd=tmp_path, capture_output=True, text=True, check=True)

    said, files = json.loads(done.stdout), Files(tmp_path / "data/tls")
    assert ["registry.example.com"] == said["hosts"]
    assert str(files.folder / "ca.pem") == said["ca"]
    assert files.certificate().fingerprint(hashes.SHA256()).hex() == said["sha256"]
    assert files.certificate("ca.pem").fingerprint(hashes.SHA256()).hex() == said["caSha256"]
    assert f"{files.certificate().not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}" == said["notAfter"]
    assert 29 <= (files.certificate().not_valid_after_utc - files.certificate().not_valid_before_utc).days <= 30
    assert {"ca.key": 0o600, "tls.key": 0o600, "ca.pem": 0o644, "tls.pem": 0o644} == {
        file.name: file.stat().st_mode & 0o777 for file in files.folder.iterdir()
    }


def test_the_command_tells_how_clients_are_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "roadstead", "tls", "self-signed", "--out", str(tmp_path / "out")]

    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    for word in ("/etc/docker/certs.d/HOST/ca.crt", "SSL_CERT_FILE=", "--cert-dir", "REQUESTS_CA_BUNDLE=", "core/custom_ca_certs_file"):
        assert word in said


def test_google_s_names_may_be_added_to_the_server_s_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "roadstead", "tls", "self-signed", "--out", str(tmp_path / "out"), "--google"]

    subprocess.run([*command, "--host", "registry.example.com"], capture_output=True, check=True)
    alone = subprocess.run(command, capture_output=True, text=True, check=False)

    assert all(shaken_hands(Files(tmp_path / "out"), name) for name in ("registry.example.com", "eu.gcr.io", "oauth2.googleapis.com"))
    assert (2, True) == (alone.returncode, "--google goes with --host" in alone.stderr)


def test_a_second_run_renews_the_certificate_under_the_same_authority(tmp_path: Path) -> None:
    """Clients that trust the authority go on, and the names stay unless others are given."""
    first = certificates.self_signed(tmp_path / "tls", ["registry.example.com", "192.0.2.1"])
    second = certificates.self_signed(tmp_path / "tls", [])
    third = certificates.self_signed(tmp_path / "tls", ["other.example.com"])

    assert first.ca_is_new and not second.ca_is_new
    assert first.ca_fingerprint == second.ca_fingerprint == third.ca_fingerprint
    assert 3 == len({first.fingerprint, second.fingerprint, third.fingerprint})
    assert ("registry.example.com", "192.0.2.1") == first.hosts == second.hosts
    assert shaken_hands(Files(tmp_path / "tls"), "other.example.com")


@pytest.mark.parametrize("host", ["https://gcr.io", "gcr.io:443", "a b", "", "*", "*.*.gcr.io", "-a", "a..b", "x" * 64, "gcr.io/p"])
def test_what_is_no_name_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigurationError, match="neither a host name nor an IP address"):
        certificates.self_signed(tmp_path / "tls", [host])


@pytest.mark.parametrize("broken", ["no key", "another key", "no PEM"])
def test_an_authority_that_cannot_sign_is_not_replaced_silently(tmp_path: Path, broken: str) -> None:
    """All its clients would stop to trust the server."""
    folder = made(tmp_path / "tls").folder
    if broken == "no key":
        (folder / "ca.key").unlink()
    elif broken == "another key":
        shutil.copy(folder / "tls.key", folder / "ca.key")
    else:
        (folder / "ca.pem").write_text("nothing")

    with pytest.raises(ConfigurationError, match=r"ca\.(key|pem)"):
        certificates.self_signed(folder, [])


# The start


def wrong_pairs(files: Files, folder: Path) -> dict[str, tuple[Path, Path]]:
    other = made(folder / "other").folder
    encrypted = folder / "encrypted.key"
    key = rsa.generate_private_key(65537, 2048)
    form = serialization.BestAvailableEncryption(b"secret")
    encrypted.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, form))
    (folder / "text").write_text("not PEM")
    chain, own_key = files.folder / "tls.pem", files.folder / "tls.key"
    return {
        "no certificate there": (folder / "absent.pem", own_key),
        "no key there": (chain, folder / "absent.key"),
        "a folder": (folder, own_key),
        "another's key": (chain, other / "tls.key"),
        "no PEM": (folder / "text", own_key),
        "an encrypted key": (chain, encrypted),
        "only a certificate": (chain, Path()),
        "only a key": (Path(), own_key),
    }


@pytest.mark.slow
def test_a_pair_that_cannot_be_used_ends_the_start_with_a_sentence(tmp_path: Path, files: Files) -> None:
    for name, (chain, key) in wrong_pairs(files, tmp_path).items():
        given = [*(["--tls-cert", str(chain)] if chain != Path() else []), *(["--tls-key", str(key)] if key != Path() else [])]
        command = [sys.executable, "-m", "roadstead", "serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", *given]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)

        assert 2 == done.returncode, name
        assert done.stderr.startswith("roadstead: "), (name, done.stderr)
        assert 1 == len(done.stderr.splitlines()), (name, done.stderr)
        assert any(word in done.stderr for word in (str(chain), str(key), "tls_cert", "encrypted")), (name, done.stderr)


def test_the_ready_file_and_the_welcome_say_which_address_speaks_what(secure: Server) -> None:
    first, second = addresses(secure)

    assert f"https://127.0.0.1:{secure.port}" == first
    assert second.startswith("http://127.0.0.1:")
    assert f"Roadstead serves https://127.0.0.1:{secure.port} " in secure.log.read_text()


# Requests


def test_images_are_pushed_and_pulled(client: httpx.Client, secure: Server, repository: str) -> None:
    image = push_image(client, repository)

    assert image.payload == client.get(f"/v2/{repository}/manifests/v1").content
    plain = addresses(secure)[1]
    assert image.payload == httpx.get(f"{plain}/v2/{repository}/manifests/v1").content, "the same registry, over plain HTTP"


def test_a_request_knows_how_it_came(client: httpx.Client, secure: Server) -> None:
    """Per connection, on each of the two kinds of address."""
    path = f"/v2/{secure.port}-scheme/none/tags/list"
    client.get(path)
    httpx.get(f"{addresses(secure)[1]}{path}")

    lines = wait_for(lambda: len(found := [line for line in log_lines(secure) if line.get("path") == path]) == 2 and found)
    assert ["https", "http"] == [line["scheme"] for line in lines]


@pytest.mark.parametrize(
    ("wanted", "status", "expected"),
    [("bytes=0-0", 206, slice(0, 1)), ("bytes=70000-", 206, slice(70_000, None)), ("bytes=-5", 206, slice(-5, None))],
)
def test_ranges(client: httpx.Client, repository: str, wanted: str, status: int, expected: slice) -> None:
    content = Random("range").randbytes(300_000)
    name = push_blob(client, repository, content)

    response = client.get(f"/v2/{repository}/blobs/{name}", headers={"Range": wanted}, follow_redirects=True)

    assert (status, content[expected]) == (response.status_code, response.content)


def test_several_ranges_in_one_answer(client: httpx.Client, repository: str) -> None:
    content = Random("ranges").randbytes(300_000)
    name = push_blob(client, repository, content)

    response = client.get(f"/v2/{repository}/blobs/{name}", headers={"Range": "bytes=0-99999,200000-299999"}, follow_redirects=True)

    assert 206 == response.status_code
    assert content[:100_000] in response.content
    assert content[200_000:] in response.content


def test_requests_are_pipelined_and_the_connection_is_kept(secure: Server, files: Files, client: httpx.Client, repository: str) -> None:
    """RFC 9112, 9.3.2: answers come in the order of the requests, and no byte of one gets into another."""
    contents = [Random(number).randbytes(size) for number, size in enumerate((100, 40_000, 3 * MIB, 70_000, 1))]
    paths = [f"/v2/{repository}/blobs/{push_blob(client, repository, content)}" for content in contents]

    with SecureRaw(secure.port, files.trusting()) as raw:
        for _ in range(3):
            raw.send(b"".join(request("GET", path) for path in paths))
            assert contents == [raw.reply().body for _ in paths]


def test_a_session_is_resumed_whichever_process_answers(secure: Server, files: Files) -> None:
    """RFC 8446, 2.2: a connection after the first does without certificates. The processes have their ticket keys in common."""
    context = files.trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # its session is there with the handshake

    def connected(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool | None]:
        with context.wrap_socket(
            socket.create_connection(("127.0.0.1", secure.port), timeout=SECONDS), server_hostname="localhost", session=session
        ) as peer:
            return peer.session, peer.session_reused

    session, _ = connected(None)

    assert [True] * 20 == [connected(session)[1] for _ in range(20)]


def peak_bytes(server: Server) -> int:
    """The most memory that any of its processes ever had."""
    assert server.process
    status = [Path(f"/proc/{pid}/status").read_text() for pid in children(server.process.pid)]
    return max(int(text.partition("VmHWM:")[2].split()[0]) * 1024 for text in status)


@pytest.mark.slow
def test_a_big_blob_comes_back_whole_and_never_is_in_memory(tmp_path: Path, files: Files, repository: str) -> None:
    """Over TLS the kernel cannot send the file; what passes through the program does so in pieces."""
    content = Random("big").randbytes(96 * MIB)
    pieces = [content[start : start + MIB] for start in range(0, len(content), MIB)]
    with serving_securely(tmp_path, files, "--processes", "1") as server, connect(server, files) as client:
        push_blob(client, repository, b"what is loaded once is loaded")
        before = peak_bytes(server)
        place = client.post(f"/v2/{repository}/blobs/uploads/").headers["Location"]
        put = client.put(place, params={"digest": digest(content)}, content=iter(pieces), headers={"Content-Length": str(len(content))})
        assert 201 == put.status_code, put.text
        for _ in range(3):
            assert content == client.get(f"/v2/{repository}/blobs/{digest(content)}", follow_redirects=True).content

        # A bucket's client keeps some pieces of its own: 60 MiB over plain HTTP, too.
        assert peak_bytes(server) - before < (48 if ENGINES.blobs == "folder" else 88) * MIB


@pytest.mark.slow
@only_with("the bucket sends it, or its own client has memory of its own", blobs="folder")
def test_those_who_do_not_read_cost_little(tmp_path: Path, files: Files, repository: str) -> None:
    content = Random("unread").randbytes(64 * MIB)
    with serving_securely(tmp_path, files, "--processes", "1") as server, connect(server, files) as client:
        name = push_blob(client, repository, content)
        before = peak_bytes(server)
        context = files.trusting()
        silent = [SecureRaw(server.port, context).send(request("GET", f"/v2/{repository}/blobs/{name}")) for _ in range(20)]
        time.sleep(1)

        assert 200 == client.get("/v2/").status_code
        assert peak_bytes(server) - before < 20 * 2 * MIB
        assert content == silent[7].reply().body, "one that begins to read gets all of it"
        for raw in silent:
            raw.__exit__(None, None, None)


@pytest.mark.slow
def test_a_slow_reader_gets_all_even_of_a_connection_that_ends(secure: Server, files: Files, client: httpx.Client, repository: str) -> None:
    """The server has written and closed long before the client has read."""
    content = Random("slow").randbytes(6 * MIB)
    name = push_blob(client, repository, content)
    with socket.socket() as thin:
        thin.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        thin.settimeout(SECONDS)
        thin.connect(("127.0.0.1", secure.port))
        with files.trusting().wrap_socket(thin, server_hostname="localhost", suppress_ragged_eofs=False) as peer:
            peer.sendall(request("GET", f"/v2/{repository}/blobs/{name}", "Connection: close"))
            time.sleep(2)
            received = bytearray()
            while data := peer.recv(65536):
                received += data
                time.sleep(0.01)

    assert content == received.partition(b"\r\n\r\n")[2]


# Those who do not speak it


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_tls_before_1_2_is_refused(secure: Server, files: Files, version: ssl.TLSVersion) -> None:
    """RFC 8996. By the server: the client would say that it has no protocol to offer."""
    context = files.trusting()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version

    with pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|UNEXPECTED_EOF"):
        SecureRaw(secure.port, context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken_and_http_1_1_is_agreed_on(secure: Server, files: Files, version: ssl.TLSVersion) -> None:
    """RFC 7301: a client that offers HTTP/2 first must learn that it is not spoken here."""
    context = files.trusting()
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with context.wrap_socket(socket.create_connection(("127.0.0.1", secure.port), timeout=SECONDS), server_hostname="localhost") as peer:
        assert "http/1.1" == peer.selected_alpn_protocol()
        peer.sendall(request("GET", "/v2/"))
        assert peer.recv(100).startswith(b"HTTP/1.1 200 ")


def test_plain_http_sent_to_the_tls_port_is_closed_at_once(secure: Server) -> None:
    before = time.monotonic()
    with Raw(secure.port) as raw:
        assert raw.send_what_goes(request("GET", "/v2/")).is_closed() or b"HTTP/1.1 400" in raw._kept

    assert time.monotonic() - before < 5


def test_a_client_that_trusts_somebody_else_sends_nothing(secure: Server, files: Files, tmp_path: Path) -> None:
    before = len(log_lines(secure))
    with pytest.raises(ssl.SSLCertVerificationError):
        SecureRaw(secure.port, made(tmp_path / "stranger").trusting())

    assert not [line for line in log_lines(secure)[before:] if line.get("event") != "request"], "that is no error of the server"


@pytest.mark.slow
def test_whoever_says_nothing_is_closed_in_time(secure: Server, files: Files) -> None:
    """Before the handshake as after it."""
    with Raw(secure.port, 60) as silent, SecureRaw(secure.port, files.trusting(), 60) as greeted:
        before = time.monotonic()
        assert silent.is_closed()
        assert time.monotonic() - before < 15
        assert 408 == greeted.reply().status
        assert time.monotonic() - before < 40


# Renewal


def shown(server: Server, files: Files) -> set[int]:
    """The serial numbers of the certificates that two newcomers get: with a name (SNI), and without."""
    with SecureRaw(server.port, files.trusting()) as raw:
        named = raw.serial
    nameless = files.trusting()
    nameless.check_hostname = False
    with nameless.wrap_socket(socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS)) as peer:
        return {named, x509.load_der_x509_certificate(peer.getpeercert(binary_form=True) or b"").serial_number}


def all_show(server: Server, files: Files, serial: int) -> bool:
    """Whichever of its processes answers."""
    return {serial} == {number for _ in range(10) for number in shown(server, files)}


@pytest.fixture
def renewable(tmp_path: Path) -> Files:
    return made(tmp_path / "tls")


@pytest.mark.slow
def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path: Path, renewable: Files, repository: str) -> None:
    """Connections that are open go on, in the middle of a request even."""
    with serving_securely(tmp_path, renewable, "--processes", "2") as server, SecureRaw(server.port, renewable.trusting()) as raw:
        old = renewable.certificate().serial_number
        assert all_show(server, renewable, old)
        raw.send(request("POST", f"/v2/{repository}/blobs/uploads/?digest={digest(b'12')}", "Content-Length: 2") + b"1")

        new = made(renewable.folder).certificate().serial_number

        wait_for(lambda: shown(server, renewable) == {new})
        wait_for(lambda: all_show(server, renewable, new))
        assert 201 == raw.send(b"2").reply().status
        assert 200 == raw.send(request("GET", "/v2/")).reply().status
        assert old == raw.serial != new
        (*_, line) = wait_for(lambda: [line for line in log_lines(server) if line["event"] == "certificate loaded"])
        assert renewable.certificate().not_valid_after_utc.isoformat() == line["not_after"]


@pytest.mark.slow
def test_sighup_renews_at_once_in_every_process(tmp_path: Path, renewable: Files) -> None:
    with serving_securely(tmp_path, renewable, "--processes", "2") as server:
        new = made(renewable.folder).certificate().serial_number
        assert server.process
        server.process.send_signal(signal.SIGHUP)

        wait_for(lambda: all_show(server, renewable, new), seconds=1.5)
        assert 3 == len(children(server.process.pid)), "the worker has nothing to renew and goes on"


@pytest.mark.slow
def test_a_broken_pair_is_logged_and_the_old_one_stays(tmp_path: Path, renewable: Files) -> None:
    with serving_securely(tmp_path, renewable, "--processes", "1") as server:
        old = renewable.certificate().serial_number
        kept = (renewable.folder / "tls.key").read_bytes()
        (renewable.folder / "tls.key").write_bytes((made(tmp_path / "other").folder / "tls.key").read_bytes())

        (line, *_) = wait_for(lambda: [line for line in log_lines(server) if line["level"] == "error"])
        assert "old one stays" in line["event"]
        assert str(renewable.folder / "tls.key") in line["cause"]
        assert {old} == shown(server, renewable)
        time.sleep(3)
        assert 1 == sum(line["level"] == "error" for line in log_lines(server)), "it is said once, not every two seconds"

        (renewable.folder / "tls.key").write_bytes(kept)
        wait_for(lambda: any(line["event"] == "certificate loaded" for line in log_lines(server)))
        assert {old} == shown(server, renewable)


@pytest.mark.slow
def test_a_process_that_is_started_later_shows_the_renewed_one(tmp_path: Path, renewable: Files) -> None:
    """Its supervisor has the old one in memory."""
    with serving_securely(tmp_path, renewable, "--processes", "1") as server:
        assert server.process
        new = made(renewable.folder).certificate().serial_number
        wait_for(lambda: shown(server, renewable) == {new})
        for pid in children(server.process.pid):
            os.kill(pid, signal.SIGKILL)

        assert {new} == wait_for(lambda: shown(server, renewable))


@pytest.mark.slow
def test_a_certificate_with_a_key_of_another_kind_replaces_the_old_one(tmp_path: Path, renewable: Files) -> None:
    """OpenSSL keeps one pair for each kind of key: added to the same context, the old pair would still be shown to some."""
    with serving_securely(tmp_path, renewable, "--processes", "1") as server:
        key = rsa.generate_private_key(65537, 2048)
        new = signed_by(renewable, key)
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (renewable.folder / "tls.key").write_bytes(key.private_bytes(*form))
        (renewable.folder / "tls.pem").write_bytes(new.public_bytes(serialization.Encoding.PEM))

        wait_for(lambda: shown(server, renewable) == {new.serial_number})
        only_ecdsa = renewable.trusting()
        only_ecdsa.maximum_version = ssl.TLSVersion.TLSv1_2
        only_ecdsa.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        with pytest.raises(ssl.SSLError):
            SecureRaw(server.port, only_ecdsa)


def signed_by(files: Files, key: rsa.RSAPrivateKey) -> x509.Certificate:
    """The certificate that is there, for another key."""
    authority = serialization.load_pem_private_key((files.folder / "ca.key").read_bytes(), None)
    old = files.certificate()
    builder = x509.CertificateBuilder(old.issuer, old.subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(old.not_valid_before_utc).not_valid_after(old.not_valid_after_utc)
    for extension in old.extensions:
        if not isinstance(extension.value, x509.SubjectKeyIdentifier):
            builder = builder.add_extension(extension.value, extension.critical)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return builder.sign(authority, hashes.SHA256())  # type: ignore[arg-type]


# The end


@pytest.mark.slow
def test_what_is_under_way_is_finished_and_idle_connections_hold_nothing_up(tmp_path: Path, files: Files, repository: str) -> None:
    content = Random("drained").randbytes(100_000)
    with serving_securely(tmp_path, files, "--processes", "2") as server:
        context = files.trusting()
        with SecureRaw(server.port, context) as raw, SecureRaw(server.port, context) as idle, connect(server, files) as pool:
            assert 200 == idle.send(request("GET", "/v2/")).reply().status
            assert 200 == pool.get("/v2/").status_code  # kept for later: it does not listen until then
            path = f"/v2/{repository}/blobs/uploads/?digest={digest(content)}"
            raw.send(request("POST", path, f"Content-Length: {len(content)}") + content[:50_000])
            time.sleep(0.2)
            assert server.process
            before = time.monotonic()
            server.process.terminate()
            assert idle.is_closed()
            reply = raw.send(content[50_000:]).reply()
            assert (201, "close") == (reply.status, reply.headers["connection"])

            assert 0 == server.process.wait(timeout=SECONDS)
            assert time.monotonic() - before < 6
        with serving(tmp_path / "data", "--processes", "1", env=OPEN) as again:
            assert content == httpx.get(f"{again.url}/v2/{repository}/blobs/{digest(content)}", follow_redirects=True).content


def test_without_a_certificate_sighup_ends_it_as_when_its_terminal_is_closed(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--processes", "1") as server:
        assert server.process
        server.process.send_signal(signal.SIGHUP)

        assert -signal.SIGHUP == server.process.wait(timeout=SECONDS)
