"""`roadstead audit`"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from roadstead import config
from roadstead.cli import formats
from roadstead.cli.client import Client, address, http
from roadstead.cli.durations import seconds
from roadstead.cli.gc import existing
from roadstead.cli.logins import Kind, Login, Logins
from roadstead.cli.options import Options, listing
from roadstead.cli.output import show_list
from roadstead.errors import ConfigurationError, FieldInvalid

COLUMNS = "table(time, result, who, what, resource, from)"
_CSV = "csv(time, result, who, what, resource, from, agent, details)"
_RESULTS = {"NOTICE": "ok", "WARNING": "denied", "ERROR": "failed"}
_PAGE = 500
_LIMIT = 100
_MOST = 100_000
_NOTHING = "Nothing in the audit log fits. It shows the last day unless --since says otherwise."

Entry = dict[str, Any]
"""A LogEntry of Cloud Logging with an AuditLog in it (api/google/logging.py)."""


@listing
def audit(
    options: Options,
    member: Annotated[
        str, typer.Option(help="Only by user:ADDRESS, serviceAccount:ADDRESS, principal://…, local:UID or anonymous.", show_default=False)
    ] = "",
    method: Annotated[str, typer.Option(help="Only this method, as the log has it.", show_default=False)] = "",
    resource: Annotated[str, typer.Option(help="Only this resource and what is below.", show_default=False)] = "",
    text: Annotated[str, typer.Option(help="Only entries with this text in them.", show_default=False)] = "",
    since: Annotated[str, typer.Option(help="From then on: 90s, 30m, 1h, 7d ago, or a time such as 2026-12-31T12:00:00Z.")] = "1d",
    until: Annotated[str, typer.Option(help="Before then, written as for --since.", show_default=False)] = "",
    denied: Annotated[bool, typer.Option("--denied", help="Only what was refused.")] = False,
    token_file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="With --server: a file with an access token, instead of a login.", show_default=False),
    ] = None,
    data: Annotated[Optional[Path], typer.Option(help="The server's data folder. [default: data]")] = None,  # noqa: UP045
    config_file: Annotated[Optional[Path], typer.Option("--config", help="TOML file with settings.")] = None,  # noqa: UP045
) -> None:
    """
    Show who did what, when, from where and with which result: every write, and everything that was refused. Newest first.

    With --server it asks that server, without it reads a data folder on this machine. It shows 100 entries unless --limit says otherwise.

    \b
    Example: roadstead audit --server https://registry.example.com --project shop-images --denied --since 7d
    """
    terms = _terms(member, method, resource, text, denied)
    terms += [f'timestamp>="{_moment(since)}"'] + ([f'timestamp<"{_moment(until)}"'] if until else [])
    limit = options.limit or _LIMIT
    if limit > _MOST:
        raise ConfigurationError(f"--limit is at most {_MOST} here")
    # What is filtered here has to be fetched first.
    wanted = _MOST if options.filter or options.sort_by or options.flatten else limit
    if options.given_server:
        entries = _from_server(options, token_file, " AND ".join(terms), wanted)
    else:
        entries = _from_data(data, config_file, options.given_project, " AND ".join(terms), wanted)
    is_csv = options.format.partition("(")[0].partition("[")[0] == "csv"
    default = _CSV if is_csv else COLUMNS
    name = formats.wanted(options.format, default).name
    rows = [{**entry, **_cells(entry, is_csv)} for entry in entries] if name in formats.WITH_COLUMNS else entries
    show_list(rows, default, replace(options, limit=limit), _NOTHING)


def _terms(member: str, method: str, resource: str, text: str, denied: bool) -> list[str]:
    subject = "" if member == "anonymous" else member
    return [
        *([f"protoPayload.authenticationInfo.principalSubject={_quoted(subject)}"] if member else []),
        *([f"protoPayload.methodName={_quoted(method)}"] if method else []),
        *([f"protoPayload.resourceName={_quoted(resource)}"] if resource else []),
        *(["severity=WARNING"] if denied else []),
        *([_quoted(text)] if text else []),
    ]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _moment(text: str) -> str:
    """RFC 3339. Raises FieldInvalid."""
    ago = seconds(text, ("s", "m", "h", "d"))
    try:
        at = datetime.fromisoformat(text) if ago is None else datetime.now(UTC) - timedelta(seconds=ago)
    except (ValueError, OverflowError) as error:
        raise FieldInvalid("a time is 90s, 30m, 1h or 7d ago, or a time such as 2026-12-31T12:00:00Z") from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()


def _from_server(options: Options, token_file: Path | None, wanted: str, limit: int) -> list[Entry]:
    """Raises Failed, ConfigurationError."""
    entries: list[Entry] = []
    request = {"resourceNames": [_owner(options.given_project)], "filter": wanted, "orderBy": "timestamp desc"}
    token = ""
    with _with_token(options, _read(token_file)) if token_file else options.connect() as api:
        while True:
            answer = api.post("/v2/entries:list", {**request, "pageSize": min(_PAGE, limit - len(entries)), "pageToken": token})
            entries += answer.get("entries", [])
            token = str(answer.get("nextPageToken", ""))
            if not token or len(entries) >= limit:
                return entries[:limit]


@contextmanager
def _with_token(options: Options, token: str) -> Iterator[Client]:
    server, logins = address(options.server), Logins()
    with http(server, str(options.ca) if options.ca else logins.read().of(server).ca) as client:
        yield Client(client, logins, server, Login(account="the token's account", kind=Kind.TOKEN, access_token=token))


def _from_data(data: Path | None, config_file: Path | None, project: str, wanted: str, limit: int) -> list[Entry]:
    from roadstead import wiring
    from roadstead.api.google import logging
    from roadstead.iam.audit import Entry as AuditEntry

    settings = config.load(config_file, {"data": data})
    existing(settings)
    wiring.migrate(settings)
    condition = logging.read(wanted, project or None)

    async def ask() -> list[AuditEntry]:
        found: list[AuditEntry] = []
        after = None
        async with wiring.local_accounts(settings) as own:
            while condition is not None:
                page = await own.audit.query(condition, min(_PAGE, limit - len(found)), after)
                found += page.entries
                after = page.next
                if after is None or len(found) >= limit:
                    break
        return found

    return [logging.shown(entry) for entry in asyncio.run(ask())]


def _owner(project: str) -> str:
    return f"projects/{project}" if project else "organizations/0"


def _read(file: Path) -> str:
    """Raises ConfigurationError."""
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} could not be read: {error}") from error


def _cells(entry: Entry, guarded: bool) -> dict[str, str]:
    """guarded: a spreadsheet must not take what a client has chosen for a formula."""
    payload = entry["protoPayload"]
    found = {
        "time": entry["timestamp"],
        "result": f"{_RESULTS.get(entry['severity'], '')} {payload['metadata']['httpStatus'] or ''}".strip(),
        "who": payload["authenticationInfo"].get("principalSubject", "") or "anonymous",
        "what": payload["methodName"],
        "resource": payload["resourceName"],
        "from": payload["requestMetadata"].get("callerIp", ""),
        "agent": str(payload["requestMetadata"].get("callerSuppliedUserAgent", "")),
        "details": json.dumps(payload["metadata"], sort_keys=True),
    }
    return {name: _cell(text) for name, text in found.items()} if guarded else found


def _cell(text: str) -> str:
    """A spreadsheet takes what begins so for a formula, and clients choose their own names."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
