"""What a stranger's questions cost: a catalog, a token for many scopes, and a number that several processes raise."""

from __future__ import annotations

import httpx

from roadstead.api.distribution.catalog import _starts
from roadstead.iam.generation import SharedNumber
from tests.kit.accounts import Installation
from tests.kit.push import push_image


def test_nobody_s_token_is_for_twenty_scopes(installation: Installation) -> None:
    def asked(count: int) -> int:
        scopes = [("scope", f"repository:nobody-{number:04}/x:pull") for number in range(count)]
        return httpx.get(f"{installation.url}/v2/token", params=scopes).status_code

    assert 200 == asked(20)
    assert 400 == asked(21)


def test_a_number_that_processes_share_never_falls() -> None:
    number = SharedNumber()
    number.raise_to(6)

    number.raise_to(5)

    assert 6 == number.get()


def test_a_place_begins_right_before_its_first_name() -> None:
    (project,) = _starts({"projects/example.com:p"}, "gcr")
    (repository,) = _starts({"projects/p/locations/gcr/repositories/team", "projects/p/locations/eu"}, "gcr")

    assert "example.com/p" < project < "example.com/p/a"
    assert "p/teal" < repository < "p/team" < "p/team/a"


def test_a_reader_s_catalog_goes_on_page_by_page(installation: Installation) -> None:
    project, other = installation.project(), installation.project()
    names = [f"{project}/a", f"{project}/b/c", f"{project}/d"]
    for name in (*names, f"{other}/x"):
        push_image(installation.owner, name)
    found: list[str] = []
    with installation.client(installation.robot(project, "roles/viewer")) as reader:
        address = "/v2/_catalog?n=1"
        while address:
            response = reader.get(address)
            found += response.json()["repositories"]
            address = response.links.get("next", {}).get("url", "")

    assert names == [name for name in found if name.startswith(project)]
    assert f"{other}/x" not in found
    assert sorted(found) == found
