"""
Real images and what other scanners, checked with the distributions' own version comparison, found in them: exactly that is found.

The reports are taken as given (a tool's wrong advisory is the input here); see README.md of the data.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from roadstead.scanner import cvss
from roadstead.scanner.advisories.advisory import Advisory, Cvss, Form, State
from roadstead.scanner.inventory import Distro, Package
from roadstead.scanner.match import Report, match_all
from tests.kit.data import each_file, load

FORMS = {"debian": Form.DEBIAN, "ubuntu": Form.OSV, "alpine": Form.ALPINE}
STATES = {
    "fixed": State.FIXED,
    "affected": State.AFFECTED,
    "will_not_fix": State.WONT_FIX,
    "fix_deferred": State.POSTPONED,
    "end_of_life": State.END_OF_LIFE,
    "not_affected": State.NOT_AFFECTED,
    "under_investigation": State.AFFECTED,
}


def vectors(row: dict[str, Any]) -> tuple[Cvss, ...]:
    parsed = (cvss.parse(row[name]) for name in ("cvss_v3", "cvss_v4", "cvss_v2") if row.get(name))
    return tuple(vector for vector in parsed if vector is not None)


def advisory(row: dict[str, Any]) -> Advisory:
    fixed = row["fixed_version"] or ""
    return Advisory(
        feed="case",
        form=FORMS[row["distro"]],
        record=row["id"],
        ecosystem=row["distro"],
        release=row["release"],
        package=row["package"],
        id=row["id"],
        state=State.NOT_AFFECTED if fixed == "0" else State.FIXED if fixed else STATES.get(row["status"], State.AFFECTED),
        introduced=row.get("introduced") or "",
        fixed=fixed if fixed != "0" else "",
        priority=(row.get("severity_vendor") or "").lower(),
        cvss=vectors(row),
    )


def packages(case: dict[str, Any]) -> list[Package]:
    kind = "apk" if case["os"]["distro"] == "alpine" else "dpkg"
    return [
        Package(kind, row["name"], row["version"], row["source_name"], row["source_version"], row["arch"], "var/lib/dpkg/status")  # type: ignore[arg-type]
        for row in case["packages"]
    ]


def report(case: dict[str, Any], advisories: list[Advisory]) -> Report:
    found: dict[tuple[str, str, str], list[Advisory]] = {}
    for each in advisories:
        found.setdefault((each.ecosystem, each.release, each.package), []).append(each)
    distro = Distro(case["os"]["distro"], case["os"]["release"])
    forms = {FORMS[distro.id]}
    return match_all(distro, packages(case), lambda *key: found.get(key, []), forms, date(2026, 1, 1))


@pytest.mark.parametrize("path", each_file("cases/*.json"))
def test_what_is_expected_is_found_and_nothing_else(path: Path) -> None:
    case = load(path)

    found = report(case, [advisory(row) for row in case["advisories"]])

    expected = {(row["id"], row["package"], row["installed_version"]) for row in case["expected"]}
    assert expected == {(each.id, each.package.name, each.package.version) for each in found.findings}
    assert len(case["expected"]) == len(found.findings), "one finding per package and vulnerability"
    assert found.supported


@pytest.mark.parametrize("path", each_file("cases/*.json"))
def test_fixes_and_severities_are_the_expected_ones(path: Path) -> None:
    """
    The severity is the distribution's, else the class of the score. Where the case has neither, only the tool has one, and we none.
    """
    case = load(path)

    found = {
        (each.id, each.package.name, each.package.version): each
        for each in report(case, [advisory(row) for row in case["advisories"]]).findings
    }

    for row in case["expected"]:
        finding = found[row["id"], row["package"], row["installed_version"]]
        assert finding.fixed in (row.get("fixed_version_any_of") or [row["fixed_version"] or ""]), row
        if row["severity_basis"] != "tool" or row["severity_expected"] == "SEVERITY_UNSPECIFIED":
            assert row["severity_expected"] == finding.severity.name, row


@pytest.mark.parametrize("path", each_file("cases/*.json"))
def test_scores_are_the_tools(path: Path) -> None:
    """CVSS v3.1, appendix A: whoever computes the score of a vector gets the same one."""
    for row in load(path)["advisories"]:
        for version in ("cvss_v3", "cvss_v2"):
            if row.get(version) and row.get(f"{version}_score") is not None:
                vector = cvss.parse(row[version])
                assert vector is not None, row[version]
                assert float(row[f"{version}_score"]) == cvss.score(vector), row[version]
