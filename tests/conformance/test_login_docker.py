"""docker and its engine with accounts: each way to log in pushes and pulls, and without it nothing is given."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from roadstead import certificates
from tests.kit.content import complete_image, is_absent
from tests.kit.engine import Engine, docker_of, running_engine
from tests.kit.images import GREETING
from tests.kit.places import PULLS, PUSHES, Place
from tests.kit.program import Program, find
from tests.kit.site import PASSWORD

pytestmark = pytest.mark.slow

WAYS = ("_json_key", "_json_key_base64", "oauth2accesstoken", "person with a token", "person with a password")
REFUSED = ("unauthorized", "denied", "401", "no basic auth credentials")


@pytest.fixture(scope="module")
def engine_there(place: Place) -> Iterator[Engine]:
    """The engine is what asks and checks certificates, so each place has one; certs.d would have to be in the machine's own /etc."""
    with running_engine(place.environment) as engine:
        yield engine


@pytest.fixture
def docker(engine_there: Engine, tmp_path: Path) -> Program:
    """With a home, and so a DOCKER_CONFIG, of the test's own: nobody has logged in."""
    return docker_of(engine_there, tmp_path / "docker")


@pytest.fixture
def owned(place: Place) -> str:
    """A project where the registry is on."""
    return place.installation.project()


@pytest.fixture
def built(docker: Program, place: Place, owned: str, context: Path) -> str:
    """An image of the engine's: its name, without the tag v1."""
    name = f"{place.authority}/{owned}/image"
    docker.run("build", "--network=none", "--tag", f"{name}:v1", context)
    return name


def credential(place: Place, project: str, way: str) -> tuple[str, str]:
    """docker's --username and password."""
    if way.startswith("person"):
        email = place.person()
        return email, PASSWORD if way.endswith("password") else place.installation.token(f"user:{email}")
    if way == "oauth2accesstoken":
        return way, place.token_of(project, PUSHES)
    key = place.key_of(project, PUSHES)
    return way, base64.b64encode(key.encode()).decode() if way.endswith("base64") else key


def login(docker: Program, place: Place, user: str, password: str) -> None:
    docker.run("login", "--username", user, "--password-stdin", place.authority, stdin=password.encode())


def kept(docker: Program, place: Place) -> dict[str, str]:
    """What docker keeps of the login."""
    found: dict[str, str] = json.loads((docker.home / ".config/config.json").read_text())["auths"][place.authority]
    return found


def push_as_owner(docker: Program, place: Place, name: str) -> None:
    login(docker, place, "oauth2accesstoken", place.installation.owner_token)
    docker.run("push", f"{name}:v1")
    docker.run("logout", place.authority)


def is_refusal(said: str) -> bool:
    return any(word in said for word in REFUSED)


@pytest.mark.parametrize("way", WAYS)
def test_who_logs_in_pushes_and_pulls_until_the_logout(docker: Program, place: Place, owned: str, built: str, way: str) -> None:
    assert is_refusal(docker.refused("push", f"{built}:v1"))
    login(docker, place, *credential(place, owned, way))

    docker.run("push", f"{built}:v1")
    docker.run("rmi", f"{built}:v1")
    docker.run("pull", f"{built}:v1")

    assert GREETING == docker.text("run", "--rm", "--network=none", f"{built}:v1")
    complete_image(place.installation.owner, f"{owned}/image", "v1")
    docker.run("logout", place.authority)
    docker.run("rmi", f"{built}:v1")
    assert is_refusal(docker.refused("pull", f"{built}:v1"))


def test_a_persons_password_is_not_kept_and_the_login_ends_with_it(docker: Program, place: Place, owned: str, built: str) -> None:
    """docker keeps the refresh token ("identity token") that it was given, and each push and pull asks with that."""
    email, password = credential(place, owned, "person with a password")
    login(docker, place, email, password)
    found = kept(docker, place)
    assert found["identitytoken"]
    assert PASSWORD not in base64.b64decode(found.get("auth", "")).decode()
    docker.run("push", f"{built}:v1")
    docker.run("pull", f"{built}:v1")

    assert 0 == place.installation.server.run("admin", "link", email).returncode

    said = docker.refused("pull", f"{built}:v1")
    assert is_refusal(said) or "invalid_grant" in said


@pytest.mark.parametrize("user", ["_json_key", "oauth2accesstoken", "nobody@example.com", "admin"])
def test_a_wrong_password_does_not_log_in(docker: Program, place: Place, user: str) -> None:
    said = docker.refused("login", "--username", user, "--password-stdin", place.authority, stdin=b"wrong password")

    assert is_refusal(said)
    assert "auths" not in json.loads((docker.home / ".config/config.json").read_text())


def test_who_may_only_pull_is_denied_a_push(docker: Program, place: Place, owned: str, built: str) -> None:
    push_as_owner(docker, place, built)
    docker.run("tag", f"{built}:v1", f"{built}:v2")
    login(docker, place, "_json_key", place.key_of(owned, PULLS))

    docker.run("pull", f"{built}:v1")
    said = docker.refused("push", f"{built}:v2")

    assert "denied: " in said
    assert is_absent(place.installation.owner, f"{owned}/image", "v2")


def test_another_projects_account_is_denied_both(docker: Program, place: Place, owned: str, built: str) -> None:
    image = place.pushed(owned)
    login(docker, place, "_json_key", place.key_of(place.installation.project(), PUSHES))

    assert "denied" in docker.refused("pull", f"{image}:v1")
    assert "denied" in docker.refused("push", f"{built}:v1")


def test_a_project_whose_api_is_off_is_told_so(docker: Program, place: Place, context: Path) -> None:
    """The sentence that GCR gave (contract.md, 1.1)."""
    project = place.installation.project(registry=False)
    name = f"{place.authority}/{project}/image:v1"
    docker.run("build", "--network=none", "--tag", name, context)
    login(docker, place, "oauth2accesstoken", place.installation.owner_token)

    said = docker.refused("push", name)

    assert f"Token exchange failed for project '{project}'. Please enable Google Container Registry API" in said


def test_nobody_pulls_what_is_everybodys_and_pushes_nothing(docker: Program, place: Place, owned: str, built: str) -> None:
    push_as_owner(docker, place, built)
    assert is_refusal(docker.refused("pull", f"{built}:v1"))

    place.installation.grant(owned, PULLS, "allUsers")

    docker.run("pull", f"{built}:v1")
    assert is_refusal(docker.refused("push", f"{built}:v1"))


def test_an_authority_that_is_not_trusted_is_refused(engine_there: Engine, place: Place, tmp_path: Path) -> None:
    """Else the tests above would show nothing about certificates."""
    if place.ca is None:
        pytest.skip("plain HTTP has no authority")
    certificates.self_signed(tmp_path / "other", [])
    running = Engine()
    with pytest.MonkeyPatch.context() as environment:
        for key, value in {**place.environment, "SSL_CERT_FILE": str(tmp_path / "other/ca.pem")}.items():
            environment.setenv(key, value)
        try:
            running.start()
            docker = Program(find("docker"), tmp_path / "docker", environment={"DOCKER_HOST": running.host})
            assert "x509" in docker.refused("pull", f"{place.authority}/{place.installation.project()}/image:v1")
        finally:
            running.stop()
