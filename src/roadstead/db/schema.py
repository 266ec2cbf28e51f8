"""
The tables, for SQLite and PostgreSQL alike. A change here needs a new revision in migrations/versions (add, never edit).

Times are UTC microseconds. A blob is bytes in one location; a link says that a repository has it. A link no manifest needs
carries the moment since when: collection takes it after a grace, so that a manifest can still arrive for a fresh upload.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text, func

metadata = MetaData()

_Id = BigInteger().with_variant(Integer, "sqlite")
# Compared byte by byte on both engines: names have one order everywhere.
_Name = String().with_variant(String(collation="C"), "postgresql")

settings = Table(
    "settings",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

repositories = Table(
    "repositories",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("location", _Name, nullable=False),
    Column("name", _Name, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Index("repositories_by_name", "location", "name", unique=True),
)

# content holds small blobs (then storage_key is NULL); larger ones are in the location's blob store under storage_key,
# which is never used twice: what collection removes can not be what an upload has just written.
blobs = Table(
    "blobs",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("location", _Name, nullable=False),
    Column("digest", _Name, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("storage_key", _Name),
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
    Column("repository_id", _Id, ForeignKey("repositories.id"), primary_key=True),
    Column("blob_id", _Id, ForeignKey("blobs.id"), primary_key=True),
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

manifests = Table(
    "manifests",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("repository_id", _Id, ForeignKey("repositories.id"), nullable=False),
    Column("digest", _Name, nullable=False),
    Column("media_type", String, nullable=False),
    Column("artifact_type", String, nullable=False),
    Column("subject", _Name),
    Column("annotations", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("pushed_at_us", BigInteger, nullable=False),
    Index("manifests_by_digest", "repository_id", "digest", unique=True),
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
    Column("manifest_id", _Id, ForeignKey("manifests.id"), primary_key=True),
    Column("blob_id", _Id, ForeignKey("blobs.id"), primary_key=True),
    Column("repository_id", _Id, ForeignKey("repositories.id"), nullable=False),
    # The blob comes first, or deleting one would search all of these rows for it.
    Index("manifest_blobs_by_blob", "blob_id", "repository_id"),
    sqlite_with_rowid=False,
)

manifest_children = Table(
    "manifest_children",
    metadata,
    Column("manifest_id", _Id, ForeignKey("manifests.id"), primary_key=True),
    Column("child_digest", _Name, primary_key=True),
    Column("repository_id", _Id, ForeignKey("repositories.id"), nullable=False),
    Index("manifest_children_by_child", "repository_id", "child_digest"),
    sqlite_with_rowid=False,
)

tags = Table(
    "tags",
    metadata,
    Column("repository_id", _Id, ForeignKey("repositories.id"), primary_key=True),
    Column("name", _Name, primary_key=True),
    Column("manifest_id", _Id, ForeignKey("manifests.id"), nullable=False),
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
    Column("id", _Id, primary_key=True),
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

projects = Table(
    "projects",
    metadata,
    Column("id", _Name, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("name", String, nullable=False),
    Column("state", String, nullable=False),
    Column("labels", Text, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("updated_at_us", BigInteger, nullable=False),
    Column("deleted_at_us", BigInteger),
    Index("projects_by_number", "number", unique=True),
)
project_services = Table(
    "project_services",
    metadata,
    Column("project", _Name, ForeignKey("projects.id"), primary_key=True),
    Column("service", _Name, primary_key=True),
    Column("enabled_at_us", BigInteger, nullable=False),
)
# Long-running operations as Google's clients poll them.
operations = Table(
    "operations",
    metadata,
    Column("name", _Name, primary_key=True),
    Column("project", _Name, nullable=False),
    Column("payload", Text, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Index("operations_by_age", "created_at_us"),
)
policies = Table(
    "policies",
    metadata,
    Column("resource", _Name, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("bindings", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("updated_at_us", BigInteger, nullable=False),
)
roles = Table(
    "roles",
    metadata,
    Column("name", _Name, primary_key=True),
    Column("title", String, nullable=False),
    Column("description", String, nullable=False),
    Column("permissions", Text, nullable=False),
    Column("stage", String, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("deleted_at_us", BigInteger),
)
# Tokens and sessions of a person or account that were made before valid_from_us are void.
users = Table(
    "users",
    metadata,
    Column("email", _Name, primary_key=True),
    Column("id", _Name, nullable=False),
    Column("name", String, nullable=False),
    Column("password_hash", String),
    Column("totp_secret", String),
    Column("totp_last_step", BigInteger, nullable=False, server_default="0"),
    Column("issuer", String),
    Column("subject", String),
    Column("disabled", Integer, nullable=False, server_default="0"),
    Column("valid_from_us", BigInteger, nullable=False, server_default="0"),
    Column("created_at_us", BigInteger, nullable=False),
    Column("last_login_at_us", BigInteger),
    Index("users_by_id", "id"),
    Index("users_by_subject", "issuer", "subject", unique=True),
)
# source: "" when somebody added the member here, else the issuer whose claims say so; those are replaced at each login.
groups = Table(
    "groups",
    metadata,
    Column("email", _Name, primary_key=True),
    Column("name", String, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
)
group_members = Table(
    "group_members",
    metadata,
    Column("member", _Name, primary_key=True),
    Column("group_email", _Name, primary_key=True),
    Column("source", _Name, primary_key=True),
    Index("group_members_by_group", "group_email"),
)
service_accounts = Table(
    "service_accounts",
    metadata,
    Column("email", _Name, primary_key=True),
    Column("project", _Name, nullable=False),
    Column("unique_id", _Name, nullable=False),
    Column("display_name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("disabled", Integer, nullable=False, server_default="0"),
    Column("deleted_at_us", BigInteger),
    Column("valid_from_us", BigInteger, nullable=False, server_default="0"),
    Column("revision", BigInteger, nullable=False, server_default="1"),
    Column("created_at_us", BigInteger, nullable=False),
    Index("service_accounts_by_id", "unique_id", unique=True),
    Index("service_accounts_by_project", "project", "email"),
)
service_account_keys = Table(
    "service_account_keys",
    metadata,
    Column("id", _Name, primary_key=True),
    Column("email", _Name, ForeignKey("service_accounts.email"), nullable=False),
    Column("public_key", Text, nullable=False),
    Column("algorithm", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("disabled", Integer, nullable=False, server_default="0"),
    Column("valid_after_us", BigInteger, nullable=False),
    Column("valid_before_us", BigInteger, nullable=False),
    Column("last_used_at_us", BigInteger),
    Index("service_account_keys_by_account", "email"),
)
# This server's own keys: one signs until signs_until_us, and its signatures are good until retires_at_us.
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("id", _Name, primary_key=True),
    Column("private_key", Text, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("signs_until_us", BigInteger, nullable=False),
    Column("retires_at_us", BigInteger, nullable=False),
)
# What is handed out and comes back once or often, kept as its SHA-256 only: authorization codes, refresh tokens, sessions, one-time links.
# family: all that came from one login, so that they can be void together.
credentials = Table(
    "credentials",
    metadata,
    Column("hash", _Name, primary_key=True),
    Column("kind", String, nullable=False),
    Column("member", _Name, nullable=False),
    Column("client", String, nullable=False),
    Column("family", _Name, nullable=False),
    Column("data", Text, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("expires_at_us", BigInteger, nullable=False),
    Column("used_at_us", BigInteger),
    Index("credentials_by_member", "member"),
    Index("credentials_by_family", "family"),
    Index("credentials_by_expiry", "expires_at_us"),
)
# Access tokens that were revoked before their end, by id (or family).
revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("id", _Name, primary_key=True),
    Column("expires_at_us", BigInteger, nullable=False),
    Index("revoked_tokens_by_expiry", "expires_at_us"),
)
# Numbers that grow by one when something changes that processes remember.
generations = Table(
    "generations",
    metadata,
    Column("name", _Name, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("member", _Name, nullable=False),
    Column("method", _Name, nullable=False),
    Column("project", _Name, nullable=False),
    Column("resource", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("address", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("request_id", String, nullable=False),
    Column("details", Text, nullable=False),
    Index("audit_log_by_time", "at_us", "id"),
    Index("audit_log_by_project", "project", "at_us", "id"),
    Index("audit_log_by_member", "member", "at_us", "id"),
)
# key: `address:…` or `account:…`
login_failures = Table(
    "login_failures",
    metadata,
    Column("key", _Name, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("blocked_until_us", BigInteger, nullable=False),
    Index("login_failures_by_age", "since_us"),
)
workload_pools = Table(
    "workload_pools",
    metadata,
    Column("name", _Name, primary_key=True),
    Column("project", _Name, nullable=False),
    Column("display_name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("disabled", Integer, nullable=False, server_default="0"),
    Column("deleted_at_us", BigInteger),
)
workload_providers = Table(
    "workload_providers",
    metadata,
    Column("name", _Name, primary_key=True),
    Column("pool", _Name, ForeignKey("workload_pools.name"), nullable=False),
    Column("display_name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("issuer", String, nullable=False),
    Column("audiences", Text, nullable=False),
    Column("attribute_mapping", Text, nullable=False),
    Column("attribute_condition", Text, nullable=False),
    Column("jwks", Text),
    Column("disabled", Integer, nullable=False, server_default="0"),
    Column("deleted_at_us", BigInteger),
    Index("workload_providers_by_pool", "pool"),
)
