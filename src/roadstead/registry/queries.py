"""All SQL of the registry room, as statements compiled once."""

from __future__ import annotations

from sqlalchemy import BindParameter, and_, bindparam, delete, exists, func, insert, literal_column, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql

from roadstead.db import schema
from roadstead.db.database import Statement
from roadstead.registry.scan_queries import HAS_FAILED

r = schema.repositories.c
b = schema.blobs.c
link = schema.blob_links.c
m = schema.manifests.c
mb = schema.manifest_blobs.c
mc = schema.manifest_children.c
t = schema.tags.c


def place(last: str) -> str:
    """The same place in any order of names: none has a NUL, and PostgreSQL takes no text that has."""
    return last.partition("\0")[0]


_repository = and_(r.location == bindparam("location"), r.name == bindparam("name"))
_here: BindParameter[int] = bindparam("repository_id")
_last = bindparam("last", type_=t.name.type)
_has_bytes = or_(b.storage_key.is_not(None), b.content.is_not(None))

# Repositories
REPOSITORY_ID = Statement(select(r.id).where(_repository))
# Writers of one repository's manifests and tags take turns; what only adds links does not wait for them.
LOCK_REPOSITORY = Statement(select(r.id).where(_repository).with_for_update(key_share=True))
ADD_REPOSITORY = Statement(
    postgresql.insert(schema.repositories)
    .values(location=bindparam("location"), name=bindparam("name"), created_at_us=bindparam("now_us"))
    .on_conflict_do_nothing()
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

# Leases of backups on all bytes (keep.py), and other settings that come and go
KEPT = Statement(select(schema.settings.c.name, schema.settings.c.value).where(schema.settings.c.name.like("bytes_kept_until_us/%")))
_put_setting = postgresql.insert(schema.settings).values(name=bindparam("name"), value=bindparam("value"))
PUT_SETTING = Statement(
    _put_setting.on_conflict_do_update(index_elements=[schema.settings.c.name], set_={"value": _put_setting.excluded.value})
)
DELETE_SETTING = Statement(delete(schema.settings).where(schema.settings.c.name == bindparam("name")))

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
    .where(
        t.repository_id == _here,
        # SQLite finds its place in the index by this line; by the next alone it would read all tags before the page.
        func.lower(t.name) >= func.lower(_last),
        tuple_(func.lower(t.name), t.name) > tuple_(func.lower(_last), _last),
    )
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
# Whoever links a blob keeps it from being freed until the link is committed (HOLD_BLOB); whoever frees it has it alone.
HOLD_BLOB = Statement(
    select(b.id, _has_bytes, b.storage_key)
    .where(b.location == bindparam("location"), b.digest == bindparam("digest"))
    .with_for_update(read=True, key_share=True)
)
LOCK_BLOB = Statement(select(b.location, b.storage_key, b.size_bytes).where(b.id == bindparam("blob_id")).with_for_update(skip_locked=True))
ADD_BLOB = Statement(
    postgresql.insert(schema.blobs)
    .values(
        location=bindparam("location"),
        digest=bindparam("digest"),
        size_bytes=bindparam("size_bytes"),
        storage_key=bindparam("storage_key"),
        content=bindparam("content"),
        created_at_us=bindparam("now_us"),
    )
    .on_conflict_do_nothing()
    .returning(b.id)
)
HEAL_BLOB = Statement(
    update(schema.blobs)
    .where(b.id == bindparam("blob_id"))
    .values(size_bytes=bindparam("size_bytes"), storage_key=bindparam("storage_key"), content=bindparam("content"))
)
_add_link = postgresql.insert(schema.blob_links).values(
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
LINKED_CONFIG = Statement(
    select(b.id, b.size_bytes, b.content)
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
PUSHED_BEFORE = Statement(
    select(m.id, m.payload == bindparam("payload"), HAS_FAILED).where(m.repository_id == _here, m.digest == bindparam("digest"))
)
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
        image_size_bytes=bindparam("image_size_bytes"),
        created_at_ms=bindparam("created_at_ms"),
    )
    .returning(m.id)
)
ADD_MANIFEST_BLOB = Statement(
    postgresql.insert(schema.manifest_blobs)
    .values(manifest_id=bindparam("manifest_id"), blob_id=bindparam("blob_id"), repository_id=_here)
    .on_conflict_do_nothing()
)
ADD_MANIFEST_CHILD = Statement(
    postgresql.insert(schema.manifest_children)
    .values(manifest_id=bindparam("manifest_id"), child_digest=bindparam("child"), repository_id=_here)
    .on_conflict_do_nothing()
)
TAGGED_DIGEST = Statement(
    select(m.digest).join(schema.tags, t.manifest_id == m.id).where(t.repository_id == _here, t.name == bindparam("tag"))
)
_add_tag = postgresql.insert(schema.tags).values(
    repository_id=_here, name=bindparam("tag"), manifest_id=bindparam("manifest_id"), updated_at_us=bindparam("now_us")
)
PUT_TAG = Statement(
    _add_tag.on_conflict_do_update(
        index_elements=[t.repository_id, t.name],
        set_={"manifest_id": _add_tag.excluded.manifest_id, "updated_at_us": _add_tag.excluded.updated_at_us},
    )
)
A_TAG_OF = Statement(select(t.name).where(t.manifest_id == bindparam("manifest_id")).order_by(t.repository_id, t.name).limit(1))
A_PARENT_OF = Statement(
    select(m.digest)
    .join(schema.manifest_children, mc.manifest_id == m.id)
    .where(mc.repository_id == _here, mc.child_digest == bindparam("digest"))
    .limit(1)
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
    # A link that a push has in its hands is left to it.
    .with_for_update(skip_locked=True)
)
UNLINKED = Statement(
    select(b.id)
    .where(b.id > bindparam("after"), ~exists(select(literal_column("1")).where(link.blob_id == b.id)))
    .order_by(b.id)
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
DELETE_BLOB = Statement(delete(schema.blobs).where(b.id == bindparam("blob_id")))
KEYS_BETWEEN = Statement(
    select(b.storage_key).where(
        b.location == bindparam("location"),
        b.storage_key.is_not(None),
        b.storage_key >= bindparam("first"),
        b.storage_key <= bindparam("last"),
    )
)
KEY_SIZES_BETWEEN = Statement(
    select(b.storage_key, b.size_bytes).where(
        b.location == bindparam("location"),
        b.storage_key.is_not(None),
        b.storage_key >= bindparam("first"),
        b.storage_key <= bindparam("last"),
    )
)

# Removing whole repositories (removal.py)
REPOSITORIES_BETWEEN = Statement(
    select(r.id, r.name)
    .where(r.location == bindparam("location"), r.name > bindparam("first"), r.name < bindparam("end"))
    .order_by(r.name)
    .limit(bindparam("most"))
)
LOCK_BY_ID = Statement(select(r.id).where(r.id == _here).with_for_update(key_share=True))
MANIFESTS_OF = Statement(select(m.id).where(m.repository_id == _here).order_by(m.id).limit(bindparam("most")))
LINKS_OF = Statement(select(link.blob_id).where(link.repository_id == _here).order_by(link.blob_id).limit(bindparam("most")))
DELETE_REPOSITORY = Statement(
    delete(schema.repositories).where(
        r.id == _here,
        ~exists(select(literal_column("1")).where(link.repository_id == r.id)),
        ~exists(select(literal_column("1")).where(m.repository_id == r.id)),
    )
)

# Moving and restoring
STORED_TOTALS = Statement(select(func.count(), func.coalesce(func.sum(b.size_bytes), 0)).where(b.storage_key.is_not(None)))
LOCATIONS = Statement(select(r.location).union(select(b.location)))
KEY_OF = Statement(
    select(b.storage_key).where(b.id == bindparam("blob_id"), b.location == bindparam("location"), b.digest == bindparam("digest"))
)
SET_KEY = Statement(update(schema.blobs).where(b.id == bindparam("blob_id")).values(storage_key=bindparam("storage_key")))
FORGET_UPLOADS = Statement(delete(schema.uploads))

# Uploads into object storage
u = schema.uploads.c
segment = schema.upload_segments.c
_upload = and_(u.name == bindparam("upload"), u.location == bindparam("location"))
_old = and_(u.location == bindparam("location"), u.touched_at_us < bindparam("before_us"))
ADD_UPLOAD = Statement(
    insert(schema.uploads).values(name=bindparam("upload"), location=bindparam("location"), touched_at_us=bindparam("now_us"))
)
SEGMENTS_OF = Statement(
    select(segment.start_bytes, segment.size_bytes, segment.sha256, segment.storage_key)
    .select_from(schema.uploads)
    .outerjoin(schema.upload_segments, segment.upload == u.name)
    .where(_upload)
    .order_by(segment.start_bytes)
)
SEGMENT_CONTENT = Statement(
    select(segment.content).where(segment.upload == bindparam("upload"), segment.start_bytes == bindparam("start_bytes"))
)
TOUCH_UPLOAD = Statement(update(schema.uploads).where(_upload).values(touched_at_us=bindparam("now_us")))
ADD_SEGMENT = Statement(
    postgresql.insert(schema.upload_segments)
    .values(
        upload=bindparam("upload"),
        start_bytes=bindparam("start_bytes"),
        size_bytes=bindparam("size_bytes"),
        sha256=bindparam("sha256"),
        storage_key=bindparam("storage_key"),
        content=bindparam("content"),
    )
    .on_conflict_do_nothing()
)
END_UPLOAD = Statement(delete(schema.uploads).where(_upload))
KEYS_OF_OLD_UPLOADS = Statement(
    select(segment.storage_key)
    .join(schema.uploads, segment.upload == u.name)
    .where(_old, segment.storage_key.is_not(None))
    .with_for_update(of=schema.uploads)
)
END_OLD_UPLOADS = Statement(delete(schema.uploads).where(_old))
SEGMENT_KEYS_BETWEEN = Statement(
    select(segment.storage_key)
    .join(schema.uploads, segment.upload == u.name)
    .where(
        u.location == bindparam("location"),
        segment.storage_key.is_not(None),
        segment.storage_key >= bindparam("first"),
        segment.storage_key <= bindparam("last"),
    )
)

# Checking
BLOBS_AFTER = Statement(
    select(b.id, b.location, b.digest, b.size_bytes, b.storage_key, b.content)
    .where(b.id > bindparam("after"))
    .order_by(b.id)
    .limit(bindparam("most"))
)
BLOB_KEY = Statement(select(b.storage_key).where(b.id == bindparam("blob_id")))
# Not what a push has healed since.
FORGET_BYTES = Statement(
    update(schema.blobs)
    .where(b.id == bindparam("blob_id"), b.storage_key.is_not_distinct_from(bindparam("known_key", type_=b.storage_key.type)))
    .values(storage_key=None, content=None)
)
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

# Totals. Tables are counted a piece at a time: the key where a piece of most rows ends, and the rows of the last, smaller one.
_beyond_manifest = tuple_(m.repository_id, m.digest) > tuple_(
    bindparam("last_id", type_=m.repository_id.type), bindparam("last_name", type_=m.digest.type)
)
_beyond_tag = tuple_(t.repository_id, t.name) > tuple_(
    bindparam("last_id", type_=t.repository_id.type), bindparam("last_name", type_=t.name.type)
)
_beyond_repository = tuple_(r.location, r.name) > tuple_(
    bindparam("last_id", type_=r.location.type), bindparam("last_name", type_=r.name.type)
)
MANIFEST_PIECE = Statement(
    select(m.repository_id, m.digest).where(_beyond_manifest).order_by(m.repository_id, m.digest).offset(bindparam("skip")).limit(1)
)
MANIFESTS_BEYOND = Statement(select(func.count()).select_from(schema.manifests).where(_beyond_manifest))
TAG_PIECE = Statement(
    select(t.repository_id, t.name).where(_beyond_tag).order_by(t.repository_id, t.name).offset(bindparam("skip")).limit(1)
)
TAGS_BEYOND = Statement(select(func.count()).select_from(schema.tags).where(_beyond_tag))
REPOSITORY_PIECE = Statement(
    select(r.location, r.name).where(_beyond_repository).order_by(r.location, r.name).offset(bindparam("skip")).limit(1)
)
REPOSITORIES_BEYOND = Statement(select(func.count()).select_from(schema.repositories).where(_beyond_repository))
_blob_piece = select(b.id, b.location, b.size_bytes).where(b.id > bindparam("after")).order_by(b.id).limit(bindparam("most")).subquery()
BLOB_PIECE = Statement(
    select(_blob_piece.c.location, func.count(), func.sum(_blob_piece.c.size_bytes), func.max(_blob_piece.c.id)).group_by(
        _blob_piece.c.location
    )
)
OPEN_UPLOADS = Statement(select(func.count()).select_from(schema.uploads).where(u.location == bindparam("location")))
