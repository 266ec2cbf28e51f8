"""
--format: how commands print rows, `table(a, b.c)`, `json`, `yaml(a)`, `csv[no-heading](a, b)`, `value(a)`, `list`, `flattened`, `none` …

A table without keys, and csv, value and get without them, have the columns that the command shows by itself.
Spec: `gcloud topic formats`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from roadstead.cli import tables
from roadstead.cli.expressions import placed
from roadstead.cli.output import plain
from roadstead.cli.projections import Projection, parse, project
from roadstead.errors import ConfigurationError

NAMES = ("table", "json", "yaml", "csv", "value", "get", "list", "flattened", "text", "none", "disable")
WITH_COLUMNS = ("table", "csv", "value", "get")


def wanted(given: str, default: str, lenient: bool = False) -> Projection:
    """
    given: what --format says, "" for nothing. default: how the command prints by itself, in the same language.

    lenient: a format that needs keys and has none anywhere gives way to the default. Raises ConfigurationError.
    """
    own = parse(default)
    if not given:
        return own
    if given == "default":
        return parse("yaml")
    found = parse(given, own)
    if found.name not in NAMES:
        raise ConfigurationError(f"--format: there is no {found.name}: it begins with one of {', '.join(NAMES)}")
    if found.name in WITH_COLUMNS and not found.columns:
        if not own.columns and lenient:
            return own
        if not own.columns:
            raise ConfigurationError(f"--format: {found.name} needs keys here, as in {found.name}(name)")
        found = replace(found, columns=own.columns)
    return found


def text(rows: Sequence[Any], how: Projection, single: bool = False) -> str:
    """single: there is but one row, and it stands for itself; no list is made of it. A table is as it is where there is no terminal."""
    if how.name in ("none", "disable"):
        return ""
    if how.name == "table":
        return "".join(f"{line}\n" for line in tables.lines(how.columns, cells(rows, how), how.attributes)) if rows else ""
    if how.name in ("csv", "value", "get"):
        return _separated(rows, how)
    shown = [_projected(row, how) for row in rows]
    if how.name == "json":
        return _json(shown[0] if single else shown) + "\n"
    if how.name == "yaml":
        return _yaml(shown, single)
    if how.name == "list":
        return "".join(f" - {_line(row, how)}\n" for row in rows)
    labels = {".".join(map(str, each.key)): each.label.lower() for each in how.columns if each.label}
    return "".join(("" if single else "---\n") + _flattened(row, labels) for row in shown)


def cells(rows: Sequence[Any], how: Projection) -> list[list[str]]:
    """Of a table, in its order; a line each, of other people's text nothing that would steer a terminal."""
    found = tables.ordered(how.columns, [[each.of(row, _transforms(how, True)) for each in how.columns] for row in rows])
    return [[plain(tables.text(cell)).replace("\n", "\\x0a") for cell in row] for row in found]


def _transforms(how: Projection, default: bool) -> bool:
    return "transforms" in how.attributes or (default and "no-transforms" not in how.attributes)


def _projected(row: Any, how: Projection) -> Any:
    if not how.columns:
        return row
    found = project(row, [each.key for each in how.columns])
    for each in how.columns:
        # The default's transforms are for columns; these were asked for.
        if "calls" in each.given and _transforms(how, True):
            found = placed(found, each.key, each.of(row))
    return found


def _json(shown: Any) -> str:
    return json.dumps(shown, ensure_ascii=False, indent=2, separators=(",", ": "), sort_keys=True)


def _yaml(rows: Sequence[Any], single: bool) -> str:
    from roadstead.cli.yaml_text import dump

    return "".join(dump(row, begins=not single) for row in rows)


def _separated(rows: Sequence[Any], how: Projection) -> str:
    """RFC 4180, as csv; value and get are separated by tabs and quote nothing."""
    attributes, is_csv = how.attributes, how.name == "csv"
    between = _said(attributes, "separator", "," if is_csv else "\t")
    inner = _said(attributes, "delimiter", ";")
    end = _said(attributes, "terminator", "\n")
    quotes = "no-quote" not in attributes if is_csv else "quote" in attributes

    def quoted(cell: str) -> str:
        special = any(each and each in cell for each in (between, inner, end, '"')) or cell[:1].isspace() or cell[-1:].isspace()
        return '"' + cell.replace('"', '""') + '"' if quotes and cell and special else cell

    def written(found: Any) -> str:
        if isinstance(found, dict):
            return inner.join(quoted(f"{name}={each}") for name, each in sorted(found.items()))
        if isinstance(found, list):
            return inner.join(quoted(str(each)) if each else "" for each in found)
        return quoted(tables.text(found))

    lines = []
    if is_csv and "no-heading" not in attributes and rows:
        lines.append(between.join(quoted(each.label.lower()) for each in how.columns))
    # get is for values as they are.
    transforms = _transforms(how, how.name != "get")
    lines += [between.join(written(each.of(row, transforms)) for each in how.columns) for row in rows]
    return "".join(line + end for line in lines)


def _said(attributes: Mapping[str, str | bool], name: str, default: str) -> str:
    found = attributes.get(name, default)
    return found if isinstance(found, str) else default


def _line(row: Any, how: Projection) -> str:
    between = " " if "compact" in how.attributes else "\n   "
    if how.columns:
        found = [each.of(row) for each in how.columns]
        return between.join(tables.text(each) for each in found if each is not None)
    if isinstance(row, dict):
        return between.join(f"{name}: {each}" for name, each in sorted(row.items()) if each is not None)
    return tables.text(row)


def _flattened(row: Any, labels: Mapping[str, str]) -> str:
    """A line for each value: a.b[0]: text"""
    pairs = [(labels.get(name, name), found) for name, found in _pairs(row, "") if found is not None]
    longest = max((len(name) for name, _ in pairs), default=0)
    lines = []
    for name, found in pairs:
        shown = tables.text(found)
        shown = json.dumps(shown, ensure_ascii=False) if "\n" in shown or shown != shown.strip() else shown
        lines.append(f"{name}: {' ' * (longest - len(name))}{shown}\n")
    return "".join(lines)


def _pairs(found: Any, name: str) -> list[tuple[str, Any]]:
    if isinstance(found, dict) and found:
        parts = [_pairs(each, f"{name}.{key}" if name else str(key)) for key, each in sorted(found.items())]
    elif isinstance(found, list) and found:
        parts = [_pairs(each, f"{name}[{at}]") for at, each in enumerate(found)]
    else:
        return [(name, found)]
    return [each for part in parts for each in part]
