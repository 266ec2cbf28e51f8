"""
Workload identity federation: a token that another provider gave a program (GitHub Actions, GitLab, Kubernetes …) proves here who it is.

The token must be signed by the provider's issuer, meant for this server (audience), not be over, and pass the provider's condition; what
it says then becomes a principal, `principal://iam.googleapis.com/POOL/subject/SUBJECT`, and the sets that it belongs to. Policies name
these like any other member. Whatever cannot be checked is refused, each with a sentence of its own.

Spec: RFC 8693 as Google's Security Token Service does it (https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from roadstead.db.database import Database
from roadstead.errors import ConditionInvalid, CredentialInvalid, FieldInvalid, GrantRefused, MemberInvalid, ResourceUnknown
from roadstead.iam import claims, jws
from roadstead.iam.generation import Generation
from roadstead.iam.issuers import ALGORITHMS, Fetch, Issuers, pick, read_keys
from roadstead.iam.members import parse_member
from roadstead.iam.pools import HOST, Pools, Provider
from roadstead.iam.tokens import CLOUD_PLATFORM, Kind, Tokens, audience

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105
_SUBJECT_TYPES = frozenset({"urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"})

LIFETIME_SECONDS = 3600
MOST_LIFE_SECONDS = 24 * 3600
LEEWAY_SECONDS = 60
MOST_SUBJECT_BYTES = 127
MOST_GROUPS = 400
# They travel in a header with every request.
MOST_ATTRIBUTES_BYTES = 6 * 1024

_AUDIENCE = re.compile(
    rf"(?:https:)?//{re.escape(HOST)}/(projects/[1-9][0-9]{{0,18}}/locations/global/workloadIdentityPools/[a-z0-9-]{{4,32}}"
    r"/providers/[a-z0-9-]{4,32})"
)
_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Federated:
    """member: `principal://…`. attributes: the `principalSet://…` that it belongs to. subject: as mapped; issuer: whose token it was."""

    member: str
    attributes: frozenset[str]
    subject: str
    issuer: str
    provider: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A token of this server's, and for whom."""

    access_token: str
    expires_in_seconds: int
    scope: str
    federated: Federated

    def answer(self) -> dict[str, object]:
        """As RFC 8693 (2.2.1) has it."""
        return {
            "access_token": self.access_token,
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": self.expires_in_seconds,
        }


class Federation:
    def __init__(self, database: Database, generation: Generation, now_us: Callable[[], int], fetch: Fetch) -> None:
        self.pools = Pools(database, generation, now_us)
        self._now_us = now_us
        self._issuers = Issuers(fetch, now_us)

    async def grant(self, form: Mapping[str, str], tokens: Tokens, installation: str) -> Grant:
        """
        Answer a token exchange request (RFC 8693, 2.1), by its parameters in snake_case.

        Raises GrantRefused.
        """
        if form.get("grant_type") != GRANT:
            raise GrantRefused("unsupported_grant_type", f"grant_type must be {GRANT}")
        if form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
            raise GrantRefused("invalid_request", f"requested_token_type must be {ACCESS_TOKEN}")
        if form.get("subject_token_type") not in _SUBJECT_TYPES:
            raise GrantRefused("invalid_request", f"subject_token_type must be one of {', '.join(sorted(_SUBJECT_TYPES))}")
        if form.get("actor_token"):
            raise GrantRefused("invalid_request", "delegation (actor_token) is not known here")
        federated = await self.exchange(form.get("audience", ""), form.get("subject_token", ""))
        scope = form.get("scope") or CLOUD_PLATFORM
        extra: dict[str, object] = {"attributes": sorted(federated.attributes)}
        try:
            token = await tokens.issue(Kind.ACCESS, federated.member, audience(installation), LIFETIME_SECONDS, scope=scope, extra=extra)
        except FieldInvalid as error:
            raise GrantRefused("invalid_request", error.message) from error
        return Grant(token, LIFETIME_SECONDS, scope, federated)

    async def exchange(self, audience: str, subject_token: str) -> Federated:
        """
        audience: the provider's full name, with or without `https:`.

        Raises GrantRefused: invalid_target for the audience, invalid_grant for the token, unauthorized_client for the condition.
        """
        provider = await self._provider(audience)
        try:
            assertion = await self._verified(provider, subject_token)
        except CredentialInvalid as error:
            raise GrantRefused("invalid_grant", error.message) from error
        return _identity(provider, assertion)

    async def _provider(self, audience: str) -> Provider:
        found = _AUDIENCE.fullmatch(audience)
        if found is None:
            raise GrantRefused(
                "invalid_request",
                f"audience must be the provider's full name: //{HOST}/projects/NUMBER/locations/global/workloadIdentityPools/POOL/"
                "providers/ID",
            )
        try:
            provider = await self.pools.get_provider(found[1])
            pool = await self.pools.get_pool(provider.pool)
        except ResourceUnknown as error:
            raise _no_target() from error
        if provider.disabled or pool.disabled or provider.deleted_at_us is not None or pool.deleted_at_us is not None:
            raise _no_target()
        return provider

    async def _verified(self, provider: Provider, token: str) -> dict[str, object]:
        """The claims of a token of the provider's issuer for one of its audiences. Raises CredentialInvalid."""
        algorithm, kid = jws.foreign_header(token, ALGORITHMS)
        # A stranger's token is compared before anything is fetched or computed for it.
        self._check_issuer(provider, jws.unverified(token))
        if provider.jwks:
            key = pick(read_keys(provider.jwks.encode()), kid, algorithm)
            if key is None:
                raise CredentialInvalid(f"the token is signed by a key that is not among the provider's keys for {algorithm}")
        else:
            key = await self._issuers.key(provider.issuer, kid, algorithm)
        found = jws.verified(token, key, algorithm)
        self._check_issuer(provider, found)
        self._check_audience(provider, found)
        self._check_times(found)
        return found

    def _check_issuer(self, provider: Provider, found: Mapping[str, object]) -> None:
        if found.get("iss") != provider.issuer:
            raise CredentialInvalid(f"the token was not issued by {provider.issuer}, which the provider takes tokens of")

    def _check_audience(self, provider: Provider, found: Mapping[str, object]) -> None:
        given = found.get("aud")
        audiences = (
            {given} if isinstance(given, str) else {each for each in given if isinstance(each, str)} if isinstance(given, list) else set()
        )
        if audiences.isdisjoint(provider.accepted_audiences):
            raise CredentialInvalid(
                f"the token is meant for somebody else: its audience must be one of {', '.join(sorted(provider.accepted_audiences))}"
            )

    def _check_times(self, found: dict[str, object]) -> None:
        now_us = self._now_us()
        issued, expires = jws.seconds(found, "iat"), jws.seconds(found, "exp")
        if expires * _US <= now_us:
            raise CredentialInvalid("the token has expired")
        if max(issued, jws.seconds(found, "nbf") if "nbf" in found else 0) * _US > now_us + LEEWAY_SECONDS * _US:
            raise CredentialInvalid("the token is not valid yet: is a clock wrong?")
        if expires - issued > MOST_LIFE_SECONDS:
            raise CredentialInvalid("the token lives longer than 24 hours: ask the provider for a shorter one")


def _identity(provider: Provider, assertion: dict[str, object]) -> Federated:
    """What the mapping makes of the claims, if the condition holds. Raises GrantRefused."""
    values = {key: _mapped(key, expression, assertion) for key, expression in provider.mapping.items()}
    google = {key.removeprefix("google."): value for key, value in values.items() if key.startswith("google.")}
    attribute = {key.removeprefix("attribute."): value for key, value in values.items() if key.startswith("attribute.")}
    if provider.condition and not _holds(provider.condition, {"assertion": assertion, "google": google, "attribute": attribute}):
        raise GrantRefused("unauthorized_client", "The given credential is rejected by the attribute condition.")
    subject, groups = google["subject"], google.get("groups", [])
    sets = [f"group/{group}" for group in groups] + [f"attribute.{name}/{value}" for name, value in attribute.items() if value]
    try:
        member = parse_member(f"principal://{HOST}/{provider.pool}/subject/{subject}")
        attributes = frozenset(parse_member(f"principalSet://{HOST}/{provider.pool}/{each}") for each in [*sets, "*"])
    except MemberInvalid as error:
        raise GrantRefused(
            "invalid_grant", "what the token's claims are mapped to has characters that no member of a policy can have"
        ) from error
    if sum(len(each.encode()) for each in attributes) > MOST_ATTRIBUTES_BYTES:
        raise GrantRefused("invalid_grant", "what the token's claims are mapped to is too much: map fewer or shorter attributes")
    return Federated(member, attributes, str(subject), provider.issuer, provider.name)


def _mapped(key: str, expression: str, assertion: dict[str, object]) -> str | list[str]:
    try:
        value = claims.parse(expression, ("assertion",)).value({"assertion": assertion})
    except (claims.Unsaid, ConditionInvalid) as error:
        raise GrantRefused("invalid_grant", f"the token's claims do not give {key} by {expression}: {error}") from error
    if key == "google.groups":
        if isinstance(value, list) and len(value) <= MOST_GROUPS and all(isinstance(each, str) and each for each in value):
            return [str(each) for each in value]
        raise GrantRefused("invalid_grant", f"google.groups must be a list of at most {MOST_GROUPS} texts")
    if not isinstance(value, str):
        raise GrantRefused("invalid_grant", f"{key} must be a text: {expression} is none; string() makes one of a number")
    if key == "google.subject" and not 0 < len(value.encode(errors="surrogatepass")) <= MOST_SUBJECT_BYTES:
        raise GrantRefused("invalid_grant", f"google.subject must have 1 to {MOST_SUBJECT_BYTES} bytes")
    return value


def _holds(condition: str, names: Mapping[str, object]) -> bool:
    """False also for what cannot be said."""
    try:
        return claims.parse(condition, ("assertion", "google", "attribute")).value(names) is True
    except (claims.Unsaid, ConditionInvalid):
        return False


def _no_target() -> GrantRefused:
    return GrantRefused(
        "invalid_target",
        'The target service indicated by the "audience" parameters is invalid. This might either be because the pool or provider is '
        "disabled or deleted or because it doesn't exist.",
    )
