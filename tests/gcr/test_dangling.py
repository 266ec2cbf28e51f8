"""What is named cannot be deleted by its digest, as it was in Container Registry (contract.md, 1.2)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from roadstead.config import load
from roadstead.errors import ConfigurationError
from tests.kit.push import connect, error, index, push, push_image
from tests.kit.server import Server, serving


def delete(client: httpx.Client, repository: str, reference: str, **headers: str) -> httpx.Response:
    return client.delete(f"/v2/{repository}/manifests/{reference}", headers=headers)


def test_a_manifest_with_a_tag_stays(gcr: httpx.Client, repository: str) -> None:
    """Container Registry's code and sentence, which scripts look for."""
    manifest = push_image(gcr, repository)

    response = delete(gcr, repository, manifest.digest)

    assert (400, "GOOGLE_MANIFEST_DANGLING_TAG") == error(response)
    assert "Manifest is still referenced by tag: v1" == response.json()["errors"][0]["message"]
    assert {"digest": manifest.digest, "tag": "v1"} == response.json()["errors"][0]["detail"]
    assert manifest.payload == gcr.get(f"/v2/{repository}/manifests/v1").content


def test_a_tag_is_deleted_alone_and_then_the_manifest_can_go(gcr: httpx.Client, repository: str) -> None:
    """`gcloud container images untag` and `delete`."""
    manifest = push_image(gcr, repository)

    assert 202 == delete(gcr, repository, "v1").status_code
    assert 404 == gcr.get(f"/v2/{repository}/manifests/v1").status_code
    assert manifest.payload == gcr.get(f"/v2/{repository}/manifests/{manifest.digest}").content
    assert 202 == delete(gcr, repository, manifest.digest).status_code
    assert (404, "MANIFEST_UNKNOWN") == error(delete(gcr, repository, manifest.digest))


def test_every_tag_must_go_first(gcr: httpx.Client, repository: str) -> None:
    manifest = push_image(gcr, repository)
    gcr.put(f"/v2/{repository}/manifests/latest", content=manifest.payload, headers=manifest.headers)

    for tag in ("latest", "v1"):
        assert f"tag: {tag}" in delete(gcr, repository, manifest.digest).text
        assert 202 == delete(gcr, repository, tag).status_code

    assert 202 == delete(gcr, repository, manifest.digest).status_code


def test_a_child_of_an_index_stays_until_the_index_goes(gcr: httpx.Client, repository: str) -> None:
    """The sentence ends with the digest of the parent, which scripts take from there."""
    child = push_image(gcr, repository)
    delete(gcr, repository, "v1")
    parent = index([child])
    push(gcr, repository, parent, "multi")

    response = delete(gcr, repository, child.digest)

    assert (400, "GOOGLE_MANIFEST_DANGLING_PARENT_IMAGE") == error(response)
    assert f"Manifest {child.digest} is referenced by image {parent.digest}" == response.json()["errors"][0]["message"]
    for reference in ("multi", parent.digest, child.digest):
        assert 202 == delete(gcr, repository, reference).status_code


def test_an_index_in_another_repository_does_not_hold_it(gcr: httpx.Client, project: str) -> None:
    child = push_image(gcr, f"{project}/a")
    again = push_image(gcr, f"{project}/b", "v1")
    for repository in ("a", "b"):
        delete(gcr, f"{project}/{repository}", "v1")
    push(gcr, f"{project}/b", index([again]), "multi")

    assert 202 == delete(gcr, f"{project}/a", child.digest).status_code


def test_what_refers_to_it_as_its_subject_does_not_hold_it(gcr: httpx.Client, repository: str) -> None:
    """distribution-spec: a subject need not be there."""
    subject = push_image(gcr, repository)
    push_image(gcr, repository, "signature", subject=subject.descriptor)
    delete(gcr, repository, "v1")

    assert 202 == delete(gcr, repository, subject.digest).status_code


@pytest.mark.parametrize(
    "host", ["gcr.io", "GCR.IO", "eu.gcr.io", "gcr.io:443", "gcr.io.", "registry.example", "localhost:5000", "[::1]:5000"]
)
def test_it_is_so_under_every_name_that_the_settings_do_not_except(gcr: httpx.Client, repository: str, host: str) -> None:
    gcr.headers["Host"] = host
    manifest = push_image(gcr, repository)

    assert (400, "GOOGLE_MANIFEST_DANGLING_TAG") == error(delete(gcr, repository, manifest.digest))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:5000", "127.0.0.1:443"])
def test_under_the_names_that_they_do_the_tags_go_with_it(client: httpx.Client, repository: str, host: str) -> None:
    """distribution-spec, Deleting Manifests, which knows no such refusal. The servers of the tests name their own address."""
    client.headers["Host"] = host
    child = push_image(client, repository)
    push(client, repository, index([child]), "multi")

    assert 202 == delete(client, repository, child.digest).status_code
    assert 404 == client.get(f"/v2/{repository}/manifests/v1").status_code


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("named") / "data", env={"ROADSTEAD_OCI_HOSTS": "Registry.Example,[::1]"}) as server:
        yield server


@pytest.mark.parametrize(
    ("host", "expected"),
    [("registry.example", 202), ("REGISTRY.example.:8443", 202), ("[::1]", 202), ("[::1]:5000", 202), ("127.0.0.1", 400), ("example", 400)],
)
def test_names_are_compared_as_hosts_are(named: Server, repository: str, host: str, expected: int) -> None:
    with connect(named.url) as client:
        client.headers["Host"] = host
        manifest = push_image(client, repository)

        assert expected == delete(client, repository, manifest.digest).status_code


@pytest.mark.parametrize("value", ["gcr.io:443", "https://gcr.io", "a b", "-", "*", "[", ""])
def test_what_is_no_name_is_refused_at_the_start(value: str) -> None:
    with pytest.raises(ConfigurationError, match="oci_hosts"):
        load(None, {"oci_hosts": (value,)}, {})


def test_the_settings_are_read_from_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "roadstead.toml").write_text('oci_hosts = ["registry.example.com", "[::1]"]\n')

    assert ("registry.example.com", "[::1]") == load(tmp_path / "roadstead.toml", {}, {}).oci_hosts


@pytest.mark.slow
def test_a_tag_that_comes_at_the_same_moment_keeps_its_manifest(server: Server, repository: str) -> None:
    """Both are asked in transactions of the same repository: a tag that was acknowledged never points at nothing."""
    answers: list[tuple[int, int]] = []
    for turn in range(20):
        with connect(server.url) as one, connect(server.url) as two:
            one.headers["Host"] = two.headers["Host"] = "gcr.io"
            manifest = push_image(one, repository, "first", f"{turn}")
            delete(one, repository, "first")
            statuses = [0, 0]

            def tag(client: httpx.Client = one, manifest=manifest, statuses: list[int] = statuses) -> None:  # type: ignore[no-untyped-def]
                statuses[0] = push(client, repository, manifest, "late").status_code

            def drop(client: httpx.Client = two, manifest=manifest, statuses: list[int] = statuses) -> None:  # type: ignore[no-untyped-def]
                statuses[1] = delete(client, repository, manifest.digest).status_code

            threads = [threading.Thread(target=tag), threading.Thread(target=drop)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            answers.append((statuses[0], statuses[1]))
            # Deleted first, the push stores it anew; deleted second, it is refused.
            assert answers[-1] in ((201, 202), (201, 400))
            assert manifest.payload == one.get(f"/v2/{repository}/manifests/late").content
            delete(one, repository, "late")
