"""Workload identity pools and their providers."""

from __future__ import annotations

from sqlalchemy import BindParameter, bindparam, delete, func, insert, or_, select, update

from roadstead.db import schema
from roadstead.db.database import Statement

pool = schema.workload_pools.c
provider = schema.workload_providers.c

_POOL = (pool.name, pool.project, pool.display_name, pool.description, pool.disabled, pool.deleted_at_us)
_PROVIDER = (
    provider.name,
    provider.pool,
    provider.display_name,
    provider.description,
    provider.issuer,
    provider.audiences,
    provider.attribute_mapping,
    provider.attribute_condition,
    provider.jwks,
    provider.disabled,
    provider.deleted_at_us,
)

POOL = Statement(select(*_POOL).where(pool.name == bindparam("name")))
LOCK_POOL = Statement(select(*_POOL).where(pool.name == bindparam("name")).with_for_update())
POOLS = Statement(
    select(*_POOL)
    .where(
        pool.project == bindparam("project"),
        pool.name > bindparam("last"),
        or_(pool.deleted_at_us.is_(None), bindparam("deleted", type_=pool.disabled.type) == 1),
    )
    .order_by(pool.name)
    .limit(bindparam("most"))
)
NUMBER_OF_POOLS = Statement(select(func.count()).where(pool.project == bindparam("project")))
ADD_POOL = Statement(
    insert(schema.workload_pools).values(
        name=bindparam("name"),
        project=bindparam("project"),
        display_name=bindparam("display_name"),
        description=bindparam("description"),
        disabled=bindparam("disabled"),
    )
)
CHANGE_POOL = Statement(
    update(schema.workload_pools)
    .where(pool.name == bindparam("the_name"))
    .values(
        display_name=bindparam("display_name"),
        description=bindparam("description"),
        disabled=bindparam("disabled"),
        deleted_at_us=bindparam("deleted_at_us"),
    )
)

PROVIDER = Statement(select(*_PROVIDER).where(provider.name == bindparam("name")))
LOCK_PROVIDER = Statement(select(*_PROVIDER).where(provider.name == bindparam("name")).with_for_update())
PROVIDERS = Statement(
    select(*_PROVIDER)
    .where(
        provider.pool == bindparam("pool"),
        provider.name > bindparam("last"),
        or_(provider.deleted_at_us.is_(None), bindparam("deleted", type_=provider.disabled.type) == 1),
    )
    .order_by(provider.name)
    .limit(bindparam("most"))
)
NUMBER_OF_PROVIDERS = Statement(select(func.count()).where(provider.pool == bindparam("pool")))
_changeable: dict[str, BindParameter[object]] = {
    name: bindparam(name)
    for name in ("display_name", "description", "issuer", "audiences", "attribute_mapping", "attribute_condition", "jwks", "disabled")
}
ADD_PROVIDER = Statement(insert(schema.workload_providers).values(name=bindparam("name"), pool=bindparam("pool"), **_changeable))
CHANGE_PROVIDER = Statement(
    update(schema.workload_providers)
    .where(provider.name == bindparam("the_name"))
    .values(deleted_at_us=bindparam("deleted_at_us"), **_changeable)
)

PURGE_PROVIDERS = Statement(
    delete(schema.workload_providers).where(
        or_(
            provider.deleted_at_us < bindparam("before_us"),
            provider.pool.in_(select(pool.name).where(pool.deleted_at_us < bindparam("before_us"))),
        )
    )
)
PURGE_POOLS = Statement(delete(schema.workload_pools).where(pool.deleted_at_us < bindparam("before_us")))
