"""This server's own keys, and the name of the installation."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.dialects import postgresql

from roadstead.db import schema
from roadstead.db.database import Statement

k = schema.signing_keys.c
s = schema.settings.c

KEYS = Statement(
    select(k.id, k.private_key, k.signs_until_us, k.retires_at_us)
    .where(k.retires_at_us > bindparam("now_us"))
    .order_by(k.signs_until_us, k.id)
)
ADD_KEY = Statement(
    insert(schema.signing_keys).values(
        id=bindparam("id"),
        private_key=bindparam("private_key"),
        created_at_us=bindparam("now_us"),
        signs_until_us=bindparam("signs_until_us"),
        retires_at_us=bindparam("retires_at_us"),
    )
)
DELETE_RETIRED = Statement(delete(schema.signing_keys).where(k.retires_at_us <= bindparam("before_us")))

INSTALLATION = Statement(select(s.value).where(s.name == bindparam("name")))
ADD_INSTALLATION = Statement(
    postgresql.insert(schema.settings).values(name=bindparam("name"), value=bindparam("value")).on_conflict_do_nothing()
)
# Whoever makes a key has this row, so that of several nodes one makes it.
LOCK_INSTALLATION = Statement(select(s.value).where(s.name == bindparam("name")).with_for_update())
