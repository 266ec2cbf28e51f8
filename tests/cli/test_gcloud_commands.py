"""`roadstead` beside `gcloud`, with the same words on the same server: what they print must be the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.kit.accounts import installed
from tests.kit.google import GCloud, needs_gcloud
from tests.kit.images_place import logged_in
from tests.kit.terminal import Terminal

pytestmark = [pytest.mark.slow, needs_gcloud]


@dataclass(frozen=True, slots=True)
class Both:
    project: str
    email: str
    gcloud: GCloud
    roadstead: Terminal


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("both")
    with installed(folder / "data") as installation:
        roadstead = logged_in(installation, folder / "home")
        project = installation.project()
        roadstead.said("projects", "create", f"{project}-too", "--name=Another one", "--labels=team=web,stage=live")
        made = ["iam", "service-accounts", "create", "pusher", f"--project={project}", "--display-name=Pushes", "--format=value(email)"]
        email = roadstead.said(*made).strip()
        binding = ["--member", f"serviceAccount:{email}", "--role", "roles/artifactregistry.writer"]
        roadstead.said("projects", "add-iam-policy-binding", project, *binding)
        yield Both(project, email, GCloud(installation, folder / "gcloud"), roadstead)


@pytest.mark.parametrize(
    "words",
    [
        "projects list",
        "projects list --format=json --sort-by=~createTime",
        "projects list --filter=labels.team=web --format=csv(projectId,labels,createTime.date())",
        "projects describe {project}",
        "projects get-iam-policy {project}",
        "projects get-iam-policy {project} --flatten=bindings[].members --filter=bindings.members:pusher --format=table(bindings.role)",
        "services list --project={project} --format=value(config.name) --sort-by=config.name",
        "iam service-accounts list --project={project}",
        "iam service-accounts describe {email}",
        "iam roles describe roles/artifactregistry.reader",
    ],
)
def test_it_prints_what_gcloud_prints(both: Both, words: str) -> None:
    arguments = words.format(project=both.project, email=both.email).split()

    theirs, ours = both.gcloud.run(*arguments), both.roadstead.run(*arguments)

    assert 0 == theirs.returncode, theirs.stderr
    assert (0, theirs.stdout) == (ours.returncode, ours.stdout), ours.stderr


@pytest.mark.parametrize(
    "words",
    [
        "projects list --format=value(projectId --limit=1",
        "projects list --filter=a=",
        "projects describe nowhere-at-all",
        "services enable containerregistry.googleapis.com",
    ],
)
def test_it_refuses_what_gcloud_refuses(both: Both, words: str) -> None:
    theirs, ours = both.gcloud.run(*words.split()), both.roadstead.run(*words.split())

    assert 0 != theirs.returncode
    assert 0 != ours.returncode
    assert "" == theirs.stdout == ours.stdout
