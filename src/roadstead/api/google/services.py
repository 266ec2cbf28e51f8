"""What every handler of Google's APIs is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from roadstead.analysis.room import Analysis
from roadstead.iam.audit import Audit
from roadstead.iam.authorizer import Authorizer
from roadstead.iam.custom_roles import CustomRoles
from roadstead.iam.federation import Federation
from roadstead.iam.keys import Keys
from roadstead.iam.people import People
from roadstead.iam.policies import Policies
from roadstead.iam.principals import Principals
from roadstead.iam.projects import Projects
from roadstead.iam.revocation import Revocations
from roadstead.iam.service_accounts import ServiceAccounts
from roadstead.iam.tokens import Tokens
from roadstead.registry.package_changes import PackageChanges
from roadstead.registry.packages import Packages
from roadstead.scanning.on_demand import OnDemand
from roadstead.scanning.sboms import Sboms


@dataclass(frozen=True, slots=True)
class Images:
    """What these APIs tell of images, and change in them."""

    analysis: Analysis
    on_demand: OnDemand
    package_changes: PackageChanges
    packages: Packages
    sboms: Sboms


@dataclass(frozen=True, slots=True)
class Services:
    """
    The domain's services. hosts: host name → location; installation: this installation's id, the tokens' audience.

    public_url: what links begin with; "" for what the request says.
    """

    analysis: Analysis
    audit: Audit
    authorizer: Authorizer
    custom_roles: CustomRoles
    federation: Federation
    keys: Keys
    on_demand: OnDemand
    package_changes: PackageChanges
    packages: Packages
    people: People
    policies: Policies
    principals: Principals
    projects: Projects
    revocations: Revocations
    sboms: Sboms
    service_accounts: ServiceAccounts
    tokens: Tokens
    hosts: Mapping[str, str]
    installation: str
    public_url: str
    now_us: Callable[[], int]
