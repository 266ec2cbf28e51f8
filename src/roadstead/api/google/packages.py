"""
Artifact Registry's packages, versions and tags: repositories, manifests and tags of a registry, to be read.

Lists are in the order of names or digests. A filter or an order that is not known is refused: clients then filter and sort by themselves.
Spec: Artifact Registry API v1, projects.locations.repositories.packages; what clients really send: contract.md, 2.7.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote

from roadstead.api.google import json
from roadstead.api.google.artifactregistry import PACKAGE, REPOSITORY, of_package, of_repository, path_of_package, require_api
from roadstead.api.google.routing import Call, Page, Route, listed, page_token
from roadstead.errors import FieldInvalid
from roadstead.iam import resources
from roadstead.oci.reference import MAX_NAME_LENGTH, Repository
from roadstead.registry.packages import Package, Tagged, Version

MOST_IN_VAIN = 5000
"""Packages looked at in one request that the caller may not see; what is beyond them is on the next page."""

_BATCH = 500
_YEAR_10000_MS = 253_402_300_800_000
_FULL = ("FULL", "2")
_VIEWS = ("", "VERSION_VIEW_UNSPECIFIED", "0", "BASIC", "1", *_FULL)
_OF_VERSION = re.compile(r'\s*version\s*=\s*"(?P<package>[^"]{1,1000})/versions/(?P<digest>[a-z0-9]{1,10}:[a-f0-9]{1,128})"\s*')


def name_of_repository(call: Call) -> str:
    variables = call.variables
    return f"projects/{variables['project']}/locations/{variables['location']}/repositories/{variables['repository']}"


def path_of(name: str) -> str:
    """A repository's path in its project."""
    return resources.split_name(name)[1]


def name_of_package(call: Call, name: str) -> str:
    return f"{name_of_repository(call)}/packages/{quote(path_of(name), safe='')}"


def repository_of(call: Call, path: str) -> Repository:
    """The repository of this path in the project and location that were asked for."""
    location = of_repository(call.variables).rpartition("/")[2]
    return Repository(location, f"{resources.name_prefix(call.variables['project'])}/{path}")


async def visible(call: Call, permission: str, after: str, most: int) -> tuple[list[Package], str]:
    """
    Of the packages after this whole name, those on which the caller has the permission, most at the most; and what was looked at last,
    "" after the end. The caller has it on the location: only conditions can take a package out.
    """
    here = repository_of(call, "")
    conditional = await call.services.authorizer.is_conditional(of_repository(call.variables))
    step = _BATCH if conditional else min(most + 1, _BATCH)
    found: list[Package] = []
    in_vain = 0
    while in_vain < MOST_IN_VAIN:
        batch = await call.services.packages.list(here.location, here.name, after, step)
        for package in batch:
            if len(found) == most:
                return found, after
            after = package.name
            if conditional and not await may_see(call, permission, package.name):
                in_vain += 1
                continue
            found.append(package)
        if len(batch) < step:
            return found, ""
    return found, after


async def may_see(call: Call, permission: str, name: str) -> bool:
    """Never what is not in the project that was asked for. name is what a client's page token says."""
    here = repository_of(call, "")
    if not name.startswith(here.name) or len(name) > MAX_NAME_LENGTH:
        return False
    resource = f"{of_repository(call.variables)}/repositories/{path_of(name)}"
    return await call.services.authorizer.permits(call.principal, permission, resource)


def check_order_and_filter(call: Call) -> None:
    """That there is neither. Raises FieldInvalid."""
    for field in ("filter", "orderBy"):
        if call.parameter(field):
            raise FieldInvalid(
                f"{field} is not possible here: leave it out, and choose or sort what you get", {field: call.parameter(field)[:100]}
            )


def metadata(call: Call, name: str, version: Version) -> dict[str, Any]:
    """What a version's metadata and an image (dockerimages.py) tell alike. No buildTime where nobody has said one."""
    built_at_ms = version.created_at_ms
    return json.without_nothing(
        {
            "name": f"{name_of_repository(call)}/dockerImages/{quote(path_of(name), safe='')}@{version.digest}",
            "imageSizeBytes": "" if version.image_size_bytes is None else str(version.image_size_bytes),
            "mediaType": version.media_type,
            "buildTime": json.time_of(built_at_ms * 1000) if built_at_ms is not None and 0 <= built_at_ms < _YEAR_10000_MS else "",
        }
    )


def _package(call: Call, package: Package) -> dict[str, Any]:
    at = json.time_of(package.created_at_us)
    return {"name": name_of_package(call, package.name), "createTime": at, "updateTime": at}


def _version(call: Call, name: str, version: Version) -> dict[str, Any]:
    package, at = name_of_package(call, name), json.time_of(version.pushed_at_us)
    shown = f"{package}/versions/{version.digest}"
    tags = [{"name": f"{package}/tags/{tag}", "version": shown} for tag in version.tags]
    return json.without_nothing(
        {"name": shown, "createTime": at, "updateTime": at, "relatedTags": tags, "metadata": metadata(call, name, version)}
    )


def shown_tag(call: Call, name: str, tagged: Tagged) -> dict[str, Any]:
    package = name_of_package(call, name)
    return {"name": f"{package}/tags/{tagged.tag}", "version": f"{package}/versions/{tagged.digest}"}


async def ready(call: Call) -> Repository:
    """The package that was asked for. Raises ServiceDisabled."""
    await require_api(call.variables["project"], call)
    return repository_of(call, path_of_package(call.variables))


async def _list(call: Call) -> dict[str, Any]:
    await require_api(call.variables["project"], call)
    check_order_and_filter(call)
    page = call.page()
    found, beyond = await visible(call, "artifactregistry.packages.list", page.token, page.size)
    return json.without_nothing({"packages": [_package(call, each) for each in found], "nextPageToken": page_token(beyond)})


async def _get(call: Call) -> dict[str, Any]:
    return _package(call, await call.services.packages.get(await ready(call)))


async def _versions(call: Call) -> dict[str, Any]:
    """Raises ResourceUnknown for a package that is not there: gcloud then looks for packages below that path."""
    repository = await ready(call)
    check_order_and_filter(call)
    page, full = call.page(), _is_full(call)
    found = await call.services.packages.versions(repository, page.token, page.size + 1, with_tags=full)
    if not found and not page.token:
        await call.services.packages.get(repository)
    return listed("versions", found, page, lambda each: each.digest, lambda each: _version(call, repository.name, each))


async def _get_version(call: Call) -> dict[str, Any]:
    repository = await ready(call)
    version = await call.services.packages.version(repository, call.variables["version"], with_tags=_is_full(call))
    return _version(call, repository.name, version)


async def _tags(call: Call) -> dict[str, Any]:
    """`filter=version="…/versions/sha256:D"`: those of one version."""
    repository = await ready(call)
    page = call.page()
    found = await _tags_after(call, repository, page)
    if not found and not page.token:
        await call.services.packages.get(repository)
    return listed("tags", found, page, lambda each: each.tag, lambda each: shown_tag(call, repository.name, each))


async def _tags_after(call: Call, repository: Repository, page: Page) -> Sequence[Tagged]:
    wanted = call.parameter("filter")
    if not wanted:
        return await call.services.packages.tags(repository, page.token, page.size + 1)
    match = _OF_VERSION.fullmatch(wanted)
    if match is None:
        raise FieldInvalid('filter is version="PACKAGE/versions/DIGEST", or is left out', {"filter": wanted[:100]})
    if unquote(match["package"]) != unquote(name_of_package(call, repository.name)):
        return []
    return await call.services.packages.tags_of(repository, match["digest"], page.token, page.size + 1)


async def _get_tag(call: Call) -> dict[str, Any]:
    repository = await ready(call)
    return shown_tag(call, repository.name, await call.services.packages.tag(repository, call.variables["tag"]))


def _is_full(call: Call) -> bool:
    view = call.parameter("view")
    if view not in _VIEWS:
        raise FieldInvalid("view is BASIC or FULL", {"view": view[:50]})
    return view in _FULL


_PERMISSION = "artifactregistry."

ROUTES: Sequence[Route] = (
    Route("GET", REPOSITORY + "/packages", _list, _PERMISSION + "packages.list", of_repository),
    Route("GET", PACKAGE, _get, _PERMISSION + "packages.get", of_package),
    Route("GET", PACKAGE + "/versions", _versions, _PERMISSION + "versions.list", of_package),
    Route("GET", PACKAGE + "/versions/{version}", _get_version, _PERMISSION + "versions.get", of_package),
    Route("GET", PACKAGE + "/tags", _tags, _PERMISSION + "tags.list", of_package),
    Route("GET", PACKAGE + "/tags/{tag}", _get_tag, _PERMISSION + "tags.get", of_package),
)
