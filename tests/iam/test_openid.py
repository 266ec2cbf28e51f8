"""Signing in with an OpenID provider: a whole one that others made, and one that says what it should not."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from roadstead.config import OpenIDProvider
from roadstead.iam.openid import Provider as Told
from roadstead.iam.openid import group_address
from tests.kit.issuer import rsa_key, signed
from tests.kit.provider import CLIENT, SECRET, Provider, free_port, providing, zitadel, zitadel_login
from tests.kit.site import PASSWORD, Browser, Site, site

ALICE = "alice@example.com"


@contextmanager
def signing_in(folder: Path, provider: Provider, **settings: Any) -> Iterator[tuple[Site, Browser]]:
    told = OpenIDProvider(issuer=provider.url, client_id=CLIENT, client_secret=SECRET, label="Corp", **{"domains": ("*",), **settings})
    with site(folder, openid={"corp": told}) as pages, Browser(pages.url) as browser:
        yield pages, browser


@pytest.fixture
def provider() -> Iterator[Provider]:
    with providing() as running:
        yield running


def there(browser: Browser, onward: str = "") -> str:
    """To the provider, where one is signed in already; the address that the browser is sent back to."""
    away = browser.get("/signin/oidc/corp", params={"next": onward} if onward else {})
    assert 303 == away.status_code, away.text
    return str(httpx.get(away.headers["location"], trust_env=False).headers["location"])


def sign_in(browser: Browser, onward: str = "") -> httpx.Response:
    return browser.get(there(browser, onward))


# A provider made by others


def test_people_sign_in_with_a_real_provider(tmp_path: Path, tools: Path) -> None:
    """zitadel/oidc keeps e-mail and name to its userinfo endpoint, as the specification lets it (Core, 5.4)."""
    program = tools / "server"
    if not program.exists():
        pytest.skip("zitadel/oidc's example server is not installed: make tools")
    port = free_port()
    told = OpenIDProvider(issuer=f"http://localhost:{port}/", client_id="web", client_secret="secret", label="Zitadel", domains=("*",))
    with site(tmp_path, openid={"zitadel": told}) as pages, Browser(pages.url) as browser:
        with zitadel(program, f"{pages.url}/signin/oidc/zitadel/callback", port):
            assert "Sign in with Zitadel" in browser.get("/signin").text
            for username, email in (("test-user@localhost", "test-user@zitadel.ch"), ("test-user2", "test-user2@zitadel.ch")):
                browser.cookies.clear()
                away = browser.get("/signin/oidc/zitadel?next=/account")
                back = browser.get(zitadel_login(away.headers["location"], username))

                assert (303, "/account") == (back.status_code, back.headers["location"]), back.text
                assert email in browser.get("/account").text
        person = pages.run(pages.known.people.get("test-user@zitadel.ch"))
    assert (told.issuer, "id1", False) == (person.issuer, person.subject, person.has_password)


# The way there and back


def test_the_first_login_makes_the_account_and_the_next_finds_it(tmp_path: Path, provider: Provider) -> None:
    with signing_in(tmp_path, provider) as (pages, browser):
        first = sign_in(browser, "/account?done=ended")
        assert (303, "/account?done=ended") == (first.status_code, first.headers["location"])
        made = pages.run(pages.known.people.get(ALICE))
        provider.user["email"] = "alice.new@example.com"
        browser.cookies.clear()

        assert 303 == sign_in(browser).status_code

        assert [made.id] == [each.id for each in pages.run(pages.known.people.list())]
        assert ALICE in browser.get("/account").text


def test_what_is_asked_for_is_bound_to_this_login(tmp_path: Path, provider: Provider) -> None:
    with signing_in(tmp_path, provider) as (pages, browser):
        asked = [parse_qs(urlsplit(browser.get("/signin/oidc/corp").headers["location"]).query) for _ in range(2)]
        callback = f"{pages.url}/signin/oidc/corp/callback"

    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]
    assert (["S256"], ["code"], ["openid email profile"]) == tuple(
        asked[0][name] for name in ("code_challenge_method", "response_type", "scope")
    )
    assert [callback] == asked[0]["redirect_uri"]


def test_the_client_s_secret_goes_into_the_header_unless_the_provider_wants_it_in_the_form(tmp_path: Path, provider: Provider) -> None:
    """RFC 6749, 2.3.1: form-encoded first."""
    with signing_in(tmp_path, provider) as (_, browser):
        sign_in(browser)
    expected = base64.b64encode(b"roadstead:a+secret%2Fof+the+client%2Bs").decode()
    assert f"Basic {expected}" == provider.headers[0]["authorization"]
    assert "client_secret" not in provider.forms[0]

    provider.configuration = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    other = tmp_path / "other"
    other.mkdir()
    with signing_in(other, provider) as (_, browser):
        sign_in(browser)
    assert (CLIENT, SECRET) == (provider.forms[1]["client_id"], provider.forms[1]["client_secret"])
    assert "authorization" not in provider.headers[1]


def test_the_answer_is_taken_from_the_browser_that_asked_and_once(tmp_path: Path, provider: Provider) -> None:
    """Login CSRF: somebody sends the address that they were sent back to to somebody else."""
    with signing_in(tmp_path, provider) as (pages, browser), Browser(pages.url) as victim:
        back = there(browser)
        assert 403 == victim.get(back).status_code
        there(victim)
        assert 403 == victim.get(back).status_code
        assert 303 == browser.get(back).status_code
        browser.cookies.delete("roadstead")

        assert 403 == browser.get(back).status_code


@pytest.mark.parametrize("cookie", ["", "x", "e30", "bm90IGpzb24", "a" * 5000])
def test_a_cookie_that_is_none_is_refused(tmp_path: Path, provider: Provider, cookie: str) -> None:
    with signing_in(tmp_path, provider) as (_, browser):
        back = there(browser)
        browser.cookies.clear()

        answer = browser.get(back, headers={"cookie": f"roadstead-openid={cookie}"})

        assert 403 == answer.status_code


def test_the_answer_of_another_provider_is_refused(tmp_path: Path, provider: Provider) -> None:
    """RFC 9207: the mix-up attack."""
    with signing_in(tmp_path, provider) as (_, browser):
        back = there(browser).replace("iss=http", "iss=https")

        assert 403 == browser.get(back).status_code
        assert [] == provider.forms


def test_a_refusal_by_the_provider_is_said_without_its_words(tmp_path: Path, provider: Provider) -> None:
    with signing_in(tmp_path, provider) as (_, browser):
        state = parse_qs(urlsplit(there(browser)).query)["state"][0]

        answer = browser.get("/signin/oidc/corp/callback", params={"state": state, "error": "<b>canary</b>", "error_description": "canary"})

        assert 403 == answer.status_code
        assert "Corp did not sign you in" in answer.text
        assert "canary" not in answer.text


def test_an_unknown_provider_is_not_found(tmp_path: Path, provider: Provider) -> None:
    with signing_in(tmp_path, provider) as (_, browser):
        assert 404 == browser.get("/signin/oidc/other").status_code
        assert 404 == browser.get("/signin/oidc/other/callback").status_code


# Tokens that are not right


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "other"}, "another program"),
        ({"aud": [CLIENT, "other"]}, "given to another program"),
        ({"aud": [CLIENT, "other"], "azp": "other"}, "given to another program"),
        ({"azp": "other"}, "given to another program"),
        ({"exp": int(time.time()) - 120}, "expired"),
        ({"exp": None}, "exp"),
        ({"iat": int(time.time()) - 3600}, "just now"),
        ({"iat": int(time.time()) + 3600}, "just now"),
        ({"nonce": "other"}, "another login"),
        ({"nonce": None}, "another login"),
        ({"sub": None}, "who signed in"),
        ({"sub": ""}, "who signed in"),
        ({"sub": "x" * 256}, "who signed in"),
        ({"sub": 5}, "who signed in"),
        ({"email": None}, "did not say the e-mail address"),
        ({"email": "not an address"}, "is none"),
        ({"email": "\u212aim@example.com"}, "is none"),
        ({"email_verified": False}, "not verified"),
        ({"email_verified": "false"}, "not verified"),
        ({"email_verified": None}, "not verified"),
        ({"email": "alice@evil.example"}, "may not sign in here"),
    ],
)
def test_an_id_token_that_is_not_right_signs_nobody_in(tmp_path: Path, provider: Provider, claims: dict[str, Any], sentence: str) -> None:
    """OpenID Connect Core, 3.1.3.7; each says what it was."""
    provider.claims = claims
    with signing_in(tmp_path, provider, domains=("example.com",)) as (pages, browser):
        answer = sign_in(browser)

        assert 403 == answer.status_code
        assert sentence in answer.text
        assert "roadstead" not in browser.cookies
        assert [] == pages.run(pages.known.people.list())


def none_algorithm(claims: dict[str, Any]) -> str:
    return f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{encoded(claims)}."


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "attack",
    ["none", "client secret", "public key as secret", "own key", "own key, known kid", "key in the header", "cut", "huge", "words"],
)
def test_a_forged_id_token_signs_nobody_in(tmp_path: Path, provider: Provider, attack: str) -> None:
    thief = rsa_key("thief")
    public = provider.key.as_pem(private=False)

    def forge(claims: dict[str, Any]) -> str:
        match attack:
            case "none":
                return none_algorithm(claims)
            case "client secret":
                return jwt.encode({"alg": "HS256", "kid": "first"}, claims, OctKey.import_key(SECRET))
            case "public key as secret":
                return jwt.encode({"alg": "HS256", "kid": "first"}, claims, OctKey(public, public, {}))
            case "own key":
                return signed(thief, claims)
            case "own key, known kid":
                return signed(thief, claims, kid="first")
            case "key in the header":
                return signed(thief, claims, jwk=thief.as_dict(private=False), kid="first")
            case "cut":
                return signed(provider.key, claims)[:-20]
            case "huge":
                return signed(provider.key, {**claims, "more": "x" * 100_000})
            case _:
                return "not a token"

    provider.id_token = forge
    with signing_in(tmp_path, provider) as (pages, browser):
        assert 403 == sign_in(browser).status_code
        assert [] == pages.run(pages.known.people.list())


def test_a_new_key_of_the_provider_is_found(tmp_path: Path, provider: Provider) -> None:
    with signing_in(tmp_path, provider) as (pages, browser):
        sign_in(browser)
        provider.key = rsa_key("second")
        pages.clock.turn(60)
        browser.cookies.clear()
        provider.claims = {"iat": int(time.time()) + 60, "exp": int(time.time()) + 300}

        assert 303 == sign_in(browser).status_code


# Providers that do not work


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/.well-known/openid-configuration", (500, {}, b"")),
        ("/.well-known/openid-configuration", (200, {}, b"not json")),
        (
            "/.well-known/openid-configuration",
            (200, {}, b'{"issuer": "https://evil.example", "authorization_endpoint": "x", "token_endpoint": "y"}'),
        ),
        ("/.well-known/openid-configuration", (302, {"location": "http://127.0.0.1:1/"}, b"")),
        ("/.well-known/openid-configuration", (200, {}, b" " * 2_000_000)),
    ],
    ids=["fails", "words", "another", "elsewhere", "huge"],
)
def test_a_configuration_that_cannot_be_had_is_a_page_that_says_so(tmp_path: Path, provider: Provider, path: str, answer: Any) -> None:
    provider.answers[path] = answer
    with signing_in(tmp_path, provider) as (_, browser):
        assert 403 == browser.get("/signin/oidc/corp").status_code
        assert 200 == browser.get("/signin").status_code


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/token", (400, {}, b'{"error": "invalid_client"}')),
        ("/token", (200, {}, b"not json")),
        ("/token", (200, {}, b'{"access_token": "x"}')),
        ("/token", (302, {"location": "http://127.0.0.1:1/"}, b"")),
        ("/token", (200, {}, b" " * 2_000_000)),
        ("/jwks", (500, {}, b"")),
        ("/jwks", (200, {}, b'{"keys": []}')),
        ("/userinfo", (500, {}, b"")),
        ("/userinfo", (200, {}, b'{"sub": "somebody-else", "email": "root@example.com", "email_verified": true}')),
    ],
    ids=["refused", "words", "no token", "elsewhere", "huge", "no keys", "empty keys", "no userinfo", "another's userinfo"],
)
def test_what_cannot_be_checked_signs_nobody_in(tmp_path: Path, provider: Provider, path: str, answer: Any) -> None:
    """GHSA-95c3-6vvw-4mrq: a check that failed was taken for one that passed."""
    provider.answers[path] = answer
    provider.claims = {"email": None} if path == "/userinfo" else {}
    with signing_in(tmp_path, provider) as (pages, browser):
        assert 403 == sign_in(browser).status_code
        assert [] == pages.run(pages.known.people.list())


# Whose account


@pytest.mark.slow
def test_an_address_alone_opens_nobody_s_account(tmp_path: Path, provider: Provider) -> None:
    with signing_in(tmp_path, provider) as (pages, browser):
        pages.run(pages.known.people.create(ALICE, "", PASSWORD))

        refused = sign_in(browser)
        assert 403 == refused.status_code
        assert "sign in to it first" in refused.text

        browser.sign_in(ALICE)
        assert 303 == sign_in(browser).status_code
        browser.cookies.clear()
        assert 303 == sign_in(browser).status_code


@pytest.mark.slow
def test_somebody_else_s_session_does_not_take_the_account_over(tmp_path: Path, provider: Provider) -> None:
    with signing_in(tmp_path, provider) as (pages, browser):
        pages.run(pages.known.people.create(ALICE, "", PASSWORD))
        pages.run(pages.known.people.create("bob@example.com", "", PASSWORD))
        browser.sign_in("bob@example.com")

        assert 403 == sign_in(browser).status_code


def test_a_trusted_provider_s_addresses_open_accounts_that_are_here(tmp_path: Path, provider: Provider) -> None:
    provider.claims = {"email_verified": None}
    with signing_in(tmp_path, provider, trust_email=True) as (pages, browser):
        pages.run(pages.known.people.create(ALICE, "", PASSWORD))
        assert 303 == sign_in(browser).status_code

        browser.cookies.clear()
        provider.claims = {"email_verified": False}
        assert 403 == sign_in(browser).status_code


def test_an_address_that_was_given_to_somebody_new_does_not_open_the_old_account(tmp_path: Path, provider: Provider) -> None:
    with signing_in(tmp_path, provider, trust_email=True) as (_, browser):
        sign_in(browser)
        browser.cookies.clear()
        provider.user["sub"] = "subject-2"

        assert 403 == sign_in(browser).status_code


def test_a_disabled_person_is_not_let_in_by_the_provider(tmp_path: Path, provider: Provider) -> None:
    with signing_in(tmp_path, provider) as (pages, browser):
        sign_in(browser)
        pages.run(pages.known.people.disable(ALICE))
        browser.cookies.clear()

        assert 403 == sign_in(browser).status_code
        assert "roadstead" not in browser.cookies


# Groups


def test_groups_of_the_claims_replace_those_of_the_login_before(tmp_path: Path, provider: Provider) -> None:
    """CVE-2025-23208."""
    provider.user["groups"] = ["dev@example.com", "/ops", "a b", 5, "x@evil.example"]
    with signing_in(tmp_path, provider, domains=("example.com",)) as (pages, browser):
        sign_in(browser)
        assert {"dev@example.com", "ops@corp", "a%20b@corp"} == pages.run(pages.known.groups.of(f"user:{ALICE}"))
        kept = pages.run(pages.known.principals.load(f"user:{ALICE}", pages.clock()))
        assert "ops@corp" in kept.groups

        provider.user["groups"] = ["dev@example.com"]
        browser.cookies.clear()
        sign_in(browser)

        assert {"dev@example.com"} == pages.run(pages.known.principals.load(f"user:{ALICE}", pages.clock())).groups


def test_a_login_that_says_nothing_of_groups_leaves_none(tmp_path: Path, provider: Provider) -> None:
    provider.user["groups"] = ["dev"]
    with signing_in(tmp_path, provider) as (pages, browser):
        sign_in(browser)
        del provider.user["groups"]
        browser.cookies.clear()
        sign_in(browser)

        assert frozenset() == pages.run(pages.known.groups.of(f"user:{ALICE}"))


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("dev", "dev@corp"),
        ("/dev/ops", "dev/ops@corp"),
        ("Domain Users", "domain%20users@corp"),
        ("dev@example.com", "dev@example.com"),
        ("dev@other.example", ""),
        ("a\nb", "a%0ab@corp"),
        ("", ""),
        ("x" * 200, ""),
        ("@example.com", ""),
    ],
)
def test_a_group_s_name_becomes_an_address(name: str, address: str) -> None:
    told = Told("corp", "https://id.example.com", CLIENT, domains=("example.com",))

    assert address == group_address(name, told)


def test_every_domain_is_no_domain_of_groups() -> None:
    """Else what anybody calls a group at the provider would be a group that policies name."""
    told = Told("corp", "https://id.example.com", CLIENT, domains=("*", "example.com"))

    assert ["dev@example.com", "", "dev@corp"] == [group_address(each, told) for each in ("dev@example.com", "dev@other.example", "dev")]
