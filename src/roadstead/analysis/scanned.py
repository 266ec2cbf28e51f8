"""
What scanners found, as occurrences and notes that nobody has written: they are read from scanning's tables (queries/scanned.py).

DISCOVERY occurrences come first, then VULNERABILITY, each in the order of images. Their ids tell the image and the finding.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from roadstead.analysis import assessments, findings, names, plans
from roadstead.analysis.assessments import Assessment
from roadstead.analysis.filters import EVERYTHING, And, Condition, Not, Or, Tree
from roadstead.analysis.kinds import Kind
from roadstead.analysis.notes import Note, NotePage
from roadstead.analysis.occurrences import Occurrence
from roadstead.analysis.queries import filters as shapes
from roadstead.analysis.queries import scanned as queries
from roadstead.analysis.resources import Resource
from roadstead.db.database import Database, Row
from roadstead.errors import FieldInvalid
from roadstead.scanner.advisories.advisory import Advisory
from roadstead.scanner.inventory import Distro
from roadstead.scanner.match import Finding
from roadstead.scanner.severity import Severity

PACKAGE_VULNERABILITY = "PACKAGE_VULNERABILITY"
KERNEL_HEADERS = "kernel-headers"
"""A project's label: `hidden` hides findings of kernel headers."""
SUMMED = 25
"""Images whose findings are counted at once."""
MOST_NOTES = 100
MOST_RECORDS = 200
"""Advisories that a note tells of."""

NOTHING = Or(())
_FIRST_BYTE = 0xFE
_MOST = 2**56 - 1
_findings = msgspec.json.Decoder(Finding)

_DISCOVERY: dict[str, str | int] = {
    "kind": int(Kind.DISCOVERY),
    "note_project": names.ANALYSIS,
    "note": PACKAGE_VULNERABILITY,
    "severity": 0,
    "fixable": 0,
}
_VULNERABILITY: dict[str, str | int] = {"kind": int(Kind.VULNERABILITY), "note_project": names.VULNERABILITIES}

Place = tuple[int, int, int]
"""Kind, image, finding: where a page ended."""


class Scanned:
    def __init__(self, database: Database, now_us: Callable[[], int]) -> None:
        self._database = database
        self._now_us = now_us

    async def get(self, project: str, occurrence_id: str) -> Occurrence | None:
        found = _parsed(occurrence_id)
        if found is None:
            return None
        image_id, finding_id = found
        where = {"image_id": image_id, "project": project}
        if finding_id == 0:
            row = await self._database.one(queries.IMAGE, where)
            return _discovery(row) if row is not None else None
        row = await self._database.one(queries.VULNERABILITY, {**where, "finding_id": finding_id})
        if row is None:
            return None
        return _vulnerability(row, await assessments.of_project(self._database, project, self._now_us()))

    async def page(self, project: str, tree: Tree, token: str, size: int) -> tuple[list[Occurrence], str]:
        """At most size after token, "" for the first, and the token for what comes then, "" where that is nothing. Raises FieldInvalid."""
        if size == 0:
            return [], token or f"{int(Kind.DISCOVERY)}/0/0"
        found, more = await self._page(project, tree, _place(token) if token else (int(Kind.DISCOVERY), 0, 0), size)
        return found, "/".join(map(str, more)) if more else ""

    async def _page(self, project: str, tree: Tree, after: Place, size: int) -> tuple[list[Occurrence], Place | None]:
        kind, image_id, finding_id = after
        found: list[Occurrence] = []
        if kind == Kind.DISCOVERY:
            rows = await self._images(project, tree, image_id, size + 1)
            found = [_discovery(row) for row in rows[:size]]
            if len(rows) > size:
                return found, (int(Kind.DISCOVERY), int(rows[size - 1][0]), 0)
            image_id = finding_id = 0
        rows = await self._vulnerabilities(project, tree, (image_id, finding_id), size - len(found) + 1)
        kept = rows[: size - len(found)]
        last = kept[-1] if kept else (image_id, finding_id)
        more = (int(Kind.VULNERABILITY), int(last[0]), int(last[1])) if len(rows) > len(kept) else None
        said = await assessments.of_project(self._database, project, self._now_us()) if kept else {}
        return found + [_vulnerability(row, said) for row in kept], more

    async def _images(self, project: str, tree: Tree, image_id: int, most: int) -> Sequence[Row]:
        form, values = shapes.shape(narrowed(tree, _DISCOVERY))
        if form == NOTHING:
            return []
        return await self._database.all(queries.images(form), {**values, "project": project, "image_id": image_id, "most": most})

    async def _vulnerabilities(self, project: str, tree: Tree, after: tuple[int, int], most: int) -> Sequence[Row]:
        form, values = shapes.shape(narrowed(tree, _VULNERABILITY))
        if form == NOTHING:
            return []
        place = {"image_id": after[0], "finding_id": after[1]}
        values |= {**place, "project": project, "most": most, "with_kernel": await self._with_kernel(project)}
        return await self._database.all(queries.vulnerabilities(form), values)

    async def _with_kernel(self, project: str) -> int:
        """0 where the project's label says that findings of kernel headers are not shown."""
        row = await self._database.one(queries.LABELS, {"project": project})
        labels = msgspec.json.decode(row[0]) if row is not None and row[0] else {}
        return int(labels.get(KERNEL_HEADERS) != "hidden")

    async def summary(self, project: str, tree: Tree, most: int) -> list[tuple[str, Severity, int, int]]:
        """Resource, severity, how many have a fix, how many; without those that the project has decided do not matter."""
        form, values = shapes.shape(narrowed(tree, _VULNERABILITY))
        if form == NOTHING:
            return []
        values |= {"project": project, "now_us": self._now_us(), "with_kernel": await self._with_kernel(project)}
        rows: list[Row] = []
        async for after, last in self._ranges(project, tree):
            place = {"image_id": after, "last_image_id": last, "most": most - len(rows)}
            rows += await self._database.all(queries.summary(form), values | place)
            if len(rows) >= most:
                break
        return [(str(uri), Severity(severity), int(fixable), int(count)) for uri, severity, fixable, count in rows]

    async def _ranges(self, project: str, tree: Tree) -> AsyncIterator[tuple[int, int]]:
        """Of images' ids: a few at once, so that others have their turn between; all where the filter names them."""
        if plans.names_resources(tree):
            yield 0, _MOST
            return
        after = 0
        while rows := await self._database.all(queries.IMAGE_IDS, {"project": project, "image_id": after, "most": SUMMED}):
            yield after, int(rows[-1][0])
            after = int(rows[-1][0])
            await asyncio.sleep(0)

    async def note(self, project: str, note_id: str) -> Note | None:
        """Of a project of the server."""
        if project == names.ANALYSIS:
            return _ANALYSIS if note_id == PACKAGE_VULNERABILITY else None
        rows = await self._database.all(queries.SAID, {"note": note_id, "most": MOST_RECORDS})
        said = [Advisory.decode(row[0]) for row in rows]
        return Note(0, project, note_id, Kind.VULNERABILITY, findings.note(note_id, said), 0, 0) if said else None

    async def notes(self, project: str, after: str, size: int) -> NotePage:
        """A page of all notes of a project of the server, by their ids."""
        if project == names.ANALYSIS:
            return NotePage([_ANALYSIS] if after < PACKAGE_VULNERABILITY else [], "")
        # Each is made of many records.
        size = min(size, MOST_NOTES)
        rows = await self._database.all(queries.NAMES, {"after": after, "most": size + 1})
        found = [note for (name,) in rows[:size] if (note := await self.note(project, str(name))) is not None]
        return NotePage(found, str(rows[size - 1][0]) if len(rows) > size else "")


_ANALYSIS = Note(
    0,
    names.ANALYSIS,
    PACKAGE_VULNERABILITY,
    Kind.DISCOVERY,
    {"shortDescription": "Package vulnerabilities of container images", "discovery": {"analysisKind": Kind.VULNERABILITY.name}},
    0,
    0,
)


def narrowed(tree: Tree, known: dict[str, str | int]) -> Tree:
    """The tree for rows of which these columns are known: EVERYTHING or NOTHING where they decide."""
    if isinstance(tree, Condition):
        if tree.column not in known:
            return tree
        return EVERYTHING if _holds(tree, known[tree.column]) else NOTHING
    if isinstance(tree, Not):
        part = narrowed(tree.part, known)
        return NOTHING if part == EVERYTHING else EVERYTHING if part == NOTHING else Not(part)
    parts = [narrowed(part, known) for part in tree.parts]
    decisive, neutral = (NOTHING, EVERYTHING) if isinstance(tree, And) else (EVERYTHING, NOTHING)
    if decisive in parts:
        return decisive
    left = tuple(part for part in parts if part != neutral)
    return left[0] if len(left) == 1 else type(tree)(left) if left else neutral


def _holds(condition: Condition, value: Any) -> bool:
    match condition.operator:
        case "=":
            return bool(value == condition.value)
        case "!=":
            return bool(value != condition.value)
        case "<":
            return bool(value < condition.value)
        case "<=":
            return bool(value <= condition.value)
        case ">":
            return bool(value > condition.value)
        case ">=":
            return bool(value >= condition.value)
    raise ValueError(condition.operator)


def identity(image_id: int, finding_id: int = 0) -> str:
    """An occurrence's id; finding 0 is the image's discovery."""
    return str(uuid.UUID(bytes=bytes([_FIRST_BYTE]) + image_id.to_bytes(7, "big") + finding_id.to_bytes(8, "big")))


def _parsed(occurrence_id: str) -> tuple[int, int] | None:
    try:
        found = uuid.UUID(occurrence_id).bytes
    except ValueError:
        return None
    image_id, finding_id = int.from_bytes(found[1:8], "big"), int.from_bytes(found[8:], "big")
    is_ours = found[0] == _FIRST_BYTE and finding_id <= _MOST and identity(image_id, finding_id) == occurrence_id
    return (image_id, finding_id) if is_ours else None


def _place(token: str) -> Place:
    """Raises FieldInvalid."""
    parts = token.split("/")
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 18]
    if len(parts) != 3 or len(numbers) != 3 or numbers[0] not in (Kind.DISCOVERY, Kind.VULNERABILITY):
        raise FieldInvalid("pageToken must be the nextPageToken of the page before, with the same filter", {"field": "pageToken"})
    return numbers[0], numbers[1], numbers[2]


def of_finding(
    project: str, name: str, resource: Resource, told: Row, said: Mapping[str, Sequence[Assessment]], created_at_us: int, updated_at_us: int
) -> Occurrence:
    """
    A finding as an occurrence called name. told: the finding as it is kept, ecosystem and release, and the advisory that leads, None if it
    is there no more; said: as assessments.of_project() has it.
    """
    content, ecosystem, release, advisory = told
    finding = _findings.decode(content)
    distro = Distro(str(ecosystem), str(release)) if release else None
    detail = findings.occurrence(finding, distro, Advisory.decode(advisory) if advisory is not None else None)
    assessment = assessments.fitting(said, resource.uri, finding.id, finding.package.source_name)
    if assessment is not None:
        detail["vexAssessment"] = dict(assessment.detail)
    return Occurrence(
        project=project,
        name=name,
        resource=resource,
        note=(names.VULNERABILITIES, finding.id),
        kind=Kind.VULNERABILITY,
        severity=finding.severity,
        fixable=bool(finding.fixed),
        content={"vulnerability": detail},
        created_at_us=created_at_us,
        updated_at_us=updated_at_us,
    )


def _vulnerability(row: Row, said: Mapping[str, Sequence[Assessment]]) -> Occurrence:
    image_id, finding_id, project, resource, *told, created_at_us, updated_at_us = row
    name = identity(int(image_id), int(finding_id))
    return of_finding(str(project), name, Resource(str(resource)), told, said, int(created_at_us), int(updated_at_us))


def _discovery(row: Row) -> Occurrence:
    image_id, project, resource, state, error, ecosystem, release, is_told, is_current, created_at_us, scanned_at_us = row
    detail: dict[str, Any] = {"analysisStatus": status(str(state), bool(is_told)), "continuousAnalysis": "INACTIVE"}
    if scanned_at_us:
        detail["lastScanTime"] = datetime.fromtimestamp(scanned_at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if ecosystem:
        detail["cpe"] = Distro(str(ecosystem), str(release)).cpe
    if detail["analysisStatus"] == "FINISHED_SUCCESS":
        detail["analysisCompleted"] = {"analysisType": ["VULNERABILITY"]}
        if is_current:
            detail["continuousAnalysis"] = "ACTIVE"
    remark = str(error) or _remark(detail["analysisStatus"], str(ecosystem or ""), str(release or ""), bool(is_current))
    if remark:
        detail["analysisStatusError"] = {"code": 2 if error else 9, "message": remark}
    return Occurrence(
        project=str(project),
        name=identity(int(image_id)),
        resource=Resource(str(resource)),
        note=(names.ANALYSIS, PACKAGE_VULNERABILITY),
        kind=Kind.DISCOVERY,
        severity=Severity.SEVERITY_UNSPECIFIED,
        fixable=False,
        content={"discovery": detail},
        created_at_us=int(created_at_us),
        updated_at_us=int(scanned_at_us or created_at_us),
    )


def status(state: str, is_told: bool) -> str:
    """discovery.AnalysisStatus. An image of a release of which no advisories tell is not known, which is not the same as clean."""
    if state == "FINISHED":
        return "FINISHED_SUCCESS" if is_told else "FINISHED_UNSUPPORTED"
    return "FINISHED_FAILED" if state == "FAILED" else state


def _remark(said: str, ecosystem: str, release: str, is_current: bool) -> str:
    if said == "FINISHED_UNSUPPORTED":
        return f"no advisories of {ecosystem} {release} were loaded" if ecosystem else "nothing in the image tells its distribution"
    if said == "FINISHED_SUCCESS" and not is_current:
        return f"{ecosystem} {release} gets no more advisories (end of life): newer vulnerabilities are not known"
    return ""
