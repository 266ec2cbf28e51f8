"""
A server under Google's own names on ports 443 and 80, in a network namespace of its own: nothing of the machine is changed.

Linux only, and root: `unshare`, `nsenter` and `ip` do it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.kit.accounts import WITH_ACCOUNTS
from tests.kit.program import Program, find
from tests.kit.server import Server

# Of nobody (RFC 5737), and no loopback address: from those docker takes any certificate.
ADDRESS = "192.0.2.1"
_INSIDE = f'ip link set lo up && ip address add {ADDRESS}/32 dev lo && mount --bind "$1" /etc/hosts && shift && exec "$@"'


def skip_unless_possible() -> None:
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    for name in ("unshare", "nsenter", "ip"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed: a network namespace needs it")
    done = subprocess.run(["unshare", "--net", "--mount", "ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine gives no network namespace: {done.stderr.strip()}")


class NamedServer(Server):
    """names resolve to it, for whoever is inside."""

    def __init__(self, data: Path, names: Sequence[str], *options: str) -> None:
        hosts = data.parent / "hosts"
        hosts.write_text(f"127.0.0.1 localhost\n{ADDRESS} {' '.join(names)}\n")
        command = ["unshare", "--net", "--mount", "sh", "-c", _INSIDE, "sh", str(hosts)]
        super().__init__(data, *options, "--listen-http", f"{ADDRESS}:80", command=command, env=WITH_ACCOUNTS)

    def role(self) -> list[str]:
        return ["serve", "--listen", f"{ADDRESS}:443"]

    @property
    def inside(self) -> list[str]:
        """What is put before a command that is to run in there."""
        assert self.process
        return ["nsenter", "--target", str(self.process.pid), "--net", "--mount"]

    def program(self, path: Path, home: Path, **environment: str) -> Program:
        """Run in there; paths must be absolute."""
        return Program(find("nsenter"), home, *self.inside[1:], str(path), environment=environment)
