"""kaniko's executor, which takes options. Spec: kaniko, README, "Additional Flags"."""

from __future__ import annotations

from pathlib import PurePosixPath

from roadstead.cli.client_settings.content import Whole
from roadstead.cli.client_settings.wanted import Configuration, Mode, Piece, Wanted

_AUTHORITY = PurePosixPath("/kaniko/ssl/certs/roadstead-ca.pem")


def configuration(wanted: Wanted) -> Configuration:
    asked = list(dict.fromkeys(each.authority for each in wanted.names))
    options = [f"--registry-map={each.host}={each.authority}" for each in wanted.names if each.host != each.authority]
    if options:
        options.append("--skip-default-registry-fallback")
    if wanted.is_plain:
        options += [f"--insecure-registry={each}" for each in asked]
    elif wanted.ca:
        options += [f"--registry-certificate={each}={_AUTHORITY}" for each in asked]
    destination = f"{asked[0]}/PROJECT/IMAGE:TAG"
    command = " ".join(["/kaniko/executor", *options, f"--destination={destination}"])
    notes = [
        "Credentials: mount a docker config.json with a login of _json_key as /kaniko/.docker/config.json; a log-in as for docker makes it."
    ]
    if wanted.mode is Mode.OVERRIDE:
        notes.append("--registry-map is for base images; the destination is asked by its own name, so it must be the server's.")
    environment = (f"HTTPS_PROXY={wanted.proxy}",) if wanted.mode is Mode.PROXY else ()
    pieces = (Piece(_AUTHORITY, Whole(wanted.ca, is_copy=True)),) if wanted.ca else ()
    return Configuration(pieces, (command,), environment, tuple(notes), ("/kaniko/executor", "version"))
