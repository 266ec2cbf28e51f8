"""The floors hold: who may import whom stands in pyproject.toml, and import-linter reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PURE = ["oci"]
NOT_PURE = {"asyncio", "socket", "sqlite3", "sqlalchemy", "uvicorn", "httptools", "httpx", "os", "pathlib", "threading"}


def test_imports_go_down_only() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter is not installed: pip install --group check")

    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_imports_neither_input_nor_output(room: str) -> None:
    """It is asked of a new process what importing the room brings in beyond Python's own start."""
    modules = [
        f"roadstead.{room}" if file.stem == "__init__" else f"roadstead.{room}.{file.stem}"
        for file in (ROOT / "src/roadstead" / room).rglob("*.py")
    ]
    program = (
        "import sys, encodings.idna; before = set(sys.modules); import importlib;"
        f"[importlib.import_module(name) for name in {modules!r}]; print(*sorted(set(sys.modules) - before))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    brought = set(done.stdout.split())
    assert f"roadstead.{room}" in brought
    assert set() == brought & NOT_PURE
