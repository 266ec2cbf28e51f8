"""A person's own account: password, second factor, what is signed in."""

from __future__ import annotations

import time

from roadstead.api.messages import Response
from roadstead.api.signin.browser import SESSION, Visit, page, redirect
from roadstead.api.signin.services import Services
from roadstead.errors import CredentialInvalid, FieldInvalid, RoadsteadError, StateForbids, TooManyRequests
from roadstead.iam.credentials import Credential, Kind
from roadstead.iam.oauth import CLIENTS
from roadstead.iam.passwords import check_new

PROGRAMS = (Kind.REFRESH, Kind.DOCKER)
"""What programs keep of a login."""
DONE = {
    "password": "Your password was changed, and you were signed out everywhere else.",
    "second-factor-off": "One-time passwords are off.",
    "ended": "It was signed out.",
}


async def show(services: Services, visited: Visit) -> Response:
    return await _show(services, visited, note=DONE.get(visited.parameter("done"), ""))


async def change_password(services: Services, visited: Visit) -> Response:
    person, chosen = visited.signed_in.person, visited.form.get("password", "")
    try:
        check_new(chosen, person.email)
        if chosen != visited.form.get("again", ""):
            raise FieldInvalid("the two passwords are not the same")
        await _confirm(services, visited)
        changed = await services.people.set_password(person.email, chosen)
    except (FieldInvalid, CredentialInvalid, TooManyRequests, StateForbids) as error:
        services.note(visited, person.member, "account.password", False)
        return await _show(services, visited, error)
    services.note(visited, person.member, "account.password", True)
    await services.begin_session(visited, changed)
    return redirect(visited, "/account?done=password")


async def begin_second_factor(services: Services, visited: Visit) -> Response:
    try:
        await services.second_factor.enrol(visited.signed_in.person.email)
    except StateForbids as error:
        return await _show(services, visited, error)
    return redirect(visited, "/account#second-factor")


async def confirm_second_factor(services: Services, visited: Visit) -> Response:
    person = visited.signed_in.person
    try:
        await services.throttle.attempt(visited.request.client, person.email)
        codes = await services.second_factor.confirm(person.email, visited.form.get("code", ""))
    except (CredentialInvalid, TooManyRequests) as error:
        return await _show(services, visited, error)
    await services.throttle.succeeded(visited.request.client, person.email)
    services.note(visited, person.member, "account.second_factor.on", True)
    await services.begin_session(visited, await services.people.get(person.email))
    return page(visited, "recovery.html", {"codes": codes})


async def turn_second_factor_off(services: Services, visited: Visit) -> Response:
    person = visited.signed_in.person
    try:
        await _confirm(services, visited, with_code=person.has_second_factor)
    except (CredentialInvalid, TooManyRequests, StateForbids) as error:
        services.note(visited, person.member, "account.second_factor.off", False)
        return await _show(services, visited, error)
    await services.second_factor.remove(person.email)
    services.note(visited, person.member, "account.second_factor.off", True)
    return redirect(visited, "/account?done=second-factor-off")


async def end_one(services: Services, visited: Visit) -> Response:
    """A session or a program's login; only what is the person's own is found."""
    member, wanted = visited.signed_in.person.member, visited.form.get("id", "")
    for kind in (Kind.SESSION, *PROGRAMS):
        for each in await services.credentials.list(member, kind):
            if each.id == wanted:
                await services.credentials.revoke_family(each.family)
                services.note(visited, member, "account.end", True)
    return redirect(visited, "/account?done=ended")


async def end_all(services: Services, visited: Visit) -> Response:
    person = visited.signed_in.person
    await services.people.sign_out_everywhere(person.email)
    services.note(visited, person.member, "account.end_all", True)
    visited.set_cookie(SESSION, "", 0)
    return redirect(visited, "/signin")


async def _confirm(services: Services, visited: Visit, *, with_code: bool = False) -> None:
    """A browser left open is not its owner. Raises CredentialInvalid, TooManyRequests, StateForbids."""
    person, address = visited.signed_in.person, visited.request.client
    if not person.has_password:
        raise StateForbids("this account has no password here: it signs in with its OpenID provider")
    await services.throttle.attempt(address, person.email)
    try:
        await services.people.check_password(person.email, visited.form.get("current", ""))
    except CredentialInvalid as error:
        raise CredentialInvalid("the present password is wrong") from error
    if with_code:
        await services.second_factor.verify(person.email, visited.form.get("code", ""))
    await services.throttle.succeeded(address, person.email)


async def _show(services: Services, visited: Visit, error: RoadsteadError | None = None, note: str = "") -> Response:
    session = visited.signed_in
    person = session.person
    sessions = await services.credentials.list(person.member, Kind.SESSION)
    programs = [each for kind in PROGRAMS for each in await services.credentials.list(person.member, kind)]
    values = {
        "mark": visited.mark(True),
        "person": person,
        "groups": sorted(await services.groups.of(person.member)),
        "note": note,
        "problem": error.message if error else "",
        "sessions": [{**_row(each), "is_this": each.id == session.credential.id} for each in sessions],
        "programs": [{**_row(each), "name": CLIENTS[each.client].name if each.client in CLIENTS else each.client} for each in programs],
        "enrolment": await services.second_factor.pending(person.email),
        "recovery_codes_left": await services.second_factor.recovery_codes_left(person.email) if person.has_second_factor else 0,
    }
    status = 200 if error is None else 429 if isinstance(error, TooManyRequests) else 400
    return page(visited, "account.html", values, status)


def _row(each: Credential) -> dict[str, str]:
    since = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(each.created_at_us // 1_000_000))
    return {"id": each.id, "since": since, "address": each.data.get("address", ""), "agent": each.data.get("agent", "")}
