"""Identity and access: projects, policies, people, service accounts and their keys, tokens, the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def _name() -> "sa.types.TypeEngine[str]":
    """Compared byte by byte on both engines."""
    return sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("member", _name(), nullable=False),
        sa.Column("method", _name(), nullable=False),
        sa.Column("project", _name(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_log_by_member", "audit_log", ["member", "at_us", "id"], unique=False)
    op.create_index("audit_log_by_project", "audit_log", ["project", "at_us", "id"], unique=False)
    op.create_index("audit_log_by_time", "audit_log", ["at_us", "id"], unique=False)
    op.create_table(
        "credentials",
        sa.Column("hash", _name(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("member", _name(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("family", _name(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        sa.Column("used_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index("credentials_by_expiry", "credentials", ["expires_at_us"], unique=False)
    op.create_index("credentials_by_family", "credentials", ["family"], unique=False)
    op.create_index("credentials_by_member", "credentials", ["member"], unique=False)
    op.create_table(
        "generations",
        sa.Column("name", _name(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "group_members",
        sa.Column("member", _name(), nullable=False),
        sa.Column("group_email", _name(), nullable=False),
        sa.Column("source", _name(), nullable=False),
        sa.PrimaryKeyConstraint("member", "group_email", "source"),
    )
    op.create_index("group_members_by_group", "group_members", ["group_email"], unique=False)
    op.create_table(
        "groups",
        sa.Column("email", _name(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("email"),
    )
    op.create_table(
        "login_failures",
        sa.Column("key", _name(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("blocked_until_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("login_failures_by_age", "login_failures", ["since_us"], unique=False)
    op.create_table(
        "operations",
        sa.Column("name", _name(), nullable=False),
        sa.Column("project", _name(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("operations_by_age", "operations", ["created_at_us"], unique=False)
    op.create_table(
        "policies",
        sa.Column("resource", _name(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("bindings", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("resource"),
    )
    op.create_table(
        "projects",
        sa.Column("id", _name(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("projects_by_number", "projects", ["number"], unique=True)
    op.create_table(
        "revoked_tokens",
        sa.Column("id", _name(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("revoked_tokens_by_expiry", "revoked_tokens", ["expires_at_us"], unique=False)
    op.create_table(
        "roles",
        sa.Column("name", _name(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("permissions", sa.Text(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "service_accounts",
        sa.Column("email", _name(), nullable=False),
        sa.Column("project", _name(), nullable=False),
        sa.Column("unique_id", _name(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("disabled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("deleted_at_us", sa.BigInteger(), nullable=True),
        sa.Column("valid_from_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("email"),
    )
    op.create_index("service_accounts_by_id", "service_accounts", ["unique_id"], unique=True)
    op.create_index("service_accounts_by_project", "service_accounts", ["project", "email"], unique=False)
    op.create_table(
        "signing_keys",
        sa.Column("id", _name(), nullable=False),
        sa.Column("private_key", sa.Text(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("signs_until_us", sa.BigInteger(), nullable=False),
        sa.Column("retires_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "users",
        sa.Column("email", _name(), nullable=False),
        sa.Column("id", _name(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("totp_secret", sa.String(), nullable=True),
        sa.Column("totp_last_step", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("issuer", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("disabled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("valid_from_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("last_login_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("email"),
    )
    op.create_index("users_by_id", "users", ["id"], unique=False)
    op.create_index("users_by_subject", "users", ["issuer", "subject"], unique=True)
    op.create_table(
        "workload_pools",
        sa.Column("name", _name(), nullable=False),
        sa.Column("project", _name(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("disabled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("deleted_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "project_services",
        sa.Column("project", _name(), nullable=False),
        sa.Column("service", _name(), nullable=False),
        sa.Column("enabled_at_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"],
            ["projects.id"],
        ),
        sa.PrimaryKeyConstraint("project", "service"),
    )
    op.create_table(
        "service_account_keys",
        sa.Column("id", _name(), nullable=False),
        sa.Column("email", _name(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("disabled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("valid_after_us", sa.BigInteger(), nullable=False),
        sa.Column("valid_before_us", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["email"],
            ["service_accounts.email"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("service_account_keys_by_account", "service_account_keys", ["email"], unique=False)
    op.create_table(
        "workload_providers",
        sa.Column("name", _name(), nullable=False),
        sa.Column("pool", _name(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("audiences", sa.Text(), nullable=False),
        sa.Column("attribute_mapping", sa.Text(), nullable=False),
        sa.Column("attribute_condition", sa.Text(), nullable=False),
        sa.Column("jwks", sa.Text(), nullable=True),
        sa.Column("disabled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("deleted_at_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["pool"],
            ["workload_pools.name"],
        ),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("workload_providers_by_pool", "workload_providers", ["pool"], unique=False)
