"""
Real images: tiny ones that run anywhere, and a Debian with nginx from Debian's own packages.

Tiny images hold one static program and the bytes that make them unique, so that no test finds another test's blobs.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

GREETING = "hello from a container"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
SUITE = "bookworm"
DEBOOTSTRAP_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Layout:
    """An OCI image layout on disk: path:TAG is what tools call the manifest (or index) that digest names."""

    path: Path
    digest: str
    manifest: bytes


def static_program(folder: Path) -> Path:
    """A program that prints GREETING and needs no file but itself, so that it runs in an image made FROM scratch."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed: run tests/install-tools")
    source = folder / "hello.c"
    source.write_text(f'#include <stdio.h>\nint main(void) {{ puts("{GREETING}"); return 0; }}\n')
    subprocess.run(["gcc", "-static", "-Os", "-s", "-o", folder / "hello", source], check=True)
    return folder / "hello"


def build_context(folder: Path, program: Path, unique: str) -> Path:
    """A folder to build from: two layers, of which the second is unique."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(program, folder / "hello")
    (folder / "unique").write_text(unique)
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY hello /hello\nCOPY unique /unique\nCMD ["/hello"]\n')
    return folder


def image_layout(folder: Path, unique: str, tag: str = "v1", architecture: str = "amd64") -> Layout:
    """An image of two layers, in OCI formats, written by hand: no tool has to be installed for it."""
    writer = _LayoutWriter(folder)
    return writer.finish(writer.image(unique, architecture), tag)


def index_layout(folder: Path, unique: str, architectures: Sequence[str] = ("amd64", "arm64"), tag: str = "v1") -> Layout:
    """An index of one image per architecture."""
    writer = _LayoutWriter(folder)
    children = [{**writer.image(unique, name), "platform": {"os": "linux", "architecture": name}} for name in architectures]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}
    return writer.finish(writer.blob(OCI_INDEX, json.dumps(index).encode()), tag)


def layer_tar(name: str, content: bytes) -> bytes:
    """A layer with one file, the same bytes for the same arguments."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        info.mode = 0o755
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class _LayoutWriter:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, media_type: str, content: bytes) -> dict[str, Any]:
        encoded = hashlib.sha256(content).hexdigest()
        (self.folder / "blobs/sha256" / encoded).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{encoded}", "size": len(content)}

    def image(self, unique: str, architecture: str) -> dict[str, Any]:
        tars = [layer_tar("base", f"base of {unique}".encode()), layer_tar("unique", f"{unique} for {architecture}".encode() * 1000)]
        config = {
            "os": "linux",
            "architecture": architecture,
            "config": {"Cmd": ["/base"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.blob(OCI_CONFIG, json.dumps(config).encode()),
            "layers": [self.blob(OCI_LAYER, gzip.compress(tar, mtime=0)) for tar in tars],
        }
        return self.blob(OCI_MANIFEST, json.dumps(manifest).encode())

    def finish(self, descriptor: dict[str, Any], tag: str) -> Layout:
        named = {**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}}
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [named]}))
        digest = str(descriptor["digest"])
        return Layout(self.folder, digest, (self.folder / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes())


def debian_nginx(cache: Path) -> Path:
    """
    The root file system of a minimal Debian with nginx, as a tar, made once from the machine's own package mirror.

    A lock lets parallel test processes wait for the one that makes it. Skips where it cannot be made.
    """
    rootfs = cache / "debian-nginx.tar"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "debian-nginx.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not rootfs.exists():
            _debootstrap(rootfs)
    return rootfs


def debian_mirror(apt: Path = Path("/etc/apt")) -> str | None:
    """The first package mirror that the machine's apt has for SUITE, in either of apt's two file formats."""
    for file in sorted([apt / "sources.list", *apt.glob("sources.list.d/*")]):
        for line in file.read_text().splitlines() if file.is_file() else []:
            words = [word for word in line.split() if not word.startswith(("[", "signed-by", "arch="))]
            if words[:1] == ["deb"] and words[2:3] == [SUITE]:
                return words[1]
        for stanza in file.read_text().split("\n\n") if file.suffix == ".sources" else []:
            fields = {key: value.split() for key, _, value in (line.partition(":") for line in stanza.splitlines())}
            if SUITE in fields.get("Suites", []) and "main" in fields.get("Components", []):
                return fields["URIs"][0]
    return None


def _debootstrap(rootfs: Path) -> None:
    mirror = debian_mirror()
    if os.geteuid() != 0 or shutil.which("debootstrap") is None or mirror is None:
        pytest.skip(f"a Debian image needs root, debootstrap and an apt source for {SUITE}")
    with tempfile.TemporaryDirectory(prefix="rs-debian-") as folder:
        command = ["debootstrap", "--variant=minbase", "--include=nginx-light", SUITE, folder, mirror]
        made = subprocess.run(command, capture_output=True, text=True, timeout=DEBOOTSTRAP_SECONDS, check=False)
        if made.returncode:
            pytest.skip(f"debootstrap could not make a Debian: {made.stdout[-600:]}{made.stderr[-600:]}")
        for downloads in ("var/cache/apt", "var/lib/apt/lists"):
            shutil.rmtree(Path(folder, downloads))
        partial = rootfs.with_suffix(".partial")
        subprocess.run(["tar", "--sort=name", "--numeric-owner", "-C", folder, "-cf", partial, "."], check=True)
        partial.rename(rootfs)
