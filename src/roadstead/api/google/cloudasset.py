"""
The little of Cloud Asset Inventory by which `gcloud container images list-gcr-usage` finds registries: their buckets, of one project or of
all.

A bucket is told of once there is an image in it. Spec: Cloud Asset API v1, searchAllResources.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roadstead.api.google import json
from roadstead.api.google.routing import Call, Route, of_organization, page_token
from roadstead.api.google.storage import bucket_name
from roadstead.errors import FieldInvalid, ResourceUnknown
from roadstead.iam import resources
from roadstead.iam.projects import ACTIVE, Project

MOST_LOOKED_AT = 500
"""Projects in one request, of which most may have no images; the next page goes on from there."""

_BUCKET = "storage.googleapis.com/Bucket"
_QUERIES = ("", "name:artifacts appspot com")
_PERMISSION = "cloudasset.assets.searchAllResources"


def _wants_buckets(call: Call) -> bool:
    """Raises FieldInvalid for a query that would have to be understood."""
    if call.parameter("query") not in _QUERIES:
        raise FieldInvalid(f"query can be left out, or be {_QUERIES[1]!r}: only registries' buckets can be searched for here")
    types = call.request.parameters().get("assetTypes", [])
    return not types or _BUCKET in types


def _shown(project: Project, location: str) -> dict[str, Any]:
    return {
        "name": f"//storage.googleapis.com/{bucket_name(project.id, location)}",
        "assetType": _BUCKET,
        "project": f"projects/{project.number}",
        "displayName": bucket_name(project.id, location),
        "parentFullResourceName": resources.full_name(resources.project(project.id)),
        "parentAssetType": "cloudresourcemanager.googleapis.com/Project",
    }


async def _buckets(call: Call, project: Project) -> list[dict[str, Any]]:
    """None of a project that is being deleted: its registry answers nobody."""
    if project.state != ACTIVE:
        return []
    beginning = f"{resources.name_prefix(project.id)}/"
    locations = sorted(set(call.services.hosts.values()))
    used = [each for each in locations if await call.services.packages.list(each, beginning, "", 1)]
    return [_shown(project, each) for each in used]


async def _of_project(call: Call) -> dict[str, Any]:
    """On one page: there are a few locations."""
    if not _wants_buckets(call):
        return {}
    return json.without_nothing({"results": await _buckets(call, await call.services.projects.get(call.variables["project"]))})


async def _of_all(call: Call) -> dict[str, Any]:
    """A page ends with a project's last bucket, so that it may have a few more than asked for."""
    if call.variables["organization"] != resources.ORGANIZATION_ID:
        raise ResourceUnknown("there is one organization here, organizations/0")
    if not _wants_buckets(call):
        return {}
    page = call.page()
    found: list[dict[str, Any]] = []
    projects = await call.services.projects.list(page.token, MOST_LOOKED_AT)
    for project in projects:
        found += await _buckets(call, project)
        if len(found) >= page.size:
            break
    ended = len(projects) < MOST_LOOKED_AT and (not projects or project is projects[-1])
    return json.without_nothing({"results": found, "nextPageToken": "" if ended else page_token(project.id)})


ROUTES: Sequence[Route] = (
    Route("GET", "/v1/projects/{project}:searchAllResources", _of_project, _PERMISSION),
    Route("GET", "/v1/organizations/{organization}:searchAllResources", _of_all, _PERMISSION, of_organization),
)
