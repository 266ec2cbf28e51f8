"""
What rights are given on, as paths from the particular to the general.

A repository's rights are those of its path, of every prefix of the path, of its location in the project (what GCR had a bucket for),
of the project and of the organization, which is this installation.
"""

from __future__ import annotations

import re
from functools import lru_cache

from roadstead.errors import FieldInvalid
from roadstead.oci import projects

split_name, name_prefix = projects.split_name, projects.name_prefix

ORGANIZATION = "organization"
ORGANIZATION_ID = "0"
"""Its number in Google's APIs: `organizations/0`."""

# Resource Manager, projects.create: 6 to 30 lower-case letters, digits and hyphens, a letter first, no hyphen last; domain-scoped ones
# have `DOMAIN:` before.
_PROJECT = re.compile(r"(?:[a-z0-9]+(?:[.-][a-z0-9]+)*\.[a-z]{2,}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_LOCATION = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def is_project_id(text: str) -> bool:
    return _PROJECT.fullmatch(text) is not None


def check_project_id(text: str) -> str:
    """Raises FieldInvalid."""
    if not is_project_id(text):
        raise FieldInvalid(
            "a project id has 6 to 30 lower-case letters, digits and hyphens, begins with a letter and does not end with a hyphen",
            {"project": text[:100]},
        )
    return text


def check_not_reserved(project_id: str) -> None:
    """`goog-vulnz` and `goog-analysis` have the server's own notes; Google keeps names that begin like its own. Raises FieldInvalid."""
    if project_id.startswith("goog-"):
        raise FieldInvalid("project ids that begin with goog- are the server's own: choose another", {"project": project_id[:100]})


def project(project_id: str) -> str:
    return f"projects/{project_id}"


def bucket(project_id: str, location: str) -> str:
    """All repositories of a project in one location."""
    return f"projects/{project_id}/locations/{location}"


def repository(project_id: str, location: str, path: str) -> str:
    """A repository, and all whose paths are below. An empty path is the bucket."""
    return f"projects/{project_id}/locations/{location}/repositories/{path}" if path else bucket(project_id, location)


def note(project_id: str, note_id: str) -> str:
    """Of Container Analysis."""
    return f"projects/{project_id}/notes/{note_id}"


def occurrence(project_id: str, occurrence_id: str) -> str:
    """Of Container Analysis."""
    return f"projects/{project_id}/occurrences/{occurrence_id}"


def service_account(project_id: str, email: str) -> str:
    return f"projects/{project_id}/serviceAccounts/{email}"


def of_name(location: str, name: str) -> str:
    """`p/a/b` in `eu` → its resource."""
    project_id, path = split_name(name)
    return repository(project_id, location, path)


def project_of(resource: str) -> str:
    """`projects/p/locations/…` → `p`; "" where there is none."""
    parts = resource.split("/", 2)
    return parts[1] if len(parts) > 1 and parts[0] == "projects" else ""


@lru_cache(4096)
def chain(resource: str) -> tuple[str, ...]:
    """The resource and everything above it, the organization last."""
    found: list[str] = []
    head, separator, path = resource.partition("/repositories/")
    if separator:
        parts = path.split("/")
        found += [f"{head}/repositories/{'/'.join(parts[:length])}" for length in range(len(parts), 0, -1)]
    parts = head.split("/")
    found += ["/".join(parts[:length]) for length in range(len(parts), 1, -2)]
    return (*found, ORGANIZATION) if resource != ORGANIZATION else (ORGANIZATION,)


def analysed(resource: str) -> tuple[str, str] | None:
    """(`notes`, N) or (`occurrences`, O) of what is of Container Analysis; None for all else."""
    parts = resource.split("/")
    return (parts[2], parts[3]) if len(parts) == 4 and parts[2] in ("notes", "occurrences") else None


def full_name(resource: str) -> str:
    """As Google writes it in messages: `//cloudresourcemanager.googleapis.com/projects/p`."""
    if resource == ORGANIZATION:
        return f"//cloudresourcemanager.googleapis.com/organizations/{ORGANIZATION_ID}"
    if resource.count("/") == 1:
        return f"//cloudresourcemanager.googleapis.com/{resource}"
    if "/serviceAccounts/" in resource:
        return f"//iam.googleapis.com/{resource}"
    if analysed(resource) is not None:
        return f"//containeranalysis.googleapis.com/{resource}"
    return f"//artifactregistry.googleapis.com/{resource}"
