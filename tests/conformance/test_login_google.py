"""google-auth and the google-cloud-* libraries with a key file: its token_uri, JWTs that it signs itself, and identity tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import google.auth
import httpx
import pytest
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import Forbidden, Unauthorized
from google.auth import jwt as google_jwt
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud.resourcemanager_v3 import ProjectsClient
from google.cloud.service_usage_v1 import EnableServiceRequest, ListServicesRequest, ServiceUsageClient
from google.oauth2 import credentials as user_credentials
from google.oauth2 import service_account
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.kit.places import PULLS, PUSHES, Place
from tests.kit.push import push_image

pytestmark = pytest.mark.usefixtures("trusting")

CLOUD = "https://www.googleapis.com/auth/cloud-platform"
READ_ONLY = "https://www.googleapis.com/auth/cloud-platform.read-only"
REGISTRY = "containerregistry.googleapis.com"


@pytest.fixture
def owned(place: Place) -> str:
    return place.installation.project()


@pytest.fixture
def key(place: Place, owned: str, tmp_path: Path) -> Callable[..., Path]:
    """Makes the key file of a new account with these roles on the project."""

    def make(*roles: str) -> Path:
        file = tmp_path / "key.json"
        file.write_text(place.key_of(owned, *roles))
        return file

    return make


def credentials(file: Path, *scopes: str) -> Any:
    return service_account.Credentials.from_service_account_file(file, scopes=scopes or None)  # type: ignore[no-untyped-call]


def self_signing(file: Path, *scopes: str) -> Any:
    return credentials(file, *scopes).with_always_use_jwt_access(True)


def visible(session: AuthorizedSession, place: Place) -> set[str]:
    response = session.get(f"{place.url}/v1/projects")
    assert 200 == response.status_code, response.text
    return {project["projectId"] for project in response.json().get("projects", [])}


def test_the_key_file_names_this_server(place: Place, key: Callable[..., Path]) -> None:
    """Over the transport that it was made over, so a token is never fetched in the clear where HTTPS was spoken."""
    assert f"{place.url}/token" == credentials(key(), CLOUD)._token_uri


def test_a_token_is_fetched_at_the_token_uri_and_lists_what_the_account_sees(place: Place, owned: str, key: Callable[..., Path]) -> None:
    session = AuthorizedSession(credentials(key("roles/viewer"), CLOUD))  # type: ignore[no-untyped-call]

    assert {owned} == visible(session, place)
    assert session.credentials.token
    assert not session.credentials.expired


def test_application_default_credentials_are_found(
    place: Place, owned: str, key: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key("roles/viewer")))
    found, project = google.auth.default(scopes=[CLOUD])

    assert owned == project
    assert {owned} == visible(AuthorizedSession(found), place)  # type: ignore[no-untyped-call]


def test_a_deleted_key_gets_no_token(place: Place, key: Callable[..., Path]) -> None:
    file = key("roles/viewer")
    found = credentials(file, CLOUD)
    found.refresh(Request())
    email = found.service_account_email
    gone = place.installation.owner.delete(f"/v1/projects/-/serviceAccounts/{email}/keys/{found._signer.key_id}")
    assert 200 == gone.status_code, gone.text

    with pytest.raises(RefreshError, match="invalid_grant"):
        credentials(file, CLOUD).refresh(Request())


def test_another_accounts_key_under_this_name_gets_no_token(place: Place, owned: str, key: Callable[..., Path]) -> None:
    stranger = place.key(place.account(owned))
    info = {**stranger, "client_email": credentials(key("roles/owner")).service_account_email}
    forged = service_account.Credentials.from_service_account_info(info, scopes=[CLOUD])  # type: ignore[no-untyped-call]

    with pytest.raises(RefreshError, match="invalid_grant"):
        forged.refresh(Request())


def test_a_self_signed_jwt_with_scopes_is_a_bearer_token_of_every_api(place: Place, owned: str, key: Callable[..., Path]) -> None:
    push_image(place.installation.owner, f"{owned}/image")
    session = AuthorizedSession(self_signing(key("roles/viewer", PULLS), CLOUD))  # type: ignore[no-untyped-call]

    assert {owned} == visible(session, place)
    assert ["v1"] == session.get(f"{place.url}/v2/{owned}/image/tags/list").json()["tags"]
    assert 403 == session.delete(f"{place.url}/v2/{owned}/image/manifests/v1").status_code


@pytest.mark.parametrize("service", ["cloudresourcemanager", "storage", "containeranalysis"])
def test_a_self_signed_jwt_for_a_google_api_is_taken(place: Place, owned: str, key: Callable[..., Path], service: str) -> None:
    """contract.md, 4.3: the audience is the API's own address, even when the endpoint is ours."""
    made = google_jwt.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]
        key("roles/viewer"), audience=f"https://{service}.googleapis.com/"
    )

    assert {owned} == visible(AuthorizedSession(made), place)  # type: ignore[no-untyped-call]


def test_a_self_signed_jwt_for_somebody_else_is_refused(place: Place, key: Callable[..., Path]) -> None:
    """Else whoever is shown one could show it to us: the token endpoint's and other people's services' are no Bearer tokens."""
    file = key("roles/owner")
    for audience in (
        "https://oauth2.googleapis.com/token",
        f"{place.url}/token",
        "https://service.example.com/",
        "https://googleapis.com.example.com/",
    ):
        made = google_jwt.Credentials.from_service_account_file(file, audience=audience)  # type: ignore[no-untyped-call]
        session = AuthorizedSession(made, max_refresh_attempts=0)  # type: ignore[no-untyped-call]

        assert 401 == session.get(f"{place.url}/v1/projects").status_code, audience


def test_a_jwts_scopes_limit_it(place: Place, owned: str, key: Callable[..., Path]) -> None:
    file = key("roles/owner")
    for found in (credentials(file, READ_ONLY), self_signing(file, READ_ONLY)):
        session = AuthorizedSession(found)  # type: ignore[no-untyped-call]

        assert {owned} == visible(session, place)
        assert 403 == session.post(f"{place.url}/v1/projects/{owned}/services/{REGISTRY}:disable", json={}).status_code


def test_an_identity_token_names_its_audience_and_is_no_bearer_token(place: Place, key: Callable[..., Path]) -> None:
    """Anybody can verify it with the keys that this server publishes."""
    audience = "https://service.example.com"
    made = service_account.IDTokenCredentials.from_service_account_file(key("roles/owner"), target_audience=audience)  # type: ignore[no-untyped-call]
    made.refresh(Request())

    with place.client() as client:
        published = KeySet.import_key_set(client.get("/oauth2/v3/certs").json())
    claims = jwt.decode(made.token, published, algorithms=["ES256"]).claims

    assert (audience, made.service_account_email) == (claims["aud"], claims["email"])
    with place.client(made.token) as client:
        assert 401 == client.get("/v1/projects").status_code


@pytest.mark.parametrize("signs", [False, True], ids=["token", "self-signed"])
def test_resource_manager_and_service_usage_with_a_key_file(place: Place, owned: str, key: Callable[..., Path], signs: bool) -> None:
    made: Any = {
        "transport": "rest",
        "credentials": self_signing(key("roles/editor")) if signs else _fetched(credentials(key("roles/editor"), CLOUD)),
        "client_options": ClientOptions(api_endpoint=place.url),
    }
    projects, services = ProjectsClient(**made), ServiceUsageClient(**made)

    assert owned == projects.get_project(name=f"projects/{owned}").project_id
    assert {owned} == {each.project_id for each in projects.search_projects()}
    services.enable_service(EnableServiceRequest(name=f"projects/{owned}/services/pubsub.googleapis.com")).result()
    enabled = services.list_services(ListServicesRequest(parent=f"projects/{owned}", filter="state:ENABLED"))
    assert {REGISTRY, "pubsub.googleapis.com"} <= {each.config.name for each in enabled}
    with pytest.raises(Forbidden):
        projects.get_project(name=f"projects/{place.installation.project()}")


def _fetched(found: Any) -> Any:
    """A token of the token_uri; left alone, a client of Google's signs its own (contract.md, 4.3)."""
    found.refresh(Request())
    return user_credentials.Credentials(token=found.token)  # type: ignore[no-untyped-call]


def test_a_disabled_account_is_nobody_to_the_libraries(place: Place, owned: str, key: Callable[..., Path]) -> None:
    found = self_signing(key("roles/editor"))
    client = ProjectsClient(transport="rest", credentials=found, client_options=ClientOptions(api_endpoint=place.url))
    assert owned == client.get_project(name=f"projects/{owned}").project_id

    disabled = place.installation.owner.post(f"/v1/projects/{owned}/serviceAccounts/{found.service_account_email}:disable")
    assert 200 == disabled.status_code, disabled.text

    with pytest.raises(Unauthorized):
        client.get_project(name=f"projects/{owned}")


def test_a_fetched_token_is_dockers_password(place: Place, owned: str, key: Callable[..., Path]) -> None:
    found = credentials(key(PUSHES), CLOUD)
    found.refresh(Request())
    response = httpx.get(
        f"{place.installation.url}/v2/token", params={"scope": f"repository:{owned}/x:pull,push"}, auth=("oauth2accesstoken", found.token)
    )

    assert 200 == response.status_code
