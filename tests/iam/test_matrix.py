"""
The authorization matrix: every route of every table, for every role and for every credential that is no good, over HTTP.

Routes come from the program's own tables, so none can be forgotten; what is expected of them stands in tests/kit/rights.py, written by
hand. A published weakness for each half: routes that nobody knew of were open (ECR Public, 2022), objects were looked up by an id that was
not checked against the project in the address (Harbor, CVE-2022-31667 and its family).
"""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from joserfc.jwk import RSAKey

from roadstead.api import oauth
from roadstead.api.distribution import routes as distribution
from roadstead.api.google import routes as google
from roadstead.api.signin import pages
from roadstead.iam import jws
from roadstead.iam.roles import BUILT_IN
from tests.kit import rights
from tests.kit.accounts import Installation, installed
from tests.kit.push import push_blob, push_image
from tests.kit.rights import Rule
from tests.kit.site import Browser

CLOUD = "https://www.googleapis.com/auth/cloud-platform"
SENTENCE = "four quiet herons wade"
MOST_TOLD = 25

TABLES: dict[str, tuple[Sequence[Any], dict[tuple[str, str], Rule]]] = {
    "distribution": (distribution.ROUTES, rights.DISTRIBUTION),
    "google": (google.ROUTES, rights.GOOGLE),
    "oauth": (oauth.ROUTES, rights.OAUTH),
    "pages": (pages.ROUTES, rights.PAGES),
}
GOOD, BAD, NOBODY, SIGNED_IN = "good", "bad", "nobody", "signed in"
NO_GOOD = (
    "disabled key (self-signed)", "disabled key (_json_key)", "expired token", "registry token of another location",
    "access token of another installation", "disabled account", "deleted account", "garbage", "wrong password",
)  # fmt: skip


@dataclass(frozen=True)
class Caller:
    """kind: GOOD with roles on the project or on the organization, BAD, NOBODY, or SIGNED_IN in a browser."""

    name: str
    kind: str
    on_project: str = ""
    on_organization: str = ""


CALLERS = (
    *(Caller(f"{role or 'no role'}", GOOD, on_project=role) for role in rights.ROLES_ON_PROJECT),
    *(Caller(f"{role} of the organization", GOOD, on_organization=role) for role in rights.ROLES_ON_ORGANIZATION),
    Caller("owner of another project", GOOD),
    Caller("anonymous", NOBODY),
    Caller("a browser that is signed in", SIGNED_IN),
    *(Caller(name, BAD) for name in NO_GOOD),
)


@dataclass
class World:
    """headers: by the caller's name. here: what is there, by the names in templates; gone: what is not, of the same form."""

    installation: Installation
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    here: dict[str, str] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An installation of its own: here are failed logins, and the organization's policy."""
    folder = tmp_path_factory.mktemp("matrix")
    with installed(folder / "data") as found, installed(folder / "other") as other:
        made = World(found)
        _things(made)
        _members(made, other)
        yield made


def _things(world: World) -> None:
    owner, installation = world.installation.owner, world.installation
    project, doomed = installation.project(), installation.project()
    email = installation.account(project, "somebody")
    key = installation.key(email)
    manifest = push_image(owner, f"{project}/image")
    blob = push_blob(owner, f"{project}/image", b"{}")
    upload = owner.post(f"/v2/{project}/image/blobs/uploads/").headers["location"].rpartition("/")[2]
    for parent in (f"projects/{project}", "organizations/0"):
        _ok(owner.post(f"/v1/{parent}/roles", json={"roleId": "reader", "role": {"includedPermissions": ["storage.objects.get"]}}))
    pools = f"/v1/projects/{project}/locations/global/workloadIdentityPools"
    _ok(owner.post(pools, params={"workloadIdentityPoolId": "the-pool"}, json={}))
    oidc = {"issuerUri": "https://token.example.com", "jwksJson": json.dumps({"keys": [_jwk()]})}
    body = {"oidc": oidc, "attributeMapping": {"google.subject": "assertion.sub"}}
    _ok(owner.post(f"{pools}/the-pool/providers", params={"workloadIdentityPoolProviderId": "the-provider"}, json=body))
    operation = _ok(owner.post(f"/v1/projects/{project}/services:batchEnable", json={"serviceIds": ["pubsub.googleapis.com"]}))["name"]
    installation.enable(project, "ondemandscanning.googleapis.com")  # which brings containeranalysis
    _ok(owner.post(f"/v1/projects/{project}/notes", params={"noteId": "a-note"}, json={"attestation": {}}))
    said = {"resourceUri": "https://gcr.io/x", "noteName": f"projects/{project}/notes/a-note", "attestation": {}}
    occurrence = _ok(owner.post(f"/v1/projects/{project}/occurrences", json=said))["name"].rpartition("/")[2]
    world.here = {
        "project": project, "doomed": doomed, "account": email, "key": key["private_key_id"], "role": "reader",
        "service": "containerregistry.googleapis.com", "bucket": f"artifacts.{project}.appspot.com", "location": "us",
        "repository": "gcr.io",
        "package": "image", "image": f"image@{manifest.digest}", "version": manifest.digest, "tag": "v1",
        "pool": "the-pool", "provider": "the-provider", "operation": operation.removeprefix("operations/"),
        "note": "a-note", "occurrence": occurrence,
        "organization": "0", "name": f"{project}/image", "reference": "v1", "digest": blob, "upload": upload,
    }  # fmt: skip
    missing = project[:-1] + ("0" if project[-1] != "0" else "1")
    world.gone = {
        **world.here,
        "project": missing, "doomed": missing, "account": email.replace("somebody", "nobodies"), "key": "0" * 40, "role": "nothing",
        "service": "nothinghere.googleapis.com", "bucket": f"artifacts.{missing}.appspot.com", "package": "nothing",
        "image": "nothing@sha256:" + "0" * 64, "version": "sha256:" + "0" * 64, "tag": "none",
        "note": "a-none", "occurrence": occurrence[:-1] + ("0" if occurrence[-1] != "0" else "1"),
        "pool": "a-none", "provider": "a-provider-no", "operation": "acf.none", "organization": "1",
        "name": f"{project}/nothing", "reference": "none", "digest": "sha256:" + "0" * 64, "upload": "0" * len(upload),
    }  # fmt: skip
    assert manifest.digest != blob


def _members(world: World, other: Installation) -> None:
    """Accounts live in a project of their own, so that they are nobody where they have no role."""
    installation, owner = world.installation, world.installation.owner
    project, doomed = world.here["project"], world.here["doomed"]
    homes = [installation.project() for _ in range(3)]
    of_project: list[dict[str, Any]] = []
    of_organization: list[dict[str, Any]] = []
    for number, caller in enumerate(caller for caller in CALLERS if caller.kind == GOOD):
        email = installation.account(homes[number % 2], f"member-{number:03}")
        if caller.on_project:
            of_project.append({"role": caller.on_project, "members": [f"serviceAccount:{email}"]})
        if caller.on_organization:
            of_organization.append({"role": caller.on_organization, "members": [f"serviceAccount:{email}"]})
        if caller.name == "owner of another project":
            installation.grant(homes[2], "roles/owner", f"serviceAccount:{email}")
            installation.enable(homes[2], "ondemandscanning.googleapis.com")
        world.headers[caller.name] = _bearer(_token(owner, email))
    for path, bindings in (("projects/" + project, of_project), ("projects/" + doomed, of_project), ("organizations/0", of_organization)):
        policy = _ok(owner.post(f"/v1/{path}:getIamPolicy", json={}))
        policy["bindings"] = [*policy.get("bindings", []), *bindings]
        _ok(owner.post(f"/v1/{path}:setIamPolicy", json={"policy": policy}))
    _ok(owner.delete(f"/v1/projects/{doomed}"))
    world.headers |= _no_good(world, homes[2], other)
    world.headers["anonymous"] = {}
    world.headers["a browser that is signed in"] = {"cookie": _signed_in(installation)}


def _no_good(world: World, home: str, other: Installation) -> dict[str, dict[str, str]]:
    """Each would do everything if it were good: they are owners of the project."""
    installation, owner = world.installation, world.installation.owner
    emails = [installation.account(home, f"owner-{number}") for number in range(4)]
    installation.grant(world.here["project"], "roles/owner", *(f"serviceAccount:{email}" for email in emails))
    key = installation.key(emails[0])
    signed = _self_signed(key)
    disabled, deleted, expired = _token(owner, emails[1]), _token(owner, emails[2]), _token(owner, emails[3], "1s")
    elsewhere = installation.registry_token(_token(owner, emails[3]), f"repository:{world.here['name']}:pull,push,delete", host="eu.gcr.io")
    _ok(owner.post(f"/v1/projects/-/serviceAccounts/{emails[0]}/keys/{key['private_key_id']}:disable", json={}))
    _ok(owner.post(f"/v1/projects/-/serviceAccounts/{emails[1]}:disable", json={}))
    _ok(owner.delete(f"/v1/projects/-/serviceAccounts/{emails[2]}"))
    time.sleep(1.1)  # the shortest life that a token can have
    return {
        "disabled key (self-signed)": _bearer(signed),
        "disabled key (_json_key)": _basic("_json_key", json.dumps(key)),
        "expired token": _bearer(expired),
        "registry token of another location": _bearer(elsewhere),
        "access token of another installation": _bearer(other.owner_token),
        "disabled account": _bearer(disabled),
        "deleted account": _bearer(deleted),
        "garbage": _bearer("ya29.not-a-token-of-anybody"),
        "wrong password": {},
    }


def _self_signed(key: dict[str, Any]) -> str:
    """As Google's clients make it (AIP-4111)."""
    now = int(time.time())
    claims = {"iss": key["client_email"], "sub": key["client_email"], "iat": now, "exp": now + 3600, "scope": CLOUD}
    return jws.sign({"kid": key["private_key_id"], "typ": "JWT"}, claims, RSAKey.import_key(key["private_key"]), "RS256")


def _jwk() -> dict[str, Any]:
    return dict(RSAKey.generate_key(2048, {"kid": "k", "use": "sig", "alg": "RS256"}).as_dict(private=False))


def _token(owner: httpx.Client, email: str, lifetime: str = "3600s") -> str:
    body = {"scope": [CLOUD], "lifetime": lifetime}
    return str(_ok(owner.post(f"/v1/projects/-/serviceAccounts/{email}:generateAccessToken", json=body))["accessToken"])


def _signed_in(installation: Installation) -> str:
    """The cookies of a person."""
    done = installation.server.run("admin", "owner", "person@example.com")
    assert 0 == done.returncode, done.stderr
    link = re.search(r"/signin/link\?token=\S+", done.stdout)
    assert link
    with Browser(installation.url) as browser:
        answer = browser.send_form(browser.get(link[0]), "/signin/link", name="A Person", password=SENTENCE, again=SENTENCE)
        assert 303 == answer.status_code, answer.text
        return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def _ok(response: httpx.Response) -> dict[str, Any]:
    assert 200 == response.status_code, response.text
    return dict(response.json())


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _basic(name: str, password: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


# What is expected


def allowed(caller: Caller, rule: Rule) -> bool:
    if rule.what in ("somebody", "nobody", "client"):
        return True
    if rule.what == "organization":
        return _holds(caller.on_organization, rule.permission)
    return _holds(caller.on_project, rule.permission) or _holds(caller.on_organization, rule.permission)


def _holds(role: str, permission: str) -> bool:
    if permission in ("pull", "push", "delete"):
        return permission in rights.REGISTRY_RIGHTS.get(role, "").split()
    return role in BUILT_IN and permission in BUILT_IN[role].permissions


def expected(api: str, caller: Caller, rule: Rule) -> str:
    """`allowed`, `401`, `403`, or `as anonymous`, `away` (to the page for signing in), `form` (a form that no page of ours sent)."""
    if rule.what == "person":
        return "person" if caller.kind == SIGNED_IN else "away"
    if rule.what == "client":
        return "as anonymous"
    if caller.kind == BAD:
        return "401"
    if caller.kind in (NOBODY, SIGNED_IN):
        # A cookie is no credential of an API.
        return "allowed" if rule.what == "nobody" else "401"
    return "allowed" if allowed(caller, rule) else "403"


# How it is asked


class Asker:
    """One connection that is kept, and the fewest instructions for each request: there are many thousands."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._names = itertools.count()
        # Failed logins are counted by address; this one is only theirs.
        self._connection = http.client.HTTPConnection(world.installation.server.authority, timeout=30, source_address=("127.0.0.9", 0))

    def ask(self, api: str, method: str, path: str, caller: Caller) -> tuple[int, dict[str, str], str]:
        headers = dict(self._world.headers[caller.name])
        if caller.name == "wrong password":
            headers |= _basic(f"person{next(self._names)}@example.com", "not the password")
        body = None
        if method in ("POST", "PUT", "PATCH"):
            body, kind = self._body(api, path)
            headers["content-type"] = kind
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        text = response.read().decode()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, text

    def _body(self, api: str, path: str) -> tuple[bytes, str]:
        """What nothing comes of where it is allowed."""
        if path == "/v2/entries:list":
            return json.dumps({"resourceNames": [f"projects/{self._world.here['project']}"], "pageSize": 1}).encode(), "application/json"
        if path.startswith("/v2/entries:list?"):
            return json.dumps({"resourceNames": [f"projects/{self._world.gone['project']}"], "pageSize": 1}).encode(), "application/json"
        if api == "google":
            return b'{"nonsense": 1}', "application/json"
        return (b"{}", "application/json") if api == "distribution" else (b"a=b", "application/x-www-form-urlencoded")


def path_of(world: World, method: str, template: str, *, missing: str = "", harmless: bool = False) -> str:
    """
    missing: the variable that stands for something that is not there. harmless: as somebody asks who may, so that nothing is lost by it.
    """
    if method == "DELETE" and re.fullmatch(r"/v\d/projects/\{project\}", template):
        template = template.replace("{project}", "{doomed}")
    variables = re.findall(r"[<{](\w+)(?:=\*\*)?[>}]", template)
    if harmless and method == "DELETE" and variables:
        missing = missing or (variables[-1] if variables[-1] != "doomed" else "")
    path = template
    for name in variables:
        known = world.gone if name == missing else world.here
        value = known.get(name, "x")
        if name == "location" and "workloadIdentityPools" in template:
            value = "global"
        path = re.sub(rf"[<{{]{name}(?:=\*\*)?[>}}]", value, path)
    if template == "/storage/v1/b":
        path += "?project=" + (world.gone if missing else world.here)["project"]
    if template == "/v2/entries:list" and missing:
        path += "?gone=1"
    if method == "POST" and template.endswith("/blobs/uploads/"):
        path += "?digest=none"
    return path


def missing_variables(template: str) -> list[str]:
    """Each thing in a template that could be there or not, the most particular first."""
    if template in ("/storage/v1/b", "/v2/entries:list"):
        return ["project"]
    variables = re.findall(r"[<{](\w+)(?:=\*\*)?[>}]", template)
    found = [name for name in reversed(variables) if name not in ("location", "repository", "operation")]
    return ["doomed" if name == "project" and re.fullmatch(r"/v\d/projects/\{project\}", template) else name for name in found]


CELLS = [
    (api, route.method, route.template, caller)
    for api, (table, _) in TABLES.items()
    for route in table
    for caller in CALLERS
]  # fmt: skip


# The tests


@pytest.mark.parametrize("api", TABLES)
def test_every_route_has_its_row(api: str) -> None:
    """ECR Public, 2022: actions that nobody had written down were there for everybody."""
    table, rules = TABLES[api]

    assert rules.keys() == {(route.method, route.template) for route in table}


def test_there_are_enough_cells() -> None:
    """Issue: at least 2,000; security.md, 4.4: at least 5,000."""
    print(f"{len(CELLS)} cells, {sum(len(table) for table, _ in TABLES.values())} routes, {len(CALLERS)} callers")
    assert 5000 <= len(CELLS)


@pytest.mark.slow
@pytest.mark.parametrize("api", TABLES)
def test_every_route_for_every_caller(world: World, api: str) -> None:
    asker, wrong, asked = Asker(world), [], 0
    for number, (_, method, template, caller) in enumerate(cell for cell in CELLS if cell[0] == api):
        rule = TABLES[api][1][method, template]
        problem = _cell(world, asker, api, method, template, caller, rule, number)
        asked += 1
        if problem:
            wrong.append(f"{caller.name}: {method} {template}: {problem}")

    assert not wrong, f"{len(wrong)} of {asked} cells:\n" + "\n".join(wrong[:MOST_TOLD])


def _cell(world: World, asker: Asker, api: str, method: str, template: str, caller: Caller, rule: Rule, number: int) -> str:
    """What is wrong, "" for nothing."""
    wanted = expected(api, caller, rule)
    path = path_of(world, method, template, harmless=wanted not in ("401", "403"))
    status, headers, text = asker.ask(api, method, path, caller)
    if wanted == "away":
        location = headers.get("location", "")
        return "" if status == 303 and location.startswith("/signin") else f"to the sign-in page, not {status} {location}"
    if wanted == "person":
        # No form without the mark of a page of ours; a look is allowed.
        return "" if (status == 403) == (method == "POST") and "/signin" not in headers.get("location", "") else f"{status} {text[:200]}"
    if wanted == "as anonymous":
        return _as_anonymous(asker, api, method, path, status, headers)
    if wanted == "allowed":
        return "" if status not in (401, 403) and status < 500 else f"allowed, not {status} {text[:200]}"
    if str(status) != wanted:
        return f"{wanted}, not {status} {text[:200]}"
    problem = "" if method == "HEAD" else _form(api, template, status, headers, text)
    candidates = missing_variables(template)
    if problem or not candidates or caller.name == "wrong password":
        return problem
    missing = candidates[number % len(candidates)]
    gone = path_of(world, method, template, missing=missing)
    status_of_gone, _, text_of_gone = asker.ask(api, method, gone, caller)
    if (status, _neutral(world, text)) == (status_of_gone, _neutral(world, text_of_gone)):
        return ""
    return f"a missing {missing} answers differently:\n    {status} {text[:200]}\n    {status_of_gone} {text_of_gone[:200]}"


def _as_anonymous(asker: Asker, api: str, method: str, path: str, status: int, headers: dict[str, str]) -> str:
    """Neither more nor less than for somebody without any credential, and nobody is signed in by it."""
    plain, _, _ = asker.ask(api, method, path, Caller("anonymous", NOBODY))
    signs_in = "roadstead=" in headers.get("set-cookie", "")
    # RFC 6749, 2.3.1: at the token endpoint Basic is a client, which may be unknown.
    same = status == plain or (api == "oauth" and status in (400, 401)) or ((method, path) == ("GET", "/signin") and status == 303)
    return "" if same and not signs_in and status < 500 else f"as for anybody, {plain}, not {status}"


def _form(api: str, template: str, status: int, headers: dict[str, str], text: str) -> str:
    """Every API refuses in its own words."""
    body = json.loads(text)
    if api == "distribution":
        fits = [{"code", "message", "detail"}] == [set(each) for each in body["errors"]]
        fits = fits and body["errors"][0]["code"] == {401: "UNAUTHORIZED", 403: "DENIED"}[status]
        fits = fits and (status != 401 or headers.get("www-authenticate", "").startswith('Bearer realm="http'))
    elif api == "oauth":
        fits = "error" in body
    elif template.startswith("/storage/"):
        fits = body["error"]["code"] == status and body["error"]["errors"][0]["reason"] == {401: "required", 403: "forbidden"}[status]
    else:
        fits = body["error"]["code"] == status and body["error"]["status"] == {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}[status]
    return "" if fits else f"not in the API's own form: {text[:300]}"


def _neutral(world: World, text: str) -> str:
    for name in ("occurrence", "account", "project", "doomed", "key", "upload", "digest"):
        for known in (world.here, world.gone):
            text = text.replace(known[name], name)
    text = text.replace("doomed", "project")
    # Of the organization there is only one, and everybody knows it.
    text = re.sub(r"organizations/[01]\b", "organizations/N", text)
    return re.sub(r"/(?:image|nothing|a-note|a-none|the-pool|a-provider-no|the-provider|reader|none)\b", "/thing", text)


def test_ids_of_another_project_are_unknown_under_one_s_own(world: World) -> None:
    """Harbor, CVE-2022-31667, -31669, -31670: an object was looked up by its id, and only the project in the address was checked."""
    stranger = next(caller for caller in CALLERS if caller.name == "owner of another project")
    asker, wrong, asked = Asker(world), [], 0
    home = _home(world)
    for (method, template), rule in rights.GOOGLE.items():
        inside = ("account", "key", "pool", "provider", "role", "note", "occurrence")
        names = [name for name in re.findall(r"\{(\w+)", template) if name in inside]
        if "{project}" not in template or not names or rule.what != "project":
            continue
        asked += 1
        own = template.replace("{project}", home)
        there = asker.ask("google", method, path_of(world, method, own), stranger)
        gone = asker.ask("google", method, path_of(world, method, own, missing=names[-1]), stranger)
        # What refuses this body before it looks, or lists nothing, is as good.
        if (there[0] not in (400, 404) and there[2] != "{}") or (there[0], _neutral(world, there[2])) != (
            gone[0],
            _neutral(world, gone[2]),
        ):
            wrong.append(f"{method} {template}: {there[0]} {there[2][:200]} and {gone[0]} {gone[2][:200]}")
    for method, query in (("GET", ""), ("PATCH", ""), ("PUT", "?digest=" + world.here["digest"]), ("DELETE", "")):
        asked += 1
        path = f"/v2/{home}/image/blobs/uploads/{world.here['upload']}{query}"
        status, _, text = asker.ask("distribution", method, path, stranger)
        if (status, json.loads(text)["errors"][0]["code"]) != (404, "BLOB_UPLOAD_UNKNOWN"):
            wrong.append(f"{method} {path}: {status} {text[:200]}")

    assert not wrong, "\n".join(wrong)
    assert 30 <= asked


def _home(world: World) -> str:
    """The project that the owner of another project owns."""
    headers = world.headers["owner of another project"]
    projects = httpx.get(f"{world.installation.url}/v1/projects", headers=headers).json()["projects"]
    return str(projects[0]["projectId"])


def test_bodies_of_ids_are_checked_where_bodies_are_looked_at(world: World) -> None:
    """As above, with requests that would succeed on what is one's own."""
    headers, here, home = world.headers["owner of another project"], world.here, _home(world)
    account = f"/v1/projects/{home}/serviceAccounts/{here['account']}"
    with httpx.Client(base_url=world.installation.url, headers=headers) as stranger:
        answers = [
            stranger.post(f"{account}:disable", json={}),
            stranger.post(f"{account}:enable", json={}),
            stranger.post(f"{account}:getIamPolicy", json={}),
            stranger.post(f"{account}:setIamPolicy", json={"policy": {"bindings": []}}),
            stranger.post(f"{account}:generateAccessToken", json={"scope": [CLOUD]}),
            stranger.post(f"{account}:generateIdToken", json={"audience": "x"}),
            stranger.post(f"{account}/keys", json={}),
            stranger.post(f"{account}/keys/{here['key']}:disable", json={}),
            stranger.patch(account, json={"serviceAccount": {"displayName": "mine"}, "updateMask": "displayName"}),
            stranger.put(account, json={"displayName": "mine"}),
            stranger.delete(account),
            stranger.delete(f"{account}/keys/{here['key']}"),
            stranger.post(f"/v1/projects/{home}/serviceAccounts/{_number(world)}:undelete", json={}),
            stranger.get(f"/v1/projects/{home}/serviceAccounts/{_number(world)}"),
        ]  # fmt: skip

        assert {404} == {answer.status_code for answer in answers}, [(each.request.url.path, each.status_code) for each in answers]
        operations = [stranger.get(f"/v1/operations/{name}") for name in (here["operation"], "acf.none")]
    assert [404, 404] == [answer.status_code for answer in operations]
    assert operations[0].text.replace(here["operation"], "O") == operations[1].text.replace("acf.none", "O")
    kept = world.installation.owner.get(f"/v1/projects/-/serviceAccounts/{here['account']}").json()
    assert ("", False) == (kept.get("displayName", ""), kept.get("disabled", False))


def _number(world: World) -> str:
    return str(world.installation.owner.get(f"/v1/projects/-/serviceAccounts/{world.here['account']}").json()["uniqueId"])


def test_a_refusal_names_what_was_asked_for_and_nothing_else(world: World) -> None:
    """Numbers and `-` stand for names that a stranger has no business to learn, nor whether there are any."""
    headers, owner, here = world.headers["owner of another project"], world.installation.owner, world.here
    number = owner.get(f"/v1/projects/{here['project']}").json()["projectNumber"]
    pairs = [
        ("/v1/projects/{}", number, "9" * 12),
        ("/v3/projects/{}", number, "9" * 12),
        ("/v1/projects/-/serviceAccounts/{}", _number(world), "9" * 21),
        ("/v1/projects/-/serviceAccounts/{}", here["account"], world.gone["account"]),
        ("/v1/projects/-/serviceAccounts/{}/keys", here["account"], world.gone["account"]),
    ]
    with httpx.Client(base_url=world.installation.url, headers=headers) as stranger:
        for path, name, other in pairs:
            first, second = stranger.get(path.format(name)), stranger.get(path.format(other))

            assert (403, 403) == (first.status_code, second.status_code), (path, first.text, second.text)
            assert first.text.replace(name, "N") == second.text.replace(other, "N")
        for name in (number, "9" * 12):
            assert 403 == stranger.post("/v2/entries:list", json={"resourceNames": [f"projects/{name}"]}).status_code
        for name in (here["project"], world.gone["project"]):
            tested = stranger.post(f"/v1/projects/{name}:testIamPermissions", json={"permissions": ["resourcemanager.projects.get"]})
            assert (200, {}) == (tested.status_code, tested.json())
