"""
Authorization of /v2/, at one place: the router asks here before any handler runs.

What was decided for a credential is remembered with it, per permission and repository, until rights or accounts change
(iam/generation.py) or the credential ends: then a request costs one look at a dictionary. Nothing depends on the Host header or the
request's target as text; what is authorized is what was routed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import time_ns

from roadstead.api import forwarded
from roadstead.api.auth import NOBODY, Authenticator, Identity, authorization
from roadstead.api.distribution.permissions import Asked, Permission
from roadstead.api.errors import status_of
from roadstead.api.messages import Request
from roadstead.errors import (
    CredentialInvalid,
    NameInvalid,
    PermissionDenied,
    RoadsteadError,
    ScopeInsufficient,
    ServiceDisabled,
    TooManyRequests,
    Unauthenticated,
)
from roadstead.iam import resources
from roadstead.iam.audit import Audit, Entry, Outcome
from roadstead.iam.authorizer import Authorizer
from roadstead.iam.generation import Generation
from roadstead.iam.projects import Projects
from roadstead.oci.reference import Repository

REMEMBERED_CREDENTIALS = 4096
REMEMBERED_DECISIONS = 2048
REMEMBERED_IN_ALL = 200_000
ANYBODY_US = 10**17

REGISTRY_SERVICES = ("containerregistry.googleapis.com", "artifactregistry.googleapis.com")


# Any of these is enough: GCR's buckets and Artifact Registry both gave the right.
GRANTS = {
    Permission.PULL: frozenset({"storage.objects.get", "artifactregistry.repositories.downloadArtifacts"}),
    Permission.PUSH: frozenset({"storage.objects.create", "artifactregistry.repositories.uploadArtifacts"}),
    Permission.DELETE: frozenset({"storage.objects.delete", "artifactregistry.versions.delete"}),
}
OVERWRITES = frozenset({"storage.objects.delete", "storage.objects.update", "artifactregistry.tags.update"})
CATALOG_ACTIONS = frozenset({"*"})
ACTIONS = {Permission.PULL: "pull", Permission.PUSH: "push", Permission.DELETE: "delete"}
ALL_ACTIONS = frozenset(ACTIONS.values())
_WHAT_GCR_NAMED = {
    Permission.PULL: "storage.objects.get",
    Permission.PUSH: "storage.objects.create",
    Permission.DELETE: "storage.objects.delete",
}


@dataclass(frozen=True, slots=True)
class _Known:
    """A credential that was looked at, at one location."""

    identity: Identity
    generation: int
    expires_at_us: int


@dataclass(slots=True)
class _Admitted:
    """What was asked with a credential, and allowed."""

    generation: int
    expires_at_ns: int
    owner: str
    asked: set[Asked] = field(default_factory=set)


class Gate:
    def __init__(
        self,
        authenticator: Authenticator,
        authorizer: Authorizer,
        projects: Projects,
        audit: Audit,
        generation: Generation,
        public_url: str,
        proxies: Sequence[forwarded.Network],
        now_us: Callable[[], int],
    ) -> None:
        self.authenticator = authenticator
        self.authorizer = authorizer
        self.projects = projects
        self._audit = audit
        self._generation = generation
        self._public_url = public_url
        self._proxies = proxies
        self._now_us = now_us
        self._numbers = generation.numbers
        self._known: OrderedDict[tuple[str, bytes], _Known] = OrderedDict()
        self._admitted: OrderedDict[bytes, _Admitted] = OrderedDict()
        self._decisions = 0

    def is_admitted(self, request: Request, asked: Asked) -> bool:
        """
        Whether this credential was allowed just this before, and nothing has changed; sets request.owner. On the way of every request.
        """
        header: bytes | None = None
        for name, value in request.headers:
            if name == b"authorization":
                if header is not None:
                    return False
                header = value
        admitted = self._admitted.get(header or b"")
        if (
            admitted is None
            or asked not in admitted.asked
            or admitted.generation != self._numbers[0]
            or time_ns() >= admitted.expires_at_ns
        ):
            return False
        request.owner = admitted.owner
        return True

    async def admit(self, request: Request, permission: Permission, repository: Repository | None, asked: Asked) -> None:
        """
        asked: of these. Sets request.owner. Raises CredentialInvalid, Unauthenticated, PermissionDenied, ServiceDisabled, TooManyRequests.
        """
        forwarded.believe(request, self._proxies)
        if permission is Permission.PUBLIC:
            return
        try:
            known = await self._credential(request)
            request.owner = known.identity.principal.member
            if repository is not None:
                await self.check(known.identity, permission, repository)
            elif permission is Permission.PING and known.identity is NOBODY:
                raise Unauthenticated("authentication required: log in, or ask the token service for a token")
        except (Unauthenticated, PermissionDenied, TooManyRequests) as error:
            # Without a credential a 401 is only how every client begins.
            if not isinstance(error, Unauthenticated) or authorization(request) is not None:
                self.note(request, repository, error)
            raise
        if repository is None or not await self.authorizer.is_conditional(resources.of_name(repository.location, repository.name)):
            self._remember(request, known, asked)

    def _remember(self, request: Request, known: _Known, asked: Asked) -> None:
        header = authorization(request) or b""
        if b"  " in header or header != header.strip():
            # The same credential in another spelling: there is no end of them.
            return
        admitted = self._admitted.get(header)
        current = (known.generation, known.expires_at_us * 1000)
        if admitted is None or (admitted.generation, admitted.expires_at_ns) != current or len(admitted.asked) >= REMEMBERED_DECISIONS:
            admitted = _Admitted(*current, known.identity.principal.member)
            self._admitted[header] = admitted
            if len(self._admitted) > REMEMBERED_CREDENTIALS:
                self._admitted.popitem(last=False)
        admitted.asked.add(asked)
        self._decisions += 1
        if self._decisions > REMEMBERED_IN_ALL:
            self._admitted.clear()
            self._decisions = 0

    async def identity(self, request: Request) -> Identity:
        return (await self._credential(request)).identity

    async def _credential(self, request: Request) -> _Known:
        header = authorization(request)
        key = (request.location, header or b"")
        generation, now_us = self._generation.value, self._now_us()
        known = self._known.get(key)
        if known is None or known.generation != generation or now_us >= known.expires_at_us:
            if header is None:
                known = _Known(NOBODY, generation, ANYBODY_US)
            else:
                identity = await self.authenticator.of_registry(request, header, request.location)
                known = _Known(identity, generation, identity.expires_at_us)
            self._known[key] = known
            if len(self._known) > REMEMBERED_CREDENTIALS:
                self._known.popitem(last=False)
        return known

    async def check(self, identity: Identity, permission: Permission, repository: Repository) -> None:
        """
        The same answer for a repository that is not there and one that the caller may not read: a denial.

        Raises Unauthenticated (nobody in particular, or a token for something else), PermissionDenied, ServiceDisabled, NameInvalid (a push
        to a project itself, `example.com/p`).
        """
        if not identity.may_use_registry(permission is not Permission.PULL):
            raise PermissionDenied("the access token's scopes are not for this: it needs https://www.googleapis.com/auth/cloud-platform")
        if not await self.may(identity, permission, repository):
            if identity.principal.is_anonymous:
                raise Unauthenticated(
                    "You don't have the needed permissions to perform this operation, and you may have invalid credentials. Log in first."
                )
            raise PermissionDenied(
                f"Caller does not have permission '{_WHAT_GCR_NAMED[permission]}'. To configure permissions, follow instructions at: "
                "https://cloud.google.com/container-registry/docs/access-control"
            )
        if identity.access is not None and ACTIONS[permission] not in held(identity, repository):
            raise ScopeInsufficient("insufficient_scope: this token is for other repositories or actions; ask the token service for one")
        await self.check_project(repository)
        if permission is Permission.PUSH and not resources.split_name(repository.name)[1]:
            raise NameInvalid(f"{repository.name} is a project: an image needs a name below it")

    async def may(self, identity: Identity, permission: Permission, repository: Repository) -> bool:
        """Whether the principal may, whatever its token is limited to."""
        return bool(await self.rights(identity, GRANTS[permission], repository))

    async def rights(self, identity: Identity, permissions: frozenset[str], repository: Repository) -> frozenset[str]:
        return await self.authorizer.permitted(identity.principal, permissions, resources.of_name(repository.location, repository.name))

    async def check_project(self, repository: Repository) -> None:
        """Only for those who may do something in it. Raises ServiceDisabled."""
        project = resources.split_name(repository.name)[0]
        for service in REGISTRY_SERVICES:
            if await self.projects.is_enabled(project, service):
                return
        raise ServiceDisabled(
            f"Token exchange failed for project '{project}'. Please enable Google Container Registry API in Cloud Console at "
            f"https://console.cloud.google.com/apis/api/containerregistry.googleapis.com/overview?project={project} before performing this "
            "operation.",
            REGISTRY_SERVICES[0],
            project,
        )

    async def may_mount_from(self, request: Request, source: Repository) -> bool:
        """A mount needs read on its source: of the caller, and of the token where that is limited."""
        try:
            await self.check(await self.identity(request), Permission.PULL, source)
        except (Unauthenticated, PermissionDenied):
            return False
        return True

    async def may_overwrite(self, request: Request, repository: Repository) -> bool:
        """Who may only create cannot move a tag that is there."""
        return bool(await self.rights(await self.identity(request), OVERWRITES, repository))

    async def may_read(self, request: Request, repository: Repository) -> bool:
        """For listings."""
        identity = await self.identity(request)
        if not identity.may_use_registry(False):
            return False
        if not _lists_all(identity, repository.location) and ACTIONS[Permission.PULL] not in held(identity, repository):
            return False
        return await self.may(identity, Permission.PULL, repository)

    async def sees_all_below(self, repository: Repository) -> bool:
        """Whether who may pull from a place may pull all that is below: rights only grow downwards, unless conditions name names."""
        return not await self.authorizer.is_conditional(resources.of_name(repository.location, repository.name))

    async def sees(self, request: Request, repository: Repository) -> bool:
        """For the names below a place that the caller was let into: what its token is limited to was asked there."""
        identity = await self.identity(request)
        return identity.may_use_registry(False) and await self.may(identity, Permission.PULL, repository)

    async def readable_places(self, request: Request) -> frozenset[str]:
        """For listings: may_read is false of all that is not in any of these resources, and may be of what is."""
        identity = await self.identity(request)
        if not identity.may_use_registry(False):
            return frozenset()
        if not _lists_all(identity, request.location):
            return frozenset(resources.of_name(each.location, each.name) for each in identity.access or () if each.name)
        return await self.authorizer.places(identity.principal, GRANTS[Permission.PULL])

    def note(self, request: Request, repository: Repository | None, error: RoadsteadError | None = None, status: int = 200) -> None:
        """One line of the audit log; does not wait. status: of an answer that is no error."""
        # Not believed yet, where the credential was known.
        forwarded.believe(request, self._proxies)
        project, resource, outcome, details = "", request.path, Outcome.OK, {"path": request.path}
        if repository is not None:
            project = resources.split_name(repository.name)[0]
            resource = resources.of_name(repository.location, repository.name)
        if error is not None:
            status = status_of(error)
            outcome = Outcome.DENIED if status in (401, 403, 429) else Outcome.FAILED
            details["error"] = error.message
        self._audit.record(
            Entry(
                at_us=self._now_us(),
                member=request.owner,
                method=f"{request.method} {request.route}",
                project=project,
                resource=resource,
                outcome=outcome,
                status=status,
                address=request.client,
                agent=request.header(b"user-agent"),
                request_id=request.id,
                details=details,
            )
        )

    def challenge(self, request: Request, error: Unauthenticated, repository: Repository | None, permission: Permission) -> str:
        """
        WWW-Authenticate of a 401. gcloud splits at every comma, and wants realm first.

        The realm is what the client itself called us: newer clients refuse any other (contract.md, 1.1).
        """
        host = request.header(b"host")
        parts = [f'realm="{forwarded.origin(request, self._public_url)}/v2/token"', f'service="{host}"']
        if repository is not None:
            action = {Permission.PUSH: "pull,push", Permission.DELETE: "pull,push,delete"}.get(permission, "pull")
            parts.append(f'scope="repository:{repository.name}:{action}"')
        if isinstance(error, CredentialInvalid):
            parts.append('error="insufficient_scope"' if isinstance(error, ScopeInsufficient) else 'error="invalid_token"')
        return "Bearer " + ",".join(parts)


def held(identity: Identity, repository: Repository) -> frozenset[str]:
    """The actions that a registry token itself gives on a repository; it never becomes more."""
    return frozenset(
        action
        for access in identity.access or ()
        if access.location == repository.location and access.name == repository.name
        for action in access.actions & ALL_ACTIONS
    )


def _lists_all(identity: Identity, location: str) -> bool:
    """Whether the credential may tell of all repositories of a location that its principal may read."""
    return identity.access is None or any(each.location == location and each.actions == CATALOG_ACTIONS for each in identity.access)
