"""Tokens that were revoked before their end."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import postgresql

from roadstead.db import schema
from roadstead.db.database import Statement

r = schema.revoked_tokens.c

ALL = Statement(select(r.id, r.expires_at_us).where(r.expires_at_us > bindparam("now_us")))
_add = postgresql.insert(schema.revoked_tokens).values(id=bindparam("id"), expires_at_us=bindparam("expires_at_us"))
ADD = Statement(
    _add.on_conflict_do_update(
        index_elements=[r.id], set_={"expires_at_us": _add.excluded.expires_at_us}, where=r.expires_at_us < _add.excluded.expires_at_us
    )
)
DELETE_EXPIRED = Statement(delete(schema.revoked_tokens).where(r.expires_at_us <= bindparam("now_us")))
