"""
Container Analysis: bills of materials. exportSBOM makes one of a scanned image, attaches it to the image as a referrer, and says so in an
occurrence (SBOM_REFERENCE) of the image's project.

Google writes the bill into a bucket.
Spec: https://cloud.google.com/container-analysis/docs/reference/rest/v1/projects.resources/exportSBOM
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import msgspec

from roadstead.analysis import names
from roadstead.analysis import resources as analysed
from roadstead.analysis.occurrences import draft
from roadstead.api.google.containeranalysis import parent
from roadstead.api.google.routing import Call, Route
from roadstead.errors import AlreadyExists, FieldInvalid, ResourceUnknown
from roadstead.iam import resources
from roadstead.oci.digest import Digest
from roadstead.oci.reference import Repository
from roadstead.scanner.sbom import Format
from roadstead.scanning.sboms import Attached

NOTE = "roadstead-sbom"
_PUSH = "artifactregistry.repositories.uploadArtifacts"
_PREDICATE = "https://bcid.corp.google.com/reference/v0.1"


class _Export(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """cloudStorageLocation is taken and means nothing here. format is ours: Google writes SPDX only."""

    name: str = ""
    cloud_storage_location: dict[str, Any] | None = None
    format: Literal["SPDX", "CYCLONEDX"] = "SPDX"


async def _export(call: Call) -> dict[str, Any]:
    project, location = await parent(call)
    wanted = await call.body(_Export)
    repository, digest = _image(call, call.variables["resource"])
    if resources.split_name(repository.name)[0] != project:
        raise FieldInvalid("the image is not of the project in the path", {"field": "name"})
    # It becomes part of the repository, so whoever asks must be one who may push there.
    await call.require(_PUSH, resources.of_name(repository.location, repository.name))
    attached = await call.services.sboms.attach(repository, digest, Format(wanted.format.lower()))
    made = await call.services.analysis.occurrences.create(project, draft(await _occurrence(call, project, attached)))
    call.details["sbom"] = str(attached.manifest)
    return {"discoveryOccurrence": names.occurrence(project, made.name, location)}


def _image(call: Call, text: str) -> tuple[Repository, Digest]:
    """`https://gcr.io/P/IMAGE@sha256:…`, also without the scheme. Raises FieldInvalid, ResourceUnknown."""
    uri = analysed.parse(text, "name").uri
    host, _, rest = uri.partition("/")
    name, separator, digest = rest.partition("@")
    if not separator:
        raise FieldInvalid("the resource is an image with its digest: https://gcr.io/PROJECT/IMAGE@sha256:…", {"field": "name"})
    location = call.services.hosts.get(host.lower())
    if location is None:
        raise ResourceUnknown(f"{host[:100]} is no host of this server's images")
    return Repository.parse(location, name), Digest.parse(digest)


async def _occurrence(call: Call, project: str, attached: Attached) -> dict[str, Any]:
    note = {"shortDescription": "Bills of materials", "sbomReference": {"format": "spdx", "version": "2.3"}}
    with suppress(AlreadyExists):
        await call.services.analysis.notes.create(project, NOTE, note)
    uri = analysed.parse(call.variables["resource"], "name").uri
    image, _, digest = uri.partition("@")
    algorithm, _, value = digest.partition(":")
    host, _, name = image.partition("/")
    blob_algorithm, _, blob_value = attached.blob.partition(":")
    payload = {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": _PREDICATE,
        "subject": [{"name": f"https://{image}", "digest": {algorithm: value}}],
        "predicate": {
            "referrerId": "https://roadstead",
            "location": f"https://{host}/v2/{name}/blobs/{attached.blob}",
            "mimeType": attached.media_type,
            "digest": {blob_algorithm: blob_value},
        },
    }
    return {
        "resourceUri": f"https://{uri}",
        "noteName": names.note(project, NOTE),
        "sbomReference": {"payload": payload, "payloadType": "application/vnd.in-toto+json"},
    }


ROUTES: Sequence[Route] = (
    Route("POST", "/v1/projects/{project}/resources/{resource=**}:exportSBOM", _export, "containeranalysis.occurrences.create"),
    Route(
        "POST",
        "/v1/projects/{project}/locations/{location}/resources/{resource=**}:exportSBOM",
        _export,
        "containeranalysis.occurrences.create",
    ),
)
