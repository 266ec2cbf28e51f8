"""
Kubernetes: a secret to pull with, and the nodes' containerd told of the server.

The manifest puts containerd's files on every node, and keeps them there. Spec: Kubernetes, "Pull an Image from a Private Registry".
"""

from __future__ import annotations

import textwrap
from pathlib import PurePosixPath

from roadstead.cli.client_settings import containerd
from roadstead.cli.client_settings.content import Whole
from roadstead.cli.client_settings.wanted import Configuration, Mode, Piece, Wanted
from roadstead.errors import ConfigurationError

_MANIFEST = PurePosixPath("/etc/roadstead/kubernetes-nodes.yaml")
_HEAD = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: roadstead-nodes
  namespace: kube-system
data:
"""
_DAEMON_SET = """\
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: roadstead-nodes
  namespace: kube-system
spec:
  selector:
    matchLabels: {app: roadstead-nodes}
  template:
    metadata:
      labels: {app: roadstead-nodes}
    spec:
      tolerations: [{operator: Exists}]
      containers:
        - name: copy
          image: busybox:1.37  # any image with a shell and cp that the nodes can already pull
          command: ["/bin/sh", "-ec"]
          args:
            - |
              while true; do
"""
_VOLUMES = """\
                sleep 60
              done
          volumeMounts:
            - {name: wanted, mountPath: /wanted}
            - {name: certs, mountPath: /certs.d}
      volumes:
        - name: wanted
          configMap: {name: roadstead-nodes}
        - name: certs
          hostPath: {path: /etc/containerd/certs.d, type: DirectoryOrCreate}
"""


def configuration(wanted: Wanted) -> Configuration:
    """Raises ConfigurationError."""
    if wanted.mode is Mode.PROXY:
        raise ConfigurationError("the proxy is on one machine's loopback, and nodes are others: choose --mode override, dns or name")
    # kubelet looks a secret up by the image's name, whatever address is asked.
    secrets = [
        f"kubectl create secret docker-registry {_secret(each.host)} --docker-server={each.host} --docker-username=_json_key "
        '--docker-password="$(cat key.json)"'
        for each in wanted.names
    ]
    names = ", ".join(f'{{"name": "{_secret(each.host)}"}}' for each in wanted.names)
    commands = [
        f"kubectl apply -f {_MANIFEST}",
        *secrets,
        f"kubectl patch serviceaccount default -p '{{\"imagePullSecrets\": [{names}]}}'",
    ]
    notes = (
        'The nodes\' containerd must have config_path = "/etc/containerd/certs.d": roadstead clients configure containerd says where. '
        "For nodes with CRI-O, put the files of roadstead clients configure cri-o there instead.",
        "A secret and a service account belong to one namespace: repeat with --namespace. key.json is a service account's with "
        "roles/artifactregistry.reader; an access token would last an hour.",
    )
    return Configuration((Piece(_MANIFEST, Whole(_manifest(wanted))),), tuple(commands), (), notes, ("kubectl", "version", "--client"))


def _secret(host: str) -> str:
    return "roadstead-" + host.replace(".", "-").replace(":", "-")


def _manifest(wanted: Wanted) -> str:
    data, copies = [], []
    for piece in containerd.pieces(wanted):
        host, file = piece.path.parent.name, piece.path.name
        key = f"{_secret(host)}.{file}"
        data.append(f"  {key}: |\n" + textwrap.indent(piece.content.text, "    "))
        copies.append(f"                mkdir -p '/certs.d/{host}'; cp '/wanted/{key}' '/certs.d/{host}/{file}'\n")
    return _HEAD + "".join(data) + _DAEMON_SET + "".join(copies) + _VOLUMES
