"""Findings of package versions: read from the advisories that are there, written as the difference to what was found before."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from roadstead.db.database import Reader, Transaction
from roadstead.scanner.advisories.advisory import Advisory, Cvss, Form
from roadstead.scanner.inventory import Distro, Inventory, Kind, Package
from roadstead.scanner.match import Finding, filed_under, match, preferred
from roadstead.scanning import queries
from roadstead.scanning.events import Event, record

# Of strangers' files: no advisory names a package of more, and no database has a NUL in a text.
_can_be_kept = re.compile(r"[^\0-\x1f\ud800-\udfff]{1,512}").fullmatch
_KINDS: Mapping[str, Kind] = {"debian": "dpkg", "ubuntu": "dpkg", "alpine": "apk"}


@dataclass(frozen=True, slots=True)
class Version:
    """
    A version of a package as advisories know it: of a distribution's release, then name and version are those of the source package;
    or of a language (pypi, npm …), then release is empty.
    """

    ecosystem: str
    release: str
    name: str
    version: str

    @property
    def order(self) -> tuple[str, str, str, str]:
        """One order everywhere, so that two scans never wait for each other."""
        return self.ecosystem, self.release, self.name, self.version

    @property
    def parameters(self) -> dict[str, str]:
        return {"ecosystem": self.ecosystem, "release": self.release, "name": self.name, "version": self.version}


def versions_of(inventory: Inventory) -> set[Version]:
    """Packages of a system that nothing names are left out, and such as cannot be kept."""
    return {version for package, _ in inventory.packages if (version := version_of(package, inventory.distro)) is not None}


def version_of(package: Package, distro: Distro | None) -> Version | None:
    place = filed_under(package, distro)
    if place is None or not all(_can_be_kept(part) for part in (place[2], package.source_version)):
        return None
    return Version(*place, package.source_version)


@dataclass(frozen=True, slots=True)
class Found:
    """A finding, and the key of the advisory that leads."""

    finding: Finding
    advisory: str


def key_of(advisory: Advisory) -> str:
    """What tells the advisories of one package in a feed apart."""
    return f"{advisory.id}\n{advisory.record}\n{advisory.introduced}"


class Matching:
    """Reads what matching needs, each only once: one for a scan, or for the versions of a changed package."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._advisories: dict[tuple[str, str, str], list[Advisory]] = {}
        self._forms: dict[tuple[str, str], Form | None] = {}
        self._vectors: dict[str, tuple[Cvss, ...]] = {}

    async def findings(self, version: Version) -> list[Found]:
        """Of the advisories as they are now."""
        advisories = await self._of_package(version)
        form = await self._form(version.ecosystem, version.release) if advisories else None
        if form is None:
            return []
        for each in advisories:
            if not each.cvss and each.id not in self._vectors:
                self._vectors[each.id] = await self._rated(each.id)
        found, _ = match(_package(version), advisories, form, lambda vulnerability: self._vectors.get(vulnerability, ()))
        keys: dict[tuple[str, str, str], str] = {}
        for each in advisories:
            keys.setdefault((each.id, each.feed, each.record), key_of(each))
        return [Found(each, keys[each.id, each.feed, each.record]) for each in found]

    async def _of_package(self, version: Version) -> list[Advisory]:
        key = (version.ecosystem, version.release, version.name)
        if key not in self._advisories:
            rows = await self._reader.all(queries.ADVISORIES_OF, {"ecosystem": key[0], "release": key[1], "name": key[2]})
            self._advisories[key] = [Advisory.decode(row[0]) for row in rows]
        return self._advisories[key]

    async def _form(self, ecosystem: str, release: str) -> Form | None:
        """Which kind of feed decides; None where none tells of the release."""
        if not release:
            return Form.OSV
        if (ecosystem, release) not in self._forms:
            self._forms[ecosystem, release] = await form_of(self._reader, ecosystem, release)
        return self._forms[ecosystem, release]

    async def _rated(self, vulnerability: str) -> tuple[Cvss, ...]:
        rows = await self._reader.all(queries.RATED, {"vulnerability": vulnerability})
        rated = sorted((Advisory.decode(row[0]) for row in rows), key=lambda each: each.key)
        return rated[0].cvss if rated else ()


async def form_of(reader: Reader, ecosystem: str, release: str) -> Form | None:
    rows = await reader.all(queries.FORMS, {"ecosystem": ecosystem, "release": release})
    return preferred(ecosystem, {Form(str(row[0])) for row in rows})


def _package(version: Version) -> Package:
    kind = _KINDS.get(version.ecosystem) or ("rpm" if version.release else msgspec.convert(version.ecosystem, Kind))
    return Package(kind, version.name, version.version, version.name, version.version, "", "")


def kept(finding: Finding) -> Finding:
    """Without its texts and times: those are the advisory's, and there may be thousands of versions with the finding."""
    return msgspec.structs.replace(finding, summary="", description="", modified_at="")


@dataclass(slots=True)
class Changes:
    """How many findings of package versions are new, changed and gone."""

    new: int = 0
    changed: int = 0
    gone: int = 0

    def add(self, other: Changes) -> None:
        self.new += other.new
        self.changed += other.changed
        self.gone += other.gone


async def replace(tx: Transaction, version_id: int, wanted: Sequence[Found], reason: str, now_us: int) -> Changes:
    """
    Make these the findings of a package version: what is as it was is not touched, what changes keeps its id and creation.

    Every difference is an event, with the reason. New versions have none: the scan that brought them is told instead.
    """
    before = {str(row[1]): (int(row[0]), str(row[2])) for row in await tx.all(queries.FINDINGS, {"version_id": version_id})}
    changes, events = Changes(), []
    for each in wanted:
        finding, content = each.finding, msgspec.json.encode(kept(each.finding)).decode()
        row = {
            "severity": int(finding.severity),
            "fixable": bool(finding.fixed),
            "feed": finding.feed,
            "advisory": each.advisory,
            "content": content,
        }
        known = before.pop(finding.id, None)
        if known is None:
            await tx.run(queries.ADD_FINDING, {"version_id": version_id, "vulnerability": finding.id, **row, "now_us": now_us})
            changes.new += 1
            events.append(Event.of_finding("FINDING_NEW", finding, reason))
        elif known[1] != content:
            renamed = {f"new_{name}": value for name, value in row.items()}
            await tx.run(queries.CHANGE_FINDING, {"finding_id": known[0], **renamed, "now_us": now_us})
            changes.changed += 1
            events.append(Event.of_finding("FINDING_CHANGED", finding, reason))
    for vulnerability, (finding_id, content) in before.items():
        await tx.run(queries.DELETE_FINDING, {"finding_id": finding_id})
        changes.gone += 1
        gone = msgspec.json.decode(content, type=Finding)
        assert gone.id == vulnerability
        events.append(Event.of_finding("FINDING_GONE", gone, reason))
    if reason:
        for event in events:
            await record(tx, event, now_us, version_id=version_id)
    return changes
