"""exportSBOM: the bill of materials of a scanned image is what standards say one is, and becomes a referrer of the image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.json import json_parser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from roadstead.scanner.inventory import Inventory, Package
from tests.kit import scanned
from tests.kit.accounts import Installation
from tests.kit.layers import stanza, wheel
from tests.kit.push import Document, digest, push_image

SYSTEM = scanned.debian(
    stanza("libssl3", "3.0.11-1~deb12u1+b1", Source="openssl (3.0.11-1~deb12u1)"),
    stanza("zlib1g", "1:1.2.13.dfsg-1", Source="zlib"),
    stanza("zlib1g", "1:1.2.13.dfsg-1", "i386", Source="zlib"),
    stanza("libstdc++6", "12.2.0-14"),
)
LANGUAGES = {"usr/lib/python3/dist-packages/requests-2.31.0.dist-info/METADATA": wheel("requests", "2.31.0")}
PURLS = {
    "pkg:deb/debian/libssl3@3.0.11-1~deb12u1%2Bb1?arch=amd64&distro=debian-12",
    "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12",
    "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=i386&distro=debian-12",
    "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-12",
    "pkg:pypi/requests@2.31.0",
}


@pytest.fixture
def image(owner: httpx.Client, watched: str) -> Document:
    pushed = scanned.push(owner, f"{watched}/web", [SYSTEM, LANGUAGES], "v1")
    scanned.scanned(owner, f"{watched}/web", pushed.digest)
    return pushed


def export(client: httpx.Client, project: str, image: str, **body: Any) -> httpx.Response:
    return client.post(f"/v1/projects/{project}/resources/{image}:exportSBOM", json=body)


def exported(client: httpx.Client, project: str, image: Document, **body: Any) -> dict[str, Any]:
    """The occurrence that tells where the bill is."""
    response = export(client, project, scanned.url(f"{project}/web", image.digest), **body)
    assert 200 == response.status_code, response.text
    return dict(client.get(f"/v1/{response.json()['discoveryOccurrence']}").json())


def bill(client: httpx.Client, project: str, occurrence: dict[str, Any]) -> bytes:
    predicate = occurrence["sbomReference"]["payload"]["predicate"]
    content = client.get(f"/v2/{project}/web/blobs/sha256:{predicate['digest']['sha256']}").content
    assert predicate["location"].endswith(f"/v2/{project}/web/blobs/{digest(content)}")
    return content


def test_spdx_is_valid_and_has_every_package(owner: httpx.Client, watched: str, image: Document, tmp_path: Path) -> None:
    file = tmp_path / "bill.spdx.json"
    file.write_bytes(bill(owner, watched, exported(owner, watched, image)))

    read = json_parser.parse_from_file(str(file))

    assert [] == validate_full_spdx_document(read)
    (subject, *packages) = read.packages
    assert (f"gcr.io/{watched}/web", image.digest) == (subject.name, subject.version)
    assert PURLS == {each.external_references[0].locator for each in packages}


def test_cyclonedx_is_valid_and_has_every_package(owner: httpx.Client, watched: str, image: Document) -> None:
    text = bill(owner, watched, exported(owner, watched, image, format="CYCLONEDX")).decode()

    assert None is JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    read = json.loads(text)
    assert PURLS == {each["purl"] for each in read["components"] if each["type"] == "library"}
    assert image.digest == read["metadata"]["component"]["version"]


def test_the_bill_is_a_referrer_of_the_image_and_made_once(owner: httpx.Client, watched: str, image: Document) -> None:
    """The same inventory gives the same bytes: a pipeline may ask each time."""
    occurrences = [exported(owner, watched, image) for _ in range(2)]

    (referrer,) = owner.get(f"/v2/{watched}/web/referrers/{image.digest}").json()["manifests"]
    manifest = owner.get(f"/v2/{watched}/web/manifests/{referrer['digest']}").json()

    assert "application/spdx+json" == referrer["artifactType"] == manifest["artifactType"]
    assert image.digest == manifest["subject"]["digest"]
    assert bill(owner, watched, occurrences[0]) == bill(owner, watched, occurrences[1])
    assert ("SBOM_REFERENCE", scanned.url(f"{watched}/web", image.digest)) == (occurrences[0]["kind"], occurrences[0]["resourceUri"])
    assert [{"name": scanned.url(f"{watched}/web", image.digest).partition("@")[0], "digest": {"sha256": image.digest[7:]}}] == occurrences[
        0
    ]["sbomReference"]["payload"]["subject"]


def test_the_artifact_is_not_scanned(owner: httpx.Client, watched: str, image: Document) -> None:
    exported(owner, watched, image)

    assert 1 == len(scanned.occurrences(owner, watched, 'kind="DISCOVERY"'))


def test_with_a_location_too(owner: httpx.Client, watched: str, image: Document) -> None:
    uri = scanned.url(f"{watched}/web", image.digest)

    response = owner.post(f"/v1/projects/{watched}/locations/us/resources/{uri}:exportSBOM", json={"cloudStorageLocation": {}})

    assert f"projects/{watched}/locations/us/occurrences/" in response.json()["discoveryOccurrence"]


def test_what_cannot_be_exported_is_told(advised: Installation, owner: httpx.Client, watched: str, image: Document) -> None:
    own = scanned.url(f"{watched}/web", image.digest)
    unscanned = advised.project()
    pushed = push_image(owner, f"{unscanned}/web")
    advised.enable(unscanned, "containeranalysis.googleapis.com")

    answers = {
        "no digest": export(owner, watched, f"https://gcr.io/{watched}/web:v1"),
        "another project's": export(owner, watched, scanned.url(f"{unscanned}/web", pushed.digest)),
        "another registry's": export(owner, watched, own.replace("gcr.io", "example.com")),
        "no such image": export(owner, watched, scanned.url(f"{watched}/web", "sha256:" + "0" * 64)),
        "not scanned": export(owner, unscanned, scanned.url(f"{unscanned}/web", pushed.digest)),
        "no such format": export(owner, watched, own, format="PDF"),
        "no such field": export(owner, watched, own, nosuch=1),
    }

    assert {
        "no digest": 400, "another project's": 400, "another registry's": 404, "no such image": 404, "not scanned": 404,
        "no such format": 400, "no such field": 400,
    } == {name: response.status_code for name, response in answers.items()}  # fmt: skip
    assert "has not been scanned" in answers["not scanned"].text


ROLES: dict[str, tuple[Sequence[str], int, int]] = {
    "stranger": ((), 403, 403),
    "occurrences-viewer": (("roles/containeranalysis.occurrences.viewer",), 200, 403),
    "occurrences-editor": (("roles/containeranalysis.occurrences.editor",), 200, 403),
    "viewer": (("roles/viewer",), 200, 403),
    "pusher": (("roles/artifactregistry.writer",), 403, 403),
    "both": (("roles/artifactregistry.writer", "roles/containeranalysis.occurrences.editor"), 200, 200),
}


@pytest.mark.slow
def test_who_may_see_findings_and_export(advised: Installation, owner: httpx.Client, watched: str, image: Document) -> None:
    """To look is one right; the bill becomes part of the repository, so it needs the right to push too."""
    found = {}
    for name, (roles, _, _) in ROLES.items():
        with advised.client(advised.robot(watched, *roles)) as client:
            listed = client.get(f"/v1/projects/{watched}/occurrences").status_code
            found[name] = (listed, export(client, watched, scanned.url(f"{watched}/web", image.digest)).status_code)

    assert {name: (listed, made) for name, (_, listed, made) in ROLES.items()} == found


def test_a_large_bill_is_kept_as_a_blob(owner: httpx.Client, watched: str) -> None:
    many = scanned.debian(*(stanza(f"package{number}", f"{number}.0-1") for number in range(700)))
    pushed = scanned.push(owner, f"{watched}/web", [many])
    scanned.scanned(owner, f"{watched}/web", pushed.digest)

    content = bill(owner, watched, exported(owner, watched, pushed))

    assert len(content) > 300_000
    assert 701 == len(json.loads(content)["packages"])


def test_an_image_without_packages_has_a_bill_too() -> None:
    """Of an inventory alone, as `roadstead scan --sbom` makes it, and with one package at two places."""
    from roadstead.scanner.sbom import Format, Subject, render

    same = [Package("npm", "left-pad", "1.0.0", "left-pad", "1.0.0", "", path) for path in ("a/package.json", "b/package.json")]
    subject = Subject("web", "sha256:" + "a" * 64, "2026-01-02T03:04:05Z", "1")
    for inventory in (Inventory(None, ()), Inventory(None, tuple((each, "") for each in same))):
        text = render(inventory, subject, Format.CYCLONEDX).decode()
        assert None is JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
        assert len(inventory.packages) == len(json.loads(text)["components"])


def test_what_scanners_found_cannot_be_changed_over_http(owner: httpx.Client, watched: str, image: Document) -> None:
    """403, to the owner too; and the server's notes are there for everybody who says who they are."""
    found = scanned.occurrences(owner, watched)

    assert {"DISCOVERY", "VULNERABILITY"} == {each["kind"] for each in found}
    for each in found:
        assert 200 == owner.get(f"/v1/{each['name']}").status_code
        assert (
            each["noteName"] == owner.get(f"/v1/{each['name']}/notes").json()["name"] == owner.get(f"/v1/{each['noteName']}").json()["name"]
        )
        assert 403 == owner.delete(f"/v1/{each['name']}").status_code
        assert 403 == owner.patch(f"/v1/{each['name']}", json={"remediation": "x"}, params={"updateMask": "remediation"}).status_code
        assert 403 == owner.delete(f"/v1/{each['noteName']}").status_code


def test_a_summary_over_http(owner: httpx.Client, watched: str, image: Document) -> None:
    found = owner.get(f"/v1/projects/{watched}/occurrences:vulnerabilitySummary").json()["counts"]

    assert {"CRITICAL": ("0", "1"), "HIGH": ("1", "1"), "MINIMAL": ("0", "1")} == {
        each["severity"]: (str(each.get("fixableCount", 0)), str(each["totalCount"])) for each in found
    }
    assert {scanned.url(f"{watched}/web", image.digest)} == {each["resourceUri"] for each in found}
