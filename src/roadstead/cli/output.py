"""How commands print: a table for people, JSON for programs, and a sentence where something goes wrong."""

from __future__ import annotations

import enum
import sys
from collections.abc import Sequence

import msgspec

_PIPE_WIDTH = 4000


class Format(enum.StrEnum):
    TABLE = "table"
    JSON = "json"


class Failed(Exception):
    """What was asked for could not be done; message is a sentence that says why, and what to do. The exit code is 1."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def print_json(value: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(value)).decode())


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        # A pipe has no width, and what is broken into lines there cannot be searched.
        console.width = max(console.width, _PIPE_WIDTH)
    console.print(table)


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> None:
    """Of what other people have written. nothing: what to say when there are no rows."""
    from rich.markup import escape

    if rows:
        print_table(columns, [[escape(plain(cell)) for cell in row] for row in rows])
    else:
        note(nothing)


def print_done(answer: object, sentence: str, output: Format) -> None:
    """What a command did: a sentence, or as JSON what the server answered."""
    if output is Format.JSON:
        print_json(answer)
    else:
        print(plain(sentence))


def note(sentence: str) -> None:
    """For the person at the terminal, not for the program that reads the output."""
    print(plain(sentence), file=sys.stderr, flush=True)


def plain(text: str) -> str:
    """Without what would steer the terminal."""
    return "".join(each if each.isprintable() or each == "\n" else f"\\x{ord(each):02x}" for each in text)


def size(size_bytes: int) -> str:
    """1536 → '1.5 KiB'."""
    value = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.1f} {unit}" if unit != "B" else f"{int(value)} B"
        value /= 1024
    return f"{value:.1f} TiB"
