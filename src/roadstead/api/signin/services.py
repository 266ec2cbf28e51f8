"""What the pages are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from roadstead.api.messages import Request
from roadstead.api.signin.browser import SESSION, Visit
from roadstead.iam.credentials import Credentials, Kind
from roadstead.iam.groups import Groups
from roadstead.iam.oauth import OAuth
from roadstead.iam.openid import OpenIDLogin
from roadstead.iam.people import People, Person
from roadstead.iam.secondfactor import SecondFactor
from roadstead.iam.throttle import Throttle

SESSION_SECONDS = 7 * 24 * 3600
MOST_AGENT_CHARACTERS = 200

Record = Callable[[Request, str, str, bool], None]
"""Takes the request, the member ("" where unknown), a method such as `signin.password`, and whether it succeeded."""


@dataclass(frozen=True, slots=True)
class Services:
    """
    openid: by the name in the settings. public_url: this server's address, without a slash at its end; "" for what the request says.

    home: where somebody goes who signed in for nothing in particular. record: for the audit log.
    """

    people: People
    groups: Groups
    credentials: Credentials
    second_factor: SecondFactor
    throttle: Throttle
    oauth: OAuth
    openid: Mapping[str, OpenIDLogin]
    now_us: Callable[[], int]
    public_url: str = ""
    home: str = "/account"
    record: Record | None = None

    def note(self, visited: Visit, member: str, method: str, ok: bool) -> None:
        if self.record is not None:
            self.record(visited.request, member, method, ok)

    async def begin_session(self, visited: Visit, person: Person) -> None:
        """With a new secret: one that was in the browser before is worth nothing (session fixation)."""
        if visited.session is not None:
            await self.credentials.revoke(visited.session.secret, Kind.SESSION)
        agent = visited.request.header(b"user-agent")[:MOST_AGENT_CHARACTERS]
        data = {"address": visited.request.client, "agent": "".join(each if each.isprintable() else "?" for each in agent)}
        secret = await self.credentials.issue(Kind.SESSION, person.member, "", SESSION_SECONDS, data)
        await self.people.signed_in(person.email)
        visited.set_cookie(SESSION, secret, SESSION_SECONDS)
