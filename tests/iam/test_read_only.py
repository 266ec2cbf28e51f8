"""While the database takes no writes (the last moments of `roadstead copy-to`): whoever has a token or a key goes on, a password waits."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from roadstead.db.database import Database
from roadstead.db.postgres import PostgresDatabase
from roadstead.db.sqlite import SQLiteDatabase
from tests.kit.accounts import Installation


@pytest.mark.slow
def test_tokens_and_keys_go_on_while_nothing_is_written_and_a_password_is_told_to_come_again(installation: Installation) -> None:
    """A try of a password must be counted before it is looked at."""
    project = installation.project()
    email = installation.account(project)
    installation.grant(project, "roles/viewer", f"serviceAccount:{email}")
    key = json.dumps(installation.key(email))
    at_service = f"{installation.url}/v2/token"
    scope = {"scope": f"repository:{project}/image:pull"}
    with_database(installation, lambda database: database.freeze(time.time_ns() // 1000))
    try:
        password = httpx.get(at_service, auth=("somebody@example.com", "a password of theirs"))
        by_key = httpx.get(at_service, params=scope, auth=("_json_key", key))
        by_token = httpx.get(at_service, params=scope, auth=("oauth2accesstoken", installation.owner_token))
        pulls = [installation.client(each.json()["token"]).get(f"/v2/{project}/image/tags/list") for each in (by_key, by_token)]
        asked = installation.client(installation.token()).get(f"/v1/projects/{project}")
    finally:
        with_database(installation, lambda database: database.thaw())

    assert 503 == password.status_code
    assert "retry-after" in password.headers
    assert [200, 200, 200] == [by_key.status_code, by_token.status_code, asked.status_code]
    assert [404, 404] == [pull.status_code for pull in pulls], "allowed, and there is no such repository"


def with_database(installation: Installation, work: Callable[[Database], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        address = installation.server.env.get("ROADSTEAD_DATABASE", "")
        database: Database = PostgresDatabase(address, 2) if address else SQLiteDatabase(installation.server.data / "registry.sqlite")
        await work(database)
        await database.close()

    asyncio.run(run())
