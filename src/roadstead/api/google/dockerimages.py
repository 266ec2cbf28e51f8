"""
Artifact Registry's dockerImages: every manifest of a registry, with its tags.

Spec: Artifact Registry API v1, projects.locations.repositories.dockerImages; what clients really send: contract.md, 2.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from roadstead.api.google import json
from roadstead.api.google.artifactregistry import REPOSITORY, host_of, of_package, of_repository, require_api
from roadstead.api.google.packages import check_order_and_filter, may_see, metadata, repository_of, visible
from roadstead.api.google.routing import Call, Page, Route, Variables, page_token
from roadstead.oci.reference import Repository
from roadstead.registry.packages import Version

_LIST = "artifactregistry.dockerimages.list"
_GET = "artifactregistry.dockerimages.get"


def _of_image(variables: Variables) -> str:
    """`PATH@DIGEST`: the package. Raises ResourceUnknown, as of_package does."""
    return of_package({**variables, "package": unquote(variables["image"]).partition("@")[0]})


def _shown(call: Call, name: str, version: Version) -> dict[str, Any]:
    at = json.time_of(version.pushed_at_us)
    times = {"uploadTime": at, "updateTime": at}
    uri = f"{host_of(call.variables)}/{name}@{version.digest}"
    return json.without_nothing({**metadata(call, name, version), **times, "uri": uri, "tags": list(version.tags)})


async def _list(call: Call) -> dict[str, Any]:
    await require_api(call.variables["project"], call)
    check_order_and_filter(call)
    found, beyond = await _images(call, call.page())
    return json.without_nothing({"dockerImages": [_shown(call, *each) for each in found], "nextPageToken": page_token(beyond)})


async def _images(call: Call, page: Page) -> tuple[list[tuple[str, Version]], str]:
    """
    A page in the order of packages and digests; and where the next begins, "" after the end: `NAME DIGEST` within a package, `NAME ` after
    one.
    """
    name, _, digest = page.token.partition(" ")
    names = [name] if digest and await may_see(call, _LIST, name) else []
    found: list[tuple[str, Version]] = []
    while True:
        for each in names:
            repository, left = Repository(repository_of(call, "").location, each), page.size + 1 - len(found)
            versions = await call.services.packages.versions(repository, digest, left, with_tags=True)
            found += [(each, version) for version in versions]
            digest = ""
            if len(found) > page.size:
                last, version = found[page.size - 1]
                return found[: page.size], f"{last} {version.digest}"
        if names and not name:
            return found, ""
        packages, beyond = await visible(call, _LIST, name, page.size + 1 - len(found))
        names, name = [package.name for package in packages], beyond
        if not names:
            return found, f"{beyond} " if beyond else ""


async def _get(call: Call) -> dict[str, Any]:
    await require_api(call.variables["project"], call)
    path, _, digest = unquote(call.variables["image"]).partition("@")
    repository = repository_of(call, path)
    return _shown(call, repository.name, await call.services.packages.version(repository, digest, with_tags=True))


ROUTES: Sequence[Route] = (
    Route("GET", REPOSITORY + "/dockerImages", _list, _LIST, of_repository),
    Route("GET", REPOSITORY + "/dockerImages/{image}", _get, _GET, _of_image),
)
