"""
Keys of service accounts, in IAM v1. The private half is in the answer to its creation, and nowhere else.

Spec: https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts.keys; what clients really send: contract.md, 2.8.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from roadstead.api.google import json
from roadstead.api.google.routing import Call, Route
from roadstead.api.google.service_accounts import of_account
from roadstead.errors import FieldInvalid
from roadstead.iam.keys import USER_MANAGED, ServiceAccountKey, key_file

_PERMISSION = "iam.serviceAccountKeys."
_FILE, _X509, _RAW = "TYPE_GOOGLE_CREDENTIALS_FILE", "TYPE_X509_PEM_FILE", "TYPE_RAW_PUBLIC_KEY"
# Python's clients send the numbers of google/iam/admin/v1/iam.proto.
_PRIVATE_TYPES: dict[str | int, str] = {"TYPE_UNSPECIFIED": _FILE, "": _FILE, 0: _FILE, _FILE: _FILE, 2: _FILE}
_PUBLIC_TYPES = {"": "", "TYPE_NONE": "", "0": "", _X509: _X509, "1": _X509, _RAW: _RAW, "2": _RAW}
_ALGORITHMS: dict[str | int, str] = {"": "KEY_ALG_UNSPECIFIED", 0: "KEY_ALG_UNSPECIFIED", 1: "KEY_ALG_RSA_1024", 2: "KEY_ALG_RSA_2048"}
_SECONDS = re.compile(r"([0-9]{1,10})(?:\.0+)?s")


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What every body here is."""


class _Create(_Body, frozen=True):
    """lifetime, `86400s`, is ours: at Google an organization's policy says how long keys live."""

    private_key_type: str | int = ""
    key_algorithm: str | int = ""
    lifetime: str = ""
    name: str = ""


class _Upload(_Body, frozen=True):
    public_key_data: str = ""
    name: str = ""


class _Switch(_Body, frozen=True):
    name: str = ""
    service_account_key_disable_reason: str | int = ""
    extended_status_message: str = ""


def _shown(key: ServiceAccountKey) -> dict[str, Any]:
    """lastAuthenticatedTime is ours, by the name that Policy Analyzer has for it: Google's clients skip what they do not know."""
    return json.without_nothing(
        {
            "name": key.name,
            "validAfterTime": json.time_of(key.valid_after_us),
            "validBeforeTime": json.time_of(key.valid_before_us),
            "keyAlgorithm": key.algorithm,
            "keyOrigin": key.origin,
            "keyType": USER_MANAGED,
            "disabled": key.disabled,
            "lastAuthenticatedTime": json.time_of(key.last_used_at_us) if key.last_used_at_us is not None else "",
        }
    )


async def _create(call: Call) -> dict[str, Any]:
    body = await call.body(_Create)
    if body.private_key_type not in _PRIVATE_TYPES:
        raise FieldInvalid(
            f"privateKeyType is {_FILE}; there are no PKCS #12 files here", {"privateKeyType": str(body.private_key_type)[:50]}
        )
    await call.services.projects.require_active(call.variables["project"])
    algorithm = _ALGORITHMS.get(body.key_algorithm, str(body.key_algorithm))
    lifetime_seconds = _lifetime(body.lifetime)
    key, private_key = await call.services.keys.create(call.variables["account"], algorithm, lifetime_seconds, call.variables["project"])
    call.details["key"] = key.id
    base_url = call.services.public_url or f"{call.request.scheme}://{call.request.header(b'host')}"
    file = msgspec.json.format(msgspec.json.encode(key_file(key, private_key, base_url)), indent=2) + b"\n"
    return {**_shown(key), "privateKeyType": _FILE, "privateKeyData": json.text_of(file)}


async def _upload(call: Call) -> dict[str, Any]:
    body = await call.body(_Upload)
    await call.services.projects.require_active(call.variables["project"])
    public_key = json.bytes_of(body.public_key_data)
    key = await call.services.keys.upload(call.variables["account"], public_key, call.variables["project"])
    call.details["key"] = key.id
    return _shown(key)


async def _list(call: Call) -> dict[str, Any]:
    types = [{"1": USER_MANAGED}.get(each, each) for each in call.request.parameters().get("keyTypes", []) if each not in ("0", "")]
    found = await call.services.keys.list(call.variables["account"], types, call.variables["project"])
    return json.without_nothing({"keys": [_shown(key) for key in found]})


async def _get(call: Call) -> dict[str, Any]:
    """With `publicKeyType`, the public half too."""
    key = await call.services.keys.get(call.variables["account"], call.variables["key"], call.variables["project"])
    asked = call.parameter("publicKeyType")
    if asked not in _PUBLIC_TYPES:
        raise FieldInvalid(f"publicKeyType is TYPE_NONE, {_X509} or {_RAW}", {"publicKeyType": asked[:50]})
    public = {"": "", _X509: key.certificate or key.public_key, _RAW: key.bare_public_key}[_PUBLIC_TYPES[asked]]
    return {**_shown(key), "publicKeyData": json.text_of(public.encode())} if public else _shown(key)


async def _delete(call: Call) -> dict[str, Any]:
    await call.services.keys.delete(call.variables["account"], call.variables["key"], call.variables["project"])
    return {}


async def _disable(call: Call) -> dict[str, Any]:
    await call.body(_Switch)
    await call.services.keys.disable(call.variables["account"], call.variables["key"], call.variables["project"])
    return {}


async def _enable(call: Call) -> dict[str, Any]:
    await call.body(_Switch)
    await call.services.keys.enable(call.variables["account"], call.variables["key"], call.variables["project"])
    return {}


def _lifetime(text: str) -> int | None:
    match = _SECONDS.fullmatch(text)
    if text and match is None:
        raise FieldInvalid("lifetime is a number of seconds with an s, such as 86400s", {"lifetime": text[:50]})
    return int(match[1]) if match else None


_KEYS = "/v1/projects/{project}/serviceAccounts/{account}/keys"
_KEY = _KEYS + "/{key}"

ROUTES: Sequence[Route] = (
    Route("POST", _KEYS, _create, _PERMISSION + "create", of_account),
    Route("POST", _KEYS + ":upload", _upload, _PERMISSION + "create", of_account),
    Route("GET", _KEYS, _list, _PERMISSION + "list", of_account),
    Route("GET", _KEY, _get, _PERMISSION + "get", of_account),
    Route("DELETE", _KEY, _delete, _PERMISSION + "delete", of_account),
    Route("POST", _KEY + ":disable", _disable, _PERMISSION + "disable", of_account),
    Route("POST", _KEY + ":enable", _enable, _PERMISSION + "enable", of_account),
)
