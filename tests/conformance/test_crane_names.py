"""crane under Google's names with accounts: what it lists, mounts, tags and deletes, and the tokens and credentials that it shows."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.kit.content import complete_image, is_absent
from tests.kit.gcr import Gcr
from tests.kit.images import Layout, image_layout
from tests.kit.places import PULLS, PUSHES
from tests.kit.program import Program
from tests.kit.push import push_image

pytestmark = pytest.mark.slow


@pytest.fixture
def owned(gcr: Gcr) -> str:
    return gcr.installation.project()


@pytest.fixture
def name(gcr: Gcr, owned: str) -> str:
    return f"{gcr.host()}/{owned}/app"


@pytest.fixture
def layout(tmp_path: Path, owned: str) -> Layout:
    return image_layout(tmp_path / "layout", owned)


@pytest.fixture
def owner(gcr: Gcr) -> Iterator[httpx.Client]:
    """Who asks for gcr.io."""
    with gcr.installation.client(gcr.installation.owner_token, Host="gcr.io") as client:
        yield client


@pytest.fixture
def crane(crane: Program, gcr: Gcr) -> Program:
    crane.environment |= gcr.environment
    return crane


def log_in(crane: Program, gcr: Gcr, project: str, *roles: str) -> dict[str, str]:
    """As a new account with these roles on the project, by its key. The key."""
    email = gcr.installation.account(project)
    for role in roles:
        gcr.installation.grant(project, role, f"serviceAccount:{email}")
    key = gcr.installation.key(email)
    login = ("auth", "login", gcr.host(), "--username=_json_key", "--password-stdin")
    crane.run(*login, stdin=json.dumps(key).encode())
    return key


def registry(gcr: Gcr, token: str) -> httpx.Client:
    return gcr.installation.client(token, Host="gcr.io")


def test_the_catalog_of_a_host_has_what_may_be_read_there(crane: Program, gcr: Gcr, owned: str, owner: httpx.Client) -> None:
    """Not what is at another host, nor in another project."""
    push_image(owner, f"{owned}/app")
    push_image(owner, f"{gcr.installation.project()}/app")
    with gcr.installation.client(gcr.installation.owner_token, Host="eu.gcr.io") as there:
        push_image(there, f"{owned}/european")
    log_in(crane, gcr, owned, PULLS)

    assert [f"{owned}/app"] == crane.lines("catalog", gcr.host())
    assert [f"{gcr.host()}/{owned}/app"] == crane.lines("catalog", "--full-ref", gcr.host())


def test_tags_are_listed_and_set(crane: Program, gcr: Gcr, owned: str, name: str, layout: Layout) -> None:
    log_in(crane, gcr, owned, PUSHES)
    crane.run("push", layout.path, f"{name}:v1")

    crane.run("tag", f"{name}:v1", "latest")

    assert ["latest", "v1"] == crane.lines("ls", name)
    assert [f"{name}:latest", f"{name}:v1"] == crane.lines("ls", "--full-ref", name)
    assert layout.digest == crane.text("digest", f"{name}:latest")


def test_a_copy_between_projects_mounts_and_one_between_hosts_moves_bytes(
    crane: Program, gcr: Gcr, owned: str, owner: httpx.Client, name: str, layout: Layout
) -> None:
    other, europe = gcr.installation.project(), gcr.host("eu.gcr.io")
    for host in (gcr.host(), europe):
        given = gcr.installation.owner_token.encode()
        crane.run("auth", "login", host, "--username=oauth2accesstoken", "--password-stdin", stdin=given)
    crane.run("push", layout.path, f"{name}:v1")
    layers = [each["digest"] for each in json.loads(layout.manifest)["layers"]]

    mounted = crane.attempt("copy", f"{name}:v1", f"{gcr.host()}/{other}/copy:v1").stderr.decode()
    moved = crane.attempt("copy", f"{name}:v1", f"{europe}/{other}/copy:v1").stderr.decode()

    assert [True, True] == [f"mounted blob: {digest}" in mounted for digest in layers]
    assert [True, True] == [f"pushed blob: {digest}" in moved for digest in layers]
    assert layout.manifest == complete_image(owner, f"{other}/copy", "v1").payload
    with gcr.installation.client(gcr.installation.owner_token, Host="eu.gcr.io") as there:
        assert layout.manifest == complete_image(there, f"{other}/copy", "v1").payload


def test_a_digest_is_not_deleted_while_a_tag_names_it(
    crane: Program, gcr: Gcr, owned: str, owner: httpx.Client, name: str, layout: Layout
) -> None:
    """As Container Registry refused it (contract.md, 1.2)."""
    log_in(crane, gcr, owned, PUSHES)
    for tag in ("v1", "v2"):
        crane.run("push", layout.path, f"{name}:{tag}")

    for tag in ("v1", "v2"):
        said = crane.refused("delete", f"{name}@{layout.digest}")
        assert f"GOOGLE_MANIFEST_DANGLING_TAG: Manifest is still referenced by tag: {tag}" in said
        crane.run("delete", f"{name}:{tag}")
    crane.run("delete", f"{name}@{layout.digest}")

    assert is_absent(owner, f"{owned}/app", layout.digest)


def test_auth_token_is_a_token_of_the_registry(crane: Program, gcr: Gcr, owned: str, owner: httpx.Client, name: str) -> None:
    """For what was asked and no more: a token to pull does not push, one with a mount pulls from there too."""
    image = push_image(owner, f"{owned}/app")
    other = push_image(owner, f"{owned}/other")
    log_in(crane, gcr, owned, PUSHES)

    pulls = crane.json("auth", "token", name)
    pushes = crane.text("auth", "token", "--header", "--push", "--mount", f"{gcr.host()}/{owned}/other", name)

    assert 0 < pulls["expires_in"] <= 43200
    with registry(gcr, pulls["token"]) as client:
        assert image.payload == client.get(f"/v2/{owned}/app/manifests/v1").content
        assert 401 == client.get(f"/v2/{owned}/other/manifests/v1").status_code
        assert 401 == client.post(f"/v2/{owned}/app/blobs/uploads/").status_code
    assert pushes.startswith("Authorization: Bearer ")
    with registry(gcr, pushes.rpartition(" ")[2]) as client:
        assert other.payload == client.get(f"/v2/{owned}/other/manifests/v1").content
        assert 202 == client.post(f"/v2/{owned}/app/blobs/uploads/").status_code
        assert 401 == client.post(f"/v2/{owned}/other/blobs/uploads/").status_code


def test_auth_token_of_nobody_opens_nothing(crane: Program, gcr: Gcr, owned: str, owner: httpx.Client, name: str) -> None:
    push_image(owner, f"{owned}/app")

    token = crane.json("auth", "token", name)["token"]

    with registry(gcr, token) as client:
        assert 401 == client.get(f"/v2/{owned}/app/manifests/v1").status_code


def test_auth_get_is_a_credential_helper(crane: Program, gcr: Gcr, owned: str) -> None:
    """It gives back what docker's settings have, here the whole key of an account."""
    key = log_in(crane, gcr, owned, PULLS)

    by_argument = crane.json("auth", "get", gcr.host())
    by_input = json.loads(crane.run("auth", "get", stdin=gcr.host().encode()))

    assert by_argument == by_input
    assert ("_json_key", key) == (by_argument["Username"], json.loads(by_argument["Secret"]))
    basic = base64.b64encode(f"{by_argument['Username']}:{by_argument['Secret']}".encode()).decode()
    answer = httpx.get(f"{gcr.installation.url}/v2/", headers={"Authorization": f"Basic {basic}"})
    assert 200 == answer.status_code
    assert "credentials not found" in crane.attempt("auth", "get", gcr.host("asia.gcr.io")).stdout.decode()
