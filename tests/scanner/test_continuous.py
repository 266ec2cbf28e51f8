"""One image under a series of real editions of Alpine's secdb: what each edition brings, takes away and changes is found, exactly."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from roadstead.scanner.advisories import feeds
from roadstead.scanner.advisories.advisory import Advisory, Form
from roadstead.scanner.advisories.tally import Tally
from roadstead.scanner.inventory import Distro, Package
from roadstead.scanner.match import Finding, match_all
from tests.kit.data import FOLDER, each_file, load, needs_data

Findings = dict[tuple[str, str], Finding]


def read(path: Path) -> list[Advisory]:
    return list(feeds.read(path, "secdb", Tally()))


def find(release: str, packages: list[Package], advisories: list[Advisory]) -> Findings:
    known: dict[tuple[str, str, str], list[Advisory]] = {}
    for advisory in advisories:
        known.setdefault((advisory.ecosystem, advisory.release, advisory.package), []).append(advisory)
    report = match_all(Distro("alpine", release), packages, lambda *key: known.get(key, []), {Form.ALPINE}, date(2026, 1, 1))
    found = {(finding.id, finding.package.name): finding for finding in report.findings}
    assert len(found) == len(report.findings)
    return found


def packages(rows: list[dict[str, str]]) -> list[Package]:
    return [
        Package("apk", row["name"], row["version"], row["source_name"], row["source_version"], row["arch"], "lib/apk/db/installed")
        for row in rows
    ]


def names(rows: list[list[str]]) -> set[tuple[str, str]]:
    """The vulnerability and the package of each row; some have the version as well."""
    return {(row[0], row[1]) for row in rows}


@pytest.mark.parametrize("path", each_file("continuous/*.json"))
def test_every_edition_gives_its_findings(path: Path) -> None:
    case = load(path)
    before: Findings = {}
    for stage in case["stages"]:
        found = find(case["os"]["release"], packages(case["packages"]), read(FOLDER / stage["dir"]))

        assert {(row["id"], row["package"]) for row in stage["expected"]} == set(found), stage["date"]
        for row in stage["expected"]:
            assert found[row["id"], row["package"]].fixed in row["fixed_version_any_of"], row
        assert names(stage["created"]) == set(found) - set(before), stage["date"]
        assert names(stage["deleted"]) == set(before) - set(found), stage["date"]
        changed = {key for key in set(before) & set(found) if before[key].fixed != found[key].fixed}
        assert names(stage.get("changed_fix", [])) == changed
        before = found


@needs_data()
def test_a_whole_edition_gives_exactly_what_is_expected_of_an_image() -> None:
    """1,479 fixes of Alpine 3.7 and an image of it: nearly all of them are no findings."""
    case = load(FOLDER / "cases" / "secdb-alpine37-full.json")

    found = find("3.7", packages(case["packages"]), read(FOLDER / "advisories" / "alpine-secdb-2020-06-08" / "v3.7"))

    assert {(row["id"], row["package"]) for row in case["expected"]} == set(found)
    for row in case["expected"]:
        assert found[row["id"], row["package"]].fixed in row["fixed_version_any_of"]


@needs_data()
def test_what_two_editions_do_not_share_is_told_by_digests() -> None:
    """A new edition is compared with the old one by key and digest: what is the same in both needs no second look."""
    stages = load(FOLDER / "continuous" / "alpine36-secdb-events.json")["stages"]
    first, second = ({advisory.key: advisory.digest for advisory in read(FOLDER / stage["dir"])} for stage in stages[:2])

    assert first != second
    assert first == {advisory.key: advisory.digest for advisory in read(FOLDER / stages[0]["dir"])}
