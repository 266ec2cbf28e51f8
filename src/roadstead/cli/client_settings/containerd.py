"""
containerd, of Kubernetes' nodes too.

The server stands as `server`, not as a mirror in front of one: after a mirror containerd asks gcr.io itself.
Spec: containerd, docs/hosts.md.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from roadstead.cli.client_settings.content import Whole
from roadstead.cli.client_settings.docker import drop_in
from roadstead.cli.client_settings.wanted import Configuration, Mode, Name, Piece, Wanted

FOLDER = PurePosixPath("/etc/containerd/certs.d")
_DROP_IN = PurePosixPath("/etc/systemd/system/containerd.service.d/roadstead-proxy.conf")


def hosts_toml(wanted: Wanted, name: Name) -> str:
    address = f"{wanted.scheme}://{name.authority}"
    can = 'capabilities = ["pull", "resolve", "push"]\n'
    # It stands beside the file: containerd takes the path from there.
    authority = 'ca = "ca.crt"\n' if wanted.ca else ""
    # containerd 1 reads no file without a host, and the next after the host is the server: it must not be Google's.
    return f'server = "{address}"\n{can}{authority}\n[host."{address}"]\n{can}{authority}'


def pieces(wanted: Wanted) -> list[Piece]:
    found = []
    for name in wanted.names:
        found.append(Piece(FOLDER / name.host / "hosts.toml", Whole(hosts_toml(wanted, name))))
        if wanted.ca:
            found.append(Piece(FOLDER / name.host / "ca.crt", Whole(wanted.ca, is_copy=True)))
    return found


def configuration(wanted: Wanted) -> Configuration:
    found, commands = pieces(wanted), []
    notes = [
        'For Kubernetes /etc/containerd/config.toml must have config_path = "/etc/containerd/certs.d", in the table '
        '[plugins."io.containerd.grpc.v1.cri".registry] of containerd 1, [plugins."io.containerd.cri.v1.images".registry] of 2. '
        "Changes of these files need no restart, one of config.toml does.",
        f'By hand: ctr images pull --hosts-dir {FOLDER} --user _json_key:"$(cat key.json)" {wanted.names[0].host}/PROJECT/IMAGE:TAG',
    ]
    if wanted.mode is Mode.PROXY:
        found.append(Piece(_DROP_IN, Whole(drop_in(wanted.proxy))))
        commands += ["systemctl daemon-reload", "systemctl restart containerd"]
        notes.append("The proxy leads to this server only: the node cannot reach other registries through it.")
    return Configuration(tuple(found), tuple(commands), (), tuple(notes), ("containerd", "--version"))
