"""An OpenID issuer on a real socket: discovery, keys, and signed tokens as GitHub Actions, GitLab and Kubernetes give them to programs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

HOUR = 3600
Key = RSAKey | ECKey


def rsa_key(kid: str, bits: int = 2048) -> RSAKey:
    return RSAKey.generate_key(bits, {"kid": kid, "use": "sig"}, private=True)


def signed(key: Key, claims: dict[str, Any], algorithm: str = "RS256", **header: Any) -> str:
    """header: fields beside alg, kid and typ; None leaves one out."""
    fields = {"alg": algorithm, "kid": key.kid, "typ": "JWT", **header}
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    return jws.serialize_compact(
        {name: value for name, value in fields.items() if value is not None}, json.dumps(claims).encode(), key, registry=registry
    )


def form(token: str, audience: str, **changes: str) -> dict[str, str]:
    """A token exchange (RFC 8693, 2.1) as google-auth sends it."""
    return {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": audience,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "subject_token": token,
        **changes,
    }


class Issuer:
    """answers: path → (status, headers, body), to answer otherwise than well. requests: the paths that were asked for, in order."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.host = f"127.0.0.1:{server.server_port}"
        self.key: Key = rsa_key("first")
        self.keys: list[Key] = [self.key]
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.requests: list[str] = []

    def jwks(self) -> str:
        return json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]})

    def rotate(self, kid: str) -> None:
        self.key = rsa_key(kid)
        self.keys = [self.key]

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        self.requests.append(path)
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            return 200, {}, json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/jwks"}).encode()
        if path == "/jwks":
            return 200, {}, self.jwks().encode()
        return 404, {}, b""

    def token(self, audience: str | list[str], now: float | None = None, **claims: Any) -> str:
        """A claim of None is left out."""
        at = int(time.time() if now is None else now)
        standard = {"iss": self.url, "aud": audience, "iat": at, "nbf": at, "exp": at + HOUR, "sub": "someone"}
        return signed(self.key, {name: value for name, value in {**standard, **claims}.items() if value is not None})


def github(repository: str = "octo-org/octo-repo", ref: str = "refs/heads/main") -> dict[str, Any]:
    """GitHub Docs, OpenID Connect reference: the claims of a workflow's token."""
    owner = repository.partition("/")[0]
    return {
        "sub": f"repo:{repository}:ref:{ref}",
        "ref": ref,
        "sha": "c0ffee",
        "repository": repository,
        "repository_id": "74",
        "repository_owner": owner,
        "repository_owner_id": "65",
        "repository_visibility": "private",
        "actor": "octocat",
        "actor_id": "12",
        "workflow": "example-workflow",
        "event_name": "workflow_dispatch",
        "ref_type": "branch",
        "job_workflow_ref": f"{repository}/.github/workflows/example.yml@{ref}",
        "runner_environment": "github-hosted",
        "run_id": "30433642",
        "run_attempt": "2",
    }


def gitlab(project: str = "my-group/my-project") -> dict[str, Any]:
    """GitLab Docs, ID token payload."""
    return {
        "sub": f"project_path:{project}:ref_type:branch:ref:main",
        "namespace_id": "72",
        "namespace_path": project.partition("/")[0],
        "project_id": "20",
        "project_path": project,
        "user_login": "sample-user",
        "user_email": "sample-user@example.com",
        "pipeline_id": "574",
        "pipeline_source": "push",
        "job_id": "302",
        "ref": "main",
        "ref_type": "branch",
        "ref_path": "refs/heads/main",
        "ref_protected": "true",
        "groups_direct": ["my-group/admins", "my-group/developers"],
    }


def kubernetes(namespace: str = "builds", account: str = "builder") -> dict[str, Any]:
    """Kubernetes, Managing Service Accounts: the claims of a projected token."""
    return {
        "sub": f"system:serviceaccount:{namespace}:{account}",
        "kubernetes.io": {
            "namespace": namespace,
            "pod": {"name": "builder-pod", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3"},
            "serviceaccount": {"name": account, "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
        },
    }


@contextmanager
def issuing() -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = issuer.answer(self.path)
            self.send_response(status)
            for name, value in {"content-type": "application/json", "content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Not to the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
