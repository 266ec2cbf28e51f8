"""What clients of Container Registry ask for, all on port 443."""

from __future__ import annotations

REGISTRIES = ("gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io", "mirror.gcr.io")
_APIS = (
    *("artifactregistry", "binaryauthorization", "cloudasset", "cloudbuild", "cloudkms", "cloudresourcemanager", "containeranalysis"),
    *("iam", "iamcredentials", "logging", "oauth2", "ondemandscanning", "openidconnect", "pubsub", "serviceusage", "storage", "sts", "www"),
)
APIS = (*(f"{api}.googleapis.com" for api in _APIS), "accounts.google.com")
NAMES = (*REGISTRIES, *APIS)
