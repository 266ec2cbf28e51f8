"""gcloud logged in at an installation: a key file, a code, `gcloud init`, and credentials for docker (contract.md, 0 and 3)."""

from __future__ import annotations

import errno
import html
import json
import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.kit.content import complete_image, is_absent
from tests.kit.google import APIS, GCloud, needs_gcloud
from tests.kit.images import image_layout
from tests.kit.places import PULLS, PUSHES, Place
from tests.kit.program import Program
from tests.kit.push import push_image

pytestmark = [pytest.mark.slow, needs_gcloud]

REGISTRY = "containerregistry.googleapis.com"
SECONDS = 90


class LoggingIn(GCloud):
    """With nobody's token: it is who it logs in as, over the place's own transport."""

    def __init__(self, place: Place, folder: Path) -> None:
        super().__init__(place.installation, folder)
        properties = {f"api_endpoint_overrides_{api}": f"{place.url}/" for api in APIS}
        properties |= {"auth_auth_host": f"{place.url}/o/oauth2/auth", "auth_token_host": f"{place.url}/token"}
        if place.ca:
            properties["core_custom_ca_certs_file"] = str(place.ca)
        else:
            # Its OAuth library takes plain HTTP only when told to.
            self._env["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
        self.forget_token(**properties)
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
            self._env.pop(name, None)

    @property
    def environment(self) -> dict[str, str]:
        return dict(self._env)

    def activate(self, key: str, folder: Path) -> str:
        file = folder / "key.json"
        file.write_text(key)
        self("auth", "activate-service-account", "--key-file", str(file))
        return str(json.loads(key)["client_email"])


class Terminal:
    """A program that asks questions, on a terminal of its own."""

    def __init__(self, environment: dict[str, str], *command: str) -> None:
        self._leader, follower = pty.openpty()
        self.process = subprocess.Popen(
            command, env={**environment, "TERM": "dumb", "COLUMNS": "2000"},
            stdin=follower, stdout=follower, stderr=follower, start_new_session=True, close_fds=True,
        )  # fmt: skip
        os.close(follower)
        self.said = ""
        self._seen = 0

    def until(self, pattern: str) -> re.Match[str]:
        """What it says next that matches."""
        deadline = time.monotonic() + SECONDS
        while (found := re.compile(pattern).search(self.said, self._seen)) is None:
            assert time.monotonic() < deadline and self._read(), f"{pattern} did not come:\n{self.said}"
        self._seen = found.end()
        return found

    def say(self, line: str) -> None:
        os.write(self._leader, f"{line}\n".encode())

    def end(self) -> int:
        """Its exit code, after all it says."""
        while self._read():
            pass
        code = self.process.wait(SECONDS)
        os.close(self._leader)
        return code

    def _read(self) -> bool:
        if not select.select([self._leader], [], [], SECONDS)[0]:
            self.process.kill()
            return False
        try:
            data = os.read(self._leader, 65536)
        except OSError as error:
            if error.errno != errno.EIO:  # the program has ended
                raise
            return False
        self.said += data.decode(errors="replace").replace("\r", "")
        return bool(data)


def allow(place: Place, email: str, address: str) -> str:
    """What a person does in the browser with the address that gcloud prints: the code of the page."""
    with place.browser() as browser:
        browser.sign_in(email)
        parts = urlsplit(address)
        answer = browser.send_form(browser.get(f"{parts.path}?{parts.query}"), "/o/oauth2/auth", answer="allow")
        found = re.search(r'class="code" value="([^"]+)"', answer.text)
        assert found, answer.text
        return html.unescape(found[1])


@pytest.fixture
def gcloud(place: Place, tmp_path: Path) -> LoggingIn:
    return LoggingIn(place, tmp_path / "gcloud")


@pytest.fixture
def owned(place: Place) -> str:
    return place.installation.project()


def test_a_key_file_is_activated_and_does_what_its_account_may(place: Place, gcloud: LoggingIn, owned: str, tmp_path: Path) -> None:
    email = gcloud.activate(place.key_of(owned, "roles/owner"), tmp_path)

    assert email == gcloud("auth", "list", "--filter=status:ACTIVE", "--format=value(account)")
    assert owned == gcloud("projects", "list", "--format=value(projectId)")
    assert owned == gcloud("projects", "describe", owned, "--format=value(projectId)")
    gcloud("services", "enable", "pubsub.googleapis.com", "--project", owned)
    assert {REGISTRY, "pubsub.googleapis.com"} <= set(gcloud("services", "list", "--project", owned, "--format=value(config.name)").split())
    gcloud("iam", "service-accounts", "create", "made-here", "--project", owned)
    made = f"made-here@{owned}.iam.gserviceaccount.com"
    gcloud("iam", "service-accounts", "keys", "create", str(tmp_path / "made.json"), "--iam-account", made, "--project", owned)
    assert f"{place.url}/token" == json.loads((tmp_path / "made.json").read_text())["token_uri"]
    gcloud("projects", "add-iam-policy-binding", owned, f"--member=serviceAccount:{made}", "--role=roles/viewer", "--condition=None")
    with place.client(gcloud("auth", "print-access-token")) as client:
        assert [owned] == [project["projectId"] for project in client.get("/v1/projects").json()["projects"]]


def test_a_key_file_is_refused_what_its_account_may_not(place: Place, gcloud: LoggingIn, owned: str, tmp_path: Path) -> None:
    gcloud.activate(place.key_of(owned, "roles/viewer"), tmp_path)

    for command in (
        ("services", "enable", "pubsub.googleapis.com", "--project", owned),
        ("projects", "describe", place.installation.project()),
        ("projects", "create", f"{owned}-2"),
        ("iam", "service-accounts", "create", "made-here", "--project", owned),
    ):
        done = gcloud.run(*command)
        assert 0 != done.returncode, command
        assert re.search(r"PERMISSION_DENIED|does not have permission|denied", done.stderr), done.stderr


def test_a_deleted_key_ends_the_login(place: Place, gcloud: LoggingIn, owned: str, tmp_path: Path) -> None:
    key = place.key_of(owned, "roles/viewer")
    email = gcloud.activate(key, tmp_path)
    gone = place.installation.owner.delete(f"/v1/projects/-/serviceAccounts/{email}/keys/{json.loads(key)['private_key_id']}")
    assert 200 == gone.status_code, gone.text

    done = gcloud.run("config", "config-helper", "--force-auth-refresh")

    assert 0 != done.returncode
    assert "invalid_grant" in done.stderr


def test_a_person_logs_in_with_the_code_of_the_page(place: Place, gcloud: LoggingIn) -> None:
    email = place.person()
    terminal = Terminal(gcloud.environment | {"CLOUDSDK_CORE_DISABLE_PROMPTS": "0"}, "gcloud", "auth", "login", "--no-launch-browser")
    address = terminal.until(rf"{re.escape(place.url)}/o/oauth2/auth\S+")[0]
    terminal.until("verification code")
    terminal.say(allow(place, email, address))

    assert 0 == terminal.end(), terminal.said
    assert email == gcloud("auth", "list", "--filter=status:ACTIVE", "--format=value(account)")
    gcloud("projects", "list")
    refreshed = gcloud("config", "config-helper", "--force-auth-refresh", "--format=value(credential.access_token)")
    with place.client(refreshed) as client:
        assert email == client.get("/oauth2/v3/userinfo").json()["email"]


def test_gcloud_init_logs_in_and_picks_a_project(place: Place, gcloud: LoggingIn, owned: str) -> None:
    """The story's first step: log in, open the link, sign in, copy the code, paste it, pick the project."""
    email = place.person()
    terminal = Terminal(
        gcloud.environment | {"CLOUDSDK_CORE_DISABLE_PROMPTS": "0"}, "gcloud", "init", "--no-launch-browser", "--skip-diagnostics"
    )
    # With nobody logged in it may ask whether to, or what to log in as.
    asked = terminal.until(
        rf"(?P<yes>Would you like to continue|must (?:sign|log) in|\[Y/n\]|\(Y/n\))|{re.escape(place.url)}/o/oauth2/auth\S+"
    )
    if asked["yes"]:
        terminal.say("y")
        asked = terminal.until(rf"{re.escape(place.url)}/o/oauth2/auth\S+")
    terminal.until("verification code")
    terminal.say(allow(place, email, asked[0]))
    terminal.until(r"Please enter (?:numeric choice|your numeric choice|a value|project)|Pick cloud project|Enter a [Pp]roject ID")
    terminal.say(owned)

    assert 0 == terminal.end(), terminal.said
    assert email == gcloud("config", "get-value", "account")
    assert owned == gcloud("config", "get-value", "project")


def test_its_access_token_is_cranes_password(place: Place, gcloud: LoggingIn, crane: Program, owned: str, tmp_path: Path) -> None:
    """`gcloud auth print-access-token | docker login -u oauth2accesstoken --password-stdin`, as Google's guides say."""
    gcloud.activate(place.key_of(owned, PUSHES), tmp_path)
    layout, name = image_layout(tmp_path / "layout", owned), f"{place.authority}/{owned}/image"
    place.lead(crane)
    token = gcloud("auth", "print-access-token").encode()

    crane.run("auth", "login", place.authority, "--username=oauth2accesstoken", "--password-stdin", stdin=token)
    crane.run("push", layout.path, f"{name}:v1")

    assert layout.manifest == complete_image(place.installation.owner, f"{owned}/image", "v1").payload


def test_it_is_a_credential_helper(place: Place, gcloud: LoggingIn, crane: Program, owned: str, tmp_path: Path) -> None:
    """
    What `gcloud auth configure-docker` sets up: docker, crane and others ask `docker-credential-gcloud` for each push and pull.
    """
    gcloud.activate(place.key_of(owned, PULLS), tmp_path)
    image = push_image(place.installation.owner, f"{owned}/image")
    layout, name = image_layout(tmp_path / "layout", owned), f"{place.authority}/{owned}/image"
    gcloud("config", "set", "artifacts/allow_unrecognized_registry", "true")
    environment = {**gcloud.environment, **place.environment, "DOCKER_CONFIG": str(crane.home / ".config"), "HOME": str(crane.home)}
    (crane.home / ".config/config.json").write_text(json.dumps({"credHelpers": {place.authority: "gcloud"}}))
    # The helper itself goes straight to the token endpoint: the tunnel knows one port only, which is that one too.

    assert image.payload == crane.run("manifest", f"{name}:v1", environment=environment)
    said = crane.refused("push", layout.path, f"{name}:v2", environment=environment)

    assert re.search("denied|DENIED|403", said), said
    assert is_absent(place.installation.owner, f"{owned}/image", "v2")
