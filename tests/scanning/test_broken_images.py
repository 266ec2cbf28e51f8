"""An image that cannot be read, or of which nothing is known, says so: it is never clean, and holds nobody else up."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from tests.kit import scanned
from tests.kit.accounts import Installation
from tests.kit.layers import layer, stanza
from tests.kit.push import index, push
from tests.kit.scanned import LAYER_TYPE

GOOD = scanned.alpine("3.18", {"openssl": "3.1.2-r0"})
PACKED = gzip.compress(layer(GOOD | {"more": os.urandom(5000)}))

BROKEN = {
    "truncated": (PACKED[:-2000], "ends"),
    "no-archive": (gzip.compress(b"not an archive " * 100), "archive"),
    "no-gzip": (b"neither packed nor an archive" * 50, "archive"),
    "damaged": (PACKED[:500] + bytes(100) + PACKED[600:], ""),
    "bomb": (gzip.compress(layer({"zero": bytes(64 * 1024 * 1024)}), 9), "unpack"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_layer_that_cannot_be_read_fails_with_a_sentence(owner: httpx.Client, watched: str, how: str) -> None:
    content, word = BROKEN[how]
    pushed = scanned.push_packed(owner, f"{watched}/web", [(gzip.compress(layer(GOOD)), LAYER_TYPE), (content, LAYER_TYPE)])

    said = scanned.scanned(owner, f"{watched}/web", pushed.digest)

    assert ("FINISHED_FAILED", "INACTIVE") == (said["analysisStatus"], said["continuousAnalysis"])
    assert word in said["analysisStatusError"]["message"]
    assert set() == scanned.vulnerabilities(owner, f"{watched}/web", pushed.digest)


def test_other_images_are_scanned_beside_broken_ones(owner: httpx.Client, watched: str) -> None:
    broken = [scanned.push_packed(owner, f"{watched}/b{number}", [(PACKED[: -1000 - number], LAYER_TYPE)]) for number in range(5)]
    good = scanned.push(owner, f"{watched}/web", [GOOD])

    assert "FINISHED_SUCCESS" == scanned.scanned(owner, f"{watched}/web", good.digest)["analysisStatus"]
    for number, pushed in enumerate(broken):
        assert "FINISHED_FAILED" == scanned.scanned(owner, f"{watched}/b{number}", pushed.digest)["analysisStatus"]


def test_an_index_with_a_broken_platform_has_failed(owner: httpx.Client, watched: str) -> None:
    """Half of what it has would look like all."""
    good = scanned.push(owner, f"{watched}/web", [GOOD])
    broken = scanned.push_packed(owner, f"{watched}/web", [(PACKED[:-1500], LAYER_TYPE)])
    both = index([good, broken])
    push(owner, f"{watched}/web", both)

    assert "FINISHED_FAILED" == scanned.scanned(owner, f"{watched}/web", both.digest)["analysisStatus"]
    assert "FINISHED_SUCCESS" == scanned.scanned(owner, f"{watched}/web", good.digest)["analysisStatus"]


SID = {"etc/debian_version": "trixie/sid\n", "var/lib/dpkg/status": stanza("openssl")}
UNKNOWN: dict[str, tuple[Mapping[str, str | bytes], str, str]] = {
    "nothing": ({"bin/program": b"static"}, "nothing in the image tells its distribution", ""),
    "fedora": ({"etc/os-release": "ID=fedora\nVERSION_ID=40\n"}, "fedora 40", "cpe:/o:fedoraproject:fedora:40"),
    "release-without-a-feed": (scanned.alpine("3.22", {"openssl": "3.1.2-r0"}), "alpine 3.22", "cpe:/o:alpine:alpine_linux:3.22"),
    "sid": (SID, "debian sid", "cpe:/o:debian:debian_linux:sid"),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_no_advisories_tell_of_is_unsupported(owner: httpx.Client, watched: str, what: str) -> None:
    files, named, cpe = UNKNOWN[what]
    sentence = f"no advisories of {named} were loaded" if cpe else named
    pushed = scanned.push(owner, f"{watched}/web", [files])

    said = scanned.scanned(owner, f"{watched}/web", pushed.digest)

    assert ("FINISHED_UNSUPPORTED", "INACTIVE") == (said["analysisStatus"], said["continuousAnalysis"])
    assert (sentence, cpe) == (said["analysisStatusError"]["message"], said.get("cpe", ""))


@pytest.mark.slow
def test_it_is_supported_as_soon_as_a_feed_tells_of_it(advised: Installation, owner: httpx.Client, watched: str, tmp_path: Path) -> None:
    """Nothing is read again."""
    pushed = scanned.push(owner, f"{watched}/web", [scanned.alpine("3.16", {"openssl": "1.1.1q-r0"})])
    before = scanned.scanned(owner, f"{watched}/web", pushed.digest)

    scanned.import_feeds(advised, {"later": scanned.secdb(tmp_path, "3.16", {"openssl": {"1.1.1t-r0": ["CVE-2026-4001"]}})})

    after = scanned.scanned(owner, f"{watched}/web", pushed.digest)
    assert ["FINISHED_UNSUPPORTED", "FINISHED_SUCCESS"] == [before["analysisStatus"], after["analysisStatus"]]
    assert before["lastScanTime"] == after["lastScanTime"]
    assert {("CVE-2026-4001", "openssl", "1.1.1q-r0", "1.1.1t-r0", "SEVERITY_UNSPECIFIED")} == scanned.vulnerabilities(
        owner, f"{watched}/web", pushed.digest
    )


@pytest.mark.slow
def test_a_release_that_has_ended_says_so(advised: Installation, owner: httpx.Client, watched: str, tmp_path: Path) -> None:
    """What was told of it last still counts, and nothing newer will come."""
    pushed = scanned.push(owner, f"{watched}/web", [scanned.alpine("3.12", {"openssl": "1.1.1k-r0"})])
    scanned.scanned(owner, f"{watched}/web", pushed.digest)
    old = scanned.secdb(tmp_path, "3.12", {"openssl": {"1.1.1l-r0": ["CVE-2026-5001"]}})
    new = scanned.secdb(tmp_path, "3.13", {"openssl": {"1.1.1m-r0": ["CVE-2026-5002"]}})

    scanned.import_feeds(advised, {"ending": old})
    scanned.import_feeds(advised, {"ending": new})

    said = scanned.scanned(owner, f"{watched}/web", pushed.digest)
    assert ("FINISHED_SUCCESS", "INACTIVE") == (said["analysisStatus"], said["continuousAnalysis"])
    assert (
        "alpine 3.12 gets no more advisories (end of life): newer vulnerabilities are not known" == said["analysisStatusError"]["message"]
    )
    assert {"CVE-2026-5001"} == {each[0] for each in scanned.vulnerabilities(owner, f"{watched}/web", pushed.digest)}
    done = advised.server.run("advisories", "status", "--format", "json")
    (feed,) = [each for each in json.loads(done.stdout)["feeds"] if each["name"] == "ending"]
    assert [("3.12", True), ("3.13", False)] == [(each["release"], each["ended"]) for each in feed["releases"]]
