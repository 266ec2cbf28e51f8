"""
Scanning: what layers and images hold, advisories, and where they meet.

An image has an inventory (an index that of its platforms together), an inventory has package versions, a package version has findings.
So an advisory that changes touches one row for each version of its package, however many images have it, and what an image is
found to have is a join. Occurrences of the scanner are nowhere else than here.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from roadstead.db.schema.columns import Id, Name, metadata

# By the digest of the layer's blob, in whichever location: what is in it follows from its bytes. error: why it could not be read.
layer_indexes = Table(
    "layer_indexes",
    metadata,
    Column("digest", Name, primary_key=True),
    Column("analyzer", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("error", String, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Index("layer_indexes_by_age", "created_at_us", "digest"),
)

inventories = Table(
    "inventories",
    metadata,
    Column("id", Id, primary_key=True),
    Column("hash", Name, nullable=False),
    Column("ecosystem", Name, nullable=False),
    Column("release", Name, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Index("inventories_by_hash", "hash", unique=True),
    Index("inventories_by_release", "ecosystem", "release"),
)

# Written with the push. resource is the image's name in occurrences, without https://. state: scanning/images.py State.
scanned_images = Table(
    "scanned_images",
    metadata,
    Column("id", Id, primary_key=True),
    Column("location", Name, nullable=False),
    Column("project", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("digest", Name, nullable=False),
    Column("resource", Name, nullable=False),
    Column("state", String, nullable=False),
    Column("error", String, nullable=False),
    Column("analyzer", Integer, nullable=False),
    Column("inventory_id", Id, ForeignKey("inventories.id")),
    Column("created_at_us", BigInteger, nullable=False),
    Column("scanned_at_us", BigInteger),
    Index("scanned_images_by_resource", "resource", unique=True),
    Index("scanned_images_by_project", "project", "id"),
    Index("scanned_images_by_inventory", "inventory_id", "id"),
    Index("scanned_images_by_analyzer", "analyzer", "id"),
    Index("scanned_images_by_name", "location", "name", "digest", unique=True),
)

# ecosystem is the distribution (release: its advisories' release) or the language (release is empty). name is the source package's.
package_versions = Table(
    "package_versions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("ecosystem", Name, nullable=False),
    Column("release", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("version", Name, nullable=False),
    Index("package_versions_by_name", "ecosystem", "release", "name", "version", unique=True),
)

inventory_versions = Table(
    "inventory_versions",
    metadata,
    Column("inventory_id", Id, ForeignKey("inventories.id"), primary_key=True),
    Column("version_id", Id, ForeignKey("package_versions.id"), primary_key=True),
    Index("inventory_versions_by_version", "version_id", "inventory_id"),
    sqlite_with_rowid=False,
)

# content: the finding as JSON (scanner/match.py), without the texts of the advisory that leads, which feed and advisory (its key) name.
# severity is the effective one, as Grafeas numbers them.
findings = Table(
    "findings",
    metadata,
    Column("id", Id, primary_key=True),
    Column("version_id", Id, ForeignKey("package_versions.id"), nullable=False),
    Column("vulnerability", Name, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("fixable", Boolean, nullable=False),
    Column("feed", Name, nullable=False),
    Column("advisory", Name, nullable=False),
    Column("content", Text, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("updated_at_us", BigInteger, nullable=False),
    Index("findings_by_version", "version_id", "vulnerability", unique=True),
    Index("findings_by_vulnerability", "vulnerability", "version_id"),
)

# What a feed held when it was last loaded. revision grows with every load that changed something.
feeds = Table(
    "feeds",
    metadata,
    Column("name", Name, primary_key=True),
    Column("form", String, nullable=False),
    Column("source", String, nullable=False),
    Column("etag", String, nullable=False),
    Column("last_modified", String, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("error", String, nullable=False),
    Column("checked_at_us", BigInteger, nullable=False),
    Column("loaded_at_us", BigInteger, nullable=False),
)

# ended: the feed does not tell of the release any more; what it told last is kept.
feed_releases = Table(
    "feed_releases",
    metadata,
    Column("feed", Name, primary_key=True),
    Column("ecosystem", Name, primary_key=True),
    Column("release", Name, primary_key=True),
    Column("records", BigInteger, nullable=False),
    Column("ended", Boolean, nullable=False),
    Index("feed_releases_by_release", "ecosystem", "release"),
    sqlite_with_rowid=False,
)

# key: what tells the records of one package in a feed apart: the vulnerability, the feed's record, and where its range begins.
advisories = Table(
    "advisories",
    metadata,
    Column("ecosystem", Name, primary_key=True),
    Column("release", Name, primary_key=True),
    Column("name", Name, primary_key=True),
    Column("feed", Name, primary_key=True),
    Column("key", Name, primary_key=True),
    Column("vulnerability", Name, nullable=False),
    Column("has_cvss", Boolean, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("advisories_by_feed", "feed", "ecosystem", "release", "name", "key"),
    Index("advisories_by_vulnerability", "vulnerability"),
    sqlite_with_rowid=False,
)

# Packages of images whose advisories have changed since their versions were last matched. revision: that of all advisories by then.
changed_packages = Table(
    "changed_packages",
    metadata,
    Column("ecosystem", Name, primary_key=True),
    Column("release", Name, primary_key=True),
    Column("name", Name, primary_key=True),
    Column("reason", String, nullable=False),
    Column("revision", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What the notification channels will tell of. version_id: whose finding; image_id: which image was scanned.
scan_events = Table(
    "scan_events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("kind", String, nullable=False),
    Column("image_id", Id),
    Column("version_id", Id),
    Column("content", Text, nullable=False),
    Index("scan_events_by_age", "at_us", "id"),
    Index("scan_events_by_image", "image_id", "id"),
    Index("scan_events_by_version", "version_id", "id"),
)

# What notes of the kind VULNERABILITY_ASSESSMENT say, for joins: which findings of a project do not matter, and until when. An empty
# vulnerability, package or image stands for any; image is a resource, or what the names of several begin with, without https://.
# state: that of the assessment.
assessments = Table(
    "assessments",
    metadata,
    Column("note_id", Id, ForeignKey("notes.id"), primary_key=True),
    Column("project", Name, nullable=False),
    Column("vulnerability", Name, nullable=False),
    Column("package", Name, nullable=False),
    Column("image", Name, nullable=False),
    Column("state", String, nullable=False),
    Column("expires_at_us", BigInteger),
    Index("assessments_by_project", "project", "vulnerability"),
)

# Packages that somebody else's scanner has found, matched once (scanning/on_demand.py). name: a UUID. resource: as it was said.
# packages: until they are matched. state: scanning/on_demand.py State.
on_demand_scans = Table(
    "on_demand_scans",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Name, nullable=False),
    Column("project", Name, nullable=False),
    Column("resource", String, nullable=False),
    Column("state", String, nullable=False),
    Column("error", String, nullable=False),
    Column("packages", LargeBinary, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("ended_at_us", BigInteger),
    Index("on_demand_scans_by_name", "name", unique=True),
    Index("on_demand_scans_by_project", "project", "state"),
    Index("on_demand_scans_by_age", "created_at_us", "id"),
)

# What they have, the worst first. content: as in findings; ecosystem to advisory name the advisory that leads, which has the texts.
on_demand_findings = Table(
    "on_demand_findings",
    metadata,
    Column("scan_id", Id, ForeignKey("on_demand_scans.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("ecosystem", Name, nullable=False),
    Column("release", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("feed", Name, nullable=False),
    Column("advisory", Name, nullable=False),
    Column("content", Text, nullable=False),
    sqlite_with_rowid=False,
)
