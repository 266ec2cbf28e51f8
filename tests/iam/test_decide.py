"""Who may do what: nothing unless a binding says so, and policies only add (IAM, Policy inheritance)."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.errors import ConditionInvalid, PolicyInvalid
from roadstead.iam.conditions import Context
from roadstead.iam.decide import MAX_GROUPS, MAX_MEMBERS, Binding, Policy, allowed, permitted, validate
from roadstead.iam.members import ANONYMOUS, Principal
from roadstead.iam.permissions import PERMISSIONS
from roadstead.iam.roles import BUILT_IN, EDITOR, OWNER, VIEWER, expand

PULL = "storage.objects.get"
PUSH = "storage.objects.create"
PULLER = "roles/storage.objectViewer"
POOL = "iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci-pool"

PERSON = Principal("user:a@example.com", frozenset({"team@example.com"}))
ROBOT = Principal("serviceAccount:robot@my-project.iam.gserviceaccount.com")
WORKLOAD = Principal(f"principal://{POOL}/subject/x", attributes=frozenset({f"principalSet://{POOL}/*"}))
STRANGER = Principal("user:stranger@example.org")

CUSTOM = {"projects/my-project/roles/puller": frozenset({PULL})}
NOW = Context(now_us=1_800_000_000_000_000, resource_name="projects/my-project/locations/gcr/repositories/app")
UNTIL_2030 = {"title": "until 2030", "expression": 'request.time < timestamp("2030-01-01T00:00:00Z")'}
UNTIL_2020 = {"title": "until 2020", "expression": 'request.time < timestamp("2020-01-01T00:00:00Z")'}


def policy(*bindings: Binding) -> Policy:
    return Policy(bindings, b"", 3)


def may(principal: Principal, permission: str, *policies: Policy) -> bool:
    answer = allowed(principal, permission, policies, CUSTOM, NOW)
    assert answer == (permission in permitted(principal, [permission], policies, CUSTOM, NOW)), "both ways of asking agree"
    return answer


BY = {
    "itself": ("user:a@example.com", PERSON),
    "its group": ("group:team@example.com", PERSON),
    "its domain": ("domain:example.com", PERSON),
    "being somebody": ("allAuthenticatedUsers", PERSON),
    "being anybody": ("allUsers", PERSON),
    "a service account": ("serviceAccount:robot@my-project.iam.gserviceaccount.com", ROBOT),
    "a service account as somebody": ("allAuthenticatedUsers", ROBOT),
    "a federated subject": (f"principal://{POOL}/subject/x", WORKLOAD),
    "a federated set": (f"principalSet://{POOL}/*", WORKLOAD),
    "nobody in particular": ("allUsers", ANONYMOUS),
}


@pytest.mark.parametrize(("member", "principal"), BY.values(), ids=BY.keys())
def test_a_binding_gives_its_role_and_no_more_to_whom_it_names(member: str, principal: Principal) -> None:
    given_policy = policy(Binding(PULLER, (member,)))

    assert may(principal, PULL, given_policy)
    assert not may(principal, PUSH, given_policy)


NOT_BY = {
    "another person": ("user:b@example.com", PERSON),
    "a service account of the same address": ("serviceAccount:a@example.com", PERSON),
    "a group of the same address": ("group:a@example.com", PERSON),
    "another group": ("group:other@example.com", PERSON),
    "the domain above": ("domain:com", PERSON),
    "a domain that ends alike": ("domain:ample.com", PERSON),
    "a service account by its domain": ("domain:my-project.iam.gserviceaccount.com", ROBOT),
    "a federated identity as somebody": ("allAuthenticatedUsers", WORKLOAD),
    "another subject": (f"principal://{POOL}/subject/y", WORKLOAD),
    "anonymous as somebody": ("allAuthenticatedUsers", ANONYMOUS),
    "anonymous by an empty name": ("", ANONYMOUS),
    "a deleted person of the same address": ("deleted:user:a@example.com?uid=1", PERSON),
}


@pytest.mark.parametrize(("member", "principal"), NOT_BY.values(), ids=NOT_BY.keys())
def test_a_binding_gives_nothing_to_others(member: str, principal: Principal) -> None:
    assert not may(principal, PULL, policy(Binding(OWNER, (member,))))


def test_nothing_is_allowed_without_a_policy() -> None:
    assert not may(PERSON, PULL)
    assert not may(PERSON, PULL, policy())


def test_what_is_given_above_holds_below() -> None:
    organization = policy(Binding(OWNER, ("user:a@example.com",)))

    assert may(PERSON, PUSH, policy(), policy(), organization)


def test_a_policy_below_takes_nothing_away() -> None:
    repository = policy(Binding(PULLER, ("user:b@example.com",)))

    assert may(PERSON, PULL, repository, policy(Binding(PULLER, ("user:a@example.com",))))


def test_rights_add_up() -> None:
    repository = policy(Binding("roles/storage.objectCreator", ("user:a@example.com",)))
    project = policy(Binding(PULLER, ("group:team@example.com",)))

    assert {PULL, PUSH} == permitted(PERSON, [PULL, PUSH, "storage.objects.delete"], [repository, project], {}, NOW)


def test_a_custom_role_gives_what_the_installation_says() -> None:
    assert may(PERSON, PULL, policy(Binding("projects/my-project/roles/puller", ("user:a@example.com",))))
    assert not may(PERSON, PULL, policy(Binding("projects/my-project/roles/deleted", ("user:a@example.com",))))


def test_nobody_has_a_permission_that_does_not_exist() -> None:
    assert not may(PERSON, "storage.objects.fly", policy(Binding(OWNER, ("user:a@example.com",))))
    assert not may(PERSON, "", policy(Binding(OWNER, ("user:a@example.com",))))


def test_a_condition_decides() -> None:
    assert may(PERSON, PULL, policy(Binding(PULLER, ("user:a@example.com",), UNTIL_2030)))
    assert not may(PERSON, PULL, policy(Binding(PULLER, ("user:a@example.com",), UNTIL_2020)))


def test_a_condition_does_not_hold_back_another_binding() -> None:
    given_policy = policy(Binding(PULLER, ("user:a@example.com",), UNTIL_2020), Binding(PULLER, ("group:team@example.com",)))

    assert may(PERSON, PULL, given_policy)


@pytest.mark.parametrize(
    "condition", [{}, {"title": "x"}, {"expression": ""}, {"expression": "yes"}, {"expression": "resource.color == ''"}]
)
def test_a_condition_that_cannot_be_read_denies(condition: dict[str, str]) -> None:
    """It may have been stored by a later version of this program."""
    assert not may(PERSON, PULL, policy(Binding(PULLER, ("user:a@example.com",), condition)))


# Properties.

roles = st.sampled_from([*BUILT_IN, *CUSTOM, "roles/unknown"])
names = st.sampled_from(sorted({member for member, _ in BY.values()} | {member for member, _ in NOT_BY.values()}))
bindings = st.builds(
    Binding, roles, st.lists(names, max_size=4).map(tuple), st.sampled_from([None, None, UNTIL_2030, UNTIL_2020, {"expression": "?"}])
)
policies = st.builds(Policy, st.lists(bindings, max_size=4).map(tuple))
chains = st.lists(policies, max_size=4)
principals = st.sampled_from([PERSON, ROBOT, WORKLOAD, STRANGER, ANONYMOUS])


def rights(principal: Principal, chain: list[Policy]) -> frozenset[str]:
    return permitted(principal, PERMISSIONS, chain, CUSTOM, NOW)


@given(principals, chains, policies)
def test_adding_a_policy_or_a_binding_takes_nothing_away(principal: Principal, chain: list[Policy], more: Policy) -> None:
    before = rights(principal, chain)

    assert before <= rights(principal, [more, *chain])
    if chain:
        assert before <= rights(principal, [Policy(chain[0].bindings + more.bindings), *chain[1:]])


@given(principals, chains.flatmap(lambda chain: st.tuples(st.just(chain), st.permutations(chain))))
def test_the_order_of_the_policies_does_not_matter(principal: Principal, chains_: tuple[list[Policy], list[Policy]]) -> None:
    first, second = chains_

    assert rights(principal, first) == rights(principal, second)


@given(chains)
def test_anonymous_gets_what_everybody_gets(chain: list[Policy]) -> None:
    public = [Policy(tuple(binding for binding in policy.bindings if "allUsers" in binding.members)) for policy in chain]

    assert rights(ANONYMOUS, chain) == rights(ANONYMOUS, public)
    for principal in (PERSON, ROBOT, WORKLOAD, STRANGER):
        assert rights(ANONYMOUS, chain) <= rights(principal, chain)


@given(chains)
def test_whom_no_binding_means_gets_nothing(chain: list[Policy]) -> None:
    others = [
        Policy(tuple(binding for binding in policy.bindings if not {"allUsers", "allAuthenticatedUsers"} & set(binding.members)))
        for policy in chain
    ]

    assert frozenset() == rights(STRANGER, others)


@given(principals, chains)
def test_rights_are_the_union_of_the_bindings_that_count(principal: Principal, chain: list[Policy]) -> None:
    """The rule once more, in the plainest words."""
    expected: set[str] = set()
    for policy_ in chain:
        for binding in policy_.bindings:
            if set(binding.members) & principal.members() and binding.condition in (None, UNTIL_2030):
                expected |= expand(binding.role, CUSTOM)

    assert expected == rights(principal, chain)
    for permission in (PULL, PUSH, "resourcemanager.projects.setIamPolicy"):
        assert (permission in expected) == allowed(principal, permission, chain, CUSTOM, NOW)


# What is stored.


def test_bindings_are_stored_in_one_form() -> None:
    """As setIamPolicy answers: duplicates merged, empty ones gone, members canonical and in order."""
    given_bindings = [
        Binding(PULLER, ("user:B@example.com", "user:a@example.com")),
        Binding("roles/browser", ()),
        Binding(PULLER, ("USER:b@Example.com", "group:team@example.com"), None),
        Binding(PULLER, ("user:a@example.com",), {**UNTIL_2030, "description": ""}),
        Binding("roles/artifactregistry.reader", ("allUsers",)),
    ]

    assert (
        Binding("roles/artifactregistry.reader", ("allUsers",)),
        Binding(PULLER, ("group:team@example.com", "user:a@example.com", "user:b@example.com")),
        Binding(PULLER, ("user:a@example.com",), UNTIL_2030),
    ) == validate(given_bindings, 3)


@given(
    st.lists(st.builds(Binding, st.sampled_from([PULLER, *CUSTOM]), st.lists(st.sampled_from(["user:A@b.c", "group:g@b.c"])).map(tuple)))
)
def test_what_was_stored_is_stored_again_as_it_is(given_bindings: list[Binding]) -> None:
    stored = validate(given_bindings)

    assert stored == validate(stored)
    assert stored == validate(given_bindings[::-1])


@pytest.mark.parametrize(
    "role", [PULLER, "projects/my-project/roles/puller", "projects/example.com:my-project/roles/a.b_C1", "organizations/0/roles/all"]
)
def test_a_role_s_name_is_taken(role: str) -> None:
    assert (Binding(role, ("user:a@example.com",)),) == validate([Binding(role, ("user:a@example.com",))])


@pytest.mark.parametrize(
    "role",
    [
        "",
        "owner",
        "roles/",
        "roles/storage.objectViewr",
        "roles/compute.admin",
        "projects/p/roles/puller",
        "projects/my-project/roles/",
        "projects/my-project/roles/ab",
        "projects/my-project/roles/a-b-c",
        "projects/my-project/roles/puller\n",
        "projects/my-project/puller",
        "projects/My-Project/roles/puller",
        "organizations/x/roles/all",
        "projects/my-project/roles/" + "a" * 65,
    ],
)
def test_a_name_that_is_no_role_s_is_refused(role: str) -> None:
    with pytest.raises(PolicyInvalid):
        validate([Binding(role, ("user:a@example.com",))])


def test_a_member_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(PolicyInvalid) as refused:
        validate([Binding(PULLER, ("user:a@example.com", "a@example.com"))])

    assert {"member": "a@example.com"} == refused.value.detail


@pytest.mark.parametrize("role", [OWNER, EDITOR, VIEWER])
@pytest.mark.parametrize("everyone", ["allUsers", "allAuthenticatedUsers"])
def test_basic_roles_are_not_for_everyone(role: str, everyone: str) -> None:
    with pytest.raises(PolicyInvalid, match="everyone"):
        validate([Binding(role, ("user:a@example.com", everyone))])


def test_conditions_need_version_3() -> None:
    conditional = [Binding(PULLER, ("user:a@example.com",), UNTIL_2030)]

    assert tuple(conditional) == validate(conditional, 3)
    for version in (0, 1):
        with pytest.raises(PolicyInvalid, match="version is 3"):
            validate(conditional, version)


@pytest.mark.parametrize("version", [-1, 2, 4])
def test_other_versions_are_refused(version: int) -> None:
    with pytest.raises(PolicyInvalid, match="version"):
        validate([], version)


@pytest.mark.parametrize("member", ["allUsers", "allAuthenticatedUsers"])
def test_what_is_for_everyone_has_no_condition(member: str) -> None:
    """IAM, Overview of IAM Conditions: no conditions for roles given to all users, nor for basic roles."""
    with pytest.raises(PolicyInvalid, match="condition"):
        validate([Binding(PULLER, (member,), UNTIL_2030)], 3)


def test_basic_roles_have_no_condition() -> None:
    with pytest.raises(PolicyInvalid, match="condition"):
        validate([Binding(VIEWER, ("user:a@example.com",), UNTIL_2030)], 3)


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"expression": "true"},
        {"title": "", "expression": "true"},
        {"title": "x" * 101, "expression": "true"},
        {"title": "x", "description": "x" * 257, "expression": "true"},
        {"title": "x", "expression": "true", "color": "red"},
        {"title": "x", "expression": "true", "color": ""},
    ],
)
def test_a_condition_has_a_title_and_the_fields_of_the_api(condition: dict[str, str]) -> None:
    with pytest.raises(PolicyInvalid, match="title"):
        validate([Binding(PULLER, ("user:a@example.com",), condition)], 3)


@pytest.mark.parametrize("expression", ["", "yes", "resource.color == 'red'", " " * 3000 + "true"])
def test_an_expression_that_cannot_be_used_is_refused(expression: str) -> None:
    with pytest.raises(ConditionInvalid):
        validate([Binding(PULLER, ("user:a@example.com",), {"title": "x", "expression": expression})], 3)


def test_1500_members_are_the_limit_over_all_bindings() -> None:
    most = [
        Binding(PULLER, tuple(f"user:u{number}@example.com" for number in range(MAX_MEMBERS - 1))),
        Binding(VIEWER, ("user:a@example.com",)),
    ]

    assert 2 == len(validate(most))
    with pytest.raises(PolicyInvalid, match="1500 members"):
        validate([*most, Binding("roles/browser", ("user:a@example.com",))])


def test_250_groups_are_the_limit_over_all_bindings() -> None:
    most = [Binding(PULLER, tuple(f"group:g{number}@example.com" for number in range(MAX_GROUPS)))]

    assert 1 == len(validate(most))
    with pytest.raises(PolicyInvalid, match="250 groups"):
        validate([*most, Binding("roles/browser", ("group:g1@example.com",))])


def test_deciding_imports_neither_input_nor_output() -> None:
    """What decides is a function of values: it can be reviewed, and tried, on its own."""
    program = "import sys, encodings.idna; before = set(sys.modules); import roadstead.iam.decide; print(*set(sys.modules) - before)"

    brought = set(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split())

    assert "roadstead.iam.decide" in brought
    assert set() == brought & {"asyncio", "socket", "sqlite3", "sqlalchemy", "httptools", "httpx", "pathlib", "threading", "zoneinfo"}
    assert {"cel", "conditions", "decide", "members", "permissions", "resources", "roles", "times"} == {
        name.removeprefix("roadstead.iam.") for name in brought if name.startswith("roadstead.iam.")
    }
