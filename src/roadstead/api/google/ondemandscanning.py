"""
On-Demand Scanning: packages that a client has found in an image, which need not be in any registry, and what is wrong with them.

`gcloud artifacts docker images scan` has a program of its own for the first; what that finds are source packages, so that nothing is
asked here of binary ones. All locations are one. A scan and its operation have the same id.
Spec: On-Demand Scanning API v1 and v1beta1, projects.locations.scans; what gcloud really sends: contract.md, 2.7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from roadstead.analysis import names
from roadstead.analysis import resources as analysed
from roadstead.api.google import containeranalysis, json, occurrences
from roadstead.api.google.routing import Call, Route, page_token
from roadstead.errors import FieldInvalid
from roadstead.iam import resources, services
from roadstead.iam.operations import unknown
from roadstead.scanning.on_demand import Given, Scan, State

MOST_BODY_BYTES = 8 * 1024 * 1024
_AT_ONCE = 500
"""Packages looked at before others get their turn."""

_FAILED_PRECONDITION = 9
_TYPE = "type.googleapis.com/google.cloud.ondemandscanning.v1."
_PERMISSION = "ondemandscanning."
# PackageData.PackageType: in the order of its numbers, and what advisories call those that there are any of.
_TYPES = (
    *("PACKAGE_TYPE_UNSPECIFIED", "OS", "MAVEN", "GO", "GO_STDLIB", "PYPI"),
    *("NPM", "NUGET", "RUBYGEMS", "RUST", "COMPOSER", "SWIFT"),
)
_LANGUAGES = {"MAVEN": "maven", "GO": "golang", "GO_STDLIB": "golang", "PYPI": "pypi", "NPM": "npm", "RUBYGEMS": "gem"}
_UNKNOWN_LANGUAGES = frozenset({"NUGET", "RUST", "COMPOSER", "SWIFT"})
_STANDARD_LIBRARY = "stdlib"

_Text = Annotated[str, msgspec.Meta(max_length=1000)]


class _PackageVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: _Text = ""
    version: _Text = ""
    licenses: Any = None


class _Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """BinarySourceInfo."""

    binary_version: _PackageVersion | None = None
    source_version: _PackageVersion | None = None


class _Package(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """PackageData. What is Any says nothing about vulnerabilities."""

    package: _Text = ""
    version: _Text = ""
    cpe_uri: _Text = ""
    package_type: str | int = 0
    source_version: _PackageVersion | None = None
    binary_source_info: tuple[_Source, ...] = ()
    patched_cve: tuple[_Text, ...] = ()
    architecture: Any = None
    binary_version: Any = None
    dependency_chain: Any = None
    file_location: Any = None
    hash_digest: Any = None
    layer_details: Any = None
    licenses: Any = None
    maintainer: Any = None
    os: Any = None
    os_version: Any = None
    unused: Any = None


class _Analyze(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """AnalyzePackagesRequest. includeOsvData is deprecated, and all advisories are looked at."""

    resource_uri: str = ""
    packages: tuple[_Package, ...] = ()
    include_osv_data: bool = False


async def _analyze(call: Call) -> dict[str, Any]:
    project = await _ready(call)
    wanted = json.decode(await call.content(MOST_BODY_BYTES), _Analyze)
    resource = analysed.parse(wanted.resource_uri, "resourceUri")
    given = []
    for index, package in enumerate(wanted.packages):
        given += _given(package, f"packages[{index}]")
        if index % _AT_ONCE == 0:
            await asyncio.sleep(0)
    scan = await call.services.on_demand.start(project, resource.written, given)
    call.details["scan"], call.details["packages"] = scan.name, len(given)
    return _shown(call, scan)


def _given(package: _Package, field: str) -> list[Given]:
    """None of a language of which there are no advisories. Raises FieldInvalid."""
    kind = _type_of(package.package_type, field)
    if kind in _UNKNOWN_LANGUAGES:
        return []
    name, version = _named(package)
    if not name or not version or not (name + version + package.cpe_uri + "".join(package.patched_cve)).isprintable():
        raise FieldInvalid(f"'{field}' must have a package and a version, without characters that cannot be seen", {"field": field})
    if kind == "GO_STDLIB":
        name = _STANDARD_LIBRARY
    return [Given(_LANGUAGES.get(kind, ""), name, version, package.cpe_uri, package.patched_cve)]


def _named(package: _Package) -> tuple[str, str]:
    """Of the source package, if the client tells it beside the binary one."""
    sources = [each.source_version for each in package.binary_source_info]
    for source in (*sources, package.source_version):
        if source is not None and source.name and source.version:
            return source.name, source.version
    return package.package, package.version


def _type_of(value: str | int, field: str) -> str:
    if isinstance(value, int) and 0 <= value < len(_TYPES):
        return _TYPES[value]
    if value not in _TYPES:
        raise FieldInvalid(f"'{field}.packageType' is none of {', '.join(_TYPES)}", {"field": f"{field}.packageType"})
    return str(value)


async def _vulnerabilities(call: Call) -> dict[str, Any]:
    project = await _ready(call)
    page = call.page()
    if page.token and not (page.token.isascii() and page.token.isdigit() and len(page.token) < 10):
        raise FieldInvalid("pageToken must be the nextPageToken of the page before", {"field": "pageToken"})
    after = int(page.token or 0)
    found = await call.services.on_demand.vulnerabilities(project, call.variables["scan"], after, page.size + 1)
    shown = [occurrences.shown(each, call.variables["location"]) for _, each in found[: page.size]]
    more = page_token(str(found[page.size - 1][0])) if len(found) > page.size else ""
    return json.without_nothing({"occurrences": shown, "nextPageToken": more})


async def operation(call: Call) -> dict[str, Any]:
    """operations.py: a scan as its operation. Raises ResourceUnknown, also for one that the caller may not see."""
    project, name = call.variables["project"], call.variables["operation"]
    permission = _PERMISSION + "operations.get"
    if not await call.services.authorizer.permits(call.principal, permission, resources.project(project)):
        raise unknown(f"operations/{name}")
    return _shown(call, await call.services.on_demand.get(project, name))


def _shown(call: Call, scan: Scan) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": f"{_parent(call)}/operations/{scan.name}",
        "metadata": {
            "@type": _TYPE + "AnalyzePackagesMetadata",
            "resourceUri": scan.resource,
            "createTime": json.time_of(scan.created_at_us),
        },
    }
    if scan.state is State.FAILED:
        return {**shown, "done": True, "error": {"code": _FAILED_PRECONDITION, "message": scan.error}}
    if scan.state is State.FINISHED:
        response = {"@type": _TYPE + "AnalyzePackagesResponse", "scan": f"{_parent(call)}/scans/{scan.name}"}
        return {**shown, "done": True, "response": response}
    return shown


def _parent(call: Call) -> str:
    return names.parent(call.variables["project"], call.variables["location"])


async def _ready(call: Call) -> str:
    """The project. Raises ServiceDisabled, StateForbids, ResourceUnknown."""
    project = call.variables["project"]
    if not await call.services.projects.is_enabled(project, services.ON_DEMAND_SCANNING):
        await call.services.projects.require_active(project)
        raise services.disabled(services.ON_DEMAND_SCANNING, project)
    await containeranalysis.parent(call)
    return project


def _routes(above: str) -> Sequence[Route]:
    scans = above + "/projects/{project}/locations/{location}/scans"
    return (
        Route("POST", scans + ":analyzePackages", _analyze, _PERMISSION + "scans.analyzePackages"),
        Route("GET", scans + "/{scan}/vulnerabilities", _vulnerabilities, _PERMISSION + "scans.listVulnerabilities"),
    )


ROUTES: Sequence[Route] = (*_routes("/v1"), *_routes("/v1beta1"))
