"""VEX documents: what operators and vendors state about vulnerabilities in images and packages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from roadstead.errors import FeedInvalid
from roadstead.scanner.advisories import vex
from roadstead.scanner.advisories.statement import Statement, Status
from roadstead.scanner.advisories.subject import Subject, subject
from roadstead.scanner.advisories.tally import Tally
from roadstead.scanner.inventory import Distro, Package
from tests.kit.data import FOLDER, needs_data

DIGEST = "sha256:" + "a" * 64
OTHER_DIGEST = "sha256:" + "b" * 64
IMAGE = "gcr.io/my-project/app"
BOOKWORM = Distro("debian", "12")
LIBSSL = Package("dpkg", "libssl3", "3.0.11-1", "openssl", "3.0.11-1", "amd64", "var/lib/dpkg/status")


def openvex(*statements: dict[str, Any], **more: object) -> bytes:
    head = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.com/vex/1",
        "author": "Us",
        "timestamp": "2026-01-01T00:00:00Z",
    }
    return json.dumps(head | more | {"statements": statements}).encode()


def said(product: object, status: str = "not_affected", **more: object) -> dict[str, Any]:
    reason = {"justification": "vulnerable_code_not_present"} if status == "not_affected" else {}
    return (
        {"vulnerability": {"name": "CVE-2023-0001", "aliases": ["GHSA-1234-5678-9012"]}, "products": [product], "status": status}
        | reason
        | more
    )


def read(document: bytes) -> tuple[list[Statement], Tally]:
    tally = Tally()
    return vex.read(document, tally), tally


def only(document: bytes) -> Statement:
    (statement,), _ = read(document)
    return statement


def test_a_statement_of_openvex_is_read_whole() -> None:
    product = {
        "@id": f"pkg:oci/app@{DIGEST.replace(':', '%3A')}?repository_url=gcr.io/my-project/app",
        "subcomponents": [{"@id": "pkg:deb/debian/openssl"}],
    }

    statement = only(openvex(said(product, impact_statement="Not built in.")))

    assert ("https://example.com/vex/1", "Us", "CVE-2023-0001", Status.NOT_AFFECTED) == (
        statement.document,
        statement.author,
        statement.vulnerability,
        statement.status,
    )
    assert ("vulnerable_code_not_present", "Not built in.", "2026-01-01T00:00:00Z") == (
        statement.justification,
        statement.note,
        statement.stated_at,
    )
    assert ("image", IMAGE, DIGEST) == (statement.product.kind, statement.product.repository, statement.product.digest)
    assert statement.component is not None
    assert ("dpkg", "debian", "openssl") == (statement.component.kind, statement.component.namespace, statement.component.name)
    assert statement.names("CVE-2023-0001")
    assert statement.names("GHSA-1234-5678-9012")
    assert not statement.names("CVE-2023-0002")


@pytest.mark.parametrize("status", ["not_affected", "affected", "fixed", "under_investigation"])
def test_every_status_is_known(status: str) -> None:
    assert status == only(openvex(said({"@id": IMAGE}, status))).status.value


def test_documents_of_the_first_edition_are_read() -> None:
    """v0.0: names of vulnerabilities and products are plain texts, parts stand beside the products."""
    statement = only(
        openvex(said("pkg:oci/app", vulnerability="CVE-2023-0001", products=[IMAGE], subcomponents=["pkg:apk/alpine/openssl"]))
    )

    assert ("CVE-2023-0001", IMAGE, "apk") == (
        statement.vulnerability,
        statement.product.repository,
        statement.component and statement.component.kind,
    )


def test_a_later_statement_comes_after_an_earlier_one() -> None:
    late, early = said({"@id": IMAGE}, "affected", timestamp="2026-03-01T00:00:00Z"), said({"@id": IMAGE}, timestamp="2026-02-01T00:00:00Z")

    assert [Status.NOT_AFFECTED, Status.AFFECTED] == [statement.status for statement in read(openvex(late, early))[0]]


def test_other_identifiers_of_a_product_count() -> None:
    product = {"@id": "https://example.com/products/7", "identifiers": {"purl": "pkg:deb/debian/curl"}, "hashes": {}}

    assert "curl" == only(openvex(said(product))).product.name
    assert DIGEST == only(openvex(said({"@id": "the app", "hashes": {"sha-256": "A" * 64}}))).product.digest


def test_broken_statements_are_skipped_and_counted() -> None:
    """Without a reason nobody can tell whether "not affected" still holds: the specification demands one."""
    good = said({"@id": IMAGE})
    bad = [
        said({"@id": IMAGE}, "perhaps"),
        said({"@id": IMAGE}, justification=None),
        {"status": "fixed"},
        said({"@id": IMAGE}, vulnerability="a b"),
    ]
    bad.append(said({"@id": IMAGE}) | {"products": []})

    found, tally = read(openvex(*bad, good))

    assert 1 == len(found)
    assert len(bad) == tally.skipped
    with pytest.raises(FeedInvalid):
        read(openvex(*bad))


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"[]",
        b'{"@context": "x", "statements": 5}',
        b'{"document": {"category": "csaf_security_advisory"}, "vulnerabilities": []}',
    ],
    ids=range(5),
)
def test_anything_else_is_refused(document: bytes) -> None:
    with pytest.raises(FeedInvalid):
        read(document)


def test_a_document_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vex, "MAX_STATEMENTS", 2)
    with pytest.raises(FeedInvalid, match="more than 2"):
        read(openvex(*[said({"@id": IMAGE})] * 3))


SUBJECTS = {
    f"{IMAGE}@{DIGEST}": Subject(text="", kind="image", repository=IMAGE, digest=DIGEST),
    f"{IMAGE}:v1": Subject(text="", kind="image", repository=IMAGE),
    f"https://{IMAGE}@{DIGEST}": Subject(text="", kind="image", repository=IMAGE, digest=DIGEST),
    DIGEST: Subject(text="", kind="image", digest=DIGEST),
    f"pkg:oci/app@{DIGEST}?repository_url={IMAGE}": Subject(text="", kind="image", name="app", repository=IMAGE, digest=DIGEST),
    "pkg:deb/debian/curl@7.88.1-10?arch=source&distro=bookworm": Subject(
        text="", kind="dpkg", namespace="debian", name="curl", version="7.88.1-10", architecture="source", distro="bookworm"
    ),
    "pkg:npm/%40angular/core@1": Subject(text="", kind="npm", namespace="@angular", name="core", version="1"),
    "pkg:cargo/serde": Subject(text="", kind="", name="serde"),
    "pkg:": Subject(text=""),
    "": Subject(text=""),
    "Our Product 1.0": Subject(text=""),
}


@pytest.mark.parametrize("text", SUBJECTS, ids=range(len(SUBJECTS)))
def test_a_product_is_an_image_or_a_package(text: str) -> None:
    found = subject(text)

    assert text == found.text
    assert [getattr(SUBJECTS[text], name) for name in Subject.__struct_fields__[1:]] == [
        getattr(found, name) for name in Subject.__struct_fields__[1:]
    ]


COVERED = {
    "pkg:deb/debian/openssl": True,
    "pkg:deb/debian/libssl3": True,
    "pkg:deb/debian/openssl@3.0.11-1": True,
    "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&distro=debian-12": True,
    "pkg:deb/debian/openssl@3.0.11-1?arch=source&distro=bookworm": True,
    "pkg:deb/debian/openssl?distro=12": True,
    "pkg:deb/openssl": True,
    "pkg:deb/debian/libssl3?arch=source": False,
    "pkg:deb/debian/libssl3?arch=arm64": False,
    "pkg:deb/debian/openssl@3.0.11-2": False,
    "pkg:deb/debian/openssl?distro=bullseye": False,
    "pkg:deb/ubuntu/openssl": False,
    "pkg:apk/debian/openssl": False,
    "pkg:deb/debian/libssl": False,
    "openssl": False,
    IMAGE: False,
}


@pytest.mark.parametrize("text", COVERED, ids=range(len(COVERED)))
def test_a_package_is_covered_by_what_is_told_of_it(text: str) -> None:
    assert COVERED[text] == subject(text).concerns_package(LIBSSL, BOOKWORM)


def test_packages_of_languages_are_covered_by_their_full_names() -> None:
    def package(kind: Any, name: str) -> Package:
        return Package(kind, name, "1", name, "1", "", "app")

    assert subject("pkg:npm/%40angular/core@1").concerns_package(package("npm", "@angular/core"), None)
    assert subject("pkg:maven/org.apache/log4j").concerns_package(package("maven", "org.apache:log4j"), None)
    assert subject("pkg:golang/golang.org/x/net").concerns_package(package("golang", "golang.org/x/net"), None)
    assert subject("pkg:pypi/requests").concerns_package(package("pypi", "requests"), None)
    assert not subject("pkg:pypi/requests@2").concerns_package(package("pypi", "requests"), None)


@pytest.mark.parametrize(
    ("product", "component", "covered"),
    [
        (f"{IMAGE}@{DIGEST}", None, True),
        (f"{IMAGE}@{DIGEST}", "pkg:deb/debian/openssl", True),
        (f"{IMAGE}@{DIGEST}", "pkg:deb/debian/curl", False),
        (f"{IMAGE}@{OTHER_DIGEST}", None, False),
        ("gcr.io/my-project/other", None, False),
        (IMAGE, None, True),
        (DIGEST, None, True),
        ("pkg:oci/app", None, False),
        ("pkg:deb/debian/openssl", None, True),
        ("pkg:deb/debian/curl", None, False),
        ("Our Product", None, False),
    ],
)
def test_a_statement_covers_a_package_in_an_image(product: str, component: str | None, covered: bool) -> None:
    entry = {"@id": product} | ({"subcomponents": [{"@id": component}]} if component else {})

    assert covered == only(openvex(said(entry))).covers(LIBSSL, BOOKWORM, IMAGE, DIGEST)


def csaf(**more: object) -> bytes:
    """A document of the category csaf_vex: an image, a package, and the package in the image."""
    helper = {"purl": f"pkg:oci/app@{DIGEST}?repository_url={IMAGE}"}
    tree = {
        "branches": [
            {
                "category": "vendor",
                "branches": [
                    {
                        "category": "product_version",
                        "product": {"product_id": "APP", "name": "app", "product_identification_helper": helper},
                    },
                    {"product": {"product_id": "SSL", "name": "s", "product_identification_helper": {"purl": "pkg:deb/debian/openssl"}}},
                ],
            }
        ],
        "relationships": [
            {
                "category": "default_component_of",
                "product_reference": "SSL",
                "relates_to_product_reference": "APP",
                "full_product_name": {"product_id": "APP:SSL", "name": "both"},
            }
        ],
    }
    vulnerability = {
        "cve": "CVE-2023-0001",
        "product_status": {"known_not_affected": ["APP:SSL"], "known_affected": ["APP"], "fixed": ["APP"], "under_investigation": ["GONE"]},
        "flags": [{"label": "component_not_present", "product_ids": ["APP:SSL"]}],
        "threats": [{"category": "impact", "details": "Not linked.", "product_ids": ["APP:SSL"]}],
    }
    head = {
        "category": "csaf_vex",
        "publisher": {"name": "Us"},
        "tracking": {"id": "VEX-1", "current_release_date": "2026-01-01T00:00:00Z"},
    }
    return json.dumps({"document": head, "product_tree": tree, "vulnerabilities": [vulnerability]} | more).encode()


def test_csaf_states_the_same_things() -> None:
    found, tally = read(csaf())

    by_status = {statement.status: statement for statement in found}
    assert {Status.NOT_AFFECTED, Status.FIXED} == set(by_status)
    inside = by_status[Status.NOT_AFFECTED]
    assert ("VEX-1", "Us", "component_not_present", "Not linked.", "2026-01-01T00:00:00Z") == (
        inside.document,
        inside.author,
        inside.justification,
        inside.note,
        inside.stated_at,
    )
    assert inside.covers(LIBSSL, BOOKWORM, IMAGE, DIGEST)
    assert not inside.covers(LIBSSL, BOOKWORM, IMAGE, OTHER_DIGEST)
    assert by_status[Status.FIXED].component is None
    assert 1 == tally.skipped, "a product that the document does not describe"


def test_broken_vulnerabilities_of_csaf_are_skipped_and_counted() -> None:
    fine = json.loads(csaf())["vulnerabilities"][0]

    assert 3 == read(csaf(vulnerabilities=[5, {"title": "?"}, fine]))[1].skipped


@needs_data()
def test_documents_of_canonical_are_read() -> None:
    for path in (FOLDER / "advisories/vunnel/ubuntu/vex").rglob("*.json"):
        found, tally = read(path.read_bytes())

        assert len(found) == tally.records > 500
        assert {"dpkg"} == {statement.product.kind for statement in found}
