"""The forms in which clients ask for tokens, each as its client sends it, and what they get (contract.md, 1.1)."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from tests.kit.accounts import Installation
from tests.kit.push import push_image

Query = list[tuple[str, str]]


@pytest.fixture(scope="module")
def projects(installation: Installation) -> tuple[str, str]:
    a, b = installation.project(), installation.project()
    push_image(installation.owner, f"{a}/img")
    return a, b


def ask(installation: Installation, query: Query, token: str = "", host: str = "gcr.io") -> httpx.Response:
    auth = ("_token", token) if token else None
    return httpx.get(f"{installation.url}/v2/token", params=query, auth=auth, headers={"Host": host})


def given(response: httpx.Response) -> dict[str, list[str]]:
    """Name → actions, of the token itself."""
    assert 200 == response.status_code, response.text
    body = response.json()
    assert body["token"] == body["access_token"]
    assert isinstance(body["expires_in"], int)
    assert body["issued_at"].endswith("Z")
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body["token"].split(".")[1] + "=="))
    return {each["name"]: each["actions"] for each in claims["access"]}


def test_without_a_scope_a_login_is_answered(installation: Installation) -> None:
    """`docker login` and skopeo only want to know whether the credential is good."""
    for query in (
        [("account", "U"), ("client_id", "docker"), ("offline_token", "true"), ("service", "gcr.io")],
        [("account", "U"), ("service", "gcr.io")],
        [],
    ):
        assert {} == given(ask(installation, query, installation.owner_token))


def test_scopes_may_be_repeated_or_stand_in_one(installation: Installation, projects: tuple[str, str]) -> None:
    """gcrane mounts across repositories so."""
    a, b = projects
    both = [f"repository:{b}/img:push,pull", f"repository:{a}/img:pull"]

    for query in ([("scope", scope) for scope in both], [("scope", " ".join(both))]):
        assert {f"{b}/img": ["delete", "pull", "push"], f"{a}/img": ["pull"]} == given(ask(installation, query, installation.owner_token))


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ("pull", ["pull"]),
        ("push,pull", ["delete", "pull", "push"]),
        ("pull,push", ["delete", "pull", "push"]),
        ("push,pull,delete", ["delete", "pull", "push"]),
        ("*", ["delete", "pull", "push"]),
        ("delete", ["delete"]),
        ("dance", []),
    ],
)
def test_actions_come_in_any_order(installation: Installation, projects: tuple[str, str], actions: str, expected: list[str]) -> None:
    """gcloud asks for `push,pull` to delete, crane for all three, skopeo for `*`."""
    name = f"{projects[0]}/img"

    assert {name: expected} == given(ask(installation, [("scope", f"repository:{name}:{actions}")], installation.owner_token))


def test_a_project_alone_can_be_asked_for(installation: Installation, projects: tuple[str, str]) -> None:
    """`gcloud container images list`."""
    a, _ = projects

    assert {a: ["pull"]} == given(ask(installation, [("scope", f"repository:{a}:pull")], installation.owner_token))


def test_a_domain_scoped_project_can_be_asked_for(installation: Installation) -> None:
    plain = installation.project()
    scoped = f"example.com:{plain}"
    installation.owner.post("/v1/projects", json={"projectId": scoped}).raise_for_status()
    installation.enable(scoped, "containerregistry.googleapis.com")

    for name in (f"example.com/{plain}", f"example.com/{plain}/img"):
        assert {name: ["pull"]} == given(ask(installation, [("scope", f"repository:{name}:pull")], installation.owner_token))


def test_the_catalog_can_be_asked_for(installation: Installation, projects: tuple[str, str]) -> None:
    token = ask(installation, [("scope", "registry:catalog:*")], installation.owner_token).json()["token"]

    with installation.client(token, Host="gcr.io") as client:
        assert f"{projects[0]}/img" in client.get("/v2/_catalog?n=100000").json()["repositories"]


def test_nobody_in_particular_gets_a_token_too(installation: Installation, projects: tuple[str, str]) -> None:
    """crane asks so for public images: it is good for what everybody may, which is nothing here."""
    name = f"{projects[0]}/img"

    assert {name: []} == given(ask(installation, [("service", "gcr.io"), ("scope", f"repository:{name}:pull")]))


def test_a_wrong_credential_is_no_token(installation: Installation) -> None:
    response = ask(installation, [("scope", "repository:my-project/img:pull")], "wrong")

    assert (401, "UNAUTHORIZED") == (response.status_code, response.json()["errors"][0]["code"])


def test_a_token_is_good_at_the_location_that_it_was_asked_at(installation: Installation, projects: tuple[str, str]) -> None:
    name = f"{projects[0]}/img"
    token = ask(installation, [("scope", f"repository:{name}:pull")], installation.owner_token).json()["token"]

    with installation.client(token) as client:
        assert 200 == client.get(f"/v2/{name}/manifests/v1", headers={"Host": "gcr.io"}).status_code
        assert 401 == client.get(f"/v2/{name}/manifests/v1", headers={"Host": "eu.gcr.io"}).status_code


def test_a_project_without_the_api_is_told_so(installation: Installation) -> None:
    """gcloud prints "Bad status during token exchange: 403" and this."""
    off = installation.project(registry=False)

    response = ask(installation, [("scope", f"repository:{off}/img:push,pull")], installation.owner_token)

    assert 403 == response.status_code
    (error,) = response.json()["errors"]
    assert "DENIED" == error["code"]
    assert (
        f"Token exchange failed for project '{off}'. Please enable Google Container Registry API in Cloud Console at "
        f"https://console.cloud.google.com/apis/api/containerregistry.googleapis.com/overview?project={off} before performing this "
        "operation."
    ) == error["message"]


def test_who_has_no_right_gets_a_token_that_gives_none_and_hears_why_when_he_uses_it(
    installation: Installation, projects: tuple[str, str]
) -> None:
    """The token service tells nobody what there is."""
    a, b = projects
    robot = installation.robot(b, "roles/owner")
    answer = ask(installation, [("scope", f"repository:{a}/img:push,pull"), ("scope", "repository:no-such-project/img:pull")], robot)
    assert {f"{a}/img": [], "no-such-project/img": []} == given(answer)

    with installation.client(answer.json()["token"], Host="gcr.io") as client:
        refused = client.get(f"/v2/{a}/img/manifests/v1")

    assert (403, "DENIED") == (refused.status_code, refused.json()["errors"][0]["code"])
    assert (
        "Caller does not have permission 'storage.objects.get'. To configure permissions, follow instructions at: "
        "https://cloud.google.com/container-registry/docs/access-control"
    ) == refused.json()["errors"][0]["message"]
