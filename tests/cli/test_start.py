"""How the command starts: quickly, reading only what its words need; and how shells complete it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.cli.conftest import OWNER
from tests.kit.site import Site
from tests.kit.terminal import Terminal

HEAVY = {"sqlalchemy", "alembic", "uvicorn", "jinja2", "structlog", "cryptography", "joserfc", "obstore", "botocore"}
AT_ONCE = """
import sys
from roadstead.cli.main import main
sys.argv = {arguments!r}
try:
    main()
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr)
"""


def loaded(*arguments: str) -> set[str]:
    program = AT_ONCE.format(arguments=["roadstead", *arguments])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["projects", "list", "--help"], ["auth", "list"]], ids=["help", "help-of-one", "auth-list"]
)
def test_the_server_s_parts_are_not_read_for_it(arguments: list[str]) -> None:
    modules = loaded(*arguments)

    assert set() == {each.partition(".")[0] for each in modules} & HEAVY
    assert set() == modules & {"asyncio", "httpx", "http.server", "roadstead.wiring", "roadstead.server", "rich", "yaml"}


def complete(terminal: Terminal, line: str, shell: str = "bash") -> list[str]:
    """As the shell asks: with the line so far, and the word that is being written."""
    words = line.split(" ")
    asked = Terminal(
        terminal.home,
        _ROADSTEAD_COMPLETE=f"complete_{shell}",
        COMP_WORDS=line,
        COMP_CWORD=str(len(words) - 1),
        _TYPER_COMPLETE_ARGS=line,
        _TYPER_COMPLETE_FISH_ACTION="get-args",
    )
    done = asked.installed()
    assert "" == done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("roadstead proj", ["projects"]),
        ("roadstead projects de", ["describe", "delete"]),
        ("roadstead iam service-accounts ke", ["keys"]),
        ("roadstead config set core/acc", ["core/account"]),
    ],
)
def test_bash_completes_commands(terminal: Terminal, line: str, expected: list[str]) -> None:
    assert expected == complete(terminal, line)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_complete_commands(terminal: Terminal, shell: str) -> None:
    assert any("projects" in word for word in complete(terminal, "roadstead proj", shell))


@pytest.mark.slow
def test_a_shell_is_taught_to(terminal: Terminal) -> None:
    """For bash, zsh and fish, in each one's own file."""
    for shell in ("bash", "zsh", "fish"):
        done = Terminal(terminal.home, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1").installed("--show-completion", shell)
        assert "_ROADSTEAD_COMPLETE" in done.stdout, done.stderr


@pytest.mark.slow
def test_projects_are_completed_with_the_server_s(owner: Terminal, pages: Site) -> None:
    for name in ("finish-me-1", "finish-me-2", "other-one-1"):
        pages.run(pages.known.projects.create(name, name, creator=f"user:{OWNER}"))

    assert ["finish-me-1", "finish-me-2"] == complete(owner, "roadstead projects describe finish")
    assert ["other-one-1"] == complete(owner, "roadstead services list --project other-o")


def test_a_server_that_is_gone_completes_nothing_and_says_nothing(terminal: Terminal) -> None:
    """And soon: somebody waits with a finger on the key."""
    gone = Terminal(terminal.home, ROADSTEAD_SERVER="http://192.0.2.1", ROADSTEAD_PROJECT="")
    gone.logins.parent.mkdir(parents=True)
    login = '{"account": "a@b.c", "kind": "token", "accessToken": "x"}'
    gone.logins.write_text(
        f'{{"server": "http://192.0.2.1", "servers": {{"http://192.0.2.1": {{"account": "a@b.c", "logins": {{"a@b.c": {login}}}}}}}}}'
    )
    begun = time.monotonic()

    assert [] == complete(gone, "roadstead projects describe fin")
    assert time.monotonic() - begun < 10
