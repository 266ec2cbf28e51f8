"""
What a browser sends and gets: cookies, forms that only our own pages can send, and answers with the headers that keep pages apart.

A form is taken when the browser says that the page was ours (Sec-Fetch-Site, or Origin where a browser is too old for it) and when it holds
the mark that belongs to the browser's cookie; either alone would do, and another site can get neither.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qsl

import jinja2

from roadstead.api.messages import Request, Response
from roadstead.errors import PermissionDenied, RequestInvalid, TooLarge
from roadstead.iam.credentials import Credential
from roadstead.iam.people import Person

MOST_FORM_BYTES = 64 * 1024
MOST_FIELDS = 100
MARK = "mark"

# Paths of this server alone: `//host` and `/\host` would lead elsewhere.
_NEXT = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,6000}")
_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody signed in. secret is the cookie's."""

    person: Person
    credential: Credential
    secret: str


@dataclass(slots=True)
class Visit:
    """A request by a browser. form is a POST's, already found to be from a page of ours. origin: this server's, as the browser sees it."""

    request: Request
    origin: str
    cookies: dict[str, str]
    session: Session | None = None
    form: dict[str, str] = field(default_factory=dict)
    new_cookies: list[str] = field(default_factory=list)

    @property
    def signed_in(self) -> Session:
        """For routes that need a session, which were not called without one."""
        assert self.session is not None
        return self.session

    @property
    def is_secure(self) -> bool:
        return self.origin.startswith("https://")

    def parameter(self, name: str) -> str:
        """Of the query. Raises RequestInvalid."""
        return self.request.parameter(name) or ""

    def cookie(self, name: str) -> str:
        return self.cookies.get(self._full(name), "")

    def set_cookie(self, name: str, value: str, seconds: int | None = None) -> None:
        """HttpOnly; over TLS with the prefix that no other host can write (RFC 6265bis, 4.1.3.2). seconds 0 removes it."""
        age = "" if seconds is None else f"; Max-Age={seconds}"
        self.new_cookies.append(f"{self._full(name)}={value}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if self.is_secure else ''}{age}")

    def _full(self, name: str) -> str:
        return f"__Host-{name}" if self.is_secure else name

    def mark(self, for_session: bool) -> str:
        """What a form must hold to be taken from this browser. A browser that has no cookie yet gets one."""
        if for_session:
            return _marked(self.signed_in.secret)
        visitor = self.cookie(VISITOR)
        if not visitor:
            visitor = secrets.token_urlsafe(32)
            self.cookies[self._full(VISITOR)] = visitor
            self.set_cookie(VISITOR, visitor)
        return _marked(visitor)

    def check_form(self, for_session: bool) -> None:
        """Raises PermissionDenied."""
        site, origin = self.request.header(b"sec-fetch-site"), self.request.header(b"origin")
        of_ours = site == "same-origin" if site else origin == self.origin
        secret = self.signed_in.secret if for_session else self.cookie(VISITOR)
        if not of_ours or not secret or not hmac.compare_digest(_marked(secret).encode(), self.form.get(MARK, "").encode()):
            raise PermissionDenied("this form was not sent by a page of this server, or the page is old: go back, load it again and repeat")


SESSION, VISITOR, OPENID = "roadstead", "roadstead-visit", "roadstead-openid"
"""Names of cookies."""


def visit(request: Request, public_url: str) -> Visit:
    """public_url: this server's address where it stands behind a proxy, else ""."""
    origin = public_url or f"{request.scheme}://{request.header(b'host')}"
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(request.header(b"cookie")[:8192])
    except CookieError:
        # Another program on this host wrote one that is none; ours cannot be told from it then.
        jar.clear()
    return Visit(request, origin, {name: morsel.value for name, morsel in jar.items()})


async def read_form(request: Request) -> dict[str, str]:
    """Raises RequestInvalid, TooLarge."""
    body = await request.content(MOST_FORM_BYTES, TooLarge("this form is too large"))
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, encoding="utf-8", errors="strict")
    except ValueError as error:
        raise RequestInvalid("this form is malformed") from error
    return dict(pairs)


def next_path(text: str, otherwise: str) -> str:
    """Where to go after signing in, if it is a path of this server."""
    return text if _NEXT.fullmatch(text) else otherwise


def page(
    visited: Visit,
    template: str,
    values: Mapping[str, object],
    status: int = 200,
    form_to: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """form_to: an origin that a form's answer may lead to beside ourselves: browsers follow no redirect to others."""
    text = _templates.get_template(template).render({**values, "MARK": MARK})
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self'{' ' + form_to if form_to else ''}"
    )
    sent = [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", policy),
        ("x-frame-options", "DENY"),
        # Not no-referrer: browsers would then call our own forms' origin null.
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cache-control", "no-store"),
        *(headers or {}).items(),
        *_cookies(visited),
    ]
    return Response(status, sent, text.encode())


def redirect(visited: Visit, address: str) -> Response:
    """address is a path of ours or was checked."""
    return Response(303, [("location", address), ("cache-control", "no-store"), ("referrer-policy", "no-referrer"), *_cookies(visited)])


def _cookies(visited: Visit) -> list[tuple[str, str]]:
    return [("set-cookie", each) for each in visited.new_cookies]


def _marked(secret: str) -> str:
    """The cookie itself must not stand in a page."""
    return hashlib.sha256(b"form\0" + secret.encode()).hexdigest()
