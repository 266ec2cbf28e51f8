"""Every method of Google's APIs that this server has, as one table."""

from __future__ import annotations

from collections.abc import Sequence

from roadstead.api.google import (
    artifactregistry,
    cloudasset,
    dockerimages,
    iamcredentials,
    keys,
    logging,
    notes,
    occurrences,
    ondemandscanning,
    operations,
    package_changes,
    packages,
    resourcemanager,
    roles,
    sboms,
    service_accounts,
    serviceusage,
    storage,
    sts,
    workloadidentity,
)
from roadstead.api.google.routing import Route

ROUTES: Sequence[Route] = (
    *resourcemanager.ROUTES,
    *serviceusage.ROUTES,
    *service_accounts.ROUTES,
    *keys.ROUTES,
    *roles.ROUTES,
    *storage.ROUTES,
    *artifactregistry.ROUTES,
    *packages.ROUTES,
    *package_changes.ROUTES,
    *dockerimages.ROUTES,
    *operations.ROUTES,
    *cloudasset.ROUTES,
    *notes.ROUTES,
    *occurrences.ROUTES,
    *sboms.ROUTES,
    *ondemandscanning.ROUTES,
    *sts.ROUTES,
    *iamcredentials.ROUTES,
    *workloadidentity.ROUTES,
    *logging.ROUTES,
)
