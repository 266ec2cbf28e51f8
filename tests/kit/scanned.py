"""Images with package databases of a test's choice, in projects whose pushes are scanned, and feeds of advisories for them."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.kit import push as pushing
from tests.kit.accounts import Installation
from tests.kit.layers import OS_RELEASE, layer, stanza
from tests.kit.load import descriptor
from tests.kit.push import CONFIG_TYPE, Document, document, push_blob
from tests.kit.terminal import Terminal

LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
SCANNING_API = "containerscanning.googleapis.com"
WAIT_SECONDS = 30


def project(installation: Installation) -> str:
    """A new one whose pushes are scanned."""
    name = installation.project()
    installation.enable(name, SCANNING_API)
    return name


def alpine(release: str, packages: Mapping[str, str]) -> dict[str, str]:
    """The files that tell of an Alpine with these packages; `name` or `name/origin` → version."""
    stanzas = [_apk(*name.partition("/")[::2], version) for name, version in packages.items()]
    return {
        "etc/os-release": f'ID=alpine\nVERSION_ID={release}.0\nPRETTY_NAME="Alpine Linux v{release}"\n',
        "lib/apk/db/installed": "\n".join(stanzas),
    }


def _apk(name: str, origin: str, version: str) -> str:
    return f"P:{name}\nV:{version}\nA:x86_64\no:{origin or name}\n"


def debian(*stanzas: str) -> dict[str, str]:
    """The files of a Debian 12 with these packages (layers.stanza)."""
    return {"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": "".join(stanzas)}


def ubuntu(release: str, packages: Mapping[str, str]) -> dict[str, str]:
    """The files of an Ubuntu; package → version, of source and binary alike."""
    return {
        "etc/os-release": f'ID=ubuntu\nVERSION_ID="{release}"\nPRETTY_NAME="Ubuntu {release} LTS"\n',
        "var/lib/dpkg/status": "".join(stanza(name, version) for name, version in packages.items()),
    }


def push(client: httpx.Client, repository: str, layers: Sequence[Mapping[str, Any]], tag: str = "", unique: str = "") -> Document:
    """An image of layers with these files."""
    packed = [(gzip.compress(layer(files), mtime=0), LAYER_TYPE) for files in layers]
    return push_packed(client, repository, packed, tag, unique)


def push_packed(client: httpx.Client, repository: str, layers: Sequence[tuple[bytes, str]], tag: str = "", unique: str = "") -> Document:
    """An image of these bytes, each with its media type."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}, "comment": unique}).encode()
    push_blob(client, repository, config)
    described = []
    for content, media_type in layers:
        push_blob(client, repository, content)
        described.append(descriptor(content, media_type))
    made = document(config=descriptor(config, CONFIG_TYPE), layers=described)
    response = pushing.push(client, repository, made, tag or made.digest)
    assert response.status_code == 201, response.text
    return made


def secdb(folder: Path, release: str, fixes: Mapping[str, Mapping[str, Iterable[str]]], name: str = "main") -> Path:
    """A file of Alpine's secdb: package → fixed version → vulnerabilities."""
    packages = [
        {"pkg": {"name": package, "secfixes": {version: list(found) for version, found in of.items()}}} for package, of in fixes.items()
    ]
    file = folder / f"{name}-{release}-{time.monotonic_ns()}.json"
    file.write_text(json.dumps({"distroversion": f"v{release}", "reponame": name, "packages": packages}))
    return file


def import_feed(installation: Installation, feed: str, *files: Path, wait: bool = True) -> str:
    """What the command printed."""
    options = ["--wait"] if wait else []
    done = installation.server.run("advisories", "import", "--feed", feed, *options, *map(str, files))
    assert done.returncode == 0, done.stderr
    return done.stdout


def import_feeds(installation: Installation, feeds: Mapping[str, Path], *options: str) -> None:
    """Several, in one process and in this order."""
    server = installation.server
    own = Terminal(server.data.parent, **{name: value for name, value in server.env.items() if name.startswith("ROADSTEAD_")})
    load = ["advisories", "import", "--wait", "--data", str(server.data), *options]
    for code, _, problem in own.several([[*load, "--feed", feed, str(file)] for feed, file in feeds.items()]):
        assert code == 0, problem


def tracker(folder: Path, packages: Mapping[str, Mapping[str, Mapping[str, str]]], release: str = "bookworm") -> Path:
    """The Debian tracker's JSON of one release: source package → vulnerability → what it says there."""
    said = {
        package: {
            name: {"description": f"about {name}", "scope": "local", "releases": {release: {"repositories": {}, **about}}}
            for name, about in of.items()
        }
        for package, of in packages.items()
    }
    return _written(folder, "tracker", said)


def osv(folder: Path, *records: Mapping[str, Any]) -> Path:
    """A list of OSV records."""
    return _written(folder, "osv", list(records))


def osv_record(name: str, ecosystem: str, package: str, fixed: str = "", vector: str = "", word: str = "", **more: Any) -> dict[str, Any]:
    """One vulnerability of one package. vector: CVSS 3.1 without its beginning. word: Ubuntu's priority."""
    severity = [{"type": "CVSS_V3", "score": f"CVSS:3.1/{vector}"}] if vector else []
    severity += [{"type": "Ubuntu", "score": word}] if word else []
    events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
    affected = {"package": {"ecosystem": ecosystem, "name": package}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": name, "modified": "2026-01-02T00:00:00Z", "severity": severity, "affected": [affected], **more}


def _written(folder: Path, name: str, content: Any) -> Path:
    file = folder / f"{name}-{time.monotonic_ns()}.json"
    file.write_text(json.dumps(content))
    return file


def occurrences(client: httpx.Client, project: str, filter: str = "", **more: Any) -> list[dict[str, Any]]:
    """All of a project, page by page."""
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        response = client.get(f"/v1/projects/{project}/occurrences", params={"filter": filter, "pageToken": token, **more})
        assert response.status_code == 200, response.text
        found += response.json().get("occurrences", [])
        token = response.json().get("nextPageToken", "")
        if not token:
            return found


def url(repository: str, digest: str, host: str = "gcr.io") -> str:
    """What an image is called in occurrences."""
    return f"https://{host}/{repository}@{digest}"


def discovery(client: httpx.Client, image: str) -> dict[str, Any] | None:
    """How far the scan of the image with this address is."""
    found = occurrences(client, image.split("/")[3], f'kind="DISCOVERY" AND resourceUrl="{image}"')
    return dict(found[0]["discovery"]) if found else None


def scanned(client: httpx.Client, repository: str, digest: str, host: str = "gcr.io") -> dict[str, Any]:
    """The discovery of an image as soon as its scan has ended."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        said = discovery(client, url(repository, digest, host))
        if said is not None and said["analysisStatus"].startswith("FINISHED"):
            return said
        time.sleep(0.05)
    raise AssertionError(f"{repository}@{digest} is not scanned: {said}")


def vulnerabilities(client: httpx.Client, repository: str, digest: str, host: str = "gcr.io") -> set[tuple[str, str, str, str, str]]:
    """Vulnerability, source package, its version, the version that fixes it, and the effective severity."""
    repository_url = url(repository, digest, host)
    found = occurrences(client, repository.split("/", maxsplit=1)[0], f'kind="VULNERABILITY" AND resourceUrl="{repository_url}"')
    return {_short(each["vulnerability"]) for each in found}


def _short(said: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    issue = said["packageIssue"][0]
    fixed = issue["fixedVersion"].get("fullName", "")
    return said["shortDescription"], issue["affectedPackage"], issue["affectedVersion"]["fullName"], fixed, said["effectiveSeverity"]
