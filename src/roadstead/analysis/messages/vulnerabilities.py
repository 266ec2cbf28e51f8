"""VULNERABILITY, and what says whether one matters here: VULNERABILITY_ASSESSMENT (VEX)."""

from __future__ import annotations

from roadstead.analysis.fields import BOOL, NUMBER, STRING, TIME, Enum, Message, OneOf, Repeated
from roadstead.analysis.messages.shared import FILE_LOCATION, RELATED_URL, SEVERITY, VERSION

_CVSS_VERSION = Enum("CVSS_VERSION_UNSPECIFIED CVSS_VERSION_2 CVSS_VERSION_3 CVSS_VERSION_4")
_VECTOR = Enum(
    "ATTACK_VECTOR_UNSPECIFIED ATTACK_VECTOR_NETWORK ATTACK_VECTOR_ADJACENT ATTACK_VECTOR_LOCAL ATTACK_VECTOR_PHYSICAL",
)
_PRIVILEGES = Enum("PRIVILEGES_REQUIRED_UNSPECIFIED PRIVILEGES_REQUIRED_NONE PRIVILEGES_REQUIRED_LOW PRIVILEGES_REQUIRED_HIGH")
_SCOPE = Enum("SCOPE_UNSPECIFIED SCOPE_UNCHANGED SCOPE_CHANGED")
_IMPACT = Enum("IMPACT_UNSPECIFIED IMPACT_HIGH IMPACT_LOW IMPACT_NONE IMPACT_PARTIAL IMPACT_COMPLETE")
_IMPACT_V3 = Enum("IMPACT_UNSPECIFIED IMPACT_HIGH IMPACT_LOW IMPACT_NONE")

CVSS = Message(
    baseScore=NUMBER,
    exploitabilityScore=NUMBER,
    impactScore=NUMBER,
    attackVector=_VECTOR,
    attackComplexity=Enum("ATTACK_COMPLEXITY_UNSPECIFIED ATTACK_COMPLEXITY_LOW ATTACK_COMPLEXITY_HIGH ATTACK_COMPLEXITY_MEDIUM"),
    authentication=Enum("AUTHENTICATION_UNSPECIFIED AUTHENTICATION_MULTIPLE AUTHENTICATION_SINGLE AUTHENTICATION_NONE"),
    privilegesRequired=_PRIVILEGES,
    userInteraction=Enum(
        "USER_INTERACTION_UNSPECIFIED USER_INTERACTION_NONE USER_INTERACTION_REQUIRED USER_INTERACTION_PASSIVE USER_INTERACTION_ACTIVE"
    ),
    scope=_SCOPE,
    confidentialityImpact=_IMPACT,
    integrityImpact=_IMPACT,
    availabilityImpact=_IMPACT,
    attackRequirements=Enum("ATTACK_REQUIREMENTS_UNSPECIFIED ATTACK_REQUIREMENTS_NONE ATTACK_REQUIREMENTS_PRESENT"),
    vulnerableSystemConfidentialityImpact=_IMPACT,
    vulnerableSystemIntegrityImpact=_IMPACT,
    vulnerableSystemAvailabilityImpact=_IMPACT,
    subsequentSystemConfidentialityImpact=_IMPACT,
    subsequentSystemIntegrityImpact=_IMPACT,
    subsequentSystemAvailabilityImpact=_IMPACT,
    exploitMaturity=Enum(
        "EXPLOIT_MATURITY_UNSPECIFIED EXPLOIT_MATURITY_NOT_DEFINED EXPLOIT_MATURITY_ATTACKED EXPLOIT_MATURITY_POC "
        "EXPLOIT_MATURITY_UNREPORTED"
    ),
)
_CVSS_V3 = Message(
    baseScore=NUMBER,
    exploitabilityScore=NUMBER,
    impactScore=NUMBER,
    attackVector=_VECTOR,
    attackComplexity=Enum("ATTACK_COMPLEXITY_UNSPECIFIED ATTACK_COMPLEXITY_LOW ATTACK_COMPLEXITY_HIGH"),
    privilegesRequired=_PRIVILEGES,
    userInteraction=Enum("USER_INTERACTION_UNSPECIFIED USER_INTERACTION_NONE USER_INTERACTION_REQUIRED"),
    scope=_SCOPE,
    confidentialityImpact=_IMPACT_V3,
    integrityImpact=_IMPACT_V3,
    availabilityImpact=_IMPACT_V3,
)

_STATE = Enum("STATE_UNSPECIFIED AFFECTED NOT_AFFECTED FIXED UNDER_INVESTIGATION")
_REMEDIATION = Message(
    remediationType=Enum("REMEDIATION_TYPE_UNSPECIFIED MITIGATION NO_FIX_PLANNED NONE_AVAILABLE VENDOR_FIX WORKAROUND"),
    details=STRING,
    remediationUri=RELATED_URL,
)
_JUSTIFICATION = Message(
    justificationType=Enum(
        "JUSTIFICATION_TYPE_UNSPECIFIED COMPONENT_NOT_PRESENT VULNERABLE_CODE_NOT_PRESENT VULNERABLE_CODE_NOT_IN_EXECUTE_PATH "
        "VULNERABLE_CODE_CANNOT_BE_CONTROLLED_BY_ADVERSARY INLINE_MITIGATIONS_ALREADY_EXIST"
    ),
    details=STRING,
)

PACKAGE_ISSUE = Message(
    affectedCpeUri=STRING,
    affectedPackage=STRING,
    affectedVersion=VERSION,
    fixedCpeUri=STRING,
    fixedPackage=STRING,
    fixedVersion=VERSION,
    fixAvailable=BOOL,
    packageType=STRING,
    effectiveSeverity=SEVERITY,
    fileLocation=Repeated(FILE_LOCATION),
)
_VEX_ASSESSMENT = Message(
    cve=STRING,
    vulnerabilityId=STRING,
    relatedUris=Repeated(RELATED_URL),
    noteName=STRING,
    state=_STATE,
    impacts=Repeated(STRING),
    remediations=Repeated(_REMEDIATION),
    justification=_JUSTIFICATION,
)
VULNERABILITY = Message(
    type=STRING,
    severity=SEVERITY,
    cvssScore=NUMBER,
    cvssv3=CVSS,
    packageIssue=Repeated(PACKAGE_ISSUE),
    shortDescription=STRING,
    longDescription=STRING,
    relatedUrls=Repeated(RELATED_URL),
    effectiveSeverity=SEVERITY,
    fixAvailable=BOOL,
    cvssVersion=_CVSS_VERSION,
    cvssV2=CVSS,
    vexAssessment=_VEX_ASSESSMENT,
    extraDetails=STRING,
    risk=Message(cisaKev=Message(knownRansomwareCampaignUse=STRING), epss=Message(percentile=NUMBER, score=NUMBER)),
    cvssV4=CVSS,
)

_DETAIL = Message(
    severityName=STRING,
    description=STRING,
    packageType=STRING,
    affectedCpeUri=STRING,
    affectedPackage=STRING,
    affectedVersionStart=VERSION,
    affectedVersionEnd=VERSION,
    fixedCpeUri=STRING,
    fixedPackage=STRING,
    fixedVersion=VERSION,
    isObsolete=BOOL,
    sourceUpdateTime=TIME,
    source=STRING,
    vendor=STRING,
)
_WINDOWS_DETAIL = Message(cpeUri=STRING, name=STRING, description=STRING, fixingKbs=Repeated(Message(name=STRING, url=STRING)))
VULNERABILITY_NOTE = Message(
    cvssScore=NUMBER,
    severity=SEVERITY,
    details=Repeated(_DETAIL),
    cvssV3=_CVSS_V3,
    windowsDetails=Repeated(_WINDOWS_DETAIL),
    sourceUpdateTime=TIME,
    cvssVersion=_CVSS_VERSION,
    cvssV2=CVSS,
    advisoryPublishTime=TIME,
    cvssV4=CVSS,
)
VULNERABILITY_ASSESSMENT_NOTE = Message(
    title=STRING,
    shortDescription=STRING,
    longDescription=STRING,
    languageCode=STRING,
    publisher=Message(name=STRING, issuingAuthority=STRING, publisherNamespace=STRING),
    product=Message(OneOf("genericUri"), name=STRING, id=STRING, genericUri=STRING),
    assessment=Message(
        cve=STRING,
        vulnerabilityId=STRING,
        shortDescription=STRING,
        longDescription=STRING,
        relatedUris=Repeated(RELATED_URL),
        state=_STATE,
        impacts=Repeated(STRING),
        justification=_JUSTIFICATION,
        remediations=Repeated(_REMEDIATION),
    ),
)
