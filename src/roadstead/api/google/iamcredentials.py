"""
IAM Service Account Credentials: a short-lived token of a service account for somebody who may act as it, without any key.

Spec: https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from roadstead.api.google import json
from roadstead.api.google.routing import Call, Route
from roadstead.api.google.service_accounts import of_account
from roadstead.errors import CredentialInvalid, FieldInvalid, StateForbids
from roadstead.iam.service_accounts import ServiceAccount
from roadstead.iam.tokens import Kind, audience

LIFETIME_SECONDS = 3600
MOST_SCOPE_CHARACTERS = 2000

# google.protobuf.Duration in JSON
_SECONDS = re.compile(r"([0-9]{1,6})(?:\.0{1,9})?s")
# google-auth exchanges a workload's token for one that has only this.
_SCOPES = frozenset({"https://www.googleapis.com/auth/iam"})
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,500}")


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """delegates: google-auth sends null."""

    name: str = ""
    delegates: tuple[str, ...] | None = None


class _AccessTokenRequest(_Body, frozen=True):
    scope: tuple[str, ...] = ()
    lifetime: str = ""


class _IdTokenRequest(_Body, frozen=True):
    audience: str = ""
    include_email: bool = False
    organization_number_included: bool = False


async def _generate_access_token(call: Call) -> dict[str, Any]:
    body = await call.body(_AccessTokenRequest)
    account = await _account(call, body)
    scope = " ".join(body.scope)
    if not body.scope or len(scope) > MOST_SCOPE_CHARACTERS or not all(_SCOPE.fullmatch(each) for each in body.scope):
        raise FieldInvalid("scope must name the OAuth scopes of the token, such as https://www.googleapis.com/auth/cloud-platform")
    seconds = _seconds(body.lifetime)
    services = call.services
    token = await services.tokens.issue(Kind.ACCESS, account.member, audience(services.installation), seconds, scope=scope)
    call.details["scope"], call.details["lifetime"] = list(body.scope)[:10], seconds
    # As Google's clients read it: whole seconds.
    expires = json.time_of(services.now_us() // 1_000_000 * 1_000_000 + seconds * 1_000_000).replace(".000000", "")
    return {"accessToken": token, "expireTime": expires}


async def _generate_id_token(call: Call) -> dict[str, Any]:
    body = await call.body(_IdTokenRequest)
    account = await _account(call, body)
    if not body.audience or len(body.audience) > 1000:
        raise FieldInvalid("audience must say whom the token is for")
    extra: dict[str, object] = {"azp": account.unique_id}
    if body.include_email:
        extra |= {"email": account.email, "email_verified": True}
    token = await call.services.tokens.issue(Kind.IDENTITY, account.member, body.audience, LIFETIME_SECONDS, extra=extra)
    call.details["audience"] = body.audience[:300]
    return {"token": token}


async def _account(call: Call, body: _Body) -> ServiceAccount:
    """The one that is asked for, if it can be used. Raises FieldInvalid, ResourceUnknown, StateForbids."""
    if body.delegates:
        raise FieldInvalid("delegates are not known here: give the caller itself iam.serviceAccounts.getAccessToken on the account")
    account = await call.services.service_accounts.get(call.variables["account"], call.variables["project"])
    if account.disabled:
        raise StateForbids(f"the service account {account.email} is disabled: enable it first")
    try:
        await call.services.principals.load(account.member, call.services.now_us())
    except CredentialInvalid as error:
        raise StateForbids(f"the project of the service account {account.email} is being deleted") from error
    return account


def _seconds(text: str) -> int:
    """A Duration of 1 second to an hour; "" is an hour. Raises FieldInvalid."""
    if not text:
        return LIFETIME_SECONDS
    found = _SECONDS.fullmatch(text)
    if found is None or not 0 < int(found[1]) <= LIFETIME_SECONDS:
        raise FieldInvalid("lifetime must be 1s to 3600s")
    return int(found[1])


_ACCOUNT = "/v1/projects/{project}/serviceAccounts/{account}"

ROUTES: Sequence[Route] = (
    Route(
        "POST", _ACCOUNT + ":generateAccessToken", _generate_access_token, "iam.serviceAccounts.getAccessToken", of_account, scopes=_SCOPES
    ),
    Route("POST", _ACCOUNT + ":generateIdToken", _generate_id_token, "iam.serviceAccounts.getOpenIdToken", of_account, scopes=_SCOPES),
)
