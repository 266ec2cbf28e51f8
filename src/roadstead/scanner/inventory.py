"""
What is in an image: its distribution and its packages, each with the layer that brought it.

`layers.scan_layer` turns the bytes of one layer into a `LayerIndex`, which depends on nothing but these bytes and can be kept for ever;
`merge.merge` lays the indexes of an image over each other and gives its `Inventory`.
"""

from __future__ import annotations

import zlib
from typing import Literal, Self

import msgspec
from packageurl import PackageURL

# Part of the key of every stored LayerIndex: raise it when a layer would give another index than before.
ANALYZER_VERSION = 1

Kind = Literal["dpkg", "apk", "rpm", "pypi", "npm", "golang", "maven", "gem"]
OS_KINDS: frozenset[Kind] = frozenset({"dpkg", "apk", "rpm"})

_PURL_TYPES: dict[Kind, str] = {"dpkg": "deb", "apk": "apk", "rpm": "rpm"}
_CPE_PRODUCTS = {
    "debian": "debian:debian_linux",
    "ubuntu": "canonical:ubuntu_linux",
    "alpine": "alpine:alpine_linux",
    "rhel": "redhat:enterprise_linux",
    "centos": "centos:centos",
    "fedora": "fedoraproject:fedora",
    "rocky": "rocky:rocky",
    "almalinux": "almalinux:almalinux",
    "amzn": "amazon:linux",
    "ol": "oracle:linux",
}


class Distro(msgspec.Struct, frozen=True, array_like=True):
    """
    A Linux distribution and the release its advisories are filed under.

    id is that of os-release (`debian`, `ubuntu`, `alpine`, `rhel` …). release is the advisories': Debian's major (`12`) or `sid`,
    Ubuntu's `22.04`, Alpine's `3.18` or `edge`, the version as written for others, and empty where nothing tells it.
    Whether there are advisories for it is the matcher's question.
    """

    id: str
    release: str
    pretty_name: str = ""

    @property
    def cpe(self) -> str:
        """The CPE 2.2 URI of the release: `cpe:/o:debian:debian_linux:12`."""
        product = _CPE_PRODUCTS.get(self.id, f"{self.id}:{self.id}")
        return f"cpe:/o:{product}:{self.release}" if self.release else f"cpe:/o:{product}"


class Package(msgspec.Struct, frozen=True, array_like=True):
    """
    One installed package.

    source_name and source_version are those of the source package it was built from, which advisories of distributions name; where
    there is none (or no other) they are name and version. version is written as its system writes it, with the epoch if there is one.
    path is the file it was found in, without a leading slash.
    """

    kind: Kind
    name: str
    version: str
    source_name: str
    source_version: str
    architecture: str
    path: str

    @property
    def purl(self) -> str:
        """The package URL as far as the package alone tells it: `pkg:deb/openssl@3.0.11-1?arch=amd64`."""
        return self.purl_in(None)

    def purl_in(self, distro: Distro | None) -> str:
        """The package URL; that of an OS package names the distribution: `pkg:deb/debian/openssl@3.0.11-1?arch=amd64&distro=debian-12`."""
        namespace, name = None, self.name
        qualifiers: dict[str, str] = {}
        if self.kind in OS_KINDS:
            if self.architecture:
                qualifiers["arch"] = self.architecture
            if distro is not None:
                namespace = distro.id
                qualifiers["distro"] = f"{distro.id}-{distro.release}" if distro.release else distro.id
        elif self.kind == "maven":
            namespace, _, name = self.name.rpartition(":")
        elif self.kind in {"npm", "golang"}:
            namespace, _, name = self.name.rpartition("/")
        return PackageURL(_PURL_TYPES.get(self.kind, self.kind), namespace or None, name, self.version or None, qualifiers).to_string()

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes it the same package in two layers. A language's package may be installed at many places, an OS package at one."""
        if self.kind in OS_KINDS:
            return self.kind, self.name, self.version, self.architecture
        return self.kind, self.name, self.version, self.path


class File(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """A file of a layer that was read: its packages, or its text where it tells the distribution. Both empty: it was not what it seemed."""

    path: str
    packages: tuple[Package, ...] = ()
    text: str = ""


class Symlink(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """target is as in the archive: relative to the link's folder or absolute within the image."""

    path: str
    target: str


class Hardlink(msgspec.Struct, frozen=True, array_like=True, tag="h"):
    """target is the path of another file of the image. Only links between files that are both ours by their names are known."""

    path: str
    target: str


Entry = File | Symlink | Hardlink


class LayerIndex(msgspec.Struct, frozen=True, array_like=True):
    """
    What one layer adds to an image and takes from it, as far as packages are concerned. All paths are clean and relative.

    whiteouts and opaques are paths deleted from the layers below and folders whose content below is hidden (image-spec, Layers).
    entries are in the order of the archive. replaced and folders are sorted 8-byte `path_key`s of everything else the layer
    writes: files (which replace what a lower layer has at their path) and folders (which replace symbolic links).
    Counts and notes are for people: size_bytes is the layer's size unpacked; notes name files that could not be understood.
    """

    entries: tuple[Entry, ...] = ()
    whiteouts: tuple[str, ...] = ()
    opaques: tuple[str, ...] = ()
    replaced: bytes = b""
    folders: bytes = b""
    size_bytes: int = 0
    notes: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Compact bytes for the store."""
        return zlib.compress(msgspec.msgpack.encode(self), 6)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Of bytes that encode() made at this ANALYZER_VERSION."""
        return msgspec.msgpack.decode(zlib.decompress(data), type=cls)


class Inventory(msgspec.Struct, frozen=True, array_like=True):
    """
    The packages of an image, each with the digest of the layer since which it has been there without a break.

    distro is None where nothing tells it (an image from scratch). OS packages come first; order is stable. notes are the layers'.
    """

    distro: Distro | None
    packages: tuple[tuple[Package, str], ...]
    notes: tuple[str, ...] = ()

    def encode(self) -> bytes:
        return zlib.compress(msgspec.msgpack.encode(self), 6)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        return msgspec.msgpack.decode(zlib.decompress(data), type=cls)
