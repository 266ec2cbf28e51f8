"""One-time links: the first sign-in of an installation, and the way back in for whoever lost their password."""

from __future__ import annotations

from roadstead.api.messages import Response
from roadstead.api.signin.browser import Visit, page, redirect
from roadstead.api.signin.services import Services
from roadstead.errors import CredentialInvalid, FieldInvalid, ResourceUnknown, TooManyRequests
from roadstead.iam.credentials import Kind
from roadstead.iam.people import Person, checked_name

USED = "This link was used already or has expired. `roadstead admin` on the server makes a new one."


async def form(services: Services, visited: Visit) -> Response:
    """Looking at the link does not use it up: chat programs and scanners look at every link."""
    token = visited.parameter("token")
    person = await _whose(services, token)
    return _form(visited, person, token, person.name)


async def use(services: Services, visited: Visit) -> Response:
    """Raises CredentialInvalid."""
    token, chosen, name = (visited.form.get(field, "") for field in ("token", "password", "name"))
    person = await _whose(services, token)
    try:
        checked_name(name)
        if chosen != visited.form.get("again", ""):
            raise FieldInvalid("the two passwords are not the same")
        # Before the link is used up: a busy server hashes no password.
        hashed = await services.people.hashed(person.email, chosen)
    except FieldInvalid as error:
        return _form(visited, person, token, name[:200], error.message, 400)
    except TooManyRequests as error:
        return _form(visited, person, token, name[:200], error.message, 429, error.retry_after_seconds)
    try:
        await services.credentials.redeem(token, Kind.LINK)
    except CredentialInvalid as error:
        raise CredentialInvalid(USED) from error
    await services.people.set_name(person.email, name)
    person = await services.people.set_hashed(person.email, hashed)
    services.note(visited, person.member, "signin.link", True)
    if person.has_second_factor:
        return redirect(visited, "/signin")
    await services.begin_session(visited, person)
    return redirect(visited, services.home)


async def _whose(services: Services, token: str) -> Person:
    """Raises CredentialInvalid."""
    try:
        kept = await services.credentials.look_up(token, Kind.LINK)
        person = await services.people.get(kept.member.removeprefix("user:"))
    except (CredentialInvalid, ResourceUnknown) as error:
        raise CredentialInvalid(USED) from error
    if person.disabled:
        raise CredentialInvalid(USED)
    return person


def _form(
    visited: Visit, person: Person, token: str, name: str, problem: str = "", status: int = 200, retry_after_seconds: int = 0
) -> Response:
    values = {"mark": visited.mark(False), "email": person.email, "name": name, "token": token, "problem": problem}
    headers = {"retry-after": str(retry_after_seconds)} if retry_after_seconds else {}
    return page(visited, "link.html", values, status, headers=headers)
