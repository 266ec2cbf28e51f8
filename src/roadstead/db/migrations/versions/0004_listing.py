"""What the list of tags tells of manifests as Container Registry did: size, created, uploaded."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_JOB = sa.table(
    "jobs",
    sa.column("kind", sa.String()),
    sa.column("arguments", sa.LargeBinary()),
    sa.column("unique_key", sa.String()),
    sa.column("run_at_us", sa.BigInteger()),
    sa.column("created_at_us", sa.BigInteger()),
)


def upgrade() -> None:
    op.add_column("manifests", sa.Column("image_size_bytes", sa.BigInteger(), nullable=True))
    op.add_column("manifests", sa.Column("created_at_ms", sa.BigInteger(), nullable=True))
    op.create_index(
        "manifests_listed",
        "manifests",
        ["repository_id", "digest", "id", "media_type", "image_size_bytes", "created_at_ms", "pushed_at_us"],
        unique=False,
    )
    op.create_index(
        "manifests_undescribed",
        "manifests",
        ["id"],
        unique=False,
        sqlite_where=sa.text("created_at_ms IS NULL"),
        postgresql_where=sa.text("created_at_ms IS NULL"),
    )
    connection = op.get_bind()
    if connection.execute(sa.text("SELECT 1 FROM manifests LIMIT 1")).first() is not None:
        now_us = time.time_ns() // 1000
        job = {"kind": "describe-manifests", "arguments": b"", "unique_key": "all", "run_at_us": now_us, "created_at_us": now_us}
        connection.execute(_JOB.insert().values(**job))
