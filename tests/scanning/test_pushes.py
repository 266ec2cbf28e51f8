"""What is pushed to a project with the Container Scanning API is read once, and its packages are matched with the advisories."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from roadstead.scanner.compression import zstd
from tests.kit import scanned
from tests.kit.accounts import Installation
from tests.kit.engines import ENGINES, only_with
from tests.kit.layers import layer, stanza
from tests.kit.observed import wait_for
from tests.kit.push import Document, digest, document, index, push, push_blob
from tests.kit.scanned import SCANNING_API

TAR = "application/vnd.oci.image.layer.v1.tar"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

OLD_ALPINE = {"libssl3/openssl": "3.1.2-r0", "libcrypto3/openssl": "3.1.2-r0", "musl": "1.2.5-r0", "busybox": "1.36.1-r2"}
OF_OLD_ALPINE = {("CVE-2026-3001", "openssl", "3.1.2-r0", "3.1.4-r0", "MEDIUM")}


def rows(installation: Installation, statement: str) -> list[list[str]]:
    """Of the installation's own database, whichever it is."""
    if ENGINES.database == "postgres":
        address = ENGINES.environment(installation.server.data)["ROADSTEAD_DATABASE"]
        said = ENGINES.postgres().sql(address.rsplit("/", 1)[1], statement)
        return [line.split("|") for line in said.splitlines()]
    import sqlite3

    connection = sqlite3.connect(installation.server.data / "registry.sqlite")
    try:
        return [[str(value) for value in row] for row in connection.execute(statement)]
    finally:
        connection.close()


def scans_of(installation: Installation, repository: str, pushed: str) -> list[str]:
    """The kinds of the events of an image's scans."""
    where = f"i.name = '{repository}' AND i.digest = '{pushed}'"
    found = rows(installation, f"SELECT e.kind FROM scan_events e JOIN scanned_images i ON i.id = e.image_id WHERE {where} ORDER BY e.id")
    return [kind for (kind,) in found]


def layers_read(installation: Installation, digests: Sequence[str]) -> dict[str, str]:
    """When each was read, of those that were."""
    wanted = ", ".join(f"'{each}'" for each in digests)
    return {row[0]: row[1] for row in rows(installation, f"SELECT digest, created_at_us FROM layer_indexes WHERE digest IN ({wanted})")}


def layers_of(pushed: Document) -> list[str]:
    return [each["digest"] for each in json.loads(pushed.payload)["layers"]]


def test_an_image_is_pending_at_once_and_then_scanned(advised: Installation, owner: httpx.Client, watched: str) -> None:
    pushed = scanned.push(owner, f"{watched}/web", [scanned.alpine("3.18", OLD_ALPINE)], "v1")

    first = scanned.discovery(owner, scanned.url(f"{watched}/web", pushed.digest))
    said = scanned.scanned(owner, f"{watched}/web", pushed.digest)

    assert first is not None and first["analysisStatus"] in ("PENDING", "SCANNING", "FINISHED_SUCCESS")
    assert ("FINISHED_SUCCESS", "ACTIVE", "cpe:/o:alpine:alpine_linux:3.18") == (
        said["analysisStatus"], said["continuousAnalysis"], said["cpe"],
    )  # fmt: skip
    assert {"analysisType": ["VULNERABILITY"]} == said["analysisCompleted"]
    assert "lastScanTime" in said
    assert ["SCAN_FINISHED"] == scans_of(advised, f"{watched}/web", pushed.digest)


def test_alpine_s_findings(owner: httpx.Client, watched: str) -> None:
    """By the package that it was built from; what has the fix, and what never was affected, is not found; CVSS comes from another feed."""
    pushed = scanned.push(owner, f"{watched}/web", [scanned.alpine("3.18", OLD_ALPINE)])
    scanned.scanned(owner, f"{watched}/web", pushed.digest)

    assert OF_OLD_ALPINE == scanned.vulnerabilities(owner, f"{watched}/web", pushed.digest)


def test_debian_s_findings(owner: httpx.Client, watched: str) -> None:
    """Debian's own rating counts, and CVSS where there is none; a version of a binary may differ from its source's."""
    system = scanned.debian(
        stanza("libssl3", "3.0.11-1~deb12u1+b1", Source="openssl (3.0.11-1~deb12u1)"),
        stanza("zlib1g", "1:1.2.13.dfsg-1", Source="zlib"),
        stanza("zlib1g", "1:1.2.13.dfsg-1", "i386", Source="zlib"),
        stanza("linux-libc-dev", "6.1.55-1", Source="linux"),
        stanza("gone", "1", Status="deinstall ok config-files", Source="openssl"),
    )
    pushed = scanned.push(owner, f"{watched}/web", [system])
    scanned.scanned(owner, f"{watched}/web", pushed.digest)

    assert {
        ("CVE-2026-1001", "openssl", "3.0.11-1~deb12u1", "3.0.11-1~deb12u2", "HIGH"),
        ("CVE-2026-1003", "openssl", "3.0.11-1~deb12u1", "", "MINIMAL"),
        ("CVE-2026-1006", "zlib", "1:1.2.13.dfsg-1", "", "CRITICAL"),
        ("CVE-2026-1007", "linux", "6.1.55-1", "", "LOW"),
    } == scanned.vulnerabilities(owner, f"{watched}/web", pushed.digest)


def test_ubuntu_s_findings(owner: httpx.Client, watched: str) -> None:
    """Negligible is MINIMAL, whatever the score."""
    pushed = scanned.push(owner, f"{watched}/web", [scanned.ubuntu("22.04", {"openssl": "3.0.2-0ubuntu1.8"})])
    scanned.scanned(owner, f"{watched}/web", pushed.digest)

    assert {
        ("CVE-2026-2001", "openssl", "3.0.2-0ubuntu1.8", "3.0.2-0ubuntu1.9", "MINIMAL"),
        ("CVE-2026-2002", "openssl", "3.0.2-0ubuntu1.8", "", "MEDIUM"),
    } == scanned.vulnerabilities(owner, f"{watched}/web", pushed.digest)


def test_what_a_vulnerability_tells(owner: httpx.Client, watched: str) -> None:
    system = scanned.debian(stanza("zlib1g", "1:1.2.13.dfsg-1", Source="zlib"))
    pushed = scanned.push(owner, f"{watched}/web", [system])
    scanned.scanned(owner, f"{watched}/web", pushed.digest)

    (found,) = scanned.occurrences(owner, watched, 'kind="VULNERABILITY"')

    assert ("projects/goog-vulnz/notes/CVE-2026-1006", scanned.url(f"{watched}/web", pushed.digest)) == (
        found["noteName"], found["resourceUri"],
    )  # fmt: skip
    said = found["vulnerability"]
    assert {"kind": "NORMAL", "epoch": 1, "name": "1.2.13.dfsg", "revision": "1", "fullName": "1:1.2.13.dfsg-1"} == said["packageIssue"][0][
        "affectedVersion"
    ]
    assert {"kind": "MAXIMUM"} == said["packageIssue"][0]["fixedVersion"]
    assert (9.8, "CVSS_VERSION_3", "OS") == (said["cvssScore"], said["cvssVersion"], said["type"])
    assert "ATTACK_VECTOR_NETWORK" == said["cvssv3"]["attackVector"]
    assert "about CVE-2026-1006" in said["longDescription"] and "will not fix it" in said["longDescription"]
    assert "debian-tracker: CVE-2026-1006" == said["extraDetails"]


def test_a_project_that_did_not_ask_is_not_scanned(advised: Installation, owner: httpx.Client) -> None:
    project = advised.project()
    pushed = scanned.push(owner, f"{project}/web", [scanned.alpine("3.18", OLD_ALPINE)])
    advised.enable(project, "containeranalysis.googleapis.com")

    assert [] == scanned.occurrences(owner, project)
    assert [["0"]] == rows(advised, f"SELECT count(*) FROM scanned_images WHERE digest = '{pushed.digest}' AND project = '{project}'")


@pytest.mark.slow
def test_what_was_pushed_before_is_scanned_when_the_service_is_enabled(advised: Installation, owner: httpx.Client) -> None:
    project = advised.project()
    images = [scanned.push(owner, f"{project}/{name}", [scanned.alpine("3.18", OLD_ALPINE)], unique=name) for name in ("web", "team/web")]

    advised.enable(project, SCANNING_API)

    for name, pushed in zip(("web", "team/web"), images, strict=True):
        scanned.scanned(owner, f"{project}/{name}", pushed.digest)
        assert OF_OLD_ALPINE == scanned.vulnerabilities(owner, f"{project}/{name}", pushed.digest)


@pytest.mark.slow
def test_of_a_second_image_on_a_base_only_its_own_layer_is_read(advised: Installation, owner: httpx.Client, watched: str) -> None:
    base = scanned.alpine("3.18", OLD_ALPINE) | {"base": watched}
    first = scanned.push(owner, f"{watched}/web", [base])
    scanned.scanned(owner, f"{watched}/web", first.digest)
    before = layers_read(advised, layers_of(first))

    second = scanned.push(owner, f"{watched}/api", [base, {"own": watched}])
    scanned.scanned(owner, f"{watched}/api", second.digest)

    after = layers_read(advised, layers_of(second))
    assert layers_of(first) == list(before)
    assert set(layers_of(second)) == set(after)
    assert before.items() <= after.items(), "the base was read again"
    assert OF_OLD_ALPINE == scanned.vulnerabilities(owner, f"{watched}/api", second.digest)


def test_an_upper_layer_decides(owner: httpx.Client, watched: str) -> None:
    """An upgrade replaces the database of packages; a whiteout takes it away."""
    base = scanned.alpine("3.18", OLD_ALPINE)
    new_database = scanned.alpine("3.18", {**OLD_ALPINE, "libssl3/openssl": "3.1.4-r0", "libcrypto3/openssl": "3.1.4-r0"})
    upgraded = {"lib/apk/db/installed": new_database["lib/apk/db/installed"]}
    new = scanned.push(owner, f"{watched}/new", [base, upgraded])
    gone = scanned.push(owner, f"{watched}/gone", [base, {"lib/apk/db/.wh.installed": b""}])

    for name, pushed in (("new", new), ("gone", gone)):
        scanned.scanned(owner, f"{watched}/{name}", pushed.digest)
        assert set() == scanned.vulnerabilities(owner, f"{watched}/{name}", pushed.digest)


@pytest.mark.slow
def test_a_second_push_and_a_new_tag_scan_nothing(advised: Installation, owner: httpx.Client, watched: str) -> None:
    system = [scanned.alpine("3.18", OLD_ALPINE)]
    pushed = scanned.push(owner, f"{watched}/web", system, "v1")
    scanned.scanned(owner, f"{watched}/web", pushed.digest)

    assert pushed.digest == scanned.push(owner, f"{watched}/web", system, "v1").digest
    assert pushed.digest == scanned.push(owner, f"{watched}/web", system, "v2").digest
    after = scanned.push(owner, f"{watched}/after", [{"x": watched}])
    scanned.scanned(owner, f"{watched}/after", after.digest)

    assert ["SCAN_FINISHED"] == scans_of(advised, f"{watched}/web", pushed.digest)


def test_what_could_not_be_read_is_tried_again_when_it_is_pushed_again(advised: Installation, owner: httpx.Client, watched: str) -> None:
    """The sentence says to push it again. Its layer, which others may have too, is not read a second time so soon."""
    broken = (gzip.compress(layer(scanned.alpine("3.18", OLD_ALPINE)))[:-100], f"{TAR}+gzip")
    pushed = scanned.push_packed(owner, f"{watched}/web", [broken])
    scanned.scanned(owner, f"{watched}/web", pushed.digest)
    before = layers_read(advised, layers_of(pushed))

    push(owner, f"{watched}/web", pushed, "v2")
    wait_for(lambda: ["SCAN_FAILED"] * 2 == scans_of(advised, f"{watched}/web", pushed.digest))

    assert "FINISHED_FAILED" == scanned.scanned(owner, f"{watched}/web", pushed.digest)["analysisStatus"]
    assert before == layers_read(advised, layers_of(pushed)) and before


@pytest.mark.slow
def test_the_same_image_elsewhere_is_found_there_too(advised: Installation, owner: httpx.Client, watched: str) -> None:
    """Another repository, and another host: its layers are not read again."""
    system = [scanned.alpine("3.18", OLD_ALPINE) | {"once": watched}]
    pushed = scanned.push(owner, f"{watched}/web", system)
    scanned.scanned(owner, f"{watched}/web", pushed.digest)
    before = layers_read(advised, layers_of(pushed))
    scanned.push(owner, f"{watched}/copy", system)
    with advised.client(advised.owner_token, Host="eu.gcr.io") as european:
        scanned.push(european, f"{watched}/web", system)

    scanned.scanned(owner, f"{watched}/copy", pushed.digest)
    scanned.scanned(owner, f"{watched}/web", pushed.digest, "eu.gcr.io")

    assert OF_OLD_ALPINE == scanned.vulnerabilities(owner, f"{watched}/copy", pushed.digest)
    assert OF_OLD_ALPINE == scanned.vulnerabilities(owner, f"{watched}/web", pushed.digest, "eu.gcr.io")
    assert before == layers_read(advised, layers_of(pushed))


def test_every_platform_of_an_index_is_scanned(owner: httpx.Client, watched: str) -> None:
    """And the index shows what all of them have."""
    one = scanned.push(owner, f"{watched}/web", [scanned.alpine("3.18", {"openssl": "3.1.2-r0"})], unique="one")
    two = scanned.push(owner, f"{watched}/web", [scanned.alpine("3.18", {"musl": "1.2.4-r0"})], unique="two")
    both = index([one, two])
    assert 201 == push(owner, f"{watched}/web", both, "v1").status_code

    found = {}
    for pushed in (one, two, both):
        assert "FINISHED_SUCCESS" == scanned.scanned(owner, f"{watched}/web", pushed.digest)["analysisStatus"]
        found[pushed.digest] = {each[0] for each in scanned.vulnerabilities(owner, f"{watched}/web", pushed.digest)}
    assert {one.digest: {"CVE-2026-3001"}, two.digest: {"CVE-2026-3004"}, both.digest: {"CVE-2026-3001", "CVE-2026-3004"}} == found


def test_what_is_no_image_is_not_scanned(owner: httpx.Client, watched: str) -> None:
    """Artifacts, attestations beside an image, and charts have no discovery."""
    empty, content = b"{}", b"something signed"
    for each in (empty, content):
        push_blob(owner, f"{watched}/web", each)
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(empty), "size": len(empty)}
    described = {"mediaType": "application/vnd.in-toto+json", "digest": digest(content), "size": len(content)}
    artifact = document(artifactType="application/vnd.example", config=config, layers=[described])
    attestation = document(config={**config, "mediaType": "application/vnd.oci.image.config.v1+json"}, layers=[described])
    chart = document(config={**config, "mediaType": "application/vnd.cncf.helm.config.v1+json"}, layers=[described])
    for made in (artifact, attestation, chart):
        assert 201 == push(owner, f"{watched}/web", made, made.digest).status_code
    image = scanned.push(owner, f"{watched}/web", [scanned.alpine("3.18", OLD_ALPINE)])
    beside = index([image, attestation])
    assert 201 == push(owner, f"{watched}/web", beside, "v1").status_code

    for pushed in (image, beside):
        assert "FINISHED_SUCCESS" == scanned.scanned(owner, f"{watched}/web", pushed.digest)["analysisStatus"]
    wait_until_gone(owner, watched, f"{watched}/web", [artifact, attestation, chart])


def wait_until_gone(owner: httpx.Client, project: str, repository: str, pushed: Sequence[Document]) -> None:
    """Whether something is an image at all is looked at by the scan, which then forgets it."""
    deadline = time.monotonic() + scanned.WAIT_SECONDS
    unwanted = {scanned.url(repository, each.digest) for each in pushed}
    while left := unwanted & {each["resourceUri"] for each in scanned.occurrences(owner, project)}:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@pytest.mark.slow
def test_layers_may_be_packed_in_any_way(owner: httpx.Client, watched: str) -> None:
    system = scanned.alpine("3.18", OLD_ALPINE)
    plain = layer(system | {"how": watched})
    packed = {
        "plain": (plain, TAR),
        "zstd": (zstd.compress(plain), f"{TAR}+zstd"),
        "large": (gzip.compress(layer(system | {"big": os.urandom(300_000)})), f"{TAR}+gzip"),
    }
    for name, (content, media_type) in packed.items():
        pushed = scanned.push_packed(owner, f"{watched}/{name}", [(content, media_type)])

        scanned.scanned(owner, f"{watched}/{name}", pushed.digest)
        assert OF_OLD_ALPINE == scanned.vulnerabilities(owner, f"{watched}/{name}", pushed.digest)


def test_foreign_layers_are_not_looked_for(owner: httpx.Client, watched: str) -> None:
    """They are not here, and hold Windows."""
    content = gzip.compress(layer(scanned.alpine("3.18", OLD_ALPINE)), mtime=0)
    push_blob(owner, f"{watched}/web", content)
    push_blob(owner, f"{watched}/web", b"{}")
    absent = {"mediaType": FOREIGN, "digest": digest(b"not here"), "size": 8, "urls": ["https://example.com/layer"]}
    here = {"mediaType": scanned.LAYER_TYPE, "digest": digest(content), "size": len(content)}
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(b"{}"), "size": 2}
    made = document(config=config, layers=[absent, here])
    assert 201 == push(owner, f"{watched}/web", made).status_code

    scanned.scanned(owner, f"{watched}/web", made.digest)

    assert OF_OLD_ALPINE == scanned.vulnerabilities(owner, f"{watched}/web", made.digest)


def test_a_deleted_image_is_not_told_of(advised: Installation, owner: httpx.Client, watched: str) -> None:
    pushed = scanned.push(owner, f"{watched}/web", [scanned.alpine("3.18", OLD_ALPINE)], "v1")
    kept = scanned.push(owner, f"{watched}/web", [scanned.alpine("3.18", OLD_ALPINE)], "v2", unique="kept")
    for each in (pushed, kept):
        scanned.scanned(owner, f"{watched}/web", each.digest)
    (vulnerability,) = scanned.occurrences(
        owner, watched, f'kind="VULNERABILITY" AND resourceUrl="{scanned.url(f"{watched}/web", pushed.digest)}"'
    )

    with advised.client(advised.owner_token) as client:
        assert 202 == client.delete(f"/v2/{watched}/web/manifests/{pushed.digest}").status_code

    assert {scanned.url(f"{watched}/web", kept.digest)} == {each["resourceUri"] for each in scanned.occurrences(owner, watched)}
    assert 404 == owner.get(f"/v1/{vulnerability['name']}").status_code
    assert OF_OLD_ALPINE == scanned.vulnerabilities(owner, f"{watched}/web", kept.digest)


def test_of_a_project_that_is_removed_nothing_stays(advised: Installation, owner: httpx.Client, watched: str) -> None:
    """A bin for thirty days, and then a job: whatever is left of the images goes with the repositories."""
    pushed = scanned.push(owner, f"{watched}/web", [scanned.alpine("3.18", OLD_ALPINE)])
    scanned.scanned(owner, f"{watched}/web", pushed.digest)

    assert 200 == owner.delete(f"/v1/projects/{watched}").status_code

    assert 200 != owner.get(f"/v1/projects/{watched}/occurrences").status_code


def test_the_index_of_a_layer_is_of_its_packages_alone(advised: Installation, owner: httpx.Client, watched: str) -> None:
    """What is stored of a layer is small, however large it is."""
    big = {f"usr/share/doc/{number}": os.urandom(1000) for number in range(300)}
    pushed = scanned.push(owner, f"{watched}/web", [scanned.alpine("3.18", OLD_ALPINE) | big])
    scanned.scanned(owner, f"{watched}/web", pushed.digest)

    (row,) = rows(advised, f"SELECT length(content) FROM layer_indexes WHERE digest = '{layers_of(pushed)[0]}'")

    assert int(row[0]) < 5000


@pytest.mark.slow
@only_with("the layer of a bucket is copied into a file first", blobs="s3")
def test_a_layer_in_a_bucket_is_read(owner: httpx.Client, watched: str, tmp_path: Path) -> None:
    content = gzip.compress(layer(scanned.alpine("3.18", OLD_ALPINE) | {"big": os.urandom(400_000)}))
    pushed = scanned.push_packed(owner, f"{watched}/web", [(content, f"{TAR}+gzip")])
    scanned.scanned(owner, f"{watched}/web", pushed.digest)

    assert OF_OLD_ALPINE == scanned.vulnerabilities(owner, f"{watched}/web", pushed.digest)
