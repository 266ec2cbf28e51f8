"""The number that says whether what processes remember is old."""

from __future__ import annotations

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql

from roadstead.db import schema
from roadstead.db.database import Statement

g = schema.generations.c

GET = Statement(select(g.value).where(g.name == bindparam("name")))
BUMP = Statement(
    postgresql.insert(schema.generations)
    .values(name=bindparam("name"), value=1)
    .on_conflict_do_update(index_elements=[g.name], set_={"value": g.value + 1})
)
