"""Google's libraries for Python."""

from __future__ import annotations

from roadstead.cli.client_settings.wanted import Configuration, Mode, Wanted

_SNIPPET = """\
from google.cloud.resourcemanager_v3 import ProjectsClient
from google.oauth2.service_account import Credentials

credentials = Credentials.from_service_account_file("key.json", scopes=["https://www.googleapis.com/auth/cloud-platform"])
client = ProjectsClient(credentials=credentials, transport="rest"{options})
print([project.project_id for project in client.search_projects()])"""


def configuration(wanted: Wanted) -> Configuration:
    is_moved = wanted.mode in (Mode.OVERRIDE, Mode.NAME)
    options = f', client_options={{"api_endpoint": "{wanted.server}"}}' if is_moved else ""
    environment = [f"REQUESTS_CA_BUNDLE={wanted.ca_file}", f"SSL_CERT_FILE={wanted.ca_file}"] if wanted.ca else []
    environment += [f"HTTPS_PROXY={wanted.proxy}"] if wanted.mode is Mode.PROXY else []
    notes = ['transport="rest" because there is no gRPC.']
    if is_moved:
        notes.append(
            "Without api_endpoint a library asks Google. Key files made here name this server in token_uri, so tokens come from here; what "
            "google-auth asks iamcredentials.googleapis.com (allowedLocations) goes to Google, unless DNS or a proxy leads it here."
        )
    return Configuration((), (_SNIPPET.format(options=options),), tuple(environment), tuple(notes), ("python3", "--version"))
