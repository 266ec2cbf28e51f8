"""
What can be allowed: Google's permissions of the services that this server speaks, in one short table.

Left out are permissions for what is not here at all (tag bindings of Resource Manager, folders, caches and retention of Cloud Storage).
Source: IAM, Role and permission reference (https://cloud.google.com/iam/docs/roles-permissions).
"""

from __future__ import annotations

_TABLE = """
artifactregistry.aptartifacts: create
artifactregistry.attachments: create delete get list
artifactregistry.dockerimages: get list
artifactregistry.files: delete download get list update upload
artifactregistry.kfpartifacts: create
artifactregistry.locations: get list
artifactregistry.mavenartifacts: get list
artifactregistry.npmpackages: get list
artifactregistry.packages: delete get list update
artifactregistry.projectsettings: get update
artifactregistry.pythonpackages: get list
artifactregistry.repositories: create createOnPush delete deleteArtifacts downloadArtifacts get getIamPolicy list readViaVirtualRepository
artifactregistry.repositories: setIamPolicy update uploadArtifacts
artifactregistry.rules: create delete get list update
artifactregistry.tags: create delete get list update
artifactregistry.versions: delete get list update
artifactregistry.yumartifacts: create
binaryauthorization.attestors: create delete get getIamPolicy list setIamPolicy update verifyImageAttested
binaryauthorization.continuousValidationConfig: get getIamPolicy setIamPolicy update
binaryauthorization.platformPolicies: create delete evaluatePolicy get list replace
binaryauthorization.policy: evaluatePolicy get getIamPolicy setIamPolicy update
cloudasset.assets: searchAllResources
cloudbuild.builds: approve create get list update
cloudbuild.workerpools: create delete get list update use
containeranalysis.notes: attachOccurrence create delete get getIamPolicy list listOccurrences setIamPolicy update
containeranalysis.occurrences: create delete get getIamPolicy list setIamPolicy update
iam.roles: create delete get list undelete update
iam.serviceAccountKeys: create delete disable enable get list
iam.serviceAccounts: actAs create delete disable enable get getAccessToken getIamPolicy getOpenIdToken implicitDelegation list
iam.serviceAccounts: setIamPolicy signBlob signJwt undelete update
iam.workloadIdentityPoolProviderKeys: create delete get list undelete
iam.workloadIdentityPoolProviders: create delete get list undelete update
iam.workloadIdentityPools: create delete get list undelete update
logging.logEntries: create list
logging.logs: list
logging.privateLogEntries: list
ondemandscanning.operations: cancel delete get list wait
ondemandscanning.scans: analyzePackages listVulnerabilities scan
pubsub.schemas: attach commit create delete get getIamPolicy list listRevisions rollback setIamPolicy validate
pubsub.snapshots: create delete get getIamPolicy list seek setIamPolicy update
pubsub.subscriptions: consume create delete get getIamPolicy list setIamPolicy update
pubsub.topics: attachSubscription create delete detachSubscription get getIamPolicy list publish setIamPolicy update updateTag
resourcemanager.organizations: get getIamPolicy setIamPolicy
resourcemanager.projects: create delete get getIamPolicy list move setIamPolicy undelete update
serviceusage.operations: cancel delete get list
serviceusage.quotas: get update
serviceusage.services: disable enable get list use
storage.buckets: create delete get getIamPolicy list setIamPolicy update
storage.multipartUploads: abort create list listParts
storage.objects: create delete get getIamPolicy list move restore setIamPolicy update
"""


def read(table: str) -> frozenset[str]:
    """Lines of `service.resource: verb verb …`, several for one resource if need be."""
    lines = (line.partition(":") for line in table.strip().splitlines())
    return frozenset(f"{resource.strip()}.{verb}" for resource, _, verbs in lines for verb in verbs.split())


PERMISSIONS = read(_TABLE)
"""All that a role here can hold."""
