"""Occurrences, and the resources that they are about."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, Select, String, bindparam, delete, func, select, tuple_, update
from sqlalchemy.dialects import postgresql

from roadstead.analysis.filters import Tree
from roadstead.analysis.plans import Order
from roadstead.analysis.queries.filters import Columns, expression
from roadstead.db import schema
from roadstead.db.database import Statement

o = schema.occurrences.c
r = schema.occurrence_resources.c
n = schema.notes.c

_tables = schema.occurrences.join(schema.occurrence_resources, o.resource_id == r.id).join(schema.notes, o.note_id == n.id)
_occurrence = select(
    o.id,
    o.project,
    o.name,
    o.kind,
    o.severity,
    o.fixable,
    o.with_scheme,
    o.content,
    o.created_at_us,
    o.updated_at_us,
    r.id,
    r.uri,
    n.id,
    n.project,
    n.name,
    n.content,
).select_from(_tables)
GET = Statement(_occurrence.where(o.name == bindparam("occurrence"), o.project == bindparam("project")))
LOCK = Statement(
    _occurrence.where(o.name == bindparam("occurrence"), o.project == bindparam("project")).with_for_update(of=schema.occurrences)
)

ADD = Statement(
    postgresql.insert(schema.occurrences)
    .values(
        project=bindparam("project"),
        name=bindparam("name"),
        resource_id=bindparam("resource_id"),
        note_id=bindparam("note_id"),
        kind=bindparam("kind"),
        severity=bindparam("severity"),
        fixable=bindparam("fixable"),
        with_scheme=bindparam("with_scheme"),
        content=bindparam("content"),
        created_at_us=bindparam("now_us"),
        updated_at_us=bindparam("now_us"),
    )
    .on_conflict_do_nothing()
)
SAVE = Statement(
    update(schema.occurrences)
    .where(o.id == bindparam("which"))
    .values(
        note_id=bindparam("new_note_id"),
        severity=bindparam("new_severity"),
        fixable=bindparam("new_fixable"),
        content=bindparam("new_content"),
        updated_at_us=bindparam("now_us"),
    )
)
DELETE = Statement(delete(schema.occurrences).where(o.id == bindparam("which")))

RESOURCE = Statement(select(r.id).where(r.project == bindparam("project"), r.uri == bindparam("uri")))
ADD_RESOURCE = Statement(
    postgresql.insert(schema.occurrence_resources)
    .values(project=bindparam("project"), uri=bindparam("uri"), digest=bindparam("digest"))
    .on_conflict_do_nothing()
)

# What leads to the rows is the order's own; other conditions must not tempt an engine to another index.
_COLUMNS: Columns = {
    "kind": o.kind + 0,
    "severity": o.severity + 0,
    "fixable": o.fixable + 0,
    "created": o.created_at_us + 0,
    "updated": o.updated_at_us + 0,
    "resource": r.uri + "",
    "note_project": n.project + "",
    "note": n.name + "",
}
_BY_RESOURCE: Columns = {**_COLUMNS, "resource": r.uri}

_KEYS: dict[Order, tuple[ColumnElement[Any], ...]] = {
    Order.RESOURCE: (r.uri, o.id),
    Order.DIGEST: (r.id, o.id),
    Order.NOTE: (o.project, o.id),
    Order.TIME: (o.updated_at_us, o.id),
    Order.KIND: (o.kind, o.severity, o.fixable, o.id),
}


@lru_cache(256)
def page(order: Order, tree: Tree, of_note: bool) -> Statement:
    """
    At most :most rows after the key :k0, :k1 …, in order. tree: a shape.

    of_note: those of :note_id in all projects; else those of :project.
    """
    keys = _KEYS[order]
    places = [bindparam(f"k{index}", type_=_type(key)) for index, key in enumerate(keys)]
    if order is Order.NOTE and not of_note:
        # All of one project: what is the same in all rows would keep the index from being entered in its middle.
        keys, places = keys[1:], places[1:]
    found = _occurrence.where(tuple_(*keys) > tuple_(*places), *_leading(order, of_note))
    found = found.where(expression(tree, _BY_RESOURCE if order is Order.RESOURCE else _COLUMNS))
    return Statement(found.order_by(*keys).limit(bindparam("most")))


def _type(column: ColumnElement[Any]) -> Any:
    return String() if isinstance(column.type, String) else BigInteger()


def _leading(order: Order, of_note: bool) -> list[ColumnElement[bool]]:
    project, note = o.project == bindparam("project"), o.note_id == bindparam("note_id")
    match order:
        case Order.RESOURCE:
            return [r.project == bindparam("project")]
        case Order.DIGEST:
            return [r.digest == bindparam("digest"), note if of_note else project]
        case Order.NOTE:
            return [note] if of_note else [note, project]
        case Order.KIND:
            return [project, o.kind <= bindparam("last_kind", type_=Integer())]
        case Order.TIME:
            return [project]


@lru_cache(64)
def summary(order: Order, tree: Tree) -> Statement:
    """(uri, with_scheme, severity, how many have a fix, how many) of the vulnerabilities in :project, at most :most."""
    counted: Select[Any] = (
        select(r.uri, func.max(o.with_scheme), o.severity, func.sum(o.fixable), func.count()).select_from(_tables)
    ).where(o.kind == bindparam("vulnerability"), *_leading(order, of_note=False))
    counted = counted.where(expression(tree, _BY_RESOURCE if order is Order.RESOURCE else _COLUMNS))
    return Statement(counted.group_by(r.uri, o.severity).order_by(r.uri, o.severity.desc()).limit(bindparam("most")))


# A project that is gone, in steps.
OF_PROJECT = Statement(
    select(o.id).where(o.project == bindparam("project")).order_by(o.kind, o.severity, o.fixable, o.id).limit(bindparam("most"))
)
RESOURCES_OF_PROJECT = Statement(select(r.id).where(r.project == bindparam("project")).order_by(r.uri).limit(bindparam("most")))
DELETE_RESOURCE = Statement(delete(schema.occurrence_resources).where(r.id == bindparam("which")))
