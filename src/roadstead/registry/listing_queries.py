"""The SQL of what Container Registry told beside the tags (listing.py, descriptions.py)."""

from __future__ import annotations

from sqlalchemy import BindParameter, bindparam, exists, literal_column, select, update

from roadstead.db import schema
from roadstead.db.database import Statement

r = schema.repositories.c
m = schema.manifests.c
t = schema.tags.c

_here: BindParameter[int] = bindparam("repository_id")

LISTED = Statement(
    select(m.id, m.digest, m.media_type, m.image_size_bytes, m.created_at_ms, m.pushed_at_us)
    .where(m.repository_id == _here, m.digest > bindparam("last"))
    .order_by(m.digest)
    .limit(bindparam("most"))
)
# In the order of the table itself, which costs half of what the list's own order does.
LISTED_TAGS = Statement(
    select(t.name, t.manifest_id).where(t.repository_id == _here, t.name > bindparam("last")).order_by(t.name).limit(bindparam("most"))
)

# Where a piece of so many rows ends; nothing where there are fewer.
MANIFEST_AFTER = Statement(
    select(m.digest).where(m.repository_id == _here, m.digest > bindparam("last")).order_by(m.digest).offset(bindparam("skip")).limit(1)
)
TAG_AFTER = Statement(
    select(t.name).where(t.repository_id == _here, t.name > bindparam("last")).order_by(t.name).offset(bindparam("skip")).limit(1)
)
BELOW = Statement(
    select(r.name)
    .where(
        r.location == bindparam("location"),
        r.name > bindparam("last"),
        r.name < bindparam("end"),
        exists(select(literal_column("1")).where(m.repository_id == r.id)),
    )
    .order_by(r.name)
    .limit(bindparam("most"))
)
UNDESCRIBED = Statement(
    select(m.id, r.location, r.name, m.payload, m.media_type)
    .join(schema.repositories, r.id == m.repository_id)
    .where(m.created_at_ms.is_(None), m.id > bindparam("after"))
    .order_by(m.id)
    .limit(bindparam("most"))
)
PAYLOAD = Statement(select(m.payload, m.media_type).where(m.id == bindparam("manifest_id")))
DESCRIBE = Statement(
    update(schema.manifests)
    .where(m.id == bindparam("manifest_id"))
    .values(image_size_bytes=bindparam("image_size_bytes"), created_at_ms=bindparam("created_at_ms"))
)
