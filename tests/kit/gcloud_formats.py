"""gcloud's own --format and --filter, without its commands: the library that the installed gcloud prints with, in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ERROR = "ERROR"

_PROGRAM = """
import io, json, sys
from googlecloudsdk.core.resource import resource_filter, resource_printer

def shown(case):
    out = io.StringIO()
    try:
        rows = case["rows"]
        printer = resource_printer.Printer(f"{case['default']} {case['format']}", out=out)
        if case["filter"]:
            query = resource_filter.Compile(case["filter"], defaults=printer.column_attributes)
            rows = [row for row in rows if query.Evaluate(row)]
        printer.Print(rows[0] if case["single"] else rows, single=case["single"])
        return out.getvalue()
    except Exception:
        return "ERROR"

json.dump([shown(case) for case in json.load(sys.stdin)], sys.stdout)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """single: the only row stands for itself."""

    rows: Sequence[Any]
    default: str
    format: str = ""
    filter: str = ""
    single: bool = False


def printed(cases: Sequence[Case]) -> list[str]:
    """What gcloud prints; ERROR where it refuses. Skips the test where it is not installed."""
    gcloud = shutil.which("gcloud")
    library = Path(gcloud).resolve().parents[1] / "lib" if gcloud else None
    if library is None or not (library / "googlecloudsdk").exists():
        pytest.skip("gcloud is not installed")
    given = [{name: getattr(each, name) for name in Case.__dataclass_fields__} for each in cases]
    environment = {"PYTHONPATH": f"{library}:{library / 'third_party'}", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    command = [sys.executable, "-c", _PROGRAM]
    done = subprocess.run(command, input=json.dumps(given), env=environment, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found
