"""
Bills of materials of an image: CycloneDX 1.6 and SPDX 2.3, both as JSON.

The same inventory gives the same bytes: names and times are the image's, so an exported bill can be compared and signed.
Spec: CycloneDX Specification 1.6 (JSON), SPDX Specification 2.3.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
from packageurl import PackageURL

from roadstead.scanner.inventory import Inventory, Package

CYCLONEDX = "application/vnd.cyclonedx+json"
SPDX = "application/spdx+json"

_NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "https://spdx.org/spdxdocs/roadstead")
_UNFIT = re.compile(r"[^A-Za-z0-9.-]")
_NOTHING_SAID = "NOASSERTION"


class Format(StrEnum):
    CYCLONEDX = "cyclonedx"
    SPDX = "spdx"


@dataclass(frozen=True, slots=True)
class Subject:
    """The image: `gcr.io/my-project/web` and its digest; created_at is RFC 3339, when it was scanned; tool is our name and version."""

    name: str
    digest: str
    created_at: str
    tool_version: str

    @property
    def purl(self) -> str:
        return PackageURL("oci", None, self.name.rpartition("/")[2], self.digest, {"repository_url": self.name}).to_string()

    def unique(self, what: str) -> uuid.UUID:
        return uuid.uuid5(_NAMES, f"{self.name}@{self.digest} {self.created_at} {what}")


def render(inventory: Inventory, subject: Subject, form: Format) -> bytes:
    """The bill as UTF-8, indented, with a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(_RENDERERS[form](inventory, subject)), indent=2) + b"\n"


def media_type(form: Format) -> str:
    return CYCLONEDX if form is Format.CYCLONEDX else SPDX


def _cyclonedx(inventory: Inventory, subject: Subject) -> dict[str, Any]:
    packages = _packages(inventory)
    components = [_component(ref, package, inventory) for ref, package in packages.items()]
    if inventory.distro is not None:
        system = {"type": "operating-system", "name": inventory.distro.id, "version": inventory.distro.release, "bom-ref": "system"}
        components.insert(0, {**system, "description": inventory.distro.pretty_name, "cpe": inventory.distro.cpe})
    image = {"type": "container", "bom-ref": subject.purl, "name": subject.name, "version": subject.digest, "purl": subject.purl}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{subject.unique('cyclonedx')}",
        "version": 1,
        "metadata": {
            "timestamp": subject.created_at,
            "tools": {"components": [{"type": "application", "name": "roadstead", "version": subject.tool_version}]},
            "component": image,
        },
        "components": components,
        "dependencies": [{"ref": subject.purl, "dependsOn": list(packages)}],
    }


def _component(ref: str, package: Package, inventory: Inventory) -> dict[str, Any]:
    properties = [("package:kind", package.kind), ("package:path", package.path)]
    if (package.source_name, package.source_version) != (package.name, package.version):
        properties += [("package:source", package.source_name), ("package:source-version", package.source_version)]
    return {
        "type": "library",
        "bom-ref": ref,
        "name": package.name,
        "version": package.version,
        "purl": package.purl_in(inventory.distro),
        "properties": [{"name": f"roadstead:{name}", "value": value} for name, value in properties if value],
    }


def _spdx(inventory: Inventory, subject: Subject) -> dict[str, Any]:
    packages = _packages(inventory)
    image = {
        **_spdx_package("SPDXRef-image", subject.name, subject.digest, subject.purl),
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{"algorithm": subject.digest.partition(":")[0].upper(), "checksumValue": subject.digest.partition(":")[2]}],
    }
    ids = {ref: f"SPDXRef-package-{index}-{_UNFIT.sub('-', package.name)}"[:200] for index, (ref, package) in enumerate(packages.items())}
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{subject.name}@{subject.digest}",
        "documentNamespace": f"https://spdx.org/spdxdocs/roadstead-{subject.unique('spdx')}",
        "creationInfo": {"created": subject.created_at, "creators": [f"Tool: roadstead-{subject.tool_version}"]},
        "packages": [image, *(_described(ids[ref], package, inventory) for ref, package in packages.items())],
        "relationships": [
            {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-image"},
            *(
                {"spdxElementId": "SPDXRef-image", "relationshipType": "CONTAINS", "relatedSpdxElement": identity}
                for identity in ids.values()
            ),
        ],
    }


def _described(identity: str, package: Package, inventory: Inventory) -> dict[str, Any]:
    source = f"found in {package.path}" if package.path else ""
    if (package.source_name, package.source_version) != (package.name, package.version):
        source += f"{'; ' if source else ''}built from source package {package.source_name} {package.source_version}"
    return {
        **_spdx_package(identity, package.name, package.version, package.purl_in(inventory.distro)),
        **({"sourceInfo": source} if source else {}),
    }


def _spdx_package(identity: str, name: str, version: str, purl: str) -> dict[str, Any]:
    return {
        "SPDXID": identity,
        "name": name,
        "versionInfo": version,
        "downloadLocation": _NOTHING_SAID,
        "filesAnalyzed": False,
        "licenseConcluded": _NOTHING_SAID,
        "licenseDeclared": _NOTHING_SAID,
        "copyrightText": _NOTHING_SAID,
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}],
    }


def _packages(inventory: Inventory) -> dict[str, Package]:
    """By a reference that no other has: the package URL, and the path where that is not enough."""
    found: dict[str, Package] = {}
    again: dict[str, int] = {}
    for package, _ in inventory.packages:
        ref = package.purl_in(inventory.distro)
        if ref in found:
            ref = f"{ref}#{package.path}"
        if ref in found:
            # Package URLs do not mind case, so that one program may have thousands of these.
            again[ref] = again.get(ref, 1) + 1
            ref = f"{ref}#{again[ref]}"
        while ref in found:
            ref += "'"
        found[ref] = package
    return found


_RENDERERS: Mapping[Format, Callable[[Inventory, Subject], dict[str, Any]]] = {Format.CYCLONEDX: _cyclonedx, Format.SPDX: _spdx}
