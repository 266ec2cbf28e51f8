"""Filters as SQL. Statements are remembered by a filter's shape: the same with other values is the same statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Integer, String, and_, bindparam, false, func, literal_column, not_, or_, true
from sqlalchemy.types import BigInteger

from roadstead.analysis.filters import BEGINS, ENDS, EQUALS, Condition, Not, Or, Tree

Columns = Mapping[str, ColumnElement[Any]]

# No text goes on with a higher character.
_AFTER_ALL = "\U0010ffff"


def shape(tree: Tree) -> tuple[Tree, dict[str, Any]]:
    """The tree with the names of parameters in place of values, and these parameters."""
    values: dict[str, Any] = {}

    def of(part: Tree) -> Tree:
        if isinstance(part, Condition):
            name = f"v{len(values)}"
            values[name] = part.value
            return Condition(part.column, part.operator, name)
        if isinstance(part, Not):
            return Not(of(part.part))
        return type(part)(tuple(map(of, part.parts)))

    return of(tree), values


def expression(tree: Tree, columns: Columns) -> ColumnElement[bool]:
    """What holds for the rows that the filter is for. tree: a shape."""
    if isinstance(tree, Condition):
        return _condition(tree, columns[tree.column])
    if isinstance(tree, Not):
        return not_(expression(tree.part, columns))
    if isinstance(tree, Or):
        same = {(part.column, part.operator) if isinstance(part, Condition) else None for part in tree.parts}
        if len(same) == 1 and (only := next(iter(same))) is not None and only[1] == EQUALS:
            column = columns[only[0]]
            return column.in_([_value(part, column) for part in tree.parts if isinstance(part, Condition)])
        return or_(false(), *(expression(part, columns) for part in tree.parts))
    return and_(true(), *(expression(part, columns) for part in tree.parts))


def _value(condition: Condition, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return bindparam(str(condition.value), type_=String() if condition.column in ("resource", "note", "note_project") else BigInteger())


def _condition(condition: Condition, column: ColumnElement[Any]) -> ColumnElement[bool]:
    value = _value(condition, column)
    match condition.operator:
        case "=":
            return column == value
        case "!=":
            return column != value
        case "<":
            return column < value
        case "<=":
            return column <= value
        case ">":
            return column > value
        case ">=":
            return column >= value
        case operator if operator == BEGINS:
            return and_(column >= value, column < value + _AFTER_ALL)
        case operator if operator == ENDS:
            length = func.length(value, type_=Integer)
            from_the_end = func.substr(column, func.length(column) - length + literal_column("1"))
            return and_(func.length(column) >= length, from_the_end == value)
    raise ValueError(condition.operator)
