"""
YAML 1.2 as gcloud prints it: keys in order, one item a line, lines that are broken as blocks.

Texts are quoted where a reader of YAML 1.2 would take them for something else.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from roadstead.cli.transforms import number


class _Dumper(yaml.SafeDumper):
    """For YAML 1.2, whose yes and no are texts."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump(found: Any, begins: bool) -> str:
    """begins: with ---, as each of a list of documents does."""
    return str(
        yaml.dump(found, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, explicit_start=begins, sort_keys=True, indent=2)
    ).removesuffix("...\n")


def _text(dumper: _Dumper, found: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", found, style="|" if "\n" in found else None)


def _float(dumper: _Dumper, found: float) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:float", number(found))


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _float)
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("float", r"[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)"
              r"|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+0123456789."),
    ("int", r"[-+]?0b[0-1_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+|[-+]?0x[0-9a-fA-F_]+", "-+0123456789"),
    ("merge", r"<<", "<"),
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("timestamp", r"\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?"
                  r"(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?", "0123456789"),
    ("value", r"=", "="),
):  # fmt: skip
    _Dumper.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), [*_first, *([""] if _tag == "null" else [])]
    )
