"""
Settings, images, uploads and the queue of jobs.

A blob is bytes in one location; a link says that a repository has it. A link no manifest needs carries the moment since when:
collection takes it after a grace, so that a manifest can still arrive for a fresh upload.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, func

from roadstead.db.schema.columns import Id, Name, metadata

settings = Table(
    "settings",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

repositories = Table(
    "repositories",
    metadata,
    Column("id", Id, primary_key=True),
    Column("location", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Index("repositories_by_name", "location", "name", unique=True),
)

# content holds small blobs (then storage_key is NULL); larger ones are in the location's blob store under storage_key,
# which is never used twice: what collection removes can not be what an upload has just written.
blobs = Table(
    "blobs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("location", Name, nullable=False),
    Column("digest", Name, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("storage_key", Name),
    Column("content", LargeBinary),
    Column("created_at_us", BigInteger, nullable=False),
    Index("blobs_by_digest", "location", "digest", unique=True),
)
Index(
    "blobs_by_key",
    blobs.c.location,
    blobs.c.storage_key,
    sqlite_where=blobs.c.storage_key.is_not(None),
    postgresql_where=blobs.c.storage_key.is_not(None),
)

blob_links = Table(
    "blob_links",
    metadata,
    Column("repository_id", Id, ForeignKey("repositories.id"), primary_key=True),
    Column("blob_id", Id, ForeignKey("blobs.id"), primary_key=True),
    Column("unreferenced_since_us", BigInteger),
    Index("blob_links_by_blob", "blob_id"),
    sqlite_with_rowid=False,
)
Index(
    "blob_links_unreferenced",
    blob_links.c.unreferenced_since_us,
    sqlite_where=blob_links.c.unreferenced_since_us.is_not(None),
    postgresql_where=blob_links.c.unreferenced_since_us.is_not(None),
)

# image_size_bytes: config and layers; created_at_ms: what the config says. Both are NULL until somebody has looked into the config
# (registry/descriptions.py).
manifests = Table(
    "manifests",
    metadata,
    Column("id", Id, primary_key=True),
    Column("repository_id", Id, ForeignKey("repositories.id"), nullable=False),
    Column("digest", Name, nullable=False),
    Column("media_type", String, nullable=False),
    Column("artifact_type", String, nullable=False),
    Column("subject", Name),
    Column("annotations", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("pushed_at_us", BigInteger, nullable=False),
    Column("image_size_bytes", BigInteger),
    Column("created_at_ms", BigInteger),
    Index("manifests_by_digest", "repository_id", "digest", unique=True),
    # All that a list tells of each: it is read from here, without the payloads that lie between in the table.
    Index("manifests_listed", "repository_id", "digest", "id", "media_type", "image_size_bytes", "created_at_ms", "pushed_at_us"),
)
Index(
    "manifests_undescribed",
    manifests.c.id,
    sqlite_where=manifests.c.created_at_ms.is_(None),
    postgresql_where=manifests.c.created_at_ms.is_(None),
)
Index(
    "manifests_by_subject",
    manifests.c.repository_id,
    manifests.c.subject,
    manifests.c.digest,
    sqlite_where=manifests.c.subject.is_not(None),
    postgresql_where=manifests.c.subject.is_not(None),
)

manifest_blobs = Table(
    "manifest_blobs",
    metadata,
    Column("manifest_id", Id, ForeignKey("manifests.id"), primary_key=True),
    Column("blob_id", Id, ForeignKey("blobs.id"), primary_key=True),
    Column("repository_id", Id, ForeignKey("repositories.id"), nullable=False),
    # The blob comes first, or deleting one would search all of these rows for it.
    Index("manifest_blobs_by_blob", "blob_id", "repository_id"),
    sqlite_with_rowid=False,
)

manifest_children = Table(
    "manifest_children",
    metadata,
    Column("manifest_id", Id, ForeignKey("manifests.id"), primary_key=True),
    Column("child_digest", Name, primary_key=True),
    Column("repository_id", Id, ForeignKey("repositories.id"), nullable=False),
    Index("manifest_children_by_child", "repository_id", "child_digest"),
    sqlite_with_rowid=False,
)

tags = Table(
    "tags",
    metadata,
    Column("repository_id", Id, ForeignKey("repositories.id"), primary_key=True),
    Column("name", Name, primary_key=True),
    Column("manifest_id", Id, ForeignKey("manifests.id"), nullable=False),
    Column("updated_at_us", BigInteger, nullable=False),
    Index("tags_by_manifest", "manifest_id"),
    sqlite_with_rowid=False,
)
# The specification lists tags in case-insensitive order; the name itself breaks ties.
Index("tags_in_order", tags.c.repository_id, func.lower(tags.c.name), tags.c.name)

# Uploads into object storage, where no file grows: what every request of an upload brought is a segment, small ones in the row
# (content), the others as an object (storage_key). Uploads into a folder are files and have no rows.
uploads = Table(
    "uploads",
    metadata,
    Column("name", String, primary_key=True),
    Column("location", String, nullable=False),
    Column("touched_at_us", BigInteger, nullable=False),
    Index("uploads_by_age", "location", "touched_at_us"),
)
upload_segments = Table(
    "upload_segments",
    metadata,
    Column("upload", String, ForeignKey("uploads.name", ondelete="CASCADE"), primary_key=True),
    Column("start_bytes", BigInteger, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String, nullable=False),
    Column("storage_key", String),
    Column("content", LargeBinary),
)

# A job is a row of the transaction that causes it. A worker claims it for a while (claimed_until_us); if the worker dies,
# another claims it again. unique_key keeps one waiting job of a kind for one thing.
jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", String, nullable=False),
    Column("arguments", LargeBinary, nullable=False),
    Column("unique_key", String),
    Column("run_at_us", BigInteger, nullable=False),
    Column("claimed_until_us", BigInteger, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("last_error", Text),
    Column("created_at_us", BigInteger, nullable=False),
    Index("jobs_due", "run_at_us"),
)
Index(
    "jobs_unique",
    jobs.c.kind,
    jobs.c.unique_key,
    unique=True,
    sqlite_where=jobs.c.unique_key.is_not(None),
    postgresql_where=jobs.c.unique_key.is_not(None),
)

# Who may do what (the iam room). Resources are named by paths: `organization`, `projects/P`, `projects/P/locations/LOCATION` (what
# GCR had a bucket for) and `projects/P/locations/LOCATION/repositories/PATH`, a repository or all that is below the path.
