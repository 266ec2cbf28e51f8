"""The one place where domain errors become HTTP (distribution-spec, Error Codes)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from roadstead import errors
from roadstead.api.messages import Response

# The nearest class in the method resolution order counts, so a base class is the answer for what is not listed.
DISTRIBUTION: dict[type[errors.RoadsteadError], tuple[int, str]] = {
    errors.NameUnknown: (404, "NAME_UNKNOWN"),
    errors.ManifestUnknown: (404, "MANIFEST_UNKNOWN"),
    errors.BlobUnknown: (404, "BLOB_UNKNOWN"),
    errors.UploadUnknown: (404, "BLOB_UPLOAD_UNKNOWN"),
    errors.NotFound: (404, "NAME_UNKNOWN"),
    errors.NameInvalid: (400, "NAME_INVALID"),
    errors.TagInvalid: (400, "TAG_INVALID"),
    errors.DigestInvalid: (400, "DIGEST_INVALID"),
    errors.DigestMismatch: (400, "DIGEST_INVALID"),
    errors.PaginationInvalid: (400, "PAGINATION_NUMBER_INVALID"),
    errors.ManifestBlobUnknown: (400, "MANIFEST_BLOB_UNKNOWN"),
    errors.SizeInvalid: (400, "SIZE_INVALID"),
    errors.ManifestInvalid: (400, "MANIFEST_INVALID"),
    errors.UploadRangeInvalid: (416, "BLOB_UPLOAD_INVALID"),
    errors.UploadInvalid: (400, "BLOB_UPLOAD_INVALID"),
    errors.Invalid: (400, "UNSUPPORTED"),
    errors.ManifestTooLarge: (413, "MANIFEST_INVALID"),
    errors.BlobTooLarge: (413, "SIZE_INVALID"),
    errors.TooLarge: (413, "SIZE_INVALID"),
    errors.PreconditionFailed: (412, "DENIED"),
    errors.BlobReferenced: (405, "UNSUPPORTED"),
    errors.MethodUnsupported: (405, "UNSUPPORTED"),
    errors.Refused: (403, "DENIED"),
    errors.RequestTimedOut: (408, "BLOB_UPLOAD_INVALID"),
    errors.StorageFull: (507, "UNAVAILABLE"),
    errors.ReadOnly: (503, "UNAVAILABLE"),
    errors.StorageError: (503, "UNAVAILABLE"),
    errors.RoadsteadError: (500, "UNKNOWN"),
}

# Details may hold digests and tags, which are str with a name.
_encoder = msgspec.json.Encoder(enc_hook=str)


def distribution_error(error: errors.RoadsteadError) -> Response:
    """`{"errors": [{"code", "message", "detail"}]}`; ManifestBlobUnknown has one entry for everything that misses."""
    status, code = next(DISTRIBUTION[kind] for kind in type(error).__mro__ if kind in DISTRIBUTION)
    headers: list[tuple[str, str]] = []
    if isinstance(error, errors.MethodUnsupported):
        headers.append(("allow", ", ".join(error.allowed)))
    if isinstance(error, errors.StorageError):
        headers.append(("retry-after", "5"))
    if isinstance(error, errors.UploadRangeInvalid):
        headers.append(("range", f"0-{max(0, error.offset_bytes - 1)}"))
    details = error.detail if isinstance(error, errors.ManifestBlobUnknown) and isinstance(error.detail, list) else [error.detail]
    entries = [{"code": code, "message": error.message, "detail": detail} for detail in details[:1000]]
    return Response(status, [("content-type", "application/json"), *headers], _encoder.encode({"errors": entries}))


def internal_error() -> Response:
    entry = {"code": "UNKNOWN", "message": "the server failed at this request; its log says why", "detail": None}
    return Response(500, [("content-type", "application/json")], msgspec.json.encode({"errors": [entry]}))


async def not_found(send: Callable[[dict[str, object]], Any]) -> None:
    """The answer of an ASGI application that has no such path."""
    body = msgspec.json.encode({"errors": [{"code": "UNSUPPORTED", "message": "this server's API is at /v2/", "detail": None}]})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})
