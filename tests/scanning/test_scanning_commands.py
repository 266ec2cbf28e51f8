"""`roadstead images` and `roadstead exceptions` about what scans found, as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit import scanned
from tests.kit.accounts import Installation
from tests.kit.layers import stanza
from tests.kit.terminal import Terminal

SYSTEM = scanned.debian(
    stanza("libssl3", "3.0.11-1~deb12u1", Source="openssl"),
    stanza("zlib1g", "1:1.2.13.dfsg-1", Source="zlib"),
)


@pytest.fixture(scope="module")
def person(advised: Installation, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """The owner's, who is logged in."""
    terminal = Terminal(tmp_path_factory.mktemp("home"))
    done = terminal.run("auth", "login", "--server", advised.url, "--with-token", given=advised.owner_token)
    assert 0 == done.returncode, done.stderr
    return terminal


@pytest.fixture
def image(owner: httpx.Client, watched: str) -> str:
    """What a person calls it."""
    pushed = scanned.push(owner, f"{watched}/web", [SYSTEM], "v1")
    scanned.scanned(owner, f"{watched}/web", pushed.digest)
    return f"gcr.io/{watched}/web"


def run(terminal: Terminal, *commands: list[str]) -> list[str]:
    """What each of them printed."""
    answers = terminal.several(commands)
    assert [0] * len(commands) == [code for code, _, _ in answers], answers
    return [said for _, said, _ in answers]


def openvex(folder: Path, project: str, *statements: dict[str, Any], author: str = "somebody") -> Path:
    file = folder / "vendor.openvex.json"
    document = {
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.com/vex-1", "author": author,
        "timestamp": "2026-01-01T00:00:00Z", "version": 1, "statements": list(statements),
    }  # fmt: skip
    file.write_text(json.dumps(document))
    return file


def statement(project: str, vulnerability: str, status: str = "not_affected") -> dict[str, Any]:
    more = {"justification": "vulnerable_code_not_present"} if status == "not_affected" else {}
    product = {"@id": f"pkg:oci/web?repository_url=gcr.io/{project}/web", "subcomponents": [{"@id": "pkg:deb/debian/openssl"}]}
    return {"vulnerability": {"name": vulnerability}, "products": [product], "status": status, **more}


@pytest.mark.slow
def test_what_a_scan_found_is_listed_described_and_exported(person: Terminal, image: str, tmp_path: Path) -> None:
    """images list-vulnerabilities, describe and sbom: by tag, the worst first."""
    out = tmp_path / "bill.json"
    listed, table, described, spdx, _ = run(
        person,
        ["images", "list-vulnerabilities", f"{image}:v1", "--format", "json"],
        ["images", "list-vulnerabilities", f"{image}:v1"],
        ["images", "describe", f"{image}:v1", "--show-package-vulnerability", "--format", "json"],
        ["images", "sbom", f"{image}:v1"],
        ["images", "sbom", f"{image}:v1", "--sbom-format", "cyclonedx", "--out", str(out)],
    )

    assert ["CVE-2026-1006", "CVE-2026-1001", "CVE-2026-1003"] == [each["vulnerability"]["shortDescription"] for each in json.loads(listed)]
    first = table.splitlines()[1].split()
    assert ["CRITICAL", "CVE-2026-1006", "9.8", "zlib", "1:1.2.13.dfsg-1"] == first
    summary = json.loads(described)["package_vulnerability_summary"]
    assert (3, 2) == (summary["total_vulnerability_found"], summary["not_fixed_vulnerability_count"])
    assert ["CRITICAL", "HIGH", "MINIMAL"] == sorted(summary["vulnerabilities"])
    assert {"libssl3", "zlib1g"} <= {each["name"] for each in json.loads(spdx)["packages"]}
    assert "CycloneDX" == json.loads(out.read_text())["bomFormat"]


@pytest.mark.slow
def test_an_image_that_was_not_checked_is_not_clean(person: Terminal, advised: Installation, owner: httpx.Client, watched: str) -> None:
    """Not scanned, and not supported: nobody reads that there are none."""
    unsupported = scanned.push(owner, f"{watched}/web", [{"bin/program": b"x"}], "v1")
    scanned.scanned(owner, f"{watched}/web", unsupported.digest)
    clean = scanned.push(owner, f"{watched}/clean", [scanned.alpine("3.18", {"musl": "9-r0"})], "v1")
    scanned.scanned(owner, f"{watched}/clean", clean.digest)
    other = advised.project()
    scanned.push(owner, f"{other}/web", [SYSTEM], "v1")
    advised.enable(other, "containeranalysis.googleapis.com")

    answers = person.several(
        [["images", "list-vulnerabilities", f"gcr.io/{name}:v1"] for name in (f"{watched}/web", f"{other}/web", f"{watched}/clean")]
    )

    assert [0, 0, 0] == [code for code, _, _ in answers], answers
    said = [said + problem for _, said, problem in answers]
    assert "could not be checked (FINISHED_UNSUPPORTED): nothing in the image tells its distribution" in said[0]
    assert "enable containerscanning.googleapis.com" in said[1]
    assert [False, False, True] == ["No vulnerabilities were found." in each for each in said]


@pytest.mark.slow
def test_exceptions_are_added_listed_and_removed(person: Terminal, owner: httpx.Client, watched: str, image: str) -> None:
    """exceptions add, list, remove: what does not matter is marked, and does not count."""
    about = ["--project", watched]
    _, again, listed, marked = run(
        person,
        ["exceptions", "add", *about, "--cve", "CVE-2026-1006", "--reason", "not reachable", "--expires", "30d", "--image", image,
         "--justification", "vulnerable_code_not_in_execute_path"],
        ["exceptions", "add", *about, "--package", "openssl", "--reason", "not used"],
        ["exceptions", "list", *about, "--format", "json"],
        ["images", "list-vulnerabilities", f"{image}:v1", "--format", "json"],
    )  # fmt: skip
    counts = owner.get(f"/v1/projects/{watched}/occurrences:vulnerabilitySummary").json()
    notes = json.loads(listed)
    names = [each["name"].rpartition("/")[2] for each in notes]
    removed, left, unmarked = run(
        person,
        ["exceptions", "remove", *about, "--quiet", *names],
        ["exceptions", "list", *about, "--format", "json"],
        ["images", "list-vulnerabilities", f"{image}:v1", "--format", "json"],
    )

    assert "Added the exception vex-" in again
    assert {"CVE-2026-1006", ""} == {each["vulnerabilityAssessment"]["assessment"].get("vulnerabilityId", "") for each in notes}
    assert {"not reachable", "not used"} == {each["shortDescription"] for each in notes}
    assert {True} == {bool(each["vulnerabilityAssessment"]["publisher"]["name"]) for each in notes}
    assert 1 == len([each for each in notes if "expirationTime" in each])
    assert {"NOT_AFFECTED"} == {each["vulnerability"].get("vexAssessment", {}).get("state") for each in json.loads(marked)}
    assert [] == counts.get("counts", [])
    assert all(name in removed for name in names)
    assert [] == json.loads(left)
    assert {None} == {each["vulnerability"].get("vexAssessment", {}).get("state") for each in json.loads(unmarked)}


@pytest.mark.slow
def test_vex_is_imported_and_imported_again(person: Terminal, watched: str, image: str, tmp_path: Path) -> None:
    """exceptions import: of another edition of the document, what was said before is replaced."""
    file = openvex(tmp_path, watched, statement(watched, "CVE-2026-1001"), statement(watched, "CVE-2026-1003"))
    command = ["exceptions", "import", str(file), "--project", watched]
    listing = ["images", "list-vulnerabilities", f"{image}:v1", "--format", "json"]
    first, marked = run(person, command, listing)
    openvex(tmp_path, watched, statement(watched, "CVE-2026-1001", "affected"), statement(watched, "CVE-2026-1003"))
    second, after = run(person, command, listing)
    openvex(tmp_path, watched, statement(watched, "CVE-2026-1001", "affected"))
    third, last = run(person, command, listing)

    assert [
        "2 exceptions added, 0 updated, 0 removed.",
        "0 exceptions added, 2 updated, 0 removed.",
        "0 exceptions added, 1 updated, 1 removed.",
    ] == [each.strip() for each in (first, second, third)]
    assert [
        {"CVE-2026-1001": "NOT_AFFECTED", "CVE-2026-1003": "NOT_AFFECTED", "CVE-2026-1006": None},
        {"CVE-2026-1001": "AFFECTED", "CVE-2026-1003": "NOT_AFFECTED", "CVE-2026-1006": None},
        {"CVE-2026-1001": "AFFECTED", "CVE-2026-1003": None, "CVE-2026-1006": None},
    ] == [
        {
            each["vulnerability"]["shortDescription"]: each["vulnerability"].get("vexAssessment", {}).get("state")
            for each in json.loads(said)
        }
        for said in (marked, after, last)
    ]


@pytest.mark.slow
def test_wrong_usage_of_exceptions_is_told(person: Terminal, watched: str, tmp_path: Path) -> None:
    """exceptions list, add, remove, import."""
    (tmp_path / "broken.json").write_text("{}")
    about = ["--project", watched]
    answers = person.several(
        [
            ["exceptions", "add", *about, "--reason", "why"],
            ["exceptions", "add", *about, "--cve", "CVE-2026-1001", "--reason", "why", "--justification", "because"],
            ["exceptions", "add", *about, "--cve", "CVE-2026-1001", "--reason", "why", "--expires", "soon"],
            ["exceptions", "remove", *about, "--quiet", "vex-nosuch"],
            ["exceptions", "import", *about, str(tmp_path / "absent.json")],
            ["exceptions", "import", *about, str(tmp_path / "broken.json")],
            ["exceptions", "list", "--project", "no-such-project-here"],
        ]
    )

    assert [2, 2, 2, 1, 1, 1, 1] == [code for code, _, _ in answers], answers
    words = ["--vulnerability, --package", "--justification is one of", "--expires is", "vex-nosuch", "absent.json", "broken.json", ""]
    for word, (_, said, problem) in zip(words, answers, strict=True):
        assert ("", True) == (said, word in problem and bool(problem)), problem
        assert "Traceback" not in problem


@pytest.mark.slow
def test_wrong_usage_of_images_about_scans_is_told(person: Terminal, owner: httpx.Client, watched: str, advised: Installation) -> None:
    """images list-vulnerabilities and sbom."""
    other = advised.project()
    scanned.push(owner, f"{other}/web", [SYSTEM], "v1")
    advised.enable(other, "containeranalysis.googleapis.com")

    answers = person.several(
        [
            ["images", "list-vulnerabilities", f"gcr.io/{watched}/nosuch:v1"],
            ["images", "sbom", f"gcr.io/{watched}/nosuch:v1"],
            ["images", "sbom", f"gcr.io/{other}/web:v1", "--sbom-format", "pdf"],
            ["images", "sbom", f"gcr.io/{other}/web:v1"],
            ["images", "list-vulnerabilities", "not an image"],
        ]
    )

    assert [True] * 5 == [code in (1, 2) for code, _, _ in answers], answers
    assert "has not been scanned" in answers[3][2]
    for _, said, problem in answers:
        assert ("", True) == (said, bool(problem)) and "Traceback" not in problem
