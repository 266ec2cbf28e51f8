"""`roadstead audit`"""

from __future__ import annotations

import asyncio
import csv
import enum
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from roadstead import config
from roadstead.cli.durations import seconds
from roadstead.cli.gc import existing
from roadstead.cli.output import print_json, print_table
from roadstead.errors import ConfigurationError, FieldInvalid

_COLUMNS = ("TIME", "RESULT", "WHO", "WHAT", "RESOURCE", "FROM")
_RESULTS = {"NOTICE": "ok", "WARNING": "denied", "ERROR": "failed"}
_PAGE = 500

Entry = dict[str, Any]
"""A LogEntry of Cloud Logging with an AuditLog in it (api/google/logging.py)."""


class AuditFormat(enum.StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def audit(
    project: Annotated[str, typer.Option(help="Only of this project. [default: the whole installation]", show_default=False)] = "",
    member: Annotated[
        str, typer.Option(help="Only by user:ADDRESS, serviceAccount:ADDRESS, principal://…, local:UID or anonymous.", show_default=False)
    ] = "",
    method: Annotated[str, typer.Option(help="Only this method, as the log has it.", show_default=False)] = "",
    resource: Annotated[str, typer.Option(help="Only this resource and what is below.", show_default=False)] = "",
    text: Annotated[str, typer.Option(help="Only entries with this text in them.", show_default=False)] = "",
    since: Annotated[str, typer.Option(help="From then on: 90s, 30m, 1h, 7d ago, or a time such as 2026-12-31T12:00:00Z.")] = "1d",
    until: Annotated[str, typer.Option(help="Before then, written as for --since.", show_default=False)] = "",
    denied: Annotated[bool, typer.Option("--denied", help="Only what was refused.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, the newest.")] = 100,
    output: Annotated[AuditFormat, typer.Option("--format", help="table, json or csv.")] = AuditFormat.TABLE,
    server: Annotated[str, typer.Option(help="Ask this server, such as https://registry.example.com, instead of a data folder.")] = "",
    token_file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="With --server: a file with an access token, as `roadstead admin token --out` writes it."),
    ] = None,
    data: Annotated[Optional[Path], typer.Option(help="The server's data folder. [default: data]")] = None,  # noqa: UP045
    config_file: Annotated[Optional[Path], typer.Option("--config", help="TOML file with settings.")] = None,  # noqa: UP045
) -> None:
    """
    Show who did what, when, from where and with which result: every write, and everything that was refused. Newest first.
    """
    terms = _terms(member, method, resource, text, denied)
    terms += [f'timestamp>="{_moment(since)}"'] + ([f'timestamp<"{_moment(until)}"'] if until else [])
    if server:
        entries = _from_server(server, token_file, project, " AND ".join(terms), limit)
    else:
        entries = _from_data(data, config_file, project, " AND ".join(terms), limit)
    _print(entries, output)


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


def _from_server(server: str, token_file: Path | None, project: str, wanted: str, limit: int) -> list[Entry]:
    import httpx

    if token_file is None:
        raise ConfigurationError("with --server, --token-file must say where the access token is")
    headers = {"Authorization": f"Bearer {_read(token_file)}"}
    entries: list[Entry] = []
    request = {"resourceNames": [_owner(project)], "filter": wanted, "orderBy": "timestamp desc"}
    token = ""
    with httpx.Client(base_url=server, headers=headers, timeout=60) as client:
        while True:
            body = {**request, "pageSize": min(_PAGE, limit - len(entries)), "pageToken": token}
            try:
                response = client.post("/v2/entries:list", json=body)
                answer = response.json()
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                raise ConfigurationError(f"{server} could not be asked: {error}") from error
            if response.status_code != 200:
                raise ConfigurationError(f"{server} says no: {answer.get('error', {}).get('message', response.status_code)}")
            entries += answer.get("entries", [])
            token = answer.get("nextPageToken", "")
            if not token or len(entries) >= limit:
                return entries[:limit]


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


def _print(entries: list[Entry], output: AuditFormat) -> None:
    if output is AuditFormat.JSON:
        print_json(entries)
    elif output is AuditFormat.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([*_COLUMNS, "AGENT", "DETAILS"])
        writer.writerows([_cell(text) for text in [*_row(entry), _agent(entry), _details(entry)]] for entry in entries)
    elif entries:
        from rich.markup import escape

        print_table(_COLUMNS, [[escape(text) for text in _row(entry)] for entry in entries])
    else:
        print("Nothing in the audit log fits. It shows the last day unless --since says otherwise.")


def _row(entry: Entry) -> list[str]:
    payload = entry["protoPayload"]
    who = payload["authenticationInfo"].get("principalSubject", "")
    result = f"{_RESULTS.get(entry['severity'], '')} {payload['metadata']['httpStatus'] or ''}".strip()
    address = payload["requestMetadata"].get("callerIp", "")
    return [entry["timestamp"], result, who or "anonymous", payload["methodName"], payload["resourceName"], address]


def _agent(entry: Entry) -> str:
    return str(entry["protoPayload"]["requestMetadata"].get("callerSuppliedUserAgent", ""))


def _details(entry: Entry) -> str:
    return json.dumps(entry["protoPayload"]["metadata"], sort_keys=True)


def _cell(text: str) -> str:
    """A spreadsheet takes what begins so for a formula, and clients choose their own names."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
