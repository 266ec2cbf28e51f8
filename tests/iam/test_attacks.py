"""
Attacks, each from a published weakness of a registry (security.md, 4.1), over HTTP against a real server.

What is attacked at the level of one class has its tests there: test_tokens.py, test_keys.py, test_credentials.py, test_openid.py,
test_federation.py. Rights of routes are in test_matrix.py.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey, RSAKey

from roadstead.api import forwarded
from roadstead.api.messages import Request
from roadstead.config import Settings
from roadstead.db.database import Database
from roadstead.errors import CredentialInvalid
from roadstead.iam.generation import Generation
from roadstead.iam.people import People
from tests.iam.test_tokens import decoded, encoded, signed
from tests.kit.accounts import Installation, installed
from tests.kit.clock import Clock
from tests.kit.gcloud import GCLOUD
from tests.kit.push import OCTETS, digest, error, image, push, push_blob, push_image
from tests.kit.raw import Raw, Reply, request
from tests.kit.site import Browser

SCOPES = "https://www.googleapis.com/auth/"
SENTENCE = "four quiet herons wade"
PERSON = "person@example.com"
SOON_SECONDS = 5.0
MOST_T = 4.5
"""Welch's t, as security.md has it."""


@pytest.fixture(scope="module")
def person(installation: Installation) -> str:
    """Somebody with a password; a test that fails logins on purpose does so as nobody, from an address of its own."""
    done = installation.server.run("admin", "owner", PERSON)
    link = re.search(r"/signin/link\?token=\S+", done.stdout)
    assert link, done.stderr
    with Browser(installation.url) as browser:
        answer = browser.send_form(browser.get(link[0]), "/signin/link", name="A Person", password=SENTENCE, again=SENTENCE)
        assert 303 == answer.status_code, answer.text
    return PERSON


@pytest.fixture
def mine(installation: Installation) -> str:
    return installation.project()


@pytest.fixture
def theirs(installation: Installation) -> str:
    project = installation.project()
    push_image(installation.owner, f"{project}/image")
    return project


@pytest.fixture
def stranger(installation: Installation, mine: str) -> Iterator[httpx.Client]:
    """Owns one project, and has no rights in another."""
    with installation.client(installation.robot(mine, "roles/owner")) as client:
        yield client


def held(token: str) -> dict[str, list[str]]:
    """What a registry token gives, by repository."""
    return {each["name"]: each["actions"] for each in decoded(token.split(".")[1])["access"] if each["actions"]}


def from_address(installation: Installation, number: int) -> httpx.Client:
    """Failed logins are counted by address: each such test has one of its own."""
    return httpx.Client(base_url=installation.url, transport=httpx.HTTPTransport(local_address=f"127.0.0.{number}"), timeout=30)


def scoped(installation: Installation, project: str, *scopes: str, roles: str = "roles/owner") -> str:
    """An access token that its OAuth scopes limit."""
    email = installation.account(project, "scoped")
    installation.grant(project, roles, f"serviceAccount:{email}")
    path = f"/v1/projects/-/serviceAccounts/{email}:generateAccessToken"
    answer = installation.owner.post(path, json={"scope": [SCOPES + scope for scope in scopes]})
    assert 200 == answer.status_code, answer.text
    return str(answer.json()["accessToken"])


# A token gives what it was made for (CVE-2025-24976; "scope for another repo")


def test_a_token_for_pulling_does_not_push_or_delete(installation: Installation, theirs: str) -> None:
    name = f"{theirs}/image"
    with installation.client(installation.registry_token(installation.owner_token, f"repository:{name}:pull")) as client:
        assert 200 == client.get(f"/v2/{name}/manifests/v1").status_code
        for method, path in (
            ("PUT", f"/v2/{name}/manifests/v2"),
            ("POST", f"/v2/{name}/blobs/uploads/"),
            ("DELETE", f"/v2/{name}/manifests/v1"),
            ("DELETE", f"/v2/{name}/blobs/{digest(b'{}')}"),
        ):
            refused = client.request(method, path, content=b"{}")
            assert (401, "UNAUTHORIZED") == error(refused), path
            assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]


def test_a_token_for_one_repository_is_nothing_at_another(installation: Installation, theirs: str) -> None:
    push_image(installation.owner, f"{theirs}/other")
    token = installation.registry_token(installation.owner_token, f"repository:{theirs}/image:pull,push,delete")
    with installation.client(token) as client:
        for path in (f"/v2/{theirs}/other/manifests/v1", f"/v2/{theirs}/image/more/manifests/v1", f"/v2/{theirs}/imag/manifests/v1"):
            assert 401 == client.get(path).status_code, path
        assert 401 == client.get(f"/v2/{theirs}/image/manifests/v1", headers={"Host": "eu.gcr.io"}).status_code


def test_a_token_does_not_get_another_one_that_does_more(installation: Installation, theirs: str) -> None:
    """A peer's token service took its own tokens as proof of who asks, and forgot what they were limited to."""
    name = f"{theirs}/image"
    token = installation.registry_token(installation.owner_token, f"repository:{name}:pull")
    params = [("scope", f"repository:{name}:pull,push,delete,*"), ("scope", f"repository:{theirs}/other:pull")]

    for auth in ({"headers": {"Authorization": f"Bearer {token}"}}, {"auth": ("_token", token)}):
        answer = httpx.get(f"{installation.url}/v2/token", params=params, **auth)  # type: ignore[arg-type]
        # A registry token is no password either way.
        assert 401 == answer.status_code or {name: ["pull"]} == held(answer.json()["token"]), answer.text


@pytest.mark.slow
def test_wildcards_and_strange_scopes_give_what_there_is_a_right_to(installation: Installation, theirs: str) -> None:
    token = installation.robot(theirs, "roles/storage.objectViewer")
    name, other = f"{theirs}/image", installation.project()
    scopes = (
        f"repository:{name}:*", f"repository:{name}:push,delete,admin,*", "repository:*:*", f"repository:{other}/x:*",
        "registry:catalog:*", f"repository:{other}/../{theirs}/x:pull", f"repository:{theirs}/x/../../{other}/y:pull", "repository::pull",
        f"repository({'x' * 9}):{other}/x:pull", f"repository:{name}:pull repository:{other}/y:pull",
        f"repository:{name}%20:pull", "*", ":::", f"repository:{other}/x:pull\r\nX-Evil: 1",
    )  # fmt: skip

    given = held(installation.registry_token(token, *scopes))

    assert {name: ["pull"]} == {repository: actions for repository, actions in given.items() if repository == name}
    # Of no repository: that the catalog may be asked for, which shows what its reader may read.
    assert [""] == [repository for repository in given if not repository.startswith(f"{theirs}/")]
    assert {"pull"} == {action for repository, actions in given.items() for action in actions if repository}


@pytest.mark.slow
def test_a_refresh_token_is_good_at_its_own_location_and_endpoint(installation: Installation, person: str, theirs: str) -> None:
    form = {"grant_type": "password", "username": person, "password": SENTENCE, "access_type": "offline", "client_id": "docker"}
    url = f"{installation.url}/v2/token"
    refresh = httpx.post(url, data=form).json()["refresh_token"]
    again = {"grant_type": "refresh_token", "refresh_token": refresh, "scope": f"repository:{theirs}/image:pull"}

    assert {f"{theirs}/image": ["pull"]} == held(httpx.post(url, data=again).json()["access_token"])
    assert 400 == httpx.post(url, data=again, headers={"Host": "eu.gcr.io"}).status_code
    for path in ("/token", "/oauth2/v4/token"):
        assert "error" in httpx.post(installation.url + path, data=again).json()
        assert 400 == httpx.post(installation.url + path, data={**again, "client_id": GCLOUD}).status_code
    assert 401 == httpx.get(f"{installation.url}/v1/projects", headers={"Authorization": f"Bearer {refresh}"}).status_code


def test_oauth_scopes_limit_an_access_token_on_every_api(installation: Installation, theirs: str) -> None:
    """What was made to read storage must not change policies, push, or get a token that may."""
    name = f"{theirs}/image"
    token = scoped(installation, theirs, "devstorage.read_only")
    account = f"/v1/projects/-/serviceAccounts/scoped@{theirs}.iam.gserviceaccount.com"
    with installation.client(token) as client:
        assert 200 == client.get(f"/v2/{name}/manifests/v1").status_code
        refused = [
            client.post(f"/v2/{name}/blobs/uploads/"),
            client.delete(f"/v2/{name}/manifests/v1"),
            client.get(f"/v1/projects/{theirs}"),
            client.post(f"/v1/projects/{theirs}:setIamPolicy", json={"policy": {"bindings": []}}),
            client.post(f"/v1/projects/{theirs}/serviceAccounts", json={"accountId": "another"}),
            client.post(f"{account}:generateAccessToken", json={"scope": [SCOPES + "cloud-platform"]}),
            client.post(f"{account}/keys", json={}),
            client.put(f"/storage/v1/b/artifacts.{theirs}.appspot.com/iam", json={"bindings": []}),
        ]
    assert [403] * len(refused) == [each.status_code for each in refused], [each.text for each in refused]
    assert {name: ["pull"]} == held(installation.registry_token(token, f"repository:{name}:pull,push,delete"))


# Nobody else makes a token (CVE-2025-24976; RFC 8725, 2.1 and 2.8)


def forgeries(installation: Installation, token: str) -> Iterator[tuple[str, str]]:
    """The token's own claims, signed in every way but ours."""
    header, claims = decoded(token.split(".", maxsplit=1)[0]), decoded(token.split(".")[1])
    public = httpx.get(f"{installation.url}/oauth2/v3/certs").json()["keys"]
    ours = next(key for key in public if key["kid"] == header["kid"])
    thief, other = ECKey.generate_key("P-256"), RSAKey.generate_key(2048)
    embedded = thief.as_dict(private=False)
    own = base64.b64encode(thief.as_pem(private=False)).decode()
    body = token.split(".")[1]

    yield "none", f"{encoded({**header, 'alg': 'none'})}.{body}."
    yield "None, with our signature", f"{encoded({**header, 'alg': 'None'})}.{body}.{token.split('.')[2]}"
    yield "no signature", f"{token.split('.', maxsplit=1)[0]}.{body}."
    for secret in (json.dumps(ours).encode(), ECKey.import_key(ours).as_pem(private=False), ours["x"].encode()):
        head = f"{encoded({**header, 'alg': 'HS256'})}.{body}"
        yield "HS256 with our public key", f"{head}.{encoded(hmac.digest(secret, head.encode(), 'sha256'))}"
    yield "our kid, another key", signed(header, claims, thief, "ES256")
    yield "a kid that nobody has", signed({**header, "kid": "0" * 32}, claims, thief, "ES256")
    yield "a kid that is a path", signed({**header, "kid": "../../../../dev/null"}, claims, thief, "ES256")
    yield "a kid that is SQL", signed({**header, "kid": "x' OR '1'='1"}, claims, thief, "ES256")
    yield "RS256", signed({**header, "alg": "RS256"}, claims, other, "RS256")
    for name, value in (
        ("jwk", embedded), ("jku", f"{installation.url}/oauth2/v3/certs"), ("x5u", "https://example.com/x"), ("x5c", [own]),
    ):  # fmt: skip
        yield f"{name} of the thief's", signed({**header, name: value}, claims, thief, "ES256")
    yield "crit", signed({**header, "crit": ["exp"]}, claims, thief, "ES256")
    changed = {**claims, "sub": f"user:{PERSON}"}
    yield "another member", f"{token.split('.', maxsplit=1)[0]}.{encoded(changed)}.{token.split('.')[2]}"


@pytest.mark.parametrize("kind", ["access", "registry"])
def test_forged_tokens_are_nobody_s(installation: Installation, theirs: str, kind: str) -> None:
    owner = installation.owner_token
    token = owner if kind == "access" else installation.registry_token(owner, f"repository:{theirs}/image:pull,push,delete")
    path = f"/v2/{theirs}/image/manifests/v1"
    assert 200 == httpx.get(installation.url + path, headers={"Authorization": f"Bearer {token}"}).status_code
    tried = 0
    with installation.client() as client:
        for what, forged in forgeries(installation, token):
            bearer = {"Authorization": f"Bearer {forged}"}
            answers = [
                client.get(path, headers=bearer),
                client.get("/v2/", headers=bearer),
                client.get("/v2/token", headers=bearer),
                client.get("/v1/projects", headers=bearer),
                client.get("/oauth2/v3/userinfo", headers=bearer),
                client.get(path, auth=("oauth2accesstoken", forged)),
            ]
            assert {401} == {answer.status_code for answer in answers}, (what, [answer.text for answer in answers])
            tried += 1
    assert 17 <= tried


def test_a_token_is_good_for_its_own_purpose(installation: Installation, mine: str) -> None:
    """RFC 8725, 2.8. Whoever asks for an identity token chooses its audience: here, what access and registry tokens have."""
    email = installation.account(mine, "identified")
    installation.grant(mine, "roles/owner", f"serviceAccount:{email}")
    registry = installation.registry_token(installation.owner_token, f"repository:{mine}/x:pull")
    audiences = [decoded(token.split(".")[1])["aud"] for token in (installation.owner_token, registry)]
    assert audiences[0] != audiences[1]
    identities = [
        installation.owner.post(f"/v1/projects/-/serviceAccounts/{email}:generateIdToken", json={"audience": audience}).json()["token"]
        for audience in audiences
    ]
    with installation.client() as client:
        for token in identities:
            bearer = {"Authorization": f"Bearer {token}"}
            for path in ("/v2/", f"/v2/{mine}/x/tags/list", "/v1/projects", "/oauth2/v3/userinfo"):
                assert 401 == client.get(path, headers=bearer).status_code, path
        for path in ("/v1/projects", "/v3/projects", "/storage/v1/b", "/oauth2/v3/userinfo"):
            assert 401 == client.get(path, headers={"Authorization": f"Bearer {registry}"}).status_code, path


# Uploads (Quay, CVE-2026-32589)


def test_an_upload_is_its_beginner_s_in_its_repository(installation: Installation, theirs: str) -> None:
    """Others' uploads could be read, changed and cancelled by their id."""
    owner, name = installation.owner, f"{theirs}/image"
    upload = owner.post(f"/v2/{name}/blobs/uploads/").headers["Location"].rpartition("/")[2]
    owner.patch(f"/v2/{name}/blobs/uploads/{upload}", content=b"abc")
    assert 128 // 4 <= len(upload.partition("-")[0])
    with installation.client(installation.robot(theirs, "roles/storage.admin")) as other:
        for client, repository in ((other, name), (owner, f"{theirs}/other"), (other, f"{theirs}/other")):
            path = f"/v2/{repository}/blobs/uploads/{upload}"
            answers = [
                client.get(path),
                client.patch(path, content=b"d", headers=OCTETS),
                client.put(path, params={"digest": digest(b"abc")}),
                client.delete(path),
            ]
            assert {(404, "BLOB_UPLOAD_UNKNOWN")} == {error(answer) for answer in answers}
        assert 404 == owner.get(f"/v2/{name}/blobs/uploads/{upload}", headers={"Host": "eu.gcr.io"}).status_code
    assert 401 == httpx.get(f"{installation.url}/v2/{name}/blobs/uploads/{upload}").status_code

    state = owner.get(f"/v2/{name}/blobs/uploads/{upload}")
    assert (204, "0-2") == (state.status_code, state.headers["Range"])


# Bytes of others (zot, CVE-2024-39897)


@pytest.mark.slow
def test_known_digests_give_nothing_without_a_right_to_read_them(installation: Installation, stranger: httpx.Client, mine: str) -> None:
    """HEAD, mount, an upload of the digest alone and a manifest linked a blob that somebody else had."""
    theirs, secret = installation.project(), b"a secret layer of theirs"
    known, unknown = push_blob(installation.owner, f"{theirs}/image", secret), digest(b"what nobody has")
    answers: dict[str, list[Any]] = {known: [], unknown: []}
    for wanted, seen in answers.items():
        uploads = f"/v2/{mine}/image/blobs/uploads/"
        for query in (
            {"mount": wanted, "from": f"{theirs}/image"}, {"mount": wanted}, {"mount": wanted, "from": ""},
            {"mount": wanted, "from": f"{theirs}/nothing"}, {"mount": wanted, "from": "no-such-project/x"},
            {"mount": wanted, "from": f"{mine}/../{theirs}/image"}, {"mount": wanted, "from": f"{theirs}/image", "origin": "gcr.io"},
        ):  # fmt: skip
            seen.append(stranger.post(uploads, params=query).status_code)
        seen.append(stranger.head(f"/v2/{mine}/image/blobs/{wanted}").status_code)
        seen.append(error(stranger.post(uploads, params={"digest": wanted}, content=b"")))
        begun = stranger.post(uploads).headers["Location"]
        seen.append(error(stranger.put(begun, params={"digest": wanted})))
        manifest = image(b"{}", [])
        payload = manifest.payload.replace(digest(b"{}").encode(), wanted.encode())
        refused = stranger.put(f"/v2/{mine}/image/manifests/v1", content=payload, headers=manifest.headers)
        seen.append((error(refused), refused.text.replace(wanted, "D")))
    assert answers[known] == answers[unknown]
    assert [202] * 7 + [404] == answers[known][:8]
    assert 404 == stranger.get(f"/v2/{mine}/image/blobs/{known}").status_code


def test_a_mount_is_limited_by_the_token_too(installation: Installation, theirs: str, mine: str) -> None:
    """The owner may read the source, but this token may not."""
    blob = push_blob(installation.owner, f"{theirs}/image", b"a layer")
    target, query = f"/v2/{mine}/image/blobs/uploads/", {"mount": blob, "from": f"{theirs}/image"}
    scope = f"repository:{mine}/image:pull,push"
    with installation.client(installation.registry_token(installation.owner_token, scope)) as client:
        assert 202 == client.post(target, params=query).status_code
    both = installation.registry_token(installation.owner_token, scope, f"repository:{theirs}/image:pull")
    with installation.client(both) as client:
        assert 201 == client.post(target, params=query).status_code


# Tags and digests (distribution, CVE-2026-41888; zot, CVE-2026-31801)


@pytest.mark.slow
def test_who_may_push_does_not_delete(installation: Installation, theirs: str) -> None:
    """The delete of a tag took another way through the code, which never asked."""
    name = f"{theirs}/image"
    manifest = push_image(installation.owner, name, "v1")
    blob = push_blob(installation.owner, name, b"{}")
    for role in ("roles/artifactregistry.writer", "roles/storage.objectCreator", "roles/viewer"):
        with installation.client(installation.robot(theirs, role)) as client:
            for path in ("manifests/v1", f"manifests/{manifest.digest}", f"blobs/{blob}", "manifests/none"):
                assert (403, "DENIED") == error(client.delete(f"/v2/{name}/{path}")), (role, path)
    assert manifest.payload == installation.owner.get(f"/v2/{name}/manifests/v1").content


def test_who_may_only_create_moves_no_tag_by_any_way(installation: Installation, theirs: str) -> None:
    """`latest` was an exception, and so was a digest with tags beside it."""
    name = f"{theirs}/image"
    first = push_image(installation.owner, name, "latest")
    with installation.client(installation.robot(theirs, "roles/storage.objectCreator")) as creator:
        other = image(json.dumps({"os": "linux"}).encode(), [])
        push_blob(creator, name, json.dumps({"os": "linux"}).encode())
        ways = [
            push(creator, name, other, "latest"),
            creator.put(f"/v2/{name}/manifests/{other.digest}", params={"tag": "latest"}, content=other.payload, headers=other.headers),
            creator.put(f"/v2/{name}/manifests/new", params={"tag": ["x", "latest"]}, content=other.payload, headers=other.headers),
            push(creator, name, other, "latest", **{"If-Match": "*"}),
            push(creator, name, other, "latest", **{"If-Match": f'"{first.digest}"'}),
        ]
        assert {(403, "DENIED")} == {error(each) for each in ways}
        tags = installation.owner.get(f"/v2/{name}/tags/list").json()["tags"]
    assert first.payload == installation.owner.get(f"/v2/{name}/manifests/latest").content
    # All or nothing: no tag beside a refused one was written.
    assert {"latest", "v1"} == set(tags)


def test_of_fifty_who_create_the_same_tag_at_once_one_does(installation: Installation, mine: str) -> None:
    name, config = f"{mine}/image", json.dumps({"os": "linux"}).encode()
    token = installation.robot(mine, "roles/storage.objectCreator")
    with installation.client(token) as creator:
        push_blob(creator, name, config)
        manifests = [image(config, [], annotations={"n": str(number)}) for number in range(50)]

        def race(number: int) -> httpx.Response:
            return push(creator, name, manifests[number], "latest")

        with ThreadPoolExecutor(25) as pool:
            answers = list(pool.map(race, range(50)))

    statuses = sorted(answer.status_code for answer in answers)
    assert [201] + [403] * 49 == statuses
    winner = next(number for number, answer in enumerate(answers) if answer.status_code == 201)
    assert manifests[winner].payload == installation.owner.get(f"/v2/{name}/manifests/latest").content


# What is routed is what is authorized (Starlette's "BadHost", CVE-2026-48710)


def raw(installation: Installation, data: bytes) -> Reply:
    with Raw(installation.server.port) as connection:
        return connection.send_what_goes(data).reply()


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


def test_a_host_that_is_none_is_refused(installation: Installation, theirs: str) -> None:
    """Authorization looked at an address that was made of the Host header, while routing used the path."""
    path = f"/v2/{theirs}/image/manifests/v1"
    hosts = ("a/b", "x?", "x#y", "a@b", "x/v2/", "a b", "", "a\\b", 'a"b', "a:b", "a:123456", "[::1", "x%2f", "x,y", "a\tb", "é")
    for host in hosts:
        for token in ("", installation.owner_token):
            reply = raw(installation, request("GET", path, *([bearer(token)] if token else []), host=host))
            assert 400 == reply.status, host
    two = request("GET", path, "Host: eu.gcr.io", bearer(installation.owner_token))
    assert 400 == raw(installation, two).status
    none = f"GET {path} HTTP/1.1\r\n{bearer(installation.owner_token)}\r\n\r\n".encode()
    assert 400 == raw(installation, none).status


def test_no_spelling_of_a_path_leads_past_authorization(installation: Installation, stranger: httpx.Client, mine: str, theirs: str) -> None:
    """Absolute targets, empty and dotted parts, parameters, and slashes that are encoded."""
    token = str(stranger.headers["Authorization"]).removeprefix("Bearer ")
    tail = "manifests/v1"
    paths = [
        f"http://{mine}/v2/{theirs}/image/{tail}", f"//v2/{theirs}/image/{tail}", f"/v2//{theirs}/image/{tail}",
        f"/v2/{mine}/../{theirs}/image/{tail}", f"/v2/{mine}/%2e%2e/{theirs}/image/{tail}", f"/v2/{mine}%2f..%2f{theirs}/image/{tail}",
        f"/v2/{mine}/x;/../{theirs}/image/{tail}", f"/v2/{theirs};{mine}/image/{tail}", f"/v2/{theirs}%2fimage/{tail}",
        f"/v2/{theirs}%2Fimage%2Fmanifests%2Fv1", f"/v2/{mine}%2f%2e%2e%2f{theirs}%2fimage/{tail}",
        f"/v2/{mine}/%252e%252e/{theirs}/image/{tail}",
        f"/v2/{theirs}/image/manifests/v1?x=/v2/{mine}/image/manifests/v1", f"/v2/{theirs}/image/manifests/v1%23/v2/{mine}/",
        f"/v2/{theirs}/image/manifests/v1%00", f"/v2/{theirs}/image/manifests/%76%31", f"/%76%32/{theirs}/image/{tail}",
        f"/v2\\{theirs}\\image\\manifests\\v1", f"/v2/{theirs.upper()}/image/{tail}", f"/V2/{theirs}/image/{tail}",
        f"/v2/{mine}/manifests/x/../../{theirs}/image/{tail}", f"/v2/{theirs}/image/blobs/uploads/../../{tail}",
        f"/v2/./{theirs}/image/{tail}",
        f"/v2/{theirs}/image/manifests/v1/", f"/v2/{theirs}%ff/image/{tail}", f"/v2/{theirs}%c0%afimage/{tail}",
        f"/v1/projects/{mine}/../{theirs}", f"/v1/projects/{mine}%2F..%2F{theirs}", f"/v1/projects/{mine}/%2e%2e/{theirs}",
        f"/v1/projects/{theirs}%00", f"/v1/projects/{theirs}%20", f"/v1/projects/%2e%2e/projects/{theirs}", f"/v1//projects/{theirs}",
        f"/v1/projects/{theirs};x={mine}", f"/v1/projects/{mine}%2fserviceAccounts%2f..%2f..%2f{theirs}", f"/v1/projects%2f{theirs}",
        f"/v1/projects/{mine}/serviceAccounts/..%2F..%2F{theirs}%2FserviceAccounts%2Fx", f"/v1/projects/{theirs}?project={mine}",
        f"/v1/projects/{mine}/locations/us/repositories/gcr.io/packages/..%2F..%2F..%2F{theirs}:getIamPolicy",
        f"/v1/projects/{mine}/../{theirs}/locations/us/repositories/gcr.io:getIamPolicy",
        f"/storage/v1/b/artifacts.{mine}.appspot.com%2F..%2Fartifacts.{theirs}.appspot.com",
        f"/storage/v1/b?project={mine}&project={theirs}",
        f"/storage/v1/b/artifacts.{theirs}.appspot.com;artifacts.{mine}.appspot.com",
    ]  # fmt: skip
    for path in paths:
        reply = raw(installation, request("GET", path, bearer(token), host=installation.server.authority))
        harmless = path.startswith("/storage/v1/b?project=") and reply.status == 200 and theirs.encode() not in reply.body
        assert harmless or reply.status in (400, 401, 403, 404, 405), (path, reply.status, reply.body[:300])
    # What is decoded to a name is that name, for whoever has a right to it as well.
    for path in (f"/v2/{theirs}%2fimage/{tail}", f"/v2/{theirs}/image/manifests/%76%31"):
        reply = raw(installation, request("GET", path, bearer(installation.owner_token), host=installation.server.authority))
        assert reply.status in (200, 400, 404)


def test_two_credentials_are_none(installation: Installation, theirs: str) -> None:
    """A proxy may have looked at the other one. Also when the first of them was let in just before."""
    good, path = bearer(installation.owner_token), f"/v2/{theirs}/image/manifests/v1"
    assert 200 == raw(installation, request("GET", path, good, host=installation.server.authority)).status
    for headers in (
        (good, "Authorization: Bearer x"),
        ("Authorization: Bearer x", good),
        (good, good),
        (good, "Authorization: Basic eDp5"),
    ):
        for target in (path, "/v2/", "/v1/projects"):
            for _ in range(3):
                reply = raw(installation, request("GET", target, *headers, host=installation.server.authority))
                assert 400 == reply.status, (headers, target, reply.body)


# Headers of answers (go-containerregistry, 2026: realm, Location and Link are never of another's making)


def test_nothing_that_is_sent_becomes_a_header_of_the_answer(installation: Installation, mine: str) -> None:
    evil = "x%0d%0aX-Evil:%201%0d%0aSet-Cookie:%20a=b"
    good, here = bearer(installation.owner_token), installation.server.authority
    targets = [
        ("GET", f"/v2/{mine}/{evil}/manifests/v1"), ("GET", f"/v2/{mine}/x/manifests/{evil}"), ("GET", f"/v2/{evil}/tags/list"),
        ("GET", f"/v2/token?service={evil}&scope=repository:{mine}/{evil}:pull&account={evil}&client_id={evil}"),
        ("GET", f"/v2/{mine}/x/tags/list?n=1&last={evil}"), ("GET", f"/v2/_catalog?n=1&last={evil}"),
        ("GET", f"/v2/{mine}/x/referrers/sha256:{'0' * 64}?artifactType={evil}"),
        ("POST", f"/v2/{mine}/x/blobs/uploads/?mount={evil}&from={evil}"),
        ("GET", f"/v1/projects/{evil}"), ("GET", f"/v1/projects?filter={evil}&pageToken={evil}"), ("GET", f"/signin?next=/{evil}"),
        ("GET", f"/account?{evil}"), ("GET", f"/signin/oidc/{evil}"),
        ("GET", f"/o/oauth2/auth?redirect_uri=http://localhost/{evil}&state={evil}"),
        ("GET", f"/storage/v1/b/{evil}"), ("GET", f"/static/{evil}"),
    ]  # fmt: skip
    for method, path in targets:
        for credential in ((), (good,)):
            extra = (
                "X-Forwarded-Host: evil.example.com",
                "X-Forwarded-Prefix: /evil",
                "X-Request-Id: a b<script>",
                "X-Original-URL: /evil",
            )
            reply = raw(installation, request(method, path, *credential, *extra, host=here))
            assert {"x-evil", "set-cookie"}.isdisjoint(reply.headers.keys() - ({"set-cookie"} if "signin" in path else set())), path
            assert "evil.example.com" not in str(reply.headers), path
            assert "a=b" not in reply.headers.get("set-cookie", ""), path
            assert "<script>" not in str(reply.headers), path
    wrong = "GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\nX-Evil: 1\r\n\r\n"
    assert "x-evil" not in raw(installation, wrong.encode()).headers


def test_an_address_is_believed_from_our_own_proxies_only() -> None:
    """Or failed logins would be counted by what the attacker writes."""

    class Nothing:
        def batches(self) -> Any:
            raise AssertionError

    def client(peer: str, header: str, proxies: tuple[str, ...]) -> tuple[str, str]:
        headers = [(b"x-forwarded-for", header.encode()), (b"x-forwarded-proto", b"https")]
        asked = Request("GET", "/", "", headers, "gcr", Nothing(), 0, client=peer)
        forwarded.believe(asked, Settings(trusted_proxies=proxies).proxies())
        return asked.client, asked.scheme

    assert ("203.0.113.9", "http") == client("203.0.113.9", "198.51.100.1", ("10.0.0.0/8",))
    assert ("203.0.113.9", "http") == client("203.0.113.9", "198.51.100.1", ())
    assert ("198.51.100.1", "https") == client("10.0.0.1", "198.51.100.1", ("10.0.0.0/8",))
    # What the attacker wrote before the proxy's own word does not count.
    assert ("198.51.100.1", "https") == client("10.0.0.1", "127.0.0.1, 10.0.0.7, 198.51.100.1", ("10.0.0.0/8",))
    assert ("198.51.100.1", "https") == client("10.0.0.1", "127.0.0.1, 198.51.100.1, 10.0.0.7", ("10.0.0.0/8",))
    assert "10.0.0.1" == client("10.0.0.1", "not an address", ("10.0.0.0/8",))[0]


# Sizes and shapes (CVE-2017-11468, CVE-2023-2253)


def test_huge_credentials_are_refused_before_they_are_read(installation: Installation, theirs: str) -> None:
    path, here = f"/v2/{theirs}/image/manifests/v1", installation.server.authority
    begun = time.monotonic()
    for value in (
        "Bearer " + "a" * 17_000,
        "Basic " + "YTpi" * 5000,
        "Bearer " + "e." * 9000,
        "Bearer " + installation.owner_token + "a" * 17_000,
    ):
        for target in (path, "/v1/projects", "/v2/token"):
            assert 401 == raw(installation, request("GET", target, f"Authorization: {value}", host=here)).status
    assert raw(installation, request("GET", path, "Authorization: Bearer " + "a" * 1_000_000, host=here)).status in (400, 431)
    huge = {"grant_type": "password", "username": "a@example.com", "password": "x" * 1_000_000}
    for url in ("/v2/token", "/token"):
        assert httpx.post(installation.url + url, data=huge).status_code in (400, 413)
    assert SOON_SECONDS > time.monotonic() - begun


def test_deep_bodies_are_refused_soon(installation: Installation, mine: str) -> None:
    owner, begun = installation.owner, time.monotonic()
    for body in (
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"policy":' * 50_000,
        b'{"labels":{"a":' + b"1" * 100_000 + b"}}",
        b'{"name":"\\ud800"}',
        b"\xff",
    ):
        answers = [
            owner.put(f"/v2/{mine}/x/manifests/v1", content=body, headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"}),
            owner.post(f"/v1/projects/{mine}:setIamPolicy", content=body),
            owner.put(f"/v1/projects/{mine}", content=body),
            owner.post(f"/v1/projects/{mine}/serviceAccounts", content=body),
            owner.post("/v1/token", content=body, headers={"Content-Type": "application/json"}),
            owner.post("/v2/entries:list", content=body),
            owner.put(f"/storage/v1/b/artifacts.{mine}.appspot.com/iam", content=body),
        ]
        assert {400} == {answer.status_code for answer in answers}, (body[:20], [answer.text[:100] for answer in answers])
    assert SOON_SECONDS > time.monotonic() - begun


NUMBERS = (str(2**63), str(2**31), "-1", "1e400", "१०", "0x10", "NaN", "1;DROP TABLE users", " 1", "1_0", "+1", "")


def test_sizes_of_pages_are_numbers_with_an_end(installation: Installation, mine: str, theirs: str) -> None:
    """CVE-2023-2253: an array of n entries was made before anything was looked at."""
    lists = [
        ("/v2/_catalog", "n"), (f"/v2/{theirs}/image/tags/list", "n"), (f"/v2/{theirs}/image/referrers/sha256:{'0' * 64}", "n"),
        ("/v1/projects", "pageSize"), ("/v3/projects:search", "pageSize"), (f"/v1/projects/{mine}/services", "pageSize"),
        (f"/v1/projects/{mine}/serviceAccounts", "pageSize"), ("/v1/roles", "pageSize"), (f"/v1/projects/{mine}/roles", "page_size"),
        (f"/v1/projects/{mine}/locations/global/workloadIdentityPools", "pageSize"), ("/storage/v1/b", "maxResults"),
    ]  # fmt: skip
    begun = time.monotonic()
    for path, name in lists:
        for number in NUMBERS:
            answer = installation.owner.get(path, params={name: number, "project": mine})
            assert answer.status_code in (200, 400), (path, number, answer.text)
            assert len(answer.content) < 2_000_000
    for number in (2**63, 2**31, -1, "१०", 10**400):
        answer = installation.owner.post(
            "/v2/entries:list", content=json.dumps({"resourceNames": [f"projects/{mine}"], "pageSize": number})
        )
        assert answer.status_code in (200, 400), (number, answer.text)
    assert 4 * SOON_SECONDS > time.monotonic() - begun


# What is not the client's to say (Harbor, CVE-2019-16097; CVE-2025-30086)


def test_what_was_read_can_be_sent_back_but_changes_nothing_that_is_not_the_client_s(installation: Installation, mine: str) -> None:
    """An administrator's mark was taken at registration."""
    owner, other = installation.owner, installation.project()
    email = installation.account(mine, "somebody")
    project_path, account_path = f"/v1/projects/{mine}", f"/v1/projects/{mine}/serviceAccounts/{email}"
    project, account = owner.get(project_path).json(), owner.get(account_path).json()

    forged = {
        **project,
        "projectNumber": "1",
        "projectId": other,
        "lifecycleState": "DELETE_REQUESTED",
        "createTime": "2001-01-01T00:00:00Z",
    }
    assert 200 == owner.put(project_path, json=forged).status_code
    body = {**account, "email": "x@example.com", "uniqueId": "1", "projectId": other, "disabled": True, "displayName": "new"}
    assert 200 == owner.put(account_path, json=body).status_code
    body["etag"] = owner.get(account_path).json()["etag"]
    assert 200 == owner.patch(account_path, json={"serviceAccount": body, "updateMask": "displayName"}).status_code
    for mask in ("disabled", "email", "uniqueId", "*", "projectId,displayName"):
        assert 400 == owner.patch(account_path, json={"serviceAccount": body, "updateMask": mask}).status_code, mask

    assert {**project, "lifecycleState": "ACTIVE"} == owner.get(project_path).json()
    kept = owner.get(account_path).json()
    for name in ("email", "uniqueId", "projectId", "name", "oauth2ClientId"):
        assert account[name] == kept[name], name
    assert not kept.get("disabled", False)


def test_fields_that_are_unknown_are_refused(installation: Installation, mine: str) -> None:
    owner = installation.owner
    email = installation.account(mine, "somebody")
    account = f"/v1/projects/{mine}/serviceAccounts/{email}"
    for field in ("hasAdminRole", "owner", "role", "password_hash", "is_admin", "__class__", "permissions"):
        answers = [
            owner.post("/v1/projects", json={"projectId": f"{mine}-x", field: "true"}),
            owner.put(f"/v1/projects/{mine}", json={"name": "x", field: "true"}),
            owner.patch(f"/v3/projects/{mine}", json={"displayName": "x", field: "true"}),
            owner.post(f"/v1/projects/{mine}/serviceAccounts", json={"accountId": "another", field: "true"}),
            owner.post(f"/v1/projects/{mine}/serviceAccounts", json={"accountId": "another", "serviceAccount": {field: "true"}}),
            owner.patch(account, json={"serviceAccount": {field: "true"}}),
            owner.post(f"{account}/keys", json={field: "true"}),
            owner.post(f"{account}:disable", json={field: "true"}),
            owner.post(f"{account}:generateAccessToken", json={"scope": [SCOPES + "cloud-platform"], field: "true"}),
            owner.post(f"/v1/projects/{mine}:setIamPolicy", json={"policy": {"bindings": [], field: "true"}}),
            owner.post(f"/v1/projects/{mine}:setIamPolicy", json={"policy": {"bindings": [{"role": "roles/viewer", field + "x": "true"}]}}),
            owner.post(f"/v1/projects/{mine}/services:batchEnable", json={"serviceIds": ["pubsub.googleapis.com"], field: "true"}),
            owner.post(f"/v1/projects/{mine}/roles", json={"roleId": "abc", "role": {field: ["x"]}}),
        ]
        assert {400} == {answer.status_code for answer in answers}, [(each.request.url.path, each.status_code) for each in answers]


FILTERS = (
    "password_hash~a", "password_hash:*", "owner=admin", "name:* OR 1=1",
    "projectId:x' OR '1'='1", 'projectId:"x" UNION SELECT *', "(" * 500,
    "NOT " * 500 + "name:x", "labels.:x", "labels.a.b.c:x", "lifecycleState:ACTIVE; DROP TABLE users", "name:%", "name:_",
    "name:*" + "*" * 1000,
    "name:" + "a" * 30_000, "\x00", "name:\u202e", "state=~(a+)+$", "name=~'(a|a)*b'",
)  # fmt: skip


def test_filters_reach_nothing_but_what_they_name(installation: Installation, stranger: httpx.Client, mine: str, theirs: str) -> None:
    """Harbor, CVE-2025-30086: `q` and `sort` reached every column, and so the hashes of passwords."""
    begun = time.monotonic()
    for text in FILTERS:
        answers = [
            stranger.get("/v1/projects", params={"filter": text}),
            stranger.get("/v3/projects:search", params={"query": text}),
            stranger.get(f"/v1/projects/{mine}/services", params={"filter": text}),
            stranger.post("/v2/entries:list", json={"resourceNames": [f"projects/{mine}"], "filter": text}),
        ]
        for answer in answers:
            assert answer.status_code in (200, 400), (text[:50], answer.status_code, answer.text[:200])
            assert theirs not in answer.text
        assert 400 == answers[2].status_code
    assert 2 * SOON_SECONDS > time.monotonic() - begun


@pytest.mark.slow
def test_no_list_shows_what_its_reader_may_not_read(installation: Installation, stranger: httpx.Client, mine: str, theirs: str) -> None:
    """Harbor, CVE-2020-29662: catalog and search told of private projects."""
    subject = push_image(installation.owner, f"{theirs}/image", "secret")
    push_image(installation.owner, f"{theirs}/image", "signature", subject=subject.descriptor)
    email = installation.account(theirs, "hidden")
    number = installation.owner.get(f"/v1/projects/{theirs}").json()["projectNumber"]
    installation.owner.post(
        f"/v1/projects/{theirs}/roles", json={"roleId": "hidden", "role": {"includedPermissions": ["storage.objects.get"]}}
    )
    roles = {"": installation.robot(mine), "push only": installation.robot(theirs, "roles/storage.objectCreator")}
    for client in (stranger, installation.client(), *(installation.client(token) for token in roles.values())):
        texts = [
            client.get("/v2/_catalog", params={"n": "100000"}).text,
            client.get("/v2/_catalog", params={"n": "1", "last": f"{theirs}/imag"}).text,
            client.get(f"/v2/{theirs}/image/tags/list").text,
            client.get(f"/v2/{theirs}/image/referrers/{subject.digest}").text,
            client.post(
                "/v1/roles:queryGrantableRoles", json={"fullResourceName": f"//cloudresourcemanager.googleapis.com/projects/{theirs}"}
            ).text,
            client.get("/v1/projects", params={"filter": f"projectNumber:{number}"}).text,
            client.get(f"/v1/projects/{theirs}/serviceAccounts").text,
            client.post("/v2/entries:list", json={"resourceNames": ["organizations/0"]}).text,
        ]
        for text in texts:
            assert "secret" not in text and "signature" not in text and email not in text and "roles/hidden" not in text
            assert f"{theirs}/image" not in text and subject.digest not in text


# Logging in


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("door", ["sqlite"], indirect=True)
async def test_time_does_not_tell_who_has_an_account(database: Database, generation: Generation, clock: Clock) -> None:
    """
    Harbor, CVE-2023-20902: whether an account exists, or has a password, was seen by how long the answer took.

    Welch's t of the processor's time, in turns. Below the throttle, which would end the measuring; once in three times is enough, because
    other programs disturb it, and a check that is left out is seen every time.
    """
    people = People(database, generation, clock)
    await people.create("known@example.com", "Known", SENTENCE)
    await people.create("without@example.com", "No password")

    async def seconds(email: str) -> float:
        begun = time.process_time()
        with pytest.raises(CredentialInvalid):
            await people.check_password(email, "not the password")
        return time.process_time() - begun

    async def looks_the_same(other: str) -> bool:
        pairs = [(await seconds("known@example.com"), await seconds(other)) for _ in range(8)]
        return abs(welch([first for first, _ in pairs], [second for _, second in pairs])) < MOST_T

    await seconds("known@example.com")
    for other in ("unknown@example.com", "without@example.com"):
        assert await looks_the_same(other) or await looks_the_same(other) or await looks_the_same(other), other


def welch(first: Sequence[float], second: Sequence[float]) -> float:
    """Welch's t, each without its largest, which is other programs' doing."""
    one, two = sorted(first)[:-1], sorted(second)[:-1]
    spread = statistics.variance(one) / len(one) + statistics.variance(two) / len(two)
    return (statistics.mean(one) - statistics.mean(two)) / math.sqrt(spread)


@pytest.mark.slow
def test_failed_logins_end_for_an_account_and_for_an_address(installation: Installation, person: str) -> None:
    """And nobody else is locked out by it: another account, from another address, still logs in."""
    path = "/v2/token"
    with from_address(installation, 31) as attacker:
        tried = [attacker.get(path, auth=("victim@example.com", f"wrong {number}")) for number in range(12)]
        assert [401] * 10 + [429] * 2 == [answer.status_code for answer in tried]
        assert 0 < int(tried[-1].headers["Retry-After"]) <= 900
    with from_address(installation, 32) as elsewhere:
        # The account is blocked wherever one comes from, whether it exists or not.
        assert 429 == elsewhere.get(path, auth=("victim@example.com", "another")).status_code
        assert 200 == elsewhere.get(path, auth=(person, SENTENCE)).status_code
    with from_address(installation, 33) as attacker:
        spread = [attacker.get(path, auth=(f"p{number}@example.com", "wrong")).status_code for number in range(52)]
        assert [401] * 50 + [429] * 2 == spread
    with from_address(installation, 34) as elsewhere:
        assert 200 == elsewhere.get(path, auth=(person, SENTENCE)).status_code


@pytest.mark.slow
def test_the_address_is_not_what_an_outsider_writes(tmp_path: Path) -> None:
    """With X-Forwarded-For each try would be another's."""
    with installed(tmp_path / "data", env={"ROADSTEAD_TRUSTED_PROXIES": "10.0.0.0/8"}) as found, found.client() as attacker:
        answers = [
            attacker.get("/v2/token", auth=(f"p{number}@example.com", "wrong"), headers={"X-Forwarded-For": f"198.51.100.{number}"})
            for number in range(52)
        ]
    assert [401] * 50 + [429] * 2 == [answer.status_code for answer in answers]


@pytest.mark.slow
def test_what_is_taken_away_is_gone_at_once_everywhere(installation: Installation, mine: str) -> None:
    """In every process: twenty requests, each over a connection of its own, after each has been let in before."""
    owner = installation.owner
    emails = [installation.account(mine, f"robot-{number}") for number in range(4)]
    installation.grant(mine, "roles/viewer", *(f"serviceAccount:{email}" for email in emails))
    accounts = f"/v1/projects/{mine}/serviceAccounts"
    body = {"scope": [SCOPES + "cloud-platform"]}
    tokens = [owner.post(f"{accounts}/{email}:generateAccessToken", json=body).json()["accessToken"] for email in emails]
    key = installation.key(emails[3])

    def ends(headers: dict[str, str], path: str, end: Any) -> None:
        for wanted in (404 if path.startswith("/v2/") else 200, 401):
            for _ in range(20):
                assert wanted == httpx.get(installation.url + path, headers=headers).status_code
            if wanted != 401:
                assert 200 == end().status_code

    registry = f"/v2/{mine}/x/tags/list"
    basic = base64.b64encode(f"_json_key:{json.dumps(key)}".encode()).decode()
    ends({"Authorization": f"Bearer {tokens[0]}"}, registry, lambda: owner.post(f"{accounts}/{emails[0]}:disable", json={}))
    ends({"Authorization": f"Bearer {tokens[1]}"}, f"/v1/projects/{mine}", lambda: owner.delete(f"{accounts}/{emails[1]}"))
    ends({"Authorization": f"Bearer {tokens[2]}"}, registry, lambda: owner.post("/revoke", data={"token": tokens[2]}))
    ends({"Authorization": f"Basic {basic}"}, registry, lambda: owner.delete(f"{accounts}/{emails[3]}/keys/{key['private_key_id']}"))


# Secrets (zot, 8a99a3ed: a client's secret in the log)


@pytest.mark.slow
def test_no_secret_is_written_anywhere(tmp_path: Path) -> None:
    """Canaries in passwords, tokens, keys and settings; then everything that talks is searched for them."""
    canary = "canary-" + hashlib.sha256(str(tmp_path).encode()).hexdigest()[:16]
    config = tmp_path / "roadstead.toml"
    told = {"issuer": "http://127.0.0.1:9", "client_id": "web", "client_secret": f"{canary}-oidc", "label": "Corp"}
    config.write_text("[openid.corp]\ndomains = ['example.com']\n" + "".join(f'{name} = "{value}"\n' for name, value in told.items()))
    bodies: list[str] = []
    with installed(tmp_path / "data", "--config", str(config)) as found:
        owner, project = found.owner, found.project()
        email = found.account(project)
        key = found.key(email)
        found.grant(project, "roles/viewer", f"serviceAccount:{email}")
        link = re.search(r"/signin/link\?token=(\S+)", found.server.run("admin", "owner", PERSON).stdout)
        assert link
        with Browser(found.url) as browser:
            form = browser.get(link[0])
            assert 303 == browser.send_form(form, "/signin/link", name="P", password=f"{canary}-right", again=f"{canary}-right").status_code
            session = "; ".join(browser.cookies.values())
            bodies.append(browser.get("/account").text)
            bodies.append(browser.get("/signin/oidc/corp").text)
            browser.cookies.clear()
            bodies.append(browser.sign_in(PERSON, f"{canary}-wrong").text)
        exchanged = found.registry_token(found.owner_token, f"repository:{project}/x:pull")
        secrets = [canary, found.owner_token, exchanged, key["private_key"].split("\n")[5], link[1], session]
        with found.client() as client:
            for header in (
                f"Bearer {canary}-token", f"Bearer {found.owner_token[:-4]}AAAA", f"Weird {canary}", "Basic " + canary,
                "Basic " + base64.b64encode(f"x@example.com:{canary}-basic".encode()).decode(),
                "Basic " + base64.b64encode(f"_json_key:{json.dumps(key)[:-30]}".encode()).decode(),
                "Basic " + base64.b64encode(f"_json_key:{json.dumps({**key, 'private_key_id': '0' * 40})}".encode()).decode(),
                "Basic " + base64.b64encode(f"_json_key:{json.dumps(key)}".encode()).decode(), f"Bearer {exchanged}",
            ):  # fmt: skip
                for path in (f"/v2/{project}/x/tags/list", "/v2/token", "/v1/projects", "/oauth2/v3/userinfo", "/storage/v1/b?project=x"):
                    bodies.append(client.get(path, headers={"Authorization": header}).text)
            tried = {
                "/v2/token": {"grant_type": "password", "username": PERSON, "password": f"{canary}-form"},
                "/token": {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": f"{canary}.assertion.x"},
                "/oauth2/v4/token": {"grant_type": "refresh_token", "refresh_token": f"{canary}-refresh", "client_secret": canary},
                "/revoke": {"token": f"{canary}-revoked"},
                "/v1/token": {"grantType": "x", "subjectToken": f"{canary}-subject"},
                "/oauth2/v3/tokeninfo": {"access_token": f"{canary}-info"},
            }
            for path, form_fields in tried.items():
                bodies.append(client.post(path, data=form_fields).text)
            bodies.append(client.get("/oauth2/v3/tokeninfo", params={"access_token": f"{canary}-query"}).text)
            bodies.append(client.get(f"/signin/link?token={canary}-link").text)
            bodies.append(client.get("/metrics").text)
        time.sleep(1.5)  # the audit log is written every second
        entries = owner.post("/v2/entries:list", json={"resourceNames": ["organizations/0"], "pageSize": 1000})
        # Some of all this was allowed, some was refused; the same refusal again is one entry.
        assert 5 <= len(entries.json()["entries"])
        bodies.append(entries.text)
        bodies.append(found.server.run("audit", "--format", "json").stdout)
        found.server.stop()
        log = found.server.log.read_text()
    for secret in secrets:
        assert secret and secret not in log
        for body in bodies:
            assert secret not in body, body[:2000]


@pytest.mark.parametrize(
    "path",
    ["/v1/projects", "/v1/projects/{}/locations/global/workloadIdentityPools", "/v1/projects/{}/serviceAccounts", "/v1/projects/{}/roles"],
)
def test_a_page_token_with_a_nul_is_none(installation: Installation, mine: str, path: str) -> None:
    """PostgreSQL takes no NUL in a text."""
    token = base64.b64encode(b"a\0b").decode()

    assert 400 == installation.owner.get(path.format(mine), params={"pageToken": token}).status_code
