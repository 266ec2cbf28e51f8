"""An installation with accounts in this process, and somebody who owns it, for the commands that ask a server."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from roadstead import accounts
from tests.kit.site import PASSWORD, Site, site
from tests.kit.terminal import Terminal

_numbers = itertools.count()
OWNER = "owner@example.com"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site")) as running:
        running.run(accounts.first_run(running.known, running.database, OWNER))
        running.run(running.known.people.set_password(OWNER, PASSWORD))
        yield running


@pytest.fixture
def person(pages: Site) -> str:
    """Somebody new, who may do nothing yet."""
    email = f"person-{next(_numbers)}-{secrets.token_hex(3)}@example.com"
    pages.run(pages.known.people.create(email, "Alice", PASSWORD))
    return email


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.fixture(scope="module")
def owner(pages: Site, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """The owner's, who is logged in."""
    opened = Terminal(tmp_path_factory.mktemp("owner"))
    opened.log_in(pages, OWNER)
    return opened
