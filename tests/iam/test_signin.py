"""The sign-in pages, over a socket, as a browser uses them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pyotp
import pytest

from roadstead.api.oauth import ROUTES as PROGRAM_ROUTES
from roadstead.api.signin.pages import ROUTES
from roadstead.api.signin.routing import Permission
from roadstead.errors import CredentialInvalid
from roadstead.iam import passwords
from roadstead.iam.audit import Filter
from roadstead.iam.credentials import Kind
from tests.kit.gcloud import COPIED, asked, authorize, redeem, refresh, userinfo
from tests.kit.site import PASSWORD, Browser, Site, hidden, site

OTHER = "three blue lamps at dawn"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture
def pages(shared: Site) -> Site:
    """Failed logins of the test before are forgotten."""
    shared.clock.turn(3600)
    return shared


@pytest.fixture
def browser(pages: Site) -> Iterator[Browser]:
    with Browser(pages.url) as opened:
        yield opened


@pytest.fixture
def alice(pages: Site) -> str:
    email = f"alice-{next(_numbers)}@example.com"
    pages.run(pages.known.people.create(email, "Alice", PASSWORD))
    return email


def link_for(pages: Site, email: str) -> str:
    return pages.run(pages.known.credentials.issue(Kind.LINK, f"user:{email}", "", 3600, {}))


def second_factor(browser: Browser, pages: Site) -> tuple[pyotp.TOTP, list[str]]:
    """Set up on the account page: the authenticator, and the recovery codes."""
    browser.send_form(browser.get("/account"), "/account/second-factor")
    page = browser.get("/account")
    found = re.search(r'class="secret">([A-Z2-7]+)<', page.text)
    assert found
    device = pyotp.TOTP(found[1])
    shown = browser.send_form(page, "/account/second-factor/confirm", code=device.at(pages.clock() // 1_000_000))
    return device, re.findall(r"<code>([a-z2-7-]+)</code>", shown.text)


# Signing in and out


def test_the_right_password_opens_the_account(browser: Browser, alice: str) -> None:
    signed = browser.sign_in(alice)

    assert (303, "/account") == (signed.status_code, signed.headers["location"])
    account = browser.get("/account")
    assert 200 == account.status_code
    assert alice in account.text


def test_without_a_session_the_account_leads_to_the_sign_in_page_and_back(browser: Browser, alice: str) -> None:
    away = browser.get("/account?done=ended")
    assert 303 == away.status_code

    page = browser.get(away.headers["location"])
    signed = browser.send_form(page, "/signin", email=alice, password=PASSWORD)

    assert "/account?done=ended" == signed.headers["location"]


@pytest.mark.parametrize("is_known", [True, False])
def test_a_wrong_password_and_an_unknown_address_are_answered_alike(browser: Browser, alice: str, is_known: bool) -> None:
    answer = browser.sign_in(alice if is_known else "nobody@example.com", "not the password at all")

    assert 403 == answer.status_code
    assert "The e-mail address or the password is wrong." in answer.text
    assert "roadstead" not in browser.cookies


@pytest.mark.parametrize(
    "onward", ["//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nset-cookie: x=y", "javascript:alert(1)", "account"]
)
def test_signing_in_leads_nowhere_else(browser: Browser, alice: str, onward: str) -> None:
    """CVE-2024-22244: an open redirect."""
    page = browser.get("/signin", params={"next": onward})

    signed = browser.send_form(page, "/signin", email=alice, password=PASSWORD, next=onward)

    assert "/account" == signed.headers["location"]


def test_the_session_s_secret_is_new_at_every_login(browser: Browser, alice: str) -> None:
    """Session fixation: what was in the browser before is worth nothing."""
    browser.sign_in(alice)
    first = browser.cookies["roadstead"]
    page = browser.get("/account")
    browser.cookies.set("roadstead", "rss_" + "a" * 43, domain="127.0.0.1")
    browser.cookies.clear()
    browser.sign_in(alice)

    assert first != browser.cookies["roadstead"]
    assert 200 == page.status_code


def test_signing_out_ends_the_session_on_the_server(browser: Browser, pages: Site, alice: str) -> None:
    browser.sign_in(alice)
    kept = browser.cookies["roadstead"]

    out = browser.send_form(browser.get("/account"), "/signin/out")

    assert "/signin" == out.headers["location"]
    again = httpx.get(f"{pages.url}/account", cookies={"roadstead": kept}, trust_env=False)
    assert 303 == again.status_code


def test_the_cookie_is_kept_from_scripts_and_other_sites(browser: Browser, alice: str) -> None:
    cookie = browser.sign_in(alice).headers["set-cookie"]

    assert cookie.startswith("roadstead=rss_")
    assert {"Path=/", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))


def test_behind_tls_the_cookie_has_the_prefix_that_no_other_host_can_write(tmp_path: Path) -> None:
    with site(tmp_path, public_url="https://registry.example.com") as secure, Browser(secure.url) as browser:
        page = browser.get("/signin")

    cookie = page.headers["set-cookie"]
    assert cookie.startswith("__Host-roadstead-visit=")
    assert "Secure" in cookie.split("; ")


def test_a_session_ends_when_its_person_is_disabled(browser: Browser, pages: Site, alice: str) -> None:
    browser.sign_in(alice)
    pages.run(pages.known.people.disable(alice))

    assert 303 == browser.get("/account").status_code
    assert 403 == browser.sign_in(alice).status_code


def test_a_session_ends_after_a_week(browser: Browser, pages: Site, alice: str) -> None:
    browser.sign_in(alice)
    pages.clock.turn(7 * 24 * 3600 + 1)

    assert 303 == browser.get("/account").status_code


# Pages


@pytest.mark.parametrize("path", ["/signin", "/signin/link?token=x", "/nothing/here", "/signin/oidc/none"])
def test_a_page_has_no_script_and_stands_in_no_frame(browser: Browser, path: str) -> None:
    page = browser.get(path)

    if path.startswith("/signin"):
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script" not in page.text
        assert "no-store" == page.headers["cache-control"]
        assert "nosniff" == page.headers["x-content-type-options"]


def test_what_somebody_typed_is_no_markup(browser: Browser) -> None:
    answer = browser.sign_in('"><script>alert(1)</script>@example.com', "some password of mine")

    assert "<script" not in answer.text
    assert "&lt;script&gt;" in answer.text


def test_the_stylesheet_is_served_and_nothing_beside_it(browser: Browser) -> None:
    assert "text/css; charset=utf-8" == browser.get("/static/signin.css").headers["content-type"]
    assert 404 == browser.get("/static/nothing.css").status_code
    assert 404 == browser.get("/static/%2e%2e%2fpages.py").status_code


def test_a_page_answers_to_its_own_methods_only(browser: Browser) -> None:
    answer = browser.delete("/signin")

    assert (405, "GET, POST") == (answer.status_code, answer.headers["allow"])


# Forms of other sites


def unsafe() -> list[str]:
    return sorted({route.template for route in ROUTES if route.method == "POST"})


@pytest.mark.parametrize("path", unsafe())
@pytest.mark.parametrize("signed_in", [True, False])
def test_a_form_without_the_mark_is_refused(browser: Browser, alice: str, path: str, signed_in: bool) -> None:
    """CVE-2019-3864 (Quay): every unsafe route."""
    if signed_in:
        browser.sign_in(alice)

    answer = browser.post(path, data={"email": alice, "password": PASSWORD}, headers={"sec-fetch-site": "same-origin"})

    refused = 403 if signed_in or path in ("/signin", "/signin/code", "/signin/link") else 303
    assert refused == answer.status_code


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}],
    ids=str,
)
def test_a_form_that_another_site_sends_is_refused_even_with_the_mark(browser: Browser, alice: str, headers: dict[str, str]) -> None:
    page = browser.get("/signin")

    answer = browser.post("/signin", data={**hidden(page, "/signin"), "email": alice, "password": PASSWORD}, headers=headers)

    assert 403 == answer.status_code
    assert "roadstead" not in browser.cookies


def test_an_old_browser_s_form_is_known_by_its_origin(browser: Browser, pages: Site, alice: str) -> None:
    page = browser.get("/signin")

    answer = browser.post("/signin", data={**hidden(page, "/signin"), "email": alice, "password": PASSWORD}, headers={"origin": pages.url})

    assert 303 == answer.status_code


def test_the_mark_of_another_browser_is_refused(pages: Site, browser: Browser, alice: str) -> None:
    with Browser(pages.url) as other:
        foreign = hidden(other.get("/signin"), "/signin")
    browser.get("/signin")

    answer = browser.post("/signin", data={**foreign, "email": alice, "password": PASSWORD}, headers={"sec-fetch-site": "same-origin"})

    assert 403 == answer.status_code


# The one-time link


def test_a_link_sets_name_and_password_and_signs_in(browser: Browser, pages: Site) -> None:
    pages.run(pages.known.people.create("owner@example.com"))
    token = link_for(pages, "owner@example.com")

    page = browser.get("/signin/link", params={"token": token})
    assert "owner@example.com" in page.text
    done = browser.send_form(page, "/signin/link", name="Grace", password=PASSWORD, again=PASSWORD)

    assert (303, "/account") == (done.status_code, done.headers["location"])
    assert "Grace" in browser.get("/account").text
    browser.cookies.clear()
    assert 303 == browser.sign_in("owner@example.com").status_code


def test_looking_at_a_link_does_not_use_it_up_and_a_bad_password_neither(browser: Browser, pages: Site, alice: str) -> None:
    token = link_for(pages, alice)
    for _ in range(3):
        page = browser.get("/signin/link", params={"token": token})

    short = browser.send_form(page, "/signin/link", password="short", again="short")
    assert 400 == short.status_code
    unlike = browser.send_form(short, "/signin/link", password=OTHER, again=OTHER + "!")
    assert 400 == unlike.status_code
    assert 303 == browser.send_form(unlike, "/signin/link", password=OTHER, again=OTHER).status_code


def test_a_busy_server_does_not_use_a_link_up(browser: Browser, pages: Site, alice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    page = browser.get("/signin/link", params={"token": link_for(pages, alice)})
    with monkeypatch.context() as busy:
        busy.setattr(passwords, "MOST_WAITING", 0)
        refused = browser.send_form(page, "/signin/link", name="Alice", password=OTHER, again=OTHER)

    assert (429, "2") == (refused.status_code, refused.headers["retry-after"])
    assert 303 == browser.send_form(refused, "/signin/link", name="Alice", password=OTHER, again=OTHER).status_code


def test_a_link_is_good_once_and_for_its_time(browser: Browser, pages: Site, alice: str) -> None:
    token = link_for(pages, alice)
    page = browser.get("/signin/link", params={"token": token})
    browser.send_form(page, "/signin/link", password=OTHER, again=OTHER)

    assert 403 == browser.get("/signin/link", params={"token": token}).status_code
    late = link_for(pages, alice)
    pages.clock.turn(3601)
    assert 403 == browser.get("/signin/link", params={"token": late}).status_code


def test_a_link_does_not_go_round_the_second_factor(browser: Browser, pages: Site, alice: str) -> None:
    browser.sign_in(alice)
    second_factor(browser, pages)
    browser.cookies.clear()

    page = browser.get("/signin/link", params={"token": link_for(pages, alice)})
    done = browser.send_form(page, "/signin/link", password=OTHER, again=OTHER)

    assert "/signin" == done.headers["location"]
    assert "roadstead" not in browser.cookies


# The account


@pytest.mark.slow
def test_a_new_password_signs_out_everywhere_else(browser: Browser, pages: Site, alice: str) -> None:
    with Browser(pages.url) as other:
        other.sign_in(alice)
        browser.sign_in(alice)

        changed = browser.send_form(browser.get("/account"), "/account/password", current=PASSWORD, password=OTHER, again=OTHER)

        assert "/account?done=password" == changed.headers["location"]
        assert 200 == browser.get("/account").status_code
        assert 303 == other.get("/account").status_code
        assert 403 == other.sign_in(alice).status_code
        assert 303 == other.sign_in(alice, OTHER).status_code


def test_a_new_password_needs_the_present_one(browser: Browser, alice: str) -> None:
    browser.sign_in(alice)

    refused = browser.send_form(browser.get("/account"), "/account/password", current="a guess of mine", password=OTHER, again=OTHER)

    assert 400 == refused.status_code
    assert "the present password is wrong" in refused.text


def test_signing_out_everywhere_ends_sessions_and_tokens_of_programs(browser: Browser, pages: Site, alice: str) -> None:
    with Browser(pages.url) as other:
        other.sign_in(alice)
        browser.sign_in(alice)
        answer = authorize(browser, pages)

        browser.send_form(browser.get("/account"), "/account/end-all")

        assert 303 == browser.get("/account").status_code
        assert 303 == other.get("/account").status_code
        assert 401 == userinfo(pages, answer["access_token"]).status_code
        assert "invalid_grant" == refresh(pages, answer["refresh_token"]).json()["error"]


def test_one_session_is_ended_and_nobody_else_s(browser: Browser, pages: Site, alice: str) -> None:
    pages.run(pages.known.people.create("bob@example.com", "", PASSWORD))
    with Browser(pages.url) as bob:
        bob.sign_in("bob@example.com")
        (his,) = pages.run(pages.known.credentials.list("user:bob@example.com", Kind.SESSION))
        browser.sign_in(alice)
        (hers,) = pages.run(pages.known.credentials.list(f"user:{alice}", Kind.SESSION))

        browser.send_form(browser.get("/account"), "/account/end", id=his.id)
        assert 200 == bob.get("/account").status_code

        browser.send_form(browser.get("/account"), "/account/end", id=hers.id)
        assert 303 == browser.get("/account").status_code


# The second factor


def test_with_a_second_factor_the_password_alone_opens_nothing(browser: Browser, pages: Site, alice: str) -> None:
    browser.sign_in(alice)
    device, codes = second_factor(browser, pages)
    assert 10 == len(codes)
    browser.cookies.clear()
    pages.clock.turn(60)

    step = browser.sign_in(alice)
    assert 200 == step.status_code
    assert "roadstead" not in browser.cookies
    wrong = browser.send_form(step, "/signin/code", code="000000")
    assert 403 == wrong.status_code
    right = browser.send_form(wrong, "/signin/code", code=device.at(pages.clock() // 1_000_000))

    assert (303, "/account") == (right.status_code, right.headers["location"])


def test_a_code_is_good_once(browser: Browser, pages: Site, alice: str) -> None:
    """RFC 6238, 5.2."""
    browser.sign_in(alice)
    device, _ = second_factor(browser, pages)
    pages.clock.turn(60)
    code = device.at(pages.clock() // 1_000_000)
    browser.cookies.clear()
    browser.send_form(browser.sign_in(alice), "/signin/code", code=code)
    browser.cookies.clear()

    again = browser.send_form(browser.sign_in(alice), "/signin/code", code=code)

    assert 403 == again.status_code


def test_a_recovery_code_is_good_once(browser: Browser, pages: Site, alice: str) -> None:
    browser.sign_in(alice)
    _, codes = second_factor(browser, pages)
    browser.cookies.clear()

    first = browser.send_form(browser.sign_in(alice), "/signin/code", code=codes[0].upper())
    browser.cookies.clear()
    second = browser.send_form(browser.sign_in(alice), "/signin/code", code=codes[0])

    assert (303, 403) == (first.status_code, second.status_code)


def test_the_first_step_alone_is_soon_worth_nothing(browser: Browser, pages: Site, alice: str) -> None:
    browser.sign_in(alice)
    device, _ = second_factor(browser, pages)
    browser.cookies.clear()
    step = browser.sign_in(alice)
    pages.clock.turn(301)

    late = browser.send_form(step, "/signin/code", code=device.at(pages.clock() // 1_000_000))

    assert 403 == late.status_code


def test_a_second_factor_ends_what_the_password_alone_opened(browser: Browser, pages: Site, alice: str) -> None:
    """Whoever had stolen the password was in already."""
    known = pages.known
    pages.run(known.credentials.issue(Kind.DOCKER, f"user:{alice}", "docker", 3600, {"location": "us"}))
    before_us, generation = pages.clock(), known.generation.value
    with Browser(pages.url) as other:
        other.sign_in(alice)
        browser.sign_in(alice)
        answer = authorize(browser, pages)

        second_factor(browser, pages)

        assert 200 == browser.get("/account").status_code
        assert 303 == other.get("/account").status_code
    assert 401 == userinfo(pages, answer["access_token"]).status_code
    assert 400 == refresh(pages, answer["refresh_token"]).status_code
    assert not pages.run(known.credentials.list(f"user:{alice}", Kind.DOCKER))
    # Passwords that were right lately are forgotten, and tokens that were made of them are void.
    assert known.generation.value > generation
    with pytest.raises(CredentialInvalid):
        pages.run(known.principals.load(f"user:{alice}", before_us))


@pytest.mark.slow
def test_the_second_factor_goes_off_with_the_password_and_a_code(browser: Browser, pages: Site, alice: str) -> None:
    browser.sign_in(alice)
    device, _ = second_factor(browser, pages)
    pages.clock.turn(60)

    def off(**values: str) -> int:
        return browser.send_form(browser.get("/account"), "/account/second-factor/off", **values).status_code

    code = device.at(pages.clock() // 1_000_000)
    assert 400 == off(current="a guess of mine", code=code)
    assert 400 == off(current=PASSWORD)
    assert 400 == off(current=PASSWORD, code="000000")
    assert 303 == off(current=PASSWORD, code=code)

    browser.cookies.clear()
    assert "/account" == browser.sign_in(alice).headers.get("location")


@pytest.mark.slow
def test_codes_to_turn_the_second_factor_off_are_counted(browser: Browser, pages: Site, alice: str) -> None:
    browser.sign_in(alice)
    second_factor(browser, pages)
    page = browser.get("/account")

    tries = [browser.send_form(page, "/account/second-factor/off", current=PASSWORD, code="000000").status_code for _ in range(11)]

    assert [400] * 10 + [429] == tries


# Too many tries


@pytest.mark.slow
def test_after_ten_wrong_passwords_even_the_right_one_waits(browser: Browser, pages: Site, alice: str) -> None:
    for _ in range(10):
        browser.sign_in(alice, "not the password at all")

    blocked = browser.sign_in(alice)
    assert (429, "30") == (blocked.status_code, blocked.headers["retry-after"])
    pages.clock.turn(31)
    assert 303 == browser.sign_in(alice).status_code


@pytest.mark.slow
def test_codes_are_counted_too_and_the_right_password_does_not_reset_them(browser: Browser, pages: Site, alice: str) -> None:
    browser.sign_in(alice)
    second_factor(browser, pages)
    browser.cookies.clear()
    answers = []
    for _ in range(6):
        step = browser.sign_in(alice)
        if step.status_code != 200:
            answers.append(step.status_code)
            continue
        answers.append(browser.send_form(step, "/signin/code", code="000000").status_code)

    assert 429 == answers[-1]


# Allowing a program


def test_a_program_that_is_allowed_gets_a_code_at_its_own_address(browser: Browser, alice: str) -> None:
    browser.sign_in(alice)

    page = browser.get(asked())
    assert "Google Cloud SDK" in page.text
    assert "form-action 'self' http://localhost:8085" in page.headers["content-security-policy"]
    allowed = browser.send_form(page, "/o/oauth2/auth", answer="allow")

    address = urlsplit(allowed.headers["location"])
    assert "http://localhost:8085/" == f"{address.scheme}://{address.netloc}{address.path}"
    assert {"code", "scope", "state"} == set(parse_qs(address.query))
    assert ["a state & more"] == parse_qs(address.query)["state"]


def test_whoever_is_not_signed_in_is_asked_to_and_then_asked(browser: Browser, alice: str) -> None:
    away = browser.get(asked())
    page = browser.get(away.headers["location"])

    signed = browser.send_form(page, "/signin", email=alice, password=PASSWORD)

    assert asked() == signed.headers["location"]


def test_a_program_that_is_not_allowed_is_told_so(browser: Browser, alice: str) -> None:
    browser.sign_in(alice)

    refused = browser.send_form(browser.get(asked()), "/o/oauth2/auth", answer="cancel")

    assert ["access_denied"] == parse_qs(urlsplit(refused.headers["location"]).query)["error"]


@pytest.mark.parametrize("copied", [COPIED, "urn:ietf:wg:oauth:2.0:oob"])
def test_without_a_browser_on_the_machine_the_code_is_shown(browser: Browser, pages: Site, alice: str, copied: str) -> None:
    browser.sign_in(alice)

    page = browser.get(asked(redirect_uri=copied, token_usage="remote", prompt="consent"))
    shown = browser.send_form(page, "/o/oauth2/auth", answer="allow")

    found = re.search(r'value="(rsc_[^"]+)"', shown.text)
    assert found
    assert 200 == redeem(pages, found[1], redirect_uri=copied).status_code


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://evil.example/",
        "http://evil.example/",
        "http://localhost.evil.example/",
        "http://localhost@evil.example/",
        "http://localhost:8085@evil.example/",
        "http://localhost:8085/\\evil.example",
        "http://127.0.0.1:80/?x=y",
        "http://127.0.0.1:80/#x",
        "https://sdk.cloud.google.com/authcode.html/../evil",
        "http://localhost:8085/\r\nx: y",
        "javascript:alert(1)//localhost",
    ],
)
def test_a_code_goes_nowhere_but_to_the_person_s_own_machine(browser: Browser, alice: str, address: str) -> None:
    browser.sign_in(alice)

    answer = browser.get(asked(redirect_uri=address))

    assert 400 == answer.status_code
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": 'a"b'}, "invalid_scope"),
        ({"prompt": "none"}, "interaction_required"),
    ],
    ids=str,
)
def test_a_program_is_told_what_is_wrong_with_its_question(browser: Browser, alice: str, changes: dict[str, str], error: str) -> None:
    """RFC 6749, 4.1.2.1."""
    browser.sign_in(alice)

    answer = browser.get(asked(**changes))

    assert [error] == parse_qs(urlsplit(answer.headers["location"]).query)["error"]


def test_an_unknown_program_is_not_asked_for(browser: Browser, alice: str) -> None:
    browser.sign_in(alice)

    assert 400 == browser.get(asked(client_id="unknown")).status_code


def test_the_answer_is_checked_as_the_question_was(browser: Browser, alice: str) -> None:
    """What the form holds could be changed on the way."""
    browser.sign_in(alice)

    answer = browser.send_form(browser.get(asked()), "/o/oauth2/auth", answer="allow", redirect_uri="https://evil.example/")

    assert 400 == answer.status_code


# What is left behind


def test_logins_are_in_the_audit_log(browser: Browser, pages: Site, alice: str) -> None:
    # What the tests before left waiting: a refusal that comes again is one row with the first.
    pages.run(pages.known.audit.flush())
    browser.sign_in(alice, "not the password at all")
    browser.sign_in(alice)
    browser.send_form(browser.get("/account"), "/signin/out")

    page = pages.run(pages.known.audit.query(Filter(since_us=pages.clock() - 60_000_000), 10))

    assert [("signin.out", "OK"), ("signin.password", "OK"), ("signin.password", "DENIED")] == [
        (entry.method, entry.outcome.value) for entry in page.entries
    ]
    assert [f"user:{alice}", f"user:{alice}", ""] == [entry.member for entry in page.entries]
    assert {"127.0.0.1"} == {entry.address for entry in page.entries}


def test_no_secret_is_found_in_the_database(browser: Browser, pages: Site, alice: str) -> None:
    token = link_for(pages, alice)
    page = browser.get("/signin/link", params={"token": token})
    browser.send_form(page, "/signin/link", password=OTHER, again=OTHER)
    _, recovery = second_factor(browser, pages)
    answer = authorize(browser, pages)
    pages.run(pages.known.audit.flush())

    kept = b"".join(file.read_bytes() for file in sorted(pages.folder.glob("registry.sqlite*")))

    assert alice.encode() in kept
    secrets = [token, OTHER, browser.cookies["roadstead"], answer["access_token"], answer["refresh_token"], answer["id_token"], *recovery]
    assert [] == [secret for secret in secrets if secret.encode() in kept or secret.replace("-", "").encode() in kept]


# The tables


def test_every_row_says_who_may_come(pages: Site) -> None:
    for route in [*ROUTES, *PROGRAM_ROUTES]:
        assert isinstance(route.permission, Permission)
    assert {"/signin", "/signin/code", "/signin/link", "/signin/oidc/<name>", "/signin/oidc/<name>/callback", "/static/<name>"} == {
        route.template for route in ROUTES if route.permission is Permission.PUBLIC
    }


@pytest.mark.parametrize("route", [route for route in ROUTES if route.permission is Permission.SESSION], ids=lambda route: route.template)
def test_what_needs_a_session_is_answered_with_the_way_to_one(browser: Browser, route: object) -> None:
    method, template = route.method, route.template  # type: ignore[attr-defined]

    answer = browser.request(method, template)

    assert 303 == answer.status_code
    assert answer.headers["location"].startswith("/signin")
