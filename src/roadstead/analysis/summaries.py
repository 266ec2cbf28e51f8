"""How many vulnerabilities there are of each resource, by severity."""

from __future__ import annotations

from dataclasses import dataclass

from roadstead.analysis import filters, plans
from roadstead.analysis.kinds import Kind
from roadstead.analysis.occurrences import parameters_of
from roadstead.analysis.plans import Order
from roadstead.analysis.queries import filters as shapes
from roadstead.analysis.queries import notes as note_queries
from roadstead.analysis.queries import occurrences as queries
from roadstead.analysis.resources import Resource
from roadstead.analysis.scanned import Scanned
from roadstead.db.database import Database
from roadstead.errors import FieldInvalid
from roadstead.scanner.severity import Severity

MOST_COUNTS = 20_000
"""The answer has no pages."""


@dataclass(frozen=True, slots=True)
class Count:
    """Of one severity. fixable: how many of them have a fix."""

    severity: Severity
    fixable: int
    total: int


class Summaries:
    def __init__(self, database: Database, scanned: Scanned) -> None:
        self._database = database
        self._scanned = scanned

    async def by_resource(self, project: str, filter_text: str = "") -> list[tuple[Resource, Count]]:
        """
        By the resources' addresses, the worst severity first. The filter is that of a list of occurrences.

        Raises FieldInvalid, also when there would be more than MOST_COUNTS.
        """
        tree = filters.parse(filter_text)
        stored = await self._stored(project, tree)
        scanned = await self._scanned.summary(project, tree, MOST_COUNTS + 1)
        if len(stored) + len(scanned) > MOST_COUNTS:
            raise FieldInvalid(
                f"there are more than {MOST_COUNTS} counts: ask for fewer resources, by a filter such as "
                'has_prefix(resourceUrl, "https://gcr.io/PROJECT/IMAGE")',
                {"field": "filter"},
            )
        return _added(stored, [(Resource(uri), Count(severity, fixable, total)) for uri, severity, fixable, total in scanned])

    async def _stored(self, project: str, tree: filters.Tree) -> list[tuple[Resource, Count]]:
        plan = plans.plan(tree)
        form, values = shapes.shape(tree)
        values |= parameters_of(plan) | {"project": project, "vulnerability": int(Kind.VULNERABILITY), "most": MOST_COUNTS + 1}
        if plan.note is not None:
            row = await self._database.one(note_queries.ID, {"project": plan.note[0], "note": plan.note[1]})
            if row is None:
                return []
            values["note_id"] = row[0]
        if plan.order is Order.KIND:
            values["last_kind"] = int(Kind.VULNERABILITY)
        rows = await self._database.all(queries.summary(plan.order, form), values)
        return [(Resource(str(row[0]), bool(row[1])), Count(Severity(row[2]), int(row[3]), int(row[4]))) for row in rows]


def _added(one: list[tuple[Resource, Count]], other: list[tuple[Resource, Count]]) -> list[tuple[Resource, Count]]:
    """What users and scanners have said of one resource counts together."""
    found: dict[tuple[str, Severity], tuple[Resource, Count]] = {}
    for resource, count in [*one, *other]:
        key = (resource.uri, count.severity)
        first, before = found.get(key, (resource, Count(count.severity, 0, 0)))
        found[key] = (first, Count(count.severity, count.fixable + before.fixable, count.total + before.total))
    return [found[key] for key in sorted(found, key=lambda key: (key[0], -key[1]))]
