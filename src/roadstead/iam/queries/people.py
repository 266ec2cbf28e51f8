"""People, and the groups they are in."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects import postgresql

from roadstead.db import schema
from roadstead.db.database import Statement

u = schema.users.c
g = schema.groups.c
m = schema.group_members.c
_who = u.email == bindparam("who")

_person = (
    u.email,
    u.id,
    u.name,
    u.password_hash,
    u.totp_secret,
    u.totp_last_step,
    u.issuer,
    u.subject,
    u.disabled,
    u.valid_from_us,
    u.created_at_us,
    u.last_login_at_us,
)
ADD = Statement(
    postgresql.insert(schema.users)
    .values(
        email=bindparam("email"),
        id=bindparam("id"),
        name=bindparam("name"),
        password_hash=bindparam("password_hash"),
        issuer=bindparam("issuer"),
        subject=bindparam("subject"),
        valid_from_us=bindparam("now_us"),
        created_at_us=bindparam("now_us"),
    )
    .on_conflict_do_nothing()
)
GET = Statement(select(*_person).where(_who))
LOCK = Statement(select(*_person).where(_who).with_for_update())
OF_SUBJECT = Statement(select(*_person).where(u.issuer == bindparam("issuer"), u.subject == bindparam("subject")))
PAGE = Statement(select(*_person).where(u.email > bindparam("after")).order_by(u.email).limit(bindparam("most")))
SET_NAME = Statement(update(schema.users).where(_who).values(name=bindparam("new_name")))
SET_PASSWORD = Statement(update(schema.users).where(_who).values(password_hash=bindparam("hash"), valid_from_us=bindparam("now_us")))
REHASH = Statement(update(schema.users).where(_who, u.password_hash == bindparam("old_hash")).values(password_hash=bindparam("new_hash")))
SET_DISABLED = Statement(update(schema.users).where(_who).values(disabled=bindparam("is_disabled"), valid_from_us=bindparam("now_us")))
SET_VALID_FROM = Statement(update(schema.users).where(_who).values(valid_from_us=bindparam("now_us")))
SET_LOGIN = Statement(update(schema.users).where(_who).values(last_login_at_us=bindparam("now_us")))
SET_SUBJECT = Statement(update(schema.users).where(_who).values(issuer=bindparam("new_issuer"), subject=bindparam("new_subject")))
SET_TOTP = Statement(update(schema.users).where(_who).values(totp_secret=bindparam("secret"), totp_last_step=bindparam("step")))
SET_TOTP_STEP = Statement(update(schema.users).where(_who).values(totp_last_step=bindparam("step")))
DELETE = Statement(delete(schema.users).where(_who))

ADD_GROUP = Statement(
    postgresql.insert(schema.groups)
    .values(email=bindparam("email"), name=bindparam("name"), created_at_us=bindparam("now_us"))
    .on_conflict_do_nothing()
)
GET_GROUP = Statement(select(g.email, g.name, g.created_at_us).where(g.email == bindparam("which")))
GROUPS = Statement(select(g.email, g.name, g.created_at_us).where(g.email > bindparam("after")).order_by(g.email).limit(bindparam("most")))
DELETE_GROUP = Statement(delete(schema.groups).where(g.email == bindparam("which")))
EMPTY_GROUP = Statement(delete(schema.group_members).where(m.group_email == bindparam("which"), m.source == ""))
ADD_TO_GROUP = Statement(
    postgresql.insert(schema.group_members)
    .values(member=bindparam("member"), group_email=bindparam("group"), source=bindparam("source"))
    .on_conflict_do_nothing()
)
REMOVE_FROM_GROUP = Statement(
    delete(schema.group_members).where(m.member == bindparam("whose"), m.group_email == bindparam("which"), m.source == "")
)
GROUPS_OF = Statement(select(m.group_email).where(m.member == bindparam("whose")).distinct())
GROUPS_FROM = Statement(select(m.group_email).where(m.member == bindparam("whose"), m.source == bindparam("from_source")))
LEAVE_FROM = Statement(delete(schema.group_members).where(m.member == bindparam("whose"), m.source == bindparam("from_source")))
LEAVE_ALL = Statement(delete(schema.group_members).where(m.member == bindparam("whose")))
MEMBERS_OF = Statement(
    select(m.member, m.source)
    .where(m.group_email == bindparam("which"), m.member > bindparam("after"))
    .order_by(m.member, m.source)
    .limit(bindparam("most"))
)
