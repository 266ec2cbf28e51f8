"""Allowing a program (gcloud, our own command line) to act for whoever is signed in: RFC 6749, 4.1.1."""

from __future__ import annotations

from collections.abc import Mapping

from roadstead.api.messages import Response
from roadstead.api.signin.browser import Visit, page, redirect
from roadstead.api.signin.services import Services
from roadstead.errors import GrantRefused, RequestInvalid
from roadstead.iam.oauth import Authorization, Destination, authorization, destination
from roadstead.iam.tokens import CLOUD_PLATFORM

ASKED = ("client_id", "redirect_uri", "state", "response_type", "scope", "code_challenge", "code_challenge_method", "nonce", "prompt")
_WORDS = {
    "openid": "know who you are",
    "email": "see your e-mail address",
    "profile": "see your name",
    "https://www.googleapis.com/auth/userinfo.email": "see your e-mail address",
    "https://www.googleapis.com/auth/userinfo.profile": "see your name",
    CLOUD_PLATFORM: "do everything here that you may do: images, projects, policies, builds",
    "https://www.googleapis.com/auth/accounts.reauth": "ask you to confirm yourself",
}


async def ask(_: Services, visited: Visit) -> Response:
    parameters = _once(visited.request.parameters())
    to = destination(parameters)
    try:
        asked = authorization(parameters, to)
    except GrantRefused as error:
        return _refused(visited, to, error)
    values = {
        "mark": visited.mark(True),
        "person": visited.signed_in.person,
        "client": to.client.name,
        "rights": list(dict.fromkeys(_WORDS.get(scope, scope) for scope in asked.scope.split())),
        "is_copied": to.is_copied,
        "address": to.origin,
        "path": visited.request.path,
        "fields": {name: parameters[name] for name in ASKED if name in parameters},
    }
    return page(visited, "consent.html", values, form_to=_form_to(to))


async def answer(services: Services, visited: Visit) -> Response:
    """The form holds what was asked for, and it is checked as if it came for the first time."""
    to = destination(visited.form)
    try:
        asked = authorization(visited.form, to)
    except GrantRefused as error:
        return _refused(visited, to, error)
    if visited.form.get("answer") != "allow":
        return _refused(visited, to, GrantRefused("access_denied", "you did not allow it"))
    return await _allowed(services, visited, asked)


async def _allowed(services: Services, visited: Visit, asked: Authorization) -> Response:
    person = visited.signed_in.person
    code = await services.oauth.allow(asked, person)
    services.note(visited, person.member, "oauth.allow", True)
    to = asked.destination
    if to.is_copied:
        return page(visited, "copy.html", {"code": code, "client": to.client.name})
    return redirect(visited, to.address({"code": code, "scope": asked.scope}))


def _refused(visited: Visit, to: Destination, error: GrantRefused) -> Response:
    if to.is_copied:
        return page(visited, "problem.html", {"message": error.message}, 400)
    return redirect(visited, to.address({"error": error.code, "error_description": error.message}))


def _once(parameters: Mapping[str, list[str]]) -> dict[str, str]:
    """RFC 6749, 3.1: no parameter twice. Raises RequestInvalid."""
    if any(len(values) > 1 for values in parameters.values()):
        raise RequestInvalid("a parameter of this address occurs twice")
    return {name: values[0] for name, values in parameters.items()}


def _form_to(to: Destination) -> str:
    if to.is_copied:
        return ""
    # A content security policy has no words for [::1].
    return "http:" if "[" in to.origin else to.origin
