"""The files of deploy/ say what they should: they are rendered, parsed, and where that can be done here, run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from roadstead import config
from tests.kit.engines import free_port
from tests.kit.program import find
from tests.kit.push import connect, push_image
from tests.kit.server import Server

DEPLOY = Path(__file__).parents[2] / "deploy"
ADDED_BY_HAND = {"database", "locations", "htpasswd"}

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")


def settings_of(environment: dict[str, str], file: Path | None = None) -> config.Settings:
    return config.load(file, {}, environment)


# Kustomize


@pytest.fixture(scope="module")
def rendered() -> list[dict[str, Any]]:
    kubectl = find("kubectl")
    done = subprocess.run([kubectl, "kustomize", DEPLOY / "kustomize/example"], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    assert "" == done.stderr, "nothing in it is deprecated"
    return list(yaml.safe_load_all(done.stdout))


def one(rendered: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in rendered if each["kind"] == kind and re.fullmatch(rf"{name}(-[a-z0-9]{{10}})?", each["metadata"]["name"])]
    return found


def containers(deployment: dict[str, Any]) -> dict[str, dict[str, Any]]:
    pod = deployment["spec"]["template"]["spec"]
    return {each["name"]: each for each in [*pod.get("initContainers", []), *pod["containers"]]}


def test_kustomize_renders_every_part(rendered: list[dict[str, Any]]) -> None:
    kinds = sorted(each["kind"] for each in rendered)

    assert ["ConfigMap"] * 2 + ["Deployment"] * 2 + ["Ingress"] + ["PodDisruptionBudget"] * 2 + ["Secret", "Service"] == kinds
    assert {"roadstead"} == {each["metadata"]["namespace"] for each in rendered}


def test_a_node_is_probed_migrates_first_and_has_a_door_that_asks_for_a_password(rendered: list[dict[str, Any]]) -> None:
    parts = containers(one(rendered, "Deployment", "roadstead-serve"))

    assert ["migrate", "roadstead", "door"] == list(parts)
    assert ["serve", "--no-worker"] == parts["roadstead"]["args"][:2]
    assert "migrate" == parts["migrate"]["args"][0]
    assert "/healthz" == parts["door"]["livenessProbe"]["httpGet"]["path"], "a database that is away must not restart the nodes"
    assert "/readyz" == parts["door"]["readinessProbe"]["httpGet"]["path"]
    assert "worker" == containers(one(rendered, "Deployment", "roadstead-worker"))["roadstead"]["args"][0]


def test_every_secret_that_is_asked_for_is_there_and_in_no_configmap(rendered: list[dict[str, Any]]) -> None:
    secret = one(rendered, "Secret", "roadstead")
    assert set(secret["data"]) == ADDED_BY_HAND
    for name in ("roadstead-serve", "roadstead-worker"):
        deployment = one(rendered, "Deployment", name)
        references = [
            each["valueFrom"]["secretKeyRef"] for part in containers(deployment).values() for each in part["env"] if "valueFrom" in each
        ]
        assert {(secret["metadata"]["name"], "database"), (secret["metadata"]["name"], "locations")} == {
            (each["name"], each["key"]) for each in references
        }
    assert "CHANGE-ME" not in json.dumps([each for each in rendered if each["kind"] != "Secret"])


def test_what_is_mounted_exists(rendered: list[dict[str, Any]]) -> None:
    """Kustomize appends hashes to names; a reference that it missed would leave pods waiting for ever."""
    names = {(each["kind"], each["metadata"]["name"]) for each in rendered}
    for deployment in (each for each in rendered if each["kind"] == "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        for volume in pod["volumes"]:
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names
            if "secret" in volume:
                assert ("Secret", volume["secret"]["secretName"]) in names
        volumes = {volume["name"] for volume in pod["volumes"]}
        for part in containers(deployment).values():
            assert {mount["name"] for mount in part["volumeMounts"]} <= volumes


def test_selectors_find_their_pods(rendered: list[dict[str, Any]]) -> None:
    pods = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"].items()
        for each in rendered
        if each["kind"] == "Deployment"
    }
    selectors = {
        "service": one(rendered, "Service", "roadstead")["spec"]["selector"],
        "roadstead-serve": one(rendered, "PodDisruptionBudget", "roadstead-serve")["spec"]["selector"]["matchLabels"],
        "roadstead-worker": one(rendered, "PodDisruptionBudget", "roadstead-worker")["spec"]["selector"]["matchLabels"],
    }

    found = {name: [pod for pod, labels in pods.items() if selector.items() <= labels] for name, selector in selectors.items()}

    serve, worker = ["roadstead-serve"], ["roadstead-worker"]
    assert {"service": serve, "roadstead-serve": serve, "roadstead-worker": worker} == found


def test_the_settings_of_the_base_and_the_secret_are_settings(rendered: list[dict[str, Any]], tmp_path: Path) -> None:
    import base64

    (tmp_path / "roadstead.toml").write_text(one(rendered, "ConfigMap", "roadstead")["data"]["roadstead.toml"])
    secret = {key: base64.b64decode(value).decode() for key, value in one(rendered, "Secret", "roadstead")["data"].items()}
    environment = {"ROADSTEAD_DATABASE": secret["database"], "ROADSTEAD_LOCATIONS": secret["locations"]}

    settings = settings_of(environment, tmp_path / "roadstead.toml")

    assert "s3://roadstead/gcr" == settings.locations["gcr"].storage
    config.only_loopback(settings.addresses())
    for name in ("roadstead-serve", "roadstead-worker"):
        pod = one(rendered, "Deployment", name)["spec"]["template"]["spec"]
        assert settings.drain_delay_seconds + settings.drain_seconds + 10 < pod["terminationGracePeriodSeconds"]
    sleeps = containers(one(rendered, "Deployment", "roadstead-serve"))["door"]["lifecycle"]["preStop"]["exec"]["command"]
    assert settings.drain_delay_seconds + settings.drain_seconds < int(sleeps[1]), "the door must not close before the house is empty"


def test_nobody_runs_as_root_or_may_write_to_the_image(rendered: list[dict[str, Any]]) -> None:
    for deployment in (each for each in rendered if each["kind"] == "Deployment"):
        assert deployment["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"]
        for name, part in containers(deployment).items():
            assert part["securityContext"]["allowPrivilegeEscalation"] is False
            assert ["ALL"] == part["securityContext"]["capabilities"]["drop"]
            assert part["securityContext"].get("readOnlyRootFilesystem") or name == "door"


# Compose


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return document


def test_compose_has_two_nodes_two_workers_and_what_they_stand_on(compose: dict[str, Any]) -> None:
    services = compose["services"]

    assert {"node1", "node2", "worker1", "worker2", "postgres", "s3", "front", "migrate"} <= set(services)
    for number in (1, 2):
        assert ["serve", "--no-worker"] == services[f"node{number}"]["command"][:2]
        assert "worker" == services[f"worker{number}"]["command"][0]
        assert f"service:node{number}" == services[f"door{number}"]["network_mode"], "in the namespace where it finds 127.0.0.1:5000"
        assert "ports" not in services[f"node{number}"]
    assert ["127.0.0.1:8080:8080"] == services["front"]["ports"]


def test_what_compose_names_is_there(compose: dict[str, Any]) -> None:
    """Services that others wait for, volumes, files beside it that are not secrets."""
    services = compose["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert "image" in service
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or source.startswith("./secrets/") or (DEPLOY / source).exists(), source
        if "env_file" in service:
            assert (DEPLOY / f"{service['env_file']}.example").exists()


def test_docker_itself_can_read_it(compose: dict[str, Any], tmp_path: Path) -> None:
    docker = find("docker")
    if subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker has no compose plugin here; the file is parsed and checked above")
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    shutil.copy(DEPLOY / "compose.env.example", tmp_path / "deploy/compose.env")

    done = subprocess.run(
        [docker, "compose", "-f", tmp_path / "deploy/compose.yaml", "config", "-q"], capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stderr


def test_the_example_of_compose_s_settings_is_settings(compose: dict[str, Any]) -> None:
    lines = [line.split("=", 1) for line in (DEPLOY / "compose.env.example").read_text().splitlines() if line and line[0] != "#"]
    settings = settings_of({name: value for name, value in lines})

    assert "s3://roadstead/gcr" == settings.locations["gcr"].storage
    grace = int(compose["services"]["node1"]["stop_grace_period"].removesuffix("s"))
    assert settings.drain_delay_seconds + settings.drain_seconds + 10 < grace


# The doors: real nginx


@contextmanager
def nginx(folder: Path, file: str, configuration: str) -> Iterator[None]:
    """Runs a file that the image includes from its own nginx.conf, in a folder of its own."""
    (folder / file).write_text(configuration)
    temporary = " ".join(f"{each}_temp_path {folder}/{each};" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"daemon off; {user} pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log {folder}/access.log; {temporary} include {folder}/{file}; }}\n"
    )
    command = [find("nginx", Path("/usr/sbin") if not shutil.which("nginx") else None), "-p", folder, "-c", folder / "nginx.conf"]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def answers(url: str, folder: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            httpx.get(url)
            return
        except httpx.TransportError:
            assert time.monotonic() < deadline, (folder / "error.log").read_text()
            time.sleep(0.05)


def test_a_node_s_door_asks_for_a_password_and_keeps_the_rest_to_itself(server: Server, tmp_path: Path, repository: str) -> None:
    port, metrics_port = free_port(), free_port()
    # The password is `secret`; apr1 is one of the forms that nginx takes.
    hashed = subprocess.run(["openssl", "passwd", "-apr1", "secret"], capture_output=True, text=True, check=True).stdout
    (tmp_path / "htpasswd").write_text(f"user:{hashed}")
    template = (DEPLOY / "nginx/node.conf.template").read_text()
    values = {"ROADSTEAD_PORT": server.port, "LISTEN_PORT": port, "METRICS_PORT": metrics_port, "HTPASSWD": tmp_path / "htpasswd"}
    for name, value in values.items():
        template = template.replace(f"${{{name}}}", str(value))
    assert "${" not in template, "everything is filled in by the image's own names"
    url, metrics_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}"
    with nginx(tmp_path, "node.conf", template):
        answers(url, tmp_path)

        assert 401 == httpx.get(f"{url}/v2/").status_code
        assert 401 == httpx.get(f"{url}/v2/", auth=("user", "wrong")).status_code
        assert [200, 200, 404] == [httpx.get(f"{url}{path}").status_code for path in ("/healthz", "/readyz", "/metrics")]
        assert [200, 404] == [httpx.get(f"{metrics_url}{path}").status_code for path in ("/metrics", "/v2/")]
        with connect(url) as client:
            client.auth = httpx.BasicAuth("user", "secret")
            manifest = push_image(client, repository)
            assert manifest.payload == client.get(f"/v2/{repository}/manifests/v1").content
            eu = client.get(f"/v2/{repository}/manifests/v1", headers={"Host": "eu.gcr.io"})
            assert 404 == eu.status_code, "the Host header picks the location"
            assert re.fullmatch("[0-9a-f]{32}", eu.headers["X-Request-Id"]), "nginx's id of the request"


def test_the_front_turns_to_another_node(server: Server, tmp_path: Path) -> None:
    """One node is down: what can be asked again is asked of the other."""
    port, nobody = free_port(), free_port()
    text = (DEPLOY / "nginx/front.conf").read_text()
    text = (
        text.replace("node1:8080", f"127.0.0.1:{nobody}")
        .replace("node2:8080", f"127.0.0.1:{server.port}")
        .replace("listen 8080", f"listen {port}")
    )
    with nginx(tmp_path, "front.conf", text):
        answers(f"http://127.0.0.1:{port}/healthz", tmp_path)

        assert [200] * 10 == [httpx.get(f"http://127.0.0.1:{port}/v2/").status_code for _ in range(10)]


# The images


def test_the_dockerfile_runs_as_a_user_of_its_own_with_the_pinned_packages() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()

    assert any("--require-hashes --requirement requirements.lock" in line for line in lines)
    assert "USER 10001:10001" in lines
    assert 'ENTRYPOINT ["roadstead"]' in lines
