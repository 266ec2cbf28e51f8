"""
What the rooms see of a database: reads, and transactions that are durable when they end.

A Statement is a SQLAlchemy Core statement compiled once for each engine and then run on the raw driver: the async engine of
SQLAlchemy costs 570-880 µs a read on SQLite, the raw driver about 11 (measured for docs/decisions/0002).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, cast

from sqlalchemy import bindparam, delete, literal_column, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement

from roadstead.db import schema
from roadstead.errors import ReadOnly

Row = Sequence[Any]

READ_ONLY_SINCE = "read_only_since_us"
"""The setting whose being there refuses every write."""

_SQLITE = sqlite.dialect(paramstyle="named")
_POSTGRES = asyncpg.dialect()  # type: ignore[no-untyped-call]


class Statement:
    """
    sqlite: (SQL with :named parameters, the values that the statement itself fixes).

    postgres: (SQL with $1, $2 …, what takes the parameters and gives the values in their order).
    """

    __slots__ = ("_postgres", "_sqlite", "element")

    def __init__(self, element: ClauseElement) -> None:
        self.element = element
        self._sqlite: tuple[str, dict[str, Any]] | None = None
        self._postgres: tuple[str, Callable[[dict[str, Any]], list[Any]]] | None = None

    @property
    def sqlite(self) -> tuple[str, dict[str, Any]]:
        if self._sqlite is None:
            compiled = self._compile(_SQLITE)
            self._sqlite = (str(compiled), _fixed(compiled))
        return self._sqlite

    @property
    def postgres(self) -> tuple[str, Callable[[dict[str, Any]], list[Any]]]:
        if self._postgres is None:
            compiled = self._compile(_POSTGRES)
            fixed, names = _fixed(compiled), list(compiled.positiontup or ())

            def values(parameters: dict[str, Any]) -> list[Any]:
                return [parameters[name] if name in parameters else fixed[name] for name in names]

            self._postgres = (str(compiled), values)
        return self._postgres

    def _compile(self, dialect: Any) -> SQLCompiler:
        return cast(SQLCompiler, self.element.compile(dialect=dialect, compile_kwargs={"render_postcompile": True}))


def _fixed(compiled: SQLCompiler) -> dict[str, Any]:
    return {name: bind.value for name, bind in compiled.binds.items() if not bind.required}


class Reader(Protocol):
    async def one(self, statement: Statement, parameters: dict[str, Any]) -> Row | None:
        """The first row, or None."""

    async def all(self, statement: Statement, parameters: dict[str, Any]) -> Sequence[Row]: ...


class Transaction(Reader, Protocol):
    """
    Inside a transaction await nothing else than the transaction.

    On SQLite there is one at a time. On PostgreSQL others run beside it, each statement sees what was committed before it
    began, and what must not change meanwhile is locked by statements that say so (docs/decisions/0005-locks.md).
    """

    async def run(self, statement: Statement, parameters: dict[str, Any]) -> int:
        """How many rows were changed."""

    async def run_many(self, statement: Statement, parameters: Sequence[dict[str, Any]]) -> None:
        """The statement once for each, in order."""


class Database(Reader, Protocol):
    def transaction(self, although_read_only: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """
        All or nothing. When the block has ended without an error, what it wrote is on the disk, not only in a cache.

        Raises StorageFull, StorageBroken, ReadOnly; whatever the block raises, after rolling back.
        """

    async def freeze(self, now_us: int) -> None:
        """
        Refuse writes, in every process and on every node, until thaw(). All that was committed before is seen by whoever reads
        after it; what would commit later raises ReadOnly.

        Raises StorageBroken when a transaction under way does not end.
        """

    async def thaw(self) -> None:
        """Allow writes again."""

    async def number_on(self) -> None:
        """After rows were written with ids of their own: new rows get ids past them."""

    async def maintain(self) -> None:
        """What the engine needs now and then; a worker calls it every moment."""

    async def close(self) -> None: ...


_setting = schema.settings.c
IS_READ_ONLY = Statement(select(literal_column("1")).where(_setting.name == READ_ONLY_SINCE))
SET_READ_ONLY = Statement(postgres_insert(schema.settings).values(name=READ_ONLY_SINCE, value=bindparam("now_us")).on_conflict_do_nothing())
UNSET_READ_ONLY = Statement(delete(schema.settings).where(_setting.name == READ_ONLY_SINCE))


def read_only() -> ReadOnly:
    return ReadOnly("this server is being moved and takes no writes: try again in a moment")
