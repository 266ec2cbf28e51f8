"""`roadstead scan`: what is in an image on this machine, without a server."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.kit import scanned
from tests.kit.layers import layer
from tests.kit.push import digest
from tests.kit.terminal import Terminal

SYSTEM = scanned.alpine("3.18", {"libssl3/openssl": "3.1.2-r0", "musl": "1.2.5-r0"})
FOUND = 3


@pytest.fixture
def advisories(tmp_path: Path) -> str:
    return str(scanned.secdb(tmp_path, "3.18", {"openssl": {"3.1.4-r0": ["CVE-2026-3001"]}, "musl": {"1.2.5-r0": ["CVE-2026-3002"]}}))


@pytest.fixture
def scores(tmp_path: Path) -> str:
    vector = "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    return str(scanned.osv(tmp_path, scanned.osv_record("ALPINE-CVE-2026-3001", "Alpine:v3.18", "openssl", "3.1.4-r0", vector)))


def folder(root: Path, files: Mapping[str, str]) -> str:
    for path, text in files.items():
        (root / "fs" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "fs" / path).write_text(text)
    return str(root / "fs")


def saved(root: Path, *layers: bytes) -> str:
    """As `docker save` writes it."""
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": [digest(each) for each in layers]}}).encode()
    named = {f"{number}/layer.tar": content for number, content in enumerate(layers)}
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["web:v1"], "Layers": list(named)}]).encode()
    with tarfile.open(root / "web.tar", "w") as tar:
        for name, content in {"manifest.json": manifest, "config.json": config, **named}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return str(root / "web.tar")


def test_a_saved_image_and_a_folder_have_the_same_findings(terminal: Terminal, tmp_path: Path, advisories: str, scores: str) -> None:
    options = ["--advisories", advisories, "--advisories", scores]

    of_image = terminal.json("scan", saved(tmp_path, layer(SYSTEM)), *options)
    of_folder = terminal.json("scan", folder(tmp_path, SYSTEM), *options)

    assert of_image == of_folder
    assert [("CVE-2026-3001", "CRITICAL", "libssl3", "openssl", "3.1.2-r0", "3.1.4-r0", 9.8)] == [
        (each["id"], each["severity"], each["package"], each["source"], each["version"], each["fixed"], each["score"]) for each in of_image
    ]


def test_a_pipeline_stops_at_what_is_severe(terminal: Terminal, tmp_path: Path, advisories: str, scores: str) -> None:
    image = folder(tmp_path, SYSTEM)
    with_scores = ["scan", image, "--advisories", advisories, "--advisories", scores]

    codes = [
        code
        for code, _, _ in terminal.several(
            [
                [*with_scores, "--fail-on", "critical"],
                [*with_scores, "--fail-on", "LOW"],
                with_scores,
                ["scan", image, "--advisories", advisories, "--fail-on", "LOW"],
            ]
        )
    ]

    assert [FOUND, FOUND, 0, 0] == codes


def test_packages_and_bills_need_no_advisories(terminal: Terminal, tmp_path: Path) -> None:
    image = folder(tmp_path, SYSTEM)

    (code, packages, _), (_, spdx, _), (_, cyclonedx, _) = terminal.several(
        [["scan", image, "--packages", "--format", "json"], ["scan", image, "--sbom", "spdx"], ["scan", image, "--sbom", "cyclonedx"]]
    )

    assert (0, ["libssl3", "musl"]) == (code, sorted(each["name"] for each in json.loads(packages)))
    assert "SPDX-2.3" == json.loads(spdx)["spdxVersion"]
    assert "CycloneDX" == json.loads(cyclonedx)["bomFormat"]


def test_what_is_not_known_is_not_clean(terminal: Terminal, tmp_path: Path, advisories: str) -> None:
    """Another release than the advisories', and nothing that tells a distribution."""
    (tmp_path / "empty").mkdir()
    other = folder(tmp_path, scanned.alpine("3.19", {"openssl": "3.1.2-r0"}))

    told = terminal.several([["scan", other, "--advisories", advisories], ["scan", str(tmp_path / "empty"), "--advisories", advisories]])

    assert [0, 0] == [code for code, _, _ in told]
    assert ["could not be checked" in told[0][2], "tells its distribution" in told[1][2]] == [True, True]
    assert not any("No vulnerabilities" in said + problem for _, said, problem in told)


def test_a_release_that_has_ended_says_so(terminal: Terminal, tmp_path: Path) -> None:
    old = str(scanned.secdb(tmp_path, "3.12", {"openssl": {"1.1.1l-r0": ["CVE-2026-3001"]}}))

    done = terminal.run("scan", folder(tmp_path, scanned.alpine("3.12", {"openssl": "1.1.1k-r0"})), "--advisories", old)

    assert "CVE-2026-3001" in done.stdout
    assert "alpine 3.12 gets no more advisories (end of life)" in done.stderr


def test_wrong_usage_of_scan_is_told(terminal: Terminal, tmp_path: Path, advisories: str) -> None:
    image = folder(tmp_path, SYSTEM)
    (tmp_path / "broken.json").write_text("{}")
    (tmp_path / "broken.tar").write_bytes(b"no image" * 200)

    answers = terminal.several(
        [
            ["scan", image],
            ["scan", image, "--advisories", advisories, "--fail-on", "terrible"],
            ["scan", image, "--sbom", "pdf"],
            ["scan", image, "--advisories", str(tmp_path / "absent.json")],
            ["scan", image, "--advisories", str(tmp_path / "broken.json")],
            ["scan", str(tmp_path / "absent"), "--packages"],
            ["scan", str(tmp_path / "broken.tar"), "--packages"],
        ]
    )

    assert [2, 2, 2, 1, 1, 1, 1] == [code for code, _, _ in answers], answers
    words = ["--advisories FILE", "--fail-on is one of", "--sbom is", "no file or folder", "is no feed", "absent", "broken.tar"]
    for word, (_, said, problem) in zip(words, answers, strict=True):
        assert ("", True) == (said, word in problem), problem
        assert "Traceback" not in problem
