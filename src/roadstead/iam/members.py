"""
Who: the members that IAM policies name, and the principal that made a request. Values only; nothing here looks anybody up.

Spec: IAM, Principal identifiers for allow policies (https://cloud.google.com/iam/docs/principal-identifiers).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from roadstead.errors import MemberInvalid

ALL_USERS = "allUsers"
ALL_AUTHENTICATED_USERS = "allAuthenticatedUsers"
PUBLIC = frozenset({ALL_USERS, ALL_AUTHENTICATED_USERS})

MAX_MEMBER_LENGTH = 1024

_SPELLINGS = {kind.lower(): kind for kind in ("user", "serviceAccount", "group", "domain")}
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_EMAIL = re.compile(rf"[a-z0-9.!#$%&'*+/=^_`{{|}}~-]{{1,64}}@(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
# A Kubernetes service account through Google's own federation: PROJECT.svc.id.goog[NAMESPACE/NAME].
_KUBERNETES = re.compile(rf"{_LABEL}(?:[.:]{_LABEL})*\.svc\.id\.goog\[{_LABEL}/{_LABEL}(?:\.{_LABEL})*\]")
_POOL = r"iam\.googleapis\.com/projects/[1-9][0-9]{0,18}/locations/global/workloadIdentityPools/[a-z0-9-]{4,32}"
_PRINCIPAL = re.compile(rf"principal://{_POOL}/subject/(?P<value>.+)", re.DOTALL)
_PRINCIPAL_SET = re.compile(
    rf"principalSet://{_POOL}/(?:attribute\.[a-z0-9_]{{1,100}}/(?P<attribute>.+)|group/(?P<group>.+)|\*)", re.DOTALL
)
_DELETED = re.compile(r"(?P<member>.+)\?uid=(?P<uid>[0-9]{1,30})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Principal:
    """
    Who makes a request.

    member: "" for nobody in particular, else the canonical `user:a@example.com`, `serviceAccount:…` or `principal://…`.
    groups: e-mail addresses, lower case, without `group:`. attributes: the `principalSet://` members that it belongs to.
    """

    member: str
    groups: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()

    @property
    def is_anonymous(self) -> bool:
        return not self.member

    @property
    def kind(self) -> str:
        """`anonymous`, `user`, `serviceAccount` or `principal`."""
        return self.member.partition(":")[0] or "anonymous"

    @property
    def email(self) -> str:
        """Empty for anonymous and for federated identities, which have none."""
        kind, _, address = self.member.partition(":")
        return address if kind in ("user", "serviceAccount") else ""

    def members(self) -> frozenset[str]:
        """
        Every string by which a policy can mean this principal.

        A domain's members are its people, and allAuthenticatedUsers are people and service accounts: as at Google, neither takes in what
        some other provider vouches for (workload identity federation).
        """
        if self.is_anonymous:
            return frozenset((ALL_USERS,))
        found = {self.member, ALL_USERS, *self.attributes, *("group:" + group for group in self.groups)}
        address = self.email
        if address:
            found.add(ALL_AUTHENTICATED_USERS)
        if self.kind == "user":
            found.add("domain:" + address.rpartition("@")[2])
        return frozenset(found)


ANONYMOUS = Principal("")


def parse_member(text: str) -> str:
    """
    The canonical form: addresses and domains in lower case, the prefix as Google spells it, the rest as it is.

    `deleted:…?uid=N` is kept, and no principal's members hold it. Raises MemberInvalid.
    """
    if len(text) > MAX_MEMBER_LENGTH:
        raise _invalid(text)
    if text in PUBLIC:
        return text
    if text.startswith("deleted:"):
        return _deleted(text)
    if text.startswith(("principal://", "principalSet://")):
        return _federated(text)
    return _addressed(text)


def _addressed(text: str) -> str:
    prefix, _, name = text.partition(":")
    kind = _SPELLINGS.get(prefix.lower())
    # Lower case is taken of ASCII only: a Kelvin sign becomes a k, and would make somebody else's address.
    if kind is None or not text.isascii():
        raise _invalid(text)
    name = name.lower()
    if kind == "domain":
        valid = _DOMAIN.fullmatch(name) is not None
    else:
        valid = _EMAIL.fullmatch(name) is not None or (kind == "serviceAccount" and _KUBERNETES.fullmatch(name) is not None)
    if not valid:
        raise _invalid(text)
    return f"{kind}:{name}"


def _federated(text: str) -> str:
    found = _PRINCIPAL.fullmatch(text) or _PRINCIPAL_SET.fullmatch(text)
    if found is None:
        raise _invalid(text)
    for value in filter(None, found.groups()):
        # A blank is all right inside (a workflow's name), but nothing that a reader of the policy cannot see.
        if not value.isprintable() or value != value.strip():
            raise _invalid(text)
    return text


def _deleted(text: str) -> str:
    found = _DELETED.fullmatch(text.removeprefix("deleted:"))
    if found is None or found["member"].startswith("deleted:") or found["member"] in PUBLIC:
        raise _invalid(text)
    return f"deleted:{parse_member(found['member'])}?uid={found['uid']}"


def _invalid(text: str) -> MemberInvalid:
    return MemberInvalid(
        "a member is user:EMAIL, serviceAccount:EMAIL, group:EMAIL, domain:DOMAIN, allUsers, allAuthenticatedUsers, or a principal:// or "
        "principalSet:// of a workload identity pool",
        {"member": text[:300]},
    )
