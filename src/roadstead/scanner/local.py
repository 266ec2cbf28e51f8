"""
Images that lie on this machine instead of a registry: what `docker save` writes, OCI layouts, and file systems that were unpacked.

Sources: image-spec, Image Layout; the Docker image specification v1.2, Combined Image JSON + Filesystem Changeset Format.
"""

from __future__ import annotations

import contextlib
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar, cast

import msgspec

from roadstead.errors import DigestInvalid, ScanFailed
from roadstead.oci.digest import Digest
from roadstead.oci.mediatype import INDEXES
from roadstead.scanner.folder import scan_folder
from roadstead.scanner.inventory import Inventory, LayerIndex
from roadstead.scanner.layers import scan_layer
from roadstead.scanner.limits import DEFAULT, MIB, Limits
from roadstead.scanner.merge import merge

_DOCUMENT_BYTES = 4 * MIB
_MEMBERS = 20_000
_LAYERS = 1000
_DEPTH = 3
_READ_ERRORS = (OSError, tarfile.TarError, EOFError, ValueError)


class _Saved(msgspec.Struct):
    """An image in `manifest.json`. Layers are files of the archive, bottom first."""

    config: str = msgspec.field(name="Config", default="")
    layers: list[str] = msgspec.field(name="Layers", default_factory=list)


class _RootFilesystem(msgspec.Struct):
    diff_ids: list[str] = []


class _Config(msgspec.Struct):
    rootfs: _RootFilesystem = msgspec.field(default_factory=_RootFilesystem)


class _Platform(msgspec.Struct):
    os: str = ""
    architecture: str = ""


class _Descriptor(msgspec.Struct):
    digest: str
    media_type: str = msgspec.field(name="mediaType", default="")
    platform: _Platform | None = None


class _Manifest(msgspec.Struct):
    """An image's manifest or an index: one of the two lists is there."""

    manifests: list[_Descriptor] = []
    layers: list[_Descriptor] = []


_Document = TypeVar("_Document")


class _Files(Protocol):
    """The files of a layout, in an archive or a folder. Raises ScanFailed for one that is not there."""

    def has(self, name: str) -> bool: ...
    def open(self, name: str) -> BinaryIO: ...


def scan_path(path: Path, architecture: str = "amd64", limits: Limits = DEFAULT) -> Inventory:
    """
    The inventory of an image in a file or folder: `docker save`'s archive, an OCI layout (packed or not), a packed or unpacked root.

    Of an index the image for linux and this architecture is taken, else its first. Layers are named by digest where the image gives
    one; the only layer of a file system is named "".

    Raises ScanFailed, for files that are not there too.
    """
    try:
        if path.is_dir():
            files = _Folder(path)
            return _image(files, architecture, limits) if _is_layout(files) else merge([("", scan_folder(path, limits))])
        with contextlib.closing(_Archive(path)) as archive:
            if _is_layout(archive):
                return _image(archive, architecture, limits)
        return merge([("", scan_layer(path, None, limits))])
    except _READ_ERRORS as error:
        raise ScanFailed(f"{path} cannot be read: {error}") from error


def _is_layout(files: _Files) -> bool:
    return files.has("manifest.json") or (files.has("index.json") and files.has("oci-layout"))


def _image(files: _Files, architecture: str, limits: Limits) -> Inventory:
    # docker save writes both forms: the layout names layers by digest, so it goes first.
    layout = files.has("index.json") and files.has("oci-layout")
    layers = _of_layout(files, architecture, limits) if layout else _of_saved(files, limits)
    return merge(list(layers))


def _of_saved(files: _Files, limits: Limits) -> Iterator[tuple[str, LayerIndex]]:
    images = _read(files, "manifest.json", list[_Saved])
    if len(images) != 1:
        raise ScanFailed(f"the archive holds {len(images)} images; save the one to scan alone")
    (image,) = images
    names = _read(files, image.config, _Config).rootfs.diff_ids if image.config else []
    if len(names) != len(image.layers):
        names = image.layers
    for name, layer in zip(names[:_LAYERS], image.layers[:_LAYERS], strict=True):
        with files.open(layer) as file:
            yield name, scan_layer(file, None, limits)


def _of_layout(files: _Files, architecture: str, limits: Limits) -> Iterator[tuple[str, LayerIndex]]:
    manifest = _read(files, "index.json", _Manifest)
    for _ in range(_DEPTH):
        if not manifest.manifests:
            break
        manifest = _read(files, _blob(_chosen(manifest.manifests, architecture).digest), _Manifest)
    if manifest.manifests or not manifest.layers:
        raise ScanFailed("the layout holds no image with layers")
    for layer in manifest.layers[:_LAYERS]:
        with files.open(_blob(layer.digest)) as file:
            yield layer.digest, scan_layer(file, Digest.parse(layer.digest), limits)


def _chosen(manifests: list[_Descriptor], architecture: str) -> _Descriptor:
    """Attestations have the platform unknown/unknown."""
    images = [entry for entry in manifests if entry.platform is None or entry.platform.os != "unknown"] or manifests
    fitting = (entry for entry in images if entry.platform and (entry.platform.os, entry.platform.architecture) == ("linux", architecture))
    indexes = (entry for entry in images if entry.media_type in INDEXES)
    return next(fitting, None) or next(indexes, None) or images[0]


def _blob(digest: str) -> str:
    try:
        parsed = Digest.parse(digest)
    except DigestInvalid as error:
        raise ScanFailed(f"the layout names something that is no digest: {error.message}") from error
    return f"blobs/{parsed.algorithm}/{parsed.encoded}"


def _read(files: _Files, name: str, kind: type[_Document]) -> _Document:
    with files.open(name) as file:
        data = file.read(_DOCUMENT_BYTES + 1)
    if len(data) > _DOCUMENT_BYTES:
        raise ScanFailed(f"{name} is larger than {_DOCUMENT_BYTES} bytes")
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise ScanFailed(f"{name} is not what it should be: {error}") from error


class _Folder:
    """Files under a folder; none outside it is read, whatever the image names."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def has(self, name: str) -> bool:
        return (self._root / name).is_file()

    def open(self, name: str) -> BinaryIO:
        path = Path(os.path.realpath(self._root / name))
        if not path.is_relative_to(self._root) or not path.is_file():
            raise ScanFailed(f"the image names {name}, which is not in {self._root}")
        return path.open("rb")


class _Archive:
    """Files of an archive, which may be compressed. Layers that are links to others (docker before 25) are followed."""

    def __init__(self, path: Path) -> None:
        self._tar: tarfile.TarFile | None
        self._members: dict[str, tarfile.TarInfo] = {}
        try:
            self._tar = tarfile.open(path)  # noqa: SIM115 closed by close()
        except tarfile.TarError:
            # Not one that this library unpacks (zstd): a layer, if anything.
            self._tar = None
            return
        for count, member in enumerate(self._tar):
            # A layout has its documents early and few members; a file system is known by its many.
            if count > _MEMBERS:
                break
            self._members[os.path.normpath(member.name)] = member

    def close(self) -> None:
        if self._tar is not None:
            self._tar.close()

    def has(self, name: str) -> bool:
        return name in self._members

    def open(self, name: str) -> BinaryIO:
        member, file = self._members.get(os.path.normpath(name)), None
        if member is not None and self._tar is not None:
            # A link to nothing, or to itself.
            with contextlib.suppress(KeyError, RecursionError):
                file = self._tar.extractfile(member)
        if file is None:
            raise ScanFailed(f"the image names {name}, which is not in the archive")
        return cast(BinaryIO, file)
