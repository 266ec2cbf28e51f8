"""`roadstead images list-vulnerabilities` and `sbom`: what was found in an image, and what is in it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from roadstead.cli.client import Client, part
from roadstead.cli.image_hosts import Hosts
from roadstead.cli.image_names import Name, parse_image
from roadstead.cli.image_search import found
from roadstead.cli.options import Options, asking, listing
from roadstead.cli.output import Failed, note, show_list
from roadstead.cli.registry_client import pull
from roadstead.oci.projects import split_name

MOST_SBOM_BYTES = 256 * 1024 * 1024

ImageArgument = Annotated[str, typer.Argument(metavar="IMAGE_NAME", help="HOST/PROJECT/IMAGE[:TAG|@DIGEST].")]

COLUMNS = (
    "table(vulnerability.effectiveSeverity:label=SEVERITY, vulnerability.shortDescription:label=VULNERABILITY, "
    "vulnerability.cvssScore:label=CVSS, package:label=PACKAGE, version:label=VERSION, fix:label='FIXED IN', remark:label=REMARK)"
)
_ORDER = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "MINIMAL")


@listing
def list_vulnerabilities(options: Options, image: ImageArgument) -> None:
    """
    List the vulnerabilities that were found in an image, the worst first.

    \b
    Example: roadstead images list-vulnerabilities gcr.io/shop-images/web:v1 --filter="vulnerability.effectiveSeverity=CRITICAL"
    """
    name = resolved(options, image)
    with options.connect() as api:
        state = discovery(api, name)
        occurrences = of_kind(api, name, "VULNERABILITY")
    rows = sorted((_row(each) for each in occurrences), key=_worst_first)
    show_list(rows, COLUMNS, options, "No vulnerabilities were found." if state.get("analysisStatus") == "FINISHED_SUCCESS" else "")
    remark = told(state)
    if remark:
        note(remark)


@asking
def sbom(
    options: Options,
    image: ImageArgument,
    form: Annotated[str, typer.Option("--sbom-format", help="spdx or cyclonedx.")] = "spdx",
    out: Annotated[Optional[Path], typer.Option(help="Write it into this file instead of printing it.", show_default=False)] = None,  # noqa: UP045
) -> None:
    """
    Make the bill of materials of an image, attach it to the image in the registry as a referrer, and print it.

    \b
    Example: roadstead images sbom gcr.io/shop-images/web:v1 --sbom-format cyclonedx --out web.cdx.json
    """
    if form not in ("spdx", "cyclonedx"):
        raise Failed("--sbom-format is spdx or cyclonedx")
    name = resolved(options, image)
    project = split_name(name.repository)[0]
    with options.connect() as api:
        done = api.post(f"/v1/projects/{part(project)}/resources/https://{name}:exportSBOM", {"format": form.upper()})
        made = api.get(f"/v1/{done['discoveryOccurrence']}")
    digest = made["sbomReference"]["payload"]["predicate"]["digest"]["sha256"]
    content = asyncio.run(_blob(options, name, f"sha256:{digest}"))
    if out is None:
        sys.stdout.write(content.decode())
    else:
        out.write_bytes(content)
        note(f"Wrote {out}.")


async def _blob(options: Options, name: Name, digest: str) -> bytes:
    async with Hosts(options.server, options.account, options.ca) as hosts:
        path = f"/v2/{name.repository}/blobs/{digest}"
        return (await hosts.registry(name.host).request("GET", path, pull(name.repository), limit_bytes=MOST_SBOM_BYTES)).content


def resolved(options: Options, image: str) -> Name:
    """With its digest. Raises Failed."""

    async def ask() -> Name:
        async with Hosts(options.server, options.account, options.ca) as hosts:
            return await found(hosts.registry(named.host), named)

    named = parse_image(image)
    return asyncio.run(ask())


def of_kind(api: Client, name: Name, kind: str) -> list[dict[str, Any]]:
    """All occurrences of the image."""
    project = split_name(name.repository)[0]
    return api.every(f"/v1/projects/{part(project)}/occurrences", "occurrences", {"filter": f'kind="{kind}" AND {_is(name)}'})


def _is(name: Name) -> str:
    # Under the server's own name an image is that of the default location, whose name only the server knows.
    if name.host.endswith("gcr.io"):
        return f'resourceUrl="https://{name}"'
    return f'has_suffix(resourceUrl, "/{name.repository}@{name.digest}")'


def discovery(api: Client, name: Name) -> dict[str, Any]:
    """How far the scan is; {} for an image that is not scanned."""
    found = of_kind(api, name, "DISCOVERY")
    return dict(found[0]["discovery"]) if found else {}


def told(state: dict[str, Any]) -> str:
    """A sentence for people; "" where nothing is to be said beside the findings."""
    status, error = state.get("analysisStatus", ""), state.get("analysisStatusError", {}).get("message", "")
    if not status:
        return "The image is not scanned: enable containerscanning.googleapis.com in its project."
    if status in ("PENDING", "SCANNING"):
        return "The image is being scanned."
    if status == "FINISHED_SUCCESS":
        return f"Note: {error}." if error else ""
    return f"The image could not be checked ({status}): {error or 'no reason was given'}."


def _row(occurrence: dict[str, Any]) -> dict[str, Any]:
    said = occurrence["vulnerability"]
    issues: Sequence[dict[str, Any]] = said.get("packageIssue") or [{}]
    first = issues[0]
    assessment = said.get("vexAssessment", {})
    return {
        **occurrence,
        "package": first.get("affectedPackage", ""),
        "version": first.get("affectedVersion", {}).get("fullName", ""),
        "fix": first.get("fixedVersion", {}).get("fullName", ""),
        "remark": assessment.get("state", ""),
    }


def _worst_first(row: dict[str, Any]) -> tuple[int, float, str, str]:
    said = row["vulnerability"]
    severity = said.get("effectiveSeverity", "")
    rank = _ORDER.index(severity) if severity in _ORDER else len(_ORDER)
    return rank, -float(said.get("cvssScore", 0)), str(said.get("shortDescription", "")), str(row["package"])


def summary(options: Options, name: Name) -> dict[str, Any]:
    """As gcloud's describe has it: by severity, and how many have no fix."""
    with options.connect() as api:
        occurrences, found = of_kind(api, name, "VULNERABILITY"), of_kind(api, name, "DISCOVERY")
    by_severity: dict[str, list[dict[str, Any]]] = {}
    for each in occurrences:
        by_severity.setdefault(each["vulnerability"].get("effectiveSeverity", "SEVERITY_UNSPECIFIED"), []).append(each)
    counted: dict[str, Any] = {"vulnerabilities": by_severity} if by_severity else {}
    if occurrences:
        fixed = sum(1 for each in occurrences if each["vulnerability"].get("fixAvailable"))
        counted |= {
            "total_vulnerability_found": len(occurrences),
            "not_fixed_vulnerability_count": len(occurrences) - fixed,
        }
    return {**({"discovery": found} if found else {}), **counted}
