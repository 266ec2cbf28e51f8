"""Nothing in the tree belongs to the machine or the network that it was written on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Taken apart, or this file would be the first one found. Installations choose their own package index.
PARTS = [
    *("pypi org", "pythonhosted org", "registry npmjs org", "registry yarnpkg com", "proxy golang org", "sum golang org"),
    *("index crates io", "static crates io", "rubygems org", "repo maven apache org", "deb debian org", "conda anaconda org"),
]
HOSTS = [parts.replace(" ", ".") for parts in PARTS]
FOLDERS = ["/" + name + "/" for name in ("work", "home", "root", "Users")]

_HOST = re.compile("|".join(map(re.escape, HOSTS)))
# A path begins where a word does not go on: `bench/work/x` and `https://host/home/` are none.
_FOLDER = re.compile(r"(?<![\w./:>}*-])(?:" + "|".join(map(re.escape, FOLDERS)) + r")\w")


def files() -> list[Path]:
    """What is, or is about to be, under version control."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout, so there is no telling which files belong to it")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def found(pattern: re.Pattern[str]) -> list[str]:
    hits = []
    for file in files():
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if pattern.search(line):
                hits.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    return hits


def test_no_file_names_a_package_registry_s_host() -> None:
    """The machine's own pip, npm, go and apt settings say where packages come from."""
    assert [] == found(_HOST)


def test_no_file_names_a_folder_of_some_machine() -> None:
    assert [] == found(_FOLDER)


@pytest.mark.parametrize("line", [f"index-url = https://{host}/simple" for host in HOSTS])
def test_a_host_would_be_seen(line: str) -> None:
    assert _HOST.search(line)


@pytest.mark.parametrize("line", [f'open("{folder}x")' for folder in FOLDERS])
def test_a_folder_would_be_seen(line: str) -> None:
    assert _FOLDER.search(line)
