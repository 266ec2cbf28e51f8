"""Container Analysis: notes and occurrences."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def _name() -> "sa.types.TypeEngine[str]":
    """Compared byte by byte on both engines."""
    return sa.String().with_variant(sa.String(collation="C"), "postgresql")


def _id() -> "sa.types.TypeEngine[int]":
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("id", _id(), nullable=False),
        sa.Column("project", _name(), nullable=False),
        sa.Column("name", _name(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("notes_by_name", "notes", ["project", "name"], unique=True)
    op.create_index("notes_by_kind", "notes", ["project", "kind", "name"], unique=False)
    op.create_index("notes_by_update", "notes", ["project", "updated_at_us", "id"], unique=False)
    op.create_table(
        "occurrence_resources",
        sa.Column("id", _id(), nullable=False),
        sa.Column("project", _name(), nullable=False),
        sa.Column("uri", _name(), nullable=False),
        sa.Column("digest", _name(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("occurrence_resources_by_uri", "occurrence_resources", ["project", "uri"], unique=True)
    op.create_index("occurrence_resources_by_digest", "occurrence_resources", ["digest"], unique=False)
    op.create_table(
        "occurrences",
        sa.Column("id", _id(), nullable=False),
        sa.Column("project", _name(), nullable=False),
        sa.Column("name", _name(), nullable=False),
        sa.Column("resource_id", _id(), nullable=False),
        sa.Column("note_id", _id(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("fixable", sa.Integer(), nullable=False),
        sa.Column("with_scheme", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["note_id"], ["notes.id"]),
        sa.ForeignKeyConstraint(["resource_id"], ["occurrence_resources.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("occurrences_by_name", "occurrences", ["name"], unique=True)
    op.create_index("occurrences_by_resource", "occurrences", ["resource_id", "id"], unique=False)
    op.create_index("occurrences_by_note", "occurrences", ["note_id", "project", "id"], unique=False)
    op.create_index("occurrences_by_kind", "occurrences", ["project", "kind", "severity", "fixable", "id"], unique=False)
    op.create_index("occurrences_by_update", "occurrences", ["project", "updated_at_us", "id"], unique=False)
