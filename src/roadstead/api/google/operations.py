"""
Operations that are named in a project and a location: those of Artifact Registry begin with its kind, those of On-Demand Scanning are
called as their scans.

Spec: google.longrunning.Operations, GetOperation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roadstead.api.google import ondemandscanning, package_changes
from roadstead.api.google.routing import AUTHENTICATED, Call, Route


async def _get(call: Call) -> dict[str, Any]:
    """Raises ResourceUnknown, also for one that the caller may not see."""
    if call.variables["operation"].startswith(f"{package_changes.KIND}."):
        return await package_changes.operation(call)
    return await ondemandscanning.operation(call)


ROUTES: Sequence[Route] = (
    Route("GET", "/v1/projects/{project}/locations/{location}/operations/{operation}", _get, AUTHENTICATED),
    Route("GET", "/v1beta1/projects/{project}/locations/{location}/operations/{operation}", _get, AUTHENTICATED),
)
