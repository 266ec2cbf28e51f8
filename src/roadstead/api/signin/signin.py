"""Signing in with a password and, where it is set up, a one-time password; signing out."""

from __future__ import annotations

from urllib.parse import urlencode

from roadstead.api.messages import Response
from roadstead.api.signin.browser import SESSION, Visit, next_path, page, redirect
from roadstead.api.signin.services import Services
from roadstead.errors import CredentialInvalid, TooManyRequests
from roadstead.iam.credentials import Kind
from roadstead.iam.people import Person

SECOND_STEP_SECONDS = 300
WRONG = "The e-mail address or the password is wrong."


def first(visited: Visit) -> Response:
    """To the sign-in page, and back to what was asked for; a form that was sent is to be sent again."""
    request = visited.request
    asked = request.path + (f"?{request.query}" if request.query else "")
    if request.method != "GET" or not next_path(asked, ""):
        return redirect(visited, "/signin")
    return redirect(visited, f"/signin?{urlencode({'next': asked})}")


async def form(services: Services, visited: Visit) -> Response:
    onward = next_path(visited.parameter("next"), "")
    if visited.session is not None:
        return redirect(visited, onward or services.home)
    return _form(services, visited, onward)


async def password(services: Services, visited: Visit) -> Response:
    email, onward = visited.form.get("email", "").strip(), next_path(visited.form.get("next", ""), "")
    address = visited.request.client
    try:
        await services.throttle.attempt(address, email)
        person = await services.people.check_password(email, visited.form.get("password", ""))
    except CredentialInvalid:
        services.note(visited, "", "signin.password", False)
        return _form(services, visited, onward, email, WRONG, 403)
    except TooManyRequests as error:
        services.note(visited, "", "signin.password", False)
        return _form(services, visited, onward, email, error.message, 429, error.retry_after_seconds)
    if not person.has_second_factor:
        services.note(visited, person.member, "signin.password", True)
        return await _done(services, visited, person, onward)
    step = await services.credentials.issue(Kind.SECOND_STEP, person.member, "", SECOND_STEP_SECONDS, {})
    return _code_form(visited, step, onward)


async def code(services: Services, visited: Visit) -> Response:
    """The second step. Raises CredentialInvalid when the first was too long ago."""
    step, onward = visited.form.get("step", ""), next_path(visited.form.get("next", ""), "")
    kept = await services.credentials.look_up(step, Kind.SECOND_STEP)
    email = kept.member.removeprefix("user:")
    try:
        await services.throttle.attempt(visited.request.client, email)
        await services.second_factor.verify(email, visited.form.get("code", ""))
    except CredentialInvalid as error:
        services.note(visited, kept.member, "signin.code", False)
        return _code_form(visited, step, onward, error.message, 403)
    except TooManyRequests as error:
        services.note(visited, kept.member, "signin.code", False)
        return _code_form(visited, step, onward, error.message, 429, error.retry_after_seconds)
    await services.credentials.take(step, Kind.SECOND_STEP)
    services.note(visited, kept.member, "signin.code", True)
    return await _done(services, visited, await services.people.get(email), onward)


async def out(services: Services, visited: Visit) -> Response:
    await services.credentials.revoke(visited.signed_in.secret, Kind.SESSION)
    services.note(visited, visited.signed_in.person.member, "signin.out", True)
    visited.set_cookie(SESSION, "", 0)
    return redirect(visited, "/signin")


async def _done(services: Services, visited: Visit, person: Person, onward: str) -> Response:
    await services.throttle.succeeded(visited.request.client, person.email)
    await services.begin_session(visited, person)
    return redirect(visited, onward or services.home)


def _form(
    services: Services, visited: Visit, onward: str, email: str = "", problem: str = "", status: int = 200, retry_after_seconds: int = 0
) -> Response:
    query = f"?{urlencode({'next': onward})}" if onward else ""
    providers = [{"label": login.provider.called, "address": f"/signin/oidc/{name}{query}"} for name, login in services.openid.items()]
    values = {"mark": visited.mark(False), "next": onward, "email": email[:254], "problem": problem, "providers": providers}
    return page(visited, "signin.html", values, status, headers=_retry(retry_after_seconds))


def _code_form(visited: Visit, step: str, onward: str, problem: str = "", status: int = 200, retry_after_seconds: int = 0) -> Response:
    values = {"mark": visited.mark(False), "next": onward, "step": step, "problem": problem}
    return page(visited, "code.html", values, status, headers=_retry(retry_after_seconds))


def _retry(seconds: int) -> dict[str, str]:
    return {"retry-after": str(seconds)} if seconds else {}
