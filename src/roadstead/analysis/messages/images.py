"""What is said of an image as a whole: IMAGE, DEPLOYMENT, DISCOVERY, COMPLIANCE, SECRET."""

from __future__ import annotations

from roadstead.analysis.fields import ANY, BYTES, INT32, STRING, TIME, Enum, Map, Message, OneOf, Repeated
from roadstead.analysis.messages.shared import DIGEST, FILE_LOCATION, NOTE_KIND, SEVERITY, STATUS

_FINGERPRINT = Message(v1Name=STRING, v2Blob=Repeated(STRING), v2Name=STRING)
IMAGE = Message(
    fingerprint=_FINGERPRINT,
    distance=INT32,
    layerInfo=Repeated(Message(directive=STRING, arguments=STRING)),
    baseResourceUrl=STRING,
)
IMAGE_NOTE = Message(resourceUrl=STRING, fingerprint=_FINGERPRINT)

DEPLOYMENT = Message(
    userEmail=STRING,
    deployTime=TIME,
    undeployTime=TIME,
    config=STRING,
    address=STRING,
    resourceUri=Repeated(STRING),
    platform=Enum("PLATFORM_UNSPECIFIED GKE FLEX CUSTOM"),
)
DEPLOYMENT_NOTE = Message(resourceUri=Repeated(STRING))

DISCOVERY = Message(
    continuousAnalysis=Enum("CONTINUOUS_ANALYSIS_UNSPECIFIED ACTIVE INACTIVE"),
    analysisStatus=Enum("ANALYSIS_STATUS_UNSPECIFIED PENDING SCANNING FINISHED_SUCCESS FINISHED_FAILED FINISHED_UNSUPPORTED", COMPLETE=3),
    analysisCompleted=Message(analysisType=Repeated(STRING)),
    analysisError=Repeated(STATUS),
    analysisStatusError=STATUS,
    cpe=STRING,
    lastScanTime=TIME,
    archiveTime=TIME,
    sbomStatus=Message(sbomState=Enum("SBOM_STATE_UNSPECIFIED PENDING COMPLETE"), error=STRING),
    vulnerabilityAttestation=Message(
        lastAttemptTime=TIME, state=Enum("VULNERABILITY_ATTESTATION_STATE_UNSPECIFIED SUCCESS FAILURE"), error=STRING
    ),
    files=Repeated(Message(name=STRING, digest=Map(STRING))),
    lastVulnerabilityUpdateTime=TIME,
)
DISCOVERY_NOTE = Message(analysisKind=NOTE_KIND)

_COMPLIANCE_VERSION = Message(cpeUri=STRING, benchmarkDocument=STRING, version=STRING)
COMPLIANCE = Message(
    nonCompliantFiles=Repeated(Message(path=STRING, displayCommand=STRING, reason=STRING)),
    nonComplianceReason=STRING,
    version=_COMPLIANCE_VERSION,
)
COMPLIANCE_NOTE = Message(
    OneOf("cisBenchmark"),
    OneOf("impact"),
    title=STRING,
    description=STRING,
    version=Repeated(_COMPLIANCE_VERSION),
    rationale=STRING,
    remediation=STRING,
    cisBenchmark=Message(profileLevel=INT32, severity=SEVERITY),
    scanInstructions=BYTES,
    impact=STRING,
)

_SECRET_KIND = Enum(
    "SECRET_KIND_UNSPECIFIED SECRET_KIND_UNKNOWN SECRET_KIND_GCP_SERVICE_ACCOUNT_KEY SECRET_KIND_GCP_API_KEY "
    "SECRET_KIND_GCP_OAUTH2_CLIENT_CREDENTIALS SECRET_KIND_GCP_OAUTH2_ACCESS_TOKEN SECRET_KIND_ANTHROPIC_ADMIN_API_KEY "
    "SECRET_KIND_ANTHROPIC_API_KEY SECRET_KIND_AZURE_ACCESS_TOKEN SECRET_KIND_AZURE_IDENTITY_TOKEN "
    "SECRET_KIND_DOCKER_HUB_PERSONAL_ACCESS_TOKEN SECRET_KIND_GITHUB_APP_REFRESH_TOKEN "
    "SECRET_KIND_GITHUB_APP_SERVER_TO_SERVER_TOKEN SECRET_KIND_GITHUB_APP_USER_TO_SERVER_TOKEN "
    "SECRET_KIND_GITHUB_CLASSIC_PERSONAL_ACCESS_TOKEN SECRET_KIND_GITHUB_FINE_GRAINED_PERSONAL_ACCESS_TOKEN "
    "SECRET_KIND_GITHUB_OAUTH_TOKEN SECRET_KIND_HUGGINGFACE_API_KEY SECRET_KIND_OPENAI_API_KEY SECRET_KIND_PERPLEXITY_API_KEY "
    "SECRET_KIND_STRIPE_SECRET_KEY SECRET_KIND_STRIPE_RESTRICTED_KEY SECRET_KIND_STRIPE_WEBHOOK_SECRET"
)
_SECRET_STATUS = Message(status=Enum("STATUS_UNSPECIFIED UNKNOWN VALID INVALID"), updateTime=TIME, message=STRING)
SECRET = Message(
    kind=_SECRET_KIND,
    locations=Repeated(Message(OneOf("fileLocation"), fileLocation=FILE_LOCATION)),
    statuses=Repeated(_SECRET_STATUS),
    data=ANY,
    digest=DIGEST,
)
SECRET_NOTE = Message()
