"""CSAF 2.0 documents of the category csaf_vex (docs.oasis-open.org/csaf/csaf/v2.0, section 4.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from roadstead.errors import FeedInvalid
from roadstead.scanner.advisories import fields
from roadstead.scanner.advisories.statement import Statement, Status
from roadstead.scanner.advisories.subject import Subject, subject
from roadstead.scanner.advisories.tally import Tally

_MAX_DEPTH = 50

# Later statuses of a product win over earlier ones: `fixed` has been looked at longest.
_STATUSES = {
    "under_investigation": Status.UNDER_INVESTIGATION,
    "known_affected": Status.AFFECTED,
    "first_affected": Status.AFFECTED,
    "last_affected": Status.AFFECTED,
    "known_not_affected": Status.NOT_AFFECTED,
    "first_fixed": Status.FIXED,
    "fixed": Status.FIXED,
}


class _Helper(msgspec.Struct):
    purl: str = ""
    hashes: list[dict[str, Any]] | None = None


class _Product(msgspec.Struct):
    product_id: str
    name: str = ""
    product_identification_helper: _Helper | None = None


class _Branch(msgspec.Struct):
    product: _Product | None = None
    branches: list[_Branch] = []


class _Relationship(msgspec.Struct):
    product_reference: str
    relates_to_product_reference: str
    full_product_name: _Product


class _Tree(msgspec.Struct):
    branches: list[_Branch] = []
    full_product_names: list[_Product] = []
    relationships: list[_Relationship] = []


class _Remark(msgspec.Struct):
    """A flag, threat or remediation: it is about some products, or about all if it names none."""

    label: str = ""
    category: str = ""
    details: str = ""
    product_ids: list[str] | None = None

    def about(self, product: str) -> bool:
        return self.product_ids is None or product in self.product_ids


class _Named(msgspec.Struct):
    text: str = ""


class _Vulnerability(msgspec.Struct):
    cve: str = ""
    ids: list[_Named] | None = None
    product_status: dict[str, list[str]] = {}
    flags: list[_Remark] = []
    threats: list[_Remark] = []
    remediations: list[_Remark] = []


class _Tracking(msgspec.Struct):
    id: str = ""
    current_release_date: Any = None


class _Publisher(msgspec.Struct):
    name: str = ""


class _Head(msgspec.Struct):
    category: str
    publisher: _Publisher | None = None
    tracking: _Tracking | None = None


class _Document(msgspec.Struct):
    document: _Head
    vulnerabilities: list[msgspec.Raw]
    product_tree: _Tree | None = None


_documents = msgspec.json.Decoder(_Document)
_vulnerabilities = msgspec.json.Decoder(_Vulnerability)

_Products = dict[str, tuple[Subject, Subject | None]]
"""By its id within the document: the product, and the component if the id stands for one in the product."""


def read(document: bytes, tally: Tally) -> Iterator[Statement]:
    """Raises FeedInvalid for anything else, also for other categories of CSAF; what makes no sense is counted in tally."""
    try:
        whole = _documents.decode(document)
        products = _products(whole.product_tree or _Tree())
    except fields.BROKEN as error:
        raise FeedInvalid(f"not a CSAF document: {error}") from None
    if whole.document.category != "csaf_vex":
        raise FeedInvalid(f"a CSAF document of the category {whole.document.category[:60]!r} states nothing: it must be csaf_vex")
    for raw in whole.vulnerabilities:
        try:
            vulnerability = _vulnerabilities.decode(raw)
        except fields.BROKEN as error:
            tally.skip("a vulnerability", f"{error}")
            continue
        yield from _vulnerability(whole.document, vulnerability, products, tally)


def _vulnerability(head: _Head, vulnerability: _Vulnerability, products: _Products, tally: Tally) -> Iterator[Statement]:
    names = [name for name in (vulnerability.cve, *(each.text for each in vulnerability.ids or ())) if fields.is_identifier(name)]
    if not names:
        tally.skip("a vulnerability", "it has neither a cve nor other ids")
        return
    statuses: dict[str, Status] = {}
    for word, status in _STATUSES.items():
        statuses |= dict.fromkeys(vulnerability.product_status.get(word, []), status)
    for product_id, status in statuses.items():
        if product_id not in products:
            tally.skip(names[0], f"{product_id[:100]!r} is not in the product tree")
            continue
        product, component = products[product_id]
        remarks = vulnerability.remediations if status is Status.AFFECTED else vulnerability.threats
        yield Statement(
            document=fields.line(head.tracking.id if head.tracking else "", 300),
            author=fields.line(head.publisher.name if head.publisher else "", 200),
            vulnerability=names[0],
            aliases=fields.aliases(names[1:], names[0]),
            status=status,
            product=product,
            component=component,
            justification=next((fields.line(flag.label, 60) for flag in vulnerability.flags if flag.about(product_id)), ""),
            note=next((fields.line(each.details, fields.MAX_NOTE_LENGTH) for each in remarks if each.about(product_id)), ""),
            stated_at=fields.time(head.tracking.current_release_date) if head.tracking else "",
        )


def _products(tree: _Tree) -> _Products:
    found: _Products = {product.product_id: (_subject(product), None) for product in tree.full_product_names}
    branches = [(branch, 1) for branch in tree.branches]
    while branches:
        branch, depth = branches.pop()
        if branch.product is not None:
            found[branch.product.product_id] = (_subject(branch.product), None)
        if depth < _MAX_DEPTH:
            branches += [(child, depth + 1) for child in branch.branches]
    # "curl as a component of my image": the id of the two together is what statements name.
    for relation in tree.relationships:
        part, whole = (found.get(name) for name in (relation.product_reference, relation.relates_to_product_reference))
        if part is not None and whole is not None:
            found[relation.full_product_name.product_id] = (whole[0], part[0]) if whole[0].is_image else (part[0], None)
    return found


def _subject(product: _Product) -> Subject:
    helper = product.product_identification_helper
    return subject(helper.purl, _digests(helper)) if helper and (helper.purl or helper.hashes) else subject(product.name)


def _digests(helper: _Helper) -> dict[str, str]:
    digests: dict[str, str] = {}
    for entry in helper.hashes or ():
        for each in entry.get("file_hashes") or ():
            if isinstance(each, dict) and str(each.get("algorithm", "")).lower() == "sha256":
                digests["sha-256"] = str(each.get("value", ""))
    return digests
