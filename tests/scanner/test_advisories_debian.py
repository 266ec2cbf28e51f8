"""The Debian security tracker's JSON: what it says of each release, and what that means for an image of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from roadstead.errors import FeedInvalid
from roadstead.scanner.advisories import debian
from roadstead.scanner.advisories.advisory import Advisory, Form, State
from roadstead.scanner.advisories.tally import Tally
from roadstead.scanner.severity import Severity, severity_of_word
from tests.kit.data import FOLDER, load, needs_data


def tracker(name: str = "CVE-2023-0001", package: str = "curl", **releases: dict[str, Any]) -> bytes:
    return json.dumps({package: {name: {"description": "A flaw.", "scope": "remote", "releases": releases}}}).encode()


def read(document: bytes) -> tuple[list[Advisory], Tally]:
    tally = Tally()
    return list(debian.read(document, "debian", tally)), tally


def only(document: bytes) -> Advisory:
    (advisory,), tally = read(document)
    assert 0 == tally.skipped
    return advisory


def test_what_is_resolved_was_fixed_with_a_version() -> None:
    advisory = only(tracker(bookworm={"status": "resolved", "fixed_version": "7.88.1-10+deb12u1", "urgency": "medium"}))

    expected = Advisory(
        feed="debian",
        form=Form.DEBIAN,
        record="CVE-2023-0001",
        ecosystem="debian",
        release="12",
        package="curl",
        id="CVE-2023-0001",
        state=State.FIXED,
        fixed="7.88.1-10+deb12u1",
        priority="medium",
        description="A flaw.",
        urls=("https://security-tracker.debian.org/tracker/CVE-2023-0001",),
    )
    assert expected == advisory


STATES = {
    "never-affected": ({"status": "resolved", "fixed_version": "0"}, State.NOT_AFFECTED, ""),
    "open": ({"status": "open"}, State.AFFECTED, ""),
    "undetermined": ({"status": "undetermined"}, State.UNDETERMINED, ""),
    "no-dsa": ({"status": "open", "nodsa": "Minor issue", "nodsa_reason": ""}, State.AFFECTED, "no-dsa: Minor issue"),
    "ignored": (
        {"status": "open", "nodsa": "Minor issue", "nodsa_reason": "ignored"},
        State.WONT_FIX,
        "no-dsa, ignored: Minor issue",
    ),
    "postponed": ({"status": "open", "nodsa": "Later", "nodsa_reason": "postponed"}, State.POSTPONED, "no-dsa, postponed: Later"),
    "end-of-life": ({"status": "open", "urgency": "end-of-life"}, State.END_OF_LIFE, ""),
}


@pytest.mark.parametrize("case", STATES)
def test_a_status_has_its_meaning(case: str) -> None:
    said, state, note = STATES[case]

    advisory = only(tracker(bookworm=said))

    assert (state, note, "") == (advisory.state, advisory.note, advisory.fixed)


@pytest.mark.parametrize(
    ("urgency", "severity"),
    [
        ("unimportant", Severity.MINIMAL),
        ("low", Severity.LOW),
        ("low**", Severity.LOW),
        ("medium", Severity.MEDIUM),
        ("high**", Severity.HIGH),
        ("not yet assigned", Severity.SEVERITY_UNSPECIFIED),
        ("end-of-life", Severity.SEVERITY_UNSPECIFIED),
        ("", Severity.SEVERITY_UNSPECIFIED),
    ],
)
def test_an_urgency_is_a_severity(urgency: str, severity: Severity) -> None:
    """Asterisks mark those that the tracker took over from NVD."""
    assert severity is severity_of_word(only(tracker(bookworm={"status": "open", "urgency": urgency})).priority)


def test_each_release_has_an_advisory_and_codenames_are_numbers() -> None:
    said = {"status": "open"}
    found, tally = read(tracker(**{name: said for name in ("buster", "trixie", "sid", "bookworm-security", "zurg")}))

    assert {"10", "13", "sid"} == {advisory.release for advisory in found}
    assert Tally(records=3) == tally


def test_temporary_names_are_kept() -> None:
    assert "TEMP-0000000-0CA7E3" == only(tracker(name="TEMP-0000000-0CA7E3", bookworm={"status": "open"})).id


def test_broken_records_are_skipped_and_counted() -> None:
    document = {
        "bash": {"CVE-2020-0001": {"releases": {"bookworm": {"status": "open"}}}},
        "bad name": {"CVE-2020-0002": {"releases": {"bookworm": {"status": "open"}}}},
        "curl": {"CVE-2020-0003": {"releases": 5}, "CVE 2020 4": {"releases": {}}, "CVE-2020-0006": {"releases": []}},
        "dash": [],
        "zlib": {
            "CVE-2020-0005": {
                "releases": {
                    "bookworm": {"status": "resolved"},
                    "bullseye": {"status": "vanished"},
                    "buster": {"status": 1},
                    "sid": {"status": "open"},
                }
            }
        },
    }

    found, tally = read(json.dumps(document).encode())

    assert [("bash", "12"), ("zlib", "sid")] == [(advisory.package, advisory.release) for advisory in found]
    assert 7 == tally.skipped


@pytest.mark.parametrize("document", [b"invalid", b"[]", b'{"a": ', b"\xff"], ids=range(4))
def test_anything_else_is_refused(document: bytes) -> None:
    with pytest.raises(FeedInvalid):
        read(document)


def test_texts_are_bounded_and_harmless() -> None:
    """They are shown in terminals and pages."""
    document = json.dumps({"a": {"CVE-2020-0001": {"description": "\x1b[31m" + "x" * 9_000, "releases": {"sid": {"status": "open"}}}}})

    (advisory,), _ = read(document.encode())

    assert len(advisory.description) == 4_000
    assert "\x1b" not in advisory.description


VUNNEL = {
    "unimportant": "Negligible",
    "low": "Low",
    "medium": "Medium",
    "high": "High",
    "not yet assigned": "Unknown",
    "end-of-life": "Unknown",
}


@needs_data()
def test_a_tracker_says_what_vunnel_reads_in_it() -> None:
    """Another reader's result, record by record; some of its records are from other sources and are left out here."""
    document = FOLDER / "advisories/vunnel/debian/input/debian.json"
    found: dict[tuple[str, str, str], tuple[str, str]] = {}
    for advisory in debian.read(document.read_bytes(), "debian", Tally()):
        fixed = "0" if advisory.state is State.NOT_AFFECTED else advisory.fixed or "None"
        if advisory.state is not State.UNDETERMINED:
            found[advisory.id, advisory.release, advisory.package] = fixed, VUNNEL[advisory.priority]

    expected = {}
    for path in (FOLDER / "advisories/vunnel/debian/snapshots").glob("debian:*/*.json"):
        item = load(path)["item"]["Vulnerability"]
        release = item["NamespaceName"].removeprefix("debian:").replace("unstable", "sid")
        for fix in item["FixedIn"]:
            key = item["Name"], release, fix["Name"]
            if fix["Name"] in load(document) and release != "7":
                expected[key] = fix["Version"], item["Severity"]
    assert len(expected) > 15
    assert expected == found
