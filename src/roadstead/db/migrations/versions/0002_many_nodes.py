"""Many nodes: uploads whose bytes are in object storage, keys in order for sweeping, and one order of texts on both engines."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# What is listed in order or compared with < and >. SQLite compares bytes; PostgreSQL would follow its database's language.
_TEXTS = {
    "repositories": ("location", "name"),
    "blobs": ("location", "digest", "storage_key"),
    "manifests": ("digest", "subject"),
    "tags": ("name",),
    "manifest_children": ("child_digest",),
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in _TEXTS.items():
            for column in columns:
                op.alter_column(table, column, type_=sa.String(collation="C"))
    op.drop_index("manifest_blobs_by_blob", table_name="manifest_blobs")
    op.create_index("manifest_blobs_by_blob", "manifest_blobs", ["blob_id", "repository_id"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("touched_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("uploads_by_age", "uploads", ["location", "touched_at_us"], unique=False)
    op.create_table(
        "upload_segments",
        sa.Column("upload", sa.String(), nullable=False),
        sa.Column("start_bytes", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("storage_key", sa.String(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["upload"], ["uploads.name"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("upload", "start_bytes"),
    )
    op.create_index(
        "blobs_by_key",
        "blobs",
        ["location", "storage_key"],
        unique=False,
        sqlite_where=sa.text("storage_key IS NOT NULL"),
        postgresql_where=sa.text("storage_key IS NOT NULL"),
    )
