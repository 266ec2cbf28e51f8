"""
Material with known right answers, which is not part of this repository: real advisories, package databases and layers.

It is in the folder that ROADSTEAD_TEST_DATA names, or in `../shared/data` beside the repository. Where it is missing, the tests that
need it are skipped and say so; everything they check is checked on small files of our own too.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(os.environ.get("ROADSTEAD_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")

_MISSING = pytest.mark.skip(reason=f"needs the scanning test data: no folder {FOLDER} (set ROADSTEAD_TEST_DATA)")


def needs_data() -> pytest.MarkDecorator:
    """A mark for tests that read something of FOLDER."""
    return pytest.mark.skipif(not FOLDER.is_dir(), reason=str(_MISSING.kwargs["reason"]))


def each_file(pattern: str) -> list[Any]:
    """Parameters for the files that match, by their stems; one that is skipped where there are none."""
    found = sorted(FOLDER.glob(pattern))
    return [pytest.param(path, id=path.stem) for path in found] or [pytest.param(FOLDER, id="no-data", marks=_MISSING)]


def rows(name: str) -> list[list[str]]:
    """The lines of a table with tabs, without comments; none where the data is missing."""
    path = FOLDER / name
    if not path.is_file():
        return []
    return [line.split("\t") for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]


def load(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))
