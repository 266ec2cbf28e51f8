"""
A real Debian image of two layers, made once: a minimal system, and the packages that a web site of PHP and MariaDB stands on.

Beside it lies what dpkg-query says, run in that very system.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from tests.kit.images import DEBOOTSTRAP_SECONDS, SUITE, debian_mirror

PACKAGES = ("apache2", "php", "mariadb-client")
INSTALL_SECONDS = 600

_FORMAT = r"${db:Status-Status}\t${Package}\t${Version}\t${source:Package}\t${source:Version}\t${Architecture}\n"
_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


@dataclasses.dataclass(frozen=True, slots=True)
class DebianImage:
    """saved is an archive for `docker load`; layers are the same bytes; installed are dpkg-query's rows, before and after the second."""

    saved: Path
    layers: tuple[Path, Path]
    installed: tuple[set[tuple[str, ...]], set[tuple[str, ...]]]


def debian_image(cache: Path) -> DebianImage:
    """
    The image, from the machine's own package mirror. Each row of installed is name, version, source, its version, architecture.

    A lock lets parallel test processes wait for the one that makes it. Skips where it cannot be made: it needs root and debootstrap.
    """
    folder = cache / "debian-php"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "debian-php.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _make(folder)
    rows = tuple(_rows(folder / f"{number}.txt") for number in (0, 1))
    return DebianImage(folder / "image.tar", (folder / "0.tar", folder / "1.tar"), (rows[0], rows[1]))


def _rows(listing: Path) -> set[tuple[str, ...]]:
    rows = (line.split("\t") for line in listing.read_text().splitlines())
    return {tuple(fields) for state, *fields in rows if state == "installed"}


def _make(folder: Path) -> None:
    mirror = debian_mirror()
    if os.geteuid() != 0 or shutil.which("debootstrap") is None or mirror is None:
        pytest.skip(f"a Debian image needs root, debootstrap and an apt source for {SUITE}")
    with tempfile.TemporaryDirectory(prefix="debian-") as scratch:
        root, made = Path(scratch) / "root", Path(scratch) / "made"
        made.mkdir()
        _run(["debootstrap", "--variant=minbase", SUITE, str(root), mirror], DEBOOTSTRAP_SECONDS)
        (made / "0.txt").write_text(_run(["chroot", str(root), "dpkg-query", "-W", "-f", _FORMAT]))
        _run(["tar", "-c", "-f", str(made / "0.tar"), "-C", str(root), "--exclude=./dev/*", "--exclude=./var/cache/apt/*", "."])
        marker = Path(scratch) / "marker"
        marker.touch()
        _install(root)
        (made / "1.txt").write_text(_run(["chroot", str(root), "dpkg-query", "-W", "-f", _FORMAT]))
        # dpkg gives files the times they have in the packages; when they came here is in their change times only.
        changed = f"cd {root} && find . -cnewer {marker} ! -type d ! -path './dev/*' -print0 | tar -c --null -T - -f {made}/1.tar"
        _run(["sh", "-c", changed])
        _save(made)
        shutil.copytree(made, folder.with_suffix(".new"))
        folder.with_suffix(".new").rename(folder)


def _install(root: Path) -> None:
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    _run(["chroot", str(root), "apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES], INSTALL_SECONDS)
    _run(["chroot", str(root), "apt-get", "clean"])
    policy.unlink()


def _run(command: list[str], seconds: int = 120) -> str:
    environment = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")} | _ENVIRONMENT
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"no Debian image: {command[0]} did not end in {seconds} s")
    if done.returncode:
        pytest.skip(f"no Debian image: {' '.join(command[:4])} … failed: {done.stdout[-400:]}{done.stderr[-400:]}")
    return done.stdout


def _save(folder: Path) -> None:
    """As `docker save` writes it."""
    diffs = []
    for number in (0, 1):
        with (folder / f"{number}.tar").open("rb") as file:
            diffs.append("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/bin/bash"]},
        "rootfs": {"type": "layers", "diff_ids": diffs},
        "history": [{"created_by": "debootstrap"}, {"created_by": f"apt-get install {' '.join(PACKAGES)}"}],
    }
    (folder / "config.json").write_text(json.dumps(config))
    manifest = [{"Config": "config.json", "RepoTags": ["debian-php:latest"], "Layers": ["0.tar", "1.tar"]}]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with tarfile.open(folder / "image.tar", "w") as tar:
        for name in ("manifest.json", "config.json", "0.tar", "1.tar"):
            tar.add(folder / name, name)
