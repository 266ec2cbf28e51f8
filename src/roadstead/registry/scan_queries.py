"""What the registry writes of scanning: that an image is to be scanned, or is gone."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, exists, literal, literal_column, select, tuple_, update
from sqlalchemy.dialects import postgresql

from roadstead.db import schema
from roadstead.db.database import Statement
from roadstead.db.schema.scanning import scanned_images

i = scanned_images.c
r = schema.repositories.c
s = schema.project_services.c

SERVICE = "containerscanning.googleapis.com"

_columns = (i.location, i.project, i.name, i.digest, i.resource)
_new = select(
    *(bindparam(column.name, type_=column.type) for column in _columns),
    literal("PENDING"),
    literal(""),
    literal(0),
    bindparam("now_us", type_=i.created_at_us.type),
)
_is_wanted = exists(select(literal_column("1")).where(s.project == bindparam("project"), s.service == SERVICE))
ADD = Statement(
    postgresql.insert(scanned_images)
    .from_select([*(column.name for column in _columns), "state", "error", "analyzer", "created_at_us"], _new.where(_is_wanted))
    .on_conflict_do_nothing()
    .returning(i.id)
)
_this = (i.location == bindparam("location"), i.name == bindparam("name"), i.digest == bindparam("digest"))
_failed = i.state == "FAILED"
HAS_FAILED = exists(select(literal_column("1")).where(*_this, _failed))
AGAIN = Statement(update(scanned_images).where(*_this, _failed, _is_wanted).values(state="PENDING", error="").returning(i.id))
FORGET = Statement(delete(scanned_images).where(*_this))
_gone = select(r.location, r.name).where(r.id == bindparam("repository_id"))
FORGET_ALL = Statement(delete(scanned_images).where(tuple_(i.location, i.name).in_(_gone)))
