"""What of an image can be scanned: its layers, or the images of an index."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from roadstead.oci import mediatype
from roadstead.oci.digest import Digest


class State(StrEnum):
    """
    Of a scanned image. Whether one that was read has advisories to be matched with is no state of it: that changes with what is loaded.
    """

    PENDING = "PENDING"
    SCANNING = "SCANNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"


class _Described(msgspec.Struct, frozen=True, rename={"media_type": "mediaType"}):
    digest: str
    media_type: str = ""
    platform: dict[str, Any] | None = None


class _Document(msgspec.Struct, frozen=True):
    layers: list[_Described] | None = None
    manifests: list[_Described] | None = None


class Content(msgspec.Struct, frozen=True):
    """layers: digests of an image, from the bottom; children: the manifests of an index. Both are empty of what is no image."""

    layers: tuple[Digest, ...] = ()
    children: tuple[Digest, ...] = ()


_LAYERS = (
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
)


def content(payload: bytes) -> Content:
    """
    Of a manifest that the registry has accepted. Foreign layers are left out: they are not here, and not for Linux. What has other layers
    than archives (attestations, charts, models) is no image.
    """
    document = msgspec.json.decode(payload, type=_Document)
    if document.manifests is not None:
        return Content(children=tuple(Digest.parse(each.digest) for each in document.manifests))
    layers = document.layers or []
    if not all(each.media_type.startswith(_LAYERS) and "encrypted" not in each.media_type for each in layers):
        return Content()
    return Content(layers=tuple(Digest.parse(each.digest) for each in layers if not mediatype.is_foreign(each.media_type)))
