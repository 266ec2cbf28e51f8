"""
Everything that can go wrong, as one tree. It knows nothing of HTTP: `api/errors.py` says which answer each class becomes.

    RoadsteadError
    ├── NotFound            NameUnknown  ManifestUnknown  BlobUnknown  UploadUnknown  ResourceUnknown
    ├── Invalid             NameInvalid  TagInvalid  DigestInvalid  DigestMismatch  PaginationInvalid  RequestInvalid
    │   │                   MemberInvalid  PolicyInvalid  ConditionInvalid  FieldInvalid  VersionInvalid  FeedInvalid
    │   ├── ManifestInvalid     ManifestBlobUnknown  SizeInvalid
    │   ├── UploadInvalid       UploadRangeInvalid
    │   └── ScanFailed          ScanStopped
    ├── TooLarge            ManifestTooLarge  BlobTooLarge
    ├── Refused             PreconditionFailed  BlobReferenced  ManifestTagged  ManifestInIndex  MethodUnsupported
    │   │                   AlreadyExists  Conflict  StateForbids  FeedShrunk
    │   └── PermissionDenied    ServiceDisabled
    ├── Unauthenticated
    │   └── CredentialInvalid   ScopeInsufficient
    ├── TooManyRequests
    ├── GrantRefused
    ├── FeedUnreachable
    ├── RequestTimedOut
    ├── StorageError        StorageFull  StorageBroken  ReadOnly
    └── ConfigurationError
"""

from __future__ import annotations


class RoadsteadError(Exception):
    """message is a sentence for the user that says what to do; detail is JSON-able and optional."""

    def __init__(self, message: str, detail: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class NotFound(RoadsteadError):
    """What was asked for is not here."""


class NameUnknown(NotFound):
    """No such repository."""


class ManifestUnknown(NotFound):
    """No such manifest or tag in this repository."""


class BlobUnknown(NotFound):
    """No such blob in this repository."""


class UploadUnknown(NotFound):
    """No such upload, or it belongs to another repository or person."""


class ResourceUnknown(NotFound):
    """No such project, account, key, role … of a Google API."""


class Invalid(RoadsteadError):
    """The request itself is wrong."""


class NameInvalid(Invalid):
    """Not a repository name."""


class TagInvalid(Invalid):
    """Not a tag."""


class DigestInvalid(Invalid):
    """Not a digest of an algorithm we know."""


class DigestMismatch(Invalid):
    """The content does not have the digest that was promised."""


class PaginationInvalid(Invalid):
    """`n` or `last` makes no sense."""


class RequestInvalid(Invalid):
    """A malformed header, path or query."""


class MemberInvalid(Invalid):
    """Not a member of an IAM policy."""


class PolicyInvalid(Invalid):
    """A policy that cannot be kept."""


class ConditionInvalid(Invalid):
    """Not an expression of the part of CEL that IAM knows."""


class FieldInvalid(Invalid):
    """A field of a Google API's request is missing, malformed or unknown."""


class VersionInvalid(Invalid):
    """Not a version of the package system that it should be of."""


class FeedInvalid(Invalid):
    """Not a feed of advisories that we can read."""


class ScanFailed(Invalid):
    """A layer or image that cannot be read: truncated, damaged, not an archive, or larger than we unpack."""


class ScanStopped(ScanFailed):
    """It took more time or memory than a scan may have; another time, or elsewhere, it may go well."""


class ManifestInvalid(Invalid):
    """Not a manifest we can keep."""


class ManifestBlobUnknown(ManifestInvalid):
    """The manifest names blobs or children that are not in the repository; detail lists all of them."""


class SizeInvalid(ManifestInvalid):
    """A descriptor's size is not that of the content it names."""


class UploadInvalid(Invalid):
    """The upload cannot go on like this."""


class UploadRangeInvalid(UploadInvalid):
    """The chunk does not start where the upload ends; offset_bytes is where it must start."""

    def __init__(self, message: str, offset_bytes: int) -> None:
        super().__init__(message, {"offset": offset_bytes})
        self.offset_bytes = offset_bytes


class TooLarge(RoadsteadError):
    """More bytes than this server takes."""


class ManifestTooLarge(TooLarge):
    """A manifest over 4 MiB."""


class BlobTooLarge(TooLarge):
    """A blob over the server's limit."""


class Refused(RoadsteadError):
    """Understood, and not done."""


class PreconditionFailed(Refused):
    """If-Match or If-None-Match did not hold."""


class BlobReferenced(Refused):
    """A manifest still needs this blob."""


class FeedShrunk(Refused):
    """A feed holds suspiciously less than before."""


class ManifestTagged(Refused):
    """A tag still points at this manifest."""


class ManifestInIndex(Refused):
    """An index still names this manifest."""


class MethodUnsupported(Refused):
    """This path does not answer to this method."""

    def __init__(self, message: str, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class AlreadyExists(Refused):
    """There is one of this name."""


class Conflict(Refused):
    """It was changed by somebody else meanwhile: read it again, then write (etags)."""


class StateForbids(Refused):
    """Not in the state that it is in, e.g. a project that is being deleted."""


class PermissionDenied(Refused):
    """The caller may not. The same for what is not there, so that it does not tell."""


class ServiceDisabled(PermissionDenied):
    """The project has not enabled the API."""

    def __init__(self, message: str, service: str, project: str) -> None:
        super().__init__(message, {"service": service, "project": project})
        self.service = service
        self.project = project


class Unauthenticated(RoadsteadError):
    """Nobody may do this without saying who they are."""


class CredentialInvalid(Unauthenticated):
    """A token, key or password that is wrong, expired, disabled or meant for another server."""


class ScopeInsufficient(CredentialInvalid):
    """A token that is good, for other repositories or actions."""


class TooManyRequests(RoadsteadError):
    """Too many failures from this address or for this account."""

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class GrantRefused(RoadsteadError):
    """An OAuth endpoint says no; code is RFC 6749's (section 5.2): invalid_grant, invalid_client, invalid_request …"""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RequestTimedOut(RoadsteadError):
    """The client sent too little for too long."""


class FeedUnreachable(RoadsteadError):
    """A feed of advisories cannot be fetched."""


class StorageError(RoadsteadError):
    """The disk or the database did not do its work."""


class StorageFull(StorageError):
    """No space left."""


class StorageBroken(StorageError):
    """Bytes that should be there are missing or cannot be read."""


class ReadOnly(StorageError):
    """Writes are refused for a while."""


class ConfigurationError(RoadsteadError):
    """The settings cannot be served."""
