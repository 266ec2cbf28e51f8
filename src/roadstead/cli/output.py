"""
How commands print: rows as --format says, a table for people, JSON for programs, and a sentence where something goes wrong.

On a terminal nothing is printed that would steer it; a program gets values as they are, but in tables.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roadstead.cli.options import Options
    from roadstead.cli.projections import Projection

_PIPE_WIDTH = 4000


class Format(enum.StrEnum):
    TABLE = "table"
    JSON = "json"


class Failed(Exception):
    """What was asked for could not be done; message is a sentence that says why, and what to do. The exit code is 1."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def show_list(rows: Sequence[Any], default: str, options: Options, nothing: str = "") -> None:
    """
    Print those rows that --filter, --sort-by and --limit leave, as --format says.

    default: how without --format, in gcloud's language: table(projectId:label=PROJECT:sort=1, createTime.date('%Y-%m-%d')).
    nothing: a sentence for when there are no rows. Raises ConfigurationError.
    """
    from roadstead.cli import formats, listings

    how = formats.wanted(options.format, default)
    found = listings.chosen(rows, formats.wanted("", default).aliases, options)
    if options.sort_by:
        # Its order is the one that was asked for.
        how = listings.as_it_is(how)
    if found or how.name == "json":
        for at, page in enumerate(listings.pages(found, options.page_size if how.name == "table" else None)):
            _print(page, how, single=False, after="\n" if at else "")
    elif nothing:
        note(nothing)


def show_one(row: Any, options: Options, default: str = "yaml") -> None:
    """As show_list, of one thing. Raises ConfigurationError."""
    from roadstead.cli import formats

    _print([row], formats.wanted(options.format, default, lenient=not options.given_format), single=True)


def show_done(answer: Any, sentence: str, options: Options) -> None:
    """What a command did: a sentence, or with --format what the server answered, which may be a list. Raises ConfigurationError."""
    from roadstead.cli import formats

    if not options.format:
        print(plain(sentence))
        return
    how = formats.wanted(options.format, "yaml", lenient=not options.given_format)
    note(sentence)
    _print(answer if isinstance(answer, list) else [answer], how, single=not isinstance(answer, list))


def confirm(question: str, options: Options, going: Sequence[str] = ()) -> None:
    """
    Say what goes, and go on only if the person says yes; --quiet does.

    question: a sentence that ends with a full stop. Raises Failed.
    """
    if options.quiet:
        return
    note("\n".join([question, *(f" - {each}" for each in going)]))
    print("Do you want to continue (Y/n)? ", end="", file=sys.stderr, flush=True)
    given = sys.stdin.readline()
    if not sys.stdin.isatty():
        print(file=sys.stderr)
    answer = given.strip().lower()
    # Whoever is at a terminal sees that Enter is yes; a program has to say it.
    if answer in ("y", "yes") or (given == "\n" and sys.stdin.isatty()):
        return
    if not given:
        raise Failed("nobody is there to ask: say --quiet if it is to be done. Nothing was changed")
    raise Failed("nothing was changed")


def _print(rows: Sequence[Any], how: Projection, single: bool, after: str = "") -> None:
    from roadstead.cli import formats, tables

    if how.name == "table" and sys.stdout.isatty() and "box" not in how.attributes and rows:
        tables.show(how.columns, formats.cells(rows, how), how.attributes)
        return
    text = after + formats.text(rows, how, single)
    # Tabs are between values.
    sys.stdout.write("\t".join(plain(each) for each in text.split("\t")) if sys.stdout.isatty() else text)


def print_json(value: object) -> None:
    import json

    import msgspec

    print(json.dumps(msgspec.to_builtins(value), ensure_ascii=False, indent=2, sort_keys=True))


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
