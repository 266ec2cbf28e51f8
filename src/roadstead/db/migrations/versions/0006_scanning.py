"""Scanning: what layers and images hold, advisories, and where they meet."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def _id() -> "sa.types.TypeEngine[int]":
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _name() -> "sa.types.TypeEngine[str]":
    """Compared byte by byte on both engines."""
    return sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "advisories",
        sa.Column("ecosystem", _name(), nullable=False),
        sa.Column("release", _name(), nullable=False),
        sa.Column("name", _name(), nullable=False),
        sa.Column("feed", _name(), nullable=False),
        sa.Column("key", _name(), nullable=False),
        sa.Column("vulnerability", _name(), nullable=False),
        sa.Column("has_cvss", sa.Boolean(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("ecosystem", "release", "name", "feed", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("advisories_by_feed", "advisories", ["feed", "ecosystem", "release", "name", "key"], unique=False)
    op.create_index("advisories_by_vulnerability", "advisories", ["vulnerability"], unique=False)
    op.create_table(
        "changed_packages",
        sa.Column("ecosystem", _name(), nullable=False),
        sa.Column("release", _name(), nullable=False),
        sa.Column("name", _name(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("ecosystem", "release", "name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "feed_releases",
        sa.Column("feed", _name(), nullable=False),
        sa.Column("ecosystem", _name(), nullable=False),
        sa.Column("release", _name(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("feed", "ecosystem", "release"),
        sqlite_with_rowid=False,
    )
    op.create_index("feed_releases_by_release", "feed_releases", ["ecosystem", "release"], unique=False)
    op.create_table(
        "feeds",
        sa.Column("name", _name(), nullable=False),
        sa.Column("form", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("etag", sa.String(), nullable=False),
        sa.Column("last_modified", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("skipped", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("checked_at_us", sa.BigInteger(), nullable=False),
        sa.Column("loaded_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "inventories",
        sa.Column("id", _id(), nullable=False),
        sa.Column("hash", _name(), nullable=False),
        sa.Column("ecosystem", _name(), nullable=False),
        sa.Column("release", _name(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("inventories_by_hash", "inventories", ["hash"], unique=True)
    op.create_index("inventories_by_release", "inventories", ["ecosystem", "release"], unique=False)
    op.create_table(
        "layer_indexes",
        sa.Column("digest", _name(), nullable=False),
        sa.Column("analyzer", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("layer_indexes_by_age", "layer_indexes", ["created_at_us", "digest"], unique=False)
    op.create_table(
        "package_versions",
        sa.Column("id", _id(), nullable=False),
        sa.Column("ecosystem", _name(), nullable=False),
        sa.Column("release", _name(), nullable=False),
        sa.Column("name", _name(), nullable=False),
        sa.Column("version", _name(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("package_versions_by_name", "package_versions", ["ecosystem", "release", "name", "version"], unique=True)
    op.create_table(
        "scan_events",
        sa.Column("id", _id(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("image_id", _id(), nullable=True),
        sa.Column("version_id", _id(), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("scan_events_by_age", "scan_events", ["at_us", "id"], unique=False)
    op.create_index("scan_events_by_image", "scan_events", ["image_id", "id"], unique=False)
    op.create_index("scan_events_by_version", "scan_events", ["version_id", "id"], unique=False)
    op.create_table(
        "assessments",
        sa.Column("note_id", _id(), nullable=False),
        sa.Column("project", _name(), nullable=False),
        sa.Column("vulnerability", _name(), nullable=False),
        sa.Column("package", _name(), nullable=False),
        sa.Column("image", _name(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["note_id"], ["notes.id"]),
        sa.PrimaryKeyConstraint("note_id"),
    )
    op.create_index("assessments_by_project", "assessments", ["project", "vulnerability"], unique=False)
    op.create_table(
        "findings",
        sa.Column("id", _id(), nullable=False),
        sa.Column("version_id", _id(), nullable=False),
        sa.Column("vulnerability", _name(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("fixable", sa.Boolean(), nullable=False),
        sa.Column("feed", _name(), nullable=False),
        sa.Column("advisory", _name(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["package_versions.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("findings_by_version", "findings", ["version_id", "vulnerability"], unique=True)
    op.create_index("findings_by_vulnerability", "findings", ["vulnerability", "version_id"], unique=False)
    op.create_table(
        "inventory_versions",
        sa.Column("inventory_id", _id(), nullable=False),
        sa.Column("version_id", _id(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["package_versions.id"]),
        sa.ForeignKeyConstraint(["inventory_id"], ["inventories.id"]),
        sa.PrimaryKeyConstraint("inventory_id", "version_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("inventory_versions_by_version", "inventory_versions", ["version_id", "inventory_id"], unique=False)
    op.create_table(
        "scanned_images",
        sa.Column("id", _id(), nullable=False),
        sa.Column("location", _name(), nullable=False),
        sa.Column("project", _name(), nullable=False),
        sa.Column("name", _name(), nullable=False),
        sa.Column("digest", _name(), nullable=False),
        sa.Column("resource", _name(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("analyzer", sa.Integer(), nullable=False),
        sa.Column("inventory_id", _id(), nullable=True),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("scanned_at_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["inventory_id"], ["inventories.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("scanned_images_by_analyzer", "scanned_images", ["analyzer", "id"], unique=False)
    op.create_index("scanned_images_by_inventory", "scanned_images", ["inventory_id", "id"], unique=False)
    op.create_index("scanned_images_by_name", "scanned_images", ["location", "name", "digest"], unique=True)
    op.create_index("scanned_images_by_project", "scanned_images", ["project", "id"], unique=False)
    op.create_index("scanned_images_by_resource", "scanned_images", ["resource"], unique=True)
    op.create_table(
        "on_demand_scans",
        sa.Column("id", _id(), nullable=False),
        sa.Column("name", _name(), nullable=False),
        sa.Column("project", _name(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("packages", sa.LargeBinary(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("on_demand_scans_by_age", "on_demand_scans", ["created_at_us", "id"], unique=False)
    op.create_index("on_demand_scans_by_name", "on_demand_scans", ["name"], unique=True)
    op.create_index("on_demand_scans_by_project", "on_demand_scans", ["project", "state"], unique=False)
    op.create_table(
        "on_demand_findings",
        sa.Column("scan_id", _id(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ecosystem", _name(), nullable=False),
        sa.Column("release", _name(), nullable=False),
        sa.Column("name", _name(), nullable=False),
        sa.Column("feed", _name(), nullable=False),
        sa.Column("advisory", _name(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["scan_id"], ["on_demand_scans.id"]),
        sa.PrimaryKeyConstraint("scan_id", "number"),
        sqlite_with_rowid=False,
    )
