"""All SQL of the registry room, as statements compiled once."""

from __future__ import annotations

from sqlalchemy import BindParameter, and_, bindparam, delete, exists, func, insert, literal_column, or_, select, tuple_, update
from sqlalchemy.dialects import sqlite

from roadstead.db import schema
from roadstead.db.database import Statement

r = schema.repositories.c
b = schema.blobs.c
link = schema.blob_links.c
m = schema.manifests.c
mb = schema.manifest_blobs.c
mc = schema.manifest_children.c
t = schema.tags.c

_repository = and_(r.location == bindparam("location"), r.name == bindparam("name"))
_here: BindParameter[int] = bindparam("repository_id")
_has_bytes = or_(b.storage_key.is_not(None), b.content.is_not(None))

# Repositories
REPOSITORY_ID = Statement(select(r.id).where(_repository))
ADD_REPOSITORY = Statement(
    insert(schema.repositories)
    .values(location=bindparam("location"), name=bindparam("name"), created_at_us=bindparam("now_us"))
    .returning(r.id)
)
CATALOG = Statement(
    select(r.name)
    .where(
        r.location == bindparam("location"),
        r.name > bindparam("last"),
        exists(select(literal_column("1")).where(m.repository_id == r.id)),
    )
    .order_by(r.name)
    .limit(bindparam("most"))
)
SETTING = Statement(select(schema.settings.c.value).where(schema.settings.c.name == bindparam("name")))

# Pulls: one statement each
MANIFEST_BY_TAG = Statement(
    select(m.payload, m.media_type, m.digest)
    .select_from(schema.repositories)
    .join(schema.tags, t.repository_id == r.id)
    .join(schema.manifests, m.id == t.manifest_id)
    .where(_repository, t.name == bindparam("tag"))
)
MANIFEST_BY_DIGEST = Statement(
    select(m.payload, m.media_type, m.digest)
    .select_from(schema.repositories)
    .join(schema.manifests, m.repository_id == r.id)
    .where(_repository, m.digest == bindparam("digest"))
)
BLOB = Statement(
    select(b.size_bytes, b.content, b.storage_key, link.unreferenced_since_us)
    .select_from(schema.repositories)
    .join(schema.blobs, b.location == r.location)
    .join(schema.blob_links, and_(link.repository_id == r.id, link.blob_id == b.id))
    .where(_repository, b.digest == bindparam("digest"), _has_bytes)
)
TAGS = Statement(
    select(t.name)
    .where(t.repository_id == _here, tuple_(func.lower(t.name), t.name) > tuple_(func.lower(bindparam("last")), bindparam("last")))
    .order_by(func.lower(t.name), t.name)
    .limit(bindparam("most"))
)
REFERRERS = Statement(
    select(m.digest, m.media_type, m.size_bytes, m.artifact_type, m.annotations)
    .select_from(schema.repositories)
    .join(schema.manifests, m.repository_id == r.id)
    .where(
        _repository,
        m.subject == bindparam("subject"),
        m.digest > bindparam("last"),
        or_(bindparam("artifact_type") == "", m.artifact_type == bindparam("artifact_type")),
    )
    .order_by(m.digest)
    .limit(bindparam("most"))
)

# Blobs and their links
BLOB_ID = Statement(select(b.id, _has_bytes).where(b.location == bindparam("location"), b.digest == bindparam("digest")))
ADD_BLOB = Statement(
    insert(schema.blobs)
    .values(
        location=bindparam("location"),
        digest=bindparam("digest"),
        size_bytes=bindparam("size_bytes"),
        storage_key=bindparam("storage_key"),
        content=bindparam("content"),
        created_at_us=bindparam("now_us"),
    )
    .returning(b.id)
)
HEAL_BLOB = Statement(
    update(schema.blobs)
    .where(b.id == bindparam("blob_id"))
    .values(size_bytes=bindparam("size_bytes"), storage_key=bindparam("storage_key"), content=bindparam("content"))
)
_add_link = sqlite.insert(schema.blob_links).values(
    repository_id=_here, blob_id=bindparam("blob_id"), unreferenced_since_us=bindparam("now_us")
)
# A link that some manifest needs stays as it is; a fresh upload or mount protects any other one anew.
ADD_LINK = Statement(
    _add_link.on_conflict_do_update(
        index_elements=[link.repository_id, link.blob_id],
        set_={"unreferenced_since_us": _add_link.excluded.unreferenced_since_us},
        where=link.unreferenced_since_us.is_not(None),
    )
)
LINKED_ANYWHERE = Statement(select(link.repository_id).where(link.blob_id == bindparam("blob_id")).limit(1))
LINKED = Statement(
    select(b.id, b.size_bytes)
    .join(schema.blob_links, link.blob_id == b.id)
    .where(link.repository_id == _here, b.location == bindparam("location"), b.digest == bindparam("digest"), _has_bytes)
)
PROTECT_LINK = Statement(
    update(schema.blob_links)
    .where(link.repository_id == _here, link.blob_id == bindparam("blob_id"), link.unreferenced_since_us.is_not(None))
    .values(unreferenced_since_us=bindparam("now_us"))
)
REFERENCE_LINK = Statement(
    update(schema.blob_links).where(link.repository_id == _here, link.blob_id == bindparam("blob_id")).values(unreferenced_since_us=None)
)
NEEDED_BY = Statement(
    select(m.digest)
    .join(schema.manifest_blobs, mb.manifest_id == m.id)
    .where(mb.repository_id == _here, mb.blob_id == bindparam("blob_id"))
    .limit(1)
)
DELETE_LINK = Statement(delete(schema.blob_links).where(link.repository_id == _here, link.blob_id == bindparam("blob_id")))

# Manifests and tags
MANIFEST_ID = Statement(select(m.id).where(m.repository_id == _here, m.digest == bindparam("digest")))
PUSHED_BEFORE = Statement(select(m.id, m.payload == bindparam("payload")).where(m.repository_id == _here, m.digest == bindparam("digest")))
HEAL_MANIFEST = Statement(update(schema.manifests).where(m.id == bindparam("manifest_id")).values(payload=bindparam("payload")))
MANIFEST_SIZE = Statement(select(m.size_bytes).where(m.repository_id == _here, m.digest == bindparam("digest")))
ADD_MANIFEST = Statement(
    insert(schema.manifests)
    .values(
        repository_id=_here,
        digest=bindparam("digest"),
        media_type=bindparam("media_type"),
        artifact_type=bindparam("artifact_type"),
        subject=bindparam("subject"),
        annotations=bindparam("annotations"),
        size_bytes=bindparam("size_bytes"),
        payload=bindparam("payload"),
        pushed_at_us=bindparam("now_us"),
    )
    .returning(m.id)
)
ADD_MANIFEST_BLOB = Statement(
    sqlite.insert(schema.manifest_blobs)
    .values(manifest_id=bindparam("manifest_id"), blob_id=bindparam("blob_id"), repository_id=_here)
    .on_conflict_do_nothing()
)
ADD_MANIFEST_CHILD = Statement(
    sqlite.insert(schema.manifest_children)
    .values(manifest_id=bindparam("manifest_id"), child_digest=bindparam("child"), repository_id=_here)
    .on_conflict_do_nothing()
)
TAGGED_DIGEST = Statement(
    select(m.digest).join(schema.tags, t.manifest_id == m.id).where(t.repository_id == _here, t.name == bindparam("tag"))
)
_add_tag = sqlite.insert(schema.tags).values(
    repository_id=_here, name=bindparam("tag"), manifest_id=bindparam("manifest_id"), updated_at_us=bindparam("now_us")
)
PUT_TAG = Statement(
    _add_tag.on_conflict_do_update(
        index_elements=[t.repository_id, t.name],
        set_={"manifest_id": _add_tag.excluded.manifest_id, "updated_at_us": _add_tag.excluded.updated_at_us},
    )
)
DELETE_TAG = Statement(delete(schema.tags).where(t.repository_id == _here, t.name == bindparam("tag")))
DELETE_TAGS_OF = Statement(delete(schema.tags).where(t.manifest_id == bindparam("manifest_id")))
BLOBS_OF = Statement(select(mb.blob_id).where(mb.manifest_id == bindparam("manifest_id")))
DELETE_BLOBS_OF = Statement(delete(schema.manifest_blobs).where(mb.manifest_id == bindparam("manifest_id")))
DELETE_CHILDREN_OF = Statement(delete(schema.manifest_children).where(mc.manifest_id == bindparam("manifest_id")))
DELETE_MANIFEST = Statement(delete(schema.manifests).where(m.id == bindparam("manifest_id")))
RELEASE_LINK = Statement(
    update(schema.blob_links)
    .where(
        link.repository_id == _here,
        link.blob_id == bindparam("blob_id"),
        link.unreferenced_since_us.is_(None),
        ~exists(select(literal_column("1")).where(mb.repository_id == _here, mb.blob_id == bindparam("blob_id"))),
    )
    .values(unreferenced_since_us=bindparam("now_us"))
)

# Collection
COLLECTABLE = Statement(
    select(link.repository_id, link.blob_id)
    .where(link.unreferenced_since_us.is_not(None), link.unreferenced_since_us < bindparam("before_us"))
    .order_by(link.unreferenced_since_us)
    .limit(bindparam("most"))
)
# The blobs that would lose their last link, and those whose links are all younger than that: what a dry run tells.
FREEABLE = Statement(
    select(func.count(), func.coalesce(func.sum(b.size_bytes), 0)).where(
        b.id.in_(select(link.blob_id).where(link.unreferenced_since_us < bindparam("before_us"))),
        ~exists(
            select(literal_column("1")).where(
                link.blob_id == b.id,
                or_(link.unreferenced_since_us.is_(None), link.unreferenced_since_us >= bindparam("before_us")),
            )
        ),
    )
)
BLOB_ROW = Statement(select(b.location, b.storage_key, b.size_bytes).where(b.id == bindparam("blob_id")))
DELETE_BLOB = Statement(delete(schema.blobs).where(b.id == bindparam("blob_id")))
KEYS_BETWEEN = Statement(
    select(b.storage_key).where(
        b.location == bindparam("location"), b.digest >= bindparam("first"), b.digest < bindparam("end"), b.storage_key.is_not(None)
    )
)

# Checking
BLOBS_AFTER = Statement(
    select(b.id, b.location, b.digest, b.size_bytes, b.storage_key, b.content)
    .where(b.id > bindparam("after"))
    .order_by(b.id)
    .limit(bindparam("most"))
)
FORGET_BYTES = Statement(update(schema.blobs).where(b.id == bindparam("blob_id")).values(storage_key=None, content=None))
FORGET_PAYLOAD = Statement(update(schema.manifests).where(m.id == bindparam("manifest_id")).values(payload=b""))
MANIFESTS_AFTER = Statement(
    select(m.id, r.location, r.name, m.digest, m.payload)
    .join(schema.repositories, r.id == m.repository_id)
    .where(m.id > bindparam("after"))
    .order_by(m.id)
    .limit(bindparam("most"))
)
REPOSITORIES_OF = Statement(
    select(r.name).join(schema.blob_links, link.repository_id == r.id).where(link.blob_id == bindparam("blob_id")).limit(5)
)
