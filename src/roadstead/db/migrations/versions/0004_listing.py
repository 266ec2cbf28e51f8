"""What the list of tags tells of manifests as Container Registry did: size, created, uploaded."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    pass
