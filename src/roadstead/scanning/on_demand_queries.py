"""The SQL of scans on demand (on_demand.py), which nobody else reads or writes."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql

from roadstead.db.database import Statement
from roadstead.db.schema import scanning as tables

o = tables.on_demand_scans.c
f = tables.on_demand_findings.c
a = tables.advisories.c

ADD = Statement(
    insert(tables.on_demand_scans).values(
        name=bindparam("name"),
        project=bindparam("project"),
        resource=bindparam("resource"),
        state=bindparam("state"),
        error="",
        packages=bindparam("packages"),
        created_at_us=bindparam("now_us"),
    )
)
SCAN = Statement(
    select(o.id, o.resource, o.state, o.error, o.created_at_us, o.ended_at_us).where(
        o.name == bindparam("name"), o.project == bindparam("project")
    )
)
PACKAGES = Statement(select(o.id, o.packages).where(o.name == bindparam("name"), o.state == bindparam("state")))
_waiting = select(o.id).where(o.project == bindparam("project"), o.state == bindparam("state")).limit(bindparam("most"))
COUNT_WAITING = Statement(select(func.count()).select_from(_waiting.subquery()))
# A scan that ends twice, because its worker was taken for dead, ends as it did first.
LOCK = Statement(select(o.id).where(o.id == bindparam("scan_id"), o.state == bindparam("state")).with_for_update())
END = Statement(
    update(tables.on_demand_scans)
    .where(o.id == bindparam("scan_id"))
    .values(state=bindparam("new_state"), error=bindparam("new_error"), packages=b"", ended_at_us=bindparam("now_us"))
)
PUT_FINDING = Statement(
    postgresql.insert(tables.on_demand_findings)
    .values(
        scan_id=bindparam("scan_id"),
        number=bindparam("number"),
        ecosystem=bindparam("ecosystem"),
        release=bindparam("release"),
        name=bindparam("name"),
        feed=bindparam("feed"),
        advisory=bindparam("advisory"),
        content=bindparam("content"),
    )
    .on_conflict_do_nothing()
)
# With the texts of the advisory that leads, as long as there is one.
FINDINGS = Statement(
    select(f.number, f.ecosystem, f.release, f.content, a.content)
    .select_from(
        tables.on_demand_findings.outerjoin(
            tables.advisories,
            and_(a.ecosystem == f.ecosystem, a.release == f.release, a.name == f.name, a.feed == f.feed, a.key == f.advisory),
        )
    )
    .where(f.scan_id == bindparam("scan_id"), f.number > bindparam("after"))
    .order_by(f.number)
    .limit(bindparam("most"))
)

# What is old
OLD = Statement(select(o.id).where(o.created_at_us < bindparam("before_us")).order_by(o.created_at_us, o.id).limit(bindparam("most")))
_some = select(f.number).where(f.scan_id == bindparam("scan_id")).order_by(f.number).limit(bindparam("most"))
DELETE_FINDINGS = Statement(delete(tables.on_demand_findings).where(f.scan_id == bindparam("scan_id"), f.number.in_(_some)))
DELETE = Statement(delete(tables.on_demand_scans).where(o.id == bindparam("scan_id")))
