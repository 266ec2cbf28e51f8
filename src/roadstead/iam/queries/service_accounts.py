"""Service accounts, and what goes when one is gone for good."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects import postgresql

from roadstead.db import schema
from roadstead.db.database import Statement

a = schema.service_accounts.c
p = schema.policies.c

_account = select(
    a.email,
    a.project,
    a.unique_id,
    a.display_name,
    a.description,
    a.disabled,
    a.deleted_at_us,
    a.valid_from_us,
    a.revision,
    a.created_at_us,
)
BY_EMAIL = Statement(_account.where(a.email == bindparam("name")))
BY_ID = Statement(_account.where(a.unique_id == bindparam("name")))
LOCK_BY_EMAIL = Statement(_account.where(a.email == bindparam("name")).with_for_update())
LOCK_BY_ID = Statement(_account.where(a.unique_id == bindparam("name")).with_for_update())
OF_PROJECT = Statement(
    _account.where(a.project == bindparam("project"), a.email > bindparam("after"), a.deleted_at_us.is_(None))
    .order_by(a.email)
    .limit(bindparam("most"))
)
DELETED_BEFORE = Statement(_account.where(a.deleted_at_us < bindparam("before_us")).order_by(a.email).limit(bindparam("most")))
ADD = Statement(
    postgresql.insert(schema.service_accounts)
    .values(
        email=bindparam("email"),
        project=bindparam("project"),
        unique_id=bindparam("unique_id"),
        display_name=bindparam("display_name"),
        description=bindparam("description"),
        disabled=0,
        valid_from_us=bindparam("valid_from_us"),
        revision=1,
        created_at_us=bindparam("now_us"),
    )
    .on_conflict_do_nothing()
)
SAVE = Statement(
    update(schema.service_accounts)
    .where(a.email == bindparam("account"))
    .values(
        display_name=bindparam("new_display_name"),
        description=bindparam("new_description"),
        disabled=bindparam("new_disabled"),
        deleted_at_us=bindparam("new_deleted_at_us"),
        valid_from_us=bindparam("new_valid_from_us"),
        revision=a.revision + 1,
    )
)
DELETE = Statement(delete(schema.service_accounts).where(a.email == bindparam("account")))
DELETE_KEYS = Statement(delete(schema.service_account_keys).where(schema.service_account_keys.c.email == bindparam("account")))
DELETE_MEMBERSHIPS = Statement(delete(schema.group_members).where(schema.group_members.c.member == bindparam("whose")))
DELETE_CREDENTIALS = Statement(delete(schema.credentials).where(schema.credentials.c.member == bindparam("whose")))
DELETE_POLICY = Statement(delete(schema.policies).where(p.resource == bindparam("whose")))
# pattern: nothing in an account's e-mail address means anything to LIKE.
LOCK_POLICIES_WITH = Statement(
    select(p.resource, p.bindings).where(p.bindings.like(bindparam("pattern"))).order_by(p.resource).with_for_update()
)
SET_BINDINGS = Statement(
    update(schema.policies)
    .where(p.resource == bindparam("whose"))
    .values(bindings=bindparam("new_bindings"), revision=p.revision + 1, updated_at_us=bindparam("now_us"))
)
