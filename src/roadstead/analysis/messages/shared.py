"""What messages of several kinds have: severities, versions, licences, places in an image, signatures."""

from __future__ import annotations

from roadstead.analysis.fields import ANY, BOOL, BYTES, INT32, STRING, Enum, Message, Repeated

SEVERITY = Enum("SEVERITY_UNSPECIFIED MINIMAL LOW MEDIUM HIGH CRITICAL")
NOTE_KIND = Enum(
    "NOTE_KIND_UNSPECIFIED VULNERABILITY BUILD IMAGE PACKAGE DEPLOYMENT DISCOVERY ATTESTATION UPGRADE COMPLIANCE DSSE_ATTESTATION "
    "VULNERABILITY_ASSESSMENT SBOM_REFERENCE SECRET"
)
ARCHITECTURE = Enum("ARCHITECTURE_UNSPECIFIED X86 X64")

RELATED_URL = Message(url=STRING, label=STRING)
STATUS = Message(code=INT32, message=STRING, details=Repeated(ANY))
VERSION = Message(
    epoch=INT32,
    name=STRING,
    revision=STRING,
    inclusive=BOOL,
    kind=Enum("VERSION_KIND_UNSPECIFIED NORMAL MINIMUM MAXIMUM"),
    fullName=STRING,
)
LICENSE = Message(expression=STRING, comments=STRING)
DIGEST = Message(algo=STRING, digestBytes=BYTES)

_BASE_IMAGE = Message(name=STRING, repository=STRING, layerCount=INT32, registry=STRING)
_LAYER_DETAILS = Message(index=INT32, diffId=STRING, chainId=STRING, command=STRING, baseImages=Repeated(_BASE_IMAGE))
FILE_LOCATION = Message(filePath=STRING, layerDetails=_LAYER_DETAILS, lineNumber=INT32)

ENVELOPE_SIGNATURE = Message(sig=BYTES, keyid=STRING)
ENVELOPE = Message(payload=BYTES, payloadType=STRING, signatures=Repeated(ENVELOPE_SIGNATURE))
