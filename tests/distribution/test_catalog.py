"""GET /v2/ and the catalog (distribution-spec, Determining Support; Docker Registry HTTP API V2, Catalog)."""

from __future__ import annotations

import httpx
import pytest

from tests.kit.push import error, image, next_page, push, push_blob, push_image


@pytest.fixture
def names(client: httpx.Client, project: str) -> list[str]:
    """Five repositories that stand together in the catalog, because nobody else uses the project."""
    found = [f"{project}/{name}" for name in ("a", "a/b", "b", "c", "d")]
    for repository in found:
        push_blob(client, repository, b"{}")
        push(client, repository, image(b"{}"))
    return found


def catalog(client: httpx.Client, **query: str) -> list[str]:
    response = client.get("/v2/_catalog", params=query)
    assert 200 == response.status_code, response.text
    found: list[str] = response.json()["repositories"]
    return found


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_api_says_that_it_is_there(client: httpx.Client, path: str, method: str) -> None:
    """distribution-spec, Determining Support: 200; docker looks for the version header."""
    response = client.request(method, path)

    assert 200 == response.status_code
    assert "registry/2.0" == response.headers["Docker-Distribution-API-Version"]


def test_repositories_are_listed_in_order(client: httpx.Client, project: str, names: list[str]) -> None:
    assert names == catalog(client, last=project, n="5")


def test_following_the_links_gives_every_repository_once(client: httpx.Client, project: str, names: list[str]) -> None:
    found: list[str] = []
    path = f"/v2/_catalog?n=2&last={project}"
    while len(found) < len(names):
        response = client.get(path)
        found += response.json()["repositories"]
        path = next_page(response) if "Link" in response.headers else path

    assert names == found[: len(names)]


def test_a_link_names_the_last_of_its_page(client: httpx.Client, project: str, names: list[str]) -> None:
    response = client.get(f"/v2/_catalog?n=2&last={project}")

    assert f"{client.base_url}/v2/_catalog?n=2&last={names[1]}".replace("//v2", "/v2") == next_page(response)


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"Host": "gcr.io"}, "http://gcr.io"),
        ({"Host": "127.0.0.1:5000"}, "http://127.0.0.1:5000"),
        ({"Host": "gcr.io", "X-Forwarded-Proto": "https"}, "https://gcr.io"),
    ],
)
def test_a_link_is_absolute_and_begins_as_the_client_asked(
    client: httpx.Client, project: str, names: list[str], headers: dict[str, str], origin: str
) -> None:
    """
    gcloud's library sends its next request to what stands there, as it is; go-containerregistry follows only to the scheme and host that it
    knows.
    """
    response = client.get(f"/v2/_catalog?n=2&last={project}", headers=headers)

    assert f"{origin}/v2/_catalog?n=2&last={names[1]}" == next_page(response)


def test_n_0_is_an_empty_list(client: httpx.Client, names: list[str]) -> None:
    response = client.get("/v2/_catalog?n=0")

    assert {"repositories": []} == response.json()
    assert "Link" not in response.headers


@pytest.mark.parametrize("number", ["-1", "1e400", "१०", "x", ""])
def test_what_is_no_number_is_refused(client: httpx.Client, number: str) -> None:
    assert (400, "PAGINATION_NUMBER_INVALID") == error(client.get("/v2/_catalog", params={"n": number}))


@pytest.mark.parametrize("number", ["2147483648", "9223372036854775808", "9" * 1000])
def test_a_huge_n_is_as_many_as_there_are(client: httpx.Client, project: str, names: list[str], number: str) -> None:
    """CVE-2023-2253."""
    assert names == catalog(client, n=number, last=project)[:5]


def test_a_repository_without_a_manifest_is_not_listed(client: httpx.Client, project: str) -> None:
    """An upload alone makes no image."""
    push_blob(client, f"{project}/only-a-blob", b"{}")

    assert f"{project}/only-a-blob" not in catalog(client, last=project, n="1")


def test_a_repository_goes_with_its_last_manifest(client: httpx.Client, repository: str, project: str) -> None:
    manifest = push_image(client, repository)
    assert [repository] == catalog(client, last=project, n="1")

    client.delete(f"/v2/{repository}/manifests/{manifest.digest}")

    assert [repository] != catalog(client, last=project, n="1")


def test_each_location_has_its_own_catalog(client: httpx.Client, project: str, names: list[str]) -> None:
    elsewhere = client.get("/v2/_catalog", params={"last": project, "n": "1"}, headers={"Host": "asia.gcr.io"})

    assert names[:1] != elsewhere.json()["repositories"]
