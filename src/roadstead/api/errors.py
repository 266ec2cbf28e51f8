"""The one place where domain errors become HTTP (distribution-spec, Error Codes; Google's google.rpc.Status; RFC 6749, 5.2)."""

from __future__ import annotations

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
    errors.ManifestTagged: (400, "GOOGLE_MANIFEST_DANGLING_TAG"),
    errors.ManifestInIndex: (400, "GOOGLE_MANIFEST_DANGLING_PARENT_IMAGE"),
    errors.MethodUnsupported: (405, "UNSUPPORTED"),
    errors.Refused: (403, "DENIED"),
    errors.Unauthenticated: (401, "UNAUTHORIZED"),
    errors.TooManyRequests: (429, "TOOMANYREQUESTS"),
    errors.GrantRefused: (400, "UNAUTHORIZED"),
    errors.FeedUnreachable: (502, "UNAVAILABLE"),
    errors.RequestTimedOut: (408, "BLOB_UPLOAD_INVALID"),
    errors.StorageFull: (507, "UNAVAILABLE"),
    errors.ReadOnly: (503, "UNAVAILABLE"),
    errors.StorageError: (503, "UNAVAILABLE"),
    errors.RoadsteadError: (500, "UNKNOWN"),
}

_JSON = (("content-type", "application/json"),)

# Details may hold digests and tags, which are str with a name.
_encoder = msgspec.json.Encoder(enc_hook=str)


def distribution_error(error: errors.RoadsteadError) -> Response:
    """`{"errors": [{"code", "message", "detail"}]}`; ManifestBlobUnknown has one entry for everything that misses."""
    status, code = _row(DISTRIBUTION, error)
    details = error.detail if isinstance(error, errors.ManifestBlobUnknown) and isinstance(error.detail, list) else [error.detail]
    entries = [{"code": code, "message": error.message, "detail": detail} for detail in details[:1000]]
    return Response(status, [*_JSON, *_extra_headers(error)], _encoder.encode({"errors": entries}))


def internal_error() -> Response:
    entry = {"code": "UNKNOWN", "message": "the server failed at this request; its log says why", "detail": None}
    return Response(500, list(_JSON), msgspec.json.encode({"errors": [entry]}))


# google.rpc.Code and its HTTP mapping (googleapis/google/rpc/code.proto)
GOOGLE: dict[type[errors.RoadsteadError], tuple[int, str]] = {
    errors.NotFound: (404, "NOT_FOUND"),
    errors.Invalid: (400, "INVALID_ARGUMENT"),
    errors.TooLarge: (413, "INVALID_ARGUMENT"),
    errors.PreconditionFailed: (412, "FAILED_PRECONDITION"),
    errors.StateForbids: (400, "FAILED_PRECONDITION"),
    errors.ManifestTagged: (400, "FAILED_PRECONDITION"),
    errors.ManifestInIndex: (400, "FAILED_PRECONDITION"),
    errors.MethodUnsupported: (405, "UNIMPLEMENTED"),
    errors.AlreadyExists: (409, "ALREADY_EXISTS"),
    errors.Conflict: (409, "ABORTED"),
    errors.Refused: (403, "PERMISSION_DENIED"),
    errors.Unauthenticated: (401, "UNAUTHENTICATED"),
    errors.TooManyRequests: (429, "RESOURCE_EXHAUSTED"),
    errors.GrantRefused: (400, "INVALID_ARGUMENT"),
    errors.FeedUnreachable: (502, "UNAVAILABLE"),
    errors.RequestTimedOut: (408, "DEADLINE_EXCEEDED"),
    errors.StorageError: (503, "UNAVAILABLE"),
    errors.RoadsteadError: (500, "INTERNAL"),
}


def google_error(error: errors.RoadsteadError) -> Response:
    """`{"error": {"code", "message", "status", "details"}}` (AIP-193)."""
    status, code = _row(GOOGLE, error)
    details: list[object] = []
    if isinstance(error, errors.ServiceDisabled):
        metadata = {"service": error.service, "consumer": f"projects/{error.project}"}
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED", "domain": "googleapis.com"}
        details.append({**info, "metadata": metadata})
    headers = _extra_headers(error)
    if isinstance(error, errors.Unauthenticated):
        headers.append(("www-authenticate", 'Bearer realm="https://accounts.google.com/", error="invalid_token"'))
    body = {"error": {"code": status, "message": error.message, "status": code, "details": details}}
    return Response(status, [*_JSON, *headers], _encoder.encode(body))


# Cloud Storage, JSON API: HTTP status and error codes.
_STORAGE_REASONS = {400: "invalid", 401: "required", 403: "forbidden", 404: "notFound", 409: "conflict", 412: "conditionNotMet"}


def storage_error(error: errors.RoadsteadError) -> Response:
    """`{"error": {"code", "message", "errors": [{"message", "domain", "reason"}]}}`, as Cloud Storage's JSON API has it."""
    status, _ = _row(GOOGLE, error)
    # An etag that is old fails a condition there.
    status = 412 if isinstance(error, errors.Conflict) else status
    entry = {"message": error.message, "domain": "global", "reason": _STORAGE_REASONS.get(status, "backendError")}
    body = {"error": {"code": status, "message": error.message, "errors": [entry]}}
    return Response(status, [*_JSON, *_extra_headers(error)], _encoder.encode(body))


def google_internal_error() -> Response:
    body = {"error": {"code": 500, "message": "the server failed at this request; its log says why", "status": "INTERNAL", "details": []}}
    return Response(500, list(_JSON), msgspec.json.encode(body))


def oauth_error(error: errors.RoadsteadError) -> Response:
    """`{"error", "error_description"}` (RFC 6749, 5.2)."""
    status, code = _row(GOOGLE, error)
    if isinstance(error, errors.GrantRefused):
        code = error.code
        status = 401 if code == "invalid_client" else 400
    else:
        code = "temporarily_unavailable" if status in (429, 503) else "server_error" if status == 500 else "invalid_request"
    headers = [*_JSON, *_extra_headers(error), ("cache-control", "no-store"), ("pragma", "no-cache")]
    return Response(status, headers, _encoder.encode({"error": code, "error_description": error.message}))


def nothing_here() -> Response:
    """The answer to a path that belongs to no API of this server."""
    entry = {"code": "UNSUPPORTED", "message": "this server's API is at /v2/", "detail": None}
    return Response(404, list(_JSON), msgspec.json.encode({"errors": [entry]}))


def status_of(error: errors.RoadsteadError) -> int:
    """Of the registry's answer."""
    return _row(DISTRIBUTION, error)[0]


def _row(table: dict[type[errors.RoadsteadError], tuple[int, str]], error: errors.RoadsteadError) -> tuple[int, str]:
    return next(table[kind] for kind in type(error).__mro__ if kind in table)


def _extra_headers(error: errors.RoadsteadError) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    if isinstance(error, errors.MethodUnsupported):
        headers.append(("allow", ", ".join(error.allowed)))
    if isinstance(error, errors.StorageError):
        headers.append(("retry-after", "5"))
    if isinstance(error, errors.TooManyRequests):
        headers.append(("retry-after", str(error.retry_after_seconds)))
    if isinstance(error, errors.UploadRangeInvalid):
        headers.append(("range", f"0-{max(0, error.offset_bytes - 1)}"))
    return headers
