"""
Container Analysis: notes and occurrences.

There are tens of occurrences for each image, so their rows are small: the resource's address stands once for all of them, what all
occurrences of a note have in common is the note's, and each index has numbers and a project's id.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from roadstead.db.schema.columns import Id, Name, metadata

# content is the note as JSON, without what other columns say. A note that is deleted while occurrences name it stays as a name
# (deleted_at_us), and is had back when it is made again.
notes = Table(
    "notes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("project", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("content", Text, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("updated_at_us", BigInteger, nullable=False),
    Column("deleted_at_us", BigInteger),
    Index("notes_by_name", "project", "name", unique=True),
    Index("notes_by_kind", "project", "kind", "name"),
    Index("notes_by_update", "project", "updated_at_us", "id"),
)

# What a project has occurrences of. uri is without `https://`; digest is what follows its last `@`, "" for none.
occurrence_resources = Table(
    "occurrence_resources",
    metadata,
    Column("id", Id, primary_key=True),
    Column("project", Name, nullable=False),
    Column("uri", Name, nullable=False),
    Column("digest", Name, nullable=False),
    Index("occurrence_resources_by_uri", "project", "uri", unique=True),
    Index("occurrence_resources_by_digest", "digest"),
)

# name is the last part of the occurrence's. with_scheme: the resource was named with `https://`. severity is the effective one, 0 for
# kinds without; fixable is 1 where there is a fix. content is JSON, without what other columns say.
occurrences = Table(
    "occurrences",
    metadata,
    Column("id", Id, primary_key=True),
    Column("project", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("resource_id", Id, ForeignKey("occurrence_resources.id"), nullable=False),
    Column("note_id", Id, ForeignKey("notes.id"), nullable=False),
    Column("kind", Integer, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("fixable", Integer, nullable=False),
    Column("with_scheme", Integer, nullable=False),
    Column("content", Text, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("updated_at_us", BigInteger, nullable=False),
    Index("occurrences_by_name", "name", unique=True),
    Index("occurrences_by_resource", "resource_id", "id"),
    Index("occurrences_by_note", "note_id", "project", "id"),
    Index("occurrences_by_kind", "project", "kind", "severity", "fixable", "id"),
    Index("occurrences_by_update", "project", "updated_at_us", "id"),
)
