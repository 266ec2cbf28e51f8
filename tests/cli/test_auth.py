"""`roadstead auth` and docker-credential-roadstead, against the real sign-in pages; what a person does in the browser is played."""

from __future__ import annotations

import base64
import http.server
import json
import os
import pty
import re
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.conftest import OWNER
from tests.kit.accounts import WITH_ACCOUNTS
from tests.kit.server import serving
from tests.kit.site import Site
from tests.kit.terminal import SECONDS, Terminal, consent, link_in
from tests.kit.tunnel import pair_in


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def member(pages: Site, token: str) -> str:
    response = httpx.get(f"{pages.url}/oauth2/v3/userinfo", headers={"authorization": f"Bearer {token}"}, trust_env=False)
    return str(response.json().get("email", f"HTTP {response.status_code}"))


@pytest.fixture(scope="module")
def key_file(pages: Site, owner: Terminal) -> Path:
    """Of a new service account."""
    owner.said("projects", "create", "robots-home")
    owner.said("service-accounts", "create", "robot-one", "--project", "robots-home")
    file = owner.home / "key.json"
    owner.said("keys", "create", "robot-one@robots-home.iam.gserviceaccount.com", "--out", str(file))
    return file


ROBOT = "robot-one@robots-home.iam.gserviceaccount.com"


@pytest.mark.slow
def test_the_browser_comes_back_with_the_login(pages: Site, person: str, terminal: Terminal) -> None:
    """RFC 8252, 7.3: a port of this machine's own address."""
    with terminal.begin("auth", "login", "--server", pages.url) as process:
        way_back = consent(pages, person, link_in(process)).headers["location"]
        assert way_back.startswith("http://127.0.0.1:")
        page = httpx.get(way_back, trust_env=False)
        said, problem = process.communicate(timeout=SECONDS)

    assert 0 == process.returncode, problem
    assert f"Logged in to {pages.url} as {person}.\n" == said
    assert (200, True) == (page.status_code, "You are logged in" in page.text)
    assert person == member(pages, terminal.said("auth", "token").strip())


def test_a_link_of_somebody_else_s_does_not_end_the_wait(pages: Site, person: str, terminal: Terminal) -> None:
    """RFC 6749, 10.12: any page of the web can send the browser there; only the own question's answer has its state."""
    with terminal.begin("auth", "login", "--server", pages.url) as process:
        way_back = consent(pages, person, link_in(process)).headers["location"]
        forged = httpx.get(f"{way_back.partition('?')[0]}?code=rsc_forged&state=guessed", trust_env=False)
        httpx.get(way_back, trust_env=False)
        process.communicate(timeout=SECONDS)

    assert (404, 0) == (forged.status_code, process.returncode)


def test_who_does_not_allow_it_is_not_logged_in(pages: Site, person: str, terminal: Terminal) -> None:
    with terminal.begin("auth", "login", "--server", pages.url) as process:
        httpx.get(consent(pages, person, link_in(process), answer="deny").headers["location"], trust_env=False)
        _, problem = process.communicate(timeout=SECONDS)

    assert 1 == process.returncode
    assert "it was not allowed" in problem
    assert not terminal.logins.exists()


@pytest.mark.slow
def test_a_code_is_pasted(pages: Site, person: str, terminal: Terminal) -> None:
    terminal.log_in(pages, person)

    assert person == member(pages, terminal.said("auth", "token").strip())


def test_a_wrong_code_is_refused(pages: Site, terminal: Terminal) -> None:
    problem = terminal.refused("auth", "login", "--server", pages.url, "--no-browser", given="rsc_wrong\n")

    assert "the code is unknown" in problem
    assert "no verification code" in terminal.refused("auth", "login", "--server", pages.url, "--no-browser")


def test_nobody_else_can_read_the_logins(pages: Site, person: str, terminal: Terminal) -> None:
    terminal.log_in(pages, person)

    assert ("0o600", "0o700") == (mode(terminal.logins), mode(terminal.logins.parent))
    assert ["credentials.json", "lock"] == sorted(each.name for each in terminal.logins.parent.iterdir())


@pytest.mark.slow
def test_a_token_is_a_new_one_each_time(pages: Site, person: str, terminal: Terminal) -> None:
    terminal.log_in(pages, person)

    assert terminal.said("auth", "token") != terminal.said("auth", "token")


@pytest.mark.slow
def test_several_accounts_and_servers_are_remembered(pages: Site, person: str, terminal: Terminal) -> None:
    """Who logged in last is who commands act as; --as says another."""
    terminal.log_in(pages, OWNER)
    terminal.log_in(pages, person)

    listed = terminal.json("auth", "list")

    assert [(person, True), (OWNER, False)] == [(each["account"], each["active"]) for each in listed]
    assert person in terminal.said("auth", "list")
    assert OWNER == member(pages, terminal.said("auth", "token", "--as", OWNER).strip())
    assert "carol@example.com is not logged in" in terminal.refused("auth", "token", "--as", "carol@example.com")


@pytest.mark.slow
def test_a_logout_ends_the_login_at_the_server(pages: Site, person: str, terminal: Terminal) -> None:
    """RFC 7009, 2.1: with the refresh token, the access tokens that came of it."""
    terminal.log_in(pages, person)
    token = terminal.said("auth", "token").strip()
    refresh = json.loads(terminal.logins.read_text())["servers"][pages.url]["logins"][person]["refreshToken"]

    terminal.said("auth", "logout")

    form = {"grant_type": "refresh_token", "client_id": "roadstead-cli", "refresh_token": refresh}
    assert "invalid_grant" == httpx.post(f"{pages.url}/token", data=form, trust_env=False).json()["error"]
    assert "HTTP 401" == member(pages, token)
    assert [] == terminal.json("auth", "list")
    assert "nobody is logged in" in terminal.refused("auth", "token")


@pytest.mark.slow
def test_a_login_that_was_ended_elsewhere_says_so(pages: Site, person: str, terminal: Terminal) -> None:
    terminal.log_in(pages, person)
    pages.run(pages.known.people.sign_out_everywhere(person))

    problem = terminal.refused("projects", "list")

    assert "the login has ended" in problem
    assert f"roadstead auth login --server {pages.url}" in problem


@pytest.mark.slow
def test_an_access_token_that_has_ended_is_replaced_without_a_word(pages: Site, person: str, terminal: Terminal) -> None:
    terminal.log_in(pages, person)
    kept = json.loads(terminal.logins.read_text())
    login = kept["servers"][pages.url]["logins"][person]
    old = login["accessToken"]
    login["expiresAtUs"] = 1
    terminal.logins.write_text(json.dumps(kept))

    assert [] == terminal.json("projects", "list")
    assert old != json.loads(terminal.logins.read_text())["servers"][pages.url]["logins"][person]["accessToken"]


@pytest.mark.slow
def test_a_token_logs_in_by_itself(pages: Site, owner: Terminal, terminal: Terminal) -> None:
    token = owner.said("auth", "token")

    done = terminal.run("auth", "login", "--server", pages.url, "--with-token", given=token)

    assert 0 == done.returncode, done.stderr
    assert token == terminal.said("auth", "token")
    assert "token" == terminal.json("auth", "list")[0]["kind"]


@pytest.mark.parametrize("given", ["", "no token\n", "eyJhbGciOiJub25lIn0.e30.\n"])
def test_what_is_no_token_does_not_log_in(pages: Site, terminal: Terminal, given: str) -> None:
    terminal.refused("auth", "login", "--server", pages.url, "--with-token", given=given)

    assert not terminal.logins.exists()


@pytest.mark.slow
def test_a_key_file_logs_in_without_the_server_s_name(pages: Site, terminal: Terminal, key_file: Path) -> None:
    """RFC 7523; the key goes on working when the file is gone."""
    copy = terminal.home / "copy.json"
    copy.write_bytes(key_file.read_bytes())
    terminal.said("auth", "login", "--key-file", str(copy))
    copy.unlink()

    assert ROBOT == member(pages, terminal.said("auth", "token").strip())
    assert (pages.url, "key") == (terminal.json("auth", "list")[0]["server"], terminal.json("auth", "list")[0]["kind"])


def test_google_s_own_key_files_need_a_server_s_name(terminal: Terminal, key_file: Path) -> None:
    foreign = terminal.home / "foreign.json"
    foreign.write_text(json.dumps({**json.loads(key_file.read_text()), "token_uri": "https://oauth2.googleapis.com/token"}))

    assert "say which one with --server" in terminal.refused("auth", "login", "--key-file", str(foreign))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"client_email": 1}'])
def test_what_is_no_key_file_is_refused(terminal: Terminal, content: str) -> None:
    file = terminal.home / "key.json"
    file.write_text(content)

    assert "no key file" in terminal.refused("auth", "login", "--key-file", str(file))


@pytest.fixture
def stranger() -> Iterator[str]:
    """Another server, which knows nothing of us."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Welcome</html>")

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_wrong_server_is_told_in_a_sentence(terminal: Terminal, stranger: str) -> None:
    problem = terminal.refused("auth", "login", "--server", stranger, "--with-token", given="abc\n")

    assert f"{stranger} does not answer as a Roadstead server does" in problem


def test_a_server_that_is_not_there_is_told_in_a_sentence(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    assert "cannot be reached" in terminal.refused("auth", "login", "--server", f"127.0.0.1:{port}", "--with-token", given="abc\n")


@pytest.mark.parametrize("server", ["ftp://x", "http://", "https://a/b", "https://a:b@c", "https://a:99999", "https://a?b"])
def test_what_is_no_server_s_address_is_wrong_usage(terminal: Terminal, server: str) -> None:
    assert "a server is written https://HOST" in terminal.refused("auth", "login", "--server", server, code=2)


def test_without_a_login_it_says_how_to_get_one(terminal: Terminal, pages: Site) -> None:
    assert "roadstead auth login" in terminal.refused("projects", "list")
    assert f"nobody is logged in to {pages.url}" in terminal.refused("projects", "list", "--server", pages.url)
    assert "Nobody is logged in" in terminal.run("auth", "list").stderr


def test_a_damaged_file_is_told_in_a_sentence(terminal: Terminal) -> None:
    terminal.logins.parent.mkdir(parents=True)
    terminal.logins.write_text('{"servers": ')

    assert "is damaged" in terminal.refused("auth", "list")


def test_the_variable_says_the_server(pages: Site, person: str, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, ROADSTEAD_SERVER=pages.url)

    assert f"nobody is logged in to {pages.url}" in terminal.refused("projects", "list")


@pytest.mark.slow
def test_docker_asks_for_a_token(pages: Site, person: str, terminal: Terminal) -> None:
    """docker-credential-helpers: get reads a server's address, and answers with ServerURL, Username and Secret."""
    terminal.log_in(pages, person)
    host = pages.url.removeprefix("http://")

    done = terminal.helper("get", host + "\n")

    answer = json.loads(done.stdout)
    assert 0 == done.returncode
    assert (host, "oauth2accesstoken") == (answer["ServerURL"], answer["Username"])
    assert person == member(pages, answer["Secret"])
    assert {f"https://{host}": "oauth2accesstoken"} == json.loads(terminal.helper("list").stdout)


@pytest.mark.slow
def test_docker_gets_no_token_for_a_host_that_nobody_named(pages: Site, person: str, terminal: Terminal) -> None:
    """Or an image's name would send it to whoever runs that registry. The sentence is the one that docker looks for."""
    terminal.log_in(pages, person)

    for host in ("gcr.io", "https://index.docker.io/v1/", "127.0.0.1", ""):
        done = terminal.helper("get", host + "\n")

        assert (1, "credentials not found in native keychain\n") == (done.returncode, done.stdout)


@pytest.mark.slow
def test_docker_logins_and_logouts_succeed_and_change_nothing(pages: Site, person: str, terminal: Terminal) -> None:
    terminal.log_in(pages, person)
    before = terminal.logins.read_bytes()

    stored = terminal.helper("store", json.dumps({"ServerURL": "gcr.io", "Username": "x", "Secret": "y"}))
    erased = terminal.helper("erase", "gcr.io\n")

    assert (0, 0) == (stored.returncode, erased.returncode)
    assert before == terminal.logins.read_bytes()
    assert 1 == terminal.helper("fly").returncode


@pytest.mark.slow
def test_docker_s_settings_keep_what_else_is_in_them(pages: Site, person: str, terminal: Terminal) -> None:
    terminal.log_in(pages, person)
    file = terminal.home / "docker" / "config.json"
    file.parent.mkdir()
    file.write_text(
        '{"auths": {"quay.io": {"auth": "eA=="}}, "credHelpers": {"other.example.com": "pass", "gcr.io": "gcloud"}, "psFormat": "é"}'
    )
    os.chmod(file, 0o640)

    done = terminal.run("auth", "configure-docker", "gcr.io", "eu.gcr.io")

    assert 0 == done.returncode, done.stderr
    assert "gcr.io was docker-credential-gcloud's before." in done.stderr
    settings = json.loads(file.read_text())
    assert {"other.example.com": "pass", "gcr.io": "roadstead", "eu.gcr.io": "roadstead"} == settings["credHelpers"]
    assert ({"quay.io": {"auth": "eA=="}}, "é") == (settings["auths"], settings["psFormat"])
    assert "0o640" == mode(file)
    answer = json.loads(terminal.helper("get", "gcr.io\n").stdout)
    assert person == member(pages, answer["Secret"])


@pytest.mark.slow
def test_docker_s_settings_are_made_if_there_are_none(pages: Site, person: str, terminal: Terminal) -> None:
    terminal.log_in(pages, person)
    host = pages.url.removeprefix("http://")

    terminal.said("auth", "configure-docker")

    file = terminal.home / "docker" / "config.json"
    assert {"credHelpers": {host: "roadstead"}} == json.loads(file.read_text())
    assert "0o600" == mode(file)


@pytest.mark.parametrize("content", ["{", "[]", '{"credHelpers": []}'])
def test_docker_s_settings_that_are_damaged_stay_as_they_are(pages: Site, owner: Terminal, tmp_path: Path, content: str) -> None:
    folder = tmp_path / "docker"
    folder.mkdir()
    (folder / "config.json").write_text(content)
    terminal = Terminal(owner.home, DOCKER_CONFIG=str(folder))

    terminal.refused("auth", "configure-docker")

    assert content == (folder / "config.json").read_text()


def test_docker_login_says_what_to_run(pages: Site, owner: Terminal) -> None:
    host = pages.url.removeprefix("http://")

    assert (
        f"roadstead auth token --server {pages.url} --as {OWNER} | docker login -u oauth2accesstoken --password-stdin {host}\n"
        == owner.said("auth", "docker-login")
    )


def test_docker_login_hands_the_token_over(pages: Site, owner: Terminal, tmp_path: Path) -> None:
    """On standard input: arguments are seen by everybody on the machine."""
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat > {tmp_path}/input\nexit 3\n')
    docker.chmod(0o755)
    terminal = Terminal(owner.home, PATH=f"{tmp_path}:{os.environ['PATH']}")

    done = terminal.run("auth", "docker-login", "gcr.io", "--run")

    assert 3 == done.returncode
    assert "login -u oauth2accesstoken --password-stdin gcr.io\n" == (tmp_path / "arguments").read_text()
    assert OWNER == member(pages, (tmp_path / "input").read_text())


def test_the_key_file_is_google_s(key_file: Path) -> None:
    key = json.loads(key_file.read_text())

    assert ("service_account", ROBOT) == (key["type"], key["client_email"])
    assert "0o600" == mode(key_file)
    assert base64.b64decode(key["private_key"].split("-----")[2])


@pytest.mark.slow
def test_a_private_authority_is_given_once(tmp_path: Path) -> None:
    """Over HTTPS with a certificate that only its own authority vouches for, and a server in processes of its own."""
    made = subprocess.run([sys.executable, "-m", "roadstead", "tls", "self-signed", "--out", str(tmp_path / "tls")], check=False)
    assert 0 == made.returncode
    options = [*pair_in(tmp_path / "tls"), "--processes", "1"]
    with serving(tmp_path / "data", *options, env=WITH_ACCOUNTS) as server:
        token = server.run("admin", "token").stdout
        terminal, address = Terminal(tmp_path), f"https://127.0.0.1:{server.port}"
        login = ["auth", "login", "--server", address, "--with-token"]

        assert "is not one that this machine trusts: give its authority with --ca" in terminal.refused(*login, given=token)
        assert 0 == terminal.run(*login, "--ca", str(tmp_path / "tls" / "ca.pem"), given=token).returncode
        assert ["my-project"] == [each["projectId"] for each in terminal.json("projects", "list")]
        assert "is no PEM file" in terminal.refused("projects", "list", "--ca", str(tmp_path / "data" / "registry.sqlite"), code=2)


def test_a_login_in_a_terminal_asks_for_the_code(pages: Site, person: str, terminal: Terminal) -> None:
    """Somebody types, or pastes, where no line is buffered but the terminal's own."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "roadstead", "auth", "login", "--server", pages.url, "--no-browser"]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=terminal.environment) as process:
        os.close(slave)
        said = b""
        while b"Paste the verification code here: " not in said:
            said += os.read(master, 4096)
        found = re.search(r"http://\S+/o/oauth2/auth\S+", said.decode())
        assert found
        code = re.search(r'class="code" value="([^"]+)"', consent(pages, person, found[0]).text)
        assert code
        os.write(master, code[1].encode() + b"\n")
        said = os.read(master, 65536)
        while f"Logged in to {pages.url} as {person}.".encode() not in said:
            said += os.read(master, 65536)
    os.close(master)

    assert 0 == process.returncode


def test_who_is_on_the_way_is_warned_of(terminal: Terminal) -> None:
    """192.0.2.0/24 is nobody's (RFC 5737)."""
    terminal.environment["HTTP_PROXY"] = terminal.environment["http_proxy"] = "http://127.0.0.1:9"

    problem = terminal.refused("auth", "login", "--server", "http://192.0.2.1", "--with-token", given="abc\n")

    assert "is not encrypted" in problem
