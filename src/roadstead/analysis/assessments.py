"""
Exceptions: what a project has decided about vulnerabilities of its images, as notes of the kind VULNERABILITY_ASSESSMENT (VEX).

`product.genericUri` is the image, or what the names of several begin with (`https://gcr.io/my-project/team`); without it all of the
project are meant. `product.id` may be a package URL (`pkg:deb/debian/openssl`): then that package alone is. `assessment.vulnerabilityId`
(or `cve`) is the vulnerability; without it, all of the package. `expirationTime` ends it. Findings that do not matter stay visible, with
the assessment, and do not count in summaries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from packageurl import PackageURL

from roadstead.analysis import names, resources
from roadstead.analysis.kinds import Kind
from roadstead.analysis.queries import assessments as queries
from roadstead.db.database import Reader, Transaction
from roadstead.errors import FieldInvalid

FIELD = Kind.VULNERABILITY_ASSESSMENT.field
MOST = 5000
"""Of a project: so many are looked at."""
MOST_BYTES = 16 * 1024
"""Of one as JSON, because all of a project's are read at once."""
MOST_NAME_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Scope:
    """What an assessment is about; "" for any. image is a resource, or what the names of several begin with, without https://."""

    vulnerability: str
    package: str
    image: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """detail: VulnerabilityOccurrence.VexAssessment."""

    scope: Scope
    detail: Mapping[str, Any]


def scope_of(content: Mapping[str, Any]) -> Scope:
    """Of a note's content. Raises FieldInvalid for one that would be about everything, is too long, or whose package URL is none."""
    said = content[FIELD]
    product, assessment = said.get("product", {}), said.get("assessment", {})
    package = ""
    if product.get("id", "").startswith("pkg:"):
        try:
            found = PackageURL.from_string(product["id"])
        except ValueError as error:
            raise FieldInvalid(f"'note.{FIELD}.product.id' is no package URL: {error}", {"field": f"note.{FIELD}.product.id"}) from error
        package = found.name if found.type not in ("oci", "docker") else ""
    vulnerability = assessment.get("vulnerabilityId") or assessment.get("cve") or ""
    if not vulnerability and not package:
        raise FieldInvalid(
            f"'note.{FIELD}.assessment.vulnerabilityId' or a package URL in 'note.{FIELD}.product.id' is required: an assessment is of a "
            "vulnerability, or of a package",
            {"field": f"note.{FIELD}.assessment.vulnerabilityId"},
        )
    scope = Scope(vulnerability, package, resources.without_scheme(product.get("genericUri", "")).rstrip("/"))
    for part in (scope.vulnerability, scope.package, scope.image):
        if len(part.encode()) > MOST_NAME_BYTES or not part.isprintable():
            raise FieldInvalid(
                f"names of vulnerabilities, packages and images in 'note.{FIELD}' may have {MOST_NAME_BYTES} bytes that can be seen"
            )
    if len(msgspec.json.encode(content)) > MOST_BYTES:
        raise FieldInvalid(f"a note with '{FIELD}' may have {MOST_BYTES} bytes as JSON")
    return scope


async def save(tx: Transaction, which: int, project: str, content: Mapping[str, Any]) -> None:
    """With a note that is new or has changed; which: its row. Raises FieldInvalid."""
    scope, expires = scope_of(content), content.get("expirationTime")
    row = {
        "vulnerability": scope.vulnerability,
        "package": scope.package,
        "image": scope.image,
        "state": content[FIELD].get("assessment", {}).get("state", ""),
        "expires_at_us": _microseconds(expires) if expires else None,
    }
    await tx.run(queries.PUT, {"which": which, "project": project, **row})


async def forget(tx: Transaction, which: int) -> None:
    """Before the note's row goes."""
    await tx.run(queries.DELETE, {"which": which})


async def of_project(reader: Reader, project: str, now_us: int) -> Mapping[str, Sequence[Assessment]]:
    """Those that last, at most MOST, by their vulnerabilities."""
    rows = await reader.all(queries.OF_PROJECT, {"project": project, "now_us": now_us, "most": MOST})
    found: dict[str, list[Assessment]] = {}
    for vulnerability, package, image, note, content in rows:
        scope = Scope(str(vulnerability), str(package), str(image))
        found.setdefault(scope.vulnerability, []).append(Assessment(scope, _detail(project, str(note), msgspec.json.decode(content))))
    return found


def fitting(assessments: Mapping[str, Sequence[Assessment]], resource: str, vulnerability: str, package: str) -> Assessment | None:
    """The one that is most particular: of the image, the package, the vulnerability."""
    candidates = (*assessments.get(vulnerability, ()), *assessments.get("", ()))
    found = [each for each in candidates if _fits(each.scope, resource, vulnerability, package)]
    return max(found, key=lambda each: (len(each.scope.image), bool(each.scope.vulnerability), bool(each.scope.package)), default=None)


def _fits(scope: Scope, resource: str, vulnerability: str, package: str) -> bool:
    if scope.vulnerability not in ("", vulnerability) or scope.package not in ("", package):
        return False
    return not scope.image or resource == scope.image or resource.startswith((f"{scope.image}/", f"{scope.image}@"))


def _detail(project: str, note: str, content: Mapping[str, Any]) -> dict[str, Any]:
    assessment = content[FIELD].get("assessment", {})
    taken = ("cve", "vulnerabilityId", "relatedUris", "state", "impacts", "remediations", "justification")
    return {"noteName": names.note(project, note), **{name: assessment[name] for name in taken if name in assessment}}


def _microseconds(text: str) -> int:
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1_000_000)
