"""
What the methods of notes and of occurrences share (notes.py, occurrences.py): Container Analysis v1, which is Grafeas v1 with rights.

Every path is there with `/locations/LOCATION` too. All locations are one here; names in an answer have the form that was asked for.
Spec: https://cloud.google.com/container-analysis/docs/reference/rest; what clients really send: contract.md, 2.3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from roadstead.analysis import names
from roadstead.api.google import json, policies
from roadstead.api.google.routing import AUTHENTICATED, Call, Route, Variables
from roadstead.errors import FieldInvalid, ResourceUnknown
from roadstead.iam import resources, services

PARENTS = ("/v1/projects/{project}", "/v1/projects/{project}/locations/{location}")
PAGE_SIZE = 20
"""If nobody says another (ListOccurrencesRequest.page_size)."""

MOST_BODY_BYTES = 1024 * 1024 + 4096
MOST_BATCH_BYTES = 4 * 1024 * 1024
_LOCATION = re.compile(r"[a-z0-9-]{1,63}")


def of_note(variables: Variables) -> str:
    return resources.note(variables["project"], variables["note"])


def of_occurrence(variables: Variables) -> str:
    return resources.occurrence(variables["project"], variables["occurrence"])


def policy_routes(one: str, permission: str) -> Sequence[Route]:
    """one: the template of a note or an occurrence; permission begins that of its methods."""
    where = of_note if "{note}" in one else of_occurrence
    return (
        Route("POST", one + ":getIamPolicy", policies.get, permission + "getIamPolicy", where),
        Route("POST", one + ":setIamPolicy", policies.put, permission + "setIamPolicy", where),
        Route("POST", one + ":testIamPermissions", policies.test, AUTHENTICATED, where),
    )


async def parent(call: Call) -> tuple[str, str]:
    """(project, location) of the path; location "" if it has none. Raises ServiceDisabled, ResourceUnknown, StateForbids."""
    project, location = call.variables["project"], call.variables.get("location", "")
    if project not in names.OF_THE_SERVER and not await call.services.projects.is_enabled(project, services.ANALYSIS):
        await call.services.projects.require_active(project)
        raise services.disabled(services.ANALYSIS, project)
    if location and _LOCATION.fullmatch(location) is None:
        raise ResourceUnknown(f"there is no location {location[:100]}", {"location": location[:100]})
    return project, location


async def body(call: Call, most_bytes: int = MOST_BODY_BYTES) -> Any:
    """Any JSON. Raises FieldInvalid, TooLarge."""
    try:
        return msgspec.json.decode(await call.content(most_bytes) or b"{}")
    except (msgspec.DecodeError, RecursionError) as error:
        raise FieldInvalid(f"Invalid JSON payload received. {error}") from error


def of_batch(whole: Any, field: str, kind: type[Any], parent_name: str) -> Any:
    """What a batch brings in field, which is of the kind. Raises FieldInvalid."""
    if not isinstance(whole, dict):
        raise FieldInvalid("Invalid JSON payload received. It must be an object.")
    for name in whole:
        if name not in (field, "parent"):
            raise FieldInvalid(f"Invalid JSON payload received. Unknown name {name[:100]!r}: Cannot find field.", {"field": name[:100]})
    if whole.get("parent", parent_name) != parent_name:
        raise FieldInvalid("'parent' is not that of the path", {"field": "parent"})
    found = whole.get(field)
    if not isinstance(found, kind):
        raise FieldInvalid(f"'{field}' is required", {"field": field})
    return found


def listed(field: str, shown: Sequence[Any], next_token: str) -> dict[str, Any]:
    return json.without_nothing({field: list(shown), "nextPageToken": json.text_of(next_token.encode()) if next_token else ""})
