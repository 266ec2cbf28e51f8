"""A real Debian with apache2, php and mariadb-client, pushed by the real Docker: what dpkg says, and what its tracker would say of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit import scanned
from tests.kit.accounts import Installation, installed
from tests.kit.debian import DebianImage, debian_image
from tests.kit.program import Program

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("scanned") / "data") as found:
        yield found


@pytest.fixture(scope="module")
def image(tools: Path) -> DebianImage:
    return debian_image(tools.parent)


@pytest.fixture(scope="module")
def pushed(docker: Program, installation: Installation, image: DebianImage) -> Iterator[tuple[str, str]]:
    """The repository and the digest."""
    project = scanned.project(installation)
    reference = f"{installation.server.authority}/{project}/php:v1"
    docker.run("load", "--input", image.saved)
    docker.run("tag", "debian-php:latest", reference)
    docker.run(
        "login", "-u", "oauth2accesstoken", "--password-stdin", installation.server.authority, stdin=installation.owner_token.encode()
    )
    docker.run("push", reference)
    accept = "application/vnd.docker.distribution.manifest.v2+json"
    answer = installation.owner.get(f"/v2/{project}/php/manifests/v1", headers={"Accept": accept})
    yield f"{project}/php", str(answer.headers["docker-content-digest"])
    docker.attempt("rmi", "--force", reference, "debian-php:latest")


def bill(installation: Installation, repository: str, digest: str) -> list[dict[str, Any]]:
    """The packages of its bill of materials."""
    project = repository.partition("/")[0]
    made = installation.owner.post(
        f"/v1/projects/{project}/resources/{scanned.url(repository, digest)}:exportSBOM", json={"format": "CYCLONEDX"}
    )
    assert 200 == made.status_code, made.text
    occurrence = installation.owner.get(f"/v1/{made.json()['discoveryOccurrence']}").json()
    blob = occurrence["sbomReference"]["payload"]["predicate"]["digest"]["sha256"]
    components = json.loads(installation.owner.get(f"/v2/{repository}/blobs/sha256:{blob}").content)["components"]
    return [each for each in components if each["type"] == "library"]


def test_the_inventory_is_what_dpkg_says(installation: Installation, pushed: tuple[str, str], image: DebianImage) -> None:
    """Every package, with its version, its source, the source's version and its architecture."""
    repository, digest = pushed
    scanned.scanned(installation.owner, repository, digest)

    found = set()
    for each in bill(installation, repository, digest):
        said = {one["name"].removeprefix("roadstead:package:"): one["value"] for one in each["properties"]}
        if said["kind"] == "dpkg":
            architecture = each["purl"].partition("arch=")[2].partition("&")[0]
            source = (said.get("source", each["name"]), said.get("source-version", each["version"]))
            found.add((each["name"], each["version"], *source, architecture))

    assert image.installed[1] == found
    assert {"apache2", "mariadb-client"} <= {name for name, *_ in found}
    assert len(found) >= 100


def test_findings_are_those_of_the_tracker(installation: Installation, pushed: tuple[str, str], image: DebianImage, tmp_path: Path) -> None:
    """Of real sources: one is mended in a newer version, in this one, in an older one, in none, and never was affected."""
    repository, digest = pushed
    scanned.scanned(installation.owner, repository, digest)
    versions = {source: version for _, _, source, version, _ in image.installed[1]}
    sources = ["apache2", "mariadb", "openssl", "glibc", "zlib", "curl", "perl"]
    known = {source: versions[source] for source in sources if source in versions}
    assert len(known) >= 5, versions
    states = [
        lambda version: {"status": "resolved", "fixed_version": f"{version}+deb12u99", "urgency": "high"},
        lambda version: {"status": "resolved", "fixed_version": version, "urgency": "high"},
        lambda version: {"status": "resolved", "fixed_version": f"{version}~earlier", "urgency": "high"},
        lambda version: {"status": "open", "urgency": "unimportant"},
        lambda version: {"status": "resolved", "fixed_version": "0", "urgency": "high"},
    ]
    names = {
        (source, number): f"CVE-2026-{1000 + 10 * place + number}" for place, source in enumerate(known) for number in range(len(states))
    }
    tracker = {
        source: {names[source, number]: state(version) for number, state in enumerate(states)} for source, version in known.items()
    }  # fmt: skip

    scanned.import_feeds(installation, {"debian-tracker": scanned.tracker(tmp_path, tracker)})

    expected = set()
    for source, version in known.items():
        expected.add((names[source, 0], source, version, f"{version}+deb12u99", "HIGH"))
        expected.add((names[source, 3], source, version, "", "MINIMAL"))
    assert expected == scanned.vulnerabilities(installation.owner, repository, digest)
    said = scanned.scanned(installation.owner, repository, digest)
    assert ("FINISHED_SUCCESS", "cpe:/o:debian:debian_linux:12") == (said["analysisStatus"], said["cpe"])


def test_a_second_image_on_it_is_scanned_in_its_own_layer_only(
    docker: Program, installation: Installation, pushed: tuple[str, str], tmp_path: Path
) -> None:
    """Built on it by Docker, and pushed: its layers are known, and the new one upgrades nothing."""
    repository, digest = pushed
    scanned.scanned(installation.owner, repository, digest)
    project = repository.partition("/")[0]
    base = f"{installation.server.authority}/{repository}:v1"
    derived = f"{installation.server.authority}/{project}/derived:v1"
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nCOPY Dockerfile /srv/Dockerfile\n")
    docker.run("build", "--network=none", "--tag", derived, tmp_path)
    docker.run("push", derived)
    accept = "application/vnd.docker.distribution.manifest.v2+json"
    answer = installation.owner.get(f"/v2/{project}/derived/manifests/v1", headers={"Accept": accept})
    own = str(answer.headers["docker-content-digest"])

    scanned.scanned(installation.owner, f"{project}/derived", own)

    assert bill(installation, repository, digest) == bill(installation, f"{project}/derived", own)
    docker.attempt("rmi", "--force", derived)
