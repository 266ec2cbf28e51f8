"""Which vulnerabilities an image has: a function of its packages and the advisories, and of nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.scanner.advisories.advisory import Advisory, Cvss, Form, State
from roadstead.scanner.inventory import Distro, Package
from roadstead.scanner.match import Finding, Report, Skipped, filed_under, match, match_all, preferred
from roadstead.scanner.severity import Severity

BOOKWORM = Distro("debian", "12")
CRITICAL = Cvss("3.1", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")
MEDIUM = Cvss("3.1", "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H")
TODAY = date(2026, 6, 1)


def advisory(fixed: str = "", state: State | None = None, **more: object) -> Advisory:
    fields: dict[str, object] = {
        "feed": "debian",
        "form": Form.DEBIAN,
        "record": "CVE-2023-0001",
        "ecosystem": "debian",
        "release": "12",
        "package": "openssl",
        "id": "CVE-2023-0001",
        "state": state or (State.FIXED if fixed else State.AFFECTED),
        "fixed": fixed,
    }
    return Advisory(**(fields | more))  # type: ignore[arg-type]


def osv(fixed: str = "", record: str = "DEBIAN-CVE-2023-0001", **more: object) -> Advisory:
    return advisory(fixed, feed="osv", form=Form.OSV, record=record, **more)


def package(
    version: str = "3.0.11-1", name: str = "libssl3", source: str = "openssl", binary_version: str = "", kind: str = "dpkg"
) -> Package:
    return Package(kind, name, binary_version or version, source, version, "amd64", "var/lib/dpkg/status")  # type: ignore[arg-type]


def found(*advisories: Advisory, version: str = "3.0.11-1", form: Form = Form.DEBIAN) -> list[Finding]:
    findings, skipped = match(package(version), advisories, form)
    assert [] == skipped
    return findings


def report(
    *advisories: Advisory,
    distro: Distro | None = BOOKWORM,
    packages: Sequence[Package] = (package(),),
    forms: set[Form] | None = None,
    today: date = TODAY,
) -> Report:
    def lookup(*key: str) -> list[Advisory]:
        return [each for each in advisories if (each.ecosystem, each.release, each.package) == key]

    return match_all(distro, packages, lookup, {each.form for each in advisories} if forms is None else forms, today)


def test_a_version_below_the_fix_is_a_finding() -> None:
    """The source package's version counts, also where the binary has one of its own."""
    (finding,), _ = match(package("3.0.9-1", binary_version="3.0.99-1"), [advisory("3.0.11-1", urls=("https://example.com",))], Form.DEBIAN)

    assert ("CVE-2023-0001", State.FIXED, "3.0.11-1") == (finding.id, finding.state, finding.fixed)
    assert ("libssl3", "3.0.99-1", "3.0.9-1") == (finding.package.name, finding.package.version, finding.package.source_version)
    assert ("debian", "CVE-2023-0001", ("https://example.com",)) == (finding.feed, finding.record, finding.urls)


@pytest.mark.parametrize("version", ["3.0.11-1", "3.0.11-1+b1", "3.1", "1:0"])
def test_a_version_from_the_fix_on_is_none(version: str) -> None:
    assert [] == found(advisory("3.0.11-1"), version=version)


RANGES = [
    ({"introduced": "2"}, "1.9", False),
    ({"introduced": "2"}, "2", True),
    ({"introduced": "2", "fixed": "3"}, "2.5", True),
    ({"introduced": "2", "fixed": "3"}, "3", False),
    ({"last_affected": "3"}, "3", True),
    ({"last_affected": "3"}, "3-1", False),
    ({}, "99", True),
]


@pytest.mark.parametrize(("bounds", "version", "affected"), RANGES, ids=range(len(RANGES)))
def test_bounds_are_as_the_osv_schema_says(bounds: dict[str, str], version: str, affected: bool) -> None:
    """From introduced on, below fixed, up to last_affected."""
    assert affected == bool(found(osv(**bounds), version=version, form=Form.OSV))


@pytest.mark.parametrize("state", [State.NOT_AFFECTED, State.UNDETERMINED], ids=lambda state: state.value)
def test_what_is_not_affected_or_not_known_is_no_finding(state: State) -> None:
    assert [] == found(advisory(state=state))


@pytest.mark.parametrize("state", [State.AFFECTED, State.WONT_FIX, State.POSTPONED, State.END_OF_LIFE], ids=lambda state: state.value)
def test_what_has_no_fix_is_a_finding_that_says_why(state: State) -> None:
    (finding,) = found(advisory(state=state, note="Minor issue"))

    assert (state, "", "Minor issue") == (finding.state, finding.fixed, finding.note)


def test_a_fix_for_subscribers_is_the_end_of_the_range_and_no_fix() -> None:
    """Images of Ubuntu Pro's customers have that version; others cannot install it."""
    pro = osv("3.0.2+esm1", state=State.AFFECTED, note="fixed in 3.0.2+esm1 with Ubuntu Pro only")

    (finding,) = found(pro, version="3.0.2", form=Form.OSV)

    assert (State.AFFECTED, "") == (finding.state, finding.fixed)
    assert [] == found(pro, version="3.0.2+esm1", form=Form.OSV)


def test_one_vulnerability_is_one_finding_whoever_speaks_of_it() -> None:
    """The tracker's record and two notices, of which the second mends what the first broke."""
    notices = [osv(fixed, record=record, aliases=(record,)) for record, fixed in {"USN-1-1": "2", "USN-1-2": "3"}.items()]

    (finding,) = found(osv("2", record="UBUNTU-CVE-2023-0001"), *notices, version="1", form=Form.OSV)

    assert ("2", "UBUNTU-CVE-2023-0001") == (finding.fixed, finding.record)
    assert ("UBUNTU-CVE-2023-0001", "USN-1-1", "USN-1-2") == finding.records
    assert ("USN-1-1", "USN-1-2") == finding.aliases
    assert [] == found(osv("2", record="UBUNTU-CVE-2023-0001"), *notices, version="2", form=Form.OSV)


def test_notices_alone_are_believed_and_the_highest_fix_counts() -> None:
    notices = [osv("9", record="DSA-1-1"), osv("10", record="DSA-1-2")]

    (finding,) = found(*notices, version="9", form=Form.OSV)

    assert "10" == finding.fixed


@given(st.permutations(range(5)))
def test_the_order_of_advisories_makes_no_difference(order: list[int]) -> None:
    """A database gives rows in any order; a finding that changes with it would be news every time."""
    known = [
        osv("4", record="UBUNTU-CVE-2023-0001", cvss=(MEDIUM,)),
        osv("5", record="UBUNTU-CVE-2023-0001", introduced="2", cvss=(CRITICAL,), priority="high"),
        osv("6", record="USN-1-1", priority="low"),
        advisory("4", priority="medium", summary="One"),
        advisory("9", id="CVE-2023-0002"),
    ]

    assert found(*known, version="3", form=Form.OSV) == found(*(known[number] for number in order), version="3", form=Form.OSV)


def test_not_affected_wins() -> None:
    assert [] == found(advisory("4", record="v3.18/main"), advisory(state=State.NOT_AFFECTED, record="v3.18/community"))


def test_a_range_without_an_end_means_that_there_is_no_fix() -> None:
    (finding,) = found(osv("4"), osv(introduced="2"), version="3", form=Form.OSV)

    assert (State.AFFECTED, "") == (finding.state, finding.fixed)


def test_feeds_of_two_kinds_are_never_added_up() -> None:
    """What the tracker does not mention is not affected, whatever OSV says; it may tell how bad it is."""
    other = osv("9", id="CVE-2023-0002", record="DEBIAN-CVE-2023-0002")
    rated = osv("9", cvss=(CRITICAL,), summary="A flaw", priority="")

    (finding,) = found(advisory("4"), rated, other)

    assert ("CVE-2023-0001", "4", Severity.CRITICAL, 9.8, "A flaw") == (
        finding.id,
        finding.fixed,
        finding.severity,
        finding.score,
        finding.summary,
    )
    assert ("CVE-2023-0001",) == finding.records


@pytest.mark.parametrize(
    ("ecosystem", "forms", "decides"),
    [
        ("debian", {Form.DEBIAN, Form.OSV}, Form.DEBIAN),
        ("debian", {Form.OSV}, Form.OSV),
        ("alpine", {Form.OSV, Form.ALPINE}, Form.ALPINE),
        ("ubuntu", {Form.OSV, Form.OPENVEX}, Form.OSV),
        ("ubuntu", {Form.OPENVEX}, None),
        ("ubuntu", set(), None),
        ("pypi", {Form.OSV}, Form.OSV),
    ],
)
def test_one_kind_of_feed_decides(ecosystem: str, forms: set[Form], decides: Form | None) -> None:
    assert decides is preferred(ecosystem, forms)


def test_vex_refines_what_other_feeds_say() -> None:
    def vex(state: State) -> Advisory:
        return advisory(feed="vex", form=Form.OPENVEX, state=state, note="decided to not fix it")

    (finding,) = found(osv(), vex(State.WONT_FIX), form=Form.OSV)

    assert (State.WONT_FIX, "decided to not fix it", "osv") == (finding.state, finding.note, finding.feed)
    assert [] == found(osv(), vex(State.NOT_AFFECTED), form=Form.OSV)
    assert [] == found(vex(State.WONT_FIX), form=Form.OSV)
    assert State.FIXED is found(osv("4"), vex(State.WONT_FIX), form=Form.OSV)[0].state


def test_the_distribution_s_word_comes_before_the_score() -> None:
    (unimportant,) = found(advisory(priority="unimportant", cvss=(CRITICAL,)))
    (undecided,) = found(advisory(priority="not yet assigned", cvss=(CRITICAL,)))
    (unrated,) = found(advisory(priority="not yet assigned"))

    assert (Severity.MINIMAL, Severity.CRITICAL, 9.8) == (unimportant.severity, unimportant.score_severity, unimportant.score)
    assert Severity.CRITICAL is undecided.severity
    assert (Severity.SEVERITY_UNSPECIFIED, None) == (unrated.severity, unrated.score)


def test_scores_may_come_from_any_feed() -> None:
    """Alpine's secdb and Debian's tracker have none."""
    (finding,), _ = match(package(), [advisory()], Form.DEBIAN, {"CVE-2023-0001": (MEDIUM,)}.__getitem__)

    assert (Severity.MEDIUM, 5.5) == (finding.severity, finding.score)


@pytest.mark.parametrize(("version", "fixed", "wrong"), [("3 3", "4", "3 3"), ("3", "4 4", "4 4"), ("", "4", "")])
def test_what_is_no_version_is_skipped_and_told(version: str, fixed: str, wrong: str) -> None:
    """Such versions occur in feeds and in images; they must not take the rest with them."""
    broken, good = advisory(fixed), advisory(id="CVE-2023-0002")

    findings, skipped = match(package(version), [broken, good], Form.DEBIAN)

    assert ["CVE-2023-0002"] == [finding.id for finding in findings]
    assert [Skipped(package(version), "CVE-2023-0001", wrong)] == skipped


def test_an_image_is_matched_by_release_and_source_package() -> None:
    known = [advisory("4"), advisory("4", release="11", id="CVE-2023-0011"), advisory("4", package="zlib", id="CVE-2023-0002")]
    packages = [
        package(name="libssl3"),
        package(name="openssl"),
        package(name="bash", source="bash"),
        package("3", name="zlib1g", source="zlib"),
    ]

    result = report(*known, packages=packages)

    expected = [("CVE-2023-0001", "libssl3"), ("CVE-2023-0001", "openssl"), ("CVE-2023-0002", "zlib1g")]
    assert expected == [(finding.id, finding.package.name) for finding in result.findings]
    assert (True, False, "debian", Form.DEBIAN) == (result.supported, result.end_of_life, result.ecosystem, result.form)


def test_both_architectures_of_a_package_are_found() -> None:
    packages = [package(), Package("dpkg", "libssl3", "3.0.11-1", "openssl", "3.0.11-1", "i386", "var/lib/dpkg/status")]

    assert ["amd64", "i386"] == [finding.package.architecture for finding in report(advisory("4"), packages=packages).findings]


def test_the_worst_comes_first() -> None:
    known = [advisory(priority=word, id=f"CVE-2023-000{number}") for number, word in enumerate(("low", "high", "", "unimportant", "high"))]

    assert ["CVE-2023-0001", "CVE-2023-0004", "CVE-2023-0000", "CVE-2023-0003", "CVE-2023-0002"] == [
        finding.id for finding in report(*known).findings
    ]


UNKNOWN: list[Distro | None] = [None, Distro("debian", ""), Distro("wolfi", "20230201"), Distro("raspbian", "12"), Distro("rhel", "9")]


@pytest.mark.parametrize("distro", UNKNOWN, ids=["none", "no-release", "wolfi", "derivative", "rhel"])
def test_an_image_of_unknown_origin_is_not_clean_but_unsupported(distro: Distro | None) -> None:
    result = report(advisory("4"), distro=distro)

    assert ((), False) == (result.findings, result.supported)


@pytest.mark.parametrize("forms", [set(), {Form.OPENVEX}], ids=["no-feed", "vex-only"])
def test_without_data_of_the_release_an_image_is_unsupported(forms: set[Form]) -> None:
    """`Total: 0` for a release that no feed speaks of is the worst answer that a scanner can give."""
    assert not report(forms=forms).supported


def test_an_image_without_findings_is_clean_where_there_is_data() -> None:
    result = report(forms={Form.DEBIAN})

    assert ((), True) == (result.findings, result.supported)


@pytest.mark.parametrize(("today", "over"), [(date(2028, 6, 30), False), (date(2028, 7, 1), True)])
def test_a_release_that_gets_no_more_updates_is_marked(today: date, over: bool) -> None:
    assert over == report(forms={Form.DEBIAN}, today=today).end_of_life


def test_packages_of_another_system_are_no_packages_of_the_distribution() -> None:
    """An Alpine database in a folder of a Debian image, say: Debian's advisories are not about it."""
    assert () == report(advisory("4"), packages=[package(kind="apk")]).findings


LANGUAGES = [
    ("pypi", "Ruamel.YAML", "0.17", "ruamel-yaml", "0.18"),
    ("npm", "@a/b", "1.9.0", "@a/b", "1.10.0"),
    ("golang", "stdlib", "1.21.3", "stdlib", "1.21.4"),
]


@pytest.mark.parametrize(("kind", "name", "version", "filed", "fixed"), LANGUAGES, ids=["pypi", "npm", "golang"])
def test_packages_of_languages_are_matched_wherever_they_stand(kind: str, name: str, version: str, filed: str, fixed: str) -> None:
    """Also in an image without a distribution: that has no OS packages that could be matched."""
    known = osv(fixed, ecosystem=kind, release="", package=filed)

    result = report(known, distro=None, packages=[Package(kind, name, version, name, version, "", "app")])  # type: ignore[arg-type]

    assert ["CVE-2023-0001"] == [finding.id for finding in result.findings]
    assert not result.supported


@pytest.mark.parametrize(
    ("kind", "distro", "expected"),
    [
        ("dpkg", BOOKWORM, ("debian", "12", "Source")),
        ("apk", BOOKWORM, None),
        ("dpkg", None, None),
        ("dpkg", Distro("debian", ""), None),
        ("rpm", Distro("rhel", "9"), None),
        ("pypi", None, ("pypi", "", "source")),
        ("npm", BOOKWORM, ("npm", "", "Source")),
    ],
)
def test_a_package_s_advisories_are_filed_under_its_source(kind: str, distro: Distro | None, expected: tuple[str, str, str] | None) -> None:
    assert expected == filed_under(package(source="Source", kind=kind), distro)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(["1", "1.0-1", "2:1", "1~", "0"])


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_matching_never_fails(version: str, introduced: str, fixed: str, last: str) -> None:
    found_, skipped = match(package(version), [osv(fixed, introduced=introduced, last_affected=last)], Form.OSV)

    assert len(found_) + len(skipped) <= 1
