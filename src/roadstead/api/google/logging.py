"""
The audit log as Cloud Logging gives Cloud Audit Logs: `gcloud logging read` and `roadstead audit` ask here.

Of the query language there are comparisons joined by AND, of the fields in FIELDS, and texts to look for. Entries come newest first. A page
may be empty and have a next one: each looks at a limited number of rows. Spec: Cloud Logging API v2, entries.list; Logging query language;
google.cloud.audit.AuditLog.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from roadstead.api.google import json
from roadstead.api.google.routing import AUTHENTICATED, Call, Route, page_token
from roadstead.errors import FieldInvalid, ResourceUnknown
from roadstead.iam import resources
from roadstead.iam.audit import Entry, Filter, Outcome, Place

PERMISSION = "logging.logEntries.list"
LOG_ID = "cloudaudit.googleapis.com%2Factivity"
FIELDS = (
    "timestamp",
    "logName",
    "severity",
    "protoPayload.methodName",
    "protoPayload.resourceName",
    "protoPayload.authenticationInfo.principalEmail",
    "protoPayload.authenticationInfo.principalSubject",
    "protoPayload.status.code",
)
MOST_FILTER_CHARACTERS = 20_000
MOST_PAGE = 1000

_CODES = {401: 16, 403: 7, 404: 5, 409: 6, 400: 3, 412: 9, 429: 8, 503: 14}
_TERM = re.compile(
    r"""\s*(?:(?P<and>AND\b)|(?:(?P<field>[A-Za-z][\w.]*)\s*(?P<operator>>=|<=|!=|=~|!~|[=:<>])\s*)?"""
    r"""(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s"()=<>:]+[^\s"()]*)))""",
    re.DOTALL,
)
_SERVICES = (
    ("docker.", "containerregistry.googleapis.com"),
    ("/storage", "storage.googleapis.com"),
    ("/v1/token", "sts.googleapis.com"),
    ("/repositories/", "artifactregistry.googleapis.com"),
    (":generate", "iamcredentials.googleapis.com"),
    ("/serviceAccounts", "iam.googleapis.com"),
    ("/workloadIdentityPools", "iam.googleapis.com"),
    ("/roles", "iam.googleapis.com"),
    ("/services", "serviceusage.googleapis.com"),
    ("/projects", "cloudresourcemanager.googleapis.com"),
    ("/organizations", "cloudresourcemanager.googleapis.com"),
)


class _ListRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    resource_names: tuple[str, ...] = ()
    project_ids: tuple[str, ...] = ()
    filter: str = ""
    order_by: str = ""
    page_size: int = 0
    page_token: str = ""


@dataclass(frozen=True, slots=True)
class _Term:
    """field and operator are "" for a text alone."""

    field: str
    operator: str
    value: str


async def _list(call: Call) -> dict[str, Any]:
    body = await call.body(_ListRequest)
    project = await _asked_on(call, [*body.resource_names, *(f"projects/{each}" for each in body.project_ids)])
    if body.order_by not in ("", "timestamp desc"):
        raise FieldInvalid('orderBy can be "timestamp desc"')
    if body.page_size < 0:
        raise FieldInvalid("pageSize must not be negative")
    wanted = read(body.filter, project)
    if wanted is None:
        return {}
    page = await call.services.audit.query(wanted, min(body.page_size or 50, MOST_PAGE), _place(body.page_token))
    token = page_token(f"{page.next.at_us}.{page.next.id}") if page.next else ""
    return json.without_nothing({"entries": [shown(entry) for entry in page.entries], "nextPageToken": token})


async def _asked_on(call: Call, names: Sequence[str]) -> str | None:
    """
    The project whose entries are wanted; None for all, which needs the right on the organization.

    Raises FieldInvalid, PermissionDenied.
    """
    if len(names) != 1:
        raise FieldInvalid("resourceNames must have one name: projects/PROJECT, or organizations/NUMBER for everything")
    kind, _, name = names[0].partition("/")
    if kind == "organizations" and name == resources.ORGANIZATION_ID:
        await call.require(PERMISSION, resources.ORGANIZATION)
        return None
    if kind != "projects" or not name or "/" in name:
        raise FieldInvalid("resourceNames must have one name: projects/PROJECT, or organizations/NUMBER for everything")
    asked_for = resources.project(name)
    if name.isascii() and name.isdigit():
        # A number that nobody has is refused like one of somebody else's.
        with suppress(ResourceUnknown):
            name = await call.services.projects.id_of_number(int(name[:19]))
    await call.require(PERMISSION, resources.project(name), asked_for)
    return name


def read(text: str, project: str | None) -> Filter | None:
    """
    A filter of the query language; None for one that nothing here can match.

    Raises FieldInvalid for what is not known of the language.
    """
    fields: dict[str, Any] = {}
    for term in _terms(text):
        found = _condition(term)
        if found is None:
            return None
        for name, value in found.items():
            if fields.setdefault(name, value) != value:
                fields[name] = _both(name, fields[name], value)
    return Filter(project=project, **fields)


def _both(name: str, first: Any, second: Any) -> Any:
    """Raises FieldInvalid."""
    if name == "since_us":
        return max(first, second)
    if name == "until_us":
        return min(first, second)
    raise FieldInvalid(f"the filter asks twice, and differently, for the same: {name}")


def _terms(text: str) -> Sequence[_Term]:
    if len(text) > MOST_FILTER_CHARACTERS:
        raise FieldInvalid(f"filter may have {MOST_FILTER_CHARACTERS} characters")
    terms, at = [], 0
    while text[at:].strip():
        found = _TERM.match(text, at)
        if found is None or found["bare"] in ("OR", "NOT"):
            raise FieldInvalid(
                f"filter: comparisons joined by AND are known here, not this at character {at + 1}", {"filter": text[at : at + 100]}
            )
        at = found.end()
        if not found["and"]:
            value = found["bare"] if found["quoted"] is None else re.sub(r"\\(.)", r"\1", found["quoted"], flags=re.DOTALL)
            terms.append(_Term(found["field"] or "", found["operator"] or "", value))
    return terms


def _condition(term: _Term) -> dict[str, Any] | None:
    """Fields of a Filter; None for what cannot be."""
    match term:
        case _Term("", "", value):
            return {"text": value}
        case _Term("timestamp", ">=" | ">" | "<" | "<=" as operator, value):
            at_us = _moment(value)
            return {"since_us": at_us + (operator == ">")} if operator[0] == ">" else {"until_us": at_us + (operator == "<=")}
        case _Term("logName", "=" | ":", value):
            return {} if value.replace("/", "%2F").endswith(LOG_ID) or value == "cloudaudit.googleapis.com" else None
        case _Term("severity", "=" | ">=", value):
            return _severity(term.operator, value.upper())
        case _Term("protoPayload.methodName", "=", value):
            return {"method": value}
        case _Term("protoPayload.resourceName", "=" | ":", value):
            return {"resource": value}
        case _Term("protoPayload.authenticationInfo.principalEmail", "=", value):
            kind = "serviceAccount" if value.endswith(".gserviceaccount.com") else "user"
            return {"member": f"{kind}:{value.lower()}" if value else ""}
        case _Term("protoPayload.authenticationInfo.principalSubject", "=", value):
            return {"member": value}
        case _Term("protoPayload.status.code", "=", value):
            return {"outcome": Outcome.OK} if value == "0" else {"outcome": Outcome.DENIED} if value in ("7", "16") else None
    raise FieldInvalid(f"filter: {term.field} {term.operator} is not known here; known are {', '.join(FIELDS)}")


def _severity(operator: str, value: str) -> dict[str, Any] | None:
    """NOTICE is what was done, WARNING what was refused, ERROR what failed."""
    exact = {"NOTICE": Outcome.OK, "WARNING": Outcome.DENIED, "ERROR": Outcome.FAILED}
    if operator == "=":
        return {"outcome": exact[value]} if value in exact else None
    if value in ("DEFAULT", "DEBUG", "INFO", "NOTICE"):
        return {}
    if value == "ERROR":
        return {"outcome": Outcome.FAILED}
    raise FieldInvalid("filter: severity can be compared as >=NOTICE, >=ERROR, =NOTICE, =WARNING and =ERROR")


def _moment(text: str) -> int:
    """RFC 3339. Raises FieldInvalid."""
    try:
        found = datetime.fromisoformat(text.strip().upper().replace("Z", "+00:00"))
        at = found if found.tzinfo else found.replace(tzinfo=UTC)
        return int(at.timestamp() * 1_000_000)
    except (ValueError, OverflowError) as error:
        raise FieldInvalid("filter: timestamp is compared with a time such as 2026-12-31T12:00:00Z", {"time": text[:50]}) from error


def _place(token: str) -> Place | None:
    """Raises FieldInvalid."""
    if not token:
        return None
    found = re.fullmatch(r"([0-9]{1,18})\.([0-9]{1,18})", json.bytes_of(token).decode("ascii", "replace"))
    if found is None:
        raise FieldInvalid("pageToken must be the nextPageToken of the page before")
    return Place(int(found[1]), int(found[2]))


def shown(entry: Entry) -> dict[str, Any]:
    """A LogEntry with an AuditLog in it."""
    owner = f"projects/{entry.project}" if entry.project else f"organizations/{resources.ORGANIZATION_ID}"
    kind, _, name = entry.member.partition(":")
    service = next((service for part, service in _SERVICES if part in entry.method), "roadstead")
    code = 0 if entry.outcome == Outcome.OK else _CODES.get(entry.status, 2)
    payload = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "serviceName": service,
        "methodName": entry.method,
        "resourceName": entry.resource,
        "authenticationInfo": json.without_nothing(
            {"principalEmail": name if kind in ("user", "serviceAccount") else "", "principalSubject": entry.member}
        ),
        "requestMetadata": json.without_nothing({"callerIp": entry.address, "callerSuppliedUserAgent": entry.agent}),
        "status": {"code": code, "message": str(entry.outcome)} if code else {},
        "metadata": {**entry.details, "httpStatus": entry.status, "requestId": entry.request_id},
    }
    return {
        "logName": f"{owner}/logs/{LOG_ID}",
        "insertId": str(entry.id),
        "timestamp": json.time_of(entry.at_us),
        "receiveTimestamp": json.time_of(entry.at_us),
        "severity": {Outcome.OK: "NOTICE", Outcome.DENIED: "WARNING", Outcome.FAILED: "ERROR"}[entry.outcome],
        "resource": {"type": "audited_resource", "labels": json.without_nothing({"service": service, "project_id": entry.project})},
        "protoPayload": payload,
    }


ROUTES: Sequence[Route] = (Route("POST", "/v2/entries:list", _list, AUTHENTICATED),)
