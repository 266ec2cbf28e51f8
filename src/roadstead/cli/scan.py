"""`roadstead scan`: an image on this machine, without a server; the same code as the server's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from roadstead.cli.options import Options, listing
from roadstead.cli.output import Failed, note, show_list
from roadstead.errors import ConfigurationError, FeedInvalid, ScanFailed

if TYPE_CHECKING:
    from roadstead.scanner.advisories.advisory import Advisory, Form
    from roadstead.scanner.inventory import Inventory
    from roadstead.scanner.match import Finding, Report

FINDINGS = "table(severity, id:label=VULNERABILITY, score:label=CVSS, package, version, fixed:label='FIXED IN', state, feed)"
PACKAGES = "table(kind, name, version, source, architecture, path)"
FOUND = 3
"""The exit code when there are findings of the severity that was asked for."""


@listing
def scan(
    options: Options,
    path: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="What docker save writes, an OCI layout (file or folder), or a file system.")
    ],
    advisories: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="Files or folders of advisories, as in `roadstead advisories import`; several times.", show_default=False),
    ] = None,
    packages: Annotated[bool, typer.Option("--packages", help="List the packages instead; no advisories are needed.")] = False,
    sbom: Annotated[str, typer.Option(help="Write the bill of materials instead: spdx or cyclonedx.", show_default=False)] = "",
    fail_on: Annotated[
        str, typer.Option(help=f"Exit with {FOUND} when there are findings of this severity or a worse one.", show_default=False)
    ] = "",
    architecture: Annotated[str, typer.Option(help="Which image of an index.")] = "amd64",
) -> None:
    """
    Find the vulnerable packages of an image on this machine.

    \b
    Example: roadstead scan web.tar --advisories debian.json --fail-on HIGH
    """
    from roadstead.scanner.local import scan_path
    from roadstead.scanner.severity import Severity

    least = fail_on.upper()
    if fail_on and least not in Severity.__members__:
        raise ConfigurationError(f"--fail-on is one of {', '.join(Severity.__members__)}")
    try:
        inventory = scan_path(path, architecture)
    except (ScanFailed, OSError) as error:
        raise Failed(f"{path}: {error.message if isinstance(error, ScanFailed) else error.strerror}") from error
    if sbom:
        _print_sbom(inventory, path, sbom)
        return
    if packages:
        show_list([_of_package(package) for package, _ in inventory.packages], PACKAGES, options, "There are no packages that are known.")
        return
    if not advisories:
        raise ConfigurationError("give the advisories to match with: --advisories FILE, several times; or --packages")
    try:
        report = _matched(inventory, advisories)
    except FeedInvalid as error:
        raise Failed(error.message) from error
    show_list(
        [_of_finding(each) for each in report.findings], FINDINGS, options, "No vulnerabilities were found." if report.supported else ""
    )
    _remark(inventory, report)
    if fail_on and any(each.severity >= Severity[least] for each in report.findings):
        raise typer.Exit(FOUND)


def _matched(inventory: Inventory, paths: Sequence[Path]) -> Report:
    """Of the feeds, what the image's packages are about alone is kept. Raises FeedInvalid."""
    from roadstead.scanner.advisories import feeds
    from roadstead.scanner.advisories.tally import Tally
    from roadstead.scanner.match import match_all

    wanted = {package.source_name for package, _ in inventory.packages}
    release = inventory.distro.release if inventory.distro else ""
    kept: dict[tuple[str, str, str], list[Advisory]] = {}
    forms: set[Form] = set()
    for path in paths:
        if not path.exists():
            raise FeedInvalid(f"there is no file or folder {path}")
        for advisory in feeds.read(path, path.name, Tally()):
            if advisory.release == release:
                forms.add(advisory.form)
            if advisory.package in wanted and advisory.release in ("", release):
                kept.setdefault((advisory.ecosystem, advisory.release, advisory.package), []).append(advisory)
    today = datetime.now(UTC).date()
    packages = [package for package, _ in inventory.packages]
    return match_all(inventory.distro, packages, lambda *place: kept.get(place, ()), forms, today)


def _remark(inventory: Inventory, report: Report) -> None:
    distro = inventory.distro
    if not report.supported:
        what = f"of {distro.id} {distro.release} " if distro else ""
        note(
            f"The image could not be checked: no advisories {what}were given." if distro else "Nothing in the image tells its distribution."
        )
    if report.end_of_life and distro:
        note(f"{distro.id} {distro.release} gets no more advisories (end of life): newer vulnerabilities are not known.")
    if report.skipped:
        note(f"{len(report.skipped)} pairs of versions could not be compared.")


def _print_sbom(inventory: Inventory, path: Path, form: str) -> None:
    import hashlib
    import sys

    from roadstead import __version__
    from roadstead.scanner.sbom import Format, Subject, render

    if form not in ("spdx", "cyclonedx"):
        raise ConfigurationError("--sbom is spdx or cyclonedx")
    digest = f"sha256:{hashlib.sha256(inventory.encode()).hexdigest()}"
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    sys.stdout.write(render(inventory, Subject(path.name, digest, at, __version__), Format(form)).decode())


def _of_package(package: Any) -> dict[str, Any]:
    source = package.source_name if package.source_version == package.version else f"{package.source_name} {package.source_version}"
    names = ("kind", "name", "version", "architecture", "path")
    return {**{name: getattr(package, name) for name in names}, "source": source, "purl": package.purl}


def _of_finding(finding: Finding) -> dict[str, Any]:
    package = finding.package
    return {
        "severity": finding.severity.name,
        "id": finding.id,
        "score": finding.score,
        "package": package.name,
        "version": package.version,
        "fixed": finding.fixed,
        "state": finding.state.value,
        "feed": finding.feed,
        "source": package.source_name,
        "urls": list(finding.urls),
    }
