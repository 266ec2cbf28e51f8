"""`roadstead iam policy`"""

from __future__ import annotations

import itertools
import secrets
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.kit.site import Site
from tests.kit.terminal import Terminal

READER, WRITER = "roles/artifactregistry.reader", "roles/artifactregistry.writer"
BOB, CAROL = "user:bob@example.com", "user:carol@example.com"
BEFORE = 'request.time < timestamp("2099-01-01T00:00:00Z")'
_numbers = itertools.count()


@pytest.fixture
def project(owner: Terminal) -> str:
    name = f"iam-{next(_numbers)}-{secrets.token_hex(4)}"
    owner.said("projects", "create", name)
    return name


def members(owner: Terminal, role: str, *where: str) -> list[str]:
    bindings = owner.json("iam", "policy", "show", *where).get("bindings", [])
    return [member for each in bindings if each["role"] == role for member in each["members"]]


@pytest.mark.slow
def test_a_role_is_given_and_taken(owner: Terminal, project: str) -> None:
    owner.said("iam", "policy", "add-binding", project, "--member", BOB, "--role", READER)
    table = owner.said("iam", "policy", "add-binding", project, "--member", CAROL, "--role", READER)

    assert BOB in table
    assert [BOB, CAROL] == members(owner, READER, project)
    owner.said("iam", "policy", "remove-binding", project, "--member", BOB, "--role", READER)
    assert [CAROL] == members(owner, READER, project)
    assert f"{BOB} has no binding to {READER}" in owner.refused(
        "iam", "policy", "remove-binding", project, "--member", BOB, "--role", READER
    )


@pytest.mark.slow
@pytest.mark.parametrize("place", ["gcr.io/PROJECT/web/shop", "gcr.io/PROJECT", "eu.gcr.io/PROJECT/web", "OWN/PROJECT/a"])
def test_a_role_is_given_on_a_repository_alone(owner: Terminal, pages: Site, project: str, place: str) -> None:
    repository = place.replace("PROJECT", project).replace("OWN", pages.authority)

    owner.said("iam", "policy", "add-binding", "--repository", repository, "--member", BOB, "--role", WRITER)

    assert [BOB] == members(owner, WRITER, "--repository", repository)
    assert [] == members(owner, WRITER, project)
    assert [] == members(owner, WRITER, "--repository", f"asia.gcr.io/{project}")


@pytest.mark.slow
def test_a_condition_is_kept_with_its_binding(owner: Terminal, project: str) -> None:
    """Two bindings of one role: with the condition, and without it."""
    owner.said("iam", "policy", "add-binding", project, "--member", BOB, "--role", READER, "--condition", BEFORE, "--title", "until 2099")
    owner.said("iam", "policy", "add-binding", project, "--member", BOB, "--role", READER)

    bindings = owner.json("iam", "policy", "show", project)["bindings"]

    conditions = [each.get("condition") for each in bindings if each["role"] == READER]
    assert 2 == len(conditions)
    assert None in conditions
    assert {"title": "until 2099", "expression": BEFORE} in conditions
    owner.said("iam", "policy", "remove-binding", project, "--member", BOB, "--role", READER)
    assert [BOB] == members(owner, READER, project)
    owner.said("iam", "policy", "remove-binding", project, "--member", BOB, "--role", READER, "--all")
    assert [] == members(owner, READER, project)


@pytest.mark.slow
def test_of_several_at_once_none_is_lost(owner: Terminal, project: str) -> None:
    """Each reads, changes and writes; whoever was overtaken (409) begins again."""

    def add(number: int) -> subprocess.CompletedProcess[str]:
        return owner.run("iam", "policy", "add-binding", project, "--member", f"user:p{number}@example.com", "--role", READER)

    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(add, range(4)))

    assert [0] * 4 == [each.returncode for each in done], [each.stderr for each in done]
    assert [f"user:p{number}@example.com" for number in range(4)] == sorted(members(owner, READER, project))


@pytest.mark.slow
def test_what_is_overtaken_begins_again(owner: Terminal, pages: Site, project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The etag is that of a policy which somebody else has changed since."""
    from roadstead.cli import client, policies
    from roadstead.cli.logins import Logins

    logins = Logins(owner.logins.parent)
    kept = logins.read()
    begun: list[object] = []

    def add(bindings: list[dict[str, object]]) -> None:
        if not begun:
            owner.said("iam", "policy", "add-binding", project, "--member", CAROL, "--role", READER)
        begun.append(bindings)
        bindings.append({"role": WRITER, "members": [BOB]})

    with client.http(pages.url, "") as http:
        api = client.Client(http, logins, pages.url, client.whose(kept, pages.url, ""))
        policies.Place.project(api, project).change(add)

    assert 2 == len(begun)
    assert ([CAROL], [BOB]) == (members(owner, READER, project), members(owner, WRITER, project))


@pytest.mark.parametrize(
    "where",
    [[], ["p", "--repository", "gcr.io/p/a"], ["--repository", "quay.io/p/a"], ["--repository", "gcr.io"], ["--repository", "gcr.io/p//a"]],
)
def test_a_place_that_is_none_is_wrong_usage(owner: Terminal, where: list[str]) -> None:
    owner.refused("iam", "policy", "show", *where, code=2)


def test_a_role_that_there_is_not_is_told_in_a_sentence(owner: Terminal, project: str) -> None:
    problem = owner.refused("iam", "policy", "add-binding", project, "--member", BOB, "--role", "roles/nosuch")

    assert "roles/nosuch" in problem
