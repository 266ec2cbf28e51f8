"""Policies, and what an authorizer must know beside them."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, exists, literal_column, or_, select
from sqlalchemy.dialects import postgresql

from roadstead.db import schema
from roadstead.db.database import Statement

p = schema.policies.c
r = schema.roles.c
u = schema.users.c
s = schema.service_accounts.c
m = schema.group_members.c
j = schema.projects.c
w = schema.workload_pools.c

GET = Statement(select(p.version, p.bindings, p.revision).where(p.resource == bindparam("resource")))
SEVERAL = 16
GET_SEVERAL = Statement(
    select(p.version, p.bindings, p.revision, p.resource).where(p.resource.in_([bindparam(f"r{index}") for index in range(SEVERAL)]))
)
LOCK = Statement(select(p.revision).where(p.resource == bindparam("resource")).with_for_update())
_put = postgresql.insert(schema.policies).values(
    resource=bindparam("resource"),
    version=bindparam("version"),
    bindings=bindparam("bindings"),
    revision=bindparam("revision"),
    updated_at_us=bindparam("now_us"),
)
ADD = Statement(_put.on_conflict_do_nothing())
PUT = Statement(
    _put.on_conflict_do_update(
        index_elements=[p.resource],
        set_={name: _put.excluded[name] for name in ("version", "bindings", "revision", "updated_at_us")},
    )
)
DELETE = Statement(delete(schema.policies).where(p.resource == bindparam("resource")))
AFTER = Statement(
    select(p.version, p.bindings, p.revision, p.resource)
    .where(p.resource > bindparam("after"))
    .order_by(p.resource)
    .limit(bindparam("most"))
)
CUSTOM_ROLE = Statement(select(r.permissions).where(r.name == bindparam("name"), r.deleted_at_us.is_(None), r.stage != "DISABLED"))

PERSON = Statement(select(u.disabled, u.valid_from_us).where(u.email == bindparam("email")))
# Nothing in a project that is being deleted works, its accounts neither.
_deleted_project = exists(select(literal_column("1")).where(j.id == s.project, j.state != "ACTIVE"))
ACCOUNT = Statement(select(s.disabled, s.valid_from_us).where(s.email == bindparam("email"), s.deleted_at_us.is_(None), ~_deleted_project))
_project_of_pool_deleted = exists(select(literal_column("1")).where(j.id == w.project, j.state != "ACTIVE"))
POOL = Statement(select(or_(w.disabled == 1, w.deleted_at_us.is_not(None), _project_of_pool_deleted)).where(w.name == bindparam("name")))
GROUPS = Statement(select(m.group_email).where(m.member == bindparam("member")).distinct())
