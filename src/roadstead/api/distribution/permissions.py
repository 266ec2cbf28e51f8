"""What a route of the registry needs, and how a question to the gate is written down."""

from __future__ import annotations

import enum

from roadstead.oci.reference import Repository


class Permission(enum.Enum):
    """
    What a route needs. PUBLIC: nothing. PING: a credential, so that clients learn where to get one. CATALOG: nothing; the answer has
    only what the caller may read.
    """

    PUBLIC = "public"
    PING = "ping"
    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"
    CATALOG = "catalog"


Asked = str
"""All that a decision depends on, beside the credential, in one string: its hash is made once."""


def asked(permission: Permission, location: str, repository: Repository | None) -> Asked:
    """No two questions are the same string: neither permissions nor locations have spaces."""
    return f"{permission.value} {location} {repository.name if repository is not None else ''}"
