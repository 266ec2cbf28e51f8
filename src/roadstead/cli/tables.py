"""A table as text, as gcloud lays it out where nobody is at a terminal; and for people, as wide as their terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from roadstead.cli.projections import Column
from roadstead.cli.transforms import number

_PAD = 2
# Corners and crossings of a box: top, middle, bottom.
_BOX = ("┌┬┐", "├┼┤", "└┴┘")
_PLAIN_BOX = ("+++", "+++", "+++")


def lines(columns: Sequence[Column], rows: Sequence[Sequence[str]], attributes: Mapping[str, str | bool]) -> list[str]:
    """cells: without line breaks."""
    columns, rows = _without_empty(columns, rows)
    if not columns:
        return []
    heading = [] if "no-heading" in attributes or not any(each.label for each in columns) else [[each.label for each in columns]]
    widths = [
        max(column.width, *(width(row[at]) for row in [*heading, *rows]), 0)
        for at, column in enumerate(columns)
    ]  # fmt: skip
    aligns = [each.align for each in columns]
    title = str(attributes["title"]) if isinstance(attributes.get("title"), str) else ""
    if "box" in attributes or "all-box" in attributes:
        return _boxed(heading, rows, widths, aligns, title, "all-box" in attributes)
    pad = int(str(attributes["pad"])) if str(attributes.get("pad", "")).isdigit() else _PAD
    found = [(" " * pad).join(_justified(*each) for each in zip(row, widths, aligns, strict=True)).rstrip() for row in [*heading, *rows]]
    whole = sum(widths) + pad * (len(widths) - 1)
    return [title.center(whole).rstrip(), *found] if title else found


def text(cell: Any) -> str:
    if cell is None:
        return ""
    return number(cell) if isinstance(cell, float) else str(cell)


def ordered(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    """By the columns that say so; numbers before text."""
    found = list(rows)
    order = sorted((at for at, each in enumerate(columns) if each.sort), key=lambda at: columns[at].sort)
    for at in reversed(order):
        found.sort(key=lambda row: _place(row[at]), reverse=columns[at].reverse)
    return found


def width(cell: str) -> int:
    """Columns of a terminal."""
    return sum(0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in cell)


def show(columns: Sequence[Column], rows: Sequence[Sequence[str]], attributes: Mapping[str, str | bool]) -> None:
    """At a terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    columns, rows = _without_empty(columns, rows)
    title = attributes.get("title")
    table = Table(
        box=box.SIMPLE_HEAD,
        title=Text(title) if isinstance(title, str) else None,
        show_header="no-heading" not in attributes,
    )
    for column in columns:
        table.add_column(Text(column.label), justify=column.align, overflow="fold")
    for row in rows:
        table.add_row(*[Text(cell) for cell in row])
    Console().print(table)


def _place(cell: Any) -> tuple[float, str]:
    return (cell if isinstance(cell, int | float) else float("inf")), text(cell)


def _without_empty(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> tuple[list[Column], list[list[str]]]:
    """Without optional columns that have nothing."""
    kept = [at for at, each in enumerate(columns) if not each.optional or any(row[at] for row in rows)]
    return [columns[at] for at in kept], [[row[at] for at in kept] for row in rows]


def _justified(cell: str, wanted: int, align: str) -> str:
    wanted -= width(cell) - len(cell)
    return cell.rjust(wanted) if align == "right" else cell.center(wanted) if align == "center" else cell.ljust(wanted)


def _boxed(
    heading: list[list[str]], rows: Sequence[Sequence[str]], widths: list[int], aligns: Sequence[str], title: str, every: bool
) -> list[str]:
    import sys

    shapes = _BOX if (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf") else _PLAIN_BOX
    horizontal, vertical = ("─", "│") if shapes is _BOX else ("-", "|")

    def rule(shape: str) -> str:
        return shape[0] + shape[1].join(horizontal * (each + 2) for each in widths) + shape[2]

    def line(row: Sequence[str], how: Sequence[str]) -> str:
        cells = (_justified(*each) for each in zip(row, widths, how, strict=True))
        return vertical + "".join(f" {cell} {vertical}" for cell in cells)

    top = [rule(shapes[0])]
    if title:
        if (missing := width(title) - sum(widths) - 3 * (len(widths) - 1)) > 0:
            widths[-1] += missing
        whole = sum(widths) + 3 * (len(widths) - 1)
        top = [shapes[0][0] + horizontal * (whole + 2) + shapes[0][2], f"{vertical} {_justified(title, whole, 'center')} {vertical}"]
        top.append(rule(shapes[1][0] + shapes[0][1] + shapes[1][2]))
    between = [rule(shapes[1])]
    found = [*top, *([line(heading[0], ["center"] * len(widths)), *between] if heading else [])]
    for at, row in enumerate(rows):
        found += (between if at and every else []) + [line(row, aligns)]
    return [*found, rule(shapes[2])]
