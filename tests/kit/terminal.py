"""`roadstead` as a person with an empty home folder runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.kit.site import Browser, Site

CREDENTIAL_HELPER = "from roadstead.cli.docker import helper; helper()"
SECONDS = 60


class Terminal:
    """home: where the logins are kept, below it config/roadstead, and docker's own settings."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("ROADSTEAD_", "XDG_", "DOCKER_"))}
        # There is no browser: `true` opens every link, and the test reads it.
        own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "DOCKER_CONFIG": str(home / "docker"), "BROWSER": "true"}
        self.environment = {**mine, **own, **environment}

    @property
    def logins(self) -> Path:
        return self.home / "config" / "roadstead" / "credentials.json"

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, "-m", "roadstead", *arguments], given)

    def helper(self, verb: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """docker-credential-roadstead."""
        return self._run([sys.executable, "-c", CREDENTIAL_HELPER, verb], given)

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--format", "json")
        assert 0 == done.returncode, done.stderr
        return json.loads(done.stdout)

    def said(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert 0 == done.returncode, done.stderr
        return done.stdout

    def refused(self, *arguments: str, code: int = 1, given: str = "") -> str:
        """What it says on standard error; a sentence, not a traceback."""
        done = self.run(*arguments, given=given)
        assert code == done.returncode, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "roadstead", *arguments],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def log_in(self, pages: Site, email: str, *options: str) -> None:
        """With a code that is pasted."""
        with self.begin("auth", "login", "--server", pages.url, "--no-browser", *options) as process:
            answer = consent(pages, email, link_in(process))
            found = re.search(r'class="code" value="([^"]+)"', answer.text)
            assert found, answer.text
            said, problem = process.communicate(found[1] + "\n", timeout=SECONDS)
        assert 0 == process.returncode, problem
        assert f"Logged in to {pages.url} as {email}." in said

    def _run(self, command: list[str], given: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, input=given, env=self.environment, capture_output=True, text=True, check=False, timeout=SECONDS)


def link_in(process: subprocess.Popen[str]) -> str:
    """The link that it prints."""
    assert process.stderr
    watchdog = threading.Timer(SECONDS, process.kill)
    watchdog.start()
    said = ""
    while "/o/oauth2/auth" not in (line := process.stderr.readline()):
        said += line
        assert line, said
    watchdog.cancel()
    return line.strip()


def consent(pages: Site, email: str, link: str, answer: str = "allow") -> Any:
    """What the person does in the browser, and what comes of it: the page with the code, or the way back."""
    with Browser(pages.url) as browser:
        browser.sign_in(email)
        parts = urlsplit(link)
        return browser.send_form(browser.get(f"{parts.path}?{parts.query}"), "/o/oauth2/auth", answer=answer)
