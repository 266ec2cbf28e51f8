"""
What a role allows: Google's predefined roles of the container registry's world, with their lists of permissions as Google publishes them,
restricted to the services that are here. Custom roles are an installation's own and are passed in.

Three of them do what Container Registry did, which its lists of permissions alone do not say:
- `storage.legacyBucketWriter` (and `legacyBucketOwner`) also reads objects: GCR's documentation gives push and pull by it.
- `viewer` pulls and `editor` pushes and deletes: at Google by default rights on the project's buckets, which are not in the role.
  Those would let an editor open a bucket to the world; here an editor changes no policy, as Google's list has it.
- `owner` is everything.

Source: IAM, Role and permission reference (https://cloud.google.com/iam/docs/roles-permissions); Container Registry, Configuring access
control (https://cloud.google.com/container-registry/docs/access-control).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from roadstead.iam.permissions import PERMISSIONS, read

OWNER = "roles/owner"
EDITOR = "roles/editor"
VIEWER = "roles/viewer"
BASIC = frozenset({OWNER, EDITOR, VIEWER})

_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Role:
    """name is `roles/…`, `projects/P/roles/…` or `organizations/N/roles/…`; stage is IAM's RoleLaunchStage."""

    name: str
    title: str
    description: str
    permissions: frozenset[str]
    stage: str = "GA"


def expand(role_name: str, custom: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """What the role allows; nothing if nobody knows it."""
    role = BUILT_IN.get(role_name)
    return custom.get(role_name, _NOTHING) if role is None else role.permissions


def _with_verbs(*verbs: str) -> frozenset[str]:
    return frozenset(name for name in PERMISSIONS if name.rpartition(".")[2] in verbs)


def _of(*services: str) -> frozenset[str]:
    """All of a service or of one of its resources."""
    return frozenset(name for name in PERMISSIONS if name.startswith(tuple(service + "." for service in services)))


_PROJECT = read("resourcemanager.projects: get list")

_AR_READ = read("""
    artifactregistry.attachments: get list
    artifactregistry.dockerimages: get list
    artifactregistry.files: download get list
    artifactregistry.locations: get list
    artifactregistry.mavenartifacts: get list
    artifactregistry.npmpackages: get list
    artifactregistry.packages: get list
    artifactregistry.projectsettings: get
    artifactregistry.pythonpackages: get list
    artifactregistry.repositories: downloadArtifacts get list readViaVirtualRepository
    artifactregistry.rules: get list
    artifactregistry.tags: get list
    artifactregistry.versions: get list
""")
_AR_WRITE = _AR_READ | read("""
    artifactregistry.aptartifacts: create
    artifactregistry.attachments: create
    artifactregistry.files: update upload
    artifactregistry.kfpartifacts: create
    artifactregistry.packages: update
    artifactregistry.repositories: uploadArtifacts
    artifactregistry.tags: create update
    artifactregistry.versions: update
    artifactregistry.yumartifacts: create
""")
_AR_REPO_ADMIN = _AR_WRITE | read("""
    artifactregistry.attachments: delete
    artifactregistry.files: delete
    artifactregistry.packages: delete
    artifactregistry.repositories: deleteArtifacts
    artifactregistry.tags: delete
    artifactregistry.versions: delete
""")
_AR_ADMIN = _of("artifactregistry") - {"artifactregistry.repositories.createOnPush"}
_ARTIFACT_REGISTRY = [
    Role("roles/artifactregistry.reader", "Artifact Registry Reader", "Access to read repository items.", _AR_READ),
    Role("roles/artifactregistry.writer", "Artifact Registry Writer", "Access to read and write repository items.", _AR_WRITE),
    Role(
        "roles/artifactregistry.createOnPushWriter",
        "Artifact Registry Create-on-Push Writer",
        "Access to read and write repository items, as well as create new repositories on push.",
        _AR_WRITE | {"artifactregistry.repositories.createOnPush"},
    ),
    Role(
        "roles/artifactregistry.repoAdmin",
        "Artifact Registry Repository Administrator",
        "Access to manage artifacts in repositories.",
        _AR_REPO_ADMIN,
    ),
    Role(
        "roles/artifactregistry.admin",
        "Artifact Registry Administrator",
        "Administrator access to create and manage repositories.",
        _AR_ADMIN,
    ),
]

_UPLOADS = _of("storage.multipartUploads")
_OBJECT_USER = _PROJECT | _UPLOADS | read("storage.objects: create delete get list move restore update")
_BUCKET_READER = read("storage.buckets: get\nstorage.multipartUploads: list\nstorage.objects: list")
_BUCKET_WRITER = _BUCKET_READER | _UPLOADS | read("storage.objects: create delete get")
_STORAGE = [
    Role("roles/storage.admin", "Storage Admin", "Grants full control of buckets and objects.", _PROJECT | _of("storage")),
    Role(
        "roles/storage.objectAdmin",
        "Storage Object Admin",
        "Grants full control over objects, including listing, creating, viewing, and deleting objects.",
        _PROJECT | _UPLOADS | _of("storage.objects"),
    ),
    Role(
        "roles/storage.objectUser",
        "Storage Object User",
        "Access to create, read, update and delete objects and multipart uploads.",
        _OBJECT_USER,
    ),
    Role(
        "roles/storage.objectCreator",
        "Storage Object Creator",
        "Allows users to create objects. Does not give permission to view, delete, or overwrite objects.",
        _PROJECT | read("storage.multipartUploads: abort create listParts\nstorage.objects: create"),
    ),
    Role(
        "roles/storage.objectViewer",
        "Storage Object Viewer",
        "Grants access to view objects and their metadata, excluding ACLs. Can also list the objects in a bucket.",
        _PROJECT | read("storage.objects: get list"),
    ),
    Role("roles/storage.legacyBucketReader", "Storage Legacy Bucket Reader", "Read access to buckets with object listing.", _BUCKET_READER),
    Role(
        "roles/storage.legacyBucketWriter",
        "Storage Legacy Bucket Writer",
        "Push and pull: read access to a bucket with object listing, creation and deletion.",
        _BUCKET_WRITER,
    ),
    Role(
        "roles/storage.legacyBucketOwner",
        "Storage Legacy Bucket Owner",
        "Read and write access to existing buckets with object listing, creation and deletion.",
        _BUCKET_WRITER | read("storage.buckets: getIamPolicy setIamPolicy update"),
    ),
    Role(
        "roles/storage.legacyObjectReader",
        "Storage Legacy Object Reader",
        "Read access to existing objects without listing.",
        read("storage.objects: get"),
    ),
    Role(
        "roles/storage.legacyObjectOwner",
        "Storage Legacy Object Owner",
        "Read and write access to existing objects without listing.",
        read("storage.objects: get getIamPolicy setIamPolicy update"),
    ),
]

_NOTES_VIEW = _PROJECT | read("containeranalysis.notes: get list")
_OCCURRENCES_VIEW = _PROJECT | read("containeranalysis.occurrences: get list")
_OCCURRENCES_EDIT = read("containeranalysis.occurrences: create delete get list update")
_PUBSUB_EDIT = _of("pubsub") - _with_verbs("getIamPolicy", "setIamPolicy")
_CONTAINER_ANALYSIS = [
    Role(
        "roles/containeranalysis.admin",
        "Container Analysis Admin",
        "Access to all Container Analysis resources.",
        _PROJECT | (_of("containeranalysis") - {"containeranalysis.notes.listOccurrences"}),
    ),
    Role(
        "roles/containeranalysis.notes.editor",
        "Container Analysis Notes Editor",
        "Can edit Container Analysis Notes.",
        _NOTES_VIEW | read("containeranalysis.notes: attachOccurrence create delete update"),
    ),
    Role("roles/containeranalysis.notes.viewer", "Container Analysis Notes Viewer", "Can view Container Analysis Notes.", _NOTES_VIEW),
    Role(
        "roles/containeranalysis.notes.occurrences.viewer",
        "Container Analysis Occurrences for Notes Viewer",
        "Can view all Container Analysis Occurrences attached to a Note.",
        read("containeranalysis.notes: get listOccurrences"),
    ),
    Role(
        "roles/containeranalysis.notes.attacher",
        "Container Analysis Notes Attacher",
        "Can attach Container Analysis Occurrences to Notes.",
        read("containeranalysis.notes: attachOccurrence get"),
    ),
    Role(
        "roles/containeranalysis.occurrences.editor",
        "Container Analysis Occurrences Editor",
        "Can edit Container Analysis Occurrences.",
        _PROJECT | _OCCURRENCES_EDIT,
    ),
    Role(
        "roles/containeranalysis.occurrences.viewer",
        "Container Analysis Occurrences Viewer",
        "Can view Container Analysis Occurrences.",
        _OCCURRENCES_VIEW,
    ),
    Role(
        "roles/containeranalysis.ServiceAgent",
        "Container Analysis Service Agent",
        "Gives Container Analysis API the access it needs to function",
        _PROJECT
        | _OCCURRENCES_EDIT
        | _PUBSUB_EDIT
        | read("""
            artifactregistry.dockerimages: get list
            artifactregistry.files: get list
            artifactregistry.packages: get list
            artifactregistry.repositories: downloadArtifacts get list
            artifactregistry.tags: get list
            artifactregistry.versions: get list
            serviceusage.quotas: get
            serviceusage.services: get list
            storage.objects: get list
        """),
    ),
]

_ATTESTORS_VIEW = _PROJECT | read("binaryauthorization.attestors: get list")
_ATTESTORS_VERIFY = _ATTESTORS_VIEW | {"binaryauthorization.attestors.verifyImageAttested"}
_BINAUTHZ_POLICY_VIEW = _PROJECT | read("""
    binaryauthorization.continuousValidationConfig: get
    binaryauthorization.platformPolicies: get list
    binaryauthorization.policy: get
""")
_BINAUTHZ_POLICY_EDIT = _BINAUTHZ_POLICY_VIEW | read("""
    binaryauthorization.continuousValidationConfig: update
    binaryauthorization.platformPolicies: create delete evaluatePolicy replace
    binaryauthorization.policy: evaluatePolicy update
""")
_BINARY_AUTHORIZATION = [
    Role(
        "roles/binaryauthorization.attestorsAdmin",
        "Binary Authorization Attestor Admin",
        "Administrator of Binary Authorization Attestors",
        _PROJECT | _of("binaryauthorization.attestors"),
    ),
    Role(
        "roles/binaryauthorization.attestorsEditor",
        "Binary Authorization Attestor Editor",
        "Editor of Binary Authorization Attestors",
        _ATTESTORS_VERIFY | read("binaryauthorization.attestors: create delete update"),
    ),
    Role(
        "roles/binaryauthorization.attestorsVerifier",
        "Binary Authorization Attestor Image Verifier",
        "Caller of Binary Authorization Attestors VerifyImageAttested",
        _ATTESTORS_VERIFY,
    ),
    Role(
        "roles/binaryauthorization.attestorsViewer",
        "Binary Authorization Attestor Viewer",
        "Viewer of Binary Authorization Attestors",
        _ATTESTORS_VIEW,
    ),
    Role(
        "roles/binaryauthorization.policyAdmin",
        "Binary Authorization Policy Administrator",
        "Administrator of Binary Authorization Policy",
        _PROJECT
        | _of("binaryauthorization.continuousValidationConfig", "binaryauthorization.platformPolicies", "binaryauthorization.policy"),
    ),
    Role(
        "roles/binaryauthorization.policyEditor",
        "Binary Authorization Policy Editor",
        "Editor of Binary Authorization Policy",
        _BINAUTHZ_POLICY_EDIT,
    ),
    Role(
        "roles/binaryauthorization.policyEvaluator",
        "Binary Authorization Policy Evaluator",
        "Evaluator of Binary Authorization Policy",
        _PROJECT | read("binaryauthorization.platformPolicies: evaluatePolicy get list\nbinaryauthorization.policy: evaluatePolicy get"),
    ),
    Role(
        "roles/binaryauthorization.policyViewer",
        "Binary Authorization Policy Viewer",
        "Viewer of Binary Authorization Policy",
        _BINAUTHZ_POLICY_VIEW,
    ),
]

_BUILDS_VIEW = _PROJECT | read("cloudbuild.builds: get list")
_BUILDS_EDIT = _BUILDS_VIEW | read("cloudbuild.builds: create update")
_CLOUD_BUILD = [
    Role("roles/cloudbuild.builds.editor", "Cloud Build Editor", "Can create and cancel builds", _BUILDS_EDIT),
    Role("roles/cloudbuild.builds.viewer", "Cloud Build Viewer", "Can view builds", _BUILDS_VIEW),
    Role(
        "roles/cloudbuild.builds.approver",
        "Cloud Build Approver",
        "Can approve or reject pending builds.",
        _BUILDS_VIEW | {"cloudbuild.builds.approve"},
    ),
    Role(
        "roles/cloudbuild.builds.builder",
        "Cloud Build Service Account",
        "Can perform builds",
        _BUILDS_EDIT
        | _OCCURRENCES_EDIT
        | read("""
            artifactregistry.aptartifacts: create
            artifactregistry.dockerimages: get list
            artifactregistry.files: get list
            artifactregistry.packages: get list
            artifactregistry.repositories: downloadArtifacts get list uploadArtifacts
            artifactregistry.tags: create get list update
            artifactregistry.versions: get list
            artifactregistry.yumartifacts: create
            cloudbuild.workerpools: use
            logging.logEntries: create list
            logging.privateLogEntries: list
            pubsub.topics: create publish
            storage.buckets: create get list
            storage.objects: create delete get list update
        """),
    ),
    Role(
        "roles/cloudbuild.workerPoolUser",
        "Cloud Build WorkerPool User",
        "Can run builds in the WorkerPool.",
        read("cloudbuild.workerpools: use"),
    ),
]

_ACCOUNTS_VIEW = _PROJECT | read("iam.serviceAccounts: get list")
_POOLS_VIEW = _PROJECT | read("""
    iam.workloadIdentityPoolProviderKeys: get list
    iam.workloadIdentityPoolProviders: get list
    iam.workloadIdentityPools: get list
""")
_ROLES_VIEW = read("iam.roles: get list\nresourcemanager.projects: get getIamPolicy")
_ROLES_ADMIN = _ROLES_VIEW | _of("iam.roles")
# Reviewing is seeing who may do what. What was done, in the private log, is another role's.
_REVIEW = (_with_verbs("list", "getIamPolicy") - _of("logging")) | read(
    "iam.roles: get\niam.serviceAccounts: get\nresourcemanager.projects: get"
)
_IAM = [
    Role(
        "roles/iam.serviceAccountAdmin",
        "Service Account Admin",
        "Create and manage service accounts.",
        _ACCOUNTS_VIEW | read("iam.serviceAccounts: create delete disable enable getIamPolicy setIamPolicy undelete update"),
    ),
    Role(
        "roles/iam.serviceAccountCreator",
        "Create Service Accounts",
        "Access to create service accounts.",
        _ACCOUNTS_VIEW | {"iam.serviceAccounts.create"},
    ),
    Role(
        "roles/iam.serviceAccountDeleter",
        "Delete Service Accounts",
        "Access to delete service accounts.",
        _ACCOUNTS_VIEW | {"iam.serviceAccounts.delete"},
    ),
    Role(
        "roles/iam.serviceAccountUser",
        "Service Account User",
        "Run operations as the service account.",
        _ACCOUNTS_VIEW | {"iam.serviceAccounts.actAs"},
    ),
    Role(
        "roles/iam.serviceAccountTokenCreator",
        "Service Account Token Creator",
        "Impersonate service accounts (create OAuth2 access tokens, sign blobs or JWTs, etc).",
        _ACCOUNTS_VIEW | read("iam.serviceAccounts: getAccessToken getOpenIdToken implicitDelegation signBlob signJwt"),
    ),
    Role(
        "roles/iam.serviceAccountKeyAdmin",
        "Service Account Key Admin",
        "Create and manage (and rotate) service account keys.",
        _ACCOUNTS_VIEW | _of("iam.serviceAccountKeys"),
    ),
    Role(
        "roles/iam.serviceAccountViewer",
        "View Service Accounts",
        "Read access to service accounts, metadata, and keys.",
        _ACCOUNTS_VIEW | read("iam.serviceAccountKeys: get list\niam.serviceAccounts: getIamPolicy"),
    ),
    Role(
        "roles/iam.workloadIdentityUser",
        "Workload Identity User",
        "Impersonate service accounts from federated workloads.",
        read("iam.serviceAccounts: get getAccessToken getOpenIdToken list"),
    ),
    Role(
        "roles/iam.workloadIdentityPoolAdmin",
        "IAM Workload Identity Pool Admin",
        "Full rights to create and manage workload identity pools.",
        _PROJECT | _of("iam.workloadIdentityPoolProviderKeys", "iam.workloadIdentityPoolProviders", "iam.workloadIdentityPools"),
    ),
    Role(
        "roles/iam.workloadIdentityPoolViewer",
        "IAM Workload Identity Pool Viewer",
        "Read access to workload identity pools.",
        _POOLS_VIEW,
    ),
    Role("roles/iam.roleAdmin", "Role Administrator", "Access to administer all custom roles in the project.", _ROLES_ADMIN),
    Role("roles/iam.roleViewer", "Role Viewer", "Read access to all custom roles in the project.", _ROLES_VIEW),
    Role(
        "roles/iam.organizationRoleAdmin",
        "Organization Role Administrator",
        "Access to administer all custom roles in the organization and the projects below it.",
        _ROLES_ADMIN | read("resourcemanager.organizations: get getIamPolicy\nresourcemanager.projects: list"),
    ),
    Role(
        "roles/iam.securityAdmin",
        "Security Admin",
        "Security admin role, with permissions to get and set any IAM policy.",
        _REVIEW | _with_verbs("setIamPolicy"),
    ),
    Role(
        "roles/iam.securityReviewer",
        "Security Reviewer",
        "Security reviewer role, with permissions to get any IAM policy.",
        _REVIEW,
    ),
]

_RESOURCE_MANAGER = [
    Role(
        "roles/resourcemanager.projectCreator",
        "Project Creator",
        "Access to create new projects.",
        read("resourcemanager.organizations: get\nresourcemanager.projects: create"),
    ),
    Role(
        "roles/resourcemanager.projectDeleter",
        "Project Deleter",
        "Access to delete projects.",
        read("resourcemanager.projects: delete"),
    ),
    Role(
        "roles/resourcemanager.projectMover",
        "Project Mover",
        "Access to update and move projects.",
        read("resourcemanager.projects: get move update"),
    ),
    Role(
        "roles/resourcemanager.projectIamAdmin",
        "Project IAM Admin",
        "Access and administer a project's IAM policies.",
        read("resourcemanager.projects: get getIamPolicy setIamPolicy"),
    ),
    Role(
        "roles/resourcemanager.organizationAdmin",
        "Organization Administrator",
        "Access to administer all resources belonging to the organization.",
        _of("resourcemanager.organizations") | read("resourcemanager.projects: get getIamPolicy list setIamPolicy"),
    ),
    Role(
        "roles/resourcemanager.organizationViewer",
        "Organization Viewer",
        "Access to view an organization.",
        read("resourcemanager.organizations: get"),
    ),
]

_USAGE_VIEW = read("serviceusage.operations: get list\nserviceusage.quotas: get\nserviceusage.services: get list")
_SERVICE_USAGE = [
    Role(
        "roles/serviceusage.serviceUsageAdmin",
        "Service Usage Admin",
        "Ability to enable, disable, and inspect service states, inspect operations, and consume quota for a consumer project.",
        _of("serviceusage"),
    ),
    Role(
        "roles/serviceusage.serviceUsageConsumer",
        "Service Usage Consumer",
        "Ability to inspect service states and operations, and consume quota for a consumer project.",
        _USAGE_VIEW | {"serviceusage.services.use"},
    ),
    Role(
        "roles/serviceusage.serviceUsageViewer",
        "Service Usage Viewer",
        "Ability to inspect service states and operations for a consumer project.",
        _USAGE_VIEW,
    ),
]

_PUBSUB_CONSUMER = read("resourcemanager.projects: get\nserviceusage.quotas: get\nserviceusage.services: get list")
_PUBSUB = [
    Role(
        "roles/pubsub.admin",
        "Pub/Sub Admin",
        "Full access to topics, subscriptions, and snapshots.",
        _PUBSUB_CONSUMER | _of("pubsub"),
    ),
    Role(
        "roles/pubsub.editor",
        "Pub/Sub Editor",
        "Modify topics and subscriptions, publish and consume messages.",
        _PUBSUB_CONSUMER | _PUBSUB_EDIT,
    ),
    Role("roles/pubsub.publisher", "Pub/Sub Publisher", "Publish messages to a topic.", read("pubsub.topics: publish")),
    Role(
        "roles/pubsub.subscriber",
        "Pub/Sub Subscriber",
        "Consume messages from a subscription, attach subscriptions to a topic, and seek to a snapshot.",
        read("pubsub.snapshots: seek\npubsub.subscriptions: consume\npubsub.topics: attachSubscription"),
    ),
    Role(
        "roles/pubsub.viewer",
        "Pub/Sub Viewer",
        "View topics, subscriptions, and snapshots.",
        _PUBSUB_CONSUMER
        | read("""
            pubsub.schemas: get list listRevisions validate
            pubsub.snapshots: get list
            pubsub.subscriptions: get list
            pubsub.topics: get list
        """),
    ),
]

_CLOUD_ASSET = [
    Role(
        "roles/cloudasset.viewer",
        "Cloud Asset Viewer",
        "Read only access to cloud assets metadata",
        read("cloudasset.assets: searchAllResources"),
    ),
]

_LOGS_VIEW = read("logging.logEntries: list\nlogging.logs: list\nresourcemanager.projects: get")
_LOGGING = [
    Role("roles/logging.viewer", "Logs Viewer", "Access to view logs, except for logs with private contents.", _LOGS_VIEW),
    Role(
        "roles/logging.privateLogViewer",
        "Private Logs Viewer",
        "Access to view all logs, including logs with private contents.",
        _LOGS_VIEW | {"logging.privateLogEntries.list"},
    ),
]

_ON_DEMAND_SCANNING = [
    Role(
        "roles/ondemandscanning.admin",
        "On-Demand Scanning Admin",
        "All permissions for On-Demand Scanning",
        _of("ondemandscanning"),
        "BETA",
    ),
]

_VIEWER = (
    _AR_READ
    | _ATTESTORS_VIEW
    | _BINAUTHZ_POLICY_VIEW
    | _BUILDS_VIEW
    | _NOTES_VIEW
    | _OCCURRENCES_VIEW
    | _ROLES_VIEW
    | _ACCOUNTS_VIEW
    | _POOLS_VIEW
    | _LOGS_VIEW
    | _USAGE_VIEW
    | read("""
        artifactregistry.repositories: getIamPolicy
        cloudasset.assets: searchAllResources
        cloudbuild.workerpools: get list
        containeranalysis.notes: listOccurrences
        iam.serviceAccountKeys: get list
        iam.serviceAccounts: getIamPolicy
        ondemandscanning.operations: get list wait
        ondemandscanning.scans: listVulnerabilities
        pubsub.schemas: get list listRevisions validate
        pubsub.snapshots: get list
        pubsub.subscriptions: get list
        pubsub.topics: get list
        storage.buckets: get list
        storage.multipartUploads: list listParts
        storage.objects: get list
    """)
)
_EDITOR = (
    _VIEWER
    | (_AR_ADMIN - _with_verbs("setIamPolicy"))
    | _ATTESTORS_VERIFY
    | _BINAUTHZ_POLICY_EDIT
    | _BUILDS_EDIT
    | _OCCURRENCES_EDIT
    | _PUBSUB_EDIT
    | _UPLOADS
    | _of("ondemandscanning", "serviceusage")
    | read("""
        artifactregistry.repositories: createOnPush
        binaryauthorization.attestors: create delete update
        cloudbuild.workerpools: create delete update use
        containeranalysis.notes: attachOccurrence create delete update
        iam.serviceAccountKeys: create delete
        iam.serviceAccounts: actAs create delete disable enable update
        logging.logEntries: create
        resourcemanager.projects: move update
        storage.buckets: create delete getIamPolicy update
        storage.objects: create delete move restore update
    """)
)
_BASIC = [
    Role(OWNER, "Owner", "Full access to most resources.", PERMISSIONS),
    Role(EDITOR, "Editor", "View, create, update, and delete most resources.", _EDITOR),
    Role(VIEWER, "Viewer", "View most resources.", _VIEWER),
    Role(
        "roles/browser",
        "Browser",
        "Access to browse resources.",
        read("resourcemanager.organizations: get\nresourcemanager.projects: get getIamPolicy list"),
    ),
]


def _by_name(*lists: Iterable[Role]) -> Mapping[str, Role]:
    return MappingProxyType({role.name: role for roles in lists for role in roles})


BUILT_IN = _by_name(
    _BASIC,
    _ARTIFACT_REGISTRY,
    _BINARY_AUTHORIZATION,
    _CLOUD_ASSET,
    _CLOUD_BUILD,
    _CONTAINER_ANALYSIS,
    _IAM,
    _LOGGING,
    _ON_DEMAND_SCANNING,
    _PUBSUB,
    _RESOURCE_MANAGER,
    _SERVICE_USAGE,
    _STORAGE,
)
"""The predefined roles by name. They cannot be changed."""

__all__ = ["BASIC", "BUILT_IN", "EDITOR", "OWNER", "PERMISSIONS", "VIEWER", "Role", "expand"]
