"""
What scanners found, read as occurrences: joins of scanning's tables, and no rows of their own.

An image's vulnerabilities are the findings of the package versions in its inventory.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Integer, and_, bindparam, case, exists, func, literal_column, not_, or_, select, tuple_
from sqlalchemy.sql.expression import ColumnElement

from roadstead.analysis.filters import Tree
from roadstead.analysis.queries.assessments import is_suppressed
from roadstead.analysis.queries.filters import Columns, expression
from roadstead.db import schema
from roadstead.db.database import Statement

i = schema.scanning.scanned_images.c
v = schema.scanning.inventories.c
iv = schema.scanning.inventory_versions.c
p = schema.scanning.package_versions.c
f = schema.scanning.findings.c
a = schema.scanning.advisories.c
fr = schema.scanning.feed_releases.c
_one: ColumnElement[int] = literal_column("1")


def _later(one: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((one > other, one), else_=other)


_created, _updated = _later(f.created_at_us, i.scanned_at_us), _later(f.updated_at_us, i.scanned_at_us)
_findings = (
    schema.scanning.scanned_images.join(schema.scanning.inventory_versions, iv.inventory_id == i.inventory_id)
    .join(schema.scanning.package_versions, p.id == iv.version_id)
    .join(schema.scanning.findings, f.version_id == p.id)
)
_advisory = and_(a.ecosystem == p.ecosystem, a.release == p.release, a.name == p.name, a.feed == f.feed, a.key == f.advisory)
_vulnerability = select(
    i.id,
    f.id,
    i.project,
    i.resource,
    f.content,
    p.ecosystem,
    p.release,
    a.content,
    _created,
    _updated,
).select_from(_findings.outerjoin(schema.scanning.advisories, _advisory))
VULNERABILITY = Statement(
    _vulnerability.where(i.id == bindparam("image_id"), f.id == bindparam("finding_id"), i.project == bindparam("project"))
)
# Kernel headers are built from the kernel's source, whose vulnerabilities are of kernels that run.
_shown = or_(bindparam("with_kernel", type_=Integer()) == 1, and_(p.name != "linux", p.name != "linux-headers"))
_VULNERABILITIES: Columns = {
    "resource": i.resource,
    "note": f.vulnerability,
    "severity": f.severity + 0,
    "fixable": case((f.fixable, 1), else_=0),
    "created": _created,
    "updated": _updated,
}


@lru_cache(128)
def vulnerabilities(tree: Tree) -> Statement:
    """Of one project, after (:image_id, :finding_id), at most :most. tree: a shape."""
    place = tuple_(bindparam("image_id", type_=BigInteger()), bindparam("finding_id", type_=BigInteger()))
    found = _vulnerability.where(
        i.project == bindparam("project"),
        # By this line SQLite finds its place in the index.
        i.id >= bindparam("image_id", type_=BigInteger()),
        tuple_(i.id, f.id) > place,
        _shown,
        expression(tree, _VULNERABILITIES),
    )
    return Statement(found.order_by(i.id, f.id).limit(bindparam("most")))


IMAGE_IDS = Statement(
    select(i.id)
    .where(i.project == bindparam("project"), i.id > bindparam("image_id", type_=BigInteger()))
    .order_by(i.id)
    .limit(bindparam("most"))
)


@lru_cache(64)
def summary(tree: Tree) -> Statement:
    """
    (resource, severity, how many have a fix, how many that matter) in :project at :now_us, at most :most; of the images after :image_id up
    to :last_image_id.
    """
    counted = (
        select(i.resource, f.severity, func.sum(case((f.fixable, 1), else_=0)), func.count())
        .select_from(_findings)
        .where(
            i.project == bindparam("project"),
            i.id > bindparam("image_id", type_=BigInteger()),
            i.id <= bindparam("last_image_id", type_=BigInteger()),
            _shown,
            not_(is_suppressed(i.project, i.resource, f.vulnerability, p.name)),
            expression(tree, _VULNERABILITIES),
        )
    )
    return Statement(counted.group_by(i.resource, f.severity).order_by(i.resource, f.severity.desc()).limit(bindparam("most")))


# Whether advisories tell of the image's release at all, and whether any of them still does.
_told = exists(select(_one).where(fr.ecosystem == v.ecosystem, fr.release == v.release))
_still = exists(select(_one).where(fr.ecosystem == v.ecosystem, fr.release == v.release, fr.ended.is_(False)))
_image = select(
    i.id,
    i.project,
    i.resource,
    i.state,
    i.error,
    v.ecosystem,
    v.release,
    case((_told, 1), else_=0),
    case((_still, 1), else_=0),
    i.created_at_us,
    func.coalesce(i.scanned_at_us, 0),
).select_from(schema.scanning.scanned_images.outerjoin(schema.scanning.inventories, v.id == i.inventory_id))
IMAGE = Statement(_image.where(i.id == bindparam("image_id"), i.project == bindparam("project")))
_IMAGES: Columns = {
    "resource": i.resource,
    "created": i.created_at_us,
    "updated": func.coalesce(i.scanned_at_us, i.created_at_us),
}


@lru_cache(128)
def images(tree: Tree) -> Statement:
    """Of one project, after :image_id, at most :most. tree: a shape."""
    found = _image.where(i.project == bindparam("project"), i.id > bindparam("image_id", type_=BigInteger()), expression(tree, _IMAGES))
    return Statement(found.order_by(i.id).limit(bindparam("most")))


LABELS = Statement(select(schema.projects.c.labels).where(schema.projects.c.id == bindparam("project")))

# A vulnerability, as a note: what all feeds say of it.
SAID = Statement(
    select(a.content).where(a.vulnerability == bindparam("note")).order_by(a.feed, a.ecosystem, a.release).limit(bindparam("most"))
)
NAMES = Statement(
    select(a.vulnerability).distinct().where(a.vulnerability > bindparam("after")).order_by(a.vulnerability).limit(bindparam("most"))
)
