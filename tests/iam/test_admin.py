"""`roadstead admin`: getting in, and back in, with nothing but the server's own data."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

import httpx
import pytest

from tests.kit.accounts import Installation

LINK = re.compile(r"http://\S+/signin/link\?token=(rsl_\S+)")
PASSWORD = "mortar haddock tangerine"


@pytest.fixture
def email(installation: Installation) -> str:
    return f"sailor-{len(people(installation))}@example.com"


def people(installation: Installation) -> list[dict[str, object]]:
    return list(json.loads(said(installation, "people", "--format", "json")))


def said(installation: Installation, *arguments: str) -> str:
    done = installation.server.run("admin", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(installation: Installation, *arguments: str) -> str:
    done = installation.server.run("admin", *arguments)
    assert done.returncode == 2, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def follow(installation: Installation, link: str, password: str = PASSWORD) -> httpx.Response:
    """As a browser does: the form, then a password for it."""
    match = LINK.search(link)
    assert match
    with httpx.Client(base_url=installation.url, headers={"Origin": installation.url}) as browser:
        form = browser.get("/signin/link", params={"token": match[1]})
        if form.status_code != 200:
            return form
        fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form.text))
        return browser.post("/signin/link", data={**fields, "name": "A Sailor", "password": password, "again": password})


@pytest.mark.slow
def test_a_token_is_the_owner_s_and_for_every_api(installation: Installation) -> None:
    token = said(installation, "token").strip()

    assert 200 == installation.client(token).get("/v1/projects/my-project").status_code
    assert 200 == httpx.get(f"{installation.url}/v2/", auth=("oauth2accesstoken", token)).status_code


def test_a_token_in_a_file_is_for_nobody_else_to_read(installation: Installation, tmp_path: Path) -> None:
    """gcloud's auth/access_token_file wants the bare token."""
    file = tmp_path / "token"
    file.write_text("something longer that was there before" * 100)

    assert "" == said(installation, "token", "--out", str(file))

    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert 200 == installation.client(file.read_text()).get("/v1/projects/my-project").status_code


@pytest.mark.parametrize(
    "options", [["--lifetime", "0s"], ["--lifetime", "25h"], ["--lifetime", "soon"], ["--member", "user:nobody@example.com"]]
)
def test_what_no_token_can_be_made_of(installation: Installation, options: list[str]) -> None:
    assert refused(installation, "token", *options).strip()


@pytest.mark.slow
def test_a_new_person_gets_in_by_a_link_once_and_has_no_rights(installation: Installation, email: str) -> None:
    link = said(installation, "add", email)

    assert 303 == follow(installation, link).status_code
    assert follow(installation, link).status_code in (400, 403)
    assert 200 == httpx.get(f"{installation.url}/v2/", auth=(email, PASSWORD)).status_code
    assert 403 == httpx.get(f"{installation.url}/v2/my-project/x/tags/list", auth=(email, PASSWORD)).status_code


@pytest.mark.slow
def test_an_owner_has_every_right(installation: Installation, email: str) -> None:
    assert 303 == follow(installation, said(installation, "owner", email)).status_code

    token = said(installation, "token", "--member", f"user:{email}").strip()
    assert 200 == installation.client(token).get("/v1/projects/my-project").status_code
    assert "signin/link" not in said(installation, "owner", email), "who has a password needs no link"


@pytest.mark.slow
def test_a_new_link_ends_what_was_open(installation: Installation, email: str) -> None:
    """Who recovers an account does not know who else is in it."""
    follow(installation, said(installation, "add", email))
    token = said(installation, "token", "--member", f"user:{email}").strip()
    old = said(installation, "link", email)

    new = said(installation, "link", email)

    assert 401 == installation.client(token).get("/v2/").status_code
    assert follow(installation, old).status_code in (400, 403)
    assert 303 == follow(installation, new, "another mortar haddock").status_code
    assert 401 == httpx.get(f"{installation.url}/v2/", auth=(email, PASSWORD)).status_code
    assert 200 == httpx.get(f"{installation.url}/v2/", auth=(email, "another mortar haddock")).status_code


def test_a_wrong_folder_is_no_new_installation(tmp_path: Path, installation: Installation) -> None:
    if "ROADSTEAD_DATABASE" in installation.server.env:
        pytest.skip("the database is not in the folder")
    done = installation.server.run("admin", "people", "--config", str(tmp_path / "absent.toml"))

    assert 2 == done.returncode
    assert "absent.toml" in done.stderr


@pytest.mark.slow
def test_what_is_done_on_the_server_s_machine_is_in_the_audit_log(installation: Installation) -> None:
    """By the operating system's user, and without what was printed."""
    address = "audited-sailor@example.com"
    printed = [
        said(installation, "add", address).strip().partition("token=")[2],
        said(installation, "link", address).strip().partition("token=")[2],
        said(installation, "owner", address).strip().partition("token=")[2],
        said(installation, "token", "--member", f"user:{address}").strip(),
    ]
    said(installation, "disable", address)
    said(installation, "disable", address, "--undo")
    said(installation, "group", "audited@example.com", "--add", f"user:{address}", "--remove", f"user:{address}")

    done = installation.server.run("audit", "--member", f"local:{os.getuid()}", "--text", "audited", "--format", "json")
    assert done.returncode == 0, done.stderr
    payloads = [each["protoPayload"] for each in json.loads(done.stdout)]
    subjects = [(each["methodName"], each["metadata"]["subject"]) for each in reversed(payloads)]
    methods = ("add", "link", "owner", "token", "disable", "enable")
    groups = [(f"admin.group.{each}", "group:audited@example.com") for each in ("create", "add", "remove")]
    assert [*((f"admin.{each}", f"user:{address}") for each in methods), *groups] == subjects
    assert not [secret for secret in printed if secret and secret in done.stdout]
