"""
The tables, for SQLite and PostgreSQL alike, by room. A change here needs a new revision in migrations/versions (add, never edit).

Times are UTC microseconds.
"""

from __future__ import annotations

from roadstead.db.schema import analysis, scanning
from roadstead.db.schema.access import (
    audit_log,
    credentials,
    generations,
    group_members,
    groups,
    login_failures,
    operations,
    policies,
    project_services,
    projects,
    revoked_tokens,
    roles,
    service_account_keys,
    service_accounts,
    signing_keys,
    users,
    workload_pools,
    workload_providers,
)
from roadstead.db.schema.analysis import notes, occurrence_resources, occurrences
from roadstead.db.schema.columns import metadata
from roadstead.db.schema.registry import (
    blob_links,
    blobs,
    jobs,
    manifest_blobs,
    manifest_children,
    manifests,
    repositories,
    settings,
    tags,
    upload_segments,
    uploads,
)

__all__ = [
    "analysis",
    "audit_log",
    "blob_links",
    "blobs",
    "credentials",
    "generations",
    "group_members",
    "groups",
    "jobs",
    "login_failures",
    "manifest_blobs",
    "manifest_children",
    "manifests",
    "metadata",
    "notes",
    "occurrence_resources",
    "occurrences",
    "operations",
    "policies",
    "project_services",
    "projects",
    "repositories",
    "revoked_tokens",
    "roles",
    "scanning",
    "service_account_keys",
    "service_accounts",
    "settings",
    "signing_keys",
    "tags",
    "upload_segments",
    "uploads",
    "users",
    "workload_pools",
    "workload_providers",
]
