"""What a project has decided about vulnerabilities: rows of its notes of the kind VULNERABILITY_ASSESSMENT, for joins."""

from __future__ import annotations

from sqlalchemy import BigInteger, and_, bindparam, case, delete, func, literal_column, or_, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.expression import ColumnElement

from roadstead.db import schema
from roadstead.db.database import Statement

t = schema.scanning.assessments
x = t.c
n = schema.notes.c

SUPPRESSING = ("NOT_AFFECTED", "FIXED")
"""States in which a finding does not count."""

_put = postgresql.insert(t).values(
    note_id=bindparam("which"),
    project=bindparam("project"),
    vulnerability=bindparam("vulnerability"),
    package=bindparam("package"),
    image=bindparam("image"),
    state=bindparam("state"),
    expires_at_us=bindparam("expires_at_us"),
)
PUT = Statement(
    _put.on_conflict_do_update(
        index_elements=[x.note_id],
        set_={name: getattr(_put.excluded, name) for name in ("vulnerability", "package", "image", "state", "expires_at_us")},
    )
)
DELETE = Statement(delete(t).where(x.note_id == bindparam("which")))


def _lasts() -> ColumnElement[bool]:
    return or_(x.expires_at_us.is_(None), x.expires_at_us > bindparam("now_us", type_=BigInteger()))


OF_PROJECT = Statement(
    select(x.vulnerability, x.package, x.image, n.name, n.content)
    .select_from(t.join(schema.notes, n.id == x.note_id))
    .where(x.project == bindparam("project"), _lasts())
    .order_by(x.vulnerability, x.note_id)
    .limit(bindparam("most"))
)


def is_suppressed(
    project: ColumnElement[str], resource: ColumnElement[str], vulnerability: ColumnElement[str], package: ColumnElement[str]
) -> ColumnElement[bool]:
    """Whether the project has decided that the finding does not matter: its most particular word counts, as in fitting(). Takes :now_us."""
    behind = func.substr(resource, func.length(x.image) + 1, 1)
    is_image = or_(
        x.image == "",
        x.image == resource,
        and_(func.substr(resource, 1, func.length(x.image)) == x.image, or_(behind == "/", behind == "@")),
    )
    decided = (
        select(case(*((x.state == state, 1) for state in SUPPRESSING), else_=0))
        .where(
            x.project == project,
            _lasts(),
            or_(x.vulnerability == "", x.vulnerability == vulnerability),
            or_(x.package == "", x.package == package),
            is_image,
        )
        .order_by(func.length(x.image).desc(), func.length(x.vulnerability).desc(), func.length(x.package).desc(), x.note_id)
        .limit(literal_column("1"))
        .scalar_subquery()
    )
    return func.coalesce(decided, 0) == 1
