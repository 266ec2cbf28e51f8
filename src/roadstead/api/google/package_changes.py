"""
Artifact Registry's changes of packages: tags are made, moved and deleted; versions and packages are deleted, by operations that are done
when they begin.

Spec: Artifact Registry API v1, projects.locations.repositories.packages (delete), .versions (delete), .tags (create, patch, delete).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import msgspec

from roadstead.api.google.artifactregistry import PACKAGE, of_package
from roadstead.api.google.packages import name_of_package, ready, shown_tag
from roadstead.api.google.routing import Call, Route
from roadstead.errors import FieldInvalid
from roadstead.iam.operations import unknown
from roadstead.oci.digest import Digest
from roadstead.oci.reference import Repository, Tag

KIND = "ar"
"""What the names of these operations begin with."""

_DONE = {"@type": "type.googleapis.com/google.protobuf.Empty"}
_METADATA = {"@type": "type.googleapis.com/google.devtools.artifactregistry.v1.OperationMetadata"}


class _Tag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """name is in the path, or is tagId's."""

    name: str = ""
    version: str = ""


def _digest(call: Call, repository: Repository, version: str) -> Digest:
    """A version of the package that was asked for. Raises FieldInvalid, DigestInvalid."""
    package, _, digest = version.rpartition("/versions/")
    if unquote(package) != unquote(name_of_package(call, repository.name)):
        raise FieldInvalid("version must be the whole name of a version of the tag's own package", {"version": version[:300]})
    return Digest.parse(digest)


async def _create_tag(call: Call) -> dict[str, Any]:
    repository = await ready(call)
    tag = Tag.parse(call.parameter("tagId"))
    digest = _digest(call, repository, (await call.body(_Tag)).version)
    await call.services.package_changes.point(repository, tag, digest, new=True)
    return shown_tag(call, repository.name, await call.services.packages.tag(repository, tag))


async def _update_tag(call: Call) -> dict[str, Any]:
    repository = await ready(call)
    if call.parameter("updateMask") not in ("", "*", "version"):
        raise FieldInvalid(
            "updateMask is version: nothing else of a tag can be changed", {"updateMask": call.parameter("updateMask")[:100]}
        )
    tag = Tag.parse(call.variables["tag"])
    digest = _digest(call, repository, (await call.body(_Tag)).version)
    await call.services.package_changes.point(repository, tag, digest, new=False)
    return shown_tag(call, repository.name, await call.services.packages.tag(repository, tag))


async def _delete_tag(call: Call) -> dict[str, Any]:
    repository = await ready(call)
    await call.services.package_changes.delete_tag(repository, Tag.parse(call.variables["tag"]))
    return {}


async def _delete_version(call: Call) -> dict[str, Any]:
    """force: with the tags that point at it."""
    repository = await ready(call)
    force = call.parameter("force")
    if force not in ("", "true", "false"):
        raise FieldInvalid("force is true or false", {"force": force[:50]})
    digest = Digest.parse(call.variables["version"])
    await call.services.package_changes.delete_version(repository, digest, with_tags=force == "true")
    return await _done(call)


async def _delete_package(call: Call) -> dict[str, Any]:
    repository = await ready(call)
    await call.services.packages.get(repository)
    await call.services.package_changes.delete_package(repository)
    return await _done(call)


async def _done(call: Call) -> dict[str, Any]:
    """What is kept says which package it was of, so that whoever may see that may ask again."""
    kept = {**_METADATA, "resource": call.resource}
    operation = await call.services.projects.operations.done(KIND, call.variables["project"], _DONE, kept)
    return _named(call, operation)


def _named(call: Call, operation: dict[str, Any]) -> dict[str, Any]:
    """As this API names it: in a project and a location."""
    place = f"projects/{call.variables['project']}/locations/{call.variables['location']}"
    return {**operation, "name": f"{place}/{operation['name']}", "metadata": _METADATA}


async def operation(call: Call) -> dict[str, Any]:
    """operations.py: one of this KIND. One that the caller may not see is answered like one that is not there. Raises ResourceUnknown."""
    name = f"operations/{call.variables['operation']}"
    project, found = await call.services.projects.operations.get(name)
    may_see = await call.services.authorizer.permits(call.principal, _PERMISSION + "packages.get", found["metadata"]["resource"])
    if project != call.variables["project"] or not may_see:
        raise unknown(name)
    return _named(call, found)


_PERMISSION = "artifactregistry."

ROUTES: Sequence[Route] = (
    Route("DELETE", PACKAGE, _delete_package, _PERMISSION + "packages.delete", of_package),
    Route("DELETE", PACKAGE + "/versions/{version}", _delete_version, _PERMISSION + "versions.delete", of_package),
    Route("POST", PACKAGE + "/tags", _create_tag, _PERMISSION + "tags.create", of_package),
    Route("PATCH", PACKAGE + "/tags/{tag}", _update_tag, _PERMISSION + "tags.update", of_package),
    Route("DELETE", PACKAGE + "/tags/{tag}", _delete_tag, _PERMISSION + "tags.delete", of_package),
)
