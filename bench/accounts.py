"""
What accounts cost: one Roadstead without accounts, one with, asked in all the ways to be somebody, and distribution 3 with a password.

A way is a column: the same server with another Authorization header.
"""

import base64
import http.cookiejar
import json
import os
import re
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

from client import Server
from content import BASE, PROJECT
from servers import DISTRIBUTION_PASSWORD, ROOT

PEER = "distribution"
PERSON, PASSWORD = "person@example.com", "four quiet herons wade"
_CONNECTIONS_TO_REACH_EACH = 16
PUSHES, PING, TOKEN = "image_push_small_c8", "ping", "token"


def ways(open_server: Server, closed: Server, peer: Server, data: Path, python: str) -> list[Server]:
    """Makes the project and who may use it in closed, whose folder is data. Raises RuntimeError, HTTPError."""
    owner = _admin(python, data, "token")
    _prepare_project(closed.url, owner)
    key = _key_of_account(closed.url, owner)
    _prepare_person(closed.url, _admin(python, data, "owner", PERSON))
    _grant(closed.url, owner, "roles/storage.objectViewer", "allUsers")
    # A header as long as the registry token's, which counts for what reading it costs.
    unused = "Bearer " + "x" * 700
    return [
        _way(open_server, "open", leaves_out=frozenset({TOKEN})),
        _way(open_server, "open, header", fixed=unused, leaves_out=frozenset({TOKEN})),
        _way(closed, "registry token", credentials=f"oauth2accesstoken:{owner}", leaves_out=frozenset({TOKEN})),
        _way(closed, "access token", fixed=f"Bearer {owner}"),
        _way(closed, "self-signed", fixed=f"Bearer {_self_signed(key, data)}"),
        _way(closed, "password", fixed=_basic(f"{PERSON}:{PASSWORD}")),
        _way(closed, "nobody", fixed="", leaves_out=frozenset({PUSHES, PING})),
        _way(peer, PEER, credentials=f"bench:{DISTRIBUTION_PASSWORD}", leaves_out=frozenset({TOKEN})),
    ]


def _way(server: Server, name: str, fixed: str | None = None, credentials: str = "", leaves_out: frozenset[str] = frozenset()) -> Server:
    return Server(name, server.url, server.pid, credentials, server.note, fixed=fixed, leaves_out=leaves_out)


def contents(servers: list[Server]) -> list[Server]:
    """One way for each server, to prepare its content by."""
    return [server for server in servers if server.name in ("open", "registry token", PEER)]


def warm_up(servers: list[Server]) -> None:
    """Each process has seen each credential once: the first look at a password takes a tenth of a second."""
    for server in servers:
        for _ in range(_CONNECTIONS_TO_REACH_EACH):
            server.call("GET", f"/v2/{BASE}/tags/list", BASE)


def _basic(credentials: str) -> str:
    return "Basic " + base64.b64encode(credentials.encode()).decode()


def _admin(python: str, data: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "ROADSTEAD_ACCOUNTS": "true"}
    command = [python, "-m", "roadstead", "admin", *words, "--data", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"admin {words[0]}: {done.stderr}")
    return done.stdout.strip()


def _post(url: str, path: str, token: str, body: dict) -> dict:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def _prepare_project(url: str, owner: str) -> None:
    _post(url, "/v1/projects", owner, {"projectId": PROJECT, "name": PROJECT})
    _post(url, f"/v1/projects/{PROJECT}/services:batchEnable", owner, {"serviceIds": ["containerregistry.googleapis.com"]})


def _key_of_account(url: str, owner: str) -> dict:
    """A key file of a service account that may push."""
    account = _post(url, f"/v1/projects/{PROJECT}/serviceAccounts", owner, {"accountId": "pusher", "serviceAccount": {}})
    _grant(url, owner, "roles/storage.admin", f"serviceAccount:{account['email']}")
    return json.loads(base64.b64decode(_post(url, f"/v1/projects/-/serviceAccounts/{account['email']}/keys", owner, {})["privateKeyData"]))


def _grant(url: str, owner: str, role: str, member: str) -> None:
    policy = _post(url, f"/v1/projects/{PROJECT}:getIamPolicy", owner, {})
    policy["bindings"] = [*policy.get("bindings", []), {"role": role, "members": [member]}]
    _post(url, f"/v1/projects/{PROJECT}:setIamPolicy", owner, {"policy": policy})


def _prepare_person(url: str, said: str) -> None:
    """Follows the link that `admin owner` printed, and chooses the password."""
    token = said.rpartition("token=")[2].split()[0]
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    with browser.open(f"{url}/signin/link?token={token}") as page:
        hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page.read().decode())
    form = urllib.parse.urlencode({**dict(hidden), "name": "", "password": PASSWORD, "again": PASSWORD}).encode()
    browser.open(urllib.request.Request(f"{url}/signin/link", form, {"Sec-Fetch-Site": "same-origin"})).close()


def _self_signed(key: dict, folder: Path) -> str:
    """As Google's clients make it (AIP-4111)."""
    now = int(time.time())
    head = {"alg": "RS256", "typ": "JWT", "kid": key["private_key_id"]}
    email = key["client_email"]
    claims = {"iss": email, "sub": email, "aud": "https://containerregistry.googleapis.com/", "iat": now, "exp": now + 3600}
    signed = ".".join(_base64url(json.dumps(part).encode()) for part in (head, claims))
    file = folder.parent / "key.pem"
    file.write_text(key["private_key"])
    command = ["openssl", "dgst", "-sha256", "-sign", str(file)]
    return f"{signed}.{_base64url(subprocess.run(command, input=signed.encode(), capture_output=True, check=True).stdout)}"


def _base64url(payload: bytes) -> str:
    return base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
