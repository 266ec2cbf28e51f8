"""`roadstead` as a person with an empty home folder runs it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.kit.site import Browser, Site

_SEVERAL = """
import contextlib, io, json, sys
from roadstead.cli.main import main
for words in json.load(sys.stdin):
    out, problem = io.StringIO(), io.StringIO()
    sys.argv = ["roadstead", *words]
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(problem):
        try:
            main()
        except SystemExit as end:
            code = end.code
    print(json.dumps([code or 0, out.getvalue(), problem.getvalue()]))
"""
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

    def installed(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Under the name that it is installed with, as shells run it."""
        program = "import sys; sys.argv[0] = 'roadstead'; from roadstead.cli.main import main; main()"
        return self._run([sys.executable, "-c", program, *arguments], "")

    def several(self, commands: Sequence[Sequence[str]]) -> list[tuple[int, str, str]]:
        """One after the other in one process, which is quicker: the exit code, standard output and standard error of each."""
        done = self._run([sys.executable, "-c", _SEVERAL], json.dumps([list(each) for each in commands]))
        assert 0 == done.returncode, done.stderr
        return [(code, said, problem) for code, said, problem in map(json.loads, done.stdout.splitlines())]

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

    def converse(self, arguments: Sequence[str], answers: Sequence[tuple[str, str | Callable[[str], str]]]) -> tuple[int, str]:
        """
        Somebody at a terminal: each answer is typed once the text before it stands there. The exit code, and all that stood there.

        An answer that depends on what stands there is a function of it.
        """
        mine, its = pty.openpty()
        command = [sys.executable, "-m", "roadstead", *arguments]
        process = subprocess.Popen(command, env=self.environment, stdin=its, stdout=its, stderr=its, close_fds=True)
        os.close(its)
        screen, seen, waiting, end = "", 0, list(answers), time.monotonic() + SECONDS
        try:
            while time.monotonic() < end:
                if not select.select([mine], [], [], 0.2)[0]:
                    continue
                try:
                    read = os.read(mine, 65536)
                except OSError:
                    # Linux's way to say that the program has closed its side.
                    read = b""
                if not read:
                    assert [] == waiting, screen
                    return process.wait(SECONDS), screen
                screen += read.decode().replace("\r\n", "\n")
                while waiting and waiting[0][0] in screen[seen:]:
                    question, answer = waiting.pop(0)
                    seen = screen.index(question, seen) + len(question)
                    os.write(mine, (answer if isinstance(answer, str) else answer(screen)).encode() + b"\n")
            raise AssertionError(f"it goes on and on: {screen}")
        finally:
            process.kill()
            process.wait()
            os.close(mine)

    def log_in(self, pages: Site, email: str, *options: str) -> None:
        """With a code that is pasted."""
        with self.begin("auth", "login", "--server", pages.url, "--no-browser", *options) as process:
            said, problem = process.communicate(code_of(pages, email, link_in(process)) + "\n", timeout=SECONDS)
        assert 0 == process.returncode, problem
        assert f"Logged in to {pages.url} as {email}." in said

    def _run(self, command: list[str], given: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, input=given, env=self.environment, capture_output=True, text=True, check=False, timeout=SECONDS)


def code_of(pages: Site, email: str, link: str) -> str:
    """The code that the person copies out of the browser."""
    answer = consent(pages, email, link)
    found = re.search(r'class="code" value="([^"]+)"', answer.text)
    assert found, answer.text
    return found[1]


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
