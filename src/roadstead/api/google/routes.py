"""Every method of Google's APIs that this server has, as one table."""

from __future__ import annotations

from collections.abc import Sequence

from roadstead.api.google import (
    artifactregistry,
    iamcredentials,
    keys,
    logging,
    resourcemanager,
    roles,
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
    *sts.ROUTES,
    *iamcredentials.ROUTES,
    *workloadidentity.ROUTES,
    *logging.ROUTES,
)
