"""
gcloud, as a named configuration `roadstead` beside those that are there.

Spec: contract.md, section 0; `gcloud topic configurations`.
"""

from __future__ import annotations

import re

from roadstead.cli.client_settings.content import Ini, Whole
from roadstead.cli.client_settings.wanted import Configuration, Mode, Piece, Wanted
from roadstead.errors import ConfigurationError

# gcloud has an override for each of these (contract.md, mode B).
APIS = (
    *("artifactregistry", "binaryauthorization", "cloudasset", "cloudbuild", "cloudkms", "cloudresourcemanager", "containeranalysis"),
    *("iam", "iamcredentials", "logging", "ondemandscanning", "pubsub", "serviceusage", "storage"),
)
_TAKEN = re.compile(r"([a-z0-9-]*)[.]?gcr\.io[^:]*")
_GOES = (
    "Whatever is set here, Google still gets the access token at `gcloud auth revoke`, and, with a service account's key, when google-auth "
    "asks iamcredentials.googleapis.com for allowedLocations. Only --mode dns and --mode proxy bring those here."
)


def configuration(wanted: Wanted) -> Configuration:
    """Raises ConfigurationError."""
    if wanted.mode is Mode.NAME:
        for each in wanted.names:
            if not _TAKEN.fullmatch(each.host):
                raise ConfigurationError(
                    f"gcloud takes names without a port that begin with gcr.io or REGION.gcr.io, such as gcr.io.{each.host.split(':')[0]}"
                )
    sections: dict[str, dict[str, str]] = {
        "core": {"disable_usage_reporting": "true"},
        "component_manager": {"disable_update_check": "true"},
    }
    pieces = []
    if wanted.ca:
        file = wanted.gcloud_folder / "roadstead-ca.pem"
        pieces.append(Piece(file, Whole(wanted.ca, is_copy=True)))
        sections["core"]["custom_ca_certs_file"] = str(file)
    if wanted.mode in (Mode.OVERRIDE, Mode.NAME):
        sections["auth"] = {"auth_host": f"{wanted.server}/o/oauth2/auth", "token_host": f"{wanted.server}/token"}
        sections["api_endpoint_overrides"] = {api: f"{wanted.server}/" for api in APIS}
    if wanted.mode is Mode.NAME:
        sections["artifacts"] = {"allow_unrecognized_registry": "true"}
    if wanted.mode is Mode.PROXY:
        address, _, port = wanted.proxy.removeprefix("http://").rpartition(":")
        sections["proxy"] = {"type": "http", "address": address, "port": port}
    pieces.append(Piece(wanted.gcloud_folder / "configurations" / "config_roadstead", Ini(sections)))
    commands = [
        *(["unset REQUESTS_CA_BUNDLE CURL_CA_BUNDLE  # they win over custom_ca_certs_file"] if wanted.ca else []),
        "gcloud config configurations activate roadstead",
        "gcloud auth login",
    ]
    return Configuration(tuple(pieces), tuple(commands), _environment(wanted), tuple(_notes(wanted)), ("gcloud", "--version"))


def _environment(wanted: Wanted) -> tuple[str, ...]:
    """Its OAuth library takes plain HTTP only when told to."""
    return ("OAUTHLIB_INSECURE_TRANSPORT=1",) if wanted.is_plain else ()


def _notes(wanted: Wanted) -> list[str]:
    notes = ["gcloud container images also wants a project: gcloud config set core/project PROJECT."]
    if wanted.mode is Mode.OVERRIDE:
        notes.append(
            "gcloud container images asks the host in the image's name, which no setting moves: gcr.io/… would go to Google. "
            "Use --mode dns, name or proxy for these commands."
        )
    if wanted.mode in (Mode.OVERRIDE, Mode.NAME):
        notes.append(_GOES)
        notes.append("gcloud builds log reads from storage.googleapis.com, which no setting moves either.")
    if wanted.mode is Mode.DNS:
        notes.append("Names that do not resolve to this server go to Google: docs/clients.md has the list.")
    return notes
