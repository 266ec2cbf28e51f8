"""buildkitd. Spec: BuildKit, docs/buildkitd.toml.md."""

from __future__ import annotations

from pathlib import PurePosixPath

from roadstead.cli.client_settings.content import Block, Whole
from roadstead.cli.client_settings.wanted import Configuration, Mode, Piece, Wanted

_FILE = PurePosixPath("/etc/buildkit/buildkitd.toml")
_AUTHORITY = PurePosixPath("/etc/buildkit/roadstead-ca.pem")


def configuration(wanted: Wanted) -> Configuration:
    tables, notes = [], []
    # Of a loopback address it would think that it speaks plain HTTP.
    how = f"http = {str(wanted.is_plain).lower()}\n" + (f'ca = ["{_AUTHORITY}"]\n' if wanted.ca else "")
    for name in wanted.names:
        if name.host != name.authority:
            tables.append(f'[registry."{name.host}"]\nmirrors = ["{name.authority}"]\n')
    tables += [f'[registry."{each}"]\n{how}' for each in dict.fromkeys(name.authority for name in wanted.names)]
    if wanted.mode is Mode.OVERRIDE:
        notes.append(
            "BuildKit pulls from a mirror and pushes to the name itself: an image that is called gcr.io/… is still pushed to Google. "
            f"Push to {wanted.authority}/…, or choose --mode dns. What the mirror does not have is asked of Google, too."
        )
    if wanted.mode is Mode.PROXY:
        notes.append("The proxy leads to this server only: buildkitd cannot reach other registries through it.")
    notes.append(
        "buildkitd reads its file when it starts; docker buildx takes it with create --buildkitd-config FILE, and copies the authority."
    )
    environment = [f"HTTPS_PROXY={wanted.proxy}"] if wanted.mode is Mode.PROXY else []
    if wanted.ca:
        # Tokens are fetched by the program that asked for the build, not by buildkitd.
        environment.append(f"SSL_CERT_FILE={wanted.ca_file}")
        notes.append("The variables are for buildctl or docker buildx as well: it is they who fetch tokens.")
    pieces = [Piece(_FILE, Block("\n".join(tables)))] if tables else []
    if wanted.ca:
        pieces.append(Piece(_AUTHORITY, Whole(wanted.ca, is_copy=True)))
    return Configuration(tuple(pieces), (), tuple(environment), tuple(notes), ("buildkitd", "--version"))
