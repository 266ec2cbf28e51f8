"""`roadstead init`"""

from __future__ import annotations

import json
import re
import secrets

import pytest

from tests.cli.conftest import OWNER
from tests.kit.site import Site
from tests.kit.terminal import Terminal, code_of


@pytest.fixture(scope="module")
def project(owner: Terminal) -> str:
    name = f"init-{secrets.token_hex(4)}"
    owner.said("projects", "create", name)
    return name


@pytest.mark.slow
def test_it_asks_its_way_to_a_login_a_project_and_docker(terminal: Terminal, pages: Site, project: str) -> None:
    """As somebody does it who has only the server's address; the code is pasted from a browser elsewhere."""

    def code(screen: str) -> str:
        found = re.search(r"http\S+/o/oauth2/auth\S+", screen)
        assert found
        return code_of(pages, OWNER, found[0])

    def number(screen: str) -> str:
        found = re.search(rf"\[(\d+)\] {project}\n", screen)
        assert found, screen
        return found[1]

    code_, screen = terminal.converse(
        ["init", "--no-browser"],
        [
            ("The server's address", "https://192.0.2.1/with/a/path"),
            ("That does not work: a server is written https://HOST", pages.url),
            ("Paste the verification code here: ", code),
            ("A number from 1 to", number),
            ("A number from 1 to 3", "2"),
        ],
    )

    assert 0 == code_, screen
    assert f"you are {OWNER} at {pages.url}" in screen
    assert f"{OWNER}\t{project}\t{pages.url}\n" == terminal.said("config", "list", "--format=value(core.account,core.project,core.server)")
    assert project in terminal.said("projects", "describe", project, "--format=value(projectId)")
    settings = json.loads((terminal.home / "docker" / "config.json").read_text())
    assert {pages.url.removeprefix("http://"): "roadstead"} == settings["credHelpers"]


@pytest.mark.slow
def test_who_is_logged_in_can_stay(owner: Terminal, pages: Site, project: str) -> None:
    """A second configuration of the same person's: Enter takes the first of what is offered."""
    owner.said("config", "configurations", "create", "second", "--no-activate")

    code, screen = owner.converse(
        ["init", "--configuration", "second", "--project", project],
        [("The server's address", ""), ("Who do you want to be?", ""), ("Shall docker", "1")],
    )

    assert 0 == code, screen
    assert project == owner.said("config", "get", "project", "--configuration", "second").strip()
    assert "" == owner.said("config", "get", "project")


@pytest.mark.slow
def test_with_quiet_it_asks_nothing(owner: Terminal, terminal: Terminal, pages: Site, project: str) -> None:
    owner.said("config", "configurations", "create", "third", "--no-activate")

    owner.said("init", "--quiet", "--server", pages.url, "--project", project, "--configuration", "third")

    assert OWNER == owner.said("config", "get", "account", "--configuration", "third").strip()
    assert "not logged in" in terminal.refused("init", "--quiet", "--server", pages.url).replace("nobody is logged in", "not logged in")
    assert "say which server" in terminal.refused("init", "--quiet", code=2)


def test_where_nobody_answers_nothing_is_set_up(terminal: Terminal) -> None:
    assert "nobody is there to answer" in terminal.refused("init")

    assert not (terminal.home / "config" / "roadstead" / "configurations" / "config_default").exists()
