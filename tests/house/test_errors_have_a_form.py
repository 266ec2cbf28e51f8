"""Every error has a form on the wire."""

from __future__ import annotations

import json

import pytest

from roadstead import errors
from roadstead.api.errors import DISTRIBUTION, distribution_error
from roadstead.oci.digest import Digest
from roadstead.oci.reference import Tag

# distribution-spec, Error Codes; and those of Docker's older specification that clients know.
SPEC_CODES = {
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
    "TAG_INVALID",
    "PAGINATION_NUMBER_INVALID",
    "UNAVAILABLE",
    "UNKNOWN",
}
# Container Registry's own (contract.md, 1.2), which scripts look for.
GCR_CODES = {"GOOGLE_MANIFEST_DANGLING_TAG", "GOOGLE_MANIFEST_DANGLING_PARENT_IMAGE"}


def kinds(root: type[errors.RoadsteadError] = errors.RoadsteadError) -> list[type[errors.RoadsteadError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in kinds(child))]


def example(kind: type[errors.RoadsteadError]) -> errors.RoadsteadError:
    if issubclass(kind, errors.UploadRangeInvalid):
        return kind("the chunk does not start where the upload ends", 5)
    if issubclass(kind, errors.MethodUnsupported):
        return kind("this path does not answer to this", ("GET",))
    if issubclass(kind, errors.ServiceDisabled):
        return kind("enable the API", "containerregistry.googleapis.com", "my-project")
    if issubclass(kind, errors.TooManyRequests):
        return kind("try again later", 60)
    if issubclass(kind, errors.GrantRefused):
        return kind("invalid_grant", "the code was used before")
    return kind("a sentence that says what to do", {"digest": Digest.of(b""), "tag": Tag("v1")})


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_an_error_has_a_status_and_a_code(kind: type[errors.RoadsteadError]) -> None:
    """Directly or by its base; the root, which every class has, is the answer of nothing but itself."""
    rows = [base for base in kind.__mro__ if base in DISTRIBUTION]
    assert rows
    if kind not in (errors.RoadsteadError, errors.ConfigurationError):
        assert rows[0] is not errors.RoadsteadError, "it would be answered with 500"


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_an_error_can_be_sent(kind: type[errors.RoadsteadError]) -> None:
    response = distribution_error(example(kind))

    assert isinstance(response.body, bytes)
    (entry,) = json.loads(response.body)["errors"]
    assert {"code", "message", "detail"} == set(entry)
    assert 400 <= response.status < 600
    assert ("content-type", "application/json") in response.headers


@pytest.mark.parametrize("kind", DISTRIBUTION, ids=lambda kind: kind.__name__)
def test_a_code_is_the_specification_s(kind: type[errors.RoadsteadError]) -> None:
    status, code = DISTRIBUTION[kind]

    assert code in SPEC_CODES | GCR_CODES
    assert status >= 500 or status in (400, 401, 403, 404, 405, 408, 412, 413, 416, 429)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """The first thing a reader sees must not be out of date."""
    assert errors.__doc__
    missing = [kind.__name__ for kind in kinds() if kind.__name__ not in errors.__doc__]

    assert [] == missing


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_an_error_says_what_it_means(kind: type[errors.RoadsteadError]) -> None:
    assert kind.__doc__
    assert kind.__module__ == "roadstead.errors", "all of them stand in one file"
