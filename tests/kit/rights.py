"""
Who may do what, written down by hand from what Google publishes: what the authorization matrix (tests/iam/test_matrix.py) expects.

Nothing here is read from the program, so that a check which is missing there is missed here. Each line of a table is a route:

    METHOD  TEMPLATE  WHAT  [PERMISSION]

WHAT says on what the permission is needed: `project` (and everything in it) or `organization`; or, without a permission, `nobody` (open to
everyone), `somebody` (any good credential), `client` (open, and Authorization is not looked at), `person` (a browser that is signed in).

Sources: the REST references of Resource Manager v1 and v3, Service Usage v1, IAM v1, IAM Credentials v1, STS v1, Cloud Storage JSON v1,
Artifact Registry v1, Cloud Asset v1, Cloud Logging v2, Container Analysis v1, On-Demand Scanning v1, each with its "Required permissions";
Container Registry, Configuring access control.
"""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    what: str
    permission: str = ""


def _read(table: str) -> dict[tuple[str, str], Rule]:
    lines = [line.split() for line in table.strip().splitlines() if line.strip()]
    found = {(method, template): Rule(*rest) for method, template, *rest in lines}
    assert len(found) == len(lines), "a route stands here twice"
    return found


GOOGLE = _read("""
GET    /v1/projects                                        somebody
POST   /v1/projects                                        organization resourcemanager.projects.create
GET    /v1/projects/{project}                              project      resourcemanager.projects.get
PUT    /v1/projects/{project}                              project      resourcemanager.projects.update
DELETE /v1/projects/{project}                              project      resourcemanager.projects.delete
POST   /v1/projects/{project}:undelete                     project      resourcemanager.projects.undelete
POST   /v1/projects/{project}:getAncestry                  project      resourcemanager.projects.get
POST   /v1/projects/{project}:getIamPolicy                 project      resourcemanager.projects.getIamPolicy
POST   /v1/projects/{project}:setIamPolicy                 project      resourcemanager.projects.setIamPolicy
POST   /v1/projects/{project}:testIamPermissions           somebody
POST   /v1/organizations:search                            somebody
GET    /v1/organizations/{organization}                    organization resourcemanager.organizations.get
POST   /v1/organizations/{organization}:getIamPolicy       organization resourcemanager.organizations.getIamPolicy
POST   /v1/organizations/{organization}:setIamPolicy       organization resourcemanager.organizations.setIamPolicy
POST   /v1/organizations/{organization}:testIamPermissions somebody
GET    /v1/operations/{operation=**}                       somebody

GET    /v3/projects                                        somebody
GET    /v3/projects:search                                 somebody
POST   /v3/projects                                        organization resourcemanager.projects.create
GET    /v3/projects/{project}                              project      resourcemanager.projects.get
PATCH  /v3/projects/{project}                              project      resourcemanager.projects.update
DELETE /v3/projects/{project}                              project      resourcemanager.projects.delete
POST   /v3/projects/{project}:undelete                     project      resourcemanager.projects.undelete
POST   /v3/projects/{project}:getIamPolicy                 project      resourcemanager.projects.getIamPolicy
POST   /v3/projects/{project}:setIamPolicy                 project      resourcemanager.projects.setIamPolicy
POST   /v3/projects/{project}:testIamPermissions           somebody
GET    /v3/organizations:search                            somebody
GET    /v3/organizations/{organization}                    organization resourcemanager.organizations.get
POST   /v3/organizations/{organization}:getIamPolicy       organization resourcemanager.organizations.getIamPolicy
POST   /v3/organizations/{organization}:setIamPolicy       organization resourcemanager.organizations.setIamPolicy
POST   /v3/organizations/{organization}:testIamPermissions somebody
GET    /v3/operations/{operation=**}                       somebody

GET    /v1/projects/{project}/services                     project serviceusage.services.list
GET    /v1/projects/{project}/services:batchGet            project serviceusage.services.get
POST   /v1/projects/{project}/services:batchEnable         project serviceusage.services.enable
GET    /v1/projects/{project}/services/{service}           project serviceusage.services.get
POST   /v1/projects/{project}/services/{service}:enable    project serviceusage.services.enable
POST   /v1/projects/{project}/services/{service}:disable   project serviceusage.services.disable

POST   /v1/projects/{project}/serviceAccounts                              project iam.serviceAccounts.create
GET    /v1/projects/{project}/serviceAccounts                              project iam.serviceAccounts.list
GET    /v1/projects/{project}/serviceAccounts/{account}                    project iam.serviceAccounts.get
PATCH  /v1/projects/{project}/serviceAccounts/{account}                    project iam.serviceAccounts.update
PUT    /v1/projects/{project}/serviceAccounts/{account}                    project iam.serviceAccounts.update
DELETE /v1/projects/{project}/serviceAccounts/{account}                    project iam.serviceAccounts.delete
POST   /v1/projects/{project}/serviceAccounts/{account}:undelete           project iam.serviceAccounts.undelete
POST   /v1/projects/{project}/serviceAccounts/{account}:disable            project iam.serviceAccounts.disable
POST   /v1/projects/{project}/serviceAccounts/{account}:enable             project iam.serviceAccounts.enable
POST   /v1/projects/{project}/serviceAccounts/{account}:getIamPolicy       project iam.serviceAccounts.getIamPolicy
POST   /v1/projects/{project}/serviceAccounts/{account}:setIamPolicy       project iam.serviceAccounts.setIamPolicy
POST   /v1/projects/{project}/serviceAccounts/{account}:testIamPermissions somebody
POST   /v1/projects/{project}/serviceAccounts/{account}:generateAccessToken project iam.serviceAccounts.getAccessToken
POST   /v1/projects/{project}/serviceAccounts/{account}:generateIdToken    project iam.serviceAccounts.getOpenIdToken
POST   /v1/projects/{project}/serviceAccounts/{account}/keys               project iam.serviceAccountKeys.create
POST   /v1/projects/{project}/serviceAccounts/{account}/keys:upload        project iam.serviceAccountKeys.create
GET    /v1/projects/{project}/serviceAccounts/{account}/keys               project iam.serviceAccountKeys.list
GET    /v1/projects/{project}/serviceAccounts/{account}/keys/{key}         project iam.serviceAccountKeys.get
DELETE /v1/projects/{project}/serviceAccounts/{account}/keys/{key}         project iam.serviceAccountKeys.delete
POST   /v1/projects/{project}/serviceAccounts/{account}/keys/{key}:disable project iam.serviceAccountKeys.disable
POST   /v1/projects/{project}/serviceAccounts/{account}/keys/{key}:enable  project iam.serviceAccountKeys.enable

GET    /v1/roles                                           somebody
GET    /v1/roles/{role}                                    somebody
POST   /v1/roles:queryGrantableRoles                       somebody
POST   /v1/permissions:queryTestablePermissions            somebody
GET    /v1/projects/{project}/roles                        project      iam.roles.list
POST   /v1/projects/{project}/roles                        project      iam.roles.create
GET    /v1/projects/{project}/roles/{role}                 project      iam.roles.get
PATCH  /v1/projects/{project}/roles/{role}                 project      iam.roles.update
DELETE /v1/projects/{project}/roles/{role}                 project      iam.roles.delete
POST   /v1/projects/{project}/roles/{role}:undelete        project      iam.roles.undelete
GET    /v1/organizations/{organization}/roles              organization iam.roles.list
POST   /v1/organizations/{organization}/roles              organization iam.roles.create
GET    /v1/organizations/{organization}/roles/{role}       organization iam.roles.get
PATCH  /v1/organizations/{organization}/roles/{role}       organization iam.roles.update
DELETE /v1/organizations/{organization}/roles/{role}       organization iam.roles.delete
POST   /v1/organizations/{organization}/roles/{role}:undelete organization iam.roles.undelete

GET    /storage/v1/b                                       project  storage.buckets.list
GET    /storage/v1/b/{bucket}                              project  storage.buckets.get
GET    /storage/v1/b/{bucket}/iam                          project  storage.buckets.getIamPolicy
PUT    /storage/v1/b/{bucket}/iam                          project  storage.buckets.setIamPolicy
GET    /storage/v1/b/{bucket}/iam/testPermissions          somebody

GET    /v1/projects/{project}/projectSettings              project  artifactregistry.projectsettings.get
GET    /v1/projects/{project}/locations                    project  artifactregistry.locations.list
GET    /v1/projects/{project}/locations/{location}         project  artifactregistry.locations.get
GET    /v1beta2/projects/{project}/locations               project  artifactregistry.locations.list
GET    /v1/projects/{project}/locations/{location}/repositories                                    project artifactregistry.repositories.list
GET    /v1/projects/{project}/locations/{location}/repositories/{repository}                       project artifactregistry.repositories.get
GET    /v1/projects/{project}/locations/{location}/repositories/{repository}:getIamPolicy          project artifactregistry.repositories.getIamPolicy
POST   /v1/projects/{project}/locations/{location}/repositories/{repository}:setIamPolicy          project artifactregistry.repositories.setIamPolicy
POST   /v1/projects/{project}/locations/{location}/repositories/{repository}:testIamPermissions    somebody
GET    /v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package}:getIamPolicy       project artifactregistry.repositories.getIamPolicy
POST   /v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package}:setIamPolicy       project artifactregistry.repositories.setIamPolicy
POST   /v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package}:testIamPermissions somebody
GET    /v1/projects/{project}/locations/{location}/repositories/{repository}/packages                                 project artifactregistry.packages.list
GET    /v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package}                       project artifactregistry.packages.get
GET    /v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package}/versions              project artifactregistry.versions.list
GET    /v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package}/versions/{version}    project artifactregistry.versions.get
GET    /v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package}/tags                  project artifactregistry.tags.list
GET    /v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package}/tags/{tag}            project artifactregistry.tags.get
DELETE /v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package}                       project artifactregistry.packages.delete
DELETE /v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package}/versions/{version}    project artifactregistry.versions.delete
POST   /v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package}/tags                  project artifactregistry.tags.create
PATCH  /v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package}/tags/{tag}            project artifactregistry.tags.update
DELETE /v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package}/tags/{tag}            project artifactregistry.tags.delete
GET    /v1/projects/{project}/locations/{location}/operations/{operation}                                             somebody
GET    /v1beta1/projects/{project}/locations/{location}/operations/{operation}                                        somebody
GET    /v1/projects/{project}/locations/{location}/repositories/{repository}/dockerImages                             project artifactregistry.dockerimages.list
GET    /v1/projects/{project}/locations/{location}/repositories/{repository}/dockerImages/{image}                     project artifactregistry.dockerimages.get

GET    /v1/projects/{project}:searchAllResources              project      cloudasset.assets.searchAllResources
GET    /v1/organizations/{organization}:searchAllResources   organization cloudasset.assets.searchAllResources

POST   /v1/token                                           client
POST   /v1/introspect                                      client

POST   /v1/projects/{project}/locations/{location}/workloadIdentityPools                                     project iam.workloadIdentityPools.create
GET    /v1/projects/{project}/locations/{location}/workloadIdentityPools                                     project iam.workloadIdentityPools.list
GET    /v1/projects/{project}/locations/{location}/workloadIdentityPools/{pool}                              project iam.workloadIdentityPools.get
PATCH  /v1/projects/{project}/locations/{location}/workloadIdentityPools/{pool}                              project iam.workloadIdentityPools.update
DELETE /v1/projects/{project}/locations/{location}/workloadIdentityPools/{pool}                              project iam.workloadIdentityPools.delete
POST   /v1/projects/{project}/locations/{location}/workloadIdentityPools/{pool}:undelete                     project iam.workloadIdentityPools.undelete
GET    /v1/projects/{project}/locations/{location}/workloadIdentityPools/{pool}/operations/{operation}       project iam.workloadIdentityPools.get
POST   /v1/projects/{project}/locations/{location}/workloadIdentityPools/{pool}/providers                    project iam.workloadIdentityPoolProviders.create
GET    /v1/projects/{project}/locations/{location}/workloadIdentityPools/{pool}/providers                    project iam.workloadIdentityPoolProviders.list
GET    /v1/projects/{project}/locations/{location}/workloadIdentityPools/{pool}/providers/{provider}         project iam.workloadIdentityPoolProviders.get
PATCH  /v1/projects/{project}/locations/{location}/workloadIdentityPools/{pool}/providers/{provider}         project iam.workloadIdentityPoolProviders.update
DELETE /v1/projects/{project}/locations/{location}/workloadIdentityPools/{pool}/providers/{provider}         project iam.workloadIdentityPoolProviders.delete
POST   /v1/projects/{project}/locations/{location}/workloadIdentityPools/{pool}/providers/{provider}:undelete project iam.workloadIdentityPoolProviders.undelete
GET    /v1/projects/{project}/locations/{location}/workloadIdentityPools/{pool}/providers/{provider}/operations/{operation} project iam.workloadIdentityPoolProviders.get

POST   /v1/projects/{project}/notes                                                            project containeranalysis.notes.create
POST   /v1/projects/{project}/notes:batchCreate                                                project containeranalysis.notes.create
GET    /v1/projects/{project}/notes                                                            project containeranalysis.notes.list
GET    /v1/projects/{project}/notes/{note}                                                     project containeranalysis.notes.get
PATCH  /v1/projects/{project}/notes/{note}                                                     project containeranalysis.notes.update
DELETE /v1/projects/{project}/notes/{note}                                                     project containeranalysis.notes.delete
POST   /v1/projects/{project}/notes/{note}:getIamPolicy                                        project containeranalysis.notes.getIamPolicy
POST   /v1/projects/{project}/notes/{note}:setIamPolicy                                        project containeranalysis.notes.setIamPolicy
POST   /v1/projects/{project}/notes/{note}:testIamPermissions                                  somebody
GET    /v1/projects/{project}/notes/{note}/occurrences                                         project containeranalysis.notes.listOccurrences
POST   /v1/projects/{project}/occurrences                                                      project containeranalysis.occurrences.create
POST   /v1/projects/{project}/occurrences:batchCreate                                          project containeranalysis.occurrences.create
GET    /v1/projects/{project}/occurrences                                                      project containeranalysis.occurrences.list
GET    /v1/projects/{project}/occurrences:vulnerabilitySummary                                 project containeranalysis.occurrences.list
GET    /v1/projects/{project}/occurrences/{occurrence}                                         project containeranalysis.occurrences.get
GET    /v1/projects/{project}/occurrences/{occurrence}/notes                                   project containeranalysis.occurrences.get
PATCH  /v1/projects/{project}/occurrences/{occurrence}                                         project containeranalysis.occurrences.update
DELETE /v1/projects/{project}/occurrences/{occurrence}                                         project containeranalysis.occurrences.delete
POST   /v1/projects/{project}/occurrences/{occurrence}:getIamPolicy                            project containeranalysis.occurrences.getIamPolicy
POST   /v1/projects/{project}/occurrences/{occurrence}:setIamPolicy                            project containeranalysis.occurrences.setIamPolicy
POST   /v1/projects/{project}/occurrences/{occurrence}:testIamPermissions                      somebody

POST   /v1/projects/{project}/locations/{location}/notes                                       project containeranalysis.notes.create
POST   /v1/projects/{project}/locations/{location}/notes:batchCreate                           project containeranalysis.notes.create
GET    /v1/projects/{project}/locations/{location}/notes                                       project containeranalysis.notes.list
GET    /v1/projects/{project}/locations/{location}/notes/{note}                                project containeranalysis.notes.get
PATCH  /v1/projects/{project}/locations/{location}/notes/{note}                                project containeranalysis.notes.update
DELETE /v1/projects/{project}/locations/{location}/notes/{note}                                project containeranalysis.notes.delete
POST   /v1/projects/{project}/locations/{location}/notes/{note}:getIamPolicy                   project containeranalysis.notes.getIamPolicy
POST   /v1/projects/{project}/locations/{location}/notes/{note}:setIamPolicy                   project containeranalysis.notes.setIamPolicy
POST   /v1/projects/{project}/locations/{location}/notes/{note}:testIamPermissions             somebody
GET    /v1/projects/{project}/locations/{location}/notes/{note}/occurrences                    project containeranalysis.notes.listOccurrences
POST   /v1/projects/{project}/locations/{location}/occurrences                                 project containeranalysis.occurrences.create
POST   /v1/projects/{project}/locations/{location}/occurrences:batchCreate                     project containeranalysis.occurrences.create
GET    /v1/projects/{project}/locations/{location}/occurrences                                 project containeranalysis.occurrences.list
GET    /v1/projects/{project}/locations/{location}/occurrences:vulnerabilitySummary            project containeranalysis.occurrences.list
GET    /v1/projects/{project}/locations/{location}/occurrences/{occurrence}                    project containeranalysis.occurrences.get
GET    /v1/projects/{project}/locations/{location}/occurrences/{occurrence}/notes              project containeranalysis.occurrences.get
PATCH  /v1/projects/{project}/locations/{location}/occurrences/{occurrence}                    project containeranalysis.occurrences.update
DELETE /v1/projects/{project}/locations/{location}/occurrences/{occurrence}                    project containeranalysis.occurrences.delete
POST   /v1/projects/{project}/locations/{location}/occurrences/{occurrence}:getIamPolicy       project containeranalysis.occurrences.getIamPolicy
POST   /v1/projects/{project}/locations/{location}/occurrences/{occurrence}:setIamPolicy       project containeranalysis.occurrences.setIamPolicy
POST   /v1/projects/{project}/locations/{location}/occurrences/{occurrence}:testIamPermissions somebody
POST   /v1/projects/{project}/resources/{resource=**}:exportSBOM                                project containeranalysis.occurrences.create
POST   /v1/projects/{project}/locations/{location}/resources/{resource=**}:exportSBOM           project containeranalysis.occurrences.create

POST   /v1/projects/{project}/locations/{location}/scans:analyzePackages                       project ondemandscanning.scans.analyzePackages
GET    /v1/projects/{project}/locations/{location}/scans/{scan}/vulnerabilities                project ondemandscanning.scans.listVulnerabilities
POST   /v1beta1/projects/{project}/locations/{location}/scans:analyzePackages                  project ondemandscanning.scans.analyzePackages
GET    /v1beta1/projects/{project}/locations/{location}/scans/{scan}/vulnerabilities           project ondemandscanning.scans.listVulnerabilities

POST   /v2/entries:list                                    project  logging.logEntries.list
""")  # noqa: E501

# Here the permission is pull, push or delete: what REGISTRY_RIGHTS says that a role gives.
DISTRIBUTION = _read("""
GET    /v2/                                somebody
HEAD   /v2/                                somebody
GET    /v2/token                           nobody
POST   /v2/token                           client
GET    /v2/_catalog                        nobody
GET    /v2/<name>/tags/list                project pull
GET    /v2/<name>/manifests/<reference>    project pull
HEAD   /v2/<name>/manifests/<reference>    project pull
PUT    /v2/<name>/manifests/<reference>    project push
DELETE /v2/<name>/manifests/<reference>    project delete
GET    /v2/<name>/blobs/<digest>           project pull
HEAD   /v2/<name>/blobs/<digest>           project pull
DELETE /v2/<name>/blobs/<digest>           project delete
GET    /v2/<name>/referrers/<digest>       project pull
POST   /v2/<name>/blobs/uploads/           project push
GET    /v2/<name>/blobs/uploads/<upload>   project push
PATCH  /v2/<name>/blobs/uploads/<upload>   project push
PUT    /v2/<name>/blobs/uploads/<upload>   project push
DELETE /v2/<name>/blobs/uploads/<upload>   project push
""")

OAUTH = _read("""
POST   /token                 client
POST   /oauth2/v4/token       client
POST   /revoke                client
POST   /o/oauth2/revoke       client
GET    /oauth2/v3/userinfo    somebody
POST   /oauth2/v3/userinfo    somebody
GET    /oauth2/v3/tokeninfo   client
POST   /oauth2/v3/tokeninfo   client
GET    /oauth2/v3/certs       client
""")

PAGES = _read("""
GET    /signin                           client
POST   /signin                           client
POST   /signin/code                      client
POST   /signin/out                       person
GET    /signin/link                      client
POST   /signin/link                      client
GET    /signin/oidc/<name>               client
GET    /signin/oidc/<name>/callback      client
GET    /o/oauth2/auth                    person
POST   /o/oauth2/auth                    person
GET    /o/oauth2/v2/auth                 person
POST   /o/oauth2/v2/auth                 person
GET    /account                          person
POST   /account/password                 person
POST   /account/second-factor            person
POST   /account/second-factor/confirm    person
POST   /account/second-factor/off        person
POST   /account/end                      person
POST   /account/end-all                  person
GET    /static/<name>                    client
""")

# Container Registry, Configuring access control (storage roles), Artifact Registry, Access control with IAM; the rest gives nothing.
REGISTRY_RIGHTS: dict[str, str] = {
    "roles/owner": "pull push delete",
    "roles/editor": "pull push delete",
    "roles/viewer": "pull",
    "roles/storage.admin": "pull push delete",
    "roles/storage.objectAdmin": "pull push delete",
    "roles/storage.objectUser": "pull push delete",
    "roles/storage.objectCreator": "push",
    "roles/storage.objectViewer": "pull",
    "roles/storage.legacyBucketWriter": "pull push delete",
    "roles/storage.legacyBucketOwner": "pull push delete",
    "roles/storage.legacyObjectReader": "pull",
    "roles/storage.legacyObjectOwner": "pull",
    "roles/artifactregistry.reader": "pull",
    "roles/artifactregistry.writer": "pull push",
    "roles/artifactregistry.createOnPushWriter": "pull push",
    "roles/artifactregistry.repoAdmin": "pull push delete",
    "roles/artifactregistry.admin": "pull push delete",
    "roles/containeranalysis.ServiceAgent": "pull",
    "roles/cloudbuild.builds.builder": "pull push delete",
}

# "" is an account without any role.
ROLES_ON_PROJECT = (
    "", "roles/owner", "roles/editor", "roles/viewer", "roles/browser",
    "roles/storage.admin", "roles/storage.objectAdmin", "roles/storage.objectUser", "roles/storage.objectCreator",
    "roles/storage.objectViewer", "roles/storage.legacyBucketReader", "roles/storage.legacyBucketWriter", "roles/storage.legacyBucketOwner",
    "roles/storage.legacyObjectReader", "roles/storage.legacyObjectOwner",
    "roles/artifactregistry.reader", "roles/artifactregistry.writer", "roles/artifactregistry.createOnPushWriter",
    "roles/artifactregistry.repoAdmin", "roles/artifactregistry.admin",
    "roles/containeranalysis.admin", "roles/containeranalysis.occurrences.viewer", "roles/containeranalysis.ServiceAgent",
    "roles/binaryauthorization.attestorsAdmin", "roles/binaryauthorization.policyAdmin",
    "roles/cloudbuild.builds.editor", "roles/cloudbuild.builds.builder",
    "roles/iam.serviceAccountAdmin", "roles/iam.serviceAccountCreator", "roles/iam.serviceAccountDeleter", "roles/iam.serviceAccountUser",
    "roles/iam.serviceAccountTokenCreator", "roles/iam.serviceAccountKeyAdmin", "roles/iam.serviceAccountViewer",
    "roles/iam.workloadIdentityUser", "roles/iam.workloadIdentityPoolAdmin", "roles/iam.workloadIdentityPoolViewer",
    "roles/iam.roleAdmin", "roles/iam.roleViewer", "roles/iam.securityAdmin", "roles/iam.securityReviewer",
    "roles/serviceusage.serviceUsageAdmin", "roles/serviceusage.serviceUsageConsumer", "roles/serviceusage.serviceUsageViewer",
    "roles/resourcemanager.projectDeleter", "roles/resourcemanager.projectMover", "roles/resourcemanager.projectIamAdmin",
    "roles/logging.viewer", "roles/logging.privateLogViewer", "roles/ondemandscanning.admin", "roles/pubsub.admin",
)  # fmt: skip
ROLES_ON_ORGANIZATION = (
    "roles/owner", "roles/viewer", "roles/browser", "roles/resourcemanager.projectCreator", "roles/resourcemanager.organizationAdmin",
    "roles/resourcemanager.organizationViewer", "roles/iam.organizationRoleAdmin", "roles/storage.objectViewer",
    "roles/iam.securityReviewer",
)  # fmt: skip
