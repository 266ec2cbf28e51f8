"""The audit log: what is recorded is found, bounded, in order, and cannot be forged."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from roadstead.db.database import Database
from roadstead.errors import ReadOnly
from roadstead.iam import audit
from roadstead.iam.audit import Audit, Entry, Filter, Outcome, Place
from roadstead.iam.credentials import Kind
from roadstead.iam.queries import audit as queries
from tests.drivers.test_database import DATABASES
from tests.kit.accounts import Installation

pytestmark = pytest.mark.anyio

DAY_US = 86_400_000_000
NOW_US = 1_790_000_000_000_000
EVERYTHING = Filter()
SET_POLICY = "POST /v1/projects/{project}:setIamPolicy"


@pytest.fixture
def log(database: Database) -> Audit:
    return Audit(database, lambda: NOW_US)


def entry(number: int = 0, **changes: object) -> Entry:
    made = Entry(
        at_us=NOW_US + number,
        method="docker.manifests.put",
        outcome=Outcome.OK,
        member="user:someone@example.com",
        project="a-project",
        resource="projects/a-project/locations/gcr/repositories/image",
        status=201,
        address="192.0.2.1",
        agent="docker/27",
        request_id=f"r-{number}",
        details={"number": number},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


async def found(log: Audit, wanted: Filter = EVERYTHING, most: int = 100) -> list[Entry]:
    """All pages of it."""
    entries: list[Entry] = []
    after: Place | None = None
    while True:
        page = await log.query(wanted, most, after)
        entries += page.entries
        if page.next is None:
            return entries
        after = page.next


def numbers(entries: list[Entry]) -> list[object]:
    return [each.details["number"] for each in entries]


# What is recorded is kept


async def test_what_was_recorded_is_found_as_it_was(log: Audit) -> None:
    log.record(entry(1))

    (kept,) = await found(log)

    assert entry(1) == replace(kept, id=0)
    assert kept.id > 0


async def test_recording_waits_for_nothing_and_a_flush_writes_many_rows_at_once(log: Audit, database: Database) -> None:
    for number in range(1200):
        log.record(entry(number))
    assert 1200 == log.waiting
    before = await database.one(queries.NEWEST, {})

    await log.flush()

    assert before is not None
    assert before[0] is None
    assert 0 == log.waiting
    assert list(range(1199, -1, -1)) == numbers(await found(log))


async def test_what_changes_rights_is_written_before_it_is_answered(log: Audit, database: Database) -> None:
    await log.record_now(entry(1, method="google.iam.v1.SetIamPolicy"))

    assert 0 == log.waiting
    assert [1] == numbers(await found(Audit(database, lambda: NOW_US)))


async def test_an_entry_of_a_transaction_is_there_only_if_the_transaction_is(log: Audit, database: Database) -> None:
    async with database.transaction() as tx:
        await log.record_in(tx, entry(1))
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as tx:
            await log.record_in(tx, entry(2))
            raise ZeroDivisionError

    assert [1] == numbers(await found(log))


async def test_stopping_writes_what_still_waits(log: Audit, database: Database) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(log.run(stop))
    await asyncio.sleep(0)
    log.record(entry(1))
    stop.set()

    await running

    assert 0 == log.waiting
    assert [1] == numbers(await found(Audit(database, lambda: NOW_US)))


async def test_while_nothing_can_be_written_entries_wait_and_come_in_order_later(log: Audit, database: Database) -> None:
    """As while a server is moved: the database takes nothing."""
    log.record(entry(1))
    log.record(entry(2, outcome=Outcome.DENIED))
    await database.freeze(NOW_US)

    with pytest.raises(ReadOnly):
        await log.flush()
    log.record(entry(3))
    assert [] == await found(log)
    await database.thaw()

    assert [3, 2, 1] == numbers(await found(log))


# Bounds


async def test_a_full_memory_forgets_strangers_then_refusals_and_what_was_done_last(database: Database) -> None:
    """Whoever is refused as often as they like must not push out who did what."""
    log = Audit(database, lambda: NOW_US, most_waiting=3)
    for number in range(2):
        log.record(entry(number))
    log.record(entry(2, outcome=Outcome.DENIED))
    for number in range(3, 6):
        log.record(entry(number, outcome=Outcome.DENIED, member="", address=f"192.0.2.{number}"))
    assert (6, 3) == (log.recorded, log.dropped)
    log.record(entry(6))
    log.record(entry(7))

    assert [7, 6, 1] == numbers(await found(log))
    assert (8, 5) == (log.recorded, log.dropped)


async def test_a_stranger_s_refusals_are_one_row_whatever_is_sent(log: Audit) -> None:
    for number in range(5000):
        stranger = entry(number, outcome=Outcome.DENIED, status=401, member="", agent=f"agent {number}", resource=f"/v2/x/{number}")
        log.record(replace(stranger, address=f"2001:db8::{number:x}", project=""))

    (row,) = await found(log)

    assert (0, 5000, "agent 0") == (row.details["number"], row.details["repeated"], row.agent)


async def test_nobody_s_void_revocations_are_one_row(log: Audit) -> None:
    """RFC 7009 answers 200 to whatever is no token."""
    for number in range(500):
        log.record(entry(number, method="oauth.revoke", member="", project="", resource="/revoke"))

    assert [500] == [row.details["repeated"] for row in await found(log)]


@pytest.mark.parametrize(("member", "rows"), [("", audit.STRANGERS_A_MINUTE), ("user:someone@example.com", audit.MEMBER_A_MINUTE)])
async def test_who_is_refused_has_so_many_rows_a_minute_and_is_counted_above(log: Audit, member: str, rows: int) -> None:
    """From a thousand networks, and with a thousand names."""
    for number in range(1000):
        log.record(entry(number, outcome=Outcome.DENIED, member=member, address=f"198.51.{number >> 8}.{number & 255}", agent=str(number)))
        if number % 100 == 99:
            await log.flush()
    log.record(entry(1000, outcome=Outcome.DENIED, member="user:another@example.com"))
    log.record(entry(at_us=NOW_US + 60_000_000, outcome=Outcome.DENIED, member=member, details={"number": 1001}))

    kept = await found(log, most=1000)

    assert rows + 10 >= len([row for row in kept if row.details["number"] in range(1000)])
    assert 1002 == sum(int(str(row.details.get("repeated", 1))) for row in kept)
    assert {1000, 1001} <= {row.details["number"] for row in kept}


async def test_the_same_refusal_again_and_again_is_one_row_that_counts(log: Audit) -> None:
    for number in range(5000):
        log.record(entry(number, outcome=Outcome.DENIED, status=403, details={}))
    log.record(entry(9, outcome=Outcome.DENIED, status=403, address="192.0.2.9", details={}))

    rows = await found(log)

    assert [("192.0.2.9", None), ("192.0.2.1", 5000)] == [(row.address, row.details.get("repeated")) for row in rows]
    assert 4999 == log.merged


async def test_rows_older_than_the_limit_go(database: Database) -> None:
    log = Audit(database, lambda: NOW_US, keep_days=10)
    for days in (0, 9, 11, 400):
        log.record(entry(at_us=NOW_US - days * DAY_US, details={"number": days}))
    await log.flush()

    assert 2 == await log.trim()
    assert [0, 9] == numbers(await found(log))


async def test_rows_over_the_limit_go_oldest_first(database: Database) -> None:
    log = Audit(database, lambda: NOW_US, keep_rows=1000)
    for number in range(2600):
        log.record(entry(number))
    await log.flush()

    assert 1600 == await log.trim()
    assert list(range(2599, 1599, -1)) == numbers(await found(log, most=1000))
    assert 0 == await log.trim()


async def test_strangers_are_trimmed_to_a_tenth_and_never_push_out_members(database: Database) -> None:
    """However many rows they got in: the table is counted without what went."""
    log = Audit(database, lambda: NOW_US, keep_rows=1000)
    rows = [entry(number) for number in range(900)]
    rows += [entry(number, member="", outcome=Outcome.DENIED, status=401) for number in range(900, 4000)]
    for each in range(0, len(rows), 1000):
        async with database.transaction() as tx:
            await tx.run_many(queries.ADD, [audit._row(row) for row in rows[each : each + 1000]])

    assert 3000 == await log.trim()

    kept = numbers(await found(log, most=1000))
    assert [*range(3999, 3899, -1), *range(899, -1, -1)] == kept
    assert 0 == await log.trim()


async def test_an_empty_log_is_trimmed_too(log: Audit) -> None:
    assert 0 == await log.trim()
    assert [] == await found(log)


# Questions


@pytest.fixture
async def filled(log: Audit) -> Audit:
    log.record(entry(0))
    log.record(entry(1, member="", outcome=Outcome.DENIED, status=401, method="docker.manifests.get"))
    log.record(entry(2, project="a-project-2", resource="projects/a-project-2"))
    log.record(entry(3, resource="projects/a-project", method="google.iam.v1.SetIamPolicy"))
    log.record(entry(4, project="", resource="organization", method="signin.password", outcome=Outcome.FAILED, agent="Fire%fox_1"))
    return log


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(), [4, 3, 2, 1, 0]),
        (Filter(project="a-project"), [3, 1, 0]),
        (Filter(project=""), [4]),
        (Filter(member=""), [1]),
        (Filter(member="user:someone@example.com"), [4, 3, 2, 0]),
        (Filter(method="docker.manifests.get"), [1]),
        (Filter(outcome=Outcome.DENIED), [1]),
        (Filter(resource="projects/a-project"), [3, 1, 0]),
        (Filter(resource="projects/a-project/locations/gcr/repositories/image"), [1, 0]),
        (Filter(resource="projects/a-proj"), []),
        (Filter(since_us=NOW_US + 3), [4, 3]),
        (Filter(until_us=NOW_US + 2), [1, 0]),
        (Filter(since_us=NOW_US + 1, until_us=NOW_US + 3), [2, 1]),
        (Filter(text="SETIAM"), [3]),
        (Filter(text="e%f"), [4]),
        (Filter(text="x_"), [4]),
        (Filter(text="d%k"), []),
        (Filter(project="a-project", member="user:someone@example.com", outcome=Outcome.OK, text="docker"), [3, 0]),
        (
            Filter("a-project", "", "docker.manifests.get", Outcome.DENIED, "projects/a-project", NOW_US, NOW_US + 9, "image"),
            [1],
        ),
    ],
)
async def test_a_question_finds_all_that_fit_and_nothing_else(filled: Audit, wanted: Filter, expected: list[int]) -> None:
    for most in (1, 2, 100):
        assert expected == numbers(await found(filled, wanted, most))


async def test_rows_of_one_moment_are_neither_lost_nor_doubled_between_pages(log: Audit) -> None:
    for number in range(7):
        log.record(entry(at_us=NOW_US, details={"number": number}))

    assert list(range(6, -1, -1)) == numbers(await found(log, most=2))


async def test_what_is_rare_is_found_over_pages_that_each_look_at_a_limited_number_of_rows(
    log: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "SCAN_ROWS", 10)
    for number in range(95):
        log.record(entry(number, outcome=Outcome.DENIED if number == 1 else Outcome.OK))

    first = await log.query(Filter(outcome=Outcome.DENIED), 5)

    assert [] == list(first.entries)
    assert first.next is not None
    assert [1] == numbers(await found(log, Filter(outcome=Outcome.DENIED), 5))


@pytest.mark.parametrize("conditions", [set(), {"project"}, {"member"}, {"project", "since"}, {"before"}, {"project", "before", "outcome"}])
async def test_a_page_is_read_along_an_index(tmp_path: Path, conditions: set[str]) -> None:
    DATABASES["sqlite"](tmp_path)
    with sqlite3.connect(tmp_path / "registry.sqlite") as connection:
        sql, fixed = queries.page(frozenset(conditions)).sqlite
        names = {"project", "member", "since", "before_us", "before_id", "outcome", "scan", "most"}
        steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", fixed | dict.fromkeys(names, 1))]

    assert [] == [step for step in steps if step == "SCAN audit_log"]
    assert any("USING INDEX audit_log_by" in step for step in steps), steps


# What cannot be forged, and what is not kept


@pytest.mark.parametrize(
    "hostile",
    ["a\nb", "a\rb", "a\x1b[2Jb", "a\0b", "a\x7fb", "a\u2028b", "a\u202eb", "a\ud800b", "a\x85b", "a\u2066b"],
    ids=ascii,
)
async def test_control_characters_are_written_out(log: Audit, hostile: str) -> None:
    log.record(
        entry(
            member=hostile, method=hostile, project=hostile, resource=hostile, address=hostile, agent=hostile, details={hostile: [hostile]}
        )
    )

    (kept,) = await found(log)

    harmless = f"a\\u{ord(hostile[1]):04x}b" if "[" not in hostile else "a\\u001b[2Jb"
    assert {harmless} == {kept.member, kept.method, kept.project, kept.resource, kept.address, kept.agent}
    assert {harmless: [harmless]} == kept.details


async def test_texts_and_details_have_a_limit(log: Audit) -> None:
    log.record(entry(agent="x" * 100_000, resource="\n" * 100_000, details={"much": "y" * 100_000}))
    log.record(entry(details={"number": 1 << 200, "deep": {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}}))

    second, first = await found(log)

    assert 300 == len(first.agent)
    assert 1000 == len(first.resource)
    assert {"omitted": "more than 4 KiB", "names": ["much"]} == first.details
    assert str(1 << 200) == second.details["number"]


async def test_secrets_are_not_kept(log: Audit) -> None:
    token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJzb21lb25lIn0.c2lnbmF0dXJl"
    refresh = "rsr_" + "Ab3" * 15
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----"
    log.record(
        entry(
            resource=f"projects/p/{token}",
            agent=refresh,
            details={"password": "hunter2 hunter2", "nested": {"privateKey": "abc"}, "said": [token, refresh, key]},
        )
    )

    (kept,) = await found(log)

    shown = repr(kept)
    for secret in (token, refresh, "MIIEvQ", "hunter2", "abc", "c2lnbmF0dXJl"):
        assert secret not in shown
    assert "projects/p/[secret]" == kept.resource


async def test_no_kind_of_secret_is_kept(log: Audit) -> None:
    for kind in Kind:
        log.record(entry(agent=f"{kind.value}_" + "Ab3" * 15))

    assert {"[secret]"} == {each.agent for each in await found(log)}


@pytest.mark.parametrize("name", ["project", "member", "method", "resource"])
async def test_a_question_with_a_nul_in_it_has_an_answer(log: Audit, name: str) -> None:
    """PostgreSQL takes none in a text."""
    log.record(entry(1, **{name: "a\0b"}))

    assert [1] == numbers(await found(log, Filter(**{name: "a\0b"})))  # type: ignore[arg-type]


# What it costs


async def test_recording_takes_microseconds(log: Audit) -> None:
    """It is on the way of every write and every refusal."""
    entries = [entry(number) for number in range(10_000)]

    began = time.perf_counter()
    for each in entries:
        log.record(each)
    elapsed = time.perf_counter() - began

    assert elapsed / 10_000 < 20e-6


# Over HTTP, as Cloud Logging, and by `roadstead audit`


def entries(client: httpx.Client, project: str, condition: str = "", **body: object) -> list[dict[str, Any]]:
    """All pages. What other processes of the server recorded is there within a second."""
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        request = {"resourceNames": [f"projects/{project}"], "filter": condition, "orderBy": "timestamp desc", "pageToken": token, **body}
        response = client.post("/v2/entries:list", json=request)
        assert response.status_code == 200, response.text
        found += response.json().get("entries", [])
        token = response.json().get("nextPageToken", "")
        if not token:
            return found


def soon(client: httpx.Client, project: str, condition: str, count: int = 1) -> list[dict[str, Any]]:
    until = time.monotonic() + 10
    while len(found := entries(client, project, condition)) < count and time.monotonic() < until:
        time.sleep(0.05)
    assert count <= len(found), found
    return found


@pytest.mark.slow
def test_who_did_what_is_told_as_cloud_audit_logs_tell_it(installation: Installation) -> None:
    """google.cloud.audit.AuditLog; changes of rights are there as soon as they are answered."""
    project = installation.project(registry=False)
    installation.grant(project, "roles/viewer", "user:someone@example.com")

    (entry, *_) = entries(installation.owner, project, f'protoPayload.methodName="{SET_POLICY}"')

    payload = entry["protoPayload"]
    assert f"projects/{project}/logs/cloudaudit.googleapis.com%2Factivity" == entry["logName"]
    assert "type.googleapis.com/google.cloud.audit.AuditLog" == payload["@type"]
    assert f"projects/{project}" == payload["resourceName"]
    assert "user:owner@localhost" == payload["authenticationInfo"]["principalSubject"]
    assert "127.0.0.1" == payload["requestMetadata"]["callerIp"]
    assert {} == payload["status"]
    assert any("roles/viewer user:someone@example.com" in each for each in payload["metadata"]["added"])
    assert "NOTICE" == entry["severity"]


def test_what_is_refused_is_in_the_log_and_so_is_who_tried(installation: Installation) -> None:
    project = installation.project()
    robot = installation.robot(project, "roles/viewer")
    client = installation.client(robot)

    assert 403 == client.delete(f"/v1/projects/{project}", headers=[(b"User-Agent", b"evil\x9b2Jagent")]).status_code
    assert 403 == client.post(f"/v2/{project}/image/blobs/uploads/").status_code

    found = soon(installation.owner, project, "severity=WARNING", 2)
    assert all(entry["protoPayload"]["authenticationInfo"]["principalEmail"].startswith("robot-") for entry in found)
    assert {7} == {entry["protoPayload"]["status"]["code"] for entry in found}
    agents = {entry["protoPayload"]["requestMetadata"]["callerSuppliedUserAgent"] for entry in found}
    assert "evil\\u009b2Jagent" in agents, "a terminal would take \\x9b for the beginning of a command"


@pytest.mark.slow
def test_pushes_are_in_the_log_and_pulls_are_not(installation: Installation) -> None:
    """Decoupled from the pull path (goharbor/community PR 253)."""
    project = installation.project()
    client = installation.client(installation.registry_token(installation.owner_token, f"repository:{project}/image:push,pull,delete"))
    content = b"content of a blob"
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    location = client.post(f"/v2/{project}/image/blobs/uploads/").headers["location"]
    assert 201 == client.put(location, params={"digest": digest}, content=content).status_code

    assert soon(installation.owner, project, "severity=NOTICE image")
    before = len(entries(installation.owner, project))
    assert 200 == client.get(f"/v2/{project}/image/blobs/{digest}").status_code
    time.sleep(1.2)
    assert before == len(entries(installation.owner, project))


@pytest.mark.slow
def test_a_login_that_waits_for_too_many_failures_is_in_the_log(installation: Installation) -> None:
    """At /v2/ and at the token service; whoever tries on is what an operator looks for."""
    with sqlite3.connect(installation.server.data / "registry.sqlite") as database:
        kept = "SELECT count(*) FROM audit_log WHERE member = '' AND status = 429 AND outcome = 'DENIED' AND method LIKE ?"
        auth = ("throttled-sailor@example.com", "a wrong password")
        with httpx.Client(base_url=installation.url, timeout=30, transport=httpx.HTTPTransport(local_address="127.0.0.91")) as client:
            tries = [client.get("/v2/token", auth=(auth[0], f"wrong {number}")).status_code for number in range(11)]
            assert 429 == tries[-1]
            assert 429 == client.get("/v2/", auth=auth).status_code
            form = {"grant_type": "password", "username": auth[0], "password": auth[1], "service": "x"}
            assert 429 == client.post("/v2/token", data=form).status_code
        until = time.monotonic() + 5
        while time.monotonic() < until and not all(database.execute(kept, (like,)).fetchone()[0] for like in ("GET %", "POST %")):
            time.sleep(0.1)
        assert 1 <= database.execute(kept, ("GET %",)).fetchone()[0]
        assert 1 <= database.execute(kept, ("POST %",)).fetchone()[0]


@pytest.mark.slow
def test_the_log_of_a_project_is_for_those_who_may_read_it(installation: Installation) -> None:
    project = installation.project(registry=False)
    body = {"resourceNames": [f"projects/{project}"]}
    nobody, stranger = installation.client(), installation.client(installation.robot(installation.project(registry=False), "roles/owner"))
    reader = installation.client(installation.robot(project, "roles/logging.viewer"))

    assert 401 == nobody.post("/v2/entries:list", json=body).status_code
    assert 403 == stranger.post("/v2/entries:list", json=body).status_code
    assert 200 == reader.post("/v2/entries:list", json=body).status_code
    assert 403 == reader.post("/v2/entries:list", json={"resourceNames": ["organizations/0"]}).status_code
    assert 200 == installation.owner.post("/v2/entries:list", json={"resourceNames": ["organizations/0"]}).status_code
    number = installation.owner.get(f"/v1/projects/{project}").json()["projectNumber"]
    assert 200 == reader.post("/v2/entries:list", json={"resourceNames": [f"projects/{number}"]}).status_code


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ("", 2),
        ('logName="projects/p/logs/cloudaudit.googleapis.com%2Factivity" AND timestamp>="2020-01-01T00:00:00Z"', 2),
        ('timestamp<"2020-01-01T00:00:00Z"', 0),
        ('timestamp>="2020-01-01T00:00:00Z"\ntimestamp<="2100-01-01T00:00:00+02:00"', 2),
        ('logName="projects/p/logs/stdout"', 0),
        ('protoPayload.authenticationInfo.principalEmail="owner@localhost"', 2),
        ('protoPayload.authenticationInfo.principalEmail="other@example.com"', 0),
        ("severity>=ERROR", 0),
        ("protoPayload.status.code=0", 2),
        ("protoPayload.status.code=7", 0),
        ("FIRST-account", 1),
        ('"no \\"such\\" text"', 0),
    ],
)
def test_the_query_language(installation: Installation, condition: str, count: int) -> None:
    """Logging query language: comparisons joined by AND, and texts."""
    project = installation.project(registry=False)
    for name in ("first-account", "second-account"):
        installation.account(project, name)

    assert count == len(entries(installation.owner, project, condition))


@pytest.mark.parametrize(
    "body",
    [
        {"filter": "a OR b"},
        {"filter": "(a)"},
        {"filter": "NOT a"},
        {"filter": 'jsonPayload.x="y"'},
        {"filter": 'protoPayload.methodName=~".*"'},
        {"filter": 'timestamp>="yesterday"'},
        {"filter": '"unterminated'},
        {"filter": "x" * 30_000},
        {"filter": 'protoPayload.methodName="a" AND protoPayload.methodName="b"'},
        {"orderBy": "timestamp asc"},
        {"pageSize": -1},
        {"pageToken": "bm90IG9uZQ=="},
        {"resourceNames": []},
        {"resourceNames": ["folders/1"]},
        {"resourceNames": ["projects/a/b"]},
        {"unknown": True},
    ],
)
def test_what_the_log_cannot_be_asked_is_refused(installation: Installation, body: dict[str, Any]) -> None:
    response = installation.owner.post("/v2/entries:list", json={"resourceNames": ["organizations/0"], **body})

    assert 400 == response.status_code, response.text
    assert "INVALID_ARGUMENT" == response.json()["error"]["status"]


@pytest.mark.slow
def test_the_command_shows_the_log_from_the_data_folder_and_from_the_server(installation: Installation, tmp_path: Path) -> None:
    project = installation.project(registry=False)
    installation.grant(project, "roles/viewer", "user:someone@example.com")
    (tmp_path / "token").write_text(installation.owner_token)
    remote = ["--server", installation.url, "--token-file", str(tmp_path / "token")]

    for where in ([], remote):
        done = installation.server.run("audit", "--project", project, "--format", "json", "--method", SET_POLICY, *where)
        assert 0 == done.returncode, done.stderr
        (entry,) = json.loads(done.stdout)
        assert f"projects/{project}" == entry["protoPayload"]["resourceName"]

        csv_lines = installation.server.run("audit", "--project", project, "--format", "csv", *where).stdout.splitlines()
        assert "time,result,who,what,resource,from,agent,details" == csv_lines[0]
        assert any("ok 200,user:owner@localhost" in line for line in csv_lines)
        assert "Nothing in the audit log fits" in installation.server.run("audit", "--project", project, "--denied", *where).stderr
        table = installation.server.run("audit", "--project", project, "--limit", "1", *where).stdout
        assert "WHO" in table


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--since", "yesterday"], 2),
        (["--limit", "1000000"], 2),
        (["--server", "http://127.0.0.1:1"], 1),
        (["--server", "http://127.0.0.1:1", "--token-file", "/nothing/here"], 2),
        (["--server", "http://127.0.0.1:1", "--token-file", "/dev/null"], 1),
    ],
)
def test_a_command_that_cannot_work_says_why(installation: Installation, options: list[str], code: int) -> None:
    done = installation.server.run("audit", *options)

    assert code == done.returncode
    assert done.stderr.startswith("roadstead: ")
    assert "Traceback" not in done.stderr
