"""Which APIs a project has enabled (contract.md, 2.2), and what a push hears where Container Registry is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.api_core.exceptions import Forbidden
from google.cloud.service_usage_v1 import (
    BatchEnableServicesRequest,
    DisableServiceRequest,
    EnableServiceRequest,
    ListServicesRequest,
    State,
)

from tests.kit.accounts import Installation
from tests.kit.google import GCloud, needs_gcloud, service_usage
from tests.kit.push import push_image

REGISTRY, PUBSUB = "containerregistry.googleapis.com", "pubsub.googleapis.com"
SCANNING, ANALYSIS = "containerscanning.googleapis.com", "containeranalysis.googleapis.com"
FIRST = {"cloudapis.googleapis.com", "servicemanagement.googleapis.com", "serviceusage.googleapis.com"}


def enabled(installation: Installation, project: str) -> set[str]:
    found = installation.owner.get(f"/v1/projects/{project}/services", params={"filter": "state:ENABLED", "pageSize": 200}).json()
    return {service["config"]["name"] for service in found["services"]}


def test_a_new_project_has_what_google_gives_it_and_no_registry(installation: Installation) -> None:
    assert enabled(installation, installation.project(registry=False)) == FIRST


def test_enabling_is_done_at_once_and_can_be_polled(installation: Installation) -> None:
    owner, project = installation.owner, installation.project(registry=False)

    one = owner.post(f"/v1/projects/{project}/services/{REGISTRY}:enable", json={}).json()
    assert one["name"].startswith("operations/acf.")
    assert one["done"]
    assert one == owner.get(f"/v1/{one['name']}").json()
    several = owner.post(f"/v1/projects/{project}/services:batchEnable", json={"serviceIds": [SCANNING, "anything.googleapis.com"]}).json()
    assert several["name"].startswith("operations/acat.")

    assert FIRST | {REGISTRY, PUBSUB, SCANNING, ANALYSIS, "anything.googleapis.com"} == enabled(installation, project)
    number = owner.get(f"/v1/projects/{project}").json()["projectNumber"]
    service = owner.get(f"/v1/projects/{project}/services/{REGISTRY}").json()
    assert f"projects/{number}/services/{REGISTRY}" == service["name"]
    assert ("ENABLED", "Container Registry API") == (service["state"], service["config"]["title"])
    assert "DISABLED" == owner.get(f"/v1/projects/{project}/services/cloudbuild.googleapis.com").json()["state"]


def test_what_others_need_is_disabled_with_them_or_not_at_all(installation: Installation) -> None:
    """ "The service … is depended on by the following active service(s)": Google's words."""
    owner, project = installation.owner, installation.project()

    refused = owner.post(f"/v1/projects/{project}/services/{PUBSUB}:disable", json={"disableDependentServices": False})
    assert 400 == refused.status_code
    assert f"is depended on by the following active service(s): {REGISTRY}" in refused.json()["error"]["message"]
    assert REGISTRY in enabled(installation, project)

    owner.post(f"/v1/projects/{project}/services/{PUBSUB}:disable", json={"disableDependentServices": True}).raise_for_status()
    assert not enabled(installation, project) & {PUBSUB, REGISTRY}
    assert 400 == owner.post(f"/v1/projects/{project}/services/{PUBSUB}:disable", json={}).status_code


def test_a_push_needs_the_registry_enabled_and_images_outlive_it(installation: Installation) -> None:
    """The sentence that GCR gave, by which gcloud offers to enable it (contract.md, 1.1 and 2)."""
    project = installation.project()
    push_image(installation.owner, f"{project}/image")
    url = f"/v2/{project}/image/manifests/v1"
    assert 200 == installation.owner.get(url).status_code

    installation.owner.post(f"/v1/projects/{project}/services/{REGISTRY}:disable", json={}).raise_for_status()
    refused = installation.owner.get(url)
    assert 403 == refused.status_code
    assert "Container Registry API" in refused.json()["errors"][0]["message"]

    installation.enable(project, REGISTRY)
    assert 200 == installation.owner.get(url).status_code


@pytest.mark.parametrize("name", ["pubsub", "pubsub.example.com", ".googleapis.com", "a b.googleapis.com", "A.googleapis.com", "x" * 200])
def test_what_no_service_can_be_named_is_refused(installation: Installation, name: str) -> None:
    project = installation.project(registry=False)

    assert 400 == installation.owner.post(f"/v1/projects/{project}/services:batchEnable", json={"serviceIds": [name]}).status_code
    assert enabled(installation, project) == FIRST


def test_who_may_look_may_not_switch(installation: Installation) -> None:
    project = installation.project()
    with installation.client(installation.robot(project, "roles/viewer")) as viewer:
        assert 200 == viewer.get(f"/v1/projects/{project}/services").status_code
        assert 403 == viewer.post(f"/v1/projects/{project}/services/{SCANNING}:enable", json={}).status_code
        assert 403 == viewer.post(f"/v1/projects/{project}/services/{REGISTRY}:disable", json={}).status_code
    assert SCANNING not in enabled(installation, project)


def test_google_cloud_service_usage(installation: Installation) -> None:
    client, project = service_usage(installation), installation.project(registry=False)
    parent = f"projects/{project}"

    done = client.enable_service(EnableServiceRequest(name=f"{parent}/services/{REGISTRY}")).result(timeout=10)
    assert State.ENABLED == done.service.state
    several = client.batch_enable_services(BatchEnableServicesRequest(parent=parent, service_ids=[SCANNING, PUBSUB])).result(timeout=10)
    assert [SCANNING, PUBSUB] == [service.config.name for service in several.services]
    listed = client.list_services(ListServicesRequest(parent=parent, filter="state:ENABLED", page_size=2))
    assert FIRST | {REGISTRY, PUBSUB, SCANNING, ANALYSIS} == {service.config.name for service in listed}
    off = client.disable_service(DisableServiceRequest(name=f"{parent}/services/{PUBSUB}", disable_dependent_services=True)).result(
        timeout=10
    )
    assert State.DISABLED == off.service.state
    with pytest.raises(Forbidden):
        service_usage(installation, installation.robot(project, "roles/browser")).enable_service(
            EnableServiceRequest(name=f"{parent}/services/{REGISTRY}")
        )


@pytest.mark.slow
@needs_gcloud
def test_gcloud_services(installation: Installation, tmp_path: Path) -> None:
    gcloud, project = GCloud(installation, tmp_path), installation.project(registry=False)

    gcloud("services", "enable", REGISTRY, "--project", project)
    gcloud("services", "enable", SCANNING, ANALYSIS, "--project", project)
    listed = gcloud("services", "list", "--project", project, "--format", "value(config.name)").split()
    assert FIRST | {REGISTRY, PUBSUB, SCANNING, ANALYSIS} == set(listed)
    gcloud("services", "disable", REGISTRY, "--project", project)
    assert REGISTRY not in gcloud("services", "list", "--project", project, "--format", "value(config.name)").split()
    assert "cloudbuild.googleapis.com" in gcloud("services", "list", "--available", "--project", project, "--format", "value(config.name)")
