"""Tag lists (distribution-spec, Listing Tags)."""

from __future__ import annotations

import random
from itertools import chain

import httpx
import pytest

from tests.kit.push import Document, error, image, next_page, push, push_blob


def tagged(client: httpx.Client, repository: str, tags: list[str]) -> Document:
    """One image under all these tags, given in any order, in one push."""
    push_blob(client, repository, b"{}")
    manifest = image(b"{}")
    for start in range(0, len(tags), 100):
        query = "&".join(f"tag={tag}" for tag in tags[start : start + 100])
        response = push(client, repository, manifest, f"{manifest.digest}?{query}")
        assert 201 == response.status_code, response.text
    return manifest


def tags(response: httpx.Response) -> list[str]:
    assert 200 == response.status_code, response.text
    found: list[str] = response.json()["tags"]
    return found


def test_a_list_has_the_name_and_all_tags(client: httpx.Client, repository: str) -> None:
    tagged(client, repository, ["v1", "latest", "v2"])

    response = client.get(f"/v2/{repository}/tags/list")

    assert (repository, ["latest", "v1", "v2"]) == (response.json()["name"], response.json()["tags"])
    assert "application/json" == response.headers["Content-Type"]
    assert "Link" not in response.headers


def test_the_order_is_lexical_without_regard_to_case(client: httpx.Client, repository: str) -> None:
    """distribution-spec, Listing Tags: in lexical order, case-insensitive alphanumeric (sort.Strings of the lower case)."""
    names = ["b", "A", "a", "B", "_x", "1.10", "1.9", "0", "Z", "z", "a.b", "a-b", "aB", "Ab"]
    random.Random(7).shuffle(names)
    tagged(client, repository, names)

    assert sorted(names, key=lambda tag: (tag.lower(), tag)) == tags(client.get(f"/v2/{repository}/tags/list"))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10, 11])
def test_following_the_links_gives_every_tag_once(client: httpx.Client, repository: str, size: int) -> None:
    """Also tags that differ only in case, on the seam between two pages."""
    names = ["a", "A", "b", "B", "c", "C", "v1", "V1", "x", "X"]
    tagged(client, repository, names)

    pages, path = [], f"/v2/{repository}/tags/list?n={size}"
    while path:
        response = client.get(path)
        pages.append(tags(response))
        path = next_page(response) if "Link" in response.headers else ""

    assert sorted(names, key=lambda tag: (tag.lower(), tag)) == list(chain.from_iterable(pages))
    assert all(len(page) == size for page in pages[:-1])
    assert 0 < len(pages[-1]) <= size


def test_a_page_has_the_name_and_its_tags_alone(client: httpx.Client, repository: str) -> None:
    """What Container Registry told beside is for those who ask for everything (tests/gcr/test_listing.py)."""
    tagged(client, repository, ["v1", "v2", "v3"])

    for query in ("n=2", "n=999", "last=", "n=1000&last=v0", "n=0"):
        assert {"name", "tags"} == set(client.get(f"/v2/{repository}/tags/list?{query}").json())


def test_a_link_is_relative_and_keeps_n(client: httpx.Client, repository: str) -> None:
    """It must not be made from a Host header, which anybody can send."""
    tagged(client, repository, ["v1", "v2", "v3"])

    response = client.get(f"/v2/{repository}/tags/list?n=2", headers={"Host": "evil.example"})

    assert f"/v2/{repository}/tags/list?n=2&last=v2" == next_page(response)


@pytest.mark.parametrize(
    ("last", "expected"),
    [("", ["v1", "v2", "v3"]), ("v1", ["v2", "v3"]), ("v3", []), ("v1.5", ["v2", "v3"]), ("V1", ["v1", "v2", "v3"]), ("zzz", [])],
)
def test_last_need_not_be_a_tag_that_is_there(client: httpx.Client, repository: str, last: str, expected: list[str]) -> None:
    """distribution-spec: the list starts after last, in the same order; it may have been deleted meanwhile."""
    tagged(client, repository, ["v1", "v2", "v3"])

    assert expected == tags(client.get(f"/v2/{repository}/tags/list", params={"last": last}))


@pytest.mark.parametrize("last", ["é", "\0", "१", "🚢", "a" * 5000, "%", "'; DROP TABLE tags; --", "v1\n"])
def test_any_last_is_only_a_place_in_the_order(client: httpx.Client, repository: str, last: str) -> None:
    tagged(client, repository, ["v1"])

    assert 200 == client.get(f"/v2/{repository}/tags/list", params={"last": last}).status_code
    assert ["v1"] == tags(client.get(f"/v2/{repository}/tags/list"))


def test_n_0_is_an_empty_list(client: httpx.Client, repository: str) -> None:
    """distribution-spec: with n=0 the list MUST be empty and the answer MUST NOT have a Link."""
    tagged(client, repository, ["v1"])

    response = client.get(f"/v2/{repository}/tags/list?n=0")

    assert [] == tags(response)
    assert "Link" not in response.headers


@pytest.mark.parametrize(
    "number", ["2147483648", "9223372036854775807", "9223372036854775808", "18446744073709551616", "9" * 4000, "0" * 50 + "2"]
)
def test_a_huge_n_is_as_many_as_there_are(client: httpx.Client, repository: str, number: str) -> None:
    """CVE-2023-2253: nothing is set aside for n entries before they are there."""
    tagged(client, repository, ["v1", "v2"])

    assert ["v1", "v2"] == tags(client.get(f"/v2/{repository}/tags/list?n={number}"))


@pytest.mark.parametrize(
    "number", ["-1", "1e400", "1.5", "1e2", "0x10", "NaN", "inf", "", " ", "ten", "+2", "1_0", "१०", "²", "\uff12", "2,3", "2;3"]
)
def test_what_is_no_number_is_refused(client: httpx.Client, repository: str, number: str) -> None:
    tagged(client, repository, ["v1"])

    response = client.get(f"/v2/{repository}/tags/list", params={"n": number})

    assert (400, "PAGINATION_NUMBER_INVALID") == error(response)


def test_an_unknown_repository_has_no_list(client: httpx.Client, repository: str) -> None:
    assert (404, "NAME_UNKNOWN") == error(client.get(f"/v2/{repository}/tags/list"))


def test_a_repository_without_tags_has_an_empty_list(client: httpx.Client, repository: str) -> None:
    """Not null: gcrane and others read a list."""
    tagged(client, repository, ["v1"])
    client.delete(f"/v2/{repository}/manifests/v1")

    for query in ("", "?n=100"):
        answer = client.get(f"/v2/{repository}/tags/list{query}").json()
        assert (repository, []) == (answer["name"], answer["tags"])


def test_the_tags_of_a_neighbour_are_not_listed(client: httpx.Client, project: str) -> None:
    tagged(client, f"{project}/a", ["v1"])
    tagged(client, f"{project}/a/b", ["v2"])

    assert ["v1"] == tags(client.get(f"/v2/{project}/a/tags/list"))
    assert ["v2"] == tags(client.get(f"/v2/{project}/a/b/tags/list"))


@pytest.mark.parametrize("name", ["a/tags/list", "manifests/latest", "blobs/uploads", "x/tags", "referrers/tags/list"])
def test_repositories_named_like_parts_of_the_api(client: httpx.Client, project: str, name: str) -> None:
    """A path is read from its end, so any name works."""
    repository = f"{project}/{name}"
    manifest = tagged(client, repository, ["v1", "list"])

    assert ["list", "v1"] == tags(client.get(f"/v2/{repository}/tags/list"))
    assert manifest.payload == client.get(f"/v2/{repository}/manifests/list").content


def test_a_page_of_many_tags_is_small_and_whole(client: httpx.Client, repository: str) -> None:
    names = [f"v{number:04}" for number in range(1500)]
    tagged(client, repository, names)

    page = client.get(f"/v2/{repository}/tags/list?n=100&last=v0700")

    assert names[701:801] == tags(page)
    assert f"/v2/{repository}/tags/list?n=100&last=v0800" == next_page(page)
    assert names == tags(client.get(f"/v2/{repository}/tags/list"))
