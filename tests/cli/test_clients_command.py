"""`roadstead clients configure`: what each client must be told, printed, written and checked."""

from __future__ import annotations

import http.server
import json
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from roadstead import certificates
from roadstead.cli.client_settings.content import Block, Ini, Json, Whole
from roadstead.cli.client_settings.wanted import Configuration, Mode, Wanted, names_of
from roadstead.cli.clients import _KNOWN, Client
from roadstead.cli.output import Failed
from roadstead.errors import ConfigurationError
from tests.kit.server import Server
from tests.kit.terminal import Terminal

SERVER = "https://registry.example.com:5000"
CA = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
REFUSED = {(Client.DOCKER, Mode.OVERRIDE), (Client.GCRANE, Mode.OVERRIDE), (Client.KUBERNETES, Mode.PROXY)}


def made(which: Client, mode: Mode, *names: str, server: str = SERVER, ca: str = CA) -> Configuration:
    wanted = Wanted(
        server, mode, names_of(mode, server, names), PurePosixPath("/root/.docker"), PurePosixPath("/root/.config/gcloud"), ca, "/ca.pem"
    )
    return _KNOWN[which][0](wanted)


def text(configuration: Configuration, file: str) -> str:
    return next(piece.content.text for piece in configuration.pieces if piece.path.name == file)


def everything(configuration: Configuration) -> str:
    files = [f"{piece.path} {piece.content.text}" for piece in configuration.pieces]
    return "\n".join([*files, *configuration.commands, *configuration.environment])


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("which", Client)
def test_every_client_has_an_answer_for_every_way_in(which: Client, mode: Mode) -> None:
    """Or says which other way to choose. What is written can be read, and names the server or its authority."""
    names = ("gcr.io.corp.example",) if mode is Mode.NAME else ()
    if (which, mode) in REFUSED:
        with pytest.raises(ConfigurationError, match="choose --mode"):
            made(which, mode)
        return
    configuration = made(which, mode, *names)

    for piece in configuration.pieces:
        if piece.path.suffix in (".toml", ".conf") and "systemd" not in str(piece.path):
            tomllib.loads(piece.content.text)
        assert piece.path.is_absolute()
        assert piece.content.is_in(piece.content.merged(""))
    if mode is Mode.OVERRIDE or (mode is Mode.NAME and which in (Client.GCLOUD, Client.PYTHON)):
        assert "registry.example.com:5000" in everything(configuration)
    elif mode is Mode.NAME:
        assert "gcr.io.corp.example" in everything(configuration)
    if mode is Mode.PROXY:
        assert "127.0.0.1" in everything(configuration)
    if mode is Mode.DNS:
        assert "registry.example.com" not in everything(configuration)


@pytest.mark.parametrize("which", Client)
def test_without_an_authority_none_is_named(which: Client) -> None:
    assert "ca" not in [piece.path.stem for piece in made(which, _KNOWN[which][1], ca="").pieces]
    assert "ca.pem" not in everything(made(which, _KNOWN[which][1], ca=""))


def test_containerd_never_asks_google_for_what_the_server_does_not_have() -> None:
    """containerd, docs/hosts.md: after the hosts comes `server`. Version 1 wants at least one host."""
    hosts = tomllib.loads(text(made(Client.CONTAINERD, Mode.OVERRIDE), "hosts.toml"))

    assert (SERVER, [SERVER]) == (hosts["server"], list(hosts["host"]))
    assert ["pull", "resolve", "push"] == hosts["host"][SERVER]["capabilities"]


def test_plain_http_is_said_to_those_who_must_know() -> None:
    def plain(which: Client, mode: Mode, *names: str) -> Configuration:
        return made(which, mode, *names, server="http://127.0.0.1:5000", ca="")

    podman = tomllib.loads(text(plain(Client.PODMAN, Mode.OVERRIDE), "50-roadstead.conf"))
    buildkit = tomllib.loads(text(plain(Client.BUILDKIT, Mode.OVERRIDE), "buildkitd.toml"))
    docker = json.loads(text(plain(Client.DOCKER, Mode.NAME, "lab:80"), "daemon.json"))

    assert podman["registry"][0]["insecure"]
    assert buildkit["registry"]["127.0.0.1:5000"]["http"]
    assert {"insecure-registries": ["lab:80"]} == docker
    assert "OAUTHLIB_INSECURE_TRANSPORT=1" in plain(Client.GCLOUD, Mode.OVERRIDE).environment


def test_a_location_is_asked_by_a_name_of_its_own() -> None:
    """The server knows it by the Host header."""
    given = made(Client.PODMAN, Mode.OVERRIDE, "gcr.io", "eu.gcr.io", "asia.gcr.io=asia.example.com")
    registries = tomllib.loads(text(given, "50-roadstead.conf"))["registry"]

    assert {
        "gcr.io": "registry.example.com:5000",
        "eu.gcr.io": "eu.gcr.io.registry.example.com:5000",
        "asia.gcr.io": "asia.example.com",
    } == {each["prefix"]: each["location"] for each in registries}
    with pytest.raises(ConfigurationError, match="say which name the server has for eu"):
        made(Client.PODMAN, Mode.OVERRIDE, "eu.gcr.io", server="https://192.0.2.1")


@pytest.mark.parametrize("name", ["registry.example.com", "gcr.io.corp.example:5000"])
def test_gcloud_is_not_given_names_that_it_refuses(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"such as gcr\.io\."):
        made(Client.GCLOUD, Mode.NAME, name)


def test_the_nodes_get_containerd_s_own_files() -> None:
    manifest = list(yaml.safe_load_all(text(made(Client.KUBERNETES, Mode.OVERRIDE), "kubernetes-nodes.yaml")))
    containerd = made(Client.CONTAINERD, Mode.OVERRIDE)

    config, daemons = manifest
    assert {"roadstead-gcr-io.hosts.toml": text(containerd, "hosts.toml"), "roadstead-gcr-io.ca.crt": CA} == config["data"]
    pod = daemons["spec"]["template"]["spec"]
    assert "cp '/wanted/roadstead-gcr-io.hosts.toml' '/certs.d/gcr.io/hosts.toml'" in pod["containers"][0]["args"][0]
    assert {each["name"] for each in pod["volumes"]} == {each["name"] for each in pod["containers"][0]["volumeMounts"]}
    assert "/etc/containerd/certs.d" == pod["volumes"][1]["hostPath"]["path"]


@pytest.mark.parametrize(
    ("content", "present", "expected"),
    [
        pytest.param(
            Json({"a": {"b": 1}}), '{"a": {"c": 2}, "é": []}', '{\n  "a": {\n    "c": 2,\n    "b": 1\n  },\n  "é": []\n}\n', id="json"
        ),
        pytest.param(Json({"l": ["x"]}), '{"l": ["y"]}', '{\n  "l": [\n    "y",\n    "x"\n  ]\n}\n', id="list"),
        pytest.param(Ini({"core": {"a": "1"}}), "[core]\nproject = p\n", "[core]\nproject = p\na = 1\n", id="ini"),
        pytest.param(Whole("new\n"), "old\n", "new\n", id="whole"),
    ],
)
def test_what_else_is_in_a_file_stays(content: Json | Ini | Whole, present: str, expected: str) -> None:
    merged = content.merged(present)

    assert expected == merged
    assert (False, True) == (content.is_in(present), content.is_in(merged))
    assert merged == content.merged(merged)


def test_a_block_of_toml_is_replaced_and_the_rest_stays() -> None:
    first = Block('[registry."gcr.io"]\nhttp = true\n').merged("debug = true")
    second = Block('[registry."eu.gcr.io"]\nhttp = true\n').merged(first + "[worker]\n")

    assert {"debug": True, "registry": {"eu.gcr.io": {"http": True}}, "worker": {}} == tomllib.loads(second)


@pytest.mark.parametrize(
    ("content", "present"),
    [
        pytest.param(Json({"a": 1}), "{", id="no-json"),
        pytest.param(Json({"a": 1}), "[]", id="no-object"),
        pytest.param(Ini({"a": {}}), "no section", id="no-ini"),
        pytest.param(Block("[a]\n"), "= 1", id="no-toml"),
        pytest.param(Block("[a]\nb = 1\n"), "[a]\nc = 1\n", id="the-same-table"),
    ],
)
def test_a_file_that_cannot_be_read_is_left_alone(content: Json | Ini | Block, present: str) -> None:
    with pytest.raises(Failed):
        content.merged(present)


# As a user runs it.


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    certificates.self_signed(folder, ["localhost"])
    return folder / "ca.pem"


def configure(*arguments: str, server: str = SERVER) -> list[str]:
    return ["clients", "configure", *arguments, "--server", server]


def test_it_prints_and_writes_nothing(terminal: Terminal, ca: Path, tmp_path: Path) -> None:
    said = terminal.said(*configure("containerd", "--ca", str(ca), "--root", str(tmp_path / "root")))

    assert "# /etc/containerd/certs.d/gcr.io/hosts.toml\n" in said
    assert f"# a copy of {ca}\n" in said
    assert "us.gcr.io, eu.gcr.io, asia.gcr.io still lead to Google" in said
    assert not (tmp_path / "root").exists()


def test_it_says_where_a_client_still_talks_to_google(terminal: Terminal) -> None:
    said = terminal.said(*configure("gcloud"))

    assert "allowedLocations" in said
    assert "gcloud auth revoke" in said
    assert "disable_usage_reporting = true" in said
    assert "disable_update_check = true" in said


def test_apply_writes_once_and_keeps_what_is_there(terminal: Terminal, ca: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    gcloud = Path(f"{root}{terminal.home}/.config/gcloud/configurations/config_roadstead")
    gcloud.parent.mkdir(parents=True)
    gcloud.write_text("[core]\nproject = my-project\n")
    terminal.environment.pop("CLOUDSDK_CONFIG", None)
    command = configure("gcloud", "--ca", str(ca), "--root", str(root), "--apply")

    first, second = terminal.run(*command, given="y\n"), terminal.said(*command)

    assert 0 == first.returncode, first.stderr
    assert f"Wrote {gcloud}" in first.stdout
    assert f"Nothing to change in {gcloud}" in second
    assert "project = my-project" in gcloud.read_text()
    assert f"cloudresourcemanager = {SERVER}/" in gcloud.read_text()
    assert ca.read_text() == (gcloud.parents[1] / "roadstead-ca.pem").read_text()


def test_apply_asks_before_it_changes_a_file(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "etc/containerd/certs.d/gcr.io/hosts.toml"
    file.parent.mkdir(parents=True)
    file.write_text("# mine\n")
    file.chmod(0o640)
    command = configure("containerd", "--root", str(tmp_path), "--apply")

    for given in ("n\n", ""):
        assert f"{file} was left as it is: it has other content. --quiet changes it" in terminal.refused(*command, given=given)
        assert "# mine\n" == file.read_text()
    terminal.said(*command, "--quiet")

    assert f'server = "{SERVER}"' in file.read_text()
    assert 0o640 == file.stat().st_mode & 0o777


def test_what_is_written_can_be_read_by_daemons(terminal: Terminal, ca: Path, tmp_path: Path) -> None:
    terminal.said(*configure("podman", "--ca", str(ca), "--root", str(tmp_path / "root"), "--apply"))

    written = [*(tmp_path / "root").rglob("*")]
    assert {0o755, 0o644} == {each.stat().st_mode & 0o777 for each in written}


def test_apply_does_not_leave_its_root(terminal: Terminal, tmp_path: Path) -> None:
    """In the image of a machine links lead to that machine's files, not to this one's."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root/etc").symlink_to(tmp_path / "elsewhere")

    said = terminal.refused(*configure("podman", "--root", str(tmp_path / "root"), "--apply"))

    assert "is a link that leads out of" in said
    assert not (tmp_path / "elsewhere").exists()


def test_nothing_but_certificates_is_copied(terminal: Terminal, ca: Path, tmp_path: Path) -> None:
    """Some keep the key in the same file."""
    both = tmp_path / "both.pem"
    both.write_text((ca.parent / "ca.key").read_text() + ca.read_text())

    terminal.said(*configure("docker", "--ca", str(both), "--root", str(tmp_path / "root"), "--apply"))

    assert ca.read_text() == (tmp_path / "root/etc/docker/certs.d/eu.gcr.io/ca.crt").read_text()


def test_a_certificate_that_is_damaged_is_not_handed_on(terminal: Terminal, tmp_path: Path) -> None:
    damaged = tmp_path / "ca.pem"
    damaged.write_text(CA)

    assert "holds no certificates that can be read" in terminal.refused(*configure("docker", "--ca", str(damaged)), code=2)


def test_docker_asks_this_program_where_somebody_is_logged_in(terminal: Terminal, tmp_path: Path) -> None:
    login = {"account": "a@example.com", "kind": "token", "accessToken": "x"}
    other = {"logins": {}, "dockerHosts": ["gcr.io", "other.example.com"]}
    known = {SERVER: {"account": "a@example.com", "logins": {"a@example.com": login}}, "https://other.example.com": other}
    terminal.logins.parent.mkdir(parents=True)
    terminal.logins.write_text(json.dumps({"server": SERVER, "servers": known}))

    terminal.said("clients", "configure", "docker", "--root", str(tmp_path / "root"), "--apply")

    file = Path(f"{tmp_path}/root{terminal.environment['DOCKER_CONFIG']}/config.json")
    names = ["gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io"]
    assert dict.fromkeys(names, "roadstead") == json.loads(file.read_text())["credHelpers"]
    assert 0o600 == file.stat().st_mode & 0o777
    kept = json.loads(terminal.logins.read_text())["servers"]
    assert (names, ["other.example.com"]) == (kept[SERVER]["dockerHosts"], kept["https://other.example.com"]["dockerHosts"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["dockers"], "Invalid value for 'CLIENT'", id="client"),
        pytest.param(["podman", "--name", "a b"], "a name is written gcr.io", id="name"),
        pytest.param(["podman", "--name", "gcr.io=http://x"], "a name is written gcr.io", id="address"),
        pytest.param(["gcrane", "--name", "gcr.io=x:1"], "that is for --mode override only", id="address-without-override"),
        pytest.param(["docker", "--mode", "override"], "choose --mode dns, name or proxy", id="mode"),
        pytest.param(["gcloud", "--mode", "proxy", "--proxy", "127.0.0.1:3128"], "a proxy is written http://HOST:PORT", id="proxy"),
        pytest.param(["podman", "--ca", "absent.pem"], "is no PEM file", id="no-authority"),
        pytest.param(["podman", "--ca", __file__], "is no PEM file", id="another-file"),
        pytest.param(["podman", "--apply", "--check"], "give --apply or --check", id="both"),
        pytest.param(["podman", "--format", "json"], "--format is for --check", id="format"),
        pytest.param(["docker", "--server", "http://registry.example.com"], "is plain HTTP: choose another --mode", id="plain-http"),
        pytest.param(["docker", "--server", "registry.example.com/v2"], "a server is written https://HOST", id="server"),
    ],
)
def test_wrong_options_are_refused(terminal: Terminal, arguments: list[str], said: str) -> None:
    command = ["clients", "configure", *arguments, *([] if "--server" in arguments else ["--server", SERVER])]

    assert said in terminal.refused(*command, code=2)


def test_without_a_server_it_says_how_to_name_one(terminal: Terminal) -> None:
    assert "roadstead auth login --server" in terminal.refused("clients", "configure", "podman")


def found(terminal: Terminal, *command: str, code: int) -> dict[str, dict[str, Any]]:
    done = terminal.run(*command, "--check", "--format", "json")
    assert code == done.returncode, done.stdout + done.stderr
    return {each.pop("check"): each for each in json.loads(done.stdout)}


def test_check_says_what_is_missing_and_then_that_all_is_well(terminal: Terminal, server: Server, tmp_path: Path) -> None:
    command = configure("containerd", "--root", str(tmp_path), server=server.url)
    file = f"{tmp_path}/etc/containerd/certs.d/gcr.io/hosts.toml is as it should be"

    before = found(terminal, *command, code=1)
    terminal.said(*command, "--apply")
    after = found(terminal, *command, code=0)

    assert ("failed", "ok") == (before[file]["result"], after[file]["result"])
    assert "ok" == before[f"{server.url} is this server"]["result"] == after[f"{server.url} is this server"]["result"]
    assert after["containerd is installed"]["result"] in ("ok", "skipped")


def test_check_is_a_table_for_people(terminal: Terminal, server: Server, tmp_path: Path) -> None:
    done = terminal.run(*configure("podman", "--root", str(tmp_path), "--check", server=server.url))

    assert 1 == done.returncode
    assert "CHECK" in done.stdout
    assert "checks failed" in done.stderr


@pytest.fixture
def stranger() -> Iterator[str]:
    """A registry that is not ours."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401 if self.path == "/v2/" else 404)
            self.send_header("docker-distribution-api-version", "registry/2.0")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def test_check_tells_another_registry_from_ours(terminal: Terminal, stranger: str, tmp_path: Path) -> None:
    finding = found(terminal, *configure("podman", "--root", str(tmp_path), server=stranger), code=1)[f"{stranger} is this server"]

    assert "failed" == finding["result"]
    assert "Is it Google's?" in finding["detail"]
