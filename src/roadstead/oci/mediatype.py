"""Media types of manifests and layers (image-spec, Media Types; Docker Image Manifest V2 Schema 2)."""

from __future__ import annotations

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

IMAGES = frozenset({OCI_IMAGE, DOCKER_MANIFEST})
INDEXES = frozenset({OCI_INDEX, DOCKER_MANIFEST_LIST})
DOCKER_SCHEMA_1 = frozenset(
    {"application/vnd.docker.distribution.manifest.v1+json", "application/vnd.docker.distribution.manifest.v1+prettyjws"}
)

_CONFIGS = frozenset({"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"})


def is_runnable(media_type: str, artifact_type: str) -> bool:
    """An image or an index of images, as far as these types tell: not an artifact that only has the form of one."""
    return media_type in INDEXES or (media_type in IMAGES and artifact_type in _CONFIGS)


def is_foreign(media_type: str) -> bool:
    """Layers that need not be in the registry: their bytes are elsewhere by licence."""
    return ".nondistributable." in media_type or media_type == "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
