"""What a vulnerability occurrence has beside what was sent: whether there are fixes, and what its note says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roadstead.scanner.severity import Severity


def finished(detail: Mapping[str, Any]) -> dict[str, Any]:
    """With fixAvailable of each package and of the whole as the versions say (Grafeas: output only)."""
    issues = [_issue(issue) for issue in detail.get("packageIssue", [])]
    if not issues:
        return {**detail}
    found = {name: value for name, value in detail.items() if name != "fixAvailable"} | {"packageIssue": issues}
    return {**found, "fixAvailable": True} if any(issue.get("fixAvailable") for issue in issues) else found


def _issue(issue: Mapping[str, Any]) -> dict[str, Any]:
    """A version of the kind MAXIMUM is one that does not exist yet."""
    fixed = issue.get("fixedVersion")
    if fixed is None:
        return {**issue}
    found = {name: value for name, value in issue.items() if name != "fixAvailable"}
    is_fixed = fixed.get("kind", "NORMAL") == "NORMAL" and bool(fixed.get("name") or fixed.get("fullName"))
    return {**found, "fixAvailable": True} if is_fixed else found


def rating(detail: Mapping[str, Any], note: Mapping[str, Any]) -> tuple[Severity, bool]:
    """The effective severity (the occurrence's, else the note's), and whether there is a fix."""
    said = detail.get("effectiveSeverity") or note.get("vulnerability", {}).get("severity") or Severity(0).name
    return Severity[said], bool(detail.get("fixAvailable"))


def with_note(detail: Mapping[str, Any], note: Mapping[str, Any]) -> dict[str, Any]:
    """The detail, with what is the note's and stands in both messages; what the occurrence itself says stays."""
    of_note = note.get("vulnerability", {})
    said = {
        "severity": of_note.get("severity"),
        "effectiveSeverity": of_note.get("severity"),
        "cvssScore": of_note.get("cvssScore"),
        "cvssv3": of_note.get("cvssV3"),
        "cvssV2": of_note.get("cvssV2"),
        "cvssV4": of_note.get("cvssV4"),
        "cvssVersion": of_note.get("cvssVersion"),
        "shortDescription": note.get("shortDescription"),
        "longDescription": note.get("longDescription"),
        "relatedUrls": note.get("relatedUrl"),
    }
    return {**{name: value for name, value in said.items() if value}, **detail}
