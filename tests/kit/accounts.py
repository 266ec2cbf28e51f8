"""An installation with accounts: a real server, its owner's token, and other members who may do what a test says."""

from __future__ import annotations

import base64
import itertools
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.kit.replies import ok
from tests.kit.server import Server, serving

WITH_ACCOUNTS = {"ROADSTEAD_ACCOUNTS": "true"}
REGISTRY_API = "containerregistry.googleapis.com"
_numbers = itertools.count()


class Installation:
    """
    owner: an HTTP client with every right. Members are made by name and get tokens from `roadstead admin token`, as a script would.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = server.url
        self.owner_token = self.token()
        self.owner = self.client(self.owner_token)
        self._tokens: dict[str, str] = {}

    def token(self, member: str = "", lifetime: str = "1h") -> str:
        options = ["--member", member] if member else []
        done = self.server.run("admin", "token", "--lifetime", lifetime, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def client(self, token: str = "", **headers: str) -> httpx.Client:
        """token "" is nobody."""
        given = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers={**given, **headers}, timeout=30)

    def project(self, *, registry: bool = True) -> str:
        """A new project nobody else uses."""
        name = f"p{os.getpid()}-{next(_numbers)}-{secrets.token_hex(3)}"
        ok(self.owner.post("/v1/projects", json={"projectId": name, "name": name}))
        if registry:
            self.enable(name, REGISTRY_API)
        return name

    def enable(self, project: str, *services: str) -> None:
        ok(self.owner.post(f"/v1/projects/{project}/services:batchEnable", json={"serviceIds": list(services)}))

    def account(self, project: str, name: str = "pusher") -> str:
        """A service account's address."""
        return str(ok(self.owner.post(f"/v1/projects/{project}/serviceAccounts", json={"accountId": name, "serviceAccount": {}}))["email"])

    def key(self, email: str) -> dict[str, Any]:
        """A key file."""
        made = ok(self.owner.post(f"/v1/projects/-/serviceAccounts/{email}/keys", json={}))
        return dict(json.loads(base64.b64decode(made["privateKeyData"])))

    def token_of(self, email: str) -> str:
        """A service account's, by impersonation, which takes no start of a program."""
        body = {"scope": ["https://www.googleapis.com/auth/cloud-platform"]}
        return str(ok(self.owner.post(f"/v1/projects/-/serviceAccounts/{email}:generateAccessToken", json=body))["accessToken"])

    def grant(self, project: str, role: str, *members: str) -> None:
        """On the project, beside what is there."""
        policy = self.owner.post(f"/v1/projects/{project}:getIamPolicy", json={}).json()
        bindings = [*policy.get("bindings", []), {"role": role, "members": list(members)}]
        ok(self.owner.post(f"/v1/projects/{project}:setIamPolicy", json={"policy": {**policy, "bindings": bindings}}))

    def robot(self, project: str, *roles: str) -> str:
        """A token of a new service account with these roles on the project."""
        email = self.account(project, f"robot-{next(_numbers):04}")
        for role in roles:
            self.grant(project, role, f"serviceAccount:{email}")
        return self.token_of(email)

    def registry_token(self, token: str, *scopes: str, host: str = "") -> str:
        """What docker gets for it."""
        headers = {"Host": host} if host else {}
        response = httpx.get(
            f"{self.url}/v2/token", params=[("service", "x"), *(("scope", scope) for scope in scopes)],
            auth=("oauth2accesstoken", token) if token else None, headers=headers,
        )  # fmt: skip
        assert response.status_code == 200, response.text
        return str(response.json()["token"])


@contextmanager
def installed(data: Path, *options: str, env: dict[str, str] | None = None) -> Iterator[Installation]:
    with serving(data, *options, env={**WITH_ACCOUNTS, **(env or {})}) as server:
        yield Installation(server)
