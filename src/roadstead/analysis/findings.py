"""A scanner's finding in Grafeas's words: the vulnerability of an occurrence, and the note that all of its occurrences have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from roadstead.scanner import cvss
from roadstead.scanner.advisories.advisory import Advisory, Cvss, State
from roadstead.scanner.inventory import OS_KINDS, Distro, Package
from roadstead.scanner.match import Finding
from roadstead.scanner.severity import Severity, rating, severity_of_word

_TYPES = {"pypi": "PYPI", "npm": "NPM", "golang": "GO", "maven": "MAVEN", "gem": "RUBYGEMS"}
_OPEN = {
    State.WONT_FIX: "the distribution will not fix it in this release",
    State.POSTPONED: "the distribution has postponed the fix",
    State.END_OF_LIFE: "the package or release is no longer supported",
}
_DEBIAN_VERSION = re.compile(r"(?:(?P<epoch>\d{1,9}):)?(?P<name>.+?)(?:-(?P<revision>[^-]*))?")
_ALPINE_VERSION = re.compile(r"(?P<name>.+?)(?:-r(?P<revision>\d+))?")

Detail = dict[str, Any]


def occurrence(finding: Finding, distro: Distro | None, advisory: Advisory | None) -> Detail:
    """VulnerabilityOccurrence. advisory: the one that leads, for its texts."""
    package = finding.package
    fixed: Detail = version(package, finding.fixed) if finding.fixed else {"kind": "MAXIMUM"}
    cpe = distro.cpe if distro is not None else ""
    issue = {
        "affectedCpeUri": cpe,
        "affectedPackage": package.source_name,
        "affectedVersion": version(package, package.source_version),
        "fixedCpeUri": cpe,
        "fixedPackage": package.source_name,
        "fixedVersion": fixed,
        "fixAvailable": bool(finding.fixed),
        "packageType": package_type(package),
        "effectiveSeverity": finding.severity.name,
    }
    return {
        "type": package_type(package),
        "severity": finding.score_severity.name,
        "effectiveSeverity": finding.severity.name,
        **scores(finding.cvss),
        "packageIssue": [{name: value for name, value in issue.items() if value != ""}],
        "shortDescription": finding.id,
        "longDescription": _long(advisory, finding.state, finding.note),
        "relatedUrls": _urls(finding.id, finding.urls),
        "fixAvailable": bool(finding.fixed),
        "extraDetails": f"{finding.feed}: {', '.join(finding.records)}",
    }


def note(vulnerability: str, said: Sequence[Advisory]) -> Detail:
    """The note of a vulnerability, without its name and times; said: what all feeds say of it, at least one."""
    rated = next((each.cvss for each in said if each.cvss), ())
    texts = [each.description or each.summary for each in said if each.description or each.summary]
    urls = list(dict.fromkeys(url for each in said for url in each.urls))[:50]
    _, severity = rating(rated)
    return {
        "shortDescription": vulnerability,
        "longDescription": texts[0] if texts else "",
        "relatedUrl": _urls(vulnerability, urls),
        "vulnerability": {
            **{("cvssV3" if name == "cvssv3" else name): value for name, value in scores(rated).items()},
            "severity": severity.name,
            "details": [_detail(each) for each in said if each.state not in (State.NOT_AFFECTED, State.UNDETERMINED)],
        },
    }


def _detail(advisory: Advisory) -> Detail:
    package = _package(advisory)
    distro = Distro(advisory.ecosystem, advisory.release) if advisory.release else None
    found: Detail = {
        "affectedPackage": advisory.package,
        "affectedVersionStart": version(package, advisory.introduced) if advisory.introduced else {"kind": "MINIMUM"},
        "fixedPackage": advisory.package,
        "fixedVersion": version(package, advisory.fixed) if advisory.fixed else {"kind": "MAXIMUM"},
        "severityName": (severity_of_word(advisory.priority) or Severity.SEVERITY_UNSPECIFIED).name,
        "description": advisory.note or _OPEN.get(advisory.state, ""),
        "packageType": package_type(package),
        "source": advisory.feed,
        "vendor": advisory.ecosystem,
        "isObsolete": False,
    }
    if distro is not None:
        found |= {"affectedCpeUri": distro.cpe, "fixedCpeUri": distro.cpe}
    return {name: value for name, value in found.items() if value != ""}


def _package(advisory: Advisory) -> Package:
    kind = {"alpine": "apk", "debian": "dpkg", "ubuntu": "dpkg"}.get(advisory.ecosystem, "rpm" if advisory.release else advisory.ecosystem)
    return Package(kind, advisory.package, "", advisory.package, "", "", "")  # type: ignore[arg-type]


def package_type(package: Package) -> str:
    return "OS" if package.kind in OS_KINDS else _TYPES[package.kind]


def version(package: Package, text: str) -> Detail:
    """grafeas.v1.Version: `1:2.3-4` is epoch 1, name 2.3, revision 4."""
    pattern = _ALPINE_VERSION if package.kind == "apk" else _DEBIAN_VERSION if package.kind in OS_KINDS else None
    match = pattern.fullmatch(text) if pattern is not None else None
    parts = match.groupdict() if match is not None else {"name": text}
    found = {"epoch": int(parts.get("epoch") or 0), "name": parts["name"], "revision": parts.get("revision") or ""}
    return {**{name: value for name, value in found.items() if value}, "kind": "NORMAL", "fullName": text}


def scores(vectors: Sequence[Cvss]) -> Detail:
    """The fields that a vulnerability has of its CVSS vectors, the newest version first as the one that counts."""
    found: Detail = {}
    for field, number, prefix in (("cvssV4", 4, "4"), ("cvssv3", 3, "3"), ("cvssV2", 2, "2")):
        vector = next((each for each in vectors if each.version.startswith(prefix)), None)
        base = cvss.score(vector) if vector is not None else None
        if vector is None or base is None:
            continue
        found[field] = {"baseScore": base, **_metrics(vector)}
        found.setdefault("cvssScore", base)
        found.setdefault("cvssVersion", f"CVSS_VERSION_{number}")
    return found


_LEVELS = {"N": "NONE", "L": "LOW", "H": "HIGH", "P": "PARTIAL", "C": "COMPLETE"}
_NAMES: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "AV": ("attackVector", "ATTACK_VECTOR_", {"N": "NETWORK", "A": "ADJACENT", "L": "LOCAL", "P": "PHYSICAL"}),
    "AC": ("attackComplexity", "ATTACK_COMPLEXITY_", {"L": "LOW", "M": "MEDIUM", "H": "HIGH"}),
    "AT": ("attackRequirements", "ATTACK_REQUIREMENTS_", {"N": "NONE", "P": "PRESENT"}),
    "Au": ("authentication", "AUTHENTICATION_", {"M": "MULTIPLE", "S": "SINGLE", "N": "NONE"}),
    "PR": ("privilegesRequired", "PRIVILEGES_REQUIRED_", {"N": "NONE", "L": "LOW", "H": "HIGH"}),
    "UI": ("userInteraction", "USER_INTERACTION_", {"N": "NONE", "R": "REQUIRED", "P": "PASSIVE", "A": "ACTIVE"}),
    "S": ("scope", "SCOPE_", {"U": "UNCHANGED", "C": "CHANGED"}),
    "C": ("confidentialityImpact", "IMPACT_", _LEVELS),
    "I": ("integrityImpact", "IMPACT_", _LEVELS),
    "A": ("availabilityImpact", "IMPACT_", _LEVELS),
    "VC": ("vulnerableSystemConfidentialityImpact", "IMPACT_", _LEVELS),
    "VI": ("vulnerableSystemIntegrityImpact", "IMPACT_", _LEVELS),
    "VA": ("vulnerableSystemAvailabilityImpact", "IMPACT_", _LEVELS),
    "SC": ("subsequentSystemConfidentialityImpact", "IMPACT_", _LEVELS),
    "SI": ("subsequentSystemIntegrityImpact", "IMPACT_", _LEVELS),
    "SA": ("subsequentSystemAvailabilityImpact", "IMPACT_", _LEVELS),
}


def _metrics(vector: Cvss) -> Detail:
    pairs = (part.partition(":")[::2] for part in vector.vector.split("/"))
    found = {}
    for name, value in pairs:
        field = _NAMES.get(name)
        if field is not None and value in field[2]:
            found[field[0]] = field[1] + field[2][value]
    return found


def _long(advisory: Advisory | None, state: State, remark: str) -> str:
    text = (advisory.description or advisory.summary) if advisory is not None else ""
    more = [each for each in (_OPEN.get(state, ""), remark) if each]
    return "\n\n".join([*([text] if text else []), *([f"({'; '.join(more)})"] if more else [])])


def _urls(vulnerability: str, urls: Sequence[str]) -> list[Detail]:
    return [{"url": url, "label": vulnerability if vulnerability in url else "More Info"} for url in urls]
