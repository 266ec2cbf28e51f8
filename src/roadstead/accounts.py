"""The iam room put together: Settings and a database become the services that know accounts, rights and tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from roadstead.api.auth import Authenticator
from roadstead.config import Settings
from roadstead.db.database import Database
from roadstead.errors import AlreadyExists, Conflict, ReadOnly, ResourceUnknown
from roadstead.iam import resources
from roadstead.iam.audit import Audit
from roadstead.iam.authorizer import Authorizer
from roadstead.iam.credentials import Credentials, Kind, new_family
from roadstead.iam.custom_roles import CustomRoles
from roadstead.iam.decide import Binding, Policy
from roadstead.iam.expiry import KeyExpiry
from roadstead.iam.federation import Federation
from roadstead.iam.fetch import Fetch
from roadstead.iam.generation import POLL_SECONDS, Generation, SharedNumber
from roadstead.iam.groups import Groups
from roadstead.iam.keys import Keys
from roadstead.iam.people import People
from roadstead.iam.policies import NO_ETAG, Policies
from roadstead.iam.principals import Principals
from roadstead.iam.projects import Projects
from roadstead.iam.queries import first_run as queries
from roadstead.iam.revocation import Revocations
from roadstead.iam.secondfactor import SecondFactor
from roadstead.iam.service_accounts import ServiceAccounts
from roadstead.iam.signing import SigningKeys, installation
from roadstead.iam.throttle import Throttle
from roadstead.iam.tokens import CLOUD_PLATFORM, Tokens, audience, issuer
from roadstead.iam.tokens import Kind as TokenKind
from roadstead.jobs.schedule import every

FIRST_PROJECT = "my-project"
FIRST_SERVICES = ("containerregistry.googleapis.com", "containerscanning.googleapis.com")
OWNER_ROLES = ("roles/owner", "roles/resourcemanager.organizationAdmin", "roles/resourcemanager.projectCreator")
LINK_SECONDS = 24 * 3600
USED_SECONDS = 60.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Accounts:
    """One process's share. authenticator: who asks."""

    audit: Audit
    authenticator: Authenticator
    authorizer: Authorizer
    credentials: Credentials
    custom_roles: CustomRoles
    federation: Federation
    fetch: Fetch
    generation: Generation
    groups: Groups
    installation: str
    key_expiry: KeyExpiry
    keys: Keys
    people: People
    policies: Policies
    principals: Principals
    projects: Projects
    revocations: Revocations
    second_factor: SecondFactor
    service_accounts: ServiceAccounts
    signing_keys: SigningKeys
    throttle: Throttle
    tokens: Tokens

    async def look_after(self, stop: asyncio.Event) -> None:
        """Beside the requests of a process: see what other nodes changed, write the audit log and when keys were used. Until stop."""
        await asyncio.gather(
            every(POLL_SECONDS, self.generation.seen, stop),
            self.audit.run(stop),
            every(USED_SECONDS, self.keys.flush, stop),
        )
        await self.keys.flush()

    async def tidy(self) -> None:
        """What a worker does every few minutes."""
        await self.audit.trim()
        await self.credentials.purge()
        await self.revocations.purge()
        await self.throttle.purge()
        await self.projects.purge()
        await self.custom_roles.purge()
        await self.service_accounts.purge()
        await self.federation.pools.purge()


async def accounts(settings: Settings, database: Database, shared: SharedNumber, now_us: Callable[[], int]) -> Accounts:
    """shared: made before processes are forked."""
    generation = Generation(database, shared)
    await generation.seen()
    name = await installation(database)
    authorities = Path(settings.certificate_authorities) if settings.certificate_authorities else None
    fetch = Fetch(settings.private_hosts, authorities)
    signing_keys = SigningKeys(database, now_us)
    with suppress(ReadOnly):
        # Now, not at the first token: until it is known, a made-up key id could keep this process from looking for the real one.
        await signing_keys.current()
    tokens = Tokens(signing_keys, now_us, issuer(name))
    keys = Keys(database, generation, now_us)
    people, throttle = People(database, generation, now_us), Throttle(database, now_us)
    principals, revocations = Principals(database, generation), Revocations(database, generation, now_us)
    credentials = Credentials(database, now_us, revocations.revoke)
    return Accounts(
        audit=Audit(database, now_us, keep_days=settings.audit_keep_days, keep_rows=settings.audit_keep_rows),
        authenticator=Authenticator(tokens, keys, principals, people, throttle, revocations, generation, name, now_us),
        authorizer=Authorizer(database, generation, now_us),
        credentials=credentials,
        custom_roles=CustomRoles(database, generation, now_us),
        federation=Federation(database, generation, now_us, fetch),
        fetch=fetch,
        generation=generation,
        groups=Groups(database, generation, now_us),
        installation=name,
        key_expiry=KeyExpiry(keys, now_us),
        keys=keys,
        people=people,
        policies=Policies(database, generation, now_us),
        principals=principals,
        projects=Projects(database, generation, now_us, settings.project_grace_seconds),
        revocations=revocations,
        second_factor=SecondFactor(database, credentials, generation, now_us),
        service_accounts=ServiceAccounts(database, generation, now_us),
        signing_keys=signing_keys,
        throttle=throttle,
        tokens=tokens,
    )


async def first_run(own: Accounts, database: Database, owner: str) -> str:
    """
    What a new installation has: the owner, who may do everything, and a project to begin with. Of an installation from before there were
    accounts, every project that has images becomes one here. Several nodes may come at once.

    Returns the secret of a one-time link for the owner while nobody has ever signed in, "" afterwards, and where the settings name another
    owner than at first, who has no account: `roadstead admin owner ADDRESS` makes one.
    """
    if await database.one(queries.ANY_POLICY, {"resource": resources.ORGANIZATION}) is None:
        await _adopt_projects(own, database)
        await _make(own.people.create(owner, "Owner"))
        await _make(own.projects.create(FIRST_PROJECT, "My project", creator=f"user:{owner}"))
        await own.projects.enable(FIRST_PROJECT, FIRST_SERVICES)
        bindings = tuple(Binding(role, (f"user:{owner}",)) for role in OWNER_ROLES)
        await _make(own.policies.set(resources.ORGANIZATION, Policy(bindings), NO_ETAG))
    if await database.one(queries.SIGNED_IN, {}) is not None or await database.one(queries.HAS_PASSWORD, {}) is not None:
        return ""
    try:
        person = await own.people.get(owner)
    except ResourceUnknown:
        _log.warning("the owner in the settings has no account: roadstead admin owner ADDRESS makes one", owner=owner)
        return ""
    # Other nodes may have shown theirs a moment ago: it stays good.
    return await own.credentials.issue(Kind.LINK, person.member, "", LINK_SECONDS, {})


async def one_time_link(own: Accounts, email: str) -> str:
    """The secret of a link by which this person gets in and sets a password. Earlier links of theirs are void. Raises ResourceUnknown."""
    person = await own.people.get(email)
    await own.credentials.revoke_member(person.member, Kind.LINK)
    return await own.credentials.issue(Kind.LINK, person.member, "", LINK_SECONDS, {})


async def access_token(own: Accounts, member: str, lifetime_seconds: int) -> str:
    """For scripts on this machine. Raises CredentialInvalid for an account that is not there or disabled, FieldInvalid."""
    await own.principals.load(member, 2**62)
    return await own.tokens.issue(
        TokenKind.ACCESS, member, audience(own.installation), lifetime_seconds, scope=CLOUD_PLATFORM, family=new_family()
    )


async def _adopt_projects(own: Accounts, database: Database) -> None:
    after = ""
    while row := await database.one(queries.REPOSITORY_AFTER, {"after": after}):
        project, _ = resources.split_name(str(row[0]))
        await _make(own.projects.adopt(project))
        await own.projects.enable(project, FIRST_SERVICES)
        after = resources.name_prefix(project) + "/\x7f"


async def _make(making: Awaitable[object]) -> None:
    """What another node has made meanwhile is there, which is all we want."""
    with suppress(AlreadyExists, Conflict):
        await making
