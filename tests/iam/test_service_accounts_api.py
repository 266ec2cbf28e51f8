"""Service accounts and their keys over HTTP (contract.md, 2.8), and that nobody reaches those of others by naming them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import service_account

from tests.kit.accounts import Installation
from tests.kit.google import GCloud, needs_gcloud

CLOUD = "https://www.googleapis.com/auth/cloud-platform"


def made(installation: Installation, project: str, name: str = "pusher") -> dict[str, Any]:
    body = {"accountId": name, "serviceAccount": {"displayName": "Pusher", "description": "pushes"}}
    response = installation.owner.post(f"/v1/projects/{project}/serviceAccounts", json=body)
    assert 200 == response.status_code, response.text
    return dict(response.json())


def test_an_account_is_made_named_three_ways_and_listed(installation: Installation) -> None:
    owner, project = installation.owner, installation.project(registry=False)
    account = made(installation, project)
    email = f"pusher@{project}.iam.gserviceaccount.com"

    assert (email, project, "Pusher") == (account["email"], account["projectId"], account["displayName"])
    assert f"projects/{project}/serviceAccounts/{email}" == account["name"]
    number = owner.get(f"/v1/projects/{project}").json()["projectNumber"]
    for path in (f"{project}/serviceAccounts/{email}", f"-/serviceAccounts/{email}", f"-/serviceAccounts/{account['uniqueId']}",
                 f"{number}/serviceAccounts/{email}", f"{project}/serviceAccounts/{account['uniqueId']}"):  # fmt: skip
        assert account == owner.get(f"/v1/projects/{path}").json(), path
    second = made(installation, project, "second-one")
    page = owner.get(f"/v1/projects/{project}/serviceAccounts", params={"pageSize": 1}).json()
    rest = owner.get(f"/v1/projects/{project}/serviceAccounts", params={"pageToken": page["nextPageToken"]}).json()
    assert [account, second] == page["accounts"] + rest["accounts"]
    assert 409 == owner.post(f"/v1/projects/{project}/serviceAccounts", json={"accountId": "pusher"}).status_code
    assert 400 == owner.post(f"/v1/projects/{project}/serviceAccounts", json={"accountId": "x"}).status_code


def test_an_account_is_changed_disabled_deleted_and_had_back(installation: Installation) -> None:
    owner, project = installation.owner, installation.project(registry=False)
    account = made(installation, project)
    url = f"/v1/{account['name']}"

    patched = owner.patch(
        url, json={"serviceAccount": {"displayName": "New", "description": "kept out"}, "updateMask": "displayName"}
    ).json()
    assert ("New", "pushes") == (patched["displayName"], patched["description"])
    assert 409 == owner.patch(url, json={"serviceAccount": {"displayName": "Old", "etag": account["etag"]}}).status_code
    assert "Put" == owner.put(url, json={**patched, "displayName": "Put"}).json()["displayName"]

    assert {} == owner.post(f"{url}:disable", json={}).json()
    assert owner.get(url).json()["disabled"]
    assert {} == owner.post(f"{url}:enable", json={}).json()
    assert "disabled" not in owner.get(url).json()

    assert {} == owner.delete(url).json()
    assert 404 == owner.get(url).status_code
    restored = owner.post(f"/v1/projects/-/serviceAccounts/{account['uniqueId']}:undelete", json={}).json()["restoredAccount"]
    assert account["email"] == restored["email"]
    assert 200 == owner.get(url).status_code


def test_a_key_is_a_file_that_google_auth_logs_in_with(installation: Installation) -> None:
    """Both ways: by the token endpoint, and by a JWT that it signs itself (contract.md, 4.3)."""
    project = installation.project(registry=False)
    email = made(installation, project)["email"]
    installation.grant(project, "roles/viewer", f"serviceAccount:{email}")
    file = installation.key(email)
    assert f"{installation.url}/token" == file["token_uri"]
    url = f"{installation.url}/v1/projects/{project}"

    exchanged = service_account.Credentials.from_service_account_info(file, scopes=[CLOUD])
    exchanged.refresh(Request())
    assert 200 == httpx.get(url, headers={"Authorization": f"Bearer {exchanged.token}"}).status_code
    signed = service_account.Credentials.from_service_account_info(file).with_always_use_jwt_access(True)
    signed._create_self_signed_jwt("https://cloudresourcemanager.googleapis.com/")
    assert 200 == AuthorizedSession(signed).get(url, timeout=30).status_code

    keys = f"/v1/projects/-/serviceAccounts/{email}/keys/{file['private_key_id']}"
    assert {} == installation.owner.post(f"{keys}:disable", json={}).json()
    assert 401 == AuthorizedSession(signed).get(url, timeout=30).status_code
    assert {} == installation.owner.post(f"{keys}:enable", json={}).json()
    assert 200 == AuthorizedSession(signed).get(url, timeout=30).status_code


def test_the_private_half_is_told_once(installation: Installation) -> None:
    owner, project = installation.owner, installation.project(registry=False)
    keys = f"/v1/{made(installation, project)['name']}/keys"

    key = owner.post(keys, json={"privateKeyType": 2, "keyAlgorithm": "KEY_ALG_RSA_2048", "lifetime": "86400s"}).json()
    assert "service_account" == json.loads(base64.b64decode(key["privateKeyData"]))["type"]
    assert ("KEY_ALG_RSA_2048", "GOOGLE_PROVIDED", "USER_MANAGED") == (key["keyAlgorithm"], key["keyOrigin"], key["keyType"])
    assert key["validBeforeTime"] < "9999"

    read = owner.get(f"/v1/{key['name']}").json()
    assert "privateKeyData" not in read
    assert "publicKeyData" not in read
    assert [read] == owner.get(keys, params={"keyTypes": "USER_MANAGED"}).json()["keys"]
    assert {} == owner.get(keys, params={"keyTypes": "SYSTEM_MANAGED"}).json()
    for kind, begins in (("TYPE_X509_PEM_FILE", b"-----BEGIN CERTIFICATE"), ("TYPE_RAW_PUBLIC_KEY", b"-----BEGIN PUBLIC KEY")):
        public = owner.get(f"/v1/{key['name']}", params={"publicKeyType": kind}).json()["publicKeyData"]
        assert base64.b64decode(public).startswith(begins)
    assert {} == owner.delete(f"/v1/{key['name']}").json()
    assert 404 == owner.get(f"/v1/{key['name']}").status_code
    for wrong in ({"privateKeyType": "TYPE_PKCS12_FILE"}, {"keyAlgorithm": "KEY_ALG_RSA_1024"}, {"keyAlgorithm": 1}, {"lifetime": "soon"}):
        assert 400 == owner.post(keys, json=wrong).status_code, wrong


def test_a_key_can_be_made_elsewhere(installation: Installation) -> None:
    owner, project = installation.owner, installation.project(registry=False)
    keys = f"/v1/{made(installation, project)['name']}/keys"
    public = rsa.generate_private_key(65537, 2048).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    key = owner.post(f"{keys}:upload", json={"publicKeyData": base64.b64encode(pem).decode()}).json()

    assert "USER_PROVIDED" == key["keyOrigin"]
    assert 400 == owner.post(f"{keys}:upload", json={"publicKeyData": base64.b64encode(b"no key").decode()}).status_code


@pytest.mark.slow
def test_nobody_reaches_accounts_and_keys_of_others_by_naming_them(installation: Installation) -> None:
    """Insecure direct object references: a key's or account's name under one's own account or project opens nothing."""
    mine, other = installation.project(registry=False), installation.project(registry=False)
    own, foreign = made(installation, mine), made(installation, other)
    own_id = installation.key(own["email"])["private_key_id"]
    foreign_id = installation.key(foreign["email"])["private_key_id"]
    with installation.client(installation.robot(mine, "roles/owner")) as robot:
        assert 200 == robot.get(f"/v1/projects/{mine}/serviceAccounts/{own['email']}/keys/{own_id}").status_code
        for account in (
            f"{mine}/serviceAccounts/{foreign['email']}",
            f"{mine}/serviceAccounts/{foreign['uniqueId']}",
            f"-/serviceAccounts/{foreign['email']}",
            f"-/serviceAccounts/{foreign['uniqueId']}",
            f"{other}/serviceAccounts/{foreign['email']}",
            f"{mine}%2FserviceAccounts/serviceAccounts/{foreign['email']}",
        ):
            url = f"/v1/projects/{account}"
            for method, path, body in (
                ("GET", url, None),
                ("DELETE", url, None),
                ("PATCH", url, {"serviceAccount": {"displayName": "x"}}),
                ("POST", f"{url}:disable", {}),
                ("POST", f"{url}:getIamPolicy", {}),
                ("POST", f"{url}:setIamPolicy", {"policy": {}}),
                ("GET", f"{url}/keys", None),
                ("POST", f"{url}/keys", {}),
                ("DELETE", f"{url}/keys/{foreign_id}", None),
            ):
                assert robot.request(method, path, json=body).status_code in (403, 404), (method, path)
        for method, suffix in (("GET", ""), ("DELETE", ""), ("POST", ":disable"), ("POST", ":enable")):
            url = f"/v1/projects/{mine}/serviceAccounts/{own['email']}/keys/{foreign_id}{suffix}"
            assert 404 == robot.request(method, url, json={} if method == "POST" else None).status_code, (method, suffix)
    assert "disabled" not in installation.owner.get(f"/v1/projects/-/serviceAccounts/{foreign['email']}/keys/{foreign_id}").json()


def test_an_account_that_is_missing_and_one_that_is_forbidden_are_answered_alike(installation: Installation) -> None:
    mine, other = installation.project(registry=False), installation.project(registry=False)
    there, missing = made(installation, other)["email"], f"nobody@{other}.iam.gserviceaccount.com"
    with installation.client(installation.robot(mine, "roles/owner")) as robot:
        answers = [robot.get(f"/v1/projects/-/serviceAccounts/{email}") for email in (there, missing)]

        assert [403, 403] == [answer.status_code for answer in answers]
        assert answers[0].text.replace(there, "X") == answers[1].text.replace(missing, "X")


def test_rights_on_one_account(installation: Installation) -> None:
    project = installation.project(registry=False)
    account, second = made(installation, project), made(installation, project, "second-one")
    robot = made(installation, project, "key-admin")["email"]
    binding = {"role": "roles/iam.serviceAccountKeyAdmin", "members": [f"serviceAccount:{robot}"]}
    policy = installation.owner.post(f"/v1/{account['name']}:getIamPolicy?options.requestedPolicyVersion=3").json()
    stored = installation.owner.post(f"/v1/{account['name']}:setIamPolicy", json={"policy": {**policy, "bindings": [binding]}})
    assert [binding] == stored.json()["bindings"]

    with installation.client(installation.token(f"serviceAccount:{robot}")) as admin:
        assert 200 == admin.post(f"/v1/{account['name']}/keys", json={}).status_code
        assert 403 == admin.post(f"/v1/{second['name']}/keys", json={}).status_code
        assert 403 == admin.delete(f"/v1/{account['name']}").status_code
        asked = ["iam.serviceAccountKeys.create", "iam.serviceAccounts.delete"]
        assert {"permissions": asked[:1]} == admin.post(f"/v1/{account['name']}:testIamPermissions", json={"permissions": asked}).json()
        assert {} == admin.post(f"/v1/{second['name']}:testIamPermissions", json={"permissions": asked}).json()


@pytest.mark.parametrize("change", ["delete", "disable"])
def test_what_a_deleted_or_disabled_account_holds_is_void_at_once(installation: Installation, change: str) -> None:
    project = installation.project(registry=False)
    account = made(installation, project)
    installation.grant(project, "roles/viewer", f"serviceAccount:{account['email']}")
    with installation.client(installation.token(f"serviceAccount:{account['email']}")) as robot:
        assert 200 == robot.get(f"/v1/projects/{project}").status_code
        if change == "delete":
            installation.owner.delete(f"/v1/{account['name']}").raise_for_status()
        else:
            installation.owner.post(f"/v1/{account['name']}:disable", json={}).raise_for_status()

        assert 401 == robot.get(f"/v1/projects/{project}").status_code


@pytest.mark.slow
@needs_gcloud
def test_gcloud_iam_service_accounts(installation: Installation, tmp_path: Path) -> None:
    gcloud, project = GCloud(installation, tmp_path / "gcloud"), installation.project(registry=False)
    email, file = f"by-gcloud@{project}.iam.gserviceaccount.com", tmp_path / "key.json"

    gcloud("iam", "service-accounts", "create", "by-gcloud", "--display-name", "By gcloud", "--project", project)
    assert email == gcloud("iam", "service-accounts", "list", "--project", project, "--format", "value(email)")
    gcloud("iam", "service-accounts", "keys", "create", str(file), "--iam-account", email, "--project", project)
    key = json.loads(file.read_text())
    assert email == key["client_email"]
    listed = gcloud(
        "iam", "service-accounts", "keys", "list", "--iam-account", email, "--project", project, "--format", "value(name.basename())"
    )
    assert key["private_key_id"] == listed
    gcloud("iam", "service-accounts", "update", email, "--display-name", "New", "--project", project)
    assert "New" == gcloud("iam", "service-accounts", "describe", email, "--project", project, "--format", "value(displayName)")
    member = ("--member", "user:v@example.com", "--role", "roles/iam.serviceAccountUser")
    gcloud("iam", "service-accounts", "add-iam-policy-binding", email, *member, "--project", project)
    assert "user:v@example.com" in gcloud("iam", "service-accounts", "get-iam-policy", email, "--project", project)
    gcloud("iam", "service-accounts", "keys", "disable", listed, "--iam-account", email, "--project", project)
    gcloud("iam", "service-accounts", "keys", "delete", listed, "--iam-account", email, "--project", project)
    gcloud("iam", "service-accounts", "disable", email, "--project", project)
    gcloud("iam", "service-accounts", "delete", email, "--project", project)


def test_a_number_does_not_say_whose_account_it_is(installation: Installation) -> None:
    mine, other = installation.project(registry=False), installation.project(registry=False)
    number = made(installation, other)["uniqueId"]
    with installation.client(installation.robot(mine, "roles/owner")) as me:
        here, nowhere = (me.get(f"/v1/projects/{mine}/serviceAccounts/{each}") for each in (number, "1" * 21))

    assert 404 == here.status_code == nowhere.status_code
    assert nowhere.text.replace("1" * 21, number) == here.text
