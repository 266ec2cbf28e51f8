"""
Keyless pipelines over HTTP: a workflow's token becomes one of this server's, which pushes, or acts as a service account.

The provider is given its issuer's keys, as in a network without a way out, so the server asks nobody.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from roadstead.iam.federation import ACCESS_TOKEN
from roadstead.iam.tokens import CLOUD_PLATFORM
from tests.kit.accounts import Installation
from tests.kit.google import GCloud, needs_gcloud
from tests.kit.issuer import Issuer, form, github, issuing


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


class Pipeline:
    """A project whose pool takes the tokens of one issuer, by keys that were given so that the server asks nobody."""

    def __init__(self, installation: Installation, issuer: Issuer) -> None:
        self.installation, self.issuer = installation, issuer
        self.project = installation.project()
        self.number = installation.owner.get(f"/v1/projects/{self.project}").json()["projectNumber"]
        self.pools = f"/v1/projects/{self.project}/locations/global/workloadIdentityPools"
        self.pool = f"projects/{self.number}/locations/global/workloadIdentityPools/github"
        self.audience = f"//iam.googleapis.com/{self.pool}/providers/actions"
        self.must("POST", f"{self.pools}?workloadIdentityPoolId=github", {"displayName": "GitHub"})
        self.must("POST", f"{self.pools}/github/providers?workloadIdentityPoolProviderId=actions", self.provider())

    def provider(self) -> dict[str, Any]:
        return {
            "displayName": "GitHub Actions",
            "attributeMapping": {"google.subject": "assertion.sub", "attribute.repository": "assertion.repository"},
            "attributeCondition": "assertion.repository_owner == 'octo-org'",
            "oidc": {"issuerUri": self.issuer.url, "jwksJson": self.issuer.jwks()},
        }

    def must(self, method: str, path: str, body: Any = None) -> Any:
        response = self.installation.owner.request(method, path, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def form(self, **changes: str) -> dict[str, str]:
        return form(self.issuer.token(self.audience, **github()), self.audience, **changes)

    def exchange(self, **changes: str) -> httpx.Response:
        return httpx.post(f"{self.installation.url}/v1/token", data=self.form(**changes))

    def token(self) -> str:
        return str(self.exchange().json()["access_token"])


@pytest.fixture
def pipeline(installation: Installation, issuer: Issuer) -> Pipeline:
    return Pipeline(installation, issuer)


def test_a_form_or_json_is_exchanged_for_a_token(pipeline: Pipeline) -> None:
    """RFC 8693, 2.2.1; google-auth sends a form in snake_case, generated clients JSON in camelCase, gcloud its client's name and secret."""
    response = pipeline.exchange()
    camel = {
        "".join([first, *map(str.title, rest)]): value for name, value in pipeline.form().items() for first, *rest in [name.split("_")]
    }
    as_json = httpx.post(f"{pipeline.installation.url}/v1/token", json=camel)

    gcloud = ("32555940559.apps.googleusercontent.com", "notasecret")
    of_client = httpx.post(f"{pipeline.installation.url}/v1/token", data=pipeline.form(), auth=gcloud)

    for answer in (response, as_json, of_client):
        assert 200 == answer.status_code, answer.text
        assert ("Bearer", ACCESS_TOKEN, 3600) == tuple(answer.json()[name] for name in ("token_type", "issued_token_type", "expires_in"))
        assert "no-store" == answer.headers["cache-control"]


def test_a_repository_s_workflow_pushes_with_what_its_attribute_was_given_and_another_s_does_not(pipeline: Pipeline) -> None:
    """The member of the policy is the set of all workflows of one repository."""
    installation, project = pipeline.installation, pipeline.project
    token = pipeline.token()
    upload = f"/v2/{project}/image/blobs/uploads/"
    assert 403 == installation.client(installation.registry_token(token, f"repository:{project}/image:push,pull")).post(upload).status_code

    members = f"principalSet://iam.googleapis.com/{pipeline.pool}/attribute.repository/"
    installation.grant(project, "roles/storage.admin", f"{members}octo-org/octo-repo")

    allowed = installation.client(installation.registry_token(token, f"repository:{project}/image:push,pull"))
    assert 202 == allowed.post(upload).status_code
    other = pipeline.issuer.token(pipeline.audience, **github("octo-org/another"))
    stranger = httpx.post(f"{installation.url}/v1/token", data=form(other, pipeline.audience)).json()["access_token"]
    denied = installation.client(installation.registry_token(stranger, f"repository:{project}/image:push,pull"))
    assert 403 == denied.post(upload).status_code


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"subject_token": "x.y.z"}, "invalid_grant"),
        ({"audience": "//iam.googleapis.com/nothing"}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"subject_token_type": "x"}, "invalid_request"),
    ],
)
def test_a_refusal_is_oauth_s(pipeline: Pipeline, changes: dict[str, str], error: str) -> None:
    """RFC 6749, 5.2"""
    response = httpx.post(f"{pipeline.installation.url}/v1/token", data={**pipeline.form(), **changes})

    assert 400 == response.status_code
    assert error == response.json()["error"]
    assert response.json()["error_description"]


@pytest.mark.parametrize(
    "content", [b"grant_type=a&grant_type=b", b"\xff=\xfe", b"&" * 100, b"grant_type=%ff", b"[" * 100_000, b"[1]", b'{"a": 1}']
)
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path", ["/v1/token", "/v1/introspect"])
def test_what_is_no_request_is_refused(pipeline: Pipeline, path: str, kind: str, content: bytes) -> None:
    response = httpx.post(f"{pipeline.installation.url}{path}", content=content, headers={"content-type": kind})

    inactive = path == "/v1/introspect" and response.json() == {"active": False}
    assert inactive or (400 == response.status_code and response.json()["error"] in ("invalid_request", "unsupported_grant_type"))


def test_introspection_tells_whose_a_token_is(pipeline: Pipeline) -> None:
    """gcloud auth login --cred-file asks this (contract.md, Credentials for gcloud)."""
    address = f"{pipeline.installation.url}/v1/introspect"

    found = httpx.post(address, data={"token": pipeline.token(), "token_type_hint": ACCESS_TOKEN}).json()

    assert found["active"]
    assert f"principal://iam.googleapis.com/{pipeline.pool}/subject/{github()['sub']}" == found["username"]
    assert {"active": False} == httpx.post(address, data={"token": "eyJ.x.y"}).json()


def test_a_federated_identity_acts_as_a_service_account_that_it_may_act_as(pipeline: Pipeline) -> None:
    """iamcredentials: what google-auth does with service_account_impersonation_url."""
    installation, project = pipeline.installation, pipeline.project
    email = installation.account(project, "deployer")
    caller = installation.client(pipeline.token())
    address = f"/v1/projects/-/serviceAccounts/{email}:generateAccessToken"
    body = {"delegates": None, "scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "600s"}
    assert 403 == caller.post(address, json=body).status_code

    account = f"/v1/projects/{project}/serviceAccounts/{email}"
    member = f"principal://iam.googleapis.com/{pipeline.pool}/subject/{github()['sub']}"
    policy = {"bindings": [{"role": "roles/iam.workloadIdentityUser", "members": [member]}]}
    pipeline.must("POST", f"{account}:setIamPolicy", {"policy": policy})
    installation.grant(project, "roles/viewer", f"serviceAccount:{email}")

    response = caller.post(address, json=body)

    assert 200 == response.status_code, response.text
    assert 590 < datetime.fromisoformat(response.json()["expireTime"]).timestamp() - time.time() <= 601
    acting = installation.client(response.json()["accessToken"])
    assert 200 == acting.get(f"/v1/projects/{project}").status_code
    pipeline.must("POST", f"{account}:disable", {})
    assert 401 == acting.get(f"/v1/projects/{project}").status_code
    assert "FAILED_PRECONDITION" == caller.post(address, json=body).json()["error"]["status"]


def test_a_token_with_narrow_scopes_does_not_get_one_with_wide_ones(pipeline: Pipeline) -> None:
    """ZOT and Harbor alike had tokens that could ask for more than they had (security.md A: scope widening)."""
    installation = pipeline.installation
    email = installation.account(pipeline.project, "powerful")
    installation.grant(pipeline.project, "roles/iam.serviceAccountTokenCreator", f"principalSet://iam.googleapis.com/{pipeline.pool}/*")
    narrow = pipeline.exchange(scope="https://www.googleapis.com/auth/devstorage.read_only").json()["access_token"]

    for what, body in (("AccessToken", {"scope": [CLOUD_PLATFORM]}), ("IdToken", {"audience": "x"})):
        address = f"/v1/projects/-/serviceAccounts/{email}:generate{what}"
        assert 403 == installation.client(narrow).post(address, json=body).status_code
        assert 200 == installation.client(pipeline.token()).post(address, json=body).status_code


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"scope": []},
        {"scope": ["a b"]},
        {"scope": [CLOUD_PLATFORM], "lifetime": "3601s"},
        {"scope": [CLOUD_PLATFORM], "lifetime": "0s"},
        {"scope": [CLOUD_PLATFORM], "lifetime": "-5s"},
        {"scope": [CLOUD_PLATFORM], "lifetime": "1h"},
        {"scope": [CLOUD_PLATFORM], "delegates": ["projects/-/serviceAccounts/x@example.com"]},
        {"scope": [CLOUD_PLATFORM], "unknown": 1},
    ],
)
def test_a_wrong_request_for_an_accounts_token_is_refused(installation: Installation, body: dict[str, Any]) -> None:
    project = installation.project(registry=False)
    address = f"/v1/projects/-/serviceAccounts/{installation.account(project, 'account')}:generateAccessToken"
    installation.grant(project, "roles/iam.serviceAccountTokenCreator", "user:owner@localhost")

    assert 400 == installation.owner.post(address, json=body).status_code


def test_an_identity_token_is_no_access_token(pipeline: Pipeline) -> None:
    """RFC 8725, 3.12: a token for one purpose must not pass for another, whatever its audience is."""
    installation, project = pipeline.installation, pipeline.project
    email = installation.account(project, "identified")
    installation.grant(project, "roles/iam.serviceAccountTokenCreator", f"principalSet://iam.googleapis.com/{pipeline.pool}/*")
    installation.grant(project, "roles/viewer", f"serviceAccount:{email}")
    caller = installation.client(pipeline.token())
    own = json.loads(base64.urlsafe_b64decode(pipeline.token().split(".")[1] + "=="))["aud"]

    for wanted in ("https://service.example.com", own):
        response = caller.post(f"/v1/projects/-/serviceAccounts/{email}:generateIdToken", json={"audience": wanted, "includeEmail": True})
        token = response.json()["token"]
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        assert (wanted, email, True) == (claims["aud"], claims["email"], claims["email_verified"])
        assert 401 == installation.client(token).get(f"/v1/projects/{project}").status_code
        assert {"active": False} == httpx.post(f"{installation.url}/v1/introspect", data={"token": token}).json()


def test_pools_and_providers_are_made_changed_listed_deleted_and_had_back(pipeline: Pipeline) -> None:
    """IAM v1, projects.locations.workloadIdentityPools: every change answers an operation that is done and can be polled."""
    must, pools, name = pipeline.must, pipeline.pools, f"{pipeline.pool}/providers/actions"

    assert {"name": pipeline.pool, "displayName": "GitHub", "state": "ACTIVE"} == must("GET", f"{pools}/github")
    assert [pipeline.pool] == [pool["name"] for pool in must("GET", pools)["workloadIdentityPools"]]
    assert [name] == [each["name"] for each in must("GET", f"{pools}/github/providers")["workloadIdentityPoolProviders"]]

    operation = must("PATCH", f"{pools}/github?updateMask=displayName,disabled", {"displayName": "Ours", "disabled": True})
    assert operation["done"]
    assert operation == must("GET", f"/v1/{operation['name']}")
    assert ("Ours", True) == (operation["response"]["displayName"], operation["response"]["disabled"])
    assert "invalid_target" == pipeline.exchange().json()["error"]
    must("PATCH", f"{pools}/github?updateMask=disabled", {})

    changed = {"oidc": {"allowedAudiences": ["https://registry.example.com"]}}
    must("PATCH", f"{pools}/github/providers/actions?updateMask=oidc.allowed_audiences", changed)
    found = must("GET", f"{pools}/github/providers/actions")
    assert {**pipeline.provider()["oidc"], "allowedAudiences": ["https://registry.example.com"]} == found["oidc"]
    assert pipeline.provider()["attributeCondition"] == found["attributeCondition"]
    assert "invalid_grant" == pipeline.exchange().json()["error"]
    must("PATCH", f"{pools}/github/providers/actions?updateMask=oidc", {"oidc": pipeline.provider()["oidc"]})
    assert 200 == pipeline.exchange().status_code

    must("DELETE", f"{pools}/github/providers/actions")
    assert "DELETED" == must("GET", f"{pools}/github/providers/actions")["state"]
    assert {} == must("GET", f"{pools}/github/providers")
    must("POST", f"{pools}/github/providers/actions:undelete", {})
    must("DELETE", f"{pools}/github")
    assert {} == must("GET", pools)
    assert 1 == len(must("GET", f"{pools}?showDeleted=true")["workloadIdentityPools"])
    must("POST", f"{pools}/github:undelete", {})
    assert 200 == pipeline.exchange().status_code


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "?workloadIdentityPoolId=x", {}, 400),
        ("POST", "", {}, 400),
        ("POST", "?workloadIdentityPoolId=gcp-pool", {}, 400),
        ("POST", "?workloadIdentityPoolId=github", {}, 409),
        ("POST", "?workloadIdentityPoolId=another", {"unknown": 1}, 400),
        ("POST", "?workloadIdentityPoolId=another", {"mode": "TRUST_DOMAIN"}, 400),
        ("GET", "/missing", None, 404),
        ("PATCH", "/github", {}, 400),
        ("PATCH", "/github?updateMask=name", {}, 400),
        ("POST", "/github:undelete", {}, 400),
        ("POST", "/missing/providers?workloadIdentityPoolProviderId=abcd", None, 404),
        ("POST", "/github/providers?workloadIdentityPoolProviderId=abcd", {"aws": {"accountId": "1"}}, 400),
        ("POST", "/github/providers?workloadIdentityPoolProviderId=actions", None, 409),
        ("GET", "/github/providers?pageToken=!", None, 400),
        ("GET", "/%00", None, 404),
    ],
)
def test_a_wrong_request_is_answered_as_the_api_s_errors_say(
    pipeline: Pipeline, method: str, path: str, body: dict[str, Any] | None, status: int
) -> None:
    given = pipeline.provider() if method == "POST" and body is None else body

    response = pipeline.installation.owner.request(method, pipeline.pools + path, json=given)

    assert status == response.status_code, response.text
    assert status == response.json()["error"]["code"]


@pytest.mark.slow
def test_pools_are_the_administrators(pipeline: Pipeline) -> None:
    """A project's editor must not let others in; who only looks changes nothing; nobody from outside sees them."""
    installation, project, pools = pipeline.installation, pipeline.project, pipeline.pools
    editor, viewer = (installation.client(installation.robot(project, f"roles/{role}")) for role in ("editor", "viewer"))
    manager = installation.client(installation.robot(project, "roles/iam.workloadIdentityPoolAdmin"))
    outside = installation.client(installation.robot(installation.project(registry=False), "roles/owner"))

    for who in (editor, viewer, outside):
        assert 403 == who.post(f"{pools}?workloadIdentityPoolId=theirs", json={}).status_code
        assert 403 == who.delete(f"{pools}/github").status_code
        assert 403 == who.patch(f"{pools}/github/providers/actions?updateMask=attributeCondition", json={}).status_code
    assert 200 == viewer.get(pools).status_code
    assert 403 == outside.get(pools).status_code
    assert 401 == installation.client().get(pools).status_code
    assert 200 == manager.post(f"{pools}?workloadIdentityPoolId=theirs", json={}).status_code


def test_google_auth_does_it_all_by_a_credential_file(pipeline: Pipeline, tmp_path: Path) -> None:
    """The file that google-github-actions/auth writes, read by Google's own library."""
    identity_pool = pytest.importorskip("google.auth.identity_pool")
    requests_transport = pytest.importorskip("google.auth.transport.requests")
    installation = pipeline.installation
    email = installation.account(pipeline.project, "from-actions")
    everyone = f"principalSet://iam.googleapis.com/{pipeline.pool}/*"
    installation.grant(pipeline.project, "roles/iam.workloadIdentityUser", everyone)
    (tmp_path / "token").write_text(pipeline.issuer.token(pipeline.audience, **github()))
    info = {
        "type": "external_account",
        "audience": pipeline.audience,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{installation.url}/v1/token",
        "credential_source": {"file": str(tmp_path / "token")},
        "service_account_impersonation_url": f"{installation.url}/v1/projects/-/serviceAccounts/{email}:generateAccessToken",
    }
    credentials = identity_pool.Credentials.from_info(info, scopes=[CLOUD_PLATFORM])

    credentials.refresh(requests_transport.Request())

    found = httpx.post(f"{installation.url}/v1/introspect", data={"token": credentials.token}).json()
    assert f"serviceAccount:{email}" == found["username"]


def test_tokens_of_a_deleted_project_s_pool_give_nothing(pipeline: Pipeline) -> None:
    """Nothing in a project that is being deleted works, also not what its pool may do elsewhere."""
    installation, elsewhere = pipeline.installation, pipeline.installation.project(registry=False)
    installation.grant(elsewhere, "roles/viewer", f"principalSet://iam.googleapis.com/{pipeline.pool}/*")
    caller = installation.client(pipeline.token())
    assert 200 == caller.get(f"/v1/projects/{elsewhere}").status_code

    pipeline.must("DELETE", f"/v1/projects/{pipeline.project}")
    assert 401 == caller.get(f"/v1/projects/{elsewhere}").status_code

    pipeline.must("POST", f"/v1/projects/{pipeline.project}:undelete", {})
    assert 200 == caller.get(f"/v1/projects/{elsewhere}").status_code


@pytest.mark.slow
@needs_gcloud
def test_gcloud_sets_a_pipeline_up(installation: Installation, issuer: Issuer, tmp_path: Path) -> None:
    """The commands of Google's guide to workload identity federation, unchanged."""
    gcloud = GCloud(installation, tmp_path / "gcloud")
    project = installation.project(registry=False)
    (tmp_path / "jwks.json").write_text(issuer.jwks())
    here = ["--location=global", f"--project={project}"]
    pools, providers = ["iam", "workload-identity-pools"], ["iam", "workload-identity-pools", "providers"]
    mapping = "google.subject=assertion.sub,attribute.repository=assertion.repository"

    gcloud(*pools, "create", "ci-pool", *here, "--display-name=CI")
    below = ["--workload-identity-pool=ci-pool", *here]
    rules = [f"--attribute-mapping={mapping}", "--attribute-condition=assertion.repository_owner=='octo-org'"]
    keys = f"--jwk-json-path={tmp_path / 'jwks.json'}"
    gcloud(*providers, "create-oidc", "github", *below, f"--issuer-uri={issuer.url}", *rules, keys)
    gcloud(*providers, "update-oidc", "github", *below, "--display-name=Hub")
    name = gcloud(*providers, "list", *below, "--format=value(name)")
    assert name.endswith("/workloadIdentityPools/ci-pool/providers/github")
    assert "Hub" == gcloud(*providers, "describe", "github", *below, "--format=value(displayName)")
    gcloud(*providers, "delete", "github", *below)
    gcloud(*providers, "undelete", "github", *below)
    gcloud(*pools, "update", "ci-pool", *here, "--disabled")
    assert "True" == gcloud(*pools, "describe", "ci-pool", *here, "--format=value(disabled)")

    told = gcloud("logging", "read", "workloadIdentityPools", f"--project={project}", "--format=value(protoPayload.methodName)")
    assert 6 == len(told.splitlines())


@pytest.mark.slow
@needs_gcloud
def test_gcloud_logs_in_with_a_pipeline_s_credential_file(pipeline: Pipeline, tmp_path: Path) -> None:
    """contract.md, Credentials for gcloud: auth login --cred-file, with our own token and introspection addresses."""
    installation = pipeline.installation
    installation.grant(pipeline.project, "roles/viewer", f"principalSet://iam.googleapis.com/{pipeline.pool}/*")
    (tmp_path / "token").write_text(pipeline.issuer.token(pipeline.audience, **github()))
    gcloud = GCloud(installation, tmp_path / "gcloud")
    provider, file = pipeline.audience.removeprefix("//iam.googleapis.com/"), tmp_path / "credentials.json"
    made = [f"--credential-source-file={tmp_path / 'token'}", f"--output-file={file}"]
    gcloud("iam", "workload-identity-pools", "create-cred-config", provider, *made)
    file.write_text(json.dumps({**json.loads(file.read_text()), "token_url": f"{installation.url}/v1/token"}))
    gcloud.forget_token(auth_token_introspection_endpoint=f"{installation.url}/v1/introspect")

    gcloud("auth", "login", f"--cred-file={file}")

    assert pipeline.project == gcloud("projects", "describe", pipeline.project, "--format=value(projectId)")


@pytest.mark.slow
@needs_gcloud
def test_gcloud_impersonates_an_account(installation: Installation, tmp_path: Path) -> None:
    project = installation.project(registry=False)
    email = installation.account(project, "deployer")
    installation.grant(project, "roles/iam.serviceAccountTokenCreator", "user:owner@localhost")
    gcloud = GCloud(installation, tmp_path / "gcloud")

    token = gcloud("auth", "print-access-token", f"--impersonate-service-account={email}").splitlines()[-1]

    about = httpx.post(f"{installation.url}/v1/introspect", data={"token": token}).json()
    assert f"serviceAccount:{email}" == about["username"]
