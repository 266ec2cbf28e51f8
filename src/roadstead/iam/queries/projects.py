"""Projects, what is enabled in them, and what goes when one is gone for good."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, delete, insert, or_, select, update
from sqlalchemy.dialects import postgresql

from roadstead.db import schema
from roadstead.db.database import Statement

p = schema.projects.c
s = schema.project_services.c
o = schema.operations.c
a = schema.service_accounts.c
w = schema.workload_pools.c

_project = select(p.id, p.number, p.name, p.state, p.labels, p.created_at_us, p.updated_at_us, p.deleted_at_us)
GET = Statement(_project.where(p.id == bindparam("project")))
LOCK = Statement(_project.where(p.id == bindparam("project")).with_for_update())
ID_OF_NUMBER = Statement(select(p.id).where(p.number == bindparam("number")))
PAGE = Statement(_project.where(p.id > bindparam("after"), p.state != bindparam("but_state")).order_by(p.id).limit(bindparam("most")))
DUE = Statement(
    select(p.id).where(p.state == bindparam("in_state"), p.deleted_at_us < bindparam("before_us")).order_by(p.id).limit(bindparam("most"))
)
# Nothing is changed when the id or the number is somebody else's.
ADD = Statement(
    postgresql.insert(schema.projects)
    .values(
        id=bindparam("id"),
        number=bindparam("number"),
        name=bindparam("name"),
        state=bindparam("state"),
        labels=bindparam("labels"),
        created_at_us=bindparam("now_us"),
        updated_at_us=bindparam("now_us"),
    )
    .on_conflict_do_nothing()
)
SAVE = Statement(
    update(schema.projects)
    .where(p.id == bindparam("project"))
    .values(
        name=bindparam("new_name"),
        state=bindparam("new_state"),
        labels=bindparam("new_labels"),
        updated_at_us=bindparam("now_us"),
        deleted_at_us=bindparam("new_deleted_at_us"),
    )
)

STANDING = Statement(
    select(p.state, s.service)
    .select_from(schema.projects)
    .outerjoin(schema.project_services, s.project == p.id)
    .where(p.id == bindparam("project"))
)
SERVICES = Statement(select(s.service).where(s.project == bindparam("project")).order_by(s.service))
ENABLE = Statement(
    postgresql.insert(schema.project_services)
    .values(project=bindparam("project"), service=bindparam("service"), enabled_at_us=bindparam("now_us"))
    .on_conflict_do_nothing()
)
DISABLE = Statement(delete(schema.project_services).where(s.project == bindparam("project"), s.service == bindparam("which")))

ADD_OPERATION = Statement(
    insert(schema.operations).values(
        name=bindparam("name"), project=bindparam("project"), payload=bindparam("payload"), created_at_us=bindparam("now_us")
    )
)
OPERATION = Statement(select(o.project, o.payload).where(o.name == bindparam("name")))
DELETE_OLD_OPERATIONS = Statement(
    delete(schema.operations).where(
        o.name.in_(select(o.name).where(o.created_at_us < bindparam("before_us")).order_by(o.created_at_us).limit(bindparam("most")))
    )
)

# Gone for good: rows of the project, children before what they hang on. first and end are what the names below it are between.
EMAILS = Statement(select(a.email).where(a.project == bindparam("project")))
_providers = schema.workload_providers
REMOVE = [
    Statement(delete(schema.project_services).where(s.project == bindparam("project"))),
    Statement(
        delete(schema.policies).where(
            or_(
                schema.policies.c.resource == bindparam("resource"),
                and_(schema.policies.c.resource > bindparam("first"), schema.policies.c.resource < bindparam("end")),
            )
        )
    ),
    Statement(delete(schema.roles).where(schema.roles.c.name > bindparam("first"), schema.roles.c.name < bindparam("end"))),
    Statement(delete(_providers).where(_providers.c.pool.in_(select(w.name).where(w.project == bindparam("project"))))),
    Statement(delete(schema.workload_pools).where(w.project == bindparam("project"))),
    Statement(delete(schema.operations).where(o.project == bindparam("project"))),
]
