"""Custom roles."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, or_, select, update
from sqlalchemy.dialects import postgresql

from roadstead.db import schema
from roadstead.db.database import Statement

r = schema.roles.c

_role = select(r.name, r.title, r.description, r.permissions, r.stage, r.revision, r.deleted_at_us)
GET = Statement(_role.where(r.name == bindparam("role")))
LOCK = Statement(_role.where(r.name == bindparam("role")).with_for_update())
PAGE = Statement(
    _role.where(
        r.name > bindparam("after"),
        r.name > bindparam("first"),
        r.name < bindparam("end"),
        or_(bindparam("with_deleted") == 1, r.deleted_at_us.is_(None)),
    )
    .order_by(r.name)
    .limit(bindparam("most"))
)
ADD = Statement(
    postgresql.insert(schema.roles)
    .values(
        name=bindparam("name"),
        title=bindparam("title"),
        description=bindparam("description"),
        permissions=bindparam("permissions"),
        stage=bindparam("stage"),
        revision=1,
    )
    .on_conflict_do_nothing()
)
SAVE = Statement(
    update(schema.roles)
    .where(r.name == bindparam("role"))
    .values(
        title=bindparam("new_title"),
        description=bindparam("new_description"),
        permissions=bindparam("new_permissions"),
        stage=bindparam("new_stage"),
        deleted_at_us=bindparam("new_deleted_at_us"),
        revision=r.revision + 1,
    )
)
DELETE_OLD = Statement(delete(schema.roles).where(r.deleted_at_us < bindparam("before_us")))
