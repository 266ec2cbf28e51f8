"""Packages and advisories in, findings out: pure, so that a change of the advisories needs no second look at the image."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

import msgspec

from roadstead.errors import VersionInvalid
from roadstead.scanner import releases, versions
from roadstead.scanner.advisories.advisory import Advisory, Cvss, Form, State
from roadstead.scanner.advisories.ecosystems import package_name
from roadstead.scanner.inventory import OS_KINDS, Distro, Kind, Package
from roadstead.scanner.severity import Severity, rating, severity_of_word

Lookup = Callable[[str, str, str], Sequence[Advisory]]
"""All advisories of (ecosystem, release, source package), of whatever feeds."""

Vectors = Callable[[str], tuple[Cvss, ...]]
"""The CVSS vectors that any feed knows of a CVE."""

# Which kind of feed decides. Two kinds are never added up: what one of them does not mention is not affected.
_PREFERENCE: dict[str, tuple[Form, ...]] = {
    "debian": (Form.DEBIAN, Form.OSV),
    "ubuntu": (Form.OSV,),
    "alpine": (Form.ALPINE, Form.OSV),
}
_SYSTEMS: dict[str, Kind] = {"debian": "dpkg", "ubuntu": "dpkg", "alpine": "apk"}
_SILENT = (State.NOT_AFFECTED, State.UNDETERMINED)
# A tracker's record of the CVE knows more than the notices, of which a later one may mend what an earlier one broke.
_NOTICE = re.compile(r"(?:USN|DSA|DLA|DTSA)-[0-9]")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """
    One vulnerability of one installed package.

    id is a CVE if there is one. fixed is the version of the source package that mends it, or empty.
    severity is the effective one. score and score_severity are those of the CVSS vector that counts: None and unspecified without one.
    feed and record are what decided; records are the names of all records that say the same, e.g. of the notices.
    """

    id: str
    package: Package
    state: State
    fixed: str
    severity: Severity
    score: float | None
    score_severity: Severity
    cvss: tuple[Cvss, ...]
    feed: str
    record: str
    records: tuple[str, ...]
    aliases: tuple[str, ...]
    urls: tuple[str, ...]
    priority: str
    note: str
    summary: str
    description: str
    modified_at: str


class Skipped(msgspec.Struct, frozen=True):
    """A pair that could not be compared: version is the one that is none."""

    package: Package
    id: str
    version: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is known of an image.

    supported is false where there was nothing to match its OS packages against: no distribution or release that we know, or no feed
    that speaks of it. Such an image is not clean. end_of_life: its release gets no more advisories, so that newer ones are missing.
    ecosystem and form tell what was looked up.
    """

    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    supported: bool
    end_of_life: bool
    ecosystem: str | None
    form: Form | None


def preferred(ecosystem: str, forms: Collection[Form]) -> Form | None:
    """The kind of feed that decides for the ecosystem, of those that have records of the release; None if none can."""
    return next((form for form in _PREFERENCE.get(ecosystem, (Form.OSV,)) if form in forms), None)


def filed_under(package: Package, distro: Distro | None) -> tuple[str, str, str] | None:
    """
    The ecosystem, release and name that a package's advisories are filed under: a source package's name in a distribution, and for
    languages, which have no release, the name as its index compares it (`PyYAML` is `pyyaml`).

    None for a package of a system that is not the distribution's own, or of a distribution that no feed speaks of.
    """
    if package.kind not in OS_KINDS:
        return package.kind, "", package_name(package.kind, package.source_name)
    ecosystem = releases.ecosystem_of(distro) if distro else None
    if distro is None or ecosystem is None or package.kind != _SYSTEMS[ecosystem]:
        return None
    return ecosystem, distro.release, package.source_name


def match_all(
    distro: Distro | None,
    packages: Iterable[Package],
    lookup: Lookup,
    forms: Collection[Form],
    today: date,
    vectors: Vectors | None = None,
) -> Report:
    """
    Match all packages of an image. forms are the kinds of feeds that have any record of the image's release.

    OS packages are those of the distribution's own system. Packages of languages are matched too, wherever they stand.
    Findings are sorted: the worst first, then by id and package. The same package given twice is found twice.
    """
    ecosystem = releases.ecosystem_of(distro) if distro else None
    form = preferred(ecosystem, forms) if ecosystem else None
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    matched: dict[tuple[str, ...], tuple[list[Finding], list[Skipped]]] = {}
    for package in packages:
        place = filed_under(package, distro)
        decides = form if package.kind in OS_KINDS else Form.OSV
        if place is None or decides is None:
            continue
        # The binaries of one source package share what is found of it.
        key = (*place, package.source_version)
        if key not in matched:
            matched[key] = match(package, lookup(*place), decides, vectors)
        found, missed = matched[key]
        findings += (msgspec.structs.replace(finding, package=package) for finding in found)
        skipped += (Skipped(package, pair.id, pair.version) for pair in missed)
    findings.sort(key=lambda finding: (-finding.severity, finding.id, finding.package.name, finding.package.architecture))
    return Report(
        findings=tuple(findings),
        skipped=tuple(skipped),
        supported=form is not None,
        end_of_life=bool(distro and ecosystem and releases.is_end_of_life(ecosystem, distro.release, today)),
        ecosystem=ecosystem,
        form=form,
    )


def match(
    package: Package, advisories: Iterable[Advisory], form: Form, vectors: Vectors | None = None
) -> tuple[list[Finding], list[Skipped]]:
    """
    Which of the advisories of its source package and release a package is affected by; form decides, others only add to it.

    All advisories of one id make one finding at most. Never raises for versions that are none: such pairs are in the second list.
    """
    groups: dict[str, list[Advisory]] = {}
    for advisory in advisories:
        groups.setdefault(advisory.id, []).append(advisory)
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    for group in groups.values():
        evidence = _weigh(package, group, form, skipped)
        if evidence is not None:
            findings.append(_finding(package, evidence, vectors))
    return findings, skipped


@dataclass(frozen=True, slots=True)
class _Evidence:
    """The advisories that say that the package is affected, all others of the same id by descending weight, and what VEX adds."""

    decisive: list[Advisory]
    others: list[Advisory] = field(default_factory=list)
    refined: Advisory | None = None


def _weigh(package: Package, group: list[Advisory], form: Form, skipped: list[Skipped]) -> _Evidence | None:
    if len(group) == 1:  # as nearly all are
        (only,) = group
        return _Evidence(group) if only.form is form and only.state not in _SILENT and _affects(only, package, skipped) else None
    group = sorted(group, key=lambda advisory: advisory.key)  # so that findings do not change with the order of rows
    spoken = [advisory for advisory in group if advisory.form is form]
    decisive = [advisory for advisory in spoken if not _NOTICE.match(advisory.record)] or spoken
    refining = [advisory for advisory in group if advisory.form is Form.OPENVEX]
    # Who says "not affected" has looked at it; the others have only looked at versions.
    if any(advisory.state is State.NOT_AFFECTED for advisory in (*decisive, *refining)):
        return None
    affecting = [advisory for advisory in decisive if advisory.state not in _SILENT and _affects(advisory, package, skipped)]
    if not affecting:
        return None
    others = [advisory for advisory in spoken if advisory not in affecting]
    lenders = [advisory for advisory in group if advisory.form is not form and advisory.form is not Form.OPENVEX]
    reasons = [advisory for advisory in refining if advisory.state in (State.WONT_FIX, State.POSTPONED, State.END_OF_LIFE)]
    return _Evidence(affecting, others + lenders, reasons[0] if reasons else None)


def _affects(advisory: Advisory, package: Package, skipped: list[Skipped]) -> bool:
    ecosystem, version = advisory.ecosystem, package.source_version
    bounds = (advisory.introduced, advisory.fixed, advisory.last_affected)
    if not any(bounds):
        return True  # all versions are: then it does not matter whether this one can be read
    suspect = version
    try:
        own = versions.key(ecosystem, version)
        keys: list[bytes] = []
        for bound in bounds:
            suspect = bound
            keys.append(versions.key(ecosystem, bound) if bound else b"")
    except VersionInvalid:
        skipped.append(Skipped(package, advisory.id, suspect))
        return False
    introduced, fixed, last = keys
    return introduced <= own and (not fixed or own < fixed) and (not last or own <= last)


def _finding(package: Package, evidence: _Evidence, vectors: Vectors | None) -> Finding:
    decisive = evidence.decisive
    everything = [*decisive, *evidence.others]
    leading = decisive[0]
    fixed = _fix(decisive)
    state, note = (State.FIXED, leading.note) if fixed else _open_state(decisive, evidence.refined)
    cvss = next((advisory.cvss for advisory in everything if advisory.cvss), ()) or (vectors(leading.id) if vectors else ())
    priorities = [advisory.priority for advisory in everything if advisory.priority]
    priority = next((word for word in priorities if severity_of_word(word)), priorities[0] if priorities else "")
    score, score_severity = rating(cvss)
    records = dict.fromkeys(advisory.record for advisory in everything if advisory.form is leading.form)
    return Finding(
        id=leading.id,
        package=package,
        state=state,
        fixed=fixed,
        severity=severity_of_word(priority) or score_severity,
        score=score,
        score_severity=score_severity,
        cvss=cvss,
        feed=leading.feed,
        record=leading.record,
        records=tuple(records),
        aliases=tuple(sorted({alias for advisory in everything for alias in advisory.aliases})),
        urls=tuple(dict.fromkeys(url for advisory in everything for url in advisory.urls)),
        priority=priority,
        note=note,
        summary=next((advisory.summary for advisory in everything if advisory.summary), ""),
        description=next((advisory.description for advisory in everything if advisory.description), ""),
        modified_at=max(advisory.modified_at for advisory in decisive),
    )


def _fix(decisive: list[Advisory]) -> str:
    """The version that is good in all affected ranges; empty if one of them has no end."""
    if any(advisory.state is not State.FIXED or not advisory.fixed for advisory in decisive):
        return ""
    return max((advisory.fixed for advisory in decisive), key=lambda version: versions.key(decisive[0].ecosystem, version))


def _open_state(decisive: list[Advisory], refined: Advisory | None) -> tuple[State, str]:
    """That of the range without a fix, unless somebody knows why there is none."""
    leading = next(advisory for advisory in decisive if advisory.state is not State.FIXED or not advisory.fixed)
    if refined is not None and leading.state is State.AFFECTED:
        return refined.state, refined.note or leading.note
    return leading.state, leading.note
