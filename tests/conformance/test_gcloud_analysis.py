"""
What gcloud tells of an image beside the image, from occurrences that somebody has written: its weaknesses, its build, where it runs
(contract.md, 2.3 and 2.7), under Google's names over HTTPS.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.gcr import Gcr, GcrGCloud, installed_as_gcr
from tests.kit.google import needs_gcloud
from tests.kit.push import push_image

pytestmark = [pytest.mark.slow, needs_gcloud]

ANALYSIS = "containeranalysis.googleapis.com"
MAXIMUM: dict[str, str] = {"kind": "MAXIMUM"}
FIXED = {"kind": "NORMAL", "name": "1.2.4", "fullName": "1.2.4"}


@dataclass(frozen=True, slots=True)
class Analysed:
    project: str
    digest: str

    @property
    def name(self) -> str:
        return f"gcr.io/{self.project}/nginx"

    @property
    def image(self) -> str:
        return f"{self.name}@{self.digest}"


@pytest.fixture(scope="module")
def gcr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcr]:
    with installed_as_gcr("https", tmp_path_factory.mktemp("analysis")) as found:
        yield found


@pytest.fixture(scope="module")
def analysed(gcr: Gcr) -> Analysed:
    """Two weaknesses, of which one is fixed, a scan that is done, a build and a deployment."""
    owner, project = gcr.installation.owner, gcr.installation.project()
    gcr.installation.enable(project, ANALYSIS)
    found = Analysed(project, push_image(owner, f"{project}/nginx").digest)
    _note(owner, project, "scanned", {"discovery": {"analysisKind": "VULNERABILITY"}})
    _note(owner, project, "built", {"build": {"builderVersion": "1"}})
    _note(owner, project, "deployed", {"deployment": {"resourceUri": [f"https://{found.image}"]}})
    _occurrence(owner, found, "scanned", {"discovery": {"analysisStatus": "FINISHED_SUCCESS", "continuousAnalysis": "ACTIVE"}})
    _occurrence(owner, found, "built", {"build": {"provenance": {"id": "the-build"}}})
    _occurrence(owner, found, "deployed", {"deployment": {"userEmail": "d@example.com", "deployTime": "2026-01-02T03:04:05Z"}})
    for name, severity, version in (("CVE-2026-0001", "HIGH", FIXED), ("CVE-2026-0002", "CRITICAL", MAXIMUM)):
        _note(owner, project, name, {"vulnerability": {"severity": severity, "details": [_detail()]}})
        issue = {
            "affectedPackage": "zlib", "affectedCpeUri": "cpe:/o:debian:debian_linux:12", "fixedPackage": "zlib",
            "affectedVersion": {"kind": "NORMAL", "name": "1.2.3", "fullName": "1.2.3"}, "fixedVersion": version,
            "fixedCpeUri": "cpe:/o:debian:debian_linux:12", "effectiveSeverity": severity, "packageType": "OS",
        }  # fmt: skip
        _occurrence(owner, found, name, {"vulnerability": {"packageIssue": [issue], "effectiveSeverity": severity}})
    return found


def _note(owner: httpx.Client, project: str, name: str, body: dict[str, Any]) -> None:
    made = owner.post(f"/v1/projects/{project}/notes", params={"noteId": name}, json=body)
    assert 200 == made.status_code, made.text


def _detail() -> dict[str, Any]:
    version = {"kind": "NORMAL", "name": "1.2.3"}
    return {"affectedCpeUri": "cpe:/o:debian:debian_linux:12", "affectedPackage": "zlib", "affectedVersionStart": version}


def _occurrence(owner: httpx.Client, about: Analysed, note: str, body: dict[str, Any]) -> None:
    named = {"resourceUri": f"https://{about.image}", "noteName": f"projects/{about.project}/notes/{note}"}
    made = owner.post(f"/v1/projects/{about.project}/occurrences", json={**named, **body})
    assert 200 == made.status_code, made.text


@pytest.fixture(scope="module")
def gcloud(gcr: Gcr, analysed: Analysed, tmp_path_factory: pytest.TempPathFactory) -> GcrGCloud:
    return gcr.gcloud(tmp_path_factory.mktemp("gcloud"), analysed.project)


def told(gcloud: GcrGCloud, *arguments: str) -> Any:
    return json.loads(gcloud(*arguments, "--format=json"))


def test_its_weaknesses_are_described(gcloud: GcrGCloud, analysed: Analysed) -> None:
    """beta: by severity, with the packages; and how many have no fix."""
    found = told(gcloud, "beta", "container", "images", "describe", analysed.image, "--show-package-vulnerability")

    summary = found["package_vulnerability_summary"]
    assert {"HIGH", "CRITICAL"} == set(summary["vulnerabilities"])
    assert (1, 2) == (int(summary["not_fixed_vulnerability_count"]), int(summary["total_vulnerability_found"]))
    (high,) = summary["vulnerabilities"]["HIGH"]
    assert "1.2.4" == high["vulnerability"]["packageIssue"][0]["fixedVersion"]["name"]
    assert "FINISHED_SUCCESS" == found["discovery_summary"]["discovery"][0]["discovery"]["analysisStatus"]


def test_everything_is_described(gcloud: GcrGCloud, analysed: Analysed) -> None:
    found = told(gcloud, "beta", "container", "images", "describe", analysed.image, "--show-all-metadata")

    assert {"image_summary", "build_details_summary", "deployment_summary", "discovery_summary", "package_vulnerability_summary"} <= set(
        found
    )
    assert "the-build" == found["build_details_summary"]["build_details"][0]["build"]["provenance"]["id"]
    assert "d@example.com" == found["deployment_summary"]["deployments"][0]["deployment"]["userEmail"]


def test_a_filter_chooses_what_is_described(gcloud: GcrGCloud, analysed: Analysed) -> None:
    found = told(gcloud, "beta", "container", "images", "describe", analysed.image, '--metadata-filter=kind = "BUILD"')

    assert {"image_summary", "build_details_summary"} == set(found)


def test_a_list_of_tags_counts_weaknesses(gcloud: GcrGCloud, analysed: Analysed) -> None:
    (found,) = told(gcloud, "beta", "container", "images", "list-tags", analysed.name, "--show-occurrences")

    assert {"HIGH": 1, "CRITICAL": 1} == {severity: int(count) for severity, count in found["vuln_counts"].items()}


def test_artifacts_describes_its_weaknesses(gcloud: GcrGCloud, analysed: Analysed) -> None:
    """The way without beta."""
    describe = ("artifacts", "docker", "images", "describe", f"{analysed.name}:v1")
    found = told(gcloud, *describe, "--show-package-vulnerability")

    assert {"HIGH", "CRITICAL"} == set(found["package_vulnerability_summary"]["vulnerabilities"])
    assert analysed.digest == found["image_summary"]["digest"]


def test_vulnerabilities_are_listed(gcloud: GcrGCloud, analysed: Analysed) -> None:
    found = told(gcloud, "artifacts", "vulnerabilities", "list", f"{analysed.name}:v1")

    assert {"CVE-2026-0001", "CVE-2026-0002"} == {each["occurrence"]["noteName"].rpartition("/")[2] for each in found}


def test_gcloud_offers_to_enable_container_analysis(gcr: Gcr, tmp_path: Path) -> None:
    """And asks again when it has, which then says that nothing is known."""
    project = gcr.installation.project()
    gcloud, digest = gcr.gcloud(tmp_path, project), push_image(gcr.installation.owner, f"{project}/nginx").digest

    said = gcloud.agreeing("beta", "container", "images", "describe", f"gcr.io/{project}/nginx@{digest}", "--show-package-vulnerability")
    said = " ".join(said.split())  # it breaks lines where the terminal ends

    assert f"API [{ANALYSIS}] not enabled on project [{project}]" in said
    assert digest in said.partition("not enabled")[2]
    assert ANALYSIS in gcloud("services", "list", "--enabled", "--format=value(config.name)").split()
