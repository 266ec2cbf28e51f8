"""Logins that failed, by address and by account."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import postgresql

from roadstead.db import schema
from roadstead.db.database import Statement

f = schema.login_failures.c

_add = postgresql.insert(schema.login_failures)
ENSURE = Statement(_add.values(key=bindparam("key"), failures=0, since_us=bindparam("now_us"), blocked_until_us=0).on_conflict_do_nothing())
LOCK = Statement(select(f.failures, f.since_us, f.blocked_until_us).where(f.key == bindparam("of")).with_for_update())
GET = Statement(select(f.failures, f.since_us, f.blocked_until_us).where(f.key == bindparam("of")))
PUT = Statement(
    _add.values(
        key=bindparam("key"), failures=bindparam("failures"), since_us=bindparam("since_us"), blocked_until_us=bindparam("blocked_until_us")
    ).on_conflict_do_update(
        index_elements=[f.key],
        set_={"failures": _add.excluded.failures, "since_us": _add.excluded.since_us, "blocked_until_us": _add.excluded.blocked_until_us},
    )
)
DELETE = Statement(delete(schema.login_failures).where(f.key == bindparam("of")))
DELETE_OLD = Statement(
    delete(schema.login_failures).where(
        f.key.in_(
            select(f.key)
            .where(f.since_us <= bindparam("until_us"), f.blocked_until_us <= bindparam("until_us"))
            .order_by(f.since_us)
            .limit(bindparam("most"))
        )
    )
)
