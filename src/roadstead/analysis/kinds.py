"""The kinds of analysis, and the whole messages of notes and occurrences, which have one detail each: that of their kind."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from roadstead.analysis.fields import STRING, TIME, Field, Message, OneOf, Repeated
from roadstead.analysis.messages import attestations, builds, images, packages, vulnerabilities
from roadstead.analysis.messages.shared import ENVELOPE, NOTE_KIND, RELATED_URL


class Kind(IntEnum):
    """grafeas.v1.NoteKind. The numbers are kept in the database."""

    VULNERABILITY = 1
    BUILD = 2
    IMAGE = 3
    PACKAGE = 4
    DEPLOYMENT = 5
    DISCOVERY = 6
    ATTESTATION = 7
    UPGRADE = 8
    COMPLIANCE = 9
    DSSE_ATTESTATION = 10
    VULNERABILITY_ASSESSMENT = 11
    SBOM_REFERENCE = 12
    SECRET = 13

    @property
    def field(self) -> str:
        """Where notes and occurrences have the detail: `dsseAttestation`."""
        first, *others = self.name.lower().split("_")
        return first + "".join(map(str.capitalize, others))


_OF_NOTES: Mapping[Kind, Field] = {
    Kind.VULNERABILITY: vulnerabilities.VULNERABILITY_NOTE,
    Kind.BUILD: builds.BUILD_NOTE,
    Kind.IMAGE: images.IMAGE_NOTE,
    Kind.PACKAGE: packages.PACKAGE_NOTE,
    Kind.DEPLOYMENT: images.DEPLOYMENT_NOTE,
    Kind.DISCOVERY: images.DISCOVERY_NOTE,
    Kind.ATTESTATION: attestations.ATTESTATION_NOTE,
    Kind.UPGRADE: packages.UPGRADE_NOTE,
    Kind.COMPLIANCE: images.COMPLIANCE_NOTE,
    Kind.DSSE_ATTESTATION: attestations.DSSE_ATTESTATION_NOTE,
    Kind.VULNERABILITY_ASSESSMENT: vulnerabilities.VULNERABILITY_ASSESSMENT_NOTE,
    Kind.SBOM_REFERENCE: attestations.SBOM_REFERENCE_NOTE,
    Kind.SECRET: images.SECRET_NOTE,
}
# An assessment is a note alone.
_OF_OCCURRENCES: Mapping[Kind, Field] = {
    Kind.VULNERABILITY: vulnerabilities.VULNERABILITY,
    Kind.BUILD: builds.BUILD,
    Kind.IMAGE: images.IMAGE,
    Kind.PACKAGE: packages.PACKAGE,
    Kind.DEPLOYMENT: images.DEPLOYMENT,
    Kind.DISCOVERY: images.DISCOVERY,
    Kind.ATTESTATION: attestations.ATTESTATION,
    Kind.UPGRADE: packages.UPGRADE,
    Kind.COMPLIANCE: images.COMPLIANCE,
    Kind.DSSE_ATTESTATION: attestations.DSSE_ATTESTATION,
    Kind.SBOM_REFERENCE: attestations.SBOM_REFERENCE,
    Kind.SECRET: images.SECRET,
}


def _details(of: Mapping[Kind, Field]) -> dict[str, Field]:
    return {kind.field: message for kind, message in of.items()}


NOTE = Message(
    OneOf(*_details(_OF_NOTES)),
    name=STRING,
    shortDescription=STRING,
    longDescription=STRING,
    kind=NOTE_KIND,
    relatedUrl=Repeated(RELATED_URL),
    expirationTime=TIME,
    createTime=TIME,
    updateTime=TIME,
    relatedNoteNames=Repeated(STRING),
    **_details(_OF_NOTES),
)
OCCURRENCE = Message(
    OneOf(*_details(_OF_OCCURRENCES)),
    name=STRING,
    resourceUri=STRING,
    noteName=STRING,
    kind=NOTE_KIND,
    remediation=STRING,
    createTime=TIME,
    updateTime=TIME,
    **_details(_OF_OCCURRENCES),
    envelope=ENVELOPE,
)
