"""`roadstead images copy` between projects, locations, servers and other registries, where connections break and processes die."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from roadstead import certificates
from tests.kit.content import complete_image, complete_index, is_absent
from tests.kit.engines import free_port
from tests.kit.faults import Fault, FaultProxy
from tests.kit.images_place import ImagesPlace, images_place, logged_in
from tests.kit.load import OCI_MANIFEST
from tests.kit.odd_registry import Behaviour, Handler, OddRegistry, answer, blobs_of
from tests.kit.program import find
from tests.kit.push import Document, document, image, index, push, push_blob, push_image
from tests.kit.server import Server, serving
from tests.kit.terminal import Terminal

pytestmark = pytest.mark.slow

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImagesPlace]:
    with images_place(tmp_path_factory.mktemp("copying")) as found:
        yield found


@pytest.fixture
def owned(place: ImagesPlace) -> str:
    return place.installation.project()


@pytest.fixture
def nobody(tmp_path: Path) -> Terminal:
    """A terminal where nobody is logged in anywhere, for servers without accounts."""
    return Terminal(tmp_path / "home")


@pytest.fixture
def way(server: Server) -> Iterator[FaultProxy]:
    """Another way to the server without accounts, which can break."""
    proxy = FaultProxy(server.port).start()
    yield proxy
    proxy.stop()


def an_index(client: httpx.Client, repository: str, tag: str = "v1") -> Document:
    found = index([push_image(client, repository, f"{tag}-{name}") for name in ("amd64", "arm64")])
    assert 201 == push(client, repository, found, tag).status_code
    return found


def a_large_image(client: httpx.Client, repository: str, size_bytes: int = 24 * MIB) -> Document:
    layer = os.urandom(size_bytes)
    push_blob(client, repository, b"{}")
    push_blob(client, repository, layer)
    found = image(b"{}", [layer])
    assert 201 == push(client, repository, found).status_code
    return found


def uploads(server: Server) -> list[Path]:
    """What is staged in the server's folder of uploads under way."""
    return [each for each in server.data.rglob("uploads/*") if each.is_file()]


def test_between_projects_of_a_server_no_bytes_are_moved(place: ImagesPlace, owned: str) -> None:
    """distribution-spec, Mounting a blob from another repository."""
    other = place.installation.project()
    with place.client("gcr.io") as client:
        an_index(client, f"{owned}/web")

        done = place.owner.json("images", "copy", f"gcr.io/{owned}/web:v1", f"gcr.io/{other}/web")

        assert [] == place.moved(owned, other)
        assert {"mounted": 4, "sent": 0, "unchanged": 0} == done["blobs"]
        assert 0 == done["bytesSent"]
        complete_index(client, f"{other}/web", "v1")


def test_between_locations_bytes_are_moved_once(place: ImagesPlace, owned: str) -> None:
    with place.client("gcr.io") as client:
        document = push_image(client, f"{owned}/web")

    first = place.owner.json("images", "copy", f"gcr.io/{owned}/web:v1", f"eu.gcr.io/{owned}/web:production")
    second = place.owner.json("images", "copy", f"gcr.io/{owned}/web:v1", f"eu.gcr.io/{owned}/web:production")
    third = place.owner.json("images", "copy", f"gcr.io/{owned}/web:v1", f"eu.gcr.io/{owned}/other")

    assert (2, "copied") == (first["blobs"]["sent"], first["images"][0]["state"])
    assert (0, "unchanged") == (second["blobs"]["sent"], second["images"][0]["state"])
    assert 2 == third["blobs"]["sent"]
    with place.client("eu.gcr.io") as client:
        assert document.payload == complete_image(client, f"{owned}/web", "production").payload


def test_a_project_is_copied_with_all_tags_and_what_has_none(place: ImagesPlace, owned: str) -> None:
    other = place.installation.project()
    with place.client("gcr.io") as client:
        an_index(client, f"{owned}/web")
        push_image(client, f"{owned}/team/api")
        untagged = push_image(client, f"{owned}/web", "gone")
        client.delete(f"/v2/{owned}/web/manifests/gone")

    done = place.owner.json("images", "copy", "-r", f"gcr.io/{owned}", f"eu.gcr.io/{other}")

    assert {f"{tag}" for tag in ("v1", "v1-amd64", "v1-arm64")} < {each["target"].rpartition(":")[2] for each in done["images"]}
    assert [] == done["failed"]
    with place.client("eu.gcr.io") as client:
        complete_index(client, f"{other}/web", "v1")
        complete_image(client, f"{other}/web", untagged.digest)
        complete_image(client, f"{other}/team/api", "v1")
    again = place.owner.said("images", "copy", "-r", f"gcr.io/{owned}", f"eu.gcr.io/{other}")
    assert "0 copied, nothing sent." in again


def test_all_tags_of_one_image(place: ImagesPlace, owned: str) -> None:
    with place.client("gcr.io") as client:
        for tag in ("v1", "v2"):
            push_image(client, f"{owned}/web", tag)
        push_image(client, f"{owned}/web/inside")

        place.owner.said("images", "copy", "--all-tags", f"gcr.io/{owned}/web", f"gcr.io/{owned}/copy")

        assert ["v1", "v2"] == client.get(f"/v2/{owned}/copy/tags/list").json()["tags"]
        assert is_absent(client, f"{owned}/copy/inside", "v1")


def test_what_says_that_it_is_about_the_image_comes_along(place: ImagesPlace, owned: str) -> None:
    """Referrers of referrers too, and the tags of cosign; and only where it was asked for."""
    with place.client("gcr.io") as client:
        web = push_image(client, f"{owned}/web")
        about = referrer(client, f"{owned}/web", web, "signature")
        about_that = referrer(client, f"{owned}/web", about, "of the signature")
        legacy = push_image(client, f"{owned}/web", f"{web.digest.replace(':', '-')}.sig")

        place.owner.said("images", "copy", f"gcr.io/{owned}/web:v1", f"gcr.io/{owned}/without")
        place.owner.said("images", "copy", f"gcr.io/{owned}/web:v1", f"gcr.io/{owned}/with", "--with-referrers")

        assert is_absent(client, f"{owned}/without", about.digest)
        for each in (about, about_that, legacy):
            complete_image(client, f"{owned}/with", each.digest)
        listed = client.get(f"/v2/{owned}/with/referrers/{web.digest}").json()["manifests"]
        assert [about.digest] == [each["digest"] for each in listed]


def referrer(client: httpx.Client, repository: str, subject: Document, content: str) -> Document:
    push_blob(client, repository, b"{}")
    push_blob(client, repository, content.encode())
    found = image(b"{}", [content.encode()], subject=subject.descriptor, artifactType="application/example")
    assert 201 == push(client, repository, found, found.digest).status_code
    return found


def test_the_same_host_at_two_servers(place: ImagesPlace, owned: str, server: Server, client: httpx.Client) -> None:
    """--src-server says where the source's gcr.io is; the target's is where somebody is logged in."""
    push_image(client, f"{owned}/web")

    place.owner.said("images", "copy", "--src-server", server.url, f"gcr.io/{owned}/web:v1", f"gcr.io/{owned}/web")

    with place.client("gcr.io") as target:
        complete_image(target, f"{owned}/web", "v1")


def test_a_source_that_breaks_off_is_asked_for_the_rest(
    place: ImagesPlace, owned: str, client: httpx.Client, way: FaultProxy, repository: str
) -> None:
    large = a_large_image(client, repository)
    way.become(delay_seconds=0.01)
    with place.owner.begin("images", "copy", f"127.0.0.1:{way.port}/{repository}:v1", f"gcr.io/{owned}/web") as copying:
        for _ in range(3):
            time.sleep(1.0)
            way.cut()
        way.become()
        said, problem = copying.communicate(timeout=60)

    assert 0 == copying.returncode, said + problem
    with place.client("gcr.io") as target:
        assert large.payload == complete_image(target, f"{owned}/web", "v1").payload


def test_a_target_that_breaks_off_gets_the_rest(
    nobody: Terminal, server: Server, client: httpx.Client, repository: str, tmp_path: Path
) -> None:
    """Also where it is not there at all for a time (distribution-spec, Pushing a blob in chunks: GET tells how much there is)."""
    large = a_large_image(client, repository)
    with serving(tmp_path / "data", env={"ROADSTEAD_ACCESS_LOG": "true"}) as target:
        way = FaultProxy(target.port).start()
        way.become(delay_seconds=0.01)
        name = f"127.0.0.1:{way.port}/{repository}"
        with nobody.begin("images", "copy", f"{server.authority}/{repository}:v1", name) as copying:
            deadline = time.monotonic() + 30
            while not [each for each in uploads(target) if each.stat().st_size > 2 * MIB]:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            way.cut()
            for fault in (Fault.REFUSED, Fault.UNAVAILABLE):
                way.become(fault)
                time.sleep(0.5)
            way.become()
            said, problem = copying.communicate(timeout=60)
        way.stop()
        with httpx.Client(base_url=target.url) as there:
            assert 0 == copying.returncode, said + problem
            assert large.payload == complete_image(there, repository, "v1").payload
        lines = [json.loads(line) for line in target.log.read_text().splitlines() if '"event":"request"' in line]
        asked = [each["path"] for each in lines if each["method"] == "GET" and "/uploads/" in each["path"] and each["status"] == 204]
        assert asked, "nobody asked how much there was"
        assert [201] == [each["status"] for each in lines if each["method"] == "PUT" and each["path"] == asked[-1]], "it was begun anew"


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT], ids=lambda sent: sent.name)
def test_what_was_interrupted_is_not_seen_and_goes_on(
    nobody: Terminal, server: Server, client: httpx.Client, way: FaultProxy, repository: str, sent: signal.Signals
) -> None:
    first, second = os.urandom(1 * MIB), os.urandom(24 * MIB)
    for blob in (b"{}", first, second):
        push_blob(client, repository, blob)
    assert 201 == push(client, repository, image(b"{}", [first, second])).status_code
    there = len(uploads(server))
    source, target = f"{server.authority}/{repository}:v1", f"127.0.0.1:{way.port}/{repository}-copy"
    way.become(delay_seconds=0.02)
    with nobody.begin("images", "copy", source, target) as copying:
        deadline = time.monotonic() + 30
        digest = image(b"{}", [first, second]).digest
        while 200 != client.head(f"/v2/{repository}-copy/blobs/{Digests.of(first)}").status_code:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        copying.send_signal(sent)
        said, problem = copying.communicate(timeout=60)
    way.become()

    assert copying.returncode == (-sent if sent is signal.SIGKILL else 130), said + problem
    assert "Traceback" not in problem
    assert is_absent(client, f"{repository}-copy", "v1")
    assert is_absent(client, f"{repository}-copy", digest)
    if sent is not signal.SIGKILL:
        assert there == len(uploads(server)), "an upload was left behind"
    done = nobody.json("images", "copy", source, target)
    assert {"mounted": 0, "unchanged": 2, "sent": 1} == done["blobs"], "what was there was sent again"
    assert digest == complete_image(client, f"{repository}-copy", "v1").digest


class Digests:
    """Of content."""

    @staticmethod
    def of(content: bytes) -> str:
        return next(iter(blobs_of(content)))


CONFIG, LAYER = b'{"os": "linux"}', b"a layer" * 1000
IMAGE = image(CONFIG, [LAYER])


@pytest.fixture
def odd() -> Iterator[list[OddRegistry]]:
    made: list[OddRegistry] = []
    yield made
    for each in made:
        each.close()


def registry(odd: list[OddRegistry], behaviour: Behaviour, manifest: Document = IMAGE, tls: Path | None = None) -> OddRegistry:
    odd.append(OddRegistry(manifest, blobs_of(CONFIG, LAYER), behaviour, tls))
    return odd[-1]


def copy_from(terminal: Terminal, source: OddRegistry, server: Server, repository: str, *options: str) -> tuple[int, str]:
    done = terminal.run("images", "copy", f"{source.authority}/project/web:v1", f"{server.authority}/{repository}", *options)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_bytes_that_the_digest_does_not_stand_for_are_not_copied(
    nobody: Terminal, server: Server, client: httpx.Client, repository: str, odd: list[OddRegistry]
) -> None:
    there = len(uploads(server))
    lying = registry(odd, lambda request: "/blobs/" in request.path and answer(request, 200, b"x" * len(LAYER)))

    code, said = copy_from(nobody, lying, server, repository)

    assert 1 == code
    assert "other bytes" in said or "more for" in said
    assert is_absent(client, repository, "v1")
    assert there == len(uploads(server))


def test_another_manifest_than_was_asked_for_is_not_copied(
    nobody: Terminal, server: Server, client: httpx.Client, repository: str, odd: list[OddRegistry]
) -> None:
    lying = registry(
        odd,
        lambda request: (
            "/manifests/" in request.path
            and answer(request, 200, IMAGE.payload + b" ", {"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": IMAGE.digest})
        ),
    )

    code, said = copy_from(nobody, lying, server, repository)

    assert (1, True) == (code, "serves other bytes" in said), said
    assert is_absent(client, repository, "v1")


def test_a_listing_cannot_lead_elsewhere(nobody: Terminal, server: Server, repository: str, odd: list[OddRegistry]) -> None:
    """Tags of a stranger's registry become paths of requests that carry our login."""
    body = json.dumps({"name": "project/web", "tags": ["../../../v1/projects"]}).encode()
    lying = registry(odd, lambda request: request.path.endswith("/tags/list") and answer(request, 200, body))

    done = nobody.refused("images", "copy", "--all-tags", f"{lying.authority}/project/web", f"{server.authority}/{repository}")

    assert "something that is no tag" in done


def test_who_is_asked_to_wait_waits(
    nobody: Terminal, server: Server, client: httpx.Client, repository: str, odd: list[OddRegistry]
) -> None:
    """RFC 9110, 10.2.3: Retry-After."""
    times: list[float] = []

    def busy(request: Handler) -> bool:
        if "/blobs/" not in request.path:
            return False
        times.append(time.monotonic())
        return len(times) == 1 and answer(request, 429, b"", {"Retry-After": "2"})

    code, said = copy_from(nobody, registry(odd, busy), server, repository, "--jobs", "1")

    assert 0 == code, said
    assert 2.0 <= times[1] - times[0] < 6.0
    assert IMAGE.payload == complete_image(client, repository, "v1").payload


def test_a_source_without_ranges_is_read_again(
    nobody: Terminal, server: Server, client: httpx.Client, repository: str, odd: list[OddRegistry]
) -> None:
    broken: list[str] = []

    def breaks_off(request: Handler) -> bool:
        if not request.path.endswith(Digests.of(LAYER)) or broken:
            return False
        broken.append(request.path)
        request.send_response(200)
        request.send_header("Content-Length", str(len(LAYER)))
        request.end_headers()
        request.wfile.write(LAYER[:3000])
        request.close_connection = True
        return True

    source = registry(odd, breaks_off)
    code, said = copy_from(nobody, source, server, repository)

    assert 0 == code, said
    asked = [headers.get("range") for _, path, headers in source.asked if path in broken]
    assert [None, "bytes=3000-"] == asked
    assert IMAGE.payload == complete_image(client, repository, "v1").payload


class Guarded:
    """Distribution, Token Authentication: a token for whoever has the password. elsewhere: where that is said to be."""

    def __init__(self, elsewhere: str = "") -> None:
        self.tokens = 0
        self.elsewhere = elsewhere

    def __call__(self, request: Handler) -> bool:
        if request.path.startswith("/token?"):
            if request.headers.get("Authorization") != "Basic " + base64.b64encode(b"alice:secret").decode():
                return answer(request, 401)
            self.tokens += 1
            return answer(request, 200, json.dumps({"access_token": f"t{self.tokens}"}).encode())
        if request.headers.get("Authorization", "").startswith("Bearer t"):
            return False
        service = self.elsewhere or f"http://{request.headers['Host']}"
        challenge = f'Bearer realm="{service}/token",service="it",scope="repository:project/web:pull"'
        return answer(request, 401, b"{}", {"WWW-Authenticate": challenge})


def test_a_redirect_to_no_address_is_told(nobody: Terminal, server: Server, repository: str, odd: list[OddRegistry]) -> None:
    lost = registry(odd, lambda request: "/blobs/" in request.path and answer(request, 307, b"", {"Location": "https://[x/"}))

    code, said = copy_from(nobody, lost, server, repository)

    assert 1 == code
    assert "leads to 'https://[x/', which is no address" in said


@pytest.mark.parametrize("how", ["auths", "credHelpers", "credsStore"])
def test_docker_s_login_is_used_for_other_registries(
    nobody: Terminal, server: Server, client: httpx.Client, repository: str, odd: list[OddRegistry], tmp_path: Path, how: str
) -> None:
    guarded = registry(odd, Guarded())
    helper = tmp_path / "bin" / "docker-credential-test"
    helper.parent.mkdir()
    helper.write_text(
        '#!/bin/sh\nread host\necho "{\\"Username\\": \\"alice\\", \\"Secret\\": \\"secret\\", \\"ServerURL\\": \\"$host\\"}"\n'
    )
    helper.chmod(0o755)
    nobody.environment["PATH"] = f"{helper.parent}:{os.environ['PATH']}"
    settings = {
        "auths": {"auths": {guarded.authority: {"auth": base64.b64encode(b"alice:secret").decode()}}},
        "credHelpers": {"credHelpers": {guarded.authority: "test"}},
        "credsStore": {"credsStore": "test"},
    }[how]
    (nobody.home / "docker").mkdir(parents=True)
    (nobody.home / "docker" / "config.json").write_text(json.dumps(settings))

    code, said = copy_from(nobody, guarded, server, repository)

    assert 0 == code, said
    assert IMAGE.payload == complete_image(client, repository, "v1").payload
    assert "secret" not in said
    assert not [headers for _, path, headers in guarded.asked if "/v2/" in path and headers.get("authorization", "").startswith("Basic")]


def test_docker_s_login_is_sent_nowhere_in_the_clear(nobody: Terminal, server: Server, repository: str, odd: list[OddRegistry]) -> None:
    guarded = registry(odd, Guarded("http://tokens.example.com"))
    (nobody.home / "docker").mkdir(parents=True)
    login = {"auth": base64.b64encode(b"alice:secret").decode()}
    (nobody.home / "docker" / "config.json").write_text(json.dumps({"auths": {guarded.authority: login}}))

    code, said = copy_from(nobody, guarded, server, repository)

    assert 1 == code
    assert "http://tokens.example.com/token', which is not encrypted" in said


def test_without_a_login_the_registry_s_refusal_is_told(nobody: Terminal, server: Server, repository: str, odd: list[OddRegistry]) -> None:
    guarded = registry(odd, Guarded())

    code, said = copy_from(nobody, guarded, server, repository)

    assert (1, True) == (code, f"docker login {guarded.authority}" in said), said


def test_a_redirect_does_not_take_the_login_along(
    nobody: Terminal, server: Server, client: httpx.Client, repository: str, odd: list[OddRegistry]
) -> None:
    """Blobs are often in a bucket elsewhere, whose owner must not learn who asks."""
    bucket = registry(odd, lambda request: False)
    elsewhere = {"Location": f"http://{bucket.authority}/v2/project/web/blobs/"}
    leading = registry(
        odd,
        lambda request: (
            "/blobs/" in request.path and answer(request, 307, b"", {"Location": elsewhere["Location"] + request.path.rsplit("/", 1)[1]})
        ),
    )
    (nobody.home / "docker").mkdir(parents=True)
    auth = {"auths": {leading.authority: {"auth": base64.b64encode(b"alice:secret").decode()}}}
    (nobody.home / "docker" / "config.json").write_text(json.dumps(auth))

    code, said = copy_from(nobody, leading, server, repository)

    assert 0 == code, said
    assert bucket.asked
    assert not [headers for _, _, headers in bucket.asked if "authorization" in headers]
    complete_image(client, repository, "v1")


def test_nobody_behind_a_certificate_leads_to_where_there_is_none(
    nobody: Terminal, server: Server, client: httpx.Client, repository: str, odd: list[OddRegistry], tmp_path: Path
) -> None:
    """Blobs that are elsewhere, uploads that go on there: anybody could read and change them on the way."""
    certificates.self_signed(tmp_path / "tls", ["127.0.0.1"])
    nobody.environment["SSL_CERT_FILE"] = str(tmp_path / "tls/ca.pem")
    bucket = registry(odd, lambda request: True)

    def leads(request: Handler) -> bool:
        where = {"Location": f"http://{bucket.authority}{request.path}"}
        return (
            "/blobs/" in request.path
            and request.command != "HEAD"
            and answer(request, 307 if request.command == "GET" else 202, b"", where)
        )

    leading = registry(odd, leads, tls=tmp_path / "tls")
    secure = f"https://{leading.authority}"
    push_image(client, repository)

    from_there = copy_from(nobody, leading, server, repository, "--src-server", secure)
    to_there = nobody.run("images", "copy", f"{server.authority}/{repository}:v1", f"{leading.authority}/project/new", "--server", secure)

    for code, said in (from_there, (to_there.returncode, to_there.stdout + to_there.stderr)):
        assert 1 == code
        assert f"leads to http://{bucket.authority}" in " ".join(said.split()) and "not encrypted" in said, said
    assert [] == bucket.asked


def test_one_image_that_fails_does_not_stop_the_others(
    nobody: Terminal, server: Server, client: httpx.Client, project: str, odd: list[OddRegistry]
) -> None:
    body = json.dumps({"name": "project/web", "tags": ["missing", "v1"]}).encode()
    source = registry(odd, lambda request: request.path.endswith("/tags/list") and answer(request, 200, body))

    done = nobody.run("images", "copy", "-a", f"{source.authority}/project/web", f"{server.authority}/{project}/web", "--format=json")

    assert 1 == done.returncode, done.stderr
    summary = json.loads(done.stdout)
    assert [f"{source.authority}/project/web:missing"] == [each["source"] for each in summary["failed"]]
    assert ["copied"] == [each["state"] for each in summary["images"]]
    complete_image(client, f"{project}/web", "v1")


def test_an_index_with_a_child_that_is_missing_is_not_seen(
    nobody: Terminal, server: Server, client: httpx.Client, repository: str, odd: list[OddRegistry]
) -> None:
    gone = document(config={"mediaType": "a/b", "digest": f"sha256:{'0' * 64}", "size": 1}, layers=[])
    source = registry(odd, lambda request: False, index([gone]))

    code, said = copy_from(nobody, source, server, repository)

    assert (1, True) == (code, "it is not here" in said), said
    assert is_absent(client, repository, "v1")


def test_wrong_usage(place: ImagesPlace, owned: str, tmp_path: Path) -> None:
    copy = ("images", "copy")
    assert "not there" not in place.owner.refused(*copy, f"gcr.io/{owned}/none:v1", f"gcr.io/{owned}/web")
    assert "fully-qualified" in place.owner.refused(*copy, "-r", f"gcr.io/{owned}/web:v1", f"gcr.io/{owned}/web")
    assert "project root-level" in place.owner.refused(*copy, f"gcr.io/{owned}/web:v1", f"gcr.io/{owned}")
    assert "there are no images" in place.owner.refused(*copy, "-r", f"eu.gcr.io/{owned}", f"gcr.io/{owned}")
    place.owner.refused(*copy, "--jobs", "0", f"gcr.io/{owned}/web:v1", f"gcr.io/{owned}/copy", code=2)
    reader = logged_in(place.installation, tmp_path, place.installation.robot(owned, "roles/storage.objectViewer"))
    with place.client("gcr.io") as client:
        push_image(client, f"{owned}/web")
    assert "permission" in reader.refused(*copy, f"gcr.io/{owned}/web:v1", f"gcr.io/{owned}/copy")


@pytest.fixture
def another(tools: Path, tmp_path: Path) -> Iterator[str]:
    """A registry that somebody else wrote: without Google's listing, without a list of referrers, without accounts."""
    port = free_port()
    command = [find("crane", tools), "registry", "serve", "--address", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            deadline = time.monotonic() + 30
            while not _answers(port):
                assert time.monotonic() < deadline, "the registry did not start"
                time.sleep(0.05)
            yield f"127.0.0.1:{port}"
        finally:
            running.terminate()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/").status_code == 200
    except httpx.TransportError:
        return False


def test_another_registry_and_back(place: ImagesPlace, owned: str, another: str) -> None:
    """Also referrers, which it has by tags alone (distribution-spec, Referrers Tag Schema)."""
    with place.client("gcr.io") as client:
        multi = an_index(client, f"{owned}/web")
        web = push_image(client, f"{owned}/web", "v2")
        about = [referrer(client, f"{owned}/web", web, kind) for kind in ("signature", "attestation")]

    place.owner.said("images", "copy", "-r", f"gcr.io/{owned}", f"{another}/mirror", "--with-referrers")
    there = place.owner.json("images", "list-tags", f"{another}/mirror/web", "--filter=tags:v1")
    place.owner.said("images", "copy", "-r", f"{another}/mirror", f"eu.gcr.io/{owned}", "--with-referrers")

    assert multi.digest in [each["digest"] for each in there]
    with place.client("eu.gcr.io") as client:
        complete_index(client, f"{owned}/web", "v1")
        assert web.payload == complete_image(client, f"{owned}/web", "v2").payload
        listed = client.get(f"/v2/{owned}/web/referrers/{web.digest}").json()["manifests"]
        assert {each.digest for each in about} == {each["digest"] for each in listed}
