"""
The APIs that a project can enable: their titles, and which of them need which.

Any other `NAME.googleapis.com` can be enabled too, since scripts that were written for Google do, and nothing depends on it here.
Source: Service Usage API; gcloud services list --available.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from roadstead.errors import FieldInvalid, ServiceDisabled

ANALYSIS = "containeranalysis.googleapis.com"
ARTIFACTS = "artifactregistry.googleapis.com"
ON_DEMAND_SCANNING = "ondemandscanning.googleapis.com"
REGISTRY = "containerregistry.googleapis.com"
SCANNING = "containerscanning.googleapis.com"

OF_NEW_PROJECTS = ("cloudapis.googleapis.com", "servicemanagement.googleapis.com", "serviceusage.googleapis.com")
"""Enabled in a project from its beginning. Container Registry is not, as at Google."""

_TITLES = {
    "artifactregistry": "Artifact Registry API",
    "binaryauthorization": "Binary Authorization API",
    "cloudapis": "Google Cloud APIs",
    "cloudbuild": "Cloud Build API",
    "cloudkms": "Cloud Key Management Service (KMS) API",
    "cloudresourcemanager": "Cloud Resource Manager API",
    "containeranalysis": "Container Analysis API",
    "containerregistry": "Container Registry API",
    "containerscanning": "Container Scanning API",
    "iam": "Identity and Access Management (IAM) API",
    "iamcredentials": "IAM Service Account Credentials API",
    "logging": "Cloud Logging API",
    "ondemandscanning": "On-Demand Scanning API",
    "pubsub": "Cloud Pub/Sub API",
    "servicemanagement": "Service Management API",
    "serviceusage": "Service Usage API",
    "storage": "Cloud Storage API",
    "storage-api": "Google Cloud Storage JSON API",
    "storage-component": "Cloud Storage",
    "sts": "Security Token Service API",
}
CATALOGUE: Mapping[str, str] = {f"{name}.googleapis.com": title for name, title in _TITLES.items()}
"""Service → title, in alphabetical order."""

# What the service cannot do without. Container Registry tells of pushes by Pub/Sub, and scanners write what they find as occurrences.
_NEEDS = {
    REGISTRY: frozenset({"pubsub.googleapis.com"}),
    SCANNING: frozenset({"containeranalysis.googleapis.com"}),
    ON_DEMAND_SCANNING: frozenset({"containeranalysis.googleapis.com"}),
}
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,98}[a-z0-9])?\.googleapis\.com")


def check(service: str) -> str:
    """Raises FieldInvalid."""
    if _NAME.fullmatch(service) is None:
        raise FieldInvalid("a service is named NAME.googleapis.com", {"service": service[:100]})
    return service


def title(service: str) -> str:
    return CATALOGUE.get(service, service)


def with_needs(services: Iterable[str]) -> frozenset[str]:
    """The services, and what they need. Raises FieldInvalid."""
    asked = frozenset(map(check, services))
    return asked.union(*(_NEEDS.get(service, frozenset()) for service in asked))


def dependents(service: str, enabled: Iterable[str]) -> frozenset[str]:
    """Those of the enabled services that need this one."""
    return frozenset(other for other in enabled if service in _NEEDS.get(other, frozenset()))


def disabled(service: str, project_id: str) -> ServiceDisabled:
    """In Google's own words, after which gcloud offers to enable the API and to try again (googlecloudsdk, api_enablement)."""
    return ServiceDisabled(
        f"{title(service)} has not been used in project {project_id} before or it is disabled. Enable it by visiting "
        f"https://console.developers.google.com/apis/api/{service}/overview?project={project_id} then retry. If you enabled this API "
        "recently, wait a few minutes for the action to propagate to our systems and retry.",
        service,
        project_id,
    )
