"""
Artifact Registry's names for what is here, and the rights on them: a registry's repository is what its bucket is in Cloud Storage, and a
package is a repository here, or all whose paths begin with it; which is finer than Container Registry was.

What is in a package, packages.py and dockerimages.py tell. gcr.io is `locations/us/repositories/gcr.io`, us.gcr.io
`locations/us/repositories/us.gcr.io`, eu.gcr.io is in `europe`, asia.gcr.io in `asia`.
Spec: Artifact Registry API v1, projects.locations.repositories; what clients really send: contract.md, 2.7.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from roadstead.api.google import json, policies
from roadstead.api.google.routing import AUTHENTICATED, Call, Route, Variables
from roadstead.errors import ResourceUnknown
from roadstead.iam import resources, services
from roadstead.iam.projects import Project

_REPOSITORIES = {("us", "gcr.io"): "gcr", ("us", "us.gcr.io"): "us", ("europe", "eu.gcr.io"): "eu", ("asia", "asia.gcr.io"): "asia"}
_PERMISSION = "artifactregistry.repositories."
_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_MOST_PATH = 255


def of_repository(variables: Variables) -> str:
    """Raises ResourceUnknown, for everybody, for what is no registry."""
    location = _REPOSITORIES.get((variables["location"], variables["repository"]))
    if location is None:
        raise ResourceUnknown(
            "there is no such repository here: there are gcr.io and us.gcr.io in us, eu.gcr.io in europe, asia.gcr.io in asia"
        )
    return resources.bucket(variables["project"], location)


def of_package(variables: Variables) -> str:
    """A path that repositories have or begin with; whether there is one does not matter, so that rights can be given before the push."""
    path = path_of_package(variables)
    if len(path) > _MOST_PATH or _PATH.fullmatch(path) is None:
        raise ResourceUnknown("a package is a repository's path, or the beginning of one, with %2F for each slash", {"package": path[:100]})
    return f"{of_repository(variables)}/repositories/{path}"


def path_of_package(variables: Variables) -> str:
    """gcloud writes a slash as %2F in the name and encodes the name once more: %252F. No path has a percent sign of its own."""
    return unquote(variables["package"])


def host_of(variables: Variables) -> str:
    """What the names of the repository's images begin with. Those of this API's repositories are these hosts'."""
    return variables["repository"]


async def require_api(project_id: str, call: Call) -> None:
    """What is in a repository can be read where images can be pushed to it. Raises ServiceDisabled."""
    for service in (services.ARTIFACTS, services.REGISTRY):
        if await call.services.projects.is_enabled(project_id, service):
            return
    raise services.disabled(services.ARTIFACTS, project_id)


def _shown(project: Project, location: str, repository: str) -> dict[str, Any]:
    return {
        "name": f"projects/{project.id}/locations/{location}/repositories/{repository}",
        "format": "DOCKER",
        "mode": "STANDARD_REPOSITORY",
        "createTime": json.time_of(project.created_at_us),
        "updateTime": json.time_of(project.created_at_us),
        "registryUri": repository,
    }


async def _get(call: Call) -> dict[str, Any]:
    project = await call.services.projects.get(call.variables["project"])
    return _shown(project, call.variables["location"], call.variables["repository"])


async def _list(call: Call) -> dict[str, Any]:
    """location `-` is all of them."""
    project = await call.services.projects.get(call.variables["project"])
    wanted, here = call.variables["location"], set(call.services.hosts.values())
    found = [
        _shown(project, location, repository)
        for (location, repository), ours in _REPOSITORIES.items()
        if ours in here and wanted in (location, "-")
    ]
    return json.without_nothing({"repositories": found})


_LOCATIONS = sorted({location for location, _ in _REPOSITORIES})


def _location(project: Project, name: str) -> dict[str, Any]:
    return {"name": f"projects/{project.id}/locations/{name}", "locationId": name}


async def _locations(call: Call) -> dict[str, Any]:
    project = await call.services.projects.get(call.variables["project"])
    return {"locations": [_location(project, name) for name in _LOCATIONS]}


async def _get_location(call: Call) -> dict[str, Any]:
    project, name = await call.services.projects.get(call.variables["project"]), call.variables["location"]
    if name not in _LOCATIONS:
        raise ResourceUnknown(f"there is no such location here: there are {', '.join(_LOCATIONS)}", {"location": name[:100]})
    return _location(project, name)


async def _settings(call: Call) -> dict[str, Any]:
    project = await call.services.projects.get(call.variables["project"])
    return {"name": f"projects/{project.id}/projectSettings", "legacyRedirectionState": "REDIRECTION_FROM_GCR_IO_ENABLED"}


_LIST = "/v1/projects/{project}/locations/{location}/repositories"
REPOSITORY = _LIST + "/{repository}"
PACKAGE = REPOSITORY + "/packages/{package}"

ROUTES: Sequence[Route] = (
    Route("GET", "/v1/projects/{project}/projectSettings", _settings, "artifactregistry.projectsettings.get"),
    Route("GET", "/v1/projects/{project}/locations", _locations, "artifactregistry.locations.list"),
    Route("GET", "/v1/projects/{project}/locations/{location}", _get_location, "artifactregistry.locations.get"),
    # gcloud 528 asks for locations there, for all else in v1.
    Route("GET", "/v1beta2/projects/{project}/locations", _locations, "artifactregistry.locations.list"),
    Route("GET", _LIST, _list, _PERMISSION + "list"),
    Route("GET", REPOSITORY, _get, _PERMISSION + "get", of_repository),
    Route("GET", REPOSITORY + ":getIamPolicy", policies.get, _PERMISSION + "getIamPolicy", of_repository),
    Route("POST", REPOSITORY + ":setIamPolicy", policies.put, _PERMISSION + "setIamPolicy", of_repository),
    Route("POST", REPOSITORY + ":testIamPermissions", policies.test, AUTHENTICATED, of_repository),
    Route("GET", PACKAGE + ":getIamPolicy", policies.get, _PERMISSION + "getIamPolicy", of_package),
    Route("POST", PACKAGE + ":setIamPolicy", policies.put, _PERMISSION + "setIamPolicy", of_package),
    Route("POST", PACKAGE + ":testIamPermissions", policies.test, AUTHENTICATED, of_package),
)
