"""gcrane, crane and other Go programs, which read variables."""

from __future__ import annotations

from roadstead.cli.client_settings.wanted import Configuration, Mode, Wanted
from roadstead.errors import ConfigurationError


def configuration(wanted: Wanted) -> Configuration:
    """Raises ConfigurationError."""
    if wanted.mode is Mode.OVERRIDE:
        raise ConfigurationError("gcrane and crane ask the host that stands in the image's name: choose --mode dns, name or proxy")
    host = wanted.names[0].host
    environment = [f"SSL_CERT_FILE={wanted.ca_file}"] if wanted.ca else []
    environment += [f"HTTPS_PROXY={wanted.proxy}"] if wanted.mode is Mode.PROXY else []
    plain = "--insecure " if wanted.is_plain else ""
    commands = [
        *(f"crane auth login -u _json_key --password-stdin {each.host} < key.json" for each in wanted.names),
        f"gcrane {plain}ls -r {host}/PROJECT",
    ]
    notes = [
        "For gcr.io, *.gcr.io and *.pkg.dev gcrane tries GOOGLE_APPLICATION_CREDENTIALS and gcloud before docker's logins: a key file of "
        "this server is good there, a Google account is refused.",
        *(["SSL_CERT_FILE stands instead of the system's authorities: append those for other registries."] if wanted.ca else []),
    ]
    return Configuration((), tuple(commands), tuple(environment), tuple(notes), ("gcrane", "version"))
