"""What gcloud sends when somebody logs in (contract.md, section 3), step by step."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from roadstead.iam.oauth import challenge_of
from tests.kit.site import Browser, Site

VERIFIER = "a-verifier-of-at-least-forty-three-characters-x"
GCLOUD = "32555940559.apps.googleusercontent.com"
SCOPE = "openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/cloud-platform"
COPIED = "https://sdk.cloud.google.com/authcode.html"


def asked(**changes: str) -> str:
    parameters = {
        "response_type": "code",
        "client_id": GCLOUD,
        "redirect_uri": "http://localhost:8085/",
        "scope": SCOPE,
        "state": "a state & more",
        "access_type": "offline",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
    }
    return f"/o/oauth2/auth?{urlencode({name: value for name, value in (parameters | changes).items() if value})}"


def authorize(browser: Browser, pages: Site, **changes: str) -> dict[str, str]:
    """All of `gcloud auth login`; the browser is signed in."""
    page = browser.get(asked(**changes))
    allowed = browser.send_form(page, "/o/oauth2/auth", answer="allow")
    code = parse_qs(urlsplit(allowed.headers["location"]).query)["code"][0]
    answer = redeem(pages, code, **changes)
    assert 200 == answer.status_code, answer.text
    found: dict[str, str] = answer.json()
    return found


def redeem(pages: Site, code: str, **changes: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "client_id": GCLOUD,
        "client_secret": "public",
        "code": code,
        "redirect_uri": "http://localhost:8085/",
        "code_verifier": VERIFIER,
    }
    return httpx.post(f"{pages.url}/token", data=form | changes, trust_env=False)


def refresh(pages: Site, token: str, **changes: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "client_id": GCLOUD, "client_secret": "public", "refresh_token": token}
    return httpx.post(f"{pages.url}/token", data=form | changes, trust_env=False)


def userinfo(pages: Site, token: str) -> httpx.Response:
    return httpx.get(f"{pages.url}/oauth2/v3/userinfo", headers={"authorization": f"Bearer {token}"}, trust_env=False)
