"""The endpoints that programs log in at, over a socket, with what gcloud and google-auth send (contract.md, section 3)."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import google.auth.transport.requests
import google.oauth2.credentials
import google.oauth2.service_account
import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from roadstead.api.messages import Request
from roadstead.iam.audit import Filter
from roadstead.iam.credentials import Kind
from roadstead.iam.keys import key_file
from tests.kit.gcloud import GCLOUD, SCOPE, VERIFIER, asked, authorize, redeem, refresh, userinfo
from tests.kit.site import PASSWORD, Browser, Site, site

_numbers = itertools.count()
CLOUD = "https://www.googleapis.com/auth/cloud-platform"
GOOGLE_TOKEN = "https://oauth2.googleapis.com/token"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture
def late(tmp_path: Path) -> Iterator[Site]:
    """One whose clock the test turns."""
    with site(tmp_path) as running:
        yield running


@pytest.fixture
def alice(pages: Site) -> str:
    return new_person(pages)


@pytest.fixture
def browser(pages: Site, alice: str) -> Iterator[Browser]:
    with Browser(pages.url) as opened:
        opened.sign_in(alice)
        yield opened


@pytest.fixture(scope="module")
def robot(pages: Site) -> dict[str, Any]:
    return new_robot(pages)


def new_person(pages: Site) -> str:
    email = f"alice-{next(_numbers)}@example.com"
    pages.run(pages.known.people.create(email, "Alice", PASSWORD))
    return email


def new_robot(pages: Site, base_url: str = "") -> dict[str, Any]:
    """A service account's key file."""
    known, project = pages.known, f"robots-{next(_numbers)}"
    pages.run(known.projects.create(project, "Robots"))
    account = pages.run(known.service_accounts.create(project, "builder"))
    key, pem = pages.run(known.keys.create(account.email))
    return dict(key_file(key, pem, base_url or pages.url))


def code_of(browser: Browser, **changes: str) -> str:
    allowed = browser.send_form(browser.get(asked(**changes)), "/o/oauth2/auth", answer="allow")
    return parse_qs(urlsplit(allowed.headers["location"]).query)["code"][0]


def claims_of(token: str) -> dict[str, Any]:
    """Unverified."""
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def post(pages: Site, path: str = "/token", **form: str) -> httpx.Response:
    return httpx.post(pages.url + path, data=form, trust_env=False)


def assertion(robot: dict[str, Any], headers: dict[str, str] | None = None, **changes: object) -> str:
    now = int(time.time())
    claims = {"iss": robot["client_email"], "scope": CLOUD, "aud": GOOGLE_TOKEN, "iat": now, "exp": now + 3600} | changes
    header = {"alg": "RS256", "typ": "JWT", "kid": robot["private_key_id"]} | (headers or {})
    return jwt.encode(header, {name: value for name, value in claims.items() if value is not None}, RSAKey.import_key(robot["private_key"]))


# Codes


def test_a_code_becomes_what_gcloud_needs(browser: Browser, pages: Site, alice: str) -> None:
    answer = authorize(browser, pages)

    assert {"access_token", "refresh_token", "expires_in", "token_type", "scope", "id_token"} == set(answer)
    assert (3599, "Bearer", SCOPE) == (answer["expires_in"], answer["token_type"], answer["scope"])
    identity = claims_of(answer["id_token"])
    assert (alice, True, GCLOUD) == (identity["email"], identity["email_verified"], identity["aud"])


def test_the_access_token_is_the_person_s(browser: Browser, pages: Site, alice: str) -> None:
    about = userinfo(pages, authorize(browser, pages)["access_token"])

    assert {"sub": f"user:{alice}", "email": alice, "email_verified": True, "name": "Alice"} == about.json()


def test_an_answer_with_tokens_is_kept_by_nobody(browser: Browser, pages: Site) -> None:
    """RFC 6749, 5.1."""
    assert "no-store" == redeem(pages, code_of(browser)).headers["cache-control"]
    assert "no-store" == redeem(pages, "rsc_none").headers["cache-control"]


def test_the_identity_token_is_verified_with_the_public_keys(browser: Browser, pages: Site, alice: str) -> None:
    answer = authorize(browser, pages)
    keys = KeySet.import_key_set(httpx.get(f"{pages.url}/oauth2/v3/certs", trust_env=False).json())

    assert alice == jwt.decode(answer["id_token"], keys, algorithms=["ES256"]).claims["email"]


def test_a_code_that_comes_twice_ends_all_that_came_of_it(browser: Browser, pages: Site) -> None:
    """RFC 6749, 10.5: one of the two stole it."""
    code = code_of(browser)
    answer = redeem(pages, code).json()
    assert 200 == userinfo(pages, answer["access_token"]).status_code

    assert "invalid_grant" == redeem(pages, code).json()["error"]

    assert "invalid_grant" == refresh(pages, answer["refresh_token"]).json()["error"]
    assert 401 == userinfo(pages, answer["access_token"]).status_code


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": ""},
        {"code_verifier": VERIFIER + "x"},
        {"redirect_uri": "http://localhost:8086/"},
        {"client_id": "roadstead-cli"},
        {"client_id": "unknown"},
        {"code": "rsc_" + "a" * 43},
        {"code": ""},
        {"code": "rsr_" + "a" * 43},
        {"grant_type": "password"},
        {"grant_type": ""},
    ],
    ids=str,
)
def test_a_code_is_good_for_who_asked_for_it_only(browser: Browser, pages: Site, changes: dict[str, str]) -> None:
    answer = redeem(pages, **({"code": code_of(browser)} | changes))

    assert answer.status_code in (400, 401)
    assert {"error", "error_description"} == set(answer.json())


def test_a_code_is_good_for_ten_minutes(late: Site) -> None:
    with Browser(late.url) as browser:
        browser.sign_in(new_person(late))
        code = code_of(browser)
    late.clock.turn(601)

    assert "invalid_grant" == redeem(late, code).json()["error"]


def test_a_code_of_somebody_who_was_disabled_since_is_worth_nothing(browser: Browser, pages: Site, alice: str) -> None:
    code = code_of(browser)
    pages.run(pages.known.people.disable(alice))

    assert "invalid_grant" == redeem(pages, code).json()["error"]


def test_a_client_may_stand_in_the_authorization_header(browser: Browser, pages: Site) -> None:
    """RFC 6749, 2.3.1."""
    form = {
        "grant_type": "authorization_code",
        "code": code_of(browser),
        "redirect_uri": "http://localhost:8085/",
        "code_verifier": VERIFIER,
    }

    answer = httpx.post(f"{pages.url}/token", data=form, auth=(GCLOUD, "public"), trust_env=False)

    assert 200 == answer.status_code


# Refreshing and revoking


def test_a_refresh_token_is_good_again_and_again(browser: Browser, pages: Site) -> None:
    """Several gcloud processes refresh with it at the same time."""
    token = authorize(browser, pages)["refresh_token"]

    for _ in range(3):
        answer = refresh(pages, token).json()
        assert {"access_token", "expires_in", "token_type", "scope", "id_token"} == set(answer)
        assert 200 == userinfo(pages, answer["access_token"]).status_code


def test_google_s_library_refreshes_unchanged(browser: Browser, pages: Site) -> None:
    credentials = google.oauth2.credentials.Credentials(  # type: ignore[no-untyped-call]
        None,
        refresh_token=authorize(browser, pages)["refresh_token"],
        token_uri=f"{pages.url}/token",
        client_id=GCLOUD,
        client_secret="public",
        scopes=SCOPE.split(),
    )

    credentials.refresh(google.auth.transport.requests.Request())  # type: ignore[no-untyped-call]

    assert 200 == userinfo(pages, credentials.token).status_code


def test_less_can_be_asked_for_and_more_cannot(browser: Browser, pages: Site) -> None:
    """RFC 6749, 6; a token's scope is not widened."""
    token = authorize(browser, pages, scope="openid email")["refresh_token"]

    assert "email" == refresh(pages, token, scope="email").json()["scope"]
    assert "invalid_scope" == refresh(pages, token, scope=CLOUD).json()["error"]


def test_docker_s_refresh_token_is_nothing_here_but_can_be_revoked(pages: Site, alice: str) -> None:
    token = pages.run(pages.known.credentials.issue(Kind.DOCKER, f"user:{alice}", GCLOUD, 3600, {"location": "us"}))

    answer = refresh(pages, token)
    assert (400, "invalid_grant") == (answer.status_code, answer.json()["error"])
    assert 1 == len(pages.run(pages.known.credentials.list(f"user:{alice}", Kind.DOCKER)))

    post(pages, "/revoke", token=token)
    assert not pages.run(pages.known.credentials.list(f"user:{alice}", Kind.DOCKER))


def test_a_refresh_token_without_a_scope_is_refused(pages: Site, alice: str) -> None:
    token = pages.run(pages.known.credentials.issue(Kind.REFRESH, f"user:{alice}", GCLOUD, 3600, {"location": "us"}))

    assert "invalid_grant" == refresh(pages, token).json()["error"]


def test_what_was_revoked_and_by_whom_is_in_the_audit_log(browser: Browser, pages: Site, alice: str) -> None:
    post(pages, "/revoke", token=authorize(browser, pages)["access_token"])
    post(pages, "/revoke", token=authorize(browser, pages)["refresh_token"])

    found = pages.run(pages.known.audit.query(Filter(method="oauth.revoke"), 2)).entries
    assert [f"user:{alice}"] * 2 == [entry.member for entry in found]


def test_an_unused_refresh_token_ends_and_a_used_one_lives_on(late: Site) -> None:
    with Browser(late.url) as browser:
        browser.sign_in(new_person(late))
        token, unused = authorize(browser, late)["refresh_token"], authorize(browser, late)["refresh_token"]
    late.clock.turn(80 * 24 * 3600)
    assert 200 == refresh(late, token).status_code
    late.clock.turn(80 * 24 * 3600)

    assert 200 == refresh(late, token).status_code
    assert "invalid_grant" == refresh(late, unused).json()["error"]


def test_a_refresh_token_is_another_program_s_nothing(browser: Browser, pages: Site) -> None:
    token = authorize(browser, pages)["refresh_token"]

    assert "invalid_grant" == refresh(pages, token, client_id="roadstead-cli").json()["error"]


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_to_revoke_either_token_ends_the_login(browser: Browser, pages: Site, which: str) -> None:
    """RFC 7009, 2.1."""
    answer = authorize(browser, pages)

    assert 200 == post(pages, "/revoke", token=answer[which]).status_code

    assert 401 == userinfo(pages, answer["access_token"]).status_code
    assert 400 == refresh(pages, answer["refresh_token"]).status_code


def test_to_revoke_what_is_void_is_no_error(pages: Site) -> None:
    """RFC 7009, 2.2. The token may stand in the query, where Google's clients put it."""
    assert 200 == httpx.post(f"{pages.url}/revoke?token=rsr_unknown", trust_env=False).status_code
    assert 200 == post(pages, "/revoke", token="a.b.c").status_code
    assert 400 == post(pages, "/revoke").status_code


def test_rights_end_at_once_when_the_person_is_disabled(browser: Browser, pages: Site, alice: str) -> None:
    answer = authorize(browser, pages)
    pages.run(pages.known.people.disable(alice))

    assert 401 == userinfo(pages, answer["access_token"]).status_code
    assert "invalid_grant" == refresh(pages, answer["refresh_token"]).json()["error"]
    pages.run(pages.known.people.enable(alice))
    assert "invalid_grant" == refresh(pages, answer["refresh_token"]).json()["error"]


# Service accounts


def test_google_s_library_logs_a_service_account_in(pages: Site, robot: dict[str, Any]) -> None:
    credentials = google.oauth2.service_account.Credentials.from_service_account_info(robot, scopes=[CLOUD])  # type: ignore[no-untyped-call]

    credentials.refresh(google.auth.transport.requests.Request())  # type: ignore[no-untyped-call]

    assert robot["client_email"] == userinfo(pages, credentials.token).json()["email"]


def test_google_s_library_gets_an_identity_token(pages: Site, robot: dict[str, Any]) -> None:
    """What gcloud does when a service account is activated."""
    credentials = google.oauth2.service_account.IDTokenCredentials.from_service_account_info(robot, target_audience=GCLOUD)  # type: ignore[no-untyped-call]

    credentials.refresh(google.auth.transport.requests.Request())  # type: ignore[no-untyped-call]

    identity = claims_of(credentials.token)
    assert (GCLOUD, robot["client_email"]) == (identity["aud"], identity["email"])


def test_both_audiences_that_clients_send_are_taken(pages: Site, robot: dict[str, Any]) -> None:
    for audience in (GOOGLE_TOKEN, "https://www.googleapis.com/oauth2/v4/token", f"{pages.url}/token", f"{pages.url}/oauth2/v4/token"):
        answer = post(pages, grant_type=JWT_BEARER, assertion=assertion(robot, aud=audience))
        assert {"access_token", "expires_in", "token_type", "scope"} == set(answer.json()), audience


def test_the_request_s_host_is_no_audience_for_a_key_that_may_be_another_server_s_too(pages: Site, robot: dict[str, Any]) -> None:
    """The private half of an uploaded key may sign for other servers, and Host is whatever the sender writes."""
    pair = RSAKey.generate_key(2048)
    key = pages.run(pages.known.keys.upload(robot["client_email"], pair.as_pem(private=False)))
    uploaded = {**robot, "private_key_id": key.id, "private_key": pair.as_pem(private=True).decode()}

    def answer(of: dict[str, Any], audience: str) -> int:
        form = {"grant_type": JWT_BEARER, "assertion": assertion(of, aud=audience)}
        return httpx.post(f"{pages.url}/token", data=form, headers={"host": "other.example"}, trust_env=False).status_code

    assert 400 == answer(uploaded, "http://other.example/token")
    assert 200 == answer(uploaded, GOOGLE_TOKEN)
    assert 200 == answer(robot, "http://other.example/token")


def test_behind_a_public_address_the_request_s_host_is_no_audience(tmp_path: Path) -> None:
    """Whoever has an assertion for another server could name that server in Host."""
    with site(tmp_path, public_url="https://registry.example.com") as pages:
        robot = new_robot(pages, "https://registry.example.com")
        form = {"grant_type": JWT_BEARER, "assertion": assertion(robot, aud="http://other.example/token")}

        foreign = httpx.post(f"{pages.url}/token", data=form, headers={"host": "other.example"}, trust_env=False)
        own = post(pages, grant_type=JWT_BEARER, assertion=assertion(robot, aud="https://registry.example.com/token"))

    assert ("invalid_grant", 200) == (foreign.json()["error"], own.status_code)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"aud": "https://registry.example.com/token"}, "invalid_grant"),
        ({"aud": None}, "invalid_grant"),
        ({"exp": int(time.time()) - 3600, "iat": int(time.time()) - 7200}, "invalid_grant"),
        ({"exp": int(time.time()) + 7200}, "invalid_grant"),
        ({"iss": "nobody@robots-project.iam.gserviceaccount.com"}, "invalid_grant"),
        ({"sub": "alice@example.com"}, "invalid_grant"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": ["a"]}, "invalid_scope"),
        ({"target_audience": ""}, "invalid_request"),
        ({"target_audience": 1}, "invalid_request"),
    ],
)
def test_an_assertion_that_is_not_right_is_refused(pages: Site, robot: dict[str, Any], changes: dict[str, object], error: str) -> None:
    answer = post(pages, grant_type=JWT_BEARER, assertion=assertion(robot, **changes))

    assert (400, error) == (answer.status_code, answer.json()["error"])


def test_an_assertion_by_another_s_key_is_refused(pages: Site, robot: dict[str, Any]) -> None:
    forged = {**robot, "private_key": RSAKey.generate_key(2048).as_pem(private=True).decode()}

    assert "invalid_grant" == post(pages, grant_type=JWT_BEARER, assertion=assertion(forged)).json()["error"]


def test_the_token_of_a_disabled_account_ends_at_once(pages: Site) -> None:
    robot = new_robot(pages)
    token = post(pages, grant_type=JWT_BEARER, assertion=assertion(robot)).json()["access_token"]
    pages.run(pages.known.service_accounts.disable(robot["client_email"]))

    assert 401 == userinfo(pages, token).status_code
    assert "invalid_grant" == post(pages, grant_type=JWT_BEARER, assertion=assertion(robot, jti="2")).json()["error"]


def test_whoever_shows_a_key_is_known_no_longer_than_it_is_valid(pages: Site, robot: dict[str, Any]) -> None:
    """The gate asks no more until that moment."""
    known = pages.known
    key, pem = pages.run(known.keys.create(robot["client_email"], lifetime_seconds=30))
    short = {**robot, "private_key_id": key.id, "private_key": pem}

    signed = pages.run(known.authenticator.of_token(assertion(short, aud=None)))
    shown = pages.run(known.authenticator.of_password(cast(Request, None), "_json_key", json.dumps(short)))

    assert (key.valid_before_us, key.valid_before_us) == (signed.expires_at_us, shown.expires_at_us)


@pytest.mark.parametrize("claims", [{}, {"target_audience": "https://run.example.com"}], ids=str)
def test_an_account_of_a_project_that_is_being_deleted_gets_nothing(pages: Site, claims: dict[str, object]) -> None:
    robot = new_robot(pages)
    pages.run(pages.known.projects.delete(robot["project_id"]))

    assert "invalid_grant" == post(pages, grant_type=JWT_BEARER, assertion=assertion(robot, **claims)).json()["error"]


# Who a token is of


def test_tokeninfo_says_what_google_s_says(browser: Browser, pages: Site, alice: str) -> None:
    answer = authorize(browser, pages)

    info = httpx.get(f"{pages.url}/oauth2/v3/tokeninfo", params={"access_token": answer["access_token"]}, trust_env=False).json()

    assert (alice, "true", SCOPE) == (info["email"], info["email_verified"], info["scope"])
    assert 3590 < int(info["expires_in"]) <= 3600


@pytest.mark.parametrize("token", ["", "a.b.c", "rsr_" + "a" * 43])
def test_a_token_that_is_none_is_nobody_s(pages: Site, token: str) -> None:
    info = httpx.get(f"{pages.url}/oauth2/v3/tokeninfo", params={"access_token": token}, trust_env=False)

    assert (400, "invalid_token") == (info.status_code, info.json()["error"])
    assert 401 == userinfo(pages, token or "x").status_code


def test_an_identity_token_or_a_refresh_token_opens_nothing(browser: Browser, pages: Site) -> None:
    answer = authorize(browser, pages)

    assert 401 == userinfo(pages, answer["id_token"]).status_code
    assert 401 == userinfo(pages, answer["refresh_token"]).status_code


# Forms


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"grant_type=refresh_token&grant_type=refresh_token", "application/x-www-form-urlencoded"),
        (b'{"grant_type": "refresh_token"}', "application/json"),
        (b"grant_type=%ff", "application/x-www-form-urlencoded"),
        (b"\xff", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=b" % number for number in range(1000)), "application/x-www-form-urlencoded"),
        (b"", "application/x-www-form-urlencoded"),
    ],
)
def test_a_form_that_is_none_is_refused(pages: Site, body: bytes, kind: str) -> None:
    answer = httpx.post(f"{pages.url}/token", content=body, headers={"content-type": kind}, trust_env=False)

    assert (400, "invalid_request") == (answer.status_code, answer.json()["error"])


def test_a_form_has_a_limit(pages: Site) -> None:
    answer = httpx.post(f"{pages.url}/token", data={"a": "x" * 70_000}, trust_env=False)

    assert 413 == answer.status_code


def test_an_endpoint_answers_to_its_own_methods(pages: Site) -> None:
    assert 405 == httpx.get(f"{pages.url}/token", trust_env=False).status_code
    assert 404 == httpx.get(f"{pages.url}/oauth2/v3/nothing", trust_env=False).status_code


# Keys that end


def test_what_was_made_with_a_key_ends_with_it(pages: Site) -> None:
    robot = new_robot(pages)
    email, key_id, keys = robot["client_email"], robot["private_key_id"], pages.known.keys

    def token() -> str:
        return str(post(pages, grant_type=JWT_BEARER, assertion=assertion(robot)).json()["access_token"])

    def status(held: str) -> int:
        return httpx.get(f"{pages.url}/oauth2/v3/userinfo", headers={"Authorization": f"Bearer {held}"}, trust_env=False).status_code

    old, revoked = token(), token()
    assert 200 == post(pages, "/revoke", token=revoked).status_code
    assert [200, 401] == [status(old), status(revoked)]

    pages.run(keys.disable(email, key_id))
    assert 401 == status(old)
    pages.run(keys.enable(email, key_id))
    assert 401 == status(old)
    new = token()
    assert 200 == status(new)

    pages.run(keys.delete(email, key_id))
    assert 401 == status(new)
