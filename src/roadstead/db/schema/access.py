"""Identity and access."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from roadstead.db.schema.columns import Id, Name, metadata

projects = Table(
    "projects",
    metadata,
    Column("id", Name, primary_key=True),
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
    Column("project", Name, ForeignKey("projects.id"), primary_key=True),
    Column("service", Name, primary_key=True),
    Column("enabled_at_us", BigInteger, nullable=False),
)
# Long-running operations as Google's clients poll them.
operations = Table(
    "operations",
    metadata,
    Column("name", Name, primary_key=True),
    Column("project", Name, nullable=False),
    Column("payload", Text, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Index("operations_by_age", "created_at_us"),
)
policies = Table(
    "policies",
    metadata,
    Column("resource", Name, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("bindings", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("updated_at_us", BigInteger, nullable=False),
)
roles = Table(
    "roles",
    metadata,
    Column("name", Name, primary_key=True),
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
    Column("email", Name, primary_key=True),
    Column("id", Name, nullable=False),
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
    Column("email", Name, primary_key=True),
    Column("name", String, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
)
group_members = Table(
    "group_members",
    metadata,
    Column("member", Name, primary_key=True),
    Column("group_email", Name, primary_key=True),
    Column("source", Name, primary_key=True),
    Index("group_members_by_group", "group_email"),
)
service_accounts = Table(
    "service_accounts",
    metadata,
    Column("email", Name, primary_key=True),
    Column("project", Name, nullable=False),
    Column("unique_id", Name, nullable=False),
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
    Column("id", Name, primary_key=True),
    Column("email", Name, ForeignKey("service_accounts.email"), nullable=False),
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
    Column("id", Name, primary_key=True),
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
    Column("hash", Name, primary_key=True),
    Column("kind", String, nullable=False),
    Column("member", Name, nullable=False),
    Column("client", String, nullable=False),
    Column("family", Name, nullable=False),
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
    Column("id", Name, primary_key=True),
    Column("expires_at_us", BigInteger, nullable=False),
    Index("revoked_tokens_by_expiry", "expires_at_us"),
)
# Numbers that grow by one when something changes that processes remember.
generations = Table(
    "generations",
    metadata,
    Column("name", Name, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("member", Name, nullable=False),
    Column("method", Name, nullable=False),
    Column("project", Name, nullable=False),
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
    Column("key", Name, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("blocked_until_us", BigInteger, nullable=False),
    Index("login_failures_by_age", "since_us"),
)
workload_pools = Table(
    "workload_pools",
    metadata,
    Column("name", Name, primary_key=True),
    Column("project", Name, nullable=False),
    Column("display_name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("disabled", Integer, nullable=False, server_default="0"),
    Column("deleted_at_us", BigInteger),
)
workload_providers = Table(
    "workload_providers",
    metadata,
    Column("name", Name, primary_key=True),
    Column("pool", Name, ForeignKey("workload_pools.name"), nullable=False),
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
