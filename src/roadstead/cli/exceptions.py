"""
`roadstead exceptions`: vulnerabilities that do not matter in a project, with the reason, who says so, and until when.

They are notes of the kind VULNERABILITY_ASSESSMENT, as Google keeps VEX; other tools may write them too.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from roadstead.cli.client import part
from roadstead.cli.durations import seconds
from roadstead.cli.options import Options, asking, listing
from roadstead.cli.output import Failed, confirm, show_done, show_list
from roadstead.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Vulnerabilities that do not matter here, and why.")

COLUMNS = (
    "table(name.basename():label=EXCEPTION, vulnerabilityAssessment.assessment.vulnerabilityId:label=VULNERABILITY, "
    "vulnerabilityAssessment.product.id:label=PACKAGE, vulnerabilityAssessment.product.genericUri:label=IMAGE, "
    "vulnerabilityAssessment.assessment.state:label=STATE, expirationTime:label=UNTIL, "
    "vulnerabilityAssessment.publisher.name:label=BY, vulnerabilityAssessment.shortDescription:label=REASON)"
)
_JUSTIFICATIONS = {
    "component_not_present": "COMPONENT_NOT_PRESENT",
    "vulnerable_code_not_present": "VULNERABLE_CODE_NOT_PRESENT",
    "vulnerable_code_not_in_execute_path": "VULNERABLE_CODE_NOT_IN_EXECUTE_PATH",
    "vulnerable_code_cannot_be_controlled_by_adversary": "VULNERABLE_CODE_CANNOT_BE_CONTROLLED_BY_ADVERSARY",
    "inline_mitigations_already_exist": "INLINE_MITIGATIONS_ALREADY_EXIST",
}
_BATCH = 500


@app.command("list")
@listing
def list_exceptions(options: Options) -> None:
    """
    List the exceptions of a project.

    \b
    Example: roadstead exceptions list --project=shop-images
    """
    project = options.need_project()
    with options.connect() as api:
        found = api.every(f"/v1/projects/{part(project)}/notes", "notes", {"filter": 'kind="VULNERABILITY_ASSESSMENT"'})
    show_list(found, COLUMNS, options, f"{project} has no exceptions.")


@app.command("add")
@asking
def add(
    options: Options,
    reason: Annotated[str, typer.Option(help="Why it does not matter.")],
    vulnerability: Annotated[
        str, typer.Option("--vulnerability", "--cve", help="CVE-YEAR-NUMBER. [default: all]", show_default=False)
    ] = "",
    package: Annotated[str, typer.Option(help="The source package. [default: all]", show_default=False)] = "",
    image: Annotated[
        str, typer.Option(help="HOST/PROJECT/IMAGE[@DIGEST], or what names begin with. [default: all of the project]", show_default=False)
    ] = "",
    expires: Annotated[str, typer.Option(help="After which time it is over: 30d, 12h. [default: never]", show_default=False)] = "",
    justification: Annotated[str, typer.Option(help=f"One of VEX's: {', '.join(_JUSTIFICATIONS)}.", show_default=False)] = "",
) -> None:
    """
    Say that a vulnerability does not matter. It is still listed, with the reason, and does not count.

    \b
    Example: roadstead exceptions add --cve CVE-2026-1234 --image gcr.io/shop-images/web --reason "not reachable" --expires 90d
    """
    project = options.need_project()
    if not vulnerability and not package:
        raise ConfigurationError("say what does not matter: --vulnerability, --package, or both")
    if justification and justification not in _JUSTIFICATIONS:
        raise ConfigurationError(f"--justification is one of {', '.join(_JUSTIFICATIONS)}")
    with options.connect() as api:
        said = _note(vulnerability, package, image, reason, author=api.login.account, state="NOT_AFFECTED", justification=justification)
        if expires:
            said["expirationTime"] = _after(expires)
        made = api.post(f"/v1/projects/{part(project)}/notes", said, {"noteId": _id(said)})
    show_done(made, f"Added the exception {made['name'].rpartition('/')[2]}.", options)


@app.command("remove")
@asking
def remove(options: Options, names: Annotated[list[str], typer.Argument(metavar="EXCEPTION...", help="As in the list.")]) -> None:
    """
    Remove exceptions: what they were about counts again.

    \b
    Example: roadstead exceptions remove vex-0123456789abcdef
    """
    project = options.need_project()
    confirm("This will remove the exceptions; what they were about counts again.", options, names)
    with options.connect() as api:
        for each in names:
            api.delete(f"/v1/projects/{part(project)}/notes/{part(each)}")
    show_done({"removed": names}, f"Removed {', '.join(names)}.", options)


@app.command("import")
@asking
def import_vex(
    options: Options,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="OpenVEX documents, or CSAF of the category csaf_vex.")],
    image: Annotated[
        str, typer.Option(help="HOST/PROJECT/IMAGE[@DIGEST] that statements without an image are about.", show_default=False)
    ] = "",
) -> None:
    """
    Take the statements of VEX documents as exceptions. What was imported of a document before is replaced.

    \b
    Example: roadstead exceptions import vendor.openvex.json --image gcr.io/shop-images/web
    """
    project = options.need_project()
    notes: dict[str, dict[str, Any]] = {}
    for file in files:
        for said in _statements(file, image):
            notes[_id(said)] = said
    with options.connect() as api:
        found = api.every(f"/v1/projects/{part(project)}/notes", "notes", {"filter": 'kind="VULNERABILITY_ASSESSMENT"'})
        there = {each["name"].rpartition("/")[2]: each["vulnerabilityAssessment"].get("title", "") for each in found}
        documents = {said["vulnerabilityAssessment"]["title"] for said in notes.values()}
        gone = [name for name, title in there.items() if title in documents and name not in notes]
        new = {name: said for name, said in notes.items() if name not in there}
        for start in range(0, len(new), _BATCH):
            batch = dict(list(new.items())[start : start + _BATCH])
            api.post(f"/v1/projects/{part(project)}/notes:batchCreate", {"notes": batch})
        for name in notes.keys() & there.keys():
            api.patch(f"/v1/projects/{part(project)}/notes/{part(name)}", notes[name])
        for name in gone:
            api.delete(f"/v1/projects/{part(project)}/notes/{part(name)}")
    counts = {"added": len(new), "updated": len(notes) - len(new), "removed": len(gone)}
    show_done(counts, f"{counts['added']} exceptions added, {counts['updated']} updated, {counts['removed']} removed.", options)


def _statements(file: Path, image: str) -> list[dict[str, Any]]:
    """The notes of a document. Raises Failed."""
    from roadstead.errors import FeedInvalid
    from roadstead.scanner.advisories import vex
    from roadstead.scanner.advisories.tally import Tally

    try:
        found = vex.read(file.read_bytes(), Tally())
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror}") from error
    except FeedInvalid as error:
        raise Failed(f"{file}: {error.message}") from error
    notes = []
    for each in found:
        about = each.component or each.product
        where = image
        if each.product.is_image:
            where = each.product.repository + (f"@{each.product.digest}" if each.product.digest else "")
        package = about.name if not about.is_image else ""
        said = _note(each.vulnerability, package, where, each.note, each.author, each.status.value.upper(), each.justification)
        said["vulnerabilityAssessment"]["title"] = (each.document or file.name)[:200]
        notes.append(said)
    return notes


def _note(vulnerability: str, package: str, image: str, reason: str, author: str, state: str, justification: str = "") -> dict[str, Any]:
    assessment: dict[str, Any] = {"vulnerabilityId": vulnerability, "state": state, "shortDescription": reason}
    if vulnerability.startswith("CVE-"):
        assessment["cve"] = vulnerability
    if justification in _JUSTIFICATIONS:
        assessment["justification"] = {"justificationType": _JUSTIFICATIONS[justification], "details": reason}
    product = {"name": package or image or "all images", "id": f"pkg:generic/{package}" if package else "", "genericUri": _uri(image)}
    return {
        "shortDescription": reason[:500],
        "vulnerabilityAssessment": {
            "shortDescription": reason[:500],
            "publisher": {"name": author},
            "product": {name: value for name, value in product.items() if value},
            "assessment": {name: value for name, value in assessment.items() if value},
        },
    }


def _uri(image: str) -> str:
    return f"https://{image.removeprefix('https://')}" if image else ""


def _id(said: dict[str, Any]) -> str:
    """The same for the same vulnerability, package and image."""
    about = said["vulnerabilityAssessment"]
    parts = (about["assessment"].get("vulnerabilityId", ""), about["product"].get("id", ""), about["product"].get("genericUri", ""))
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"vex-{digest[:16]}"


def _after(expires: str) -> str:
    """Raises ConfigurationError."""
    lifetime_seconds = seconds(expires, "smhd")
    if lifetime_seconds is None:
        raise ConfigurationError("--expires is a length of time such as 30d or 12h")
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + lifetime_seconds))
