"""
docker-credential-gcr under Google's names, which it has built in: `configure-docker`, what it finds by itself, and its own login, which
goes to accounts.google.com and oauth2.googleapis.com (contract.md, 1.1 and 3). Its source `env` under another name: test_login_clients.py.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.kit.content import complete_image
from tests.kit.gcr import Gcr
from tests.kit.google import needs_gcloud
from tests.kit.images import Layout, image_layout
from tests.kit.places import PULLS, PUSHES
from tests.kit.program import Program
from tests.kit.site import PASSWORD, Browser

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("gcr", ["https"], indirect=True, scope="session")]

GOOGLE = ["asia.gcr.io", "eu.gcr.io", "gcr.io", "marketplace.gcr.io", "us.gcr.io"]
SECONDS = 60


@pytest.fixture
def owned(gcr: Gcr) -> str:
    return gcr.installation.project()


@pytest.fixture
def layout(tmp_path: Path, owned: str) -> Layout:
    return image_layout(tmp_path / "layout", owned)


@pytest.fixture
def helper(credential_helper: Program, gcr: Gcr) -> Program:
    """With the folder of crane's settings, and a browser that writes down what it is to open."""
    programs = credential_helper.home / "programs"
    programs.mkdir()
    opened = credential_helper.home / "opened"
    browser = programs / "xdg-open"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    credential_helper.environment |= gcr.environment
    credential_helper.environment |= {
        "PATH": f"{programs}:{credential_helper.path.parent}:/usr/local/bin:/usr/bin:/bin",
        "DISPLAY": ":99",
        "NO_GCE_CHECK": "true",
    }
    return credential_helper


@pytest.fixture
def crane(crane: Program, helper: Program) -> Program:
    """It reads what the helper has written for docker, and runs the helper for credentials."""
    crane.environment = helper.environment
    return crane


def key(gcr: Gcr, project: str, folder: Path, *roles: str) -> Path:
    email = gcr.installation.account(project)
    for role in roles:
        gcr.installation.grant(project, role, f"serviceAccount:{email}")
    file = folder / "key.json"
    file.write_text(json.dumps(gcr.key(email)))
    return file


def given(helper: Program, host: str = "gcr.io") -> dict[str, str]:
    """What docker gets for a host."""
    found: dict[str, str] = json.loads(helper.run("get", stdin=f"https://{host}".encode()))
    return found


def person(gcr: Gcr, project: str, role: str) -> str:
    """The address of somebody with PASSWORD and this role."""
    email = f"{project}@example.com"
    said = gcr.installation.server.run("admin", "owner", email)
    assert said.returncode == 0, said.stderr
    link = urlsplit(said.stdout.split()[-1])
    with Browser(gcr.installation.url) as browser:
        page = browser.get("/signin/link", params={"token": parse_qs(link.query)["token"][0]})
        assert 303 == browser.send_form(page, "/signin/link", name="A person", password=PASSWORD, again=PASSWORD).status_code
    gcr.installation.grant(project, role, f"user:{email}")
    return email


def allow(gcr: Gcr, address: str, email: str) -> None:
    """What a person does in the browser that was opened, up to where it comes back to this machine."""
    parts = urlsplit(address)
    with Browser(gcr.installation.url) as browser:
        browser.sign_in(email)
        answer = browser.send_form(browser.get(f"{parts.path}?{parts.query}"), "/o/oauth2/auth", answer="allow")
    assert 303 == answer.status_code, answer.text
    httpx.get(answer.headers["location"], trust_env=False)


def log_in(helper: Program, gcr: Gcr, email: str) -> str:
    """The address that was opened."""
    opened = helper.home / "opened"
    command = [str(helper.path), "gcr-login"]
    with subprocess.Popen(command, env=helper.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        watchdog = threading.Timer(SECONDS, process.kill)
        watchdog.start()
        while not opened.exists() and process.poll() is None:
            time.sleep(0.02)
        assert opened.exists(), process.communicate()[0]
        address = opened.read_text().strip()
        allow(gcr, address, email)
        said, _ = process.communicate()
        watchdog.cancel()
    assert 0 == process.returncode, said
    return address


def test_configure_docker_names_google_s_registries(helper: Program, gcr: Gcr) -> None:
    helper.run("configure-docker")
    settings = Path(helper.environment["DOCKER_CONFIG"]) / "config.json"
    assert dict.fromkeys(GOOGLE, "gcr") == json.loads(settings.read_text())["credHelpers"]

    helper.run("configure-docker", "--registries=gcr.io.corp.example, registry.example.com:5000")

    names = {*GOOGLE, "gcr.io.corp.example", "registry.example.com:5000"}
    assert dict.fromkeys(names, "gcr") == json.loads(settings.read_text())["credHelpers"]


def test_a_key_file_in_the_environment_pushes_and_pulls(
    helper: Program, crane: Program, gcr: Gcr, owned: str, layout: Layout, tmp_path: Path
) -> None:
    """Without `config`: its own store is looked into first, and has nothing."""
    helper.environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(key(gcr, owned, tmp_path, PUSHES))
    helper.run("configure-docker")
    assert re.fullmatch(r"_dcgcr_[0-9_]+_token", given(helper)["Username"])

    for host in ("gcr.io", "eu.gcr.io"):
        crane.run("push", layout.path, f"{host}/{owned}/app:v1")
        assert layout.manifest == crane.run("manifest", f"{host}/{owned}/app:v1")

    assert layout.manifest == complete_image(gcr.installation.owner, f"{owned}/app", "v1").payload


def test_a_person_logs_in_by_the_browser(helper: Program, crane: Program, gcr: Gcr, owned: str, layout: Layout) -> None:
    """The scope is devstorage.read_write, which pushes and pulls; after the logout there is nothing."""
    email = person(gcr, owned, PUSHES)
    helper.run("config", "--token-source=store")
    helper.run("configure-docker")

    address = log_in(helper, gcr, email)
    crane.run("push", layout.path, f"gcr.io/{owned}/app:v1")

    assert address.startswith("https://accounts.google.com/o/oauth2/auth?")
    assert layout.manifest == complete_image(gcr.installation.owner, f"{owned}/app", "v1").payload
    helper.run("gcr-logout")
    assert "GCR Credentials not present in store" in helper.attempt("get", stdin=b"https://gcr.io").stdout.decode()


def test_a_login_is_refreshed_and_ends_on_the_server(helper: Program, gcr: Gcr, owned: str) -> None:
    """At oauth2.googleapis.com/token, once the access token is old; not any more once the refresh token was revoked."""
    helper.run("config", "--token-source=store")
    log_in(helper, gcr, person(gcr, owned, PULLS))
    store = helper.home / ".config/gcloud/docker_credentials.json"
    kept = json.loads(store.read_text())
    first = given(helper)["Secret"]
    assert first == kept["gcrCreds"]["access_token"] == given(helper)["Secret"]
    kept["gcrCreds"]["token_expiry"] = "2020-01-01T00:00:00Z"
    store.write_text(json.dumps(kept))

    second = given(helper)["Secret"]

    assert first != second
    assert 200 == httpx.get(f"{gcr.installation.url}/v2/", auth=("_dcgcr_2_2_1_token", second)).status_code
    revoked = httpx.post(f"{gcr.installation.url}/revoke", data={"token": kept["gcrCreds"]["refresh_token"]})
    assert 200 == revoked.status_code
    assert "invalid_grant" in helper.attempt("get", stdin=b"https://gcr.io").stdout.decode()


@needs_gcloud
def test_a_login_of_gcloud_is_used_where_it_is_told_to(helper: Program, gcr: Gcr, owned: str, tmp_path: Path) -> None:
    gcloud = gcr.gcloud(tmp_path / "gcloud", owned)
    gcloud.forget_token()
    gcloud("auth", "activate-service-account", "--key-file", str(key(gcr, owned, tmp_path, PULLS)))
    helper.environment |= gcloud.environment
    helper.run("config", "--token-source=gcloud")

    token = given(helper)

    assert 200 == httpx.get(f"{gcr.installation.url}/v2/", auth=(token["Username"], token["Secret"])).status_code
