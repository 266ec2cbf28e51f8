"""
The tutorial's story, steps 2 to 8, as its readers type it: docker and gcloud, unchanged, and gcr.io, which is this server. Copying and
deleting are told with our own command line too.

The names get there through a proxy of the test's own, and a private authority vouches for them; docker's engine gets both from its
environment, so that nothing of this machine is changed.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kit.content import complete_image
from tests.kit.engine import docker_of, running_engine
from tests.kit.gcr import Gcr, GcrGCloud, installed_as_gcr
from tests.kit.google import needs_gcloud
from tests.kit.images import GREETING
from tests.kit.images_place import logged_in
from tests.kit.program import Program, find
from tests.kit.terminal import Terminal

pytestmark = [pytest.mark.slow, needs_gcloud]

FIRST, SECOND = "flowing-garage-267211", "tutorial-project-268109"
REGISTRY = "containerregistry.googleapis.com"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def gcr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcr]:
    with installed_as_gcr("https", tmp_path_factory.mktemp("story")) as found:
        yield found


@pytest.fixture(scope="module")
def gcloud(gcr: Gcr, tmp_path_factory: pytest.TempPathFactory) -> GcrGCloud:
    """With the owner's token: how a person logs in, step 1, test_login_gcloud.py shows."""
    folder = tmp_path_factory.mktemp("gcloud")
    found = gcr.gcloud(folder, FIRST)
    found("projects", "create", FIRST, "--name=My First Project")
    found("services", "enable", REGISTRY)
    return found


@pytest.fixture(scope="module")
def docker(gcr: Gcr, gcloud: GcrGCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """gcloud is what it asks for credentials."""
    find("docker-credential-gcloud")
    with running_engine(gcr.environment) as engine:
        yield docker_of(engine, tmp_path_factory.mktemp("docker"), gcloud.environment)


@pytest.fixture
def roadstead(gcr: Gcr, tmp_path: Path) -> Terminal:
    return logged_in(gcr.installation, tmp_path, ROADSTEAD_PROJECT=FIRST)


def listed(docker: Program) -> list[str]:
    """`docker images`"""
    return docker.lines("images", "--format", "{{.Repository}}:{{.Tag}}")


def test_the_story(gcr: Gcr, gcloud: GcrGCloud, roadstead: Terminal, docker: Program, context: Path) -> None:
    image, copy = f"gcr.io/{FIRST}/nginx", f"gcr.io/{SECOND}/nginx"
    # What stands for `docker pull nginx`.
    docker.run("build", "--network=none", "--tag", "nginx", context)
    _configure(gcloud, docker)

    # 2. Push.
    docker.run("tag", "nginx", f"{image}:v1")
    assert f"{image}:v1" in listed(docker)
    said = docker.text("push", f"{image}:v1")
    digest = re.findall(r"v1: digest: (sha256:[0-9a-f]{64}) size: [0-9]+", said)[0]

    # 3. See it.
    assert ["NAME", image] == gcloud("container", "images", "list", f"--repository=gcr.io/{FIRST}").split()
    assert f"{digest} v1" == gcloud("container", "images", "list-tags", image, "--format=get(digest,tags)").replace("\t", " ")

    # 4. Pull.
    docker.run("rmi", f"{image}:v1")
    assert f"{image}:v1" not in listed(docker)
    docker.run("pull", f"{image}:v1")
    assert f"{image}:v1" in listed(docker)
    assert GREETING == docker.text("run", "--rm", "--network=none", f"{image}:v1")

    # 5. A second project. 6. Without the API, copying there is refused with a sentence that says so.
    gcloud("projects", "create", SECOND, "--name=tutorial-project")
    assert {FIRST, SECOND} <= set(gcloud("projects", "list", "--format=value(projectId)").split())
    refused = gcloud.run("container", "images", "add-tag", f"{image}:v1", f"{copy}:v1", "--quiet")
    assert 1 == refused.returncode
    assert f"Please enable Google Container Registry API in Cloud Console at https://console.cloud.google.com/apis/api/{REGISTRY}" in (
        refused.stderr
    )
    gcloud("services", "enable", REGISTRY, f"--project={SECOND}")

    # 7. Copy. 8. Delete. With gcloud, and once more with our own command line.
    for run in (gcloud.run, roadstead.run):
        _copied(run, image, copy)
        assert digest == complete_image(gcr.installation.owner, f"{SECOND}/nginx", "v1").digest
        _deleted(run, copy, digest)
        assert digest == complete_image(gcr.installation.owner, f"{FIRST}/nginx", "v1").digest

    assert {"gcr.io:443"} == {asked.removeprefix("CONNECT ") for asked in gcr.way.asked if "gcr.io" in asked}


def _copied(run: Run, image: str, copy: str) -> None:
    done = run("container", "images", "add-tag", f"{image}:v1", f"{copy}:v1", "--quiet")
    assert 0 == done.returncode, done.stderr
    assert ["NAME", copy] == run("container", "images", "list", f"--repository=gcr.io/{SECOND}").stdout.split()
    assert ["NAME", image] == run("container", "images", "list").stdout.split()


def _deleted(run: Run, copy: str, digest: str) -> None:
    done = run("container", "images", "delete", f"{copy}:v1", "--quiet")
    assert 0 == done.returncode, done.stderr
    assert f"Deleted [{copy}@{digest}]." in done.stderr
    empty = run("container", "images", "list", f"--repository=gcr.io/{SECOND}")
    assert (0, "") == (empty.returncode, empty.stdout)
    assert "Listed 0 items." in empty.stderr


def _configure(gcloud: GcrGCloud, docker: Program) -> None:
    """`gcloud auth configure-docker`, which writes into docker's own settings."""
    done = Program(find("gcloud"), docker.home, environment=docker.environment).attempt("auth", "configure-docker", "--quiet")
    assert 0 == done.returncode, done.stderr.decode()
    assert b"gcr.io" in (docker.home / ".config/config.json").read_bytes()
