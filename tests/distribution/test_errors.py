"""Every error that HTTP can reach, over HTTP: status, code and a sentence that helps (distribution-spec, Error Codes)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import httpx
import pytest

from roadstead import errors
from tests.kit.inside import Inside
from tests.kit.load import OCI_MANIFEST, descriptor
from tests.kit.push import OCTETS, connect, digest, document, error, image, index, push, push_blob, push_image
from tests.kit.raw import Raw, request
from tests.kit.server import Server, serving

ABSENT = digest(b"nobody has this")
GCR = {"Host": "gcr.io"}
LARGE = Random("larger than the limit").randbytes(200_000)


def uploads(repository: str) -> str:
    return f"/v2/{repository}/blobs/uploads/"


def name_unknown(client: httpx.Client, repository: str) -> httpx.Response:
    return client.get(f"/v2/{repository}/tags/list")


def manifest_unknown(client: httpx.Client, repository: str) -> httpx.Response:
    return client.get(f"/v2/{repository}/manifests/v1")


def blob_unknown(client: httpx.Client, repository: str) -> httpx.Response:
    return client.get(f"/v2/{repository}/blobs/{ABSENT}")


def upload_unknown(client: httpx.Client, repository: str) -> httpx.Response:
    return client.get(uploads(repository) + "none")


def not_found(client: httpx.Client, repository: str) -> httpx.Response:
    return client.get(f"/v2/{repository}/nothing")


def name_invalid(client: httpx.Client, repository: str) -> httpx.Response:
    return client.get(f"/v2/{repository.upper()}/tags/list")


def tag_invalid(client: httpx.Client, repository: str) -> httpx.Response:
    return client.get(f"/v2/{repository}/manifests/.v1")


def digest_invalid(client: httpx.Client, repository: str) -> httpx.Response:
    return client.get(f"/v2/{repository}/blobs/sha256:abc")


def digest_mismatch(client: httpx.Client, repository: str) -> httpx.Response:
    return client.post(uploads(repository), params={"digest": ABSENT}, content=b"something else", headers=OCTETS)


def pagination_invalid(client: httpx.Client, repository: str) -> httpx.Response:
    push_image(client, repository)
    return client.get(f"/v2/{repository}/tags/list?n=-1")


def request_invalid(client: httpx.Client, repository: str) -> httpx.Response:
    return client.get(f"/v2/{repository}/tags/list", headers={"Host": "a/b"})


def manifest_invalid(client: httpx.Client, repository: str) -> httpx.Response:
    return client.put(f"/v2/{repository}/manifests/v1", content=b"[]", headers={"Content-Type": OCI_MANIFEST})


def manifest_blob_unknown(client: httpx.Client, repository: str) -> httpx.Response:
    return push(client, repository, image(b"misses"))


def size_invalid(client: httpx.Client, repository: str) -> httpx.Response:
    push_blob(client, repository, b"12345")
    return push(client, repository, document(config={**descriptor(b"12345"), "size": 6}, layers=[]))


def upload_invalid(client: httpx.Client, repository: str) -> httpx.Response:
    return client.put(client.post(uploads(repository)).headers["Location"])


def upload_range_invalid(client: httpx.Client, repository: str) -> httpx.Response:
    return client.patch(client.post(uploads(repository)).headers["Location"], content=b"12", headers={"Content-Range": "5-6"})


def manifest_too_large(client: httpx.Client, repository: str) -> httpx.Response:
    return client.put(f"/v2/{repository}/manifests/v1", content=b" " * (4 * 1024 * 1024 + 1), headers={"Content-Type": OCI_MANIFEST})


def precondition_failed(client: httpx.Client, repository: str) -> httpx.Response:
    manifest = push_image(client, repository)
    return push(client, repository, manifest, **{"If-None-Match": "*"})


def blob_referenced(client: httpx.Client, repository: str) -> httpx.Response:
    push_blob(client, repository, b"{}")
    push(client, repository, image(b"{}"))
    return client.delete(f"/v2/{repository}/blobs/{digest(b'{}')}")


def manifest_tagged(client: httpx.Client, repository: str) -> httpx.Response:
    manifest = push_image(client, repository)
    return client.delete(f"/v2/{repository}/manifests/{manifest.digest}", headers=GCR)


def manifest_in_index(client: httpx.Client, repository: str) -> httpx.Response:
    child = push_image(client, repository)
    client.delete(f"/v2/{repository}/manifests/v1")
    push(client, repository, index([child]), "multi")
    return client.delete(f"/v2/{repository}/manifests/{child.digest}", headers=GCR)


def method_unsupported(client: httpx.Client, repository: str) -> httpx.Response:
    return client.post(f"/v2/{repository}/manifests/v1")


REACHED: dict[type[errors.RoadsteadError], tuple[int, str, Callable[[httpx.Client, str], httpx.Response]]] = {
    errors.NameUnknown: (404, "NAME_UNKNOWN", name_unknown),
    errors.ManifestUnknown: (404, "MANIFEST_UNKNOWN", manifest_unknown),
    errors.BlobUnknown: (404, "BLOB_UNKNOWN", blob_unknown),
    errors.UploadUnknown: (404, "BLOB_UPLOAD_UNKNOWN", upload_unknown),
    errors.NotFound: (404, "NAME_UNKNOWN", not_found),
    errors.NameInvalid: (400, "NAME_INVALID", name_invalid),
    errors.TagInvalid: (400, "TAG_INVALID", tag_invalid),
    errors.DigestInvalid: (400, "DIGEST_INVALID", digest_invalid),
    errors.DigestMismatch: (400, "DIGEST_INVALID", digest_mismatch),
    errors.PaginationInvalid: (400, "PAGINATION_NUMBER_INVALID", pagination_invalid),
    errors.RequestInvalid: (400, "UNSUPPORTED", request_invalid),
    errors.ManifestInvalid: (400, "MANIFEST_INVALID", manifest_invalid),
    errors.ManifestBlobUnknown: (400, "MANIFEST_BLOB_UNKNOWN", manifest_blob_unknown),
    errors.SizeInvalid: (400, "SIZE_INVALID", size_invalid),
    errors.UploadInvalid: (400, "BLOB_UPLOAD_INVALID", upload_invalid),
    errors.UploadRangeInvalid: (416, "BLOB_UPLOAD_INVALID", upload_range_invalid),
    errors.ManifestTooLarge: (413, "MANIFEST_INVALID", manifest_too_large),
    errors.PreconditionFailed: (412, "DENIED", precondition_failed),
    errors.BlobReferenced: (405, "UNSUPPORTED", blob_referenced),
    errors.ManifestTagged: (400, "GOOGLE_MANIFEST_DANGLING_TAG", manifest_tagged),
    errors.ManifestInIndex: (400, "GOOGLE_MANIFEST_DANGLING_PARENT_IMAGE", manifest_in_index),
    errors.MethodUnsupported: (405, "UNSUPPORTED", method_unsupported),
}

# Reached by the tests of this name, or never raised as they are.
ELSEWHERE = {
    errors.BlobTooLarge: "test_a_blob_over_the_limit_is_too_large",
    errors.StorageBroken: "test_bytes_that_are_lost_are_unavailable_not_unknown",
    errors.RequestTimedOut: "tests/distribution/test_bad_input.py, test_a_body_that_stalls_is_408_and_what_came_is_kept",
    errors.StorageFull: "tests/flows/test_disk_full.py",
    errors.ReadOnly: "tests/flows/test_moving.py, test_a_moved_server_refuses_writes_and_goes_on_reading",
    errors.ConfigurationError: "tests/cli, where it is exit code 2",
    errors.Unauthenticated: "tests/iam/test_registry_access.py, test_nobody_is_told_where_tokens_are",
    errors.CredentialInvalid: "tests/iam/test_registry_access.py, test_a_key_file_is_a_password",
    errors.ScopeInsufficient: "tests/iam/test_attacks.py, test_a_token_for_pulling_does_not_push_or_delete",
    errors.PermissionDenied: "tests/iam/test_registry_access.py, test_what_is_missing_and_what_is_forbidden_look_the_same",
    errors.ServiceDisabled: "tests/iam/test_registry_access.py, test_pushing_needs_the_container_registry_api",
    errors.TooManyRequests: "tests/iam/test_attacks.py",
    errors.GrantRefused: "tests/iam/test_signin.py, tests/iam/test_federation.py: OAuth's own form",
    errors.ResourceUnknown: "tests/iam: of Google's APIs",
    errors.AlreadyExists: "tests/iam: of Google's APIs",
    errors.Conflict: "tests/iam: of Google's APIs",
    errors.StateForbids: "tests/iam: of Google's APIs",
    errors.MemberInvalid: "tests/iam: of Google's APIs",
    errors.PolicyInvalid: "tests/iam: of Google's APIs",
    errors.ConditionInvalid: "tests/iam: of Google's APIs",
    errors.FieldInvalid: "tests/iam: of Google's APIs",
    errors.VersionInvalid: "never answered: such a pair is skipped and counted (tests/scanner/test_match.py)",
    errors.FeedInvalid: "tests/scanner/test_advisories_feeds.py: no feed comes over HTTP",
    errors.FeedShrunk: "tests/scanning/test_loads.py: no feed comes over HTTP",
    errors.FeedUnreachable: "tests/scanning/test_updates.py: we are the client there",
    errors.ScanFailed: "tests/scanning/test_broken_images.py: it becomes the image's state",
    errors.ScanStopped: "tests/scanning/test_layer_processes.py: likewise",
    errors.Invalid: "only its kinds are raised",
    errors.TooLarge: "only its kinds are raised",
    errors.Refused: "only its kinds are raised",
    errors.StorageError: "only its kinds are raised",
    errors.RoadsteadError: "only its kinds are raised",
}


@pytest.mark.parametrize("kind", REACHED, ids=lambda kind: kind.__name__)
def test_an_error_has_its_status_its_code_and_a_sentence(client: httpx.Client, repository: str, kind: type[errors.RoadsteadError]) -> None:
    status, code, provoke = REACHED[kind]

    response = provoke(client, repository)

    assert (status, code) == error(response)
    assert str(len(response.content)) == response.headers["Content-Length"]


def kinds(root: type[errors.RoadsteadError]) -> set[type[errors.RoadsteadError]]:
    return {root}.union(*(kinds(kind) for kind in root.__subclasses__()))


def test_no_error_is_forgotten() -> None:
    """A class without a negative test is a `raise` that nobody has seen."""
    assert kinds(errors.RoadsteadError) == {*REACHED, *ELSEWHERE}
    assert set() == set(REACHED) & set(ELSEWHERE)


@pytest.mark.parametrize("kind", [kind for kind in REACHED if kind not in (errors.PreconditionFailed, errors.ManifestBlobUnknown)],
                         ids=lambda kind: kind.__name__)  # fmt: skip
def test_the_connection_goes_on_after_an_error(server: Server, repository: str, kind: type[errors.RoadsteadError]) -> None:
    """An error is an answer like any other: keep-alive clients send the next request at once."""
    with connect(server.url) as client:
        REACHED[kind][2](client, repository)
        assert 200 == client.get("/v2/").status_code


def test_the_error_of_a_head_has_no_body(client: httpx.Client, repository: str) -> None:
    with Raw(int(str(client.base_url.port))) as raw:
        reply = raw.send(request("HEAD", f"/v2/{repository}/manifests/v1")).reply("HEAD")
        assert 404 == reply.status
        assert int(reply.headers["content-length"]) > 0
        assert 200 == raw.send(request("GET", "/v2/")).reply().status, "the next answer begins where the head ended"


def test_a_416_says_where_to_go_on(client: httpx.Client, repository: str) -> None:
    assert "0-0" == upload_range_invalid(client, repository).headers["Range"]


def test_a_405_says_what_is_possible(client: httpx.Client, repository: str) -> None:
    assert "DELETE, GET, HEAD, PUT" == method_unsupported(client, repository).headers["Allow"]


def test_what_is_not_of_this_api_is_an_error_of_the_same_form(client: httpx.Client) -> None:
    response = client.get("/anything")

    assert 404 == error(response)[0]


# A server with a limit, and one whose disk has lost something


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It takes blobs of at most 100,000 bytes."""
    folder: Path = tmp_path_factory.mktemp("small")
    with serving(folder / "data", "--processes", "1", env={"ROADSTEAD_MAX_BLOB_BYTES": "100000"}) as running:
        yield running


@pytest.mark.parametrize("way", ["one post", "streamed post", "one patch", "streamed patch", "a chunk too many", "last put"])
def test_a_blob_over_the_limit_is_too_large(small: Server, repository: str, way: str) -> None:
    """Refused as soon as it is known, and what was staged is gone."""
    pieces = (LARGE[start : start + 10_000] for start in range(0, len(LARGE), 10_000))
    content = pieces if "streamed" in way else LARGE
    with connect(small.url) as client:
        if "post" in way:
            response = client.post(uploads(repository), params={"digest": digest(LARGE)}, content=content, headers=OCTETS)
        else:
            upload = client.post(uploads(repository)).headers["Location"]
            if "chunk" in way:
                assert 202 == client.patch(upload, content=LARGE[:90_000], headers={"Content-Range": "0-89999"}).status_code
                response = client.patch(upload, content=LARGE[90_000:110_000], headers={"Content-Range": "90000-109999"})
            elif "put" in way:
                response = client.put(upload, params={"digest": digest(LARGE)}, content=content, headers=OCTETS)
            else:
                response = client.patch(upload, content=content, headers=OCTETS)
            assert 404 == client.get(upload).status_code

        assert (413, "SIZE_INVALID") == error(response)
        assert "100000" in response.text
        assert 404 == client.get(f"/v2/{repository}/blobs/{digest(LARGE)}").status_code


def test_a_blob_at_the_limit_is_taken(small: Server, repository: str) -> None:
    with connect(small.url) as client:
        push_blob(client, repository, LARGE[:100_000])


def test_bytes_that_are_lost_are_unavailable_not_unknown(server: Server, client: httpx.Client, repository: str) -> None:
    """503 with Retry-After, before the first byte: nobody may take half a blob, or nothing, for a whole one."""
    content = LARGE + repository.encode()
    name = push_blob(client, repository, content)
    file = Inside(server).file_of(name)
    file.unlink()

    response = client.get(f"/v2/{repository}/blobs/{name}")

    assert (503, "UNAVAILABLE") == error(response)
    assert response.headers["Retry-After"].isdigit()
    assert "roadstead check" in response.json()["errors"][0]["message"]


def test_a_file_that_is_too_short_ends_the_connection(server: Server, client: httpx.Client, repository: str) -> None:
    """The length was promised: to stop is the only honest thing left."""
    content = LARGE + b"short" + repository.encode()
    name = push_blob(client, repository, content)
    file = Inside(server).file_of(name)
    with file.open("r+b") as opened:
        opened.truncate(1000)

    with pytest.raises(httpx.RemoteProtocolError):
        client.get(f"/v2/{repository}/blobs/{name}")
