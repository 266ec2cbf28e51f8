"""PACKAGE and UPGRADE."""

from __future__ import annotations

from roadstead.analysis.fields import INT32, STRING, TIME, Message, Repeated
from roadstead.analysis.messages.shared import ARCHITECTURE, DIGEST, LICENSE, VERSION

PACKAGE = Message(
    name=STRING,
    location=Repeated(Message(cpeUri=STRING, version=VERSION, path=STRING)),
    packageType=STRING,
    cpeUri=STRING,
    architecture=ARCHITECTURE,
    license=LICENSE,
    version=VERSION,
)
_DISTRIBUTION = Message(cpeUri=STRING, architecture=ARCHITECTURE, latestVersion=VERSION, maintainer=STRING, url=STRING, description=STRING)
PACKAGE_NOTE = Message(
    name=STRING,
    distribution=Repeated(_DISTRIBUTION),
    packageType=STRING,
    cpeUri=STRING,
    architecture=ARCHITECTURE,
    version=VERSION,
    maintainer=STRING,
    url=STRING,
    description=STRING,
    license=LICENSE,
    digest=Repeated(DIGEST),
)

_UPGRADE_DISTRIBUTION = Message(cpeUri=STRING, classification=STRING, severity=STRING, cve=Repeated(STRING))
_WINDOWS_UPDATE = Message(
    identity=Message(updateId=STRING, revision=INT32),
    title=STRING,
    description=STRING,
    categories=Repeated(Message(categoryId=STRING, name=STRING)),
    kbArticleIds=Repeated(STRING),
    supportUrl=STRING,
    lastPublishedTimestamp=TIME,
)
UPGRADE = Message(package=STRING, parsedVersion=VERSION, distribution=_UPGRADE_DISTRIBUTION, windowsUpdate=_WINDOWS_UPDATE)
UPGRADE_NOTE = Message(package=STRING, version=VERSION, distributions=Repeated(_UPGRADE_DISTRIBUTION), windowsUpdate=_WINDOWS_UPDATE)
