"""
`roadstead container images` beside `gcloud container images`, with the same words on the same data: what they print must be the same.

gcloud reaches the server under Google's own names through a proxy (contract.md, section 0, mode D).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kit.accounts import WITH_ACCOUNTS, Installation
from tests.kit.google import GCloud, needs_gcloud
from tests.kit.images_place import logged_in
from tests.kit.push import image, index, push, push_blob
from tests.kit.terminal import Terminal
from tests.kit.tunnel import Tunnel, serving_securely

pytestmark = [pytest.mark.slow, needs_gcloud]

GOOGLES = ("gcr.io", "eu.gcr.io")


class UnderGooglesNames(GCloud):
    """gcloud that finds gcr.io at the end of the tunnel, and believes its authority."""

    def __init__(self, installation: Installation, folder: Path, tunnel: Tunnel, ca: Path, project: str) -> None:
        super().__init__(installation, folder)
        host, _, port = tunnel.environment["HTTPS_PROXY"].removeprefix("http://").partition(":")
        self._env |= {
            "CLOUDSDK_PROXY_TYPE": "http",
            "CLOUDSDK_PROXY_ADDRESS": host,
            "CLOUDSDK_PROXY_PORT": port,
            "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": str(ca),
            "CLOUDSDK_CORE_PROJECT": project,
        }


@dataclass(frozen=True, slots=True)
class Both:
    project: str
    digests: dict[str, str]
    gcloud: UnderGooglesNames
    roadstead: Terminal

    def run(self, *arguments: str) -> tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]]:
        """The same words to each: gcloud first."""
        words = [each.format(project=self.project, **self.digests) for each in arguments]
        return self.gcloud.run("container", "images", *words), self.roadstead.run("container", "images", *words)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("images")
    tls = folder / "tls"
    names = [f"--host={name}" for name in (*GOOGLES, "localhost", "127.0.0.1")]
    subprocess.run([sys.executable, "-m", "roadstead", "tls", "self-signed", "--out", tls, *names], capture_output=True, check=True)
    with serving_securely(folder / "data", tls, env=WITH_ACCOUNTS) as server:
        installation = Installation(server)
        tunnel = Tunnel(server.port)
        project = installation.project()
        digests = pushed(installation, project)
        gcloud = UnderGooglesNames(installation, folder / "gcloud", tunnel, tls / "ca.pem", project)
        roadstead = logged_in(installation, folder / "home", ROADSTEAD_PROJECT=project)
        yield Both(project, digests, gcloud, roadstead)
        tunnel.close()


def pushed(installation: Installation, project: str) -> dict[str, str]:
    """Images of different times, with several tags, one and none; one without a time, an index, and one in a folder."""
    digests: dict[str, str] = {}
    documents = []
    with installation.client(installation.owner_token, Host="gcr.io") as client:
        for name, created, tags in (
            ("old", "2020-02-29T23:59:59.600Z", ["v1"]),
            ("newer", "2023-06-15T10:15:27.4Z", ["v2", "stable", "30e5504145"]),
            ("bare", "2022-01-01T00:00:00Z", []),
            ("timeless", "", ["reproducible"]),
        ):
            config = json.dumps({"os": "linux", "name": name, **({"created": created} if created else {})}).encode()
            layer = f"layer of {name}".encode()
            for blob in (config, layer):
                push_blob(client, f"{project}/web", blob)
            document = image(config, [layer])
            documents.append(document)
            digests[name] = document.digest
            for reference in tags or [document.digest]:
                assert 201 == push(client, f"{project}/web", document, reference).status_code
        assert 201 == push(client, f"{project}/web", index(documents[:2]), "multi").status_code
        config = b'{"created": "2021-01-01T00:00:00Z"}'
        push_blob(client, f"{project}/team/api", config)
        assert 201 == push(client, f"{project}/team/api", image(config, []), "v1").status_code
    return digests


LISTINGS = [
    pytest.param(["list"], id="list"),
    pytest.param(["list", "--repository=eu.gcr.io/{project}"], id="list-other-location"),
    pytest.param(["list-tags", "gcr.io/{project}/web"], id="list-tags"),
    pytest.param(["list-tags", "gcr.io/{project}/web", "--sort-by=timestamp"], id="list-tags-oldest-first"),
    pytest.param(["list-tags", "gcr.io/{project}/web", "--filter=-tags:*", "--format=get(digest)"], id="list-tags-to-clean"),
    pytest.param(["list-tags", "gcr.io/{project}/web", "--filter='tags:30e5504145'"], id="list-tags-one-tag"),
    pytest.param(["list-tags", "gcr.io/{project}/web", "--filter=timestamp.datetime < '2021-01-01'"], id="list-tags-older"),
    pytest.param(["describe", "gcr.io/{project}/web:v1"], id="describe"),
    pytest.param(["describe", "gcr.io/{project}/web:multi"], id="describe-index"),
    pytest.param(["describe", "gcr.io/{project}/web@{bare:.20}"], id="describe-short-digest"),
]


@pytest.mark.parametrize("words", LISTINGS)
def test_it_prints_what_gcloud_prints(both: Both, words: list[str]) -> None:
    """On standard output to the letter; on the other, at least the same sentences."""
    theirs, ours = both.run(*words)

    assert 0 == theirs.returncode, theirs.stderr
    assert theirs.stdout == ours.stdout
    assert 0 == ours.returncode
    for line in filter(None, theirs.stderr.splitlines()):
        assert line in ours.stderr


@pytest.mark.parametrize("format", ["json", "csv(digest, tags, timestamp.datetime)", "value(digest, tags)"])
def test_list_tags_in_each_format(both: Both, format: str) -> None:
    theirs, ours = both.run("list-tags", "gcr.io/{project}/web", f"--format={format}")

    assert 0 == theirs.returncode, theirs.stderr
    assert theirs.stdout == ours.stdout


@pytest.mark.parametrize("format", ["json", "value(name)"])
def test_list_in_each_format(both: Both, format: str) -> None:
    theirs, ours = both.run("list", f"--format={format}")

    assert theirs.stdout == ours.stdout
    assert theirs.returncode == ours.returncode


REFUSALS = [
    pytest.param(["list-tags", "gcr.io/{project}/web:v1"], id="list-tags-with-tag"),
    pytest.param(["describe", "gcr.io/{project}/web:nosuch"], id="describe-missing"),
    pytest.param(["describe", "gcr.io/{project}/web@sha256:123x"], id="describe-no-digest"),
    pytest.param(["untag", "gcr.io/{project}/web"], id="untag-without-tag"),
    pytest.param(["delete", "gcr.io/{project}/web@{newer}", "--quiet"], id="delete-tagged"),
]


@pytest.mark.parametrize("words", REFUSALS)
def test_it_refuses_in_gclouds_words(both: Both, words: list[str]) -> None:
    theirs, ours = both.run(*words)

    assert 1 == theirs.returncode, theirs.stderr
    sentence = theirs.stderr.strip().splitlines()[-1].partition(") ")[2]
    assert sentence
    assert sentence in ours.stderr
    assert 1 == ours.returncode


def test_what_is_done_is_told_in_gclouds_words(both: Both) -> None:
    """Each does to its own image what the other does."""
    said = []
    for name, program in (("theirs", both.gcloud.run), ("ours", both.roadstead.run)):
        steps = [
            ("add-tag", f"gcr.io/{both.project}/web:v1", f"gcr.io/{both.project}/{name}:one", f"gcr.io/{both.project}/{name}:two"),
            ("untag", f"gcr.io/{both.project}/{name}:two"),
            ("delete", f"gcr.io/{both.project}/{name}:one"),
        ]
        done = [program("container", "images", *step, "--quiet") for step in steps]
        assert [0, 0, 0] == [each.returncode for each in done], [each.stderr for each in done]
        assert ["", "", ""] == [each.stdout for each in done]
        said.append([line for each in done for line in each.stderr.replace(f"/{name}", "/it").splitlines() if line])

    assert said[0] == said[1]
