"""
An OpenID provider on a real socket that says and does what a test wants, right or wrong; and a whole one made by others (zitadel/oidc),
for what is right.
"""

from __future__ import annotations

import functools
import json
import os
import re
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from joserfc.jwk import RSAKey

from roadstead.iam.oauth import challenge_of
from tests.kit.issuer import rsa_key, signed

CLIENT, SECRET = "roadstead", "a secret/of the client+s"
Answer = tuple[int, dict[str, str], bytes]


class Provider:
    """
    claims: what the next ID token says, over what is right; None leaves one out. user: the person's claims. answers: path → what is
    answered instead. id_token: makes the token of its claims, to make a wrong one. forms, headers: what came to the token endpoint.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.key: RSAKey = _first_key()
        self.user: dict[str, Any] = {"sub": "subject-1", "email": "alice@example.com", "email_verified": True, "name": "Alice"}
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] | None = None
        self.configuration: dict[str, Any] = {}
        self.answers: dict[str, Answer] = {}
        self.forms: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.id_token: Callable[[dict[str, Any]], str] = lambda claims: signed(self.key, claims)
        self._asked: dict[str, dict[str, str]] = {}

    def get(self, path: str, query: dict[str, str]) -> Answer:
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            return _json(
                {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "userinfo_endpoint": f"{self.url}/userinfo",
                    "jwks_uri": f"{self.url}/jwks",
                    **self.configuration,
                }
            )
        if path == "/jwks":
            return _json({"keys": [self.key.as_dict(private=False)]})
        if path == "/authorize":
            code = secrets.token_urlsafe(16)
            self._asked[code] = query
            return 302, {"location": f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state'], 'iss': self.url})}"}, b""
        if path == "/userinfo":
            return _json(self.userinfo if self.userinfo is not None else {"sub": self.user["sub"]})
        return 404, {}, b""

    def post(self, form: dict[str, str], headers: dict[str, str]) -> Answer:
        self.forms.append(form)
        self.headers.append(headers)
        if "/token" in self.answers:
            return self.answers["/token"]
        asked = self._asked.pop(form["code"], None)
        if asked is None or asked["redirect_uri"] != form["redirect_uri"] or asked["code_challenge"] != challenge_of(form["code_verifier"]):
            return 400, {}, json.dumps({"error": "invalid_grant"}).encode()
        now = int(time.time())
        right = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **self.user}
        claims = {name: value for name, value in {**right, **self.claims}.items() if value is not None}
        return _json({"access_token": "opaque", "token_type": "Bearer", "id_token": self.id_token(claims)})


@functools.cache
def _first_key() -> RSAKey:
    return rsa_key("first")


def _json(value: object) -> Answer:
    return 200, {"content-type": "application/json"}, json.dumps(value).encode()


@contextmanager
def providing() -> Iterator[Provider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self._answer(provider.get(parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._answer(provider.post(form, {name.lower(): value for name, value in self.headers.items()}))

        def _answer(self, answer: Answer) -> None:
            status, headers, body = answer
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Not to the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Provider(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def zitadel(program: Path, redirect_uri: str, port: int) -> Iterator[str]:
    """Its issuer. Its people are test-user@localhost and test-user2, whose password is verysecure; its client is web, its secret secret."""
    environment = {**os.environ, "PORT": str(port), "REDIRECT_URI": redirect_uri}
    with subprocess.Popen([program], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(port)
            yield f"http://localhost:{port}/"
        finally:
            process.terminate()


def zitadel_login(address: str, username: str) -> str:
    """What a person does there; returns the address that the browser is sent back to."""
    with httpx.Client(trust_env=False) as browser:
        page = browser.get(address, follow_redirects=True)
        found = re.search(r'name="id" value="([^"]+)"', page.text)
        assert found, page.text
        form = {"id": found[1], "username": username, "password": "verysecure"}
        answer = browser.post(page.url.join("/login/username"), data=form)
        back = browser.get(page.url.join(answer.headers["location"]))
        return str(back.headers["location"])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


def _wait(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the provider did not start")
