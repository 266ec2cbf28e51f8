"""Scanning: what layers and images hold, advisories, and where they meet."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    pass
