"""Keys of service accounts."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from roadstead.db import schema
from roadstead.db.database import Statement

k = schema.service_account_keys.c
a = schema.service_accounts.c

_key = (
    select(
        k.id,
        k.email,
        a.project,
        a.unique_id,
        k.public_key,
        k.algorithm,
        k.origin,
        k.disabled,
        k.valid_after_us,
        k.valid_before_us,
        k.last_used_at_us,
        a.disabled,
    )
    .join(schema.service_accounts, a.email == k.email)
    .where(a.deleted_at_us.is_(None))
)
ONE = Statement(_key.where(k.id == bindparam("key"), k.email == bindparam("account")))
OF_ACCOUNT = Statement(_key.where(k.email == bindparam("account")).order_by(k.valid_after_us, k.id))
EXPIRING = Statement(
    _key.where(k.disabled == 0, k.valid_before_us > bindparam("now_us"), k.valid_before_us <= bindparam("until_us"))
    .order_by(k.valid_before_us, k.id)
    .limit(bindparam("most"))
)
COUNT = Statement(select(func.count()).select_from(schema.service_account_keys).where(k.email == bindparam("account")))
ADD = Statement(
    insert(schema.service_account_keys).values(
        id=bindparam("id"),
        email=bindparam("email"),
        public_key=bindparam("public_key"),
        algorithm=bindparam("algorithm"),
        origin=bindparam("origin"),
        disabled=0,
        valid_after_us=bindparam("valid_after_us"),
        valid_before_us=bindparam("valid_before_us"),
    )
)
SET_DISABLED = Statement(
    update(schema.service_account_keys)
    .where(k.id == bindparam("key"), k.email == bindparam("account"))
    .values(disabled=bindparam("new_disabled"))
)
DELETE = Statement(delete(schema.service_account_keys).where(k.id == bindparam("key"), k.email == bindparam("account")))
# Processes write in any order.
USED = Statement(
    update(schema.service_account_keys)
    .where(k.id == bindparam("key"), or_(k.last_used_at_us.is_(None), k.last_used_at_us < bindparam("used_at_us")))
    .values(last_used_at_us=bindparam("used_at_us"))
)
