"""The HTTP edges of accounts put together: the registry's gate, Google's APIs, sign-in, OAuth."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from roadstead.accounts import Accounts
from roadstead.api.app import Site
from roadstead.api.distribution.gate import Gate
from roadstead.api.distribution.token_service import TokenService
from roadstead.api.google import routing
from roadstead.api.google.routes import ROUTES
from roadstead.api.google.services import Images, Services
from roadstead.api.messages import Request, Response
from roadstead.api.oauth import OAuthEndpoints
from roadstead.api.signin.pages import Pages
from roadstead.api.signin.services import Services as SignIn
from roadstead.config import Settings
from roadstead.iam.audit import Entry, Outcome
from roadstead.iam.issuers import Issuers
from roadstead.iam.oauth import Granted, OAuth
from roadstead.iam.openid import OpenIDLogin, Provider
from roadstead.iam.tokens import audience

GOOGLE_PATHS = ("/v1", "/v1beta1", "/v1beta2", "/v3", "/storage", "/v2google")
OAUTH_PATHS = ("/token", "/revoke", "/oauth2")
PAGE_PATHS = ("/signin", "/account", "/static")
REVOKE = "/o/oauth2/revoke"


@dataclass(frozen=True, slots=True)
class Edges:
    """site: by the first part of the path."""

    gate: Gate
    token_service: TokenService
    site: Site

    @classmethod
    def of(cls, settings: Settings, known: Accounts, now_us: Callable[[], int], images: Images) -> Edges:
        url, proxies = settings.public_url.rstrip("/"), settings.proxies()
        gate = Gate(known.authenticator, known.authorizer, known.projects, known.audit, known.generation, url, proxies, now_us)
        token_service = TokenService(
            gate, known.authenticator, known.tokens, known.credentials, known.principals, known.installation, now_us
        )
        google = routing.Edge(_services(settings, known, now_us, images), known.authenticator, ROUTES)
        oauth = OAuth(
            known.credentials,
            known.people,
            known.tokens,
            known.revocations,
            known.keys,
            known.principals.load,
            audience(known.installation),
            now_us,
        )

        def record(request: Request, member: str, method: str, ok: bool) -> None:
            known.audit.record(_entry(request, member, method, ok, now_us()))

        pages = Pages(_sign_in(settings, known, oauth, record, now_us))
        endpoints = OAuthEndpoints(oauth, known.signing_keys.public, url, _exchange(known), record)

        async def below_o(request: Request) -> Response:
            return await (endpoints.handle(request) if request.path == REVOKE else pages.handle(request))

        site = {
            **dict.fromkeys(GOOGLE_PATHS, google.handle),
            **dict.fromkeys(OAUTH_PATHS, endpoints.handle),
            **dict.fromkeys(PAGE_PATHS, pages.handle),
            "/o": below_o,
        }
        return cls(gate, token_service, site)


def _sign_in(settings: Settings, known: Accounts, oauth: OAuth, record: Callable[..., None], now_us: Callable[[], int]) -> SignIn:
    # Their addresses are the operator's own words, unlike those of workload identity's.
    fetch = known.fetch.also([urlsplit(each.issuer).netloc.lower() for each in settings.openid.values()])
    issuers = Issuers(fetch, now_us)
    openid = {
        name: OpenIDLogin(Provider(name=name, **msgspec.structs.asdict(each)), issuers, fetch, known.people, known.groups, now_us)
        for name, each in settings.openid.items()
    }
    return SignIn(
        people=known.people,
        groups=known.groups,
        credentials=known.credentials,
        second_factor=known.second_factor,
        throttle=known.throttle,
        oauth=oauth,
        openid=openid,
        now_us=now_us,
        public_url=settings.public_url.rstrip("/"),
        record=record,
    )


def _exchange(known: Accounts) -> Callable[[Mapping[str, str]], Awaitable[Granted]]:
    async def exchange(form: Mapping[str, str]) -> Granted:
        grant = await known.federation.grant(form, known.tokens, known.installation)
        return Granted(grant.federated.member, grant.answer())

    return exchange


def _entry(request: Request, member: str, method: str, ok: bool, at_us: int) -> Entry:
    return Entry(
        at_us=at_us,
        member=member,
        method=method,
        resource=request.path,
        outcome=Outcome.OK if ok else Outcome.DENIED,
        address=request.client,
        agent=request.header(b"user-agent"),
        request_id=request.id,
    )


def _services(settings: Settings, known: Accounts, now_us: Callable[[], int], images: Images) -> Services:
    return Services(
        analysis=images.analysis,
        audit=known.audit,
        authorizer=known.authorizer,
        custom_roles=known.custom_roles,
        federation=known.federation,
        keys=known.keys,
        on_demand=images.on_demand,
        package_changes=images.package_changes,
        packages=images.packages,
        people=known.people,
        policies=known.policies,
        principals=known.principals,
        projects=known.projects,
        revocations=known.revocations,
        sboms=images.sboms,
        service_accounts=known.service_accounts,
        tokens=known.tokens,
        hosts=settings.hosts(),
        installation=known.installation,
        public_url=settings.public_url.rstrip("/"),
        now_us=now_us,
    )
