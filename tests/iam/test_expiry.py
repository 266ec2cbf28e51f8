"""Keys that end soon: a warning a day in the log, and a number that monitoring sees."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from roadstead.db.database import Database
from roadstead.iam.expiry import KeyExpiry
from roadstead.iam.generation import Generation
from roadstead.iam.keys import Keys
from roadstead.iam.service_accounts import ServiceAccounts
from tests.kit.accounts import installed
from tests.kit.clock import Clock
from tests.kit.observed import Metrics, log_lines, wait_for

DAY = 24 * 3600

pytestmark = pytest.mark.anyio


async def test_each_key_that_ends_soon_is_a_warning_once_a_day(database: Database, generation: Generation, clock: Clock) -> None:
    account = await ServiceAccounts(database, generation, clock).create("my-project", "builder")
    keys = Keys(database, generation, clock)
    soon, _ = await keys.create(account.email, lifetime_seconds=29 * DAY)
    await keys.create(account.email, lifetime_seconds=31 * DAY)
    expiry = KeyExpiry(keys, clock)

    with structlog.testing.capture_logs() as first:
        assert 1 == await expiry.look()
        clock.go(DAY - 1)
        assert 1 == await expiry.look()
    clock.go(DAY)
    with structlog.testing.capture_logs() as later:
        assert 2 == await expiry.look(), "by now the other one too"

    assert [(account.email, soon.id, 29, False)] == [(each["account"], each["key"], each["days"], each["used"]) for each in first]
    assert {"warning"} == {each["log_level"] for each in first + later}
    assert 2 == len(later)


@pytest.mark.slow
def test_the_worker_tells_the_log_and_the_metrics(tmp_path: Path) -> None:
    with installed(tmp_path / "data", "--processes", "1") as installation:
        robot = installation.account(installation.project())
        keys = f"/v1/projects/-/serviceAccounts/{robot}/keys"
        assert 200 == installation.owner.post(keys, json={"lifetime": "86400s"}).status_code
        installation.server.stop()

        installation.server.start()

        wait_for(lambda: Metrics(installation.url).sum("service_account_keys_expiring") == 1)
        warned = [line for line in log_lines(installation.server) if line["event"] == "a service account's key expires soon"]
        assert [robot] == [line["account"] for line in warned]
