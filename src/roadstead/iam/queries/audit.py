"""The audit log: rows are added, read newest first, and trimmed."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import ColumnElement, Integer, String, and_, bindparam, delete, func, insert, or_, select, tuple_

from roadstead.db import schema
from roadstead.db.database import Statement

a = schema.audit_log.c

ADD = Statement(
    insert(schema.audit_log).values(
        {column.name: bindparam(f"{column.name}_") for column in schema.audit_log.columns if column.name != "id"}
    )
)

# What an index leads to; the others are looked for among the rows that these leave.
INDEXED: dict[str, ColumnElement[bool]] = {
    "project": a.project == bindparam("project"),
    "member": a.member == bindparam("member"),
    "since": a.at_us >= bindparam("since"),
    "until": a.at_us < bindparam("until"),
    "before": tuple_(a.at_us, a.id) < tuple_(bindparam("before_us", type_=a.at_us.type), bindparam("before_id", type_=a.id.type)),
}
_OTHERS = ("method", "outcome", "resource", "text")


@lru_cache(512)
def page(conditions: frozenset[str]) -> Statement:
    """
    Newest first: at most :scan rows that the indexed conditions leave, of them at most :most that the others leave too.

    conditions: keys of INDEXED, `method`, `outcome`, `resource` (it and what is below), `text` (a pattern in lower case, for LIKE).
    """
    window = (
        select(schema.audit_log)
        .where(and_(True, *(INDEXED[name] for name in sorted(conditions & INDEXED.keys()))))
        .order_by(a.at_us.desc(), a.id.desc())
        .limit(bindparam("scan"))
        .subquery()
    )
    w = window.c
    others: dict[str, ColumnElement[bool]] = {
        "method": w.method == bindparam("method"),
        "outcome": w.outcome == bindparam("outcome"),
        "resource": or_(
            w.resource == bindparam("resource"),
            func.substr(w.resource, 1, bindparam("length", type_=Integer)) == bindparam("below", type_=String),
        ),
        "text": or_(
            *(func.lower(column).like(bindparam("text"), escape="\\") for column in (w.method, w.member, w.resource, w.agent, w.details))
        ),
    }
    return Statement(
        select(window)
        .where(and_(True, *(others[name] for name in _OTHERS if name in conditions)))
        .order_by(w.at_us.desc(), w.id.desc())
        .limit(bindparam("most"))
    )


@lru_cache(64)
def end_of_window(conditions: frozenset[str]) -> Statement:
    """Where the window of page(conditions) ends, if it is full: (at_us, id) of its last row."""
    return Statement(
        select(a.at_us, a.id)
        .where(and_(True, *(INDEXED[name] for name in sorted(conditions & INDEXED.keys()))))
        .order_by(a.at_us.desc(), a.id.desc())
        .limit(1)
        .offset(bindparam("skip"))
    )


NEWEST = Statement(select(func.max(a.id)))
TRIM_OLD = Statement(
    delete(schema.audit_log).where(
        a.id.in_(
            select(a.id)
            .where(a.at_us < bindparam("before_us"))
            .order_by(a.at_us)
            .limit(bindparam("most"))
            .with_for_update(skip_locked=True)
        )
    )
)


def _last_kept(*conditions: ColumnElement[bool]) -> Statement:
    """(at_us, id) of the newest row that is one too many, after :skip; none if there are not so many. Along an index."""
    newest_first = select(a.at_us, a.id).where(and_(True, *conditions)).order_by(a.at_us.desc(), a.id.desc())
    return Statement(newest_first.limit(1).offset(bindparam("skip")))


def _up_to(*conditions: ColumnElement[bool]) -> Statement:
    """Delete at most :most of the rows up to that one, oldest first."""
    place = tuple_(bindparam("up_to_us", type_=a.at_us.type), bindparam("up_to_id", type_=a.id.type))
    oldest = select(a.id).where(and_(True, *conditions, tuple_(a.at_us, a.id) <= place)).order_by(a.at_us, a.id)
    return Statement(delete(schema.audit_log).where(a.id.in_(oldest.limit(bindparam("most")).with_for_update(skip_locked=True))))


_OF_NOBODY = a.member == ""
LAST, TRIM_MANY = _last_kept(), _up_to()
LAST_STRANGE, TRIM_STRANGE = _last_kept(_OF_NOBODY), _up_to(_OF_NOBODY)
