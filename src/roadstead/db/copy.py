"""
Tables of one database made the same as those of another, whatever the engines: rows keep their primary keys, both sides are
read in that order, and only what differs is written. So it can be ended at any moment and begun again, and a run that finds no
difference is the proof that there is none.

The source may be written to meanwhile. Then a row can come before its parent, or with a name that another still has: such rows
are left out, and the next run finds them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Table,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql

from roadstead.db import schema
from roadstead.db.database import Database, Reader, Row, Statement

BATCH = 1000

Key = tuple[Any, ...]
Whole = dict[str, Any]
"""A row, all columns by name."""


@dataclass(slots=True)
class Differences:
    """
    Of the stretch of keys after `after` and up to `end` (None: to the last): rows as compared that the target lacks or has
    otherwise (the keys of the latter in `otherwise`), keys that the source lacks, keys of rows whose names belong to others by
    now. same: how many rows are alike.
    """

    after: Key
    end: Key | None
    same: int = 0
    changed: list[Row] = field(default_factory=list)
    otherwise: set[Key] = field(default_factory=set)
    gone: list[Key] = field(default_factory=list)
    renamed: list[Key] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.changed) + len(self.gone)


class TableCopy:
    """
    by_length and by_presence: columns of which only the length, or whether there is something, is compared, because another
    column is their digest; such rows are read whole when they are copied. only: the rows that are copied.
    """

    def __init__(
        self, table: Table, by_length: Sequence[str] = (), by_presence: Sequence[str] = (), only: ColumnElement[bool] | None = None
    ) -> None:
        self.table = table
        self.is_compared_whole = not by_length and not by_presence
        self._by_length = by_length
        self._by_presence = by_presence
        self._only = true() if only is None else only
        self.columns = [column.name for column in table.columns]
        self._key = list(table.primary_key.columns)
        self._key_places = [self.columns.index(column.name) for column in self._key]
        self._names = _names(table)
        self._name_places = [self.columns.index(column.name) for columns in self._names for column in columns]
        self.first: Key = tuple("" if column.type.python_type is str else -1 for column in self._key)

    def key(self, row: Row) -> Key:
        return tuple(row[place] for place in self._key_places)

    def value(self, row: Row, column: str) -> Any:
        return row[self.columns.index(column)]

    async def differences(
        self, source: Reader, target: Reader, after: Key | None = None, until: Key | None = None
    ) -> AsyncIterator[Differences]:
        """After a key (None: from the first) until another (None: to the last), one stretch at a time."""
        start: Key | None = self.first if after is None else after
        while start is not None and (until is None or start < until):
            here, there = await self._page(source, start), await self._page(target, start)
            end = min((self.key(page[-1]) for page in (here, there) if len(page) == BATCH), default=None)
            found = Differences(start, end)
            self._compare(self._to(here, end), self._to(there, end), found)
            yield found
            start = end

    async def _page(self, reader: Reader, after: Key) -> list[Row]:
        parameters = {"most": BATCH, **self._parameters("after", after)}
        return list(map(tuple, await reader.all(self._PAGE, parameters)))

    def _to(self, page: list[Row], end: Key | None) -> list[Row]:
        return page if end is None or not page or self.key(page[-1]) <= end else [row for row in page if self.key(row) <= end]

    def _compare(self, here: list[Row], there: list[Row], found: Differences) -> None:
        if here == there:
            found.same = len(here)
            return
        known = {self.key(row): row for row in there}
        for row in here:
            key = self.key(row)
            other = known.pop(key, None)
            if row == other:
                found.same += 1
                continue
            found.changed.append(row)
            if other is not None:
                found.otherwise.add(key)
                if any(row[place] != other[place] for place in self._name_places):
                    found.renamed.append(key)
        found.gone = list(known)

    async def whole(self, reader: Reader, row: Row) -> Whole | None:
        """The row with all its columns; None if it has gone meanwhile."""
        if self.is_compared_whole:
            return dict(zip(self.columns, row, strict=True))
        found = await reader.one(self._WHOLE, self._parameters("key", self.key(row)))
        return None if found is None else dict(zip(self.columns, found, strict=True))

    async def put(self, target: Database, rows: Sequence[Whole]) -> None:
        """Rows without their parents, or with a name that another has, are left out."""
        async with target.transaction(although_read_only=True) as tx:
            await tx.run_many(self._PUT, [{f"new_{name}": value for name, value in row.items()} for row in rows])

    async def clear(self, target: Database, found: Differences) -> None:
        """Take away what the source lacks, but for what still has children, and free the names that belong to others."""
        async with target.transaction(although_read_only=True) as tx:
            await tx.run_many(self._DELETE, [self._parameters("key", key) for key in found.gone])
            # Also of what had to stay because of children that are still to have other parents.
            renamed = [*found.renamed, *found.gone] if self._names else []
            if renamed:
                aside = [{"aside": f"~{'~'.join(map(str, key))}", **self._parameters("key", key)} for key in renamed]
                await tx.run_many(self._RENAME, aside)

    def _parameters(self, prefix: str, key: Key) -> dict[str, Any]:
        return {f"{prefix}_{column.name}": value for column, value in zip(self._key, key, strict=True)}

    def _binds(self, prefix: str) -> list[Any]:
        return [bindparam(f"{prefix}_{column.name}", type_=column.type) for column in self._key]

    @cached_property
    def _is_key(self) -> ColumnElement[bool]:
        return and_(*(column == bind for column, bind in zip(self._key, self._binds("key"), strict=True)))

    def _compared(self, column: Column[Any]) -> ColumnElement[Any]:
        if column.name in self._by_length:
            return func.length(column).label(column.name)
        return column.is_not(None).label(column.name) if column.name in self._by_presence else column

    @cached_property
    def _PAGE(self) -> Statement:
        return Statement(
            select(*(self._compared(each) for each in self.table.columns))
            .where(tuple_(*self._key) > tuple_(*self._binds("after")), self._only)
            .order_by(*self._key)
            .limit(bindparam("most"))
        )

    @cached_property
    def _WHOLE(self) -> Statement:
        return Statement(select(*self.table.columns).where(self._is_key))

    @cached_property
    def _PUT(self) -> Statement:
        new = {each.name: bindparam(f"new_{each.name}", type_=each.type) for each in self.table.columns}
        holds: list[ColumnElement[bool]] = [true()]
        for child in self.table.columns:
            none = [cast(new[child.name], child.type).is_(None)] if child.nullable else []
            holds += [or_(*none, _some(parent == new[child.name])) for parent in _parents(child)]
        this = and_(*(each == new[each.name] for each in self._key))
        holds += [not_(_some(and_(*(each == new[each.name] for each in columns), not_(this)))) for columns in self._names]
        adding = postgresql.insert(self.table).from_select(self.columns, select(*(new[name] for name in self.columns)).where(*holds))
        others = {each.name: adding.excluded[each.name] for each in self.table.columns if each not in self._key}
        if not others:
            return Statement(adding.on_conflict_do_nothing())
        return Statement(adding.on_conflict_do_update(index_elements=self._key, set_=others))

    @cached_property
    def _DELETE(self) -> Statement:
        (first, *_) = self._binds("key")
        childless = [not_(_some(child == first)) for child in _children(self.table)]
        return Statement(delete(self.table).where(self._is_key, *childless))

    @cached_property
    def _RENAME(self) -> Statement:
        return Statement(update(self.table).where(self._is_key).values({last.name: _aside(last) for *_, last in self._names}))


async def is_empty(reader: Reader, table: Table) -> bool:
    return await reader.one(Statement(select(literal_column("1")).select_from(table).limit(1)), {}) is None


def _names(table: Table) -> list[list[Column[Any]]]:
    """What else than its key a row is unique by, in several ways perhaps."""
    return [[column for column in index.columns if isinstance(column, Column)] for index in table.indexes if index.unique]


def _aside(column: Column[Any]) -> ColumnElement[Any]:
    """Instead of a name that another row has by now: a text that is none, or a number that none has."""
    return -func.abs(column) if column.type.python_type is int else bindparam("aside", type_=column.type)


def _some(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists(select(literal_column("1")).where(condition))


def _parents(child: Column[Any]) -> list[Column[Any]]:
    return [key.column for key in child.foreign_keys]


def _children(table: Table) -> list[Column[Any]]:
    return [
        column
        for other in schema.metadata.sorted_tables
        for column in other.columns
        if any(key.column.table is table for key in column.foreign_keys)
    ]
