"""
podman, buildah and skopeo, and CRI-O: all read the files of containers/image.

Spec: containers-registries.conf(5), containers-certs.d(5).
"""

from __future__ import annotations

from pathlib import PurePosixPath

from roadstead.cli.client_settings.content import Whole
from roadstead.cli.client_settings.docker import drop_in
from roadstead.cli.client_settings.wanted import Configuration, Mode, Piece, Wanted

_CERTIFICATES = PurePosixPath("/etc/containers/certs.d")
_REGISTRIES = PurePosixPath("/etc/containers/registries.conf.d/50-roadstead.conf")
_CRIO = PurePosixPath("/etc/systemd/system/crio.service.d/roadstead-proxy.conf")


def configuration(wanted: Wanted) -> Configuration:
    environment = (f"HTTPS_PROXY={wanted.proxy}",) if wanted.mode is Mode.PROXY else ()
    login = tuple(f"podman login -u _json_key --password-stdin {each.authority} < key.json" for each in wanted.names)
    notes = _notes(wanted)
    return Configuration(tuple(_pieces(wanted)), login, environment, tuple(notes), ("podman", "--version"))


def crio(wanted: Wanted) -> Configuration:
    pieces, commands = _pieces(wanted), ["systemctl reload crio"]
    if wanted.mode is Mode.PROXY:
        pieces.append(Piece(_CRIO, Whole(drop_in(wanted.proxy))))
        commands = ["systemctl daemon-reload", "systemctl restart crio"]
    notes = ("Credentials come from imagePullSecrets: roadstead clients configure kubernetes says how.",)
    return Configuration(tuple(pieces), tuple(commands), (), notes, ("crio", "--version"))


def _notes(wanted: Wanted) -> list[str]:
    if wanted.mode is not Mode.OVERRIDE:
        return []
    return [
        "Credentials are kept by the address that is asked, not by the image's name.",
        "These files are read for pulls only: podman push gcr.io/… still goes to Google, and so does skopeo inspect for the list of tags "
        f"(--no-tags). Push to {wanted.authority}/…, or choose --mode dns or proxy.",
    ]


def _pieces(wanted: Wanted) -> list[Piece]:
    found = []
    if wanted.mode is Mode.OVERRIDE or wanted.is_plain:
        insecure = "insecure = true\n" if wanted.is_plain else ""
        tables = [f'[[registry]]\nprefix = "{each.host}"\nlocation = "{each.authority}"\n{insecure}' for each in wanted.names]
        found.append(Piece(_REGISTRIES, Whole("\n".join(tables))))
    if wanted.ca:
        authorities = dict.fromkeys(each.authority for each in wanted.names)
        found += [Piece(_CERTIFICATES / each / "ca.crt", Whole(wanted.ca, is_copy=True)) for each in authorities]
    return found
