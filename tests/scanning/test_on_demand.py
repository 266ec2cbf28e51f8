"""On-Demand Scanning: packages that a client has found are matched once, and what they have can be listed for two days."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from roadstead.scanning.on_demand import MOST_PACKAGES
from tests.kit import scanned
from tests.kit.accounts import Installation
from tests.kit.replies import ok, refusal

API = "ondemandscanning.googleapis.com"
DEBIAN, UBUNTU, ALPINE = "cpe:/o:debian:debian_linux:12", "cpe:/o:canonical:ubuntu_linux:22.04", "cpe:/o:alpine:alpine_linux:3.18"
WAIT_SECONDS = 30
ADMIN = "roles/ondemandscanning.admin"

Package = dict[str, Any]


def package(name: str, version: str, cpe: str = DEBIAN, kind: str | int = "OS", **more: Any) -> Package:
    """As gcloud's local-extract tells it."""
    return {"package": name, "version": version, "cpeUri": cpe, "packageType": kind, "hashDigest": "", **more}


OPENSSL = package("openssl", "3.0.11-1~deb12u1")
ZLIB = package("zlib", "1:1.2.13.dfsg-1")


@pytest.fixture
def project(advised: Installation) -> str:
    made = advised.project(registry=False)
    advised.enable(made, API)
    return made


def ask(client: httpx.Client, project: str, packages: list[Package], version: str = "v1", **more: Any) -> httpx.Response:
    body = {"resourceUri": "gcr.io/p/image:v1", "packages": packages, **more}
    return client.post(f"/{version}/projects/{project}/locations/us/scans:analyzePackages", json=body)


def ended(client: httpx.Client, name: str, version: str = "v1") -> dict[str, Any]:
    """The operation of this name when it is done."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        operation: dict[str, Any] = ok(client.get(f"/{version}/{name}"))
        if operation.get("done"):
            return operation
        time.sleep(0.1)
    raise AssertionError(f"{name} is not done: {operation}")


def scan(client: httpx.Client, project: str, packages: list[Package], **more: Any) -> str:
    """The name of a scan that has ended well."""
    return str(ended(client, ok(ask(client, project, packages, **more))["name"])["response"]["scan"])


def page(client: httpx.Client, name: str, **parameters: Any) -> dict[str, Any]:
    found: dict[str, Any] = ok(client.get(f"/v1/{name}/vulnerabilities", params=parameters))
    return found


def found(client: httpx.Client, project: str, packages: list[Package], **more: Any) -> list[tuple[str, str, str]]:
    """Vulnerability, package and its severity, in the order of the answer."""
    occurrences = page(client, scan(client, project, packages, **more)).get("occurrences", [])
    said = [each["vulnerability"] for each in occurrences]
    return [(each["shortDescription"], each["packageIssue"][0]["affectedPackage"], each["effectiveSeverity"]) for each in said]


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_an_operation_leads_to_a_scan(owner: httpx.Client, project: str, version: str) -> None:
    """google.longrunning.Operation, with the types of google.cloud.ondemandscanning.v1."""
    begun = ask(owner, project, [OPENSSL], version).json()
    done = ended(owner, begun["name"], version)

    place, (_, _, name) = f"projects/{project}/locations/us", begun["name"].rpartition("/")
    assert f"{place}/operations/{name}" == begun["name"] == done["name"]
    assert "gcr.io/p/image:v1" == done["metadata"]["resourceUri"]
    assert done["metadata"]["@type"].endswith("ondemandscanning.v1.AnalyzePackagesMetadata")
    assert done["response"]["@type"].endswith("ondemandscanning.v1.AnalyzePackagesResponse")
    assert f"{place}/scans/{name}" == done["response"]["scan"]
    assert 200 == owner.get(f"/{version}/{done['response']['scan']}/vulnerabilities").status_code


def test_what_is_found_are_occurrences(owner: httpx.Client, project: str) -> None:
    """As of an image that was pushed, under the name that the client gave."""
    name = scan(owner, project, [OPENSSL], resourceUri="https://gcr.io/p/image@sha256:" + "a" * 64)

    first = page(owner, name)["occurrences"][0]

    assert ("VULNERABILITY", "https://gcr.io/p/image@sha256:" + "a" * 64) == (first["kind"], first["resourceUri"])
    assert "projects/goog-vulnz/notes/CVE-2026-1001" == first["noteName"]
    assert first["name"].startswith(f"projects/{project}/locations/us/occurrences/")
    said = first["vulnerability"]
    assert ("HIGH", "CVE-2026-1001", True, "about CVE-2026-1001") == (
        said["effectiveSeverity"], said["shortDescription"], said["fixAvailable"], said["longDescription"],
    )  # fmt: skip
    (issue,) = said["packageIssue"]
    assert (DEBIAN, "openssl", "3.0.11-1~deb12u1") == (
        issue["affectedCpeUri"], issue["affectedPackage"], issue["affectedVersion"]["fullName"],
    )  # fmt: skip
    assert "3.0.11-1~deb12u2" == issue["fixedVersion"]["fullName"]


def test_each_distribution_has_its_own_advisories(owner: httpx.Client, project: str) -> None:
    """And one list may have packages of several, the worst first. A package that stands there twice is found once."""
    packages = [
        OPENSSL, OPENSSL, ZLIB, package("openssl", "3.0.2-0ubuntu1", UBUNTU), package("openssl", "3.1.2-r0", ALPINE),
        package("openssl", "3.1.2-r0", "cpe:2.3:o:alpine:alpine_linux:3.18.4:*:*:*:*:*:*:*"),
    ]  # fmt: skip

    assert [
        ("CVE-2026-1006", "zlib", "CRITICAL"),
        ("CVE-2026-1001", "openssl", "HIGH"),
        ("CVE-2026-2003", "openssl", "HIGH"),
        ("CVE-2026-2002", "openssl", "MEDIUM"),
        ("CVE-2026-3001", "openssl", "MEDIUM"),
        ("CVE-2026-1003", "openssl", "MINIMAL"),
        ("CVE-2026-2001", "openssl", "MINIMAL"),
    ] == found(owner, project, packages)


@pytest.mark.slow
def test_source_packages_count_where_the_client_tells_them(owner: httpx.Client, project: str) -> None:
    """PackageData.binarySourceInfo, and what it has replaced: sourceVersion. Advisories of distributions are of source packages."""
    source = {"name": "openssl", "version": "3.0.11-1~deb12u1"}
    for more in ({"binarySourceInfo": [{"sourceVersion": source, "binaryVersion": {"name": "libssl3"}}]}, {"sourceVersion": source}):
        given = [package("libssl3", "3.0.11-1~deb12u1+b1", **more)]
        assert "openssl" == found(owner, project, given)[0][1]
    assert [] == found(owner, project, [package("libssl3", "3.0.11-1~deb12u1")])


@pytest.mark.slow
def test_what_is_patched_is_not_found(owner: httpx.Client, project: str) -> None:
    """PackageData.patchedCve; only if everything that says so agrees."""
    patched = {**OPENSSL, "patchedCve": ["CVE-2026-1001"]}

    assert ["CVE-2026-1003"] == [each[0] for each in found(owner, project, [patched])]
    assert ["CVE-2026-1001", "CVE-2026-1003"] == [each[0] for each in found(owner, project, [patched, OPENSSL])]


@pytest.mark.slow
def test_packages_of_languages_are_known_by_their_types(advised: Installation, owner: httpx.Client, project: str, tmp_path: Path) -> None:
    """PackageData.PackageType, by name or number; a type that no advisories are of is left out. The distribution does not matter."""
    there = {"pyyaml": "PyPI", "lodash": "npm", "example.com/m": "Go", "stdlib": "Go", "org.x:core": "Maven", "rack": "RubyGems"}
    records = [
        scanned.osv_record(f"GHSA-0000-0000-000{number}", ecosystem, name, "2.0.0")
        for number, (name, ecosystem) in enumerate(there.items())
    ]
    scanned.import_feeds(advised, {"languages": scanned.osv(tmp_path, *records)})
    given = [
        package("PyYAML", "1.0", kind="PYPI"), package("lodash", "1.0.0", kind=6), package("example.com/m", "1.9.4", kind="GO"),
        package("go", "1.21.0", "", kind="GO_STDLIB"), package("org.x:core", "1.0", kind=2), package("rack", "1.0", kind="RUBYGEMS"),
        package("lodash", "1.0.0", kind="NUGET"), package("rack", "1.0", "cpe:/o:nobody:knows:1", kind=9),
    ]  # fmt: skip

    names = {name for _, name, _ in found(owner, project, given)}

    assert set(there) == names


@pytest.mark.parametrize(
    ("cpe", "message"),
    [
        ("cpe:/o:debian:debian_linux:7", "no advisories of debian 7 are loaded"),
        ("cpe:/o:redhat:enterprise_linux:9", "nothing is known of cpe:/o:redhat:enterprise_linux:9"),
        ("", "packages without a cpeUri"),
    ],
)
def test_what_nothing_is_known_of_is_not_clean(owner: httpx.Client, project: str, cpe: str, message: str) -> None:
    """The operation has failed, so that no pipeline takes it for an image without vulnerabilities."""
    name = ask(owner, project, [OPENSSL, package("bash", "1", cpe, "PACKAGE_TYPE_UNSPECIFIED")]).json()["name"]

    done = ended(owner, name)
    refused = owner.get(f"/v1/{name.replace('/operations/', '/scans/')}/vulnerabilities")

    assert 9 == done["error"]["code"]
    assert message in done["error"]["message"]
    assert "response" not in done
    assert (400, "FAILED_PRECONDITION") == refusal(refused)
    assert message in refused.json()["error"]["message"]


def test_no_packages_have_no_vulnerabilities(owner: httpx.Client, project: str) -> None:
    assert {} == page(owner, scan(owner, project, []))


def test_pages_go_on_where_they_ended(owner: httpx.Client, project: str) -> None:
    name = scan(owner, project, [OPENSSL, ZLIB])
    whole = page(owner, name)["occurrences"]

    first = page(owner, name, pageSize=2)
    second = page(owner, name, pageSize=2, pageToken=first["nextPageToken"])

    assert whole == first["occurrences"] + second["occurrences"]
    assert (3, 2, False) == (len(whole), len(first["occurrences"]), "nextPageToken" in second)
    for token in ("!", "eA==", "LTE="):
        assert (400, "INVALID_ARGUMENT") == refusal(owner.get(f"/v1/{name}/vulnerabilities", params={"pageToken": token}))


@pytest.mark.slow
def test_a_project_s_exceptions_are_shown(owner: httpx.Client, project: str) -> None:
    """Notes of the kind VULNERABILITY_ASSESSMENT, as in what was pushed."""
    product = {"genericUri": "https://gcr.io/p/image", "name": "image"}
    note = {
        "vulnerabilityAssessment": {
            "title": "t", "shortDescription": "s", "languageCode": "en", "product": product,
            "assessment": {"vulnerabilityId": "CVE-2026-1001", "state": "NOT_AFFECTED", "shortDescription": "s"},
        }
    }  # fmt: skip
    made = owner.post(f"/v1/projects/{project}/notes", params={"noteId": "decided"}, json=note)
    assert 200 == made.status_code, made.text

    uri = "https://gcr.io/p/image@sha256:" + "a" * 64
    said = page(owner, scan(owner, project, [OPENSSL], resourceUri=uri))["occurrences"]
    other = page(owner, scan(owner, project, [OPENSSL], resourceUri=uri.replace("/p/", "/q/")))["occurrences"]

    assert [True, False] == ["vexAssessment" in each["vulnerability"] for each in said]
    assert not any("vexAssessment" in each["vulnerability"] for each in other)


@pytest.mark.parametrize(
    "body",
    [
        {"packages": [OPENSSL]},
        {"resourceUri": "a b", "packages": [OPENSSL]},
        {"resourceUri": "x" * 3000, "packages": [OPENSSL]},
        {"packages": {}},
        {"nonsense": 1},
        {"packages": [{**OPENSSL, "nonsense": 1}]},
        {"packages": [{**OPENSSL, "package": ""}]},
        {"packages": [{**OPENSSL, "version": ""}]},
        {"packages": [{**OPENSSL, "package": "a\0b"}]},
        {"packages": [{**OPENSSL, "version": "1\n"}]},
        {"packages": [{**OPENSSL, "version": "1" * 1001}]},
        {"packages": [{**OPENSSL, "packageType": "DEB"}]},
        {"packages": [{**OPENSSL, "packageType": 12}]},
        {"packages": [{**OPENSSL, "packageType": -1}]},
        {"packages": [{**OPENSSL, "packageType": True}]},
        {"packages": [OPENSSL] * (MOST_PACKAGES + 1)},
    ],
    ids=[
        "no resource",
        "a blank in the resource",
        "a long resource",
        "no list",
        "an unknown field",
        "an unknown field of a package",
        "no name",
        "no version",
        "a NUL",
        "a line end",
        "a long version",
        "an unknown type",
        "a high number",
        "a low number",
        "no number",
        "too many",
    ],
)
def test_what_is_no_request_is_refused(owner: httpx.Client, project: str, body: dict[str, Any]) -> None:
    if "packages" in body and body["packages"] != [OPENSSL]:
        body = {"resourceUri": "x", **body}
    response = owner.post(f"/v1/projects/{project}/locations/us/scans:analyzePackages", json=body)

    assert (400, "INVALID_ARGUMENT") == refusal(response)


def test_a_request_has_a_limit(owner: httpx.Client, project: str) -> None:
    response = ask(owner, project, [{**OPENSSL, "unused": "x" * 8 * 1024 * 1024}])

    assert (413, "INVALID_ARGUMENT") == refusal(response)


def test_the_api_must_be_enabled(advised: Installation, owner: httpx.Client) -> None:
    """In Google's words, after which gcloud offers to do it; Container Analysis comes with it."""
    other = advised.project(registry=False)
    sentence = f"Enable it by visiting https://console.developers.google.com/apis/api/{API}/overview?project={other} then retry."

    refused = [ask(owner, other, []), owner.get(f"/v1/projects/{other}/locations/us/scans/x/vulnerabilities")]
    advised.enable(other, API)

    for response in refused:
        assert (403, "PERMISSION_DENIED") == refusal(response)
        assert sentence in response.json()["error"]["message"]
    assert [] == found(owner, other, [])


@pytest.mark.slow
def test_a_scan_is_its_project_s(advised: Installation, owner: httpx.Client, project: str) -> None:
    """Under another's name it is not there, nor for whoever has no right on its project; who may view it begins none."""
    other = advised.project(registry=False)
    advised.enable(other, API)
    begun = ask(owner, project, [OPENSSL]).json()["name"]
    ended(owner, begun)
    listing = f"/v1/{begun.replace('/operations/', '/scans/')}/vulnerabilities"
    clients = {role: advised.client(advised.robot(project, role)) for role in ("roles/viewer", ADMIN, "roles/browser")}
    stranger = advised.client(advised.robot(other, "roles/owner"))

    for path in (f"/v1/{begun}", listing):
        assert (404, "NOT_FOUND") == refusal(owner.get(path.replace(project, other)))
        assert (404, "NOT_FOUND") == refusal(stranger.get(path.replace(project, other)))
        assert [200, 200] == [clients[role].get(path).status_code for role in ("roles/viewer", ADMIN)]
    for who in (clients["roles/browser"], stranger):
        assert (404, "NOT_FOUND") == refusal(who.get(f"/v1/{begun}"))
        assert (403, "PERMISSION_DENIED") == refusal(who.get(listing))
    assert [403, 403, 200] == [ask(clients[role], project, []).status_code for role in ("roles/browser", "roles/viewer", ADMIN)]
    for path in (f"/v1/{begun[:-1]}", f"/v1beta1/{begun}x", listing.replace("/us/", "/US!/")):
        assert (404, "NOT_FOUND") == refusal(owner.get(path))
