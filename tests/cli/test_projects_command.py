"""`roadstead projects` and `roadstead services`"""

from __future__ import annotations

import itertools
import secrets

import pytest

from tests.kit.site import Site
from tests.kit.terminal import Terminal

_numbers = itertools.count()


@pytest.fixture
def name() -> str:
    return f"cli-{next(_numbers)}-{secrets.token_hex(4)}"


@pytest.mark.slow
def test_a_project_is_made_and_shown(owner: Terminal, name: str) -> None:
    made = owner.json("projects", "create", name, "--name", "The shop", "--label", "team=web", "--enable", "containerregistry")

    assert (name, "The shop", {"team": "web"}) == (made["projectId"], made["name"], made["labels"])
    assert made == owner.json("projects", "describe", name)
    assert name in [each["projectId"] for each in owner.json("projects", "list")]
    assert "name: The shop" in owner.said("projects", "describe", name).splitlines()
    assert "containerregistry.googleapis.com" in owner.said("services", "list", "--project", name)


@pytest.mark.slow
def test_a_project_is_deleted_and_comes_back(owner: Terminal, name: str) -> None:
    owner.said("projects", "create", name)

    owner.said("projects", "delete", name, "--quiet")

    assert name not in [each["projectId"] for each in owner.json("projects", "list")]
    assert name in [each["projectId"] for each in owner.json("projects", "list", "--deleted")]
    owner.said("projects", "undelete", name)
    assert "ACTIVE" == owner.json("projects", "describe", name)["lifecycleState"]


def test_pages_are_put_together(owner: Terminal, pages: Site) -> None:
    """More than the server gives at once."""
    made = [f"cli-page-{number:03}" for number in range(501)]

    async def make() -> None:
        for each in made:
            await pages.known.projects.create(each, each, creator="user:owner@example.com")

    pages.run(make())

    assert set(made) <= {each["projectId"] for each in owner.json("projects", "list")}


@pytest.mark.slow
def test_what_is_not_there_or_not_allowed_is_told_in_a_sentence(
    owner: Terminal, terminal: Terminal, pages: Site, person: str, name: str
) -> None:
    terminal.log_in(pages, person)

    problem = owner.refused("projects", "create", "X")
    assert problem.startswith("roadstead: ")
    assert f"{person} may not do that" in terminal.refused("projects", "describe", name)
    assert f"{person} may not do that" in terminal.refused("projects", "create", name)
    assert "There are no projects that you may see." in terminal.run("projects", "list").stderr


def test_what_is_no_label_is_wrong_usage(owner: Terminal, name: str) -> None:
    assert "KEY=VALUE" in owner.refused("projects", "create", name, "--label", "web", code=2)


def test_what_a_name_does_to_the_terminal_is_not_done(owner: Terminal, pages: Site, name: str) -> None:
    """A name is anybody's own; it must not paint over what others read."""
    owner.said("projects", "create", name)
    pages.run(pages.known.service_accounts.create(name, "painter", "\u202etxt [bold]x", ""))

    table = owner.said("service-accounts", "list", "--project", name)

    assert "[bold]x" in table
    assert "\u202e" not in table


@pytest.mark.slow
def test_services_are_enabled_and_disabled(owner: Terminal, name: str) -> None:
    owner.said("projects", "create", name)

    owner.said("services", "enable", "containerregistry", "containerscanning.googleapis.com", "--project", name)

    def enabled() -> set[str]:
        return {each["config"]["name"] for each in owner.json("services", "list", "--project", name)}

    both = {"containerregistry.googleapis.com", "containerscanning.googleapis.com"}
    assert both <= enabled()
    owner.said("services", "disable", "containerscanning", "--project", name)
    assert {"containerregistry.googleapis.com"} == both & enabled()
    assert "DISABLED" in owner.said("services", "list", "--project", name, "--available")
    assert "a service is named NAME.googleapis.com" in owner.refused("services", "enable", "nosuch.example.com", "--project", name)
