"""
`gcloud artifacts docker images scan`: gcloud's own program pulls an image from this registry, tells what packages it has, and what is wrong
with them is listed; under Google's names over HTTPS (contract.md, 2.7).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit import scanned
from tests.kit.engine import Engine
from tests.kit.gcr import Gcr, GcrGCloud, installed_as_gcr
from tests.kit.google import needs_gcloud
from tests.kit.layers import layer, stanza, wheel
from tests.kit.program import Program

API = "ondemandscanning.googleapis.com"
SCANNER = "local-extract"
DOCKER = ("artifacts", "docker", "images")
# The program wants a system's NAME too.
OS_RELEASE = 'ID=debian\nVERSION_ID="12"\nNAME="Debian GNU/Linux"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'
FILES = {
    "etc/os-release": OS_RELEASE,
    "var/lib/dpkg/status": stanza("libssl3", "3.0.11-1~deb12u2", Source="openssl (3.0.11-1~deb12u1)") + stanza("bash", "5.2.15-2"),
    "usr/lib/python3/dist-packages/PyYAML-5.1.dist-info/METADATA": wheel("PyYAML", "5.1"),
}


def _has_scanner() -> bool:
    gcloud = shutil.which("gcloud")
    return gcloud is not None and (Path(gcloud).resolve().parent / SCANNER).exists()


pytestmark = [
    pytest.mark.slow,
    needs_gcloud,
    pytest.mark.skipif(not _has_scanner(), reason=f"gcloud's component {SCANNER} is not installed here"),
]


class Scanning(GcrGCloud):
    """Logged in with a service account's key, because the program asks gcloud when the token ends; and it goes the same way."""

    def __init__(self, gcr: Gcr, folder: Path, project: str, *roles: str) -> None:
        super().__init__(gcr, folder, project, "")
        self._env |= gcr.environment
        email = gcr.installation.account(project, "scanner")
        for role in roles:
            gcr.installation.grant(project, role, f"serviceAccount:{email}")
        (folder / "key.json").write_text(json.dumps(gcr.key(email)))
        self.forget_token()
        self("auth", "activate-service-account", f"--key-file={folder / 'key.json'}")

    def with_engine(self, engine: Engine) -> Scanning:
        self._env["DOCKER_HOST"] = engine.host
        return self


@pytest.fixture(scope="module")
def gcr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcr]:
    folder = tmp_path_factory.mktemp("on-demand")
    with installed_as_gcr("https", folder) as found:
        fixed = {"status": "resolved", "fixed_version": "3.0.11-1~deb12u2", "urgency": "high"}
        tracker = scanned.tracker(
            folder, {"openssl": {"CVE-2026-1001": fixed}, "bash": {"CVE-2026-1002": {"status": "open", "urgency": "low"}}}
        )
        osv = scanned.osv(folder, scanned.osv_record("CVE-2026-1003", "PyPI", "pyyaml", "5.4"))
        scanned.import_feeds(found.installation, {"debian-tracker": tracker, "osv": osv})
        yield found


@pytest.fixture(scope="module")
def project(gcr: Gcr) -> str:
    made = gcr.installation.project()
    gcr.installation.enable(made, API)
    scanned.push(gcr.installation.owner, f"{made}/web", [FILES], "v1")
    return made


@pytest.fixture(scope="module")
def gcloud(gcr: Gcr, project: str, tmp_path_factory: pytest.TempPathFactory) -> Scanning:
    roles = ("roles/ondemandscanning.admin", "roles/artifactregistry.reader")
    return Scanning(gcr, tmp_path_factory.mktemp("gcloud"), project, *roles)


def told(gcloud: GcrGCloud, *arguments: str) -> Any:
    return json.loads(gcloud(*arguments, "--format=json"))


@pytest.mark.parametrize("track", [(), ("beta",)], ids=["GA", "beta"])
def test_an_image_is_scanned_and_its_vulnerabilities_listed(gcloud: Scanning, project: str, track: tuple[str, ...]) -> None:
    """As Google's guide has it: the scan's name is the answer's response.scan, and its list is for `grep`."""
    scan = gcloud(*track, *DOCKER, "scan", f"gcr.io/{project}/web:v1", "--remote", "--format=value(response.scan)")

    listed = told(gcloud, *track, *DOCKER, "list-vulnerabilities", scan)
    severities = gcloud(*track, *DOCKER, "list-vulnerabilities", scan, "--format=value(vulnerability.effectiveSeverity)")

    assert scan.startswith(f"projects/{project}/locations/us/scans/")
    issues = {each["vulnerability"]["shortDescription"]: each["vulnerability"]["packageIssue"][0] for each in listed}
    assert {"CVE-2026-1001": "openssl", "CVE-2026-1002": "bash", "CVE-2026-1003": "pyyaml"} == {
        name: issue["affectedPackage"] for name, issue in issues.items()
    }
    assert "3.0.11-1~deb12u1" == issues["CVE-2026-1001"]["affectedVersion"]["fullName"]
    assert ["HIGH", "LOW"] == severities.split()[:2]
    assert {f"gcr.io/{project}/web:v1"} == {each["resourceUri"] for each in listed}


def test_an_image_that_was_never_pushed_is_scanned(gcloud: Scanning, engine: Engine, docker: Program, tmp_path: Path) -> None:
    """What the machine's own Docker engine has, under the name that it has there."""
    (tmp_path / "files.tar").write_bytes(layer(FILES))
    docker.run("import", str(tmp_path / "files.tar"), "local/web:v1")

    scan = gcloud.with_engine(engine)(*DOCKER, "scan", "local/web:v1", "--format=value(response.scan)")

    listed = told(gcloud, *DOCKER, "list-vulnerabilities", scan)
    assert {("local/web:v1", "openssl"), ("local/web:v1", "bash"), ("local/web:v1", "pyyaml")} == {
        (each["resourceUri"], each["vulnerability"]["packageIssue"][0]["affectedPackage"]) for each in listed
    }


def test_a_scan_need_not_be_waited_for(gcloud: Scanning, project: str) -> None:
    """--async, in another location; `get-operation` is asked until it is done."""
    begun = told(gcloud, *DOCKER, "scan", f"gcr.io/{project}/web:v1", "--remote", "--location=europe", "--async")

    operation = told(gcloud, *DOCKER, "get-operation", begun["name"])
    while not operation.get("done"):
        operation = told(gcloud, *DOCKER, "get-operation", begun["name"])

    assert begun["name"].startswith(f"projects/{project}/locations/europe/operations/")
    assert f"gcr.io/{project}/web:v1" == operation["metadata"]["resourceUri"]
    assert 3 == len(told(gcloud, *DOCKER, "list-vulnerabilities", operation["response"]["scan"], "--page-size=2"))


def test_what_nothing_is_known_of_fails(gcloud: Scanning) -> None:
    """gcloud's own pretended packages are of Debian 7, of which no advisories are loaded."""
    done = gcloud.run(*DOCKER, "scan", "some/image", "--fake-extraction")

    assert 0 != done.returncode
    assert "no advisories of debian 7 are loaded" in done.stderr


def test_who_may_only_pull_scans_nothing(gcr: Gcr, project: str, tmp_path: Path) -> None:
    reader = gcr.gcloud(tmp_path, project, gcr.installation.robot(project, "roles/artifactregistry.reader"))

    for command in (("scan", "some/image", "--fake-extraction"), ("list-vulnerabilities", f"projects/{project}/locations/us/scans/x")):
        done = reader.run(*DOCKER, *command)
        assert 0 != done.returncode
        assert "ondemandscanning.scans." in done.stderr


def test_an_api_that_is_not_enabled_is_named(gcr: Gcr, tmp_path: Path) -> None:
    other = gcr.installation.project()
    gcloud = gcr.gcloud(tmp_path, other)

    refused = gcloud.run(*DOCKER, "scan", "some/image", "--fake-extraction")

    assert 0 != refused.returncode
    assert f"Enable it by visiting https://console.developers.google.com/apis/api/{API}/overview?project={other}" in refused.stderr
