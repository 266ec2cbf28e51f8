"""
`roadstead copy-to` takes a running installation to another, and nothing that was acknowledged stays behind.

The source refuses writes only for the last changes, and a copy that is killed at any moment is gone on with.
"""

from __future__ import annotations

import base64
import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.kit.installations import EMBEDDED, SCALED, Installation
from tests.kit.ledger import Ledger
from tests.kit.load import Client, Pushed, Refused, Wire, digest_of, image_manifest, verify
from tests.kit.push import push_image
from tests.kit.pushers import Load, pushers
from tests.kit.server import Server

pytestmark = pytest.mark.slow

SEED = 1
PROJECT = "my-project"
KILLS = 6
LARGE = Random("large").randbytes(100_000)
SMALL = Random("small").randbytes(1000)
PAIRS = [(EMBEDDED, SCALED), (SCALED, EMBEDDED)]


@contextmanager
def serving(installation: Installation) -> Iterator[Server]:
    server = installation.server().start()
    try:
        yield server
    finally:
        server.stop()


def push(url: str, repository: str, tag: str = "v1") -> Pushed:
    client = Client(Wire(url), Ledger(), Random(1))
    for blob in (SMALL, LARGE):
        client.blob(repository, blob)
    pushed = client.manifest(repository, image_manifest(SMALL, [LARGE]), tag)
    client.wire.close()
    return pushed


def unexpected(ledger: Ledger) -> list[str]:
    """All answers that should not have been, but those of a server that is being moved."""
    return [surprise.what for surprise in ledger.surprises if "503" not in surprise.what or "is being moved" not in surprise.what]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_running_server_is_copied_and_nothing_acknowledged_stays_behind(tmp_path: Path, project: str, one: str, other: str) -> None:
    """
    Clients push before, meanwhile and after. Whatever was acknowledged is on the new server byte for byte; what was refused was
    refused with 503; reads went on. The new server takes pushes.
    """
    ledger = Ledger()
    load = Load(ledger, pushers(ledger, project, 3, SEED))
    source, target = Installation(tmp_path / "source", one), Installation(tmp_path / "target", other)

    with serving(source) as server:
        load.start(server.url)
        time.sleep(3)
        moved = source.json("copy-to", str(target.file))
        time.sleep(0.5)
        load.stop()
        still_read = verify(server.url, ledger)
    with serving(target) as server:
        verdict = verify(server.url, ledger)
        push(server.url, f"{project}/after")
        clean = target.run("check")

    refused = len(ledger.surprises)
    print(
        f"\n{moved['rows']}, {moved['copiedBytes']} bytes, read-only for {moved['readOnlySeconds']:.2f} s, {refused} writes refused; "
        f"read from the new server {verdict.manifests} manifests, {verdict.tags} tags, {verdict.blobs} blobs"
    )
    assert [] == verdict.lost + verdict.wrong
    assert [] == still_read.lost + still_read.wrong
    assert [] == unexpected(ledger)
    assert refused > 0
    assert moved["rows"]["manifests"] >= verdict.manifests > 0
    assert 0 == clean.returncode, clean.stdout


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_copy_that_is_killed_is_gone_on_with(tmp_path: Path, project: str, one: str, other: str) -> None:
    """Killed again and again while clients push. Nothing is lost or left over, and what was there is not copied once more."""
    ledger, choice = Ledger(), random.Random(SEED)
    load = Load(ledger, pushers(ledger, project, 2, SEED))
    source, target = Installation(tmp_path / "source", one), Installation(tmp_path / "target", other)
    in_the_last_moments = 0

    with serving(source) as server:
        load.start(server.url)
        time.sleep(3)
        for _ in range(KILLS):
            copying = source.start("copy-to", str(target.file))
            time.sleep(choice.uniform(1.0, 2.5))
            copying.kill()
            copying.wait()
            in_the_last_moments += "takes writes again" in source.run("thaw").stdout
        moved = source.json("copy-to", str(target.file))
        load.stop()
    with serving(target) as server:
        verdict = verify(server.url, ledger)
        clean = target.run("check")

    stored = moved["rows"]["blobs"]
    print(f"\n{KILLS} kills, {in_the_last_moments} of them in the last moments; {moved['copiedBlobs']} of {stored} blobs by the last run")
    assert [] == verdict.lost + verdict.wrong
    assert [] == unexpected(ledger)
    assert 0 == clean.returncode, clean.stdout


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_copy_that_is_killed_in_the_last_moments_is_gone_on_with(tmp_path: Path, project: str, one: str, other: str) -> None:
    """Then the source goes on refusing writes, until the next run is done or `roadstead thaw`."""
    ledger = Ledger()
    load = Load(ledger, pushers(ledger, project, 2, SEED))
    source, target = Installation(tmp_path / "source", one), Installation(tmp_path / "target", other)

    with serving(source) as server:
        load.start(server.url)
        time.sleep(2)
        copying = source.start("copy-to", str(target.file))
        while copying.poll() is None and not ledger.surprises:
            time.sleep(0.002)
        copying.kill()
        killed = copying.wait() != 0
        time.sleep(0.5)
        load.stop()
        again = source.run("copy-to", str(target.file))
    with serving(target) as server:
        verdict = verify(server.url, ledger)
        clean = target.run("check")

    assert [] == unexpected(ledger)
    assert [] == verdict.lost + verdict.wrong
    assert 0 == clean.returncode, clean.stdout
    assert not killed or 0 == again.returncode, again.stderr


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Installation, Installation]:
    return Installation(tmp_path / "source", EMBEDDED), Installation(tmp_path / "target", EMBEDDED)


def test_a_moved_server_refuses_writes_and_goes_on_reading(pair: tuple[Installation, Installation], repository: str) -> None:
    """503 with Retry-After and a sentence, before any bytes are taken; pulls are answered."""
    source, target = pair
    with serving(source) as server:
        pushed = push(server.url, repository)
        source.json("copy-to", str(target.file))
        wire = Wire(server.url)
        blob, manifest = f"/v2/{repository}/blobs/{digest_of(LARGE)}", f"/v2/{repository}/manifests/{pushed.digest}"
        writes = [
            wire.request("POST", f"/v2/{repository}/blobs/uploads/"),
            wire.request("POST", f"/v2/{repository}/blobs/uploads/?digest={digest_of(b'new')}", b"new"),
            wire.request("PUT", manifest, image_manifest(SMALL, [LARGE]), Content_Type="application/vnd.oci.image.manifest.v1+json"),
            wire.request("DELETE", manifest),
            wire.request("DELETE", f"/v2/{repository}/manifests/v1"),
        ]
        reads = [wire.request("GET", blob), wire.request("GET", manifest), wire.request("GET", f"/v2/{repository}/tags/list")]

    assert [503] * 5 == [answer.status for answer in writes]
    assert {"UNAVAILABLE"} == {json.loads(answer.body)["errors"][0]["code"] for answer in writes}
    assert all("being moved" in json.loads(answer.body)["errors"][0]["message"] for answer in writes)
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in writes)
    assert [200, 200, 200] == [answer.status for answer in reads]


def test_an_upload_under_way_is_begun_anew_on_the_new_server(pair: tuple[Installation, Installation], repository: str) -> None:
    source, target = pair
    with serving(source) as server:
        wire = Wire(server.url)
        place = wire.expect(202, "POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
        wire.expect(202, "PATCH", place, LARGE)
        source.json("copy-to", str(target.file))
    with serving(target) as server:
        wire = Wire(server.url)
        answer = wire.request("PUT", f"{place}?digest={digest_of(LARGE)}", b"")
        push(server.url, repository)

    assert 404 == answer.status
    assert "BLOB_UPLOAD_UNKNOWN" == json.loads(answer.body)["errors"][0]["code"]


def test_a_thawed_server_takes_writes_again(pair: tuple[Installation, Installation], repository: str) -> None:
    source, target = pair
    with serving(source) as server:
        push(server.url, repository)
        source.json("copy-to", str(target.file))
        with pytest.raises(Refused):
            push(server.url, repository, "v2")
        thawed = source.run("thaw").stdout
        push(server.url, repository, "v2")
        again = source.run("thaw").stdout

    assert "takes writes again" in thawed
    assert "took writes already" in again


def test_a_finished_copy_is_not_written_to_once_more(pair: tuple[Installation, Installation], repository: str) -> None:
    source, target = pair
    with serving(source) as server:
        push(server.url, repository)
        source.json("copy-to", str(target.file))

    again = source.run("copy-to", str(target.file))

    assert 2 == again.returncode
    assert "finished copy" in again.stderr


def test_another_server_s_images_are_not_mixed_with(pair: tuple[Installation, Installation], repository: str) -> None:
    source, target = pair
    for installation in pair:
        with serving(installation) as server:
            push(server.url, repository)

    refused = source.run("copy-to", str(target.file))

    assert 2 == refused.returncode
    assert "has images already" in refused.stderr
    assert "took writes already" in source.run("thaw").stdout


def test_a_server_is_not_copied_onto_itself(pair: tuple[Installation, Installation], repository: str) -> None:
    source, _ = pair
    with serving(source) as server:
        push(server.url, repository)
        refused = source.run("copy-to", str(source.file))

    assert 2 == refused.returncode
    assert "same place" in refused.stderr


def test_an_unfinished_copy_takes_no_writes(pair: tuple[Installation, Installation], repository: str) -> None:
    """Whoever starts the new server too early gets 503, not a registry that is overwritten later."""
    source, target = pair
    with serving(source) as server:
        push(server.url, repository)
        (file,) = source.data.glob("blobs/gcr/sha256/*/*")
        file.unlink()
        os.mkfifo(file)  # whoever opens it waits, so that the copy stands still
        copying = source.start("copy-to", str(target.file))
        while "unfinished copy" not in target.run("thaw").stderr:
            assert copying.poll() is None
        copying.kill()
        copying.wait()
    with serving(target) as server, pytest.raises(Refused) as refused:
        push(server.url, repository)

    assert 503 == refused.value.status


def test_what_is_damaged_on_the_server_is_named_and_healed_by_a_push(pair: tuple[Installation, Installation], repository: str) -> None:
    """Exit code 1; the rest is copied, and the damaged blob is answered as unknown, so that clients upload it again."""
    source, target = pair
    with serving(source) as server:
        push(server.url, repository)
        (file,) = source.data.glob("blobs/gcr/sha256/*/*")
        file.write_bytes(LARGE[:-1] + b"!")
        done = source.run("copy-to", str(target.file), "--format", "json")
    with serving(target) as server:
        wire = Wire(server.url)
        before = wire.request("HEAD", f"/v2/{repository}/blobs/{digest_of(LARGE)}").status
        push(server.url, repository)
        after = wire.request("GET", f"/v2/{repository}/blobs/{digest_of(LARGE)}").body
        clean = target.run("check")

    assert 1 == done.returncode
    assert [{"what": "blob", "name": digest_of(LARGE)}] == json.loads(done.stdout)["damaged"]
    assert 404 == before
    assert LARGE == after
    assert 0 == clean.returncode, clean.stdout


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_accounts_rights_and_tokens_move_too(tmp_path: Path, one: str, other: str) -> None:
    """Whoever was logged in stays so, keys go on working, and what was refused is refused."""
    source = Installation(tmp_path / "source", one, accounts=True)
    target = Installation(tmp_path / "target", other, accounts=True)
    with serving(source) as server:
        owner = token(source)
        email = f"robot1@{PROJECT}.iam.gserviceaccount.com"
        with client(server, owner) as http:
            assert (
                200 == http.post(f"/v1/projects/{PROJECT}/serviceAccounts", json={"accountId": "robot1", "serviceAccount": {}}).status_code
            )
            key = base64.b64decode(http.post(f"/v1/projects/-/serviceAccounts/{email}/keys", json={}).json()["privateKeyData"]).decode()
            policy = http.post(f"/v1/projects/{PROJECT}:getIamPolicy", json={}).json()
            policy["bindings"].append({"role": "roles/storage.objectViewer", "members": [f"serviceAccount:{email}"]})
            assert 200 == http.post(f"/v1/projects/{PROJECT}:setIamPolicy", json={"policy": policy}).status_code
            pushed = push_image(http, f"{PROJECT}/image")
        source.json("copy-to", str(target.file))

    with serving(target) as server, client(server, owner) as http:
        robot = httpx.BasicAuth("_json_key", key)
        path = f"{server.url}/v2/{PROJECT}/image/manifests/v1"

        assert pushed.payload == http.get(path).content
        assert pushed.payload == httpx.get(path, auth=robot).content
        assert 403 == httpx.delete(path, auth=robot).status_code
        assert 401 == httpx.get(path).status_code


def token(installation: Installation) -> str:
    done = installation.run("admin", "token")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def client(server: Server, bearer: str) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {bearer}"}, timeout=30)
