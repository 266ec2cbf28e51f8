"""Notes."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import bindparam, delete, exists, literal_column, select, tuple_, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import BigInteger

from roadstead.analysis.filters import Tree
from roadstead.analysis.queries.filters import Columns, expression
from roadstead.db import schema
from roadstead.db.database import Statement

n = schema.notes.c
o = schema.occurrences.c

_note = select(n.id, n.project, n.name, n.kind, n.content, n.created_at_us, n.updated_at_us).where(n.deleted_at_us.is_(None))
_named = (n.project == bindparam("project"), n.name == bindparam("note"))
GET = Statement(_note.where(*_named))
LOCK = Statement(_note.where(*_named).with_for_update())
# Whoever attaches an occurrence keeps the note from being deleted meanwhile.
SHARE = Statement(_note.where(*_named).with_for_update(read=True))
ID = Statement(select(n.id).where(*_named))

_add = postgresql.insert(schema.notes).values(
    project=bindparam("project"),
    name=bindparam("note"),
    kind=bindparam("new_kind"),
    content=bindparam("new_content"),
    created_at_us=bindparam("now_us"),
    updated_at_us=bindparam("now_us"),
)
# One that was deleted is made again in its place; nothing is changed when it is there.
ADD = Statement(
    _add.on_conflict_do_update(
        index_elements=[n.project, n.name],
        set_={
            "kind": _add.excluded.kind,
            "content": _add.excluded.content,
            "created_at_us": _add.excluded.created_at_us,
            "updated_at_us": _add.excluded.updated_at_us,
            "deleted_at_us": None,
        },
        where=n.deleted_at_us.is_not(None),
    )
)
SAVE = Statement(
    update(schema.notes)
    .where(n.id == bindparam("which"))
    .values(kind=bindparam("new_kind"), content=bindparam("new_content"), updated_at_us=bindparam("now_us"))
)
_attached = exists(select(literal_column("1")).where(o.note_id == n.id))
DELETE_FREE = Statement(delete(schema.notes).where(n.id == bindparam("which"), ~_attached))
DELETE_ATTACHED = Statement(
    update(schema.notes).where(n.id == bindparam("which")).values(content=bindparam("nothing"), deleted_at_us=bindparam("now_us"))
)

# Not for an index: the order has one of its own.
_COLUMNS: Columns = {
    "kind": n.kind,
    "note_project": n.project + "",
    "note": n.name + "",
    "created": n.created_at_us + 0,
    "updated": n.updated_at_us + 0,
}
FILTERED_BY = frozenset(_COLUMNS)


@lru_cache(128)
def by_name(tree: Tree) -> Statement:
    """Of one project, after :after, at most :most."""
    found = _note.where(n.project == bindparam("project"), n.name > bindparam("after"), expression(tree, _COLUMNS))
    return Statement(found.order_by(n.name).limit(bindparam("most")))


@lru_cache(128)
def by_update(tree: Tree) -> Statement:
    """Of one project, those changed after (:after_us, :after_id), at most :most."""
    columns = {**_COLUMNS, "kind": n.kind + 0}
    place = tuple_(bindparam("after_us", type_=BigInteger()), bindparam("after_id", type_=BigInteger()))
    found = _note.where(n.project == bindparam("project"), tuple_(n.updated_at_us, n.id) > place, expression(tree, columns))
    return Statement(found.order_by(n.updated_at_us, n.id).limit(bindparam("most")))


# A project that is gone: what nothing is attached to, in steps. The names of others stay until their occurrences go.
OF_PROJECT = Statement(
    select(n.id).where(n.project == bindparam("project"), n.id > bindparam("after")).order_by(n.id).limit(bindparam("most"))
)
