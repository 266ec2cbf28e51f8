"""All SQL of the scanning room, as statements compiled once. Nobody else writes these tables, but for the row that a push adds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnClause,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql

from roadstead.db import schema
from roadstead.db.database import Statement
from roadstead.db.schema import scanning as tables
from roadstead.registry.scan_queries import SERVICE

l = tables.layer_indexes.c  # noqa: E741
i = tables.scanned_images.c
v = tables.inventories.c
p = tables.package_versions.c
iv = tables.inventory_versions.c
f = tables.findings.c
fd = tables.feeds.c
fr = tables.feed_releases.c
a = tables.advisories.c
c = tables.changed_packages.c
e = tables.scan_events.c
r = schema.repositories.c
m = schema.manifests.c
s = schema.project_services.c
b = schema.blobs.c
link = schema.blob_links.c

_one: ColumnClause[int] = literal_column("1")

# Images
IMAGE = Statement(select(i.location, i.name, i.digest, i.state).where(i.id == bindparam("image_id")))
SET_STATE = Statement(update(tables.scanned_images).where(i.id == bindparam("image_id")).values(state=bindparam("new_state"), error=""))
# Ids of rows that are gone are given again on SQLite, so an image that was read for long is named by both.
_read_image = and_(i.id == bindparam("image_id"), i.resource == bindparam("named"))
FAILED = Statement(
    update(tables.scanned_images)
    .where(_read_image)
    .values(state=bindparam("new_state"), error=bindparam("new_error"), analyzer=bindparam("new_analyzer"))
)
SCANNED = Statement(
    update(tables.scanned_images)
    .where(_read_image)
    .values(
        state=bindparam("new_state"),
        error="",
        analyzer=bindparam("new_analyzer"),
        inventory_id=bindparam("new_inventory_id"),
        scanned_at_us=bindparam("now_us"),
    )
)
FORGET_IMAGE = Statement(delete(tables.scanned_images).where(i.id == bindparam("image_id")))
OUTDATED = Statement(
    select(i.id)
    .where(i.analyzer < bindparam("analyzer"), i.analyzer > 0, i.id > bindparam("after"))
    .order_by(i.id)
    .limit(bindparam("most"))
)
MANIFESTS_BETWEEN = Statement(
    select(r.name, m.digest, m.media_type, m.artifact_type)
    .select_from(schema.repositories)
    .join(schema.manifests, m.repository_id == r.id)
    .where(
        r.location == bindparam("location"),
        r.name >= bindparam("first"),
        r.name < bindparam("end"),
        tuple_(r.name, m.digest) > tuple_(bindparam("after_name"), bindparam("after_digest")),
    )
    .order_by(r.name, m.digest)
    .limit(bindparam("most"))
)
# Layers
LAYER = Statement(
    select(l.content, l.error).where(
        l.digest == bindparam("digest"),
        l.analyzer == bindparam("analyzer"),
        or_(l.error == "", l.created_at_us > bindparam("failed_after_us")),
    )
)
_put_layer = postgresql.insert(tables.layer_indexes).values(
    digest=bindparam("digest"),
    analyzer=bindparam("analyzer"),
    content=bindparam("content"),
    error=bindparam("error"),
    created_at_us=bindparam("now_us"),
)
PUT_LAYER = Statement(
    _put_layer.on_conflict_do_update(
        index_elements=[l.digest],
        set_={name: _put_layer.excluded[name] for name in ("analyzer", "content", "error", "created_at_us")},
        # Another node may have read it well.
        where=or_(_put_layer.excluded.error == "", l.error != "", l.analyzer != _put_layer.excluded.analyzer),
    )
)
LAYERS_AFTER = Statement(
    select(l.digest)
    .where(l.created_at_us < bindparam("before_us"), l.digest > bindparam("after"))
    .order_by(l.digest)
    .limit(bindparam("most"))
)
DELETE_LAYER = Statement(delete(tables.layer_indexes).where(l.digest == bindparam("digest")))


def layers_without_blob(locations: Sequence[str]) -> Statement:
    """Of those between two digests, the second included. Blobs are found by location and digest, so each location is asked."""
    kept = (exists(select(_one).where(b.location == each, b.digest == l.digest)) for each in locations)
    between = (l.created_at_us < bindparam("before_us"), l.digest > bindparam("after"), l.digest <= bindparam("last"))
    return Statement(select(l.digest).where(*between, *(not_(each) for each in kept)))


# Inventories and package versions
INVENTORY_ID = Statement(select(v.id).where(v.hash == bindparam("hash")))
SCANNED_INVENTORY = Statement(
    select(v.content, i.scanned_at_us)
    .select_from(tables.scanned_images)
    .join(tables.inventories, v.id == i.inventory_id)
    .where(i.location == bindparam("location"), i.name == bindparam("name"), i.digest == bindparam("digest"))
)
ADD_INVENTORY = Statement(
    postgresql.insert(tables.inventories)
    .values(
        hash=bindparam("hash"),
        ecosystem=bindparam("ecosystem"),
        release=bindparam("release"),
        content=bindparam("content"),
        created_at_us=bindparam("now_us"),
    )
    .on_conflict_do_nothing()
    .returning(v.id)
)
_version = select(p.id).where(
    p.ecosystem == bindparam("ecosystem"),
    p.release == bindparam("release"),
    p.name == bindparam("name"),
    p.version == bindparam("version"),
)
VERSION_ID = Statement(_version)
# Whoever drops versions that nothing needs waits, or has dropped it already.
HOLD_VERSION = Statement(_version.with_for_update(read=True, key_share=True))
ADD_VERSION = Statement(
    postgresql.insert(tables.package_versions)
    .values(ecosystem=bindparam("ecosystem"), release=bindparam("release"), name=bindparam("name"), version=bindparam("version"))
    .on_conflict_do_nothing()
    .returning(p.id)
)
ADD_INVENTORY_VERSION = Statement(
    postgresql.insert(tables.inventory_versions)
    .values(inventory_id=bindparam("inventory_id"), version_id=bindparam("version_id"))
    .on_conflict_do_nothing()
)
VERSIONS_OF_PACKAGE = Statement(
    select(p.id, p.version)
    .where(
        p.ecosystem == bindparam("ecosystem"),
        p.release == bindparam("release"),
        p.name == bindparam("name"),
        p.version > bindparam("after"),
    )
    .order_by(p.version)
    .limit(bindparam("most"))
)
UNUSED_INVENTORIES = Statement(
    select(v.id)
    .where(v.id > bindparam("after"), v.created_at_us < bindparam("before_us"), not_(exists(select(_one).where(i.inventory_id == v.id))))
    .order_by(v.id)
    .limit(bindparam("most"))
)
UNUSED_VERSIONS = Statement(
    select(p.id)
    .where(p.id > bindparam("after"), not_(exists(select(_one).where(iv.version_id == p.id))))
    .order_by(p.id)
    .limit(bindparam("most"))
)
LOCK_INVENTORY = Statement(select(v.id).where(v.id == bindparam("inventory_id")).with_for_update())
HOLD_INVENTORY = Statement(select(v.id).where(v.id == bindparam("inventory_id")).with_for_update(read=True, key_share=True))
INVENTORY_IS_USED = Statement(select(_one).where(i.inventory_id == bindparam("inventory_id")).limit(1))
LOCK_VERSION = Statement(select(p.id).where(p.id == bindparam("version_id")).with_for_update())
VERSION_IS_USED = Statement(select(_one).where(iv.version_id == bindparam("version_id")).limit(1))
DELETE_INVENTORY = (
    Statement(delete(tables.inventory_versions).where(iv.inventory_id == bindparam("inventory_id"))),
    Statement(delete(tables.inventories).where(v.id == bindparam("inventory_id"))),
)
DELETE_VERSION = (
    Statement(delete(tables.findings).where(f.version_id == bindparam("version_id"))),
    Statement(delete(tables.package_versions).where(p.id == bindparam("version_id"))),
)

# Findings
FINDINGS = Statement(select(f.id, f.vulnerability, f.content).where(f.version_id == bindparam("version_id")))
ADD_FINDING = Statement(
    insert(tables.findings).values(
        version_id=bindparam("version_id"),
        vulnerability=bindparam("vulnerability"),
        severity=bindparam("severity"),
        fixable=bindparam("fixable"),
        feed=bindparam("feed"),
        advisory=bindparam("advisory"),
        content=bindparam("content"),
        created_at_us=bindparam("now_us"),
        updated_at_us=bindparam("now_us"),
    )
)
CHANGE_FINDING = Statement(
    update(tables.findings)
    .where(f.id == bindparam("finding_id"))
    .values(
        severity=bindparam("new_severity"),
        fixable=bindparam("new_fixable"),
        feed=bindparam("new_feed"),
        advisory=bindparam("new_advisory"),
        content=bindparam("new_content"),
        updated_at_us=bindparam("now_us"),
    )
)
BEING_REFRESHED = Statement(update(tables.scanned_images).where(i.id == bindparam("image_id")).values(analyzer=0))
DELETE_FINDING = Statement(delete(tables.findings).where(f.id == bindparam("finding_id")))

# Feeds and advisories
_feed = (
    fd.name,
    fd.form,
    fd.source,
    fd.etag,
    fd.last_modified,
    fd.revision,
    fd.records,
    fd.skipped,
    fd.error,
    fd.checked_at_us,
    fd.loaded_at_us,
)
FEEDS = Statement(select(*_feed).order_by(fd.name))
FEED = Statement(select(*_feed).where(fd.name == bindparam("feed")))
LOCK_FEED = Statement(select(fd.revision).where(fd.name == bindparam("feed")).with_for_update())
_put_feed = postgresql.insert(tables.feeds).values(
    name=bindparam("feed"),
    form=bindparam("form"),
    source=bindparam("source"),
    etag=bindparam("etag"),
    last_modified=bindparam("last_modified"),
    revision=bindparam("revision"),
    records=bindparam("records"),
    skipped=bindparam("skipped"),
    error=bindparam("error"),
    checked_at_us=bindparam("checked_at_us"),
    loaded_at_us=bindparam("loaded_at_us"),
)
PUT_FEED = Statement(
    _put_feed.on_conflict_do_update(
        index_elements=[fd.name],
        set_={
            column: getattr(_put_feed.excluded, column)
            for column in (
                "form",
                "source",
                "etag",
                "last_modified",
                "revision",
                "records",
                "skipped",
                "error",
                "checked_at_us",
                "loaded_at_us",
            )
        },
    )
)
FEED_CHECKED = Statement(
    update(tables.feeds).where(fd.name == bindparam("feed")).values(error=bindparam("new_error"), checked_at_us=bindparam("now_us"))
)
FEED_RELEASES = Statement(
    select(fr.ecosystem, fr.release, fr.records, fr.ended).where(fr.feed == bindparam("feed")).order_by(fr.ecosystem, fr.release)
)
ALL_RELEASES = Statement(select(fr.feed, fr.ecosystem, fr.release, fr.records, fr.ended).order_by(fr.ecosystem, fr.release, fr.feed))
_put_release = postgresql.insert(tables.feed_releases).values(
    feed=bindparam("feed"),
    ecosystem=bindparam("ecosystem"),
    release=bindparam("release"),
    records=bindparam("records"),
    ended=bindparam("ended"),
)
PUT_RELEASE = Statement(
    _put_release.on_conflict_do_update(
        index_elements=[fr.feed, fr.ecosystem, fr.release],
        set_={"records": _put_release.excluded.records, "ended": _put_release.excluded.ended},
    )
)
ADVISORIES_OF = Statement(
    select(a.content).where(a.ecosystem == bindparam("ecosystem"), a.release == bindparam("release"), a.name == bindparam("name"))
)
RATED = Statement(select(a.content).where(a.vulnerability == bindparam("vulnerability"), a.has_cvss))
FORMS = Statement(
    select(fd.form)
    .distinct()
    .select_from(tables.feed_releases)
    .join(tables.feeds, fd.name == fr.feed)
    .where(fr.ecosystem == bindparam("ecosystem"), fr.release == bindparam("release"))
)
HASHES_OF_FEED = Statement(
    select(a.ecosystem, a.release, a.name, a.key, a.hash, a.vulnerability, a.has_cvss)
    .where(
        a.feed == bindparam("feed"),
        tuple_(a.ecosystem, a.release, a.name, a.key)
        > tuple_(bindparam("after_ecosystem"), bindparam("after_release"), bindparam("after_name"), bindparam("after_key")),
    )
    .order_by(a.ecosystem, a.release, a.name, a.key)
    .limit(bindparam("most"))
)
_put_advisory = postgresql.insert(tables.advisories).values(
    ecosystem=bindparam("ecosystem"),
    release=bindparam("release"),
    name=bindparam("name"),
    feed=bindparam("feed"),
    key=bindparam("key"),
    vulnerability=bindparam("vulnerability"),
    has_cvss=bindparam("has_cvss"),
    hash=bindparam("hash"),
    content=bindparam("content"),
)
PUT_ADVISORY = Statement(
    _put_advisory.on_conflict_do_update(
        index_elements=[a.ecosystem, a.release, a.name, a.feed, a.key],
        set_={column: getattr(_put_advisory.excluded, column) for column in ("has_cvss", "hash", "content")},
    )
)
DELETE_ADVISORY = Statement(
    delete(tables.advisories).where(
        a.ecosystem == bindparam("ecosystem"),
        a.release == bindparam("release"),
        a.name == bindparam("name"),
        a.feed == bindparam("feed"),
        a.key == bindparam("key"),
    )
)
# Only what some image has; a scan that brings a first version waits for the load to commit, or the load for the scan.
_mark = ["ecosystem", "release", "name", "reason", "revision"]
_why = (bindparam("reason", type_=c.reason.type), bindparam("revision", type_=c.revision.type))
_package = and_(p.ecosystem == bindparam("ecosystem"), p.release == bindparam("release"), p.name == bindparam("name"))


def _marking(found: Select[Any]) -> Statement:
    adding = postgresql.insert(tables.changed_packages).from_select(_mark, found)
    return Statement(
        adding.on_conflict_do_update(
            index_elements=[c.ecosystem, c.release, c.name],
            set_={"reason": adding.excluded.reason, "revision": adding.excluded.revision},
        )
    )


MARK_CHANGED = _marking(
    select(
        bindparam("ecosystem", type_=p.ecosystem.type),
        bindparam("release", type_=p.release.type),
        bindparam("name", type_=p.name.type),
        *_why,
    ).where(exists(select(_one).where(_package)))
)
# All whose findings may take the score from this vulnerability's other records.
MARK_RATED = _marking(
    select(a.ecosystem, a.release, a.name, *_why)
    .distinct()
    .where(
        a.vulnerability == bindparam("vulnerability"),
        exists(select(_one).where(p.ecosystem == a.ecosystem, p.release == a.release, p.name == a.name)),
    )
)
MARK_RELEASE = _marking(
    select(p.ecosystem, p.release, p.name, *_why).distinct().where(p.ecosystem == bindparam("ecosystem"), p.release == bindparam("release"))
)
SOME_CHANGED = Statement(
    select(c.ecosystem, c.release, c.name, c.reason, c.revision)
    .where(
        tuple_(c.ecosystem, c.release, c.name) > tuple_(bindparam("after_ecosystem"), bindparam("after_release"), bindparam("after_name"))
    )
    .order_by(c.ecosystem, c.release, c.name)
    .limit(bindparam("most"))
)
_changed_package = and_(c.ecosystem == bindparam("ecosystem"), c.release == bindparam("release"), c.name == bindparam("name"))
# A load that changes the package's advisories meanwhile waits here.
LOCK_CHANGED = Statement(select(c.reason, c.revision).where(_changed_package).with_for_update())
DONE_CHANGED = Statement(delete(tables.changed_packages).where(_changed_package))
CHANGED_LEFT = Statement(select(func.count()).select_from(tables.changed_packages))

# The number of loads: whoever matches reads it before and again in the transaction that writes what was matched.
REVISION = Statement(select(schema.settings.c.value).where(schema.settings.c.name == "advisories_revision"))
HOLD_REVISION = Statement(select(schema.settings.c.value).where(schema.settings.c.name == "advisories_revision").with_for_update(read=True))
SET_REVISION = Statement(
    update(schema.settings).where(schema.settings.c.name == "advisories_revision").values(value=bindparam("new_value"))
)
LOCK_REVISION = Statement(select(schema.settings.c.value).where(schema.settings.c.name == "advisories_revision").with_for_update())
ADD_REVISION = Statement(
    postgresql.insert(schema.settings).values(name="advisories_revision", value=bindparam("value")).on_conflict_do_nothing()
)

# Events
ADD_EVENT = Statement(
    insert(tables.scan_events).values(
        at_us=bindparam("now_us"),
        kind=bindparam("kind"),
        image_id=bindparam("image_id"),
        version_id=bindparam("version_id"),
        content=bindparam("content"),
    )
)
OLD_EVENTS = Statement(
    delete(tables.scan_events).where(
        e.id.in_(select(e.id).where(e.at_us < bindparam("before_us")).order_by(e.at_us).limit(bindparam("most")))
    )
)

# Which projects want their pushes scanned
WANTS = Statement(select(_one).where(s.project == bindparam("project"), s.service == SERVICE))
