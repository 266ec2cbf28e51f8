"""OSV records as osv.dev and Canonical publish them (ossf.github.io/osv-schema)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from roadstead.errors import FeedInvalid
from roadstead.scanner.advisories import feeds, osv
from roadstead.scanner.advisories.advisory import Advisory, Cvss, Form, State
from roadstead.scanner.advisories.ecosystems import Place, place_of
from roadstead.scanner.advisories.tally import Tally
from tests.kit.data import FOLDER, each_file, needs_data

VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


def affected(ecosystem: str, name: str = "curl", *events: dict[str, str], **more: object) -> dict[str, object]:
    ranges = [{"type": "ECOSYSTEM", "events": list(events) or [{"introduced": "0"}]}]
    return {"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges, "versions": ["1", "2"], **more}


def record(*entries: dict[str, object], id: str = "UBUNTU-CVE-2023-0001", **more: object) -> bytes:
    return json.dumps({"schema_version": "1.7.0", "id": id, "modified": "2026-04-22T07:39:49Z", "affected": entries, **more}).encode()


def read(document: bytes) -> tuple[list[Advisory], Tally]:
    tally = Tally()
    return list(osv.read(document, "osv", tally)), tally


def only(document: bytes) -> Advisory:
    (advisory,), tally = read(document)
    assert 0 == tally.skipped
    return advisory


def test_a_record_is_an_advisory_for_each_release_and_package() -> None:
    document = record(
        affected("Ubuntu:22.04:LTS", "wayland", {"introduced": "0"}, {"fixed": "1.20.0-1ubuntu0.1"}),
        affected("Ubuntu:25.10", "wayland"),
        summary="A flaw",
        details="Of wayland.",
        upstream=["CVE-2023-0001"],
        severity=[{"type": "CVSS_V3", "score": VECTOR}, {"type": "CVSS_V3", "score": VECTOR}, {"type": "Ubuntu", "score": "medium"}],
        references=[{"type": "REPORT", "url": "https://ubuntu.com/security/CVE-2023-0001"}, {"type": "WEB", "url": "javascript:alert(1)"}],
    )

    (first, second), tally = read(document)

    expected = Advisory(
        feed="osv",
        form=Form.OSV,
        record="UBUNTU-CVE-2023-0001",
        ecosystem="ubuntu",
        release="22.04",
        package="wayland",
        id="CVE-2023-0001",
        state=State.FIXED,
        fixed="1.20.0-1ubuntu0.1",
        priority="medium",
        cvss=(Cvss("3.1", VECTOR),),
        summary="A flaw",
        description="Of wayland.",
        urls=("https://ubuntu.com/security/CVE-2023-0001",),
        modified_at="2026-04-22T07:39:49Z",
    )
    assert expected == first
    assert ("25.10", State.AFFECTED, "") == (second.release, second.state, second.fixed)
    assert Tally(records=2) == tally


PLACES = {
    "Ubuntu:22.04:LTS": Place("ubuntu", "22.04"),
    "Ubuntu:22.04": Place("ubuntu", "22.04"),
    "Ubuntu:Pro:18.04:LTS": Place("ubuntu", "18.04", subscription=True),
    "Debian:12": Place("debian", "12"),
    "Debian:6.0": Place("debian", "6"),
    "Debian:3.1": Place("debian", "3.1"),
    "Alpine:v3.18": Place("alpine", "3.18"),
    "Alpine:edge": Place("alpine", "edge"),
    "PyPI": Place("pypi", ""),
    "Ubuntu": None,
    "Debian": None,
    "Ubuntu:Pro:FIPS:22.04:LTS": None,
    "Ubuntu:Pro:FIPS-updates:20.04:LTS": None,
    "Rocky Linux:9": None,
    "crates.io": None,
}


@pytest.mark.parametrize("name", PLACES)
def test_an_ecosystem_is_a_distribution_and_a_release(name: str) -> None:
    """Feeds say `Ubuntu:22.04:LTS`, scanners `Ubuntu:22.04`: who compares them as they are finds nothing."""
    assert PLACES[name] == place_of(name)


def test_fixed_in_zero_says_that_it_is_not_affected() -> None:
    """Not that every version is affected: trackers say so of what never was in the release."""
    advisory = only(record(affected("Debian:12", "curl", {"introduced": "0"}, {"fixed": "0"})))

    assert (State.NOT_AFFECTED, "", "") == (advisory.state, advisory.introduced, advisory.fixed)


SPANS: dict[str, tuple[list[dict[str, str]], list[tuple[str, str, str]]]] = {
    "open": ([{"introduced": "0"}], [("", "", "")]),
    "since": ([{"introduced": "2"}], [("2", "", "")]),
    "twice": (
        [{"introduced": "0"}, {"fixed": "1.5"}, {"introduced": "2"}, {"fixed": "2.5"}],
        [("", "1.5", ""), ("2", "2.5", "")],
    ),
    "in any order": (
        [{"fixed": "10.5"}, {"introduced": "2"}, {"fixed": "1.5"}, {"introduced": "0"}],
        [("", "1.5", ""), ("2", "10.5", "")],
    ),
    "end first": ([{"fixed": "2"}, {"introduced": "1"}], [("1", "2", "")]),
    "last affected": ([{"introduced": "0"}, {"last_affected": "3"}], [("", "", "3")]),
    "introduced again": ([{"introduced": "1"}, {"introduced": "2"}, {"fixed": "3"}], [("1", "3", "")]),
    "no beginning": ([{"fixed": "3"}], []),
    "no events": ([{"limit": "*"}], []),
}


@pytest.mark.parametrize("case", SPANS)
def test_events_are_stretches_of_versions(case: str) -> None:
    events, expected = SPANS[case]
    found, _ = read(record(affected("Debian:12", "curl", *events)))

    assert expected == [(advisory.introduced, advisory.fixed, advisory.last_affected) for advisory in found]


def test_ranges_of_commits_are_not_read() -> None:
    entry = affected("Debian:12")
    entry["ranges"] = [{"type": "GIT", "repo": "https://example.com", "events": [{"introduced": "0"}, {"fixed": "deadbeef"}]}]

    assert ([], Tally()) == read(record(entry))


def test_what_only_ubuntu_pro_mends_stays_open_for_others() -> None:
    """Canonical then names the subscription's ecosystem only. Versions from the fix on are those of customers: not affected."""
    advisory = only(record(affected("Ubuntu:Pro:22.04:LTS", "netty", {"introduced": "0"}, {"fixed": "1:4.1.48-4ubuntu0.1~esm1"})))

    assert ("22.04", State.AFFECTED, "1:4.1.48-4ubuntu0.1~esm1") == (advisory.release, advisory.state, advisory.fixed)
    assert "fixed in 1:4.1.48-4ubuntu0.1~esm1 with Ubuntu Pro only" == advisory.note


def test_a_release_s_own_fix_wins_over_the_subscription_s() -> None:
    entries = [
        affected(name, "curl", {"introduced": "0"}, {"fixed": fix})
        for name, fix in {"Ubuntu:Pro:22.04:LTS": "2+esm1", "Ubuntu:22.04:LTS": "2"}.items()
    ]

    advisory = only(record(*entries))

    assert (State.FIXED, "2", "") == (advisory.state, advisory.fixed, advisory.note)


NAMES: dict[str, tuple[dict[str, Any], list[str], tuple[str, ...]]] = {
    "tracker": ({"id": "UBUNTU-CVE-2021-3782", "upstream": ["CVE-2021-3782"], "related": ["USN-5614-1"]}, ["CVE-2021-3782"], ()),
    "notice": ({"id": "USN-1-1", "upstream": ["UBUNTU-CVE-2020-0001", "CVE-2020-0001"]}, ["CVE-2020-0001"], ("USN-1-1",)),
    "old notice": ({"id": "DSA-135", "related": ["CVE-2002-0653", "CVE-2002-0654"]}, ["CVE-2002-0653", "CVE-2002-0654"], ("DSA-135",)),
    "notice without numbers": ({"id": "DSA-136-1"}, ["DSA-136-1"], ()),
    "other names": ({"id": "GHSA-aa", "aliases": ["CVE-2020-0002"], "related": ["CVE-2020-9999"]}, ["CVE-2020-0002"], ("GHSA-aa",)),
    "alpine": ({"id": "ALPINE-CVE-2020-0003"}, ["CVE-2020-0003"], ()),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMES)
def test_a_record_is_filed_under_its_cves(case: str) -> None:
    """Notices name the CVEs that they mend: filed under them, they do not count a second time."""
    more, expected, aliases = NAMES[case]
    found, _ = read(record(affected("Debian:12"), **more))

    assert expected == [advisory.id for advisory in found]
    assert {aliases} == {advisory.aliases for advisory in found}
    assert {more["id"]} == {advisory.record for advisory in found}


def test_a_notice_tells_which_cves_a_package_had() -> None:
    mapping = {"cves": [{"id": "CVE-2020-0002", "severity": [{"type": "Ubuntu", "score": "high"}, {"type": "CVSS_V3", "score": VECTOR}]}]}
    advisory = only(record(affected("Ubuntu:22.04:LTS", database_specific={"cves_map": mapping}), id="USN-1-1", upstream=["CVE-2020-0001"]))

    assert ("CVE-2020-0002", "high", (Cvss("3.1", VECTOR),)) == (advisory.id, advisory.priority, advisory.cvss)
    assert ("USN-1-1",) == advisory.aliases


def test_withdrawn_records_say_nothing_and_are_told() -> None:
    assert ([], Tally(withdrawn={"UBUNTU-CVE-2023-0001"})) == read(record(affected("Debian:12"), withdrawn="2025-06-23T15:53:49Z"))


def test_livepatches_mend_no_packages() -> None:
    assert ([], Tally()) == read(record(affected("Ubuntu:22.04:LTS", "linux"), id="LSN-0108-1"))


@pytest.mark.parametrize(
    ("more", "priority"),
    [
        ({"ecosystem_specific": {"urgency": "unimportant"}}, "unimportant"),
        ({"ecosystem_specific": {"ubuntu_priority": "low"}}, "low"),
        ({"ecosystem_specific": None}, ""),
        ({"ecosystem_specific": {"urgency": 5}}, ""),
    ],
)
def test_older_records_have_the_priority_elsewhere(more: dict[str, object], priority: str) -> None:
    assert priority == only(record(affected("Debian:12", **more))).priority


def test_a_database_s_word_counts_only_where_there_is_no_score() -> None:
    rated = [{"type": "CVSS_V3", "score": VECTOR}]

    assert "moderate" == only(record(affected("PyPI"), database_specific={"severity": "MODERATE"})).priority
    assert "" == only(record(affected("PyPI"), database_specific={"severity": "MODERATE"}, severity=rated)).priority


def test_names_of_python_packages_are_those_of_inventories() -> None:
    assert "ruamel-yaml" == only(record(affected("PyPI", "Ruamel_.Yaml"))).package


@pytest.mark.parametrize(("fixes", "expected"), [(("2", "10"), "10"), (("10", "2"), "10"), (("2", ""), ""), (("", "2"), "")])
def test_a_package_that_is_listed_twice_is_one_advisory(fixes: tuple[str, str], expected: str) -> None:
    """The key of an advisory is unique within a feed; the wider of two ranges counts."""
    entries = [affected(f"Ubuntu:{release}", "curl", {"introduced": "0"}, *([{"fixed": fix}] if fix else []))
               for release, fix in zip(("22.04", "22.04:LTS"), fixes, strict=True)]  # fmt: skip

    assert expected == only(record(*entries)).fixed


def test_broken_records_are_skipped_and_counted() -> None:
    broken = [b"{", b"{}", b'{"id": 5}', b'{"id": "a b"}', b'{"id": "CVE-2020-0001", "affected": {}}', b"5", b"\xff"]

    assert [1] * len(broken) == [read(document)[1].skipped for document in broken]
    assert 1 == read(record(affected("Debian:12", "a b")))[1].skipped
    assert 1 == read(record(affected("Debian:12", "curl", {"introduced": "0"}, {"fixed": "1 2"})))[1].skipped


def test_a_list_of_records_is_read_one_by_one() -> None:
    found, tally = read(b"[" + record(affected("Debian:12")) + b", 5, " + record(affected("Debian:11")) + b"]")

    assert ["12", "11"] == [advisory.release for advisory in found]
    assert 1 == tally.skipped
    with pytest.raises(FeedInvalid):
        read(b"[")


@needs_data()
@pytest.mark.parametrize("path", each_file("advisories/vuls-data-update/*-osv/*"))
def test_archives_as_they_are_published_are_read(path: Any) -> None:
    tally = Tally()
    found = list(feeds.read(path, "osv", tally))

    assert Form.OSV is feeds.detect(path)
    assert len(found) == tally.records > 0
    assert 0 == tally.skipped


@needs_data()
def test_records_of_canonical_are_read_with_their_exceptions() -> None:
    """Two withdrawn records, one with Ubuntu Pro's fixes only, one notice."""
    tally = Tally()
    found = [
        advisory
        for name in ("osv", "osv-esm-cases")
        for advisory in feeds.read(FOLDER / "advisories/vunnel/ubuntu" / name, "ubuntu", tally)
    ]

    assert {"UBUNTU-CVE-2020-36325", "UBUNTU-CVE-2013-2208", "UBUNTU-CVE-2014-2901"} == tally.withdrawn
    netty = {advisory.release: advisory for advisory in found if advisory.package == "netty"}
    assert {State.AFFECTED} == {advisory.state for advisory in netty.values()}
    assert {"14.04", "16.04", "18.04", "20.04", "22.04", "24.04", "25.10", "26.04"} == set(netty)
    wayland = {
        (advisory.release, advisory.record) for advisory in found if advisory.id == "CVE-2021-3782" and advisory.state is State.FIXED
    }
    assert {(release, name) for release in ("18.04", "20.04", "22.04") for name in ("UBUNTU-CVE-2021-3782", "USN-5614-1")} == wayland
