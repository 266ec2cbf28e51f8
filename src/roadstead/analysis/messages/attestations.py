"""ATTESTATION, DSSE_ATTESTATION and SBOM_REFERENCE: what somebody signed."""

from __future__ import annotations

from roadstead.analysis.fields import BYTES, STRING, Map, Message, OneOf, Repeated
from roadstead.analysis.messages.builds import STATEMENT, SUBJECT
from roadstead.analysis.messages.shared import ENVELOPE, ENVELOPE_SIGNATURE

_HINT = Message(humanReadableName=STRING)

ATTESTATION = Message(
    serializedPayload=BYTES,
    signatures=Repeated(Message(signature=BYTES, publicKeyId=STRING)),
    jwts=Repeated(Message(compactJwt=STRING)),
)
ATTESTATION_NOTE = Message(hint=_HINT)

DSSE_ATTESTATION = Message(OneOf("statement"), envelope=ENVELOPE, statement=STATEMENT)
DSSE_ATTESTATION_NOTE = Message(hint=_HINT)

_PREDICATE = Message(referrerId=STRING, location=STRING, mimeType=STRING, digest=Map(STRING))
SBOM_REFERENCE = Message(
    payload=Message(_type=STRING, predicateType=STRING, subject=Repeated(SUBJECT), predicate=_PREDICATE),
    payloadType=STRING,
    signatures=Repeated(ENVELOPE_SIGNATURE),
)
SBOM_REFERENCE_NOTE = Message(format=STRING, version=STRING)
