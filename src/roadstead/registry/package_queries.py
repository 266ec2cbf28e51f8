"""SQL of packages and their versions (packages.py), as statements compiled once. Every list begins where the page before it ended."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, exists, literal_column, select

from roadstead.db import schema
from roadstead.db.database import Statement

r = schema.repositories.c
m = schema.manifests.c
t = schema.tags.c

_named = and_(r.location == bindparam("location"), r.name == bindparam("name"))
_has_manifests = exists(select(literal_column("1")).where(m.repository_id == r.id))
# All of it is in an index, without the payloads.
_version = (m.id, m.repository_id, m.digest, m.media_type, m.image_size_bytes, m.created_at_ms, m.pushed_at_us)

PACKAGE = Statement(select(r.name, r.created_at_us).where(_named, _has_manifests))
PACKAGES = Statement(
    select(r.name, r.created_at_us)
    .where(r.location == bindparam("location"), r.name > bindparam("after"), r.name < bindparam("end"), _has_manifests)
    .order_by(r.name)
    .limit(bindparam("most"))
)
VERSION = Statement(
    select(*_version)
    .select_from(schema.repositories)
    .join(schema.manifests, m.repository_id == r.id)
    .where(_named, m.digest == bindparam("digest"))
)
VERSIONS = Statement(
    select(*_version)
    .select_from(schema.repositories)
    .join(schema.manifests, m.repository_id == r.id)
    .where(_named, m.digest > bindparam("after"))
    .order_by(m.digest)
    .limit(bindparam("most"))
)
TAG = Statement(
    select(t.name, m.digest)
    .select_from(schema.repositories)
    .join(schema.tags, t.repository_id == r.id)
    .join(schema.manifests, m.id == t.manifest_id)
    .where(_named, t.name == bindparam("tag"))
)
TAGS = Statement(
    select(t.name, m.digest)
    .select_from(schema.repositories)
    .join(schema.tags, t.repository_id == r.id)
    .join(schema.manifests, m.id == t.manifest_id)
    .where(_named, t.name > bindparam("after"))
    .order_by(t.name)
    .limit(bindparam("most"))
)
TAGS_OF = Statement(
    select(t.name)
    .where(t.manifest_id == bindparam("manifest_id"), t.repository_id == bindparam("repository_id"))
    .order_by(t.name)
    .limit(bindparam("most"))
)
TAGS_OF_VERSION = Statement(
    select(t.name)
    .select_from(schema.repositories)
    .join(schema.manifests, m.repository_id == r.id)
    .join(schema.tags, and_(t.manifest_id == m.id, t.repository_id == r.id))
    .where(_named, m.digest == bindparam("digest"), t.name > bindparam("after"))
    .order_by(t.name)
    .limit(bindparam("most"))
)
