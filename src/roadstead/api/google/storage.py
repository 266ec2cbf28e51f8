"""
The little of Cloud Storage that Container Registry's users need: rights on a registry's bucket are rights on its images.

`artifacts.P.appspot.com` is where gcr.io/P keeps images, `us.artifacts.P.appspot.com` where us.gcr.io/P does, and so on; a domain-scoped
project's is `artifacts.P.example.com.a.appspot.com`.
Spec: Cloud Storage JSON API v1, buckets; Container Registry, Configuring access control; what clients really send: contract.md, 2.8.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from roadstead.api.google import json, policies
from roadstead.api.google.routing import AUTHENTICATED, Call, Route, Variables
from roadstead.errors import FieldInvalid, ResourceUnknown
from roadstead.iam import resources
from roadstead.iam.decide import CONDITIONS_VERSION
from roadstead.iam.projects import Project

DEFAULT = "gcr"
"""The location whose bucket's name begins with nothing."""

_BUCKET = re.compile(r"(?:(?P<location>[a-z0-9][a-z0-9-]{0,31})\.)?artifacts\.(?P<project>[a-z0-9.-]{1,230})\.appspot\.com")


def of_bucket(variables: Variables) -> str:
    """Raises ResourceUnknown, for everybody, for what no registry's bucket can be named."""
    match = _BUCKET.fullmatch(variables["bucket"])
    if match is not None:
        project, location = match["project"], match["location"] or DEFAULT
        if project.endswith(".a") and project.count(".") > 1:
            name, _, domain = project.removesuffix(".a").partition(".")
            project = f"{domain}:{name}"
        if resources.is_project_id(project):
            return resources.bucket(project, location)
    raise ResourceUnknown("The specified bucket does not exist.", {"bucket": variables["bucket"][:100]})


def bucket_name(project_id: str, location: str) -> str:
    domain, _, name = project_id.rpartition(":")
    return f"{'' if location == DEFAULT else location + '.'}artifacts.{name}{'.' + domain + '.a' if domain else ''}.appspot.com"


def _shown(project: Project, location: str) -> dict[str, Any]:
    name = bucket_name(project.id, location)
    return {
        "kind": "storage#bucket",
        "id": name,
        "name": name,
        "projectNumber": str(project.number),
        "metageneration": "1",
        "location": "US" if location == DEFAULT else location.upper(),
        "locationType": "multi-region",
        "storageClass": "STANDARD",
        "etag": "CAE=",
        "timeCreated": json.time_of(project.created_at_us),
        "updated": json.time_of(project.created_at_us),
        "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}},
    }


def _policy(call: Call, shown: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "storage#policy", "resourceId": f"projects/_/buckets/{call.variables['bucket']}", **shown}


def _location(call: Call) -> str:
    """Raises ResourceUnknown for one that this server has not."""
    location = call.resource.rpartition("/")[2]
    if location not in _locations(call):
        raise ResourceUnknown("The specified bucket does not exist.", {"bucket": call.variables["bucket"][:100]})
    return location


def _locations(call: Call) -> list[str]:
    return sorted(set(call.services.hosts.values()))


async def _get(call: Call) -> dict[str, Any]:
    location = _location(call)
    return _shown(await call.services.projects.get(resources.project_of(call.resource)), location)


async def _list(call: Call) -> dict[str, Any]:
    """`?project=P`"""
    project_id = call.parameter("project")
    if not resources.is_project_id(project_id):
        raise FieldInvalid("the parameter project must be a project's id", {"project": project_id[:100]})
    await call.require("storage.buckets.list", resources.project(project_id))
    project = await call.services.projects.get(project_id)
    buckets = [_shown(project, location) for location in _locations(call)]
    prefix = call.parameter("prefix")
    return {"kind": "storage#buckets", "items": [bucket for bucket in buckets if bucket["name"].startswith(prefix)]}


async def _get_policy(call: Call) -> dict[str, Any]:
    _location(call)
    await policies.check_exists(call)
    version = policies.version(call.parameter("optionsRequestedPolicyVersion"))
    return _policy(call, policies.shown(await call.services.policies.get(call.resource), version))


async def _put_policy(call: Call) -> dict[str, Any]:
    _location(call)
    stored = await policies.replace(call, await call.body(policies.PolicyBody))
    return _policy(call, policies.shown(stored, CONDITIONS_VERSION))


async def _test(call: Call) -> dict[str, Any]:
    """`?permissions=storage.buckets.get&permissions=…`"""
    held = await policies.permissions_held(call, call.request.parameters().get("permissions", []))
    return json.without_nothing({"kind": "storage#testIamPermissionsResponse", "permissions": held})


_IAM = "/storage/v1/b/{bucket}/iam"

# What Google's storage clients ask for by themselves (cloud.google.com/storage/docs/oauth-scopes).
_DEVSTORAGE = "https://www.googleapis.com/auth/devstorage."
_FULL = frozenset({_DEVSTORAGE + "full_control"})
_READS = _FULL | {_DEVSTORAGE + "read_write", _DEVSTORAGE + "read_only"}

ROUTES: Sequence[Route] = (
    Route("GET", "/storage/v1/b", _list, AUTHENTICATED, scopes=_READS),
    Route("GET", "/storage/v1/b/{bucket}", _get, "storage.buckets.get", of_bucket, scopes=_READS),
    Route("GET", _IAM, _get_policy, "storage.buckets.getIamPolicy", of_bucket, scopes=_FULL),
    Route("PUT", _IAM, _put_policy, "storage.buckets.setIamPolicy", of_bucket, scopes=_FULL),
    Route("GET", _IAM + "/testPermissions", _test, AUTHENTICATED, of_bucket, scopes=_FULL),
)
