"""`roadstead service-accounts` and `roadstead keys`"""

from __future__ import annotations

import itertools
import json
import secrets
import stat
from pathlib import Path

import pytest

from tests.kit.site import Site
from tests.kit.terminal import Terminal

DAY_US = 24 * 3600 * 1_000_000
_numbers = itertools.count()


@pytest.fixture(scope="module")
def project(owner: Terminal) -> str:
    name = f"keys-{secrets.token_hex(4)}"
    owner.said("projects", "create", name)
    return name


@pytest.fixture
def robot(pages: Site, project: str) -> str:
    return str(pages.run(pages.known.service_accounts.create(project, f"robot-{next(_numbers)}", "", "")).email)


def make(pages: Site, robot: str, lifetime_days: int | None = None, age_days: int = 0, used_days_ago: int | None = None) -> str:
    """A key, as if it had been made so long ago. Its id."""
    key, _ = pages.run(pages.known.keys.create(robot, lifetime_seconds=lifetime_days and lifetime_days * 24 * 3600))
    now_us = pages.clock()
    used_at_us = None if used_days_ago is None else now_us - used_days_ago * DAY_US

    async def turn_back() -> None:
        import sqlalchemy

        from roadstead.db import schema
        from roadstead.db.database import Statement

        c = schema.service_account_keys
        values = {"valid_after_us": now_us - age_days * DAY_US, "last_used_at_us": used_at_us}
        statement = Statement(sqlalchemy.update(c).where(c.c.id == sqlalchemy.bindparam("key")).values(**values))
        async with pages.database.transaction() as tx:
            await tx.run(statement, {"key": key.id})

    pages.run(turn_back())
    return key.id


@pytest.mark.slow
def test_a_service_account_is_made(owner: Terminal, project: str) -> None:
    made = owner.json("service-accounts", "create", "pusher", "--project", project, "--display-name", "The pusher")

    assert (f"pusher@{project}.iam.gserviceaccount.com", "The pusher") == (made["email"], made["displayName"])
    assert "The pusher" in owner.said("service-accounts", "list", "--project", project)
    assert "already" in owner.refused("service-accounts", "create", "pusher", "--project", project)


@pytest.mark.slow
def test_a_service_account_is_disabled_enabled_and_deleted(owner: Terminal, project: str, robot: str) -> None:
    def line() -> str:
        return next((each for each in owner.said("service-accounts", "list", "--project", project).splitlines() if robot in each), "")

    owner.said("service-accounts", "disable", robot)
    assert "True" in line()
    owner.said("service-accounts", "enable", robot)
    assert "False" in line()
    owner.said("service-accounts", "delete", robot, "--quiet")
    assert "" == line()


@pytest.mark.slow
def test_a_key_is_made_into_a_file_that_nobody_else_can_read(owner: Terminal, robot: str, tmp_path: Path) -> None:
    file = tmp_path / "key.json"

    shown = owner.json("keys", "create", robot, "--out", str(file), "--lifetime", "90d")

    assert "0o600" == oct(stat.S_IMODE(file.stat().st_mode))
    assert shown["name"].endswith(json.loads(file.read_text())["private_key_id"])
    assert "privateKeyData" not in shown
    assert "cannot be made: File exists" in owner.refused("keys", "create", robot, "--out", str(file)), "it would be the only copy"
    assert 1 == len(owner.json("keys", "list", robot))


def test_no_file_is_left_when_there_is_no_key(owner: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "key.json"

    owner.refused("keys", "create", "nobody@nowhere.iam.gserviceaccount.com", "--out", str(file))

    assert not file.exists()


@pytest.mark.slow
def test_a_key_is_disabled_enabled_and_deleted(owner: Terminal, pages: Site, robot: str) -> None:
    key = make(pages, robot)

    def disabled() -> list[bool]:
        return [each.disabled for each in pages.run(pages.known.keys.list(robot))]

    owner.said("keys", "disable", robot, key)
    assert "disabled" in owner.said("keys", "list", robot)
    owner.said("keys", "enable", robot, key)
    assert [False] == disabled()
    owner.said("keys", "delete", robot, key, "--quiet")
    assert [] == disabled()


def test_where_there_are_no_keys_it_says_so(owner: Terminal, robot: str) -> None:
    assert "There are no keys." in owner.run("keys", "list", robot).stderr


@pytest.mark.slow
def test_the_list_shows_when_a_key_was_last_used(owner: Terminal, pages: Site, robot: str, tmp_path: Path, terminal: Terminal) -> None:
    file = tmp_path / "key.json"
    created = owner.json("keys", "create", robot, "--out", str(file))
    terminal.said("auth", "login", "--key-file", str(file))
    pages.run(pages.known.keys.flush())

    listed = owner.json("keys", "list", robot)

    assert "lastAuthenticatedTime" not in created
    assert [True] == [created["validAfterTime"] < each["lastAuthenticatedTime"] for each in listed]


def test_a_key_that_nobody_has_used_was_never_used(owner: Terminal, pages: Site, robot: str) -> None:
    make(pages, robot)
    make(pages, robot, age_days=9, used_days_ago=8)

    table = owner.said("keys", "list", robot).splitlines()

    assert [True, False] == sorted((line.split()[4] == "never" for line in table if robot in line), reverse=True)


def test_keys_that_end_soon_or_that_nobody_uses_are_warned_of(owner: Terminal, pages: Site, robot: str) -> None:
    soon = make(pages, robot, lifetime_days=29)
    unused = make(pages, robot, age_days=200, used_days_ago=91)
    never = make(pages, robot, age_days=91)
    make(pages, robot, lifetime_days=31, age_days=200, used_days_ago=89)
    disabled = make(pages, robot, lifetime_days=5)
    owner.said("keys", "disable", robot, disabled)

    done = owner.run("keys", "list", robot, "--format", "json")

    warned = done.stderr.splitlines()
    assert 5 == len(json.loads(done.stdout))
    assert 3 == len(warned), warned
    assert [True] * 3 == [any(key in line and word in line for line in warned) for key, word in
                          ((soon, "expires on"), (unused, "was not used since"), (never, "since it was made"))]  # fmt: skip


def test_a_project_s_keys_are_listed_together(owner: Terminal, pages: Site, project: str, robot: str) -> None:
    mine = make(pages, robot)
    other = pages.run(pages.known.service_accounts.create(project, f"other-{next(_numbers)}", "", ""))
    theirs = make(pages, other.email)

    listed = [each["name"].rpartition("/")[2] for each in owner.json("keys", "list", "--project", project)]

    assert {mine, theirs} <= set(listed)
    owner.refused("keys", "list", code=2)
    owner.refused("keys", "list", robot, "--project", project, code=2)


def test_a_lifetime_that_is_none_is_wrong_usage_and_leaves_no_file(owner: Terminal, robot: str, tmp_path: Path) -> None:
    owner.refused("keys", "create", robot, "--out", str(tmp_path / "k"), "--lifetime", "soon", code=2)

    assert not (tmp_path / "k").exists()
