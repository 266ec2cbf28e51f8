"""gcloud's own login against this server: the code that is pasted, and the browser that comes back (contract.md, sections 0 and 3)."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from roadstead.iam.tokens import Kind, audience
from tests.kit.site import PASSWORD, Browser, Site, site

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")]

ALICE = "alice@example.com"


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as running:
        running.run(running.known.people.create(ALICE, "Alice", PASSWORD))
        yield running


class Gcloud:
    """With settings of its own, and this server in Google's place. Over plain HTTP, which its OAuth library must be told to take."""

    def __init__(self, folder: Path, pages: Site) -> None:
        self.environment = {
            **os.environ,
            "CLOUDSDK_CONFIG": str(folder / "gcloud"),
            "CLOUDSDK_AUTH_AUTH_HOST": f"{pages.url}/o/oauth2/auth",
            "CLOUDSDK_AUTH_TOKEN_HOST": f"{pages.url}/token",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_CORE_CHECK_GCE_METADATA": "0",
            "OAUTHLIB_INSECURE_TRANSPORT": "1",
        }

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["gcloud", *arguments],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> str:
        done = subprocess.run(["gcloud", *arguments], env=self.environment, capture_output=True, text=True, check=False, timeout=120)
        assert 0 == done.returncode, done.stderr
        return done.stdout.strip()


def address_in(process: subprocess.Popen[str], pages: Site) -> str:
    """The address that gcloud wants to be opened."""
    assert process.stdout
    said = ""
    while True:
        line = process.stdout.readline()
        said += line
        found = re.search(rf"{re.escape(pages.url)}/o/oauth2/auth\S+", line)
        if found:
            return found[0]
        assert line, said


def allow(pages: Site, address: str) -> str:
    """What a person does in the browser; where it is sent, or the page's code."""
    with Browser(pages.url) as browser:
        browser.sign_in(ALICE)
        parts = urlsplit(address)
        answer = browser.send_form(browser.get(f"{parts.path}?{parts.query}"), "/o/oauth2/auth", answer="allow")
        if answer.status_code == 303:
            return str(answer.headers["location"])
        found = re.search(r'class="code" value="([^"]+)"', answer.text)
        assert found, answer.text
        return html.unescape(found[1])


@pytest.mark.parametrize("command", [("auth", "login"), ("auth", "application-default", "login")], ids=" ".join)
def test_the_code_is_pasted(tmp_path: Path, pages: Site, command: tuple[str, ...]) -> None:
    gcloud = Gcloud(tmp_path, pages)
    with gcloud.begin(*command, "--no-launch-browser", "--quiet") as process:
        watchdog = threading.Timer(90, process.kill)
        watchdog.start()
        code = allow(pages, address_in(process, pages))
        said, _ = process.communicate(code + "\n")
        watchdog.cancel()
    assert 0 == process.returncode, said

    if command == ("auth", "login"):
        assert f"You are now logged in as [{ALICE}]" in said
        assert ALICE == gcloud.run("auth", "list", "--format=value(account)")
        token = gcloud.run("auth", "print-access-token")
        assert f"user:{ALICE}" == pages.run(pages.known.tokens.verify(token, *of_access(pages))).member


def test_the_browser_comes_back_to_gcloud(tmp_path: Path, pages: Site) -> None:
    """A browser that is a script: gcloud tells it what to open and listens on a port of this machine."""
    opened, script = tmp_path / "opened", tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    script.chmod(0o755)
    gcloud = Gcloud(tmp_path, pages)
    gcloud.environment |= {"BROWSER": f"{script} %s", "DISPLAY": ":99"}
    with gcloud.begin("auth", "login", "--launch-browser", "--quiet") as process:
        watchdog = threading.Timer(90, process.kill)
        watchdog.start()
        while not opened.exists() and process.poll() is None:
            time.sleep(0.05)
        back = allow(pages, opened.read_text().strip())
        assert back.startswith("http://localhost:")
        httpx.get(back, trust_env=False, follow_redirects=False)
        said, _ = process.communicate()
        watchdog.cancel()

    assert 0 == process.returncode, said
    assert f"You are now logged in as [{ALICE}]" in said


def test_a_token_is_refreshed_and_ends_with_the_account(tmp_path: Path, pages: Site) -> None:
    gcloud = Gcloud(tmp_path, pages)
    with gcloud.begin("auth", "login", "--no-launch-browser", "--quiet") as process:
        process.communicate(allow(pages, address_in(process, pages)) + "\n")
    first = gcloud.run("auth", "print-access-token")
    pages.clock.turn(30)

    second = gcloud.run("config", "config-helper", "--force-auth-refresh", "--format=value(credential.access_token)")

    assert first != second
    pages.run(pages.known.people.disable(ALICE))
    refused = subprocess.run(
        ["gcloud", "config", "config-helper", "--force-auth-refresh"], env=gcloud.environment, capture_output=True, text=True, check=False
    )
    assert 0 != refused.returncode
    assert "the login has ended" in refused.stderr


def of_access(pages: Site) -> tuple[Kind, str]:
    return Kind.ACCESS, audience(pages.known.installation)
