"""OpenVEX documents of Canonical's: why Ubuntu does not mend something, and what it does not have."""

from __future__ import annotations

import json

import pytest

from roadstead.errors import FeedInvalid
from roadstead.scanner.advisories import openvex
from roadstead.scanner.advisories.advisory import Advisory, State
from roadstead.scanner.advisories.tally import Tally
from tests.kit.data import FOLDER, needs_data

JAMMY = "pkg:deb/ubuntu/curl@7.81.0-1ubuntu1.24?arch=source&distro=jammy"
# Canonical's sentences, without the first one's `(for the given release)`.
WONT_FIX = "This package is vulnerable to the CVE, the problem is understood, but the Ubuntu Security Team decided to not fix it."
UNSUPPORTED = "This package (for the given release) is no longer supported. Please upgrade your system."
NEEDED = "This package (for the given release) is vulnerable to the CVE and needs fixing."


def document(status: str, *products: str, name: str = "CVE-2023-0001", **more: object) -> bytes:
    statement = {"vulnerability": {"name": name}, "status": status, "products": [{"@id": product} for product in products], **more}
    return json.dumps({"@context": "https://openvex.dev/ns/v0.2.0", "statements": [statement]}).encode()


def read(content: bytes) -> tuple[list[Advisory], Tally]:
    tally = Tally()
    return list(openvex.read(content, "vex", tally)), tally


@pytest.mark.parametrize(
    ("status", "action", "state"),
    [
        ("affected", WONT_FIX, State.WONT_FIX),
        ("affected", UNSUPPORTED, State.END_OF_LIFE),
        ("affected", NEEDED, State.AFFECTED),
        ("affected", "Fixing it is deferred to a later update.", State.POSTPONED),
        ("affected", None, State.AFFECTED),
        ("fixed", None, State.FIXED),
        ("not_affected", None, State.NOT_AFFECTED),
        ("under_investigation", None, State.UNDETERMINED),
    ],
)
def test_a_status_and_its_sentence_are_a_state(status: str, action: str | None, state: State) -> None:
    (advisory,), _ = read(document(status, JAMMY, action_statement=action))

    assert ("ubuntu", "22.04", "curl", "CVE-2023-0001", state) == (
        advisory.ecosystem,
        advisory.release,
        advisory.package,
        advisory.id,
        advisory.state,
    )
    assert (action or "") == advisory.note


def test_a_later_statement_about_the_same_holds() -> None:
    statements = [json.loads(document(status, JAMMY))["statements"][0] for status in ("affected", "not_affected")]

    (advisory,), tally = read(json.dumps({"@context": "", "statements": statements}).encode())

    assert State.NOT_AFFECTED is advisory.state
    assert 1 == tally.records


def test_only_source_packages_of_the_archive_are_read() -> None:
    """Binaries are most of a document; Ubuntu Pro's packages are not those of images."""
    others = [
        "pkg:deb/ubuntu/libcurl4@7.81.0-1ubuntu1.24?arch=amd64&distro=jammy",
        "pkg:deb/ubuntu/curl@7.35.0-1ubuntu2.20+esm16?arch=source&distro=esm-infra-legacy/trusty",
        "pkg:deb/ubuntu/curl@7.35.0-1ubuntu2.20?arch=source&distro=unheard",
        "pkg:npm/curl@1",
        "",
    ]

    found, tally = read(document("fixed", *others, JAMMY))

    assert ["22.04"] == [advisory.release for advisory in found]
    assert Tally(records=1) == tally


def test_statements_of_notices_repeat_those_of_cves() -> None:
    assert ([], Tally()) == read(document("fixed", JAMMY, name="USN-7372-1"))


def test_broken_statements_are_skipped_and_counted() -> None:
    assert 1 == read(document("perhaps", JAMMY))[1].skipped
    assert 1 == read(b'{"@context": "", "statements": [{"status": "fixed"}]}')[1].skipped
    with pytest.raises(FeedInvalid):
        read(b'{"statements": {}}')


@needs_data()
def test_what_canonical_will_not_fix_is_known() -> None:
    found, _ = read((FOLDER / "advisories/vunnel/ubuntu/vex/cve/2016/CVE-2016-20013.json").read_bytes())

    sssd = {advisory.release: advisory.state for advisory in found if advisory.package == "sssd"}
    assert State.WONT_FIX is sssd["16.04"]
    assert {State.WONT_FIX, State.NOT_AFFECTED} >= {advisory.state for advisory in found}
