"""Google's own clients, pointed at an installation: gcloud where it is installed, and the google-cloud-* libraries."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from google.api_core.client_options import ClientOptions
from google.cloud.resourcemanager_v3 import ProjectsClient
from google.cloud.service_usage_v1 import ServiceUsageClient
from google.oauth2.credentials import Credentials

from tests.kit.accounts import Installation

needs_gcloud = pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed here")

APIS = ("cloudresourcemanager", "serviceusage", "iam", "iamcredentials", "storage", "artifactregistry", "logging")
# They win over what gcloud is told (contract.md, section 0).
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class GCloud:
    """gcloud with a configuration of its own in folder, and the token of somebody."""

    def __init__(self, installation: Installation, folder: Path, token: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "token"
        file.write_text(token or installation.owner_token)
        self._env = {name: value for name, value in os.environ.items() if name not in _BUNDLES and not name.startswith("CLOUDSDK_")}
        self._env |= {
            "CLOUDSDK_CONFIG": str(folder / "config"),
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(file),
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
            "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
            **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": f"{installation.url}/" for api in APIS},
        }

    def forget_token(self, **properties: str) -> None:
        """From now on it is who it logs in as. properties: gcloud's own, such as auth_token_introspection_endpoint."""
        del self._env["CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"]
        self._env |= {f"CLOUDSDK_{name.upper()}": value for name, value in properties.items()}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["gcloud", *arguments], env=self._env, capture_output=True, text=True, timeout=120, check=False)

    def __call__(self, *arguments: str) -> str:
        """What it prints; it must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"gcloud {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()


def _where(installation: Installation, token: str) -> dict[str, Any]:
    credentials = Credentials(token=token or installation.owner_token)  # type: ignore[no-untyped-call]
    return {"transport": "rest", "credentials": credentials, "client_options": ClientOptions(api_endpoint=installation.url)}


def resource_manager(installation: Installation, token: str = "") -> ProjectsClient:
    return ProjectsClient(**_where(installation, token))


def service_usage(installation: Installation, token: str = "") -> ServiceUsageClient:
    return ServiceUsageClient(**_where(installation, token))
