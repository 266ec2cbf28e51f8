"""`roadstead` and what all its commands have in common."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import roadstead

COMMANDS = ["serve", "check", "gc"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "roadstead", *arguments], capture_output=True, text=True, check=False)


def test_the_version_is_that_of_the_package() -> None:
    done = run("--version")

    assert (0, f"roadstead {roadstead.__version__}\n") == (done.returncode, done.stdout)
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert f'version = "{roadstead.__version__}"' in project


def test_the_installed_command_is_the_same() -> None:
    command = Path(sys.executable).with_name("roadstead")
    if not command.exists():
        pytest.skip("the package is not installed beside this Python, so it has no command")

    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)

    assert f"roadstead {roadstead.__version__}\n" == done.stdout


def test_help_lists_the_commands() -> None:
    said = run("--help").stdout

    assert [] == [command for command in COMMANDS if not re.search(rf"\b{command}\b", said)]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_s_help_explains_every_option(command: str) -> None:
    done = run(command, "--help")

    assert 0 == done.returncode
    assert "--data" in done.stdout
    assert "--config" in done.stdout


@pytest.mark.parametrize("arguments", [["fly"], ["--colour"], ["check", "--repair", "everything"], ["check", "--format", "xml"]])
def test_what_there_is_not_is_refused(arguments: list[str]) -> None:
    done = run(*arguments)

    assert 2 == done.returncode
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_without_a_command_it_says_what_there_is() -> None:
    done = run()

    assert "serve" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
