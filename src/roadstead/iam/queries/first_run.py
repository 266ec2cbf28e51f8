"""What tells a new installation from one that is used."""

from __future__ import annotations

from sqlalchemy import bindparam, literal_column, select

from roadstead.db import schema
from roadstead.db.database import Statement

p = schema.policies.c
u = schema.users.c
r = schema.repositories.c

ANY_POLICY = Statement(select(literal_column("1")).where(p.resource == bindparam("resource")))
SIGNED_IN = Statement(select(literal_column("1")).select_from(schema.users).where(u.last_login_at_us.is_not(None)).limit(1))
HAS_PASSWORD = Statement(select(literal_column("1")).select_from(schema.users).where(u.password_hash.is_not(None)).limit(1))
REPOSITORY_AFTER = Statement(select(r.name).where(r.name > bindparam("after")).order_by(r.name).limit(1))
