"""Statements of vendors and operators about a vulnerability in a product: VEX, of whatever format."""

from __future__ import annotations

from enum import Enum

import msgspec

from roadstead.scanner.advisories.subject import Subject
from roadstead.scanner.inventory import Distro, Package

# Documents that say more are refused: nobody writes them by hand, and every scan asks all of them.
MAX_STATEMENTS = 100_000


class Status(Enum):
    NOT_AFFECTED = "not_affected"
    AFFECTED = "affected"
    FIXED = "fixed"
    UNDER_INVESTIGATION = "under_investigation"


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """
    One vulnerability in one product.

    component is the part of the product that it is about, if the document names one: a package in an image. justification is one of
    VEX's five words (`vulnerable_code_not_present` …) or empty; note is the text that goes with it. stated_at is RFC 3339 or empty: of
    two statements about the same, the later one holds.
    """

    document: str
    author: str
    vulnerability: str
    aliases: tuple[str, ...]
    status: Status
    product: Subject
    component: Subject | None
    justification: str
    note: str
    stated_at: str

    def names(self, vulnerability: str) -> bool:
        return vulnerability == self.vulnerability or vulnerability in self.aliases

    def covers(self, package: Package, distro: Distro | None, repository: str, digest: str) -> bool:
        """
        Whether it speaks of this package in this image.

        A product that is an image covers its packages, or the component alone if there is one; a product that is a package covers
        it in every image. repository is host and path (`gcr.io/my-project/app`).
        """
        if self.product.is_image:
            inside = self.component is None or self.component.concerns_package(package, distro)
            return inside and self.product.concerns_image(repository, digest)
        return (self.component or self.product).concerns_package(package, distro)
