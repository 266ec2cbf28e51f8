"""Secrets that were handed out, by their SHA-256."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, insert, select, update

from roadstead.db import schema
from roadstead.db.database import Statement

c = schema.credentials.c
_hash = c.hash == bindparam("secret_hash")

ADD = Statement(
    insert(schema.credentials).values(
        hash=bindparam("hash"),
        kind=bindparam("kind"),
        member=bindparam("member"),
        client=bindparam("client"),
        family=bindparam("family"),
        data=bindparam("data"),
        created_at_us=bindparam("created_at_us"),
        expires_at_us=bindparam("expires_at_us"),
    )
)
_columns = (c.kind, c.member, c.client, c.family, c.data, c.created_at_us, c.expires_at_us, c.used_at_us, c.hash)
GET = Statement(select(*_columns).where(_hash))
LOCK = Statement(select(*_columns).where(_hash).with_for_update())
OF_MEMBER = Statement(
    select(*_columns)
    .where(c.member == bindparam("member"), c.kind == bindparam("kind"), c.expires_at_us > bindparam("now_us"))
    .order_by(c.created_at_us.desc(), c.hash)
    .limit(bindparam("most"))
)
USE = Statement(update(schema.credentials).where(_hash).values(used_at_us=bindparam("now_us")))
EXTEND = Statement(update(schema.credentials).where(_hash).values(expires_at_us=bindparam("until_us")))
DELETE = Statement(delete(schema.credentials).where(_hash))
DELETE_FAMILY = Statement(delete(schema.credentials).where(c.family == bindparam("family_id")))
DELETE_KIND_OF_MEMBER = Statement(delete(schema.credentials).where(c.member == bindparam("whose"), c.kind == bindparam("what")))
DELETE_ALL_OF_MEMBER = Statement(delete(schema.credentials).where(c.member == bindparam("whose")))
DELETE_EXPIRED = Statement(
    delete(schema.credentials).where(
        c.hash.in_(select(c.hash).where(c.expires_at_us <= bindparam("until_us")).order_by(c.expires_at_us).limit(bindparam("most")))
    )
)
