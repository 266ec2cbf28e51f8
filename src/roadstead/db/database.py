"""
What the rooms see of a database: reads, and transactions that are durable when they end.

A Statement is a SQLAlchemy Core statement compiled once for each engine and then run on the raw driver: the async engine of
SQLAlchemy costs 570-880 µs a read on SQLite, the raw driver about 11 (measured for docs/decisions/0002).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, cast

from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement

Row = tuple[Any, ...]

_SQLITE = sqlite.dialect(paramstyle="named")


class Statement:
    """sqlite: (SQL with :named parameters, the values that the statement itself fixes)."""

    __slots__ = ("_sqlite", "element")

    def __init__(self, element: ClauseElement) -> None:
        self.element = element
        self._sqlite: tuple[str, dict[str, Any]] | None = None

    @property
    def sqlite(self) -> tuple[str, dict[str, Any]]:
        if self._sqlite is None:
            compiled = cast(SQLCompiler, self.element.compile(dialect=_SQLITE, compile_kwargs={"render_postcompile": True}))
            fixed = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
            self._sqlite = (str(compiled), fixed)
        return self._sqlite


class Reader(Protocol):
    async def one(self, statement: Statement, parameters: dict[str, Any]) -> Row | None:
        """The first row, or None."""

    async def all(self, statement: Statement, parameters: dict[str, Any]) -> Sequence[Row]: ...


class Transaction(Reader, Protocol):
    """Inside a transaction await nothing else than the transaction."""

    async def run(self, statement: Statement, parameters: dict[str, Any]) -> int:
        """How many rows were changed."""


class Database(Reader, Protocol):
    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """
        All or nothing. When the block has ended without an error, what it wrote is on the disk, not only in a cache.

        Raises StorageFull, StorageBroken; whatever the block raises, after rolling back.
        """

    async def close(self) -> None: ...
