"""Predefined roles: their lists are Google's, restricted to what is here, and do what Container Registry did."""

from __future__ import annotations

import pytest

from roadstead.iam.permissions import PERMISSIONS
from roadstead.iam.roles import BUILT_IN, EDITOR, OWNER, VIEWER, Role, expand

PULL = {"storage.objects.get", "storage.objects.list"}
PUSH = {"storage.objects.create", "storage.objects.delete", "storage.buckets.get"}

# Word for word from Google's role reference, without permissions of services that are not here.
LISTS = {
    "roles/browser": "resourcemanager.organizations.get resourcemanager.projects.get resourcemanager.projects.getIamPolicy "
    "resourcemanager.projects.list",
    "roles/storage.objectViewer": "resourcemanager.projects.get resourcemanager.projects.list storage.objects.get storage.objects.list",
    "roles/storage.objectCreator": "resourcemanager.projects.get resourcemanager.projects.list storage.multipartUploads.abort "
    "storage.multipartUploads.create storage.multipartUploads.listParts storage.objects.create",
    "roles/storage.legacyBucketReader": "storage.buckets.get storage.multipartUploads.list storage.objects.list",
    "roles/containeranalysis.notes.attacher": "containeranalysis.notes.attachOccurrence containeranalysis.notes.get",
    "roles/containeranalysis.notes.occurrences.viewer": "containeranalysis.notes.get containeranalysis.notes.listOccurrences",
    "roles/containeranalysis.occurrences.editor": "containeranalysis.occurrences.create containeranalysis.occurrences.delete "
    "containeranalysis.occurrences.get containeranalysis.occurrences.list containeranalysis.occurrences.update "
    "resourcemanager.projects.get resourcemanager.projects.list",
    "roles/binaryauthorization.attestorsVerifier": "binaryauthorization.attestors.get binaryauthorization.attestors.list "
    "binaryauthorization.attestors.verifyImageAttested resourcemanager.projects.get resourcemanager.projects.list",
    "roles/binaryauthorization.policyEvaluator": "binaryauthorization.platformPolicies.evaluatePolicy "
    "binaryauthorization.platformPolicies.get binaryauthorization.platformPolicies.list binaryauthorization.policy.evaluatePolicy "
    "binaryauthorization.policy.get resourcemanager.projects.get resourcemanager.projects.list",
    "roles/cloudbuild.builds.editor": "cloudbuild.builds.create cloudbuild.builds.get cloudbuild.builds.list cloudbuild.builds.update "
    "resourcemanager.projects.get resourcemanager.projects.list",
    "roles/iam.serviceAccountTokenCreator": "iam.serviceAccounts.get iam.serviceAccounts.getAccessToken "
    "iam.serviceAccounts.getOpenIdToken iam.serviceAccounts.implicitDelegation iam.serviceAccounts.list iam.serviceAccounts.signBlob "
    "iam.serviceAccounts.signJwt resourcemanager.projects.get resourcemanager.projects.list",
    "roles/iam.serviceAccountKeyAdmin": "iam.serviceAccountKeys.create iam.serviceAccountKeys.delete iam.serviceAccountKeys.disable "
    "iam.serviceAccountKeys.enable iam.serviceAccountKeys.get iam.serviceAccountKeys.list iam.serviceAccounts.get "
    "iam.serviceAccounts.list resourcemanager.projects.get resourcemanager.projects.list",
    "roles/iam.workloadIdentityUser": "iam.serviceAccounts.get iam.serviceAccounts.getAccessToken iam.serviceAccounts.getOpenIdToken "
    "iam.serviceAccounts.list",
    "roles/iam.roleAdmin": "iam.roles.create iam.roles.delete iam.roles.get iam.roles.list iam.roles.undelete iam.roles.update "
    "resourcemanager.projects.get resourcemanager.projects.getIamPolicy",
    "roles/resourcemanager.projectIamAdmin": "resourcemanager.projects.get resourcemanager.projects.getIamPolicy "
    "resourcemanager.projects.setIamPolicy",
    "roles/pubsub.subscriber": "pubsub.snapshots.seek pubsub.subscriptions.consume pubsub.topics.attachSubscription",
    "roles/serviceusage.serviceUsageConsumer": "serviceusage.operations.get serviceusage.operations.list serviceusage.quotas.get "
    "serviceusage.services.get serviceusage.services.list serviceusage.services.use",
}

# smaller ⊂ larger
NESTED = [
    (VIEWER, EDITOR),
    (EDITOR, OWNER),
    ("roles/artifactregistry.reader", "roles/artifactregistry.writer"),
    ("roles/artifactregistry.writer", "roles/artifactregistry.createOnPushWriter"),
    ("roles/artifactregistry.writer", "roles/artifactregistry.repoAdmin"),
    ("roles/artifactregistry.repoAdmin", "roles/artifactregistry.admin"),
    ("roles/storage.legacyBucketReader", "roles/storage.legacyBucketWriter"),
    ("roles/storage.legacyBucketWriter", "roles/storage.legacyBucketOwner"),
    ("roles/storage.objectViewer", "roles/storage.objectUser"),
    ("roles/storage.objectCreator", "roles/storage.objectUser"),
    ("roles/storage.objectUser", "roles/storage.objectAdmin"),
    ("roles/storage.objectAdmin", "roles/storage.admin"),
    ("roles/containeranalysis.notes.viewer", "roles/containeranalysis.notes.editor"),
    ("roles/containeranalysis.notes.editor", "roles/containeranalysis.admin"),
    ("roles/containeranalysis.occurrences.viewer", "roles/containeranalysis.occurrences.editor"),
    ("roles/binaryauthorization.attestorsViewer", "roles/binaryauthorization.attestorsVerifier"),
    ("roles/binaryauthorization.attestorsVerifier", "roles/binaryauthorization.attestorsEditor"),
    ("roles/binaryauthorization.attestorsEditor", "roles/binaryauthorization.attestorsAdmin"),
    ("roles/binaryauthorization.policyViewer", "roles/binaryauthorization.policyEditor"),
    ("roles/binaryauthorization.policyEditor", "roles/binaryauthorization.policyAdmin"),
    ("roles/cloudbuild.builds.viewer", "roles/cloudbuild.builds.editor"),
    ("roles/cloudbuild.builds.editor", "roles/cloudbuild.builds.builder"),
    ("roles/iam.securityReviewer", "roles/iam.securityAdmin"),
    ("roles/iam.roleViewer", "roles/iam.roleAdmin"),
    ("roles/iam.roleAdmin", "roles/iam.organizationRoleAdmin"),
    ("roles/iam.workloadIdentityPoolViewer", "roles/iam.workloadIdentityPoolAdmin"),
    ("roles/serviceusage.serviceUsageViewer", "roles/serviceusage.serviceUsageConsumer"),
    ("roles/serviceusage.serviceUsageConsumer", "roles/serviceusage.serviceUsageAdmin"),
    ("roles/pubsub.viewer", "roles/pubsub.editor"),
    ("roles/pubsub.editor", "roles/pubsub.admin"),
    ("roles/logging.viewer", "roles/logging.privateLogViewer"),
]

# Who may give rights away. A role that gets this by accident is a way up.
SETS_POLICIES = {
    OWNER,
    "roles/artifactregistry.admin",
    "roles/binaryauthorization.attestorsAdmin",
    "roles/binaryauthorization.policyAdmin",
    "roles/containeranalysis.admin",
    "roles/iam.securityAdmin",
    "roles/iam.serviceAccountAdmin",
    "roles/pubsub.admin",
    "roles/resourcemanager.organizationAdmin",
    "roles/resourcemanager.projectIamAdmin",
    "roles/storage.admin",
    "roles/storage.legacyBucketOwner",
    "roles/storage.legacyObjectOwner",
    "roles/storage.objectAdmin",
}


def allows(role: str) -> frozenset[str]:
    return expand(role, {})


@pytest.mark.parametrize("role", BUILT_IN.values(), ids=BUILT_IN.keys())
def test_a_role_holds_permissions_that_exist(role: Role) -> None:
    assert role.permissions
    assert set() == role.permissions - PERMISSIONS
    assert role.title
    assert role.description
    assert role.name.startswith("roles/")
    assert ("BETA" if role.name == "roles/ondemandscanning.admin" else "GA") == role.stage


def test_every_permission_but_one_is_in_some_role_below_owner() -> None:
    """Or nobody could have it without everything. To bring a project back is an owner's right at Google, too."""
    given = frozenset().union(*(role.permissions for name, role in BUILT_IN.items() if name != OWNER))

    assert {"resourcemanager.projects.undelete"} == PERMISSIONS - given


@pytest.mark.parametrize(("name", "permissions"), LISTS.items(), ids=LISTS.keys())
def test_a_list_is_google_s(name: str, permissions: str) -> None:
    assert sorted(permissions.split()) == sorted(allows(name))


@pytest.mark.parametrize(("smaller", "larger"), NESTED)
def test_a_larger_role_holds_the_smaller(smaller: str, larger: str) -> None:
    assert set() == allows(smaller) - allows(larger)
    assert allows(smaller) != allows(larger)


def test_only_these_roles_set_policies() -> None:
    assert SETS_POLICIES == {
        name for name, role in BUILT_IN.items() if any(permission.endswith(".setIamPolicy") for permission in role.permissions)
    }


@pytest.mark.parametrize("role", [VIEWER, "roles/storage.objectViewer"])
def test_these_pull_and_do_not_push(role: str) -> None:
    """Container Registry, Configuring access control."""
    assert allows(role) >= PULL
    assert set() == allows(role) & {"storage.objects.create", "storage.objects.delete", "storage.objects.update"}


@pytest.mark.parametrize(
    "role", [EDITOR, OWNER, "roles/storage.legacyBucketWriter", "roles/storage.legacyBucketOwner", "roles/storage.admin"]
)
def test_these_push_and_pull(role: str) -> None:
    """Container Registry, Configuring access control: Storage Legacy Bucket Writer is push and pull."""
    assert allows(role) >= PULL | PUSH


def test_a_viewer_changes_nothing() -> None:
    reading = {"get", "list", "getIamPolicy", "listOccurrences", "listRevisions", "listParts", "validate", "downloadArtifacts"}
    reading |= {"searchAllResources", "listVulnerabilities", "wait"}

    assert {"readViaVirtualRepository", "download"} == {name.rpartition(".")[2] for name in allows(VIEWER)} - reading


def test_a_viewer_and_an_editor_do_not_see_the_private_log() -> None:
    assert "logging.privateLogEntries.list" not in allows(VIEWER) | allows(EDITOR) | allows("roles/iam.securityReviewer")


def test_a_writer_deletes_nothing() -> None:
    """Artifact Registry: deleting needs repoAdmin."""
    for role in ("roles/artifactregistry.writer", "roles/artifactregistry.createOnPushWriter"):
        assert [] == [name for name in allows(role) if "delete" in name]
    assert allows("roles/artifactregistry.repoAdmin") >= {
        "artifactregistry.repositories.deleteArtifacts",
        "artifactregistry.tags.delete",
        "artifactregistry.versions.delete",
    }


def test_a_creator_neither_reads_nor_overwrites() -> None:
    assert set() == allows("roles/storage.objectCreator") & (PULL | {"storage.objects.delete", "storage.objects.update"})


def test_owner_is_everything() -> None:
    assert allows(OWNER) == PERMISSIONS


def test_a_custom_role_is_what_the_installation_says() -> None:
    custom = {"projects/my-project/roles/puller": frozenset(PULL)}

    assert PULL == expand("projects/my-project/roles/puller", custom)


def test_a_custom_role_does_not_change_a_predefined_one() -> None:
    assert allows(VIEWER) == expand(VIEWER, {VIEWER: PERMISSIONS})


@pytest.mark.parametrize("name", ["", "roles/", "owner", "roles/Owner", "roles/storage.objectviewer", "projects/p/roles/none"])
def test_a_role_that_nobody_knows_allows_nothing(name: str) -> None:
    assert frozenset() == allows(name)
