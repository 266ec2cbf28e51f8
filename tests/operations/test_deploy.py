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
import msgspec
import pytest

from roadstead import config
from roadstead.api import oauth
from roadstead.api.distribution import routes as distribution
from roadstead.api.google import routes as google
from roadstead.api.health import PATHS
from roadstead.api.signin import pages
from tests.kit.accounts import WITH_ACCOUNTS, Installation
from tests.kit.engines import free_port
from tests.kit.program import find
from tests.kit.push import connect, push_image
from tests.kit.server import Server, serving

DEPLOY = Path(__file__).parents[2] / "deploy"
ADDED_BY_HAND = {"database", "locations"}

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


def test_a_node_migrates_first_and_is_probed_as_a_worker_is(rendered: list[dict[str, Any]]) -> None:
    parts = containers(one(rendered, "Deployment", "roadstead-serve"))
    workers = containers(one(rendered, "Deployment", "roadstead-worker"))

    assert ["migrate", "roadstead"] == list(parts)
    assert ["roadstead"] == list(workers)
    assert ["serve", "--no-worker"] == parts["roadstead"]["args"][:2]
    assert "migrate" == parts["migrate"]["args"][0]
    assert "worker" == workers["roadstead"]["args"][0]
    for part in (parts["roadstead"], workers["roadstead"]):
        assert "/healthz" == part["livenessProbe"]["httpGet"]["path"], "a database that is away must not restart the nodes"
        assert "/readyz" == part["readinessProbe"]["httpGet"]["path"]


def test_the_ingress_leads_to_every_route_and_not_to_what_is_the_cluster_s(rendered: list[dict[str, Any]]) -> None:
    (rule,) = one(rendered, "Ingress", "roadstead")["spec"]["rules"]
    prefixes = [each["path"] for each in rule["http"]["paths"]]
    templates = [route.template for routes in (distribution.ROUTES, google.ROUTES, oauth.ROUTES, pages.ROUTES) for route in routes]

    def leads(path: str) -> bool:
        return any(path.startswith(prefix + "/") or path.partition(":")[0] == prefix for prefix in prefixes)

    assert [] == [template for template in templates if not leads(template)]
    assert [] == [path for path in PATHS if leads(path)]


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
        for part in containers(deployment).values():
            assert [one(rendered, "ConfigMap", "roadstead-site")["metadata"]["name"]] == [
                each["configMapRef"]["name"] for each in part["envFrom"]
            ]
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
    site = one(rendered, "ConfigMap", "roadstead-site")["data"]
    environment = {"ROADSTEAD_DATABASE": secret["database"], "ROADSTEAD_LOCATIONS": secret["locations"], **site}
    known = {f"ROADSTEAD_{field.name.upper()}" for field in msgspec.structs.fields(config.Settings)}
    assert set(environment) <= known

    settings = settings_of(environment, tmp_path / "roadstead.toml")

    assert "s3://roadstead/gcr" == settings.locations["gcr"].storage
    assert settings.accounts, "it can be reached from everywhere"
    assert settings.public_url.startswith("https://")
    assert set(site) == {"ROADSTEAD_PUBLIC_URL", "ROADSTEAD_OWNER", "ROADSTEAD_TRUSTED_PROXIES"}
    for name in ("roadstead-serve", "roadstead-worker"):
        pod = one(rendered, "Deployment", name)["spec"]["template"]["spec"]
        assert settings.drain_delay_seconds + settings.drain_seconds + 10 < pod["terminationGracePeriodSeconds"]
    (port,) = containers(one(rendered, "Deployment", "roadstead-serve"))["roadstead"]["ports"]
    assert [("0.0.0.0", port["containerPort"])] == settings.addresses()


def test_nobody_runs_as_root_or_may_write_to_the_image(rendered: list[dict[str, Any]]) -> None:
    for deployment in (each for each in rendered if each["kind"] == "Deployment"):
        assert deployment["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"]
        for part in containers(deployment).values():
            assert part["securityContext"]["allowPrivilegeEscalation"] is False
            assert ["ALL"] == part["securityContext"]["capabilities"]["drop"]
            assert part["securityContext"]["readOnlyRootFilesystem"]


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
    assert settings.accounts
    assert [compose["services"]["front"]["networks"]["default"]["ipv4_address"]] == list(settings.trusted_proxies)
    (address,) = compose["services"]["front"]["ports"]
    assert f"http://{address.rpartition(':')[0]}" == settings.public_url


# The front: real nginx


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


def front(port: int, *nodes: int) -> str:
    """deploy/nginx/front.conf, on other ports."""
    text = (DEPLOY / "nginx/front.conf").read_text().replace("listen 8080", f"listen {port}")
    for number, node in enumerate(nodes, 1):
        text = text.replace(f"node{number}:5000", f"127.0.0.1:{node}")
    return text


@pytest.mark.slow
def test_the_front_hands_on_who_asks_and_keeps_the_metrics_inside(tmp_path: Path) -> None:
    """Accounts are the nodes' own: the front asks for nothing, and takes nothing away."""
    port = free_port()
    with serving(tmp_path / "data", env={**WITH_ACCOUNTS, "ROADSTEAD_PUBLIC_URL": f"http://127.0.0.1:{port}"}) as server:
        installation = Installation(server)
        project = installation.project()
        with nginx(tmp_path, "front.conf", front(port, server.port, server.port)):
            url = f"http://127.0.0.1:{port}"
            answers(url, tmp_path)

            refused = httpx.get(f"{url}/v2/", headers={"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"})
            assert 401 == refused.status_code
            assert f'realm="{url}/v2/token"' in refused.headers["www-authenticate"], "as the client came, not as it says"
            assert re.fullmatch("[0-9a-f]{32}", refused.headers["X-Request-Id"]), "nginx's id of the request"
            paths = ("/healthz", "/signin", "/oauth2/v3/certs", "/metrics", "/readyz")
            assert [200, 200, 200, 404, 404] == [httpx.get(f"{url}{path}").status_code for path in paths]
            with connect(url) as client:
                client.auth = httpx.BasicAuth("oauth2accesstoken", installation.owner_token)
                manifest = push_image(client, f"{project}/image")
                assert manifest.payload == client.get(f"/v2/{project}/image/manifests/v1").content
                eu = client.get(f"/v2/{project}/image/manifests/v1", headers={"Host": "eu.gcr.io"})
                assert 404 == eu.status_code, "the Host header picks the location"


def test_the_front_turns_to_another_node(server: Server, tmp_path: Path) -> None:
    """One node is down: what can be asked again is asked of the other."""
    port, nobody = free_port(), free_port()
    with nginx(tmp_path, "front.conf", front(port, nobody, server.port)):
        answers(f"http://127.0.0.1:{port}/healthz", tmp_path)

        assert [200] * 10 == [httpx.get(f"http://127.0.0.1:{port}/v2/").status_code for _ in range(10)]


# The images


def test_the_dockerfile_runs_as_a_user_of_its_own_with_the_pinned_packages() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()

    assert any("--require-hashes --requirement requirements.lock" in line for line in lines)
    assert "USER 10001:10001" in lines
    assert 'ENTRYPOINT ["roadstead"]' in lines
