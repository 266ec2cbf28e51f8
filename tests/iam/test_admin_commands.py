"""The rest of `roadstead admin`, and the commands of a data folder that say nothing by HTTP: with right words and with wrong ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.accounts import Installation

BOB, CAROL = "bob-of-admin@example.com", "carol-of-admin@example.com"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "roadstead", *arguments], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.slow
def test_people_are_put_into_a_group_and_taken_out(installation: Installation) -> None:
    def members(*options: str) -> list[str]:
        done = installation.server.run("admin", "group", "crew@example.com", "--format", "json", *options)
        assert 0 == done.returncode, done.stderr
        return sorted(each["member"] for each in json.loads(done.stdout))

    assert [f"user:{BOB}", f"user:{CAROL}"] == members("--add", f"user:{BOB}", "--add", f"user:{CAROL}")
    assert [f"user:{CAROL}"] == members("--remove", f"user:{BOB}")
    assert f"user:{CAROL}" in installation.server.run("admin", "group", "crew@example.com").stdout


@pytest.mark.slow
def test_an_account_is_shut_and_opened(installation: Installation) -> None:
    assert 0 == installation.server.run("admin", "add", BOB).returncode

    def state() -> bool:
        found = json.loads(installation.server.run("admin", "people", "--format", "json").stdout)
        return next(bool(each["disabled"]) for each in found if each["email"] == BOB)

    assert f"{BOB} is disabled." in installation.server.run("admin", "disable", BOB).stdout
    assert state()
    installation.server.run("admin", "disable", BOB, "--undo")
    assert not state()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "no address"],
        ["owner", "no address"],
        ["link", "nobody@example.com"],
        ["disable", "nobody@example.com"],
        ["group", "crew@example.com", "--add", "bob"],
        ["people", "--format", "xml"],
    ],
    ids=["add", "owner", "link", "disable", "group", "people"],
)
def test_what_cannot_be_is_told_in_a_sentence(installation: Installation, arguments: list[str]) -> None:
    done = installation.server.run("admin", *arguments)

    assert 2 == done.returncode, done.stdout
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_schema_is_made_and_a_second_time_is_there_already(tmp_path: Path) -> None:
    first, second = run("migrate", "--data", str(tmp_path)), run("migrate", "--data", str(tmp_path))

    assert "before there was none" in first.stdout, first.stderr
    assert "already" in second.stdout


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("migrate", "--config"),
        ("worker", "--config"),
        ("serve", "--config"),
        ("thaw", "--data"),
        ("backup", "--config"),
        ("check", "--data"),
    ],
)
def test_a_file_or_folder_that_is_not_there_is_named(tmp_path: Path, command: str, option: str) -> None:
    missing = tmp_path / "missing"
    folder = [str(tmp_path / "out")] if command == "backup" else []

    done = run(command, *folder, option, str(missing))

    assert 2 == done.returncode, done.stdout
    assert str(missing) in done.stderr
    assert "Traceback" not in done.stderr
    assert not missing.exists()
