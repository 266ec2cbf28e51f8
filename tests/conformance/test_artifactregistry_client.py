"""google-cloud-artifact-registry, Google's own Python client, over REST, with and without TLS: what is in a registry and who may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import BadRequest, Conflict, Forbidden, NotFound
from google.cloud.artifactregistry_v1 import (
    ArtifactRegistryClient,
    CreateTagRequest,
    DeleteVersionRequest,
    GetVersionRequest,
    ListVersionsRequest,
    ProjectSettings,
    Repository,
    Tag,
    UpdateTagRequest,
    VersionView,
)
from google.iam.v1 import iam_policy_pb2
from google.iam.v1.policy_pb2 import Binding, Policy
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials
from google.protobuf.field_mask_pb2 import FieldMask

from tests.kit.places import Place
from tests.kit.push import Document, image, push, push_blob, push_image

pytestmark = pytest.mark.usefixtures("trusting")

READER = "roles/artifactregistry.reader"


def registry(place: Place, credentials: Any) -> ArtifactRegistryClient:
    return ArtifactRegistryClient(transport="rest", credentials=credentials, client_options=ClientOptions(api_endpoint=place.url))


def bearer(token: str) -> Credentials:
    return Credentials(token=token)  # type: ignore[no-untyped-call]


@pytest.fixture
def client(place: Place) -> ArtifactRegistryClient:
    return registry(place, bearer(place.installation.owner_token))


@pytest.fixture
def owned(place: Place) -> str:
    """A project with `app` (v1) and `team/api` (v1, v2), whose images say when they were made."""
    project, owner = place.installation.project(), place.installation.owner
    push_image(owner, f"{project}/app")
    for tag in ("v1", "v2"):
        config, layer = b'{"created": "2024-02-03T04:05:06Z", "tag": "%s"}' % tag.encode(), b"a layer"
        for blob in (config, layer):
            push_blob(owner, f"{project}/team/api", blob)
        assert 201 == push(owner, f"{project}/team/api", made(tag), tag).status_code
    return project


def made(tag: str) -> Document:
    return image(b'{"created": "2024-02-03T04:05:06Z", "tag": "%s"}' % tag.encode(), [b"a layer"])


def here(project: str) -> str:
    return f"projects/{project}/locations/us/repositories/gcr.io"


def package(project: str) -> str:
    return f"{here(project)}/packages/team%2Fapi"


def test_registries_and_settings(client: ArtifactRegistryClient, owned: str) -> None:
    """Enums are numbers in the client and may be names on the wire."""
    found = {each.name.rpartition("/")[2]: each for each in client.list_repositories(parent=f"projects/{owned}/locations/us")}
    repository = client.get_repository(name=here(owned))
    settings = client.get_project_settings(name=f"projects/{owned}/projectSettings")

    assert {"gcr.io", "us.gcr.io"} == set(found)
    assert found["gcr.io"] == repository
    assert (Repository.Format.DOCKER, Repository.Mode.STANDARD_REPOSITORY) == (repository.format_, repository.mode)
    assert ProjectSettings.RedirectionState.REDIRECTION_FROM_GCR_IO_ENABLED == settings.legacy_redirection_state
    locations = {each.location_id: each for each in client.list_locations({"name": f"projects/{owned}"}).locations}
    assert {"us", "europe", "asia"} == set(locations)
    assert locations["us"] == client.get_location({"name": f"projects/{owned}/locations/us"})
    with pytest.raises(NotFound):
        client.get_location({"name": f"projects/{owned}/locations/mars"})


def test_docker_images_in_pages(client: ArtifactRegistryClient, owned: str) -> None:
    pages = list(client.list_docker_images(request={"parent": here(owned), "page_size": 2}).pages)
    images = [each for page in pages for each in page.docker_images]

    assert [2, 1] == [len(page.docker_images) for page in pages]
    api = {f"gcr.io/{owned}/team/api@{made(tag).digest}": tag for tag in ("v1", "v2")}
    assert api.keys() <= {each.uri for each in images}
    for each in images:
        assert each == client.get_docker_image(name=each.name)
        if each.uri in api:
            assert [api[each.uri]] == list(each.tags)
            assert (2024, 2, 3) == (each.build_time.year, each.build_time.month, each.build_time.day)
            assert made("v1").media_type == each.media_type
            assert each.image_size_bytes > 0
    with pytest.raises(NotFound):
        client.get_docker_image(name=f"{here(owned)}/dockerImages/app@sha256:{'0' * 64}")


def test_packages_versions_and_tags(client: ArtifactRegistryClient, owned: str) -> None:
    packages = list(client.list_packages(request={"parent": here(owned), "page_size": 1}))
    versions = list(client.list_versions(ListVersionsRequest(parent=package(owned), page_size=1, view=VersionView.FULL)))
    tags = list(client.list_tags(request={"parent": package(owned), "page_size": 1}))

    assert [f"{here(owned)}/packages/app", package(owned)] == [each.name for each in packages]
    assert packages[1] == client.get_package(name=package(owned))
    assert {f"{package(owned)}/versions/{made(tag).digest}" for tag in ("v1", "v2")} == {each.name for each in versions}
    assert versions[0] == client.get_version(GetVersionRequest(name=versions[0].name, view=VersionView.FULL))
    assert {tags[0].name, tags[1].name} == {each.related_tags[0].name for each in versions}
    assert versions[0].metadata["mediaType"] == made("v1").media_type
    assert not client.get_version(name=versions[0].name).related_tags
    assert [f"{package(owned)}/tags/{tag}" for tag in ("v1", "v2")] == [each.name for each in tags]
    assert tags[0] == client.get_tag(name=tags[0].name)
    assert [tags[1]] == list(client.list_tags(request={"parent": package(owned), "filter": f'version="{tags[1].version}"'}))


def test_tags_are_made_moved_and_deleted(place: Place, client: ArtifactRegistryClient, owned: str) -> None:
    first, second = (f"{package(owned)}/versions/{made(tag).digest}" for tag in ("v1", "v2"))

    new = client.create_tag(CreateTagRequest(parent=package(owned), tag_id="latest", tag=Tag(version=first)))
    assert (f"{package(owned)}/tags/latest", first) == (new.name, new.version)
    with pytest.raises(Conflict):
        client.create_tag(CreateTagRequest(parent=package(owned), tag_id="latest", tag=Tag(version=first)))
    moved = client.update_tag(UpdateTagRequest(tag=Tag(name=new.name, version=second), update_mask=FieldMask(paths=["version"])))

    assert second == moved.version
    assert made("v2").payload == place.installation.owner.get(f"/v2/{owned}/team/api/manifests/latest").content
    client.delete_tag(name=new.name)
    with pytest.raises(NotFound):
        client.get_tag(name=new.name)


def test_versions_and_packages_are_deleted_by_operations(client: ArtifactRegistryClient, owned: str) -> None:
    """`.result()` waits for the operation, which is done; it can be asked for again by its name."""
    version = f"{package(owned)}/versions/{made('v1').digest}"

    with pytest.raises(BadRequest, match="Manifest is still referenced by tag: v1"):
        client.delete_version(name=version).result()
    deleted = client.delete_version(DeleteVersionRequest(name=version, force=True))
    deleted.result()
    again = client.get_operation({"name": deleted.operation.name})
    client.delete_package(name=package(owned)).result()

    assert (deleted.operation.name, True) == (again.name, again.done)
    assert [f"{here(owned)}/packages/app"] == [each.name for each in client.list_packages(parent=here(owned))]
    with pytest.raises(NotFound):
        client.delete_package(name=package(owned))


@pytest.mark.slow
def test_rights_on_a_registry(place: Place, client: ArtifactRegistryClient, owned: str) -> None:
    """The etag comes back as it was sent, byte for byte; one that is old is refused."""
    email = place.account(owned)
    theirs = registry(place, bearer(place.installation.token(f"serviceAccount:{email}")))
    with pytest.raises(Forbidden):
        theirs.get_repository(name=here(owned))
    old = client.get_iam_policy(iam_policy_pb2.GetIamPolicyRequest(resource=here(owned)))

    policy = Policy(etag=old.etag, bindings=[Binding(role=READER, members=[f"serviceAccount:{email}"])])
    stored = client.set_iam_policy(iam_policy_pb2.SetIamPolicyRequest(resource=here(owned), policy=policy))

    assert (list(policy.bindings), True) == (list(stored.bindings), stored.etag != old.etag)
    assert stored == client.get_iam_policy(iam_policy_pb2.GetIamPolicyRequest(resource=here(owned)))
    with pytest.raises(Conflict):
        client.set_iam_policy(iam_policy_pb2.SetIamPolicyRequest(resource=here(owned), policy=policy))
    assert here(owned) == theirs.get_repository(name=here(owned)).name
    assert 3 == len(list(theirs.list_docker_images(parent=here(owned))))
    wanted = ["artifactregistry.dockerimages.list", "artifactregistry.versions.delete"]
    asked = iam_policy_pb2.TestIamPermissionsRequest(resource=here(owned), permissions=wanted)
    assert wanted[:1] == list(theirs.test_iam_permissions(asked).permissions)
    attempts: list[Callable[[], Any]] = [
        lambda: theirs.delete_tag(name=f"{package(owned)}/tags/v1"),
        lambda: theirs.delete_package(name=package(owned)),
        lambda: theirs.set_iam_policy(iam_policy_pb2.SetIamPolicyRequest(resource=here(owned), policy=policy)),
    ]
    for attempt in attempts:
        with pytest.raises(Forbidden):
            attempt()


@pytest.mark.parametrize("scopes", [None, ["https://www.googleapis.com/auth/cloud-platform"]], ids=["audience", "scope"])
def test_a_key_s_own_jwt_is_a_credential(place: Place, owned: str, scopes: list[str] | None) -> None:
    """contract.md, 4.3: signed for artifactregistry.googleapis.com, or for a scope, and no token endpoint is asked."""
    key = {**place.key(place.account(owned, READER)), "token_uri": "http://127.0.0.1:9/token"}
    credentials = service_account.Credentials.from_service_account_info(key, scopes=scopes)  # type: ignore[no-untyped-call]
    if scopes:
        credentials = credentials.with_always_use_jwt_access(True)

    theirs = registry(place, credentials)

    assert 3 == len(list(theirs.list_docker_images(parent=here(owned))))
