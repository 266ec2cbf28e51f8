"""Alpine's secdb, with everything that people have written into it by hand."""

from __future__ import annotations

import json

import msgspec
import pytest

from roadstead.errors import FeedInvalid
from roadstead.scanner.advisories import alpine, feeds
from roadstead.scanner.advisories.advisory import Advisory, Form, State
from roadstead.scanner.advisories.tally import Tally
from tests.kit.data import FOLDER, load, needs_data


def database(*packages: object, release: str = "v3.18", repository: str = "main") -> bytes:
    return json.dumps({"distroversion": release, "reponame": repository, "packages": packages}).encode()


def package(name: str, secfixes: object) -> object:
    return {"pkg": {"name": name, "secfixes": secfixes}}


def read(document: bytes) -> tuple[dict[str, Advisory], Tally]:
    tally = Tally()
    return {advisory.id: advisory for advisory in alpine.read(document, "alpine", tally)}, tally


def test_a_fix_is_an_advisory_of_its_release_and_source_package() -> None:
    found, tally = read(database(package("openssl", {"3.1.1-r0": ["CVE-2023-2650"]}), repository="community"))

    expected = Advisory(
        feed="alpine",
        form=Form.ALPINE,
        record="v3.18/community",
        ecosystem="alpine",
        release="3.18",
        package="openssl",
        id="CVE-2023-2650",
        state=State.FIXED,
        fixed="3.1.1-r0",
        urls=("https://security.alpinelinux.org/vuln/CVE-2023-2650",),
    )
    assert {"CVE-2023-2650": expected} == found
    assert Tally(records=1) == tally


def test_edge_is_a_release() -> None:
    found, _ = read(database(package("xz", {"5.6.1-r2": ["CVE-2024-3094"]}), release="edge"))

    assert "edge" == found["CVE-2024-3094"].release


def test_a_version_of_zero_says_that_it_is_not_affected() -> None:
    """Even where a fix is listed too: someone has looked and found that it does not apply."""
    found, _ = read(database(package("gd", {"0": ["CVE-2021-1111", "CVE-2021-2222"], "2.3-r1": ["CVE-2021-2222"]})))

    assert {"CVE-2021-1111": State.NOT_AFFECTED, "CVE-2021-2222": State.NOT_AFFECTED} == {key: value.state for key, value in found.items()}
    assert {""} == {advisory.fixed for advisory in found.values()}


@pytest.mark.parametrize("order", [("9.9-r0", "9.10-r0"), ("9.10-r0", "9.9-r0")], ids=["ascending", "descending"])
def test_of_several_fixes_the_highest_counts(order: tuple[str, str]) -> None:
    """A vulnerability is listed again when its first fix was incomplete."""
    found, tally = read(database(package("bind", {version: ["CVE-2017-3145"] for version in order})))

    assert "9.10-r0" == found["CVE-2017-3145"].fixed
    assert 1 == tally.records


DIRTY = {
    "CVE-2016-9377 XSA-196": [("CVE-2016-9377", ["XSA-196"])],
    "CVE-2018-3620   XSA-273": [("CVE-2018-3620", ["XSA-273"])],
    "CVE-2017-5753 CVE-2017-5715 XSA-254 XPTI": [("CVE-2017-5753", ["XSA-254"]), ("CVE-2017-5715", ["XSA-254"])],
    "CVE-2017-2616 (+ regression fix)": [("CVE-2017-2616", [])],
    "CVE-2018-14879 (tcpdump -V)": [("CVE-2018-14879", [])],
    "CVE-2018-16227 (802.11)": [("CVE-2018-16227", [])],
    "CVE-2018-10103 (SMB - partially fixed, but SMB printing disabled)": [("CVE-2018-10103", [])],
    "CVE_2019-2426": [("CVE-2019-2426", [])],
    "CVE 2018-16859": [("CVE-2018-16859", [])],
    "cve-2020-1234": [("CVE-2020-1234", [])],
    "CVE-2017-7186.patch": [("CVE-2017-7186", [])],
    "CVE-2017-17434-2": [("CVE-2017-17434", [])],
    "CVE-2016-10012 https://bugs.alpinelinux.org/issues/6583": [("CVE-2016-10012", [])],
    "CVE-????-?????  XSA-284": [("XSA-284", [])],
    "GHSA-f7r5-w49x-gxm3": [("GHSA-f7r5-w49x-gxm3", [])],
    "GHSA-h6cc-rc6q-23j4 (+regression fix)": [("GHSA-h6cc-rc6q-23j4", [])],
    "CVE-2024-22195 GHSA-h5c8-rqwp-cp95": [("CVE-2024-22195", ["GHSA-h5c8-rqwp-cp95"])],
    "ALPINE-13661": [("ALPINE-13661", [])],
    "TALOS-2017-0488": [("TALOS-2017-0488", [])],
    "wnpa-sec-2017-18": [("wnpa-sec-2017-18", [])],
    "CVE": [],
    "-": [],
    "": [],
    "no idea": [],
    "CVE-2019-12 CVE-2019-XXXX": [],
}


@pytest.mark.parametrize("text", DIRTY, ids=range(len(DIRTY)))
def test_identifiers_are_found_in_what_people_write(text: str) -> None:
    assert DIRTY[text] == alpine.identifiers(text)


@pytest.mark.parametrize("secfixes", [[], None, {}], ids=["list", "null", "object"])
def test_a_package_may_have_no_fixes(secfixes: object) -> None:
    assert ({}, Tally()) == read(database(package("busybox", secfixes)))


@pytest.mark.parametrize("version", ["2.7.16-33", "1.18.-r2", "10.2.22.r0", "6.6.2p1-r0"])
def test_versions_that_are_none_are_skipped_and_counted(version: str) -> None:
    """They really occur, and must not take the rest with them."""
    found, tally = read(database(package("python2", {version: ["CVE-2019-1"], "2.7.17-r0": ["CVE-2019-10160"]})))

    assert {"CVE-2019-10160"} == set(found)
    assert 1 == tally.skipped
    assert version in tally.problems[0]


def test_broken_entries_are_skipped_and_counted() -> None:
    good = package("zlib", {"1.2.12-r0": ["CVE-2018-25032", 7, None]})
    found, tally = read(database({"pkg": {"secfixes": {}}}, 5, package("a b", {"1-r0": ["CVE-2020-1000"]}), package("x", "y"), good))

    assert {"CVE-2018-25032"} == set(found)
    assert 6 == tally.skipped


@pytest.mark.parametrize(
    "document", [b"{}", b"[]", b"", b"\xff", b'{"distroversion": "v 3", "reponame": "main", "packages": []}'], ids=range(5)
)
def test_anything_else_is_refused(document: bytes) -> None:
    with pytest.raises(FeedInvalid):
        read(document)


@needs_data()
def test_the_whole_secdb_of_2020_is_read() -> None:
    """v3.3 to v3.11, main and community: 12,028 items, of which few are none."""
    tally = Tally()
    found = list(feeds.read(FOLDER / "advisories" / "alpine-secdb-2020-06-08", "alpine", tally))

    assert 18 == tally.documents
    assert len(found) == tally.records > 11_500
    assert tally.skipped < 50
    assert len({advisory.key for advisory in found}) == len(found)
    assert {f"3.{minor}" for minor in range(3, 12)} == {advisory.release for advisory in found}
    assert {State.FIXED, State.NOT_AFFECTED} >= {advisory.state for advisory in found}


@needs_data()
def test_a_database_says_what_vunnel_reads_in_it() -> None:
    """Another reader's result, entry by entry."""
    yaml = pytest.importorskip("yaml")
    found: dict[tuple[str, str], str] = {}
    for path in (FOLDER / "advisories/vunnel/alpine/input/secdb/v3.15").glob("*.yaml"):
        for advisory in alpine.read(msgspec.json.encode(yaml.safe_load(path.read_text())), "alpine", Tally()):
            found[advisory.id, advisory.package] = advisory.fixed

    expected = {}
    for path in (FOLDER / "advisories/vunnel/alpine/snapshots/3.15").glob("*.json"):
        item = load(path)["item"]["Vulnerability"]
        for fix in item["FixedIn"]:
            expected[item["Name"], fix["Name"]] = fix["Version"]
    assert expected
    assert expected == found
