"""Many requests at once with the same credential are one login."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import httpx
import pytest

from tests.kit.accounts import Installation
from tests.kit.push import push_image
from tests.kit.site import PASSWORD, Browser

AT_ONCE = 30


def person(installation: Installation) -> str:
    """The address of a new person who owns everything."""
    email = f"burst-{installation.project(registry=False)}@example.com"
    said = installation.server.run("admin", "owner", email)
    assert said.returncode == 0, said.stderr
    token = said.stdout.rpartition("token=")[2].split()[0]
    with Browser(installation.url) as browser:
        page = browser.get("/signin/link?" + urlencode({"token": token}))
        assert 303 == browser.send_form(page, "/signin/link", name="", password=PASSWORD, again=PASSWORD).status_code
    return email


@pytest.mark.slow
def test_connections_opened_at_once_with_a_password_are_one_try_of_it(installation: Installation) -> None:
    """Each was counted as a failure until it had succeeded, so that the eleventh of a parallel pull was told to wait."""
    project, email = installation.project(), person(installation)
    push_image(installation.owner, f"{project}/image")
    url = f"{installation.url}/v2/{project}/image/manifests/v1"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        statuses = list(pool.map(lambda _: httpx.get(url, auth=(email, PASSWORD), timeout=60).status_code, range(AT_ONCE)))

    assert [200] * AT_ONCE == statuses


def test_a_right_that_is_remembered_is_good_for_its_repository_only(installation: Installation) -> None:
    """Other tags and digests of it cost nothing; other permissions and other repositories are asked for."""
    project = installation.project()
    other = installation.project()
    token = installation.robot(project, "roles/storage.objectViewer")
    for place in (project, other):
        push_image(installation.owner, f"{place}/image")
        push_image(installation.owner, f"{place}/image", "v2")

    with installation.client(token) as client:
        assert [200, 200] == [client.get(f"/v2/{project}/image/manifests/{tag}").status_code for tag in ("v1", "v2")]
        assert 403 == client.get(f"/v2/{other}/image/manifests/v1").status_code
        assert 403 == client.post(f"/v2/{project}/image/blobs/uploads/").status_code
        assert 403 == client.delete(f"/v2/{project}/image/manifests/v1").status_code
