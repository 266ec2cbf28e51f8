"""
Real data with known right answers for the scanner: other projects' files, which their licences keep out of this repository.

They are read from `../shared/data` beside the repository, or the folder that ROADSTEAD_TEST_DATA names; tests of them are skipped
where there is neither.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

ANSWERS = Path(os.environ.get("ROADSTEAD_TEST_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


def cases(paths: Iterable[Any], ids: Any = None) -> Any:
    """Parameters of a test, one for each case; a single one that is skipped where there are none."""
    found = list(paths)
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no data with answers in {ANSWERS}: see tests/kit/answers.py"))]
    return [pytest.param(case, id=ids(case) if ids else str(case)) for case in found]
