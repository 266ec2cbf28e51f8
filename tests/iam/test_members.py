"""Members of policies, and by which of them a principal is meant (IAM, Principal identifiers)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.errors import MemberInvalid
from roadstead.iam.members import ALL_AUTHENTICATED_USERS, ALL_USERS, ANONYMOUS, MAX_MEMBER_LENGTH, Principal, parse_member

POOL = "iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ci-pool"

CANONICAL = [
    "user:a@example.com",
    "user:first.last+tag@sub.example.com",
    "user:admin@localhost",
    "user:o'neil@example.com",
    "serviceAccount:robot@my-project.iam.gserviceaccount.com",
    "serviceAccount:robot@proj.example.com.iam.gserviceaccount.com",
    "serviceAccount:my-project.svc.id.goog[namespace/name]",
    "serviceAccount:example.com:my-project.svc.id.goog[namespace/name]",
    "group:team@example.com",
    "domain:example.com",
    "allUsers",
    "allAuthenticatedUsers",
    f"principal://{POOL}/subject/repo:octo/app:ref:refs/heads/main",
    f"principal://{POOL}/subject/Ünïcode",
    f"principalSet://{POOL}/attribute.repository/octo/app",
    f"principalSet://{POOL}/attribute.workflow/Build and push",
    f"principalSet://{POOL}/group/team@example.com",
    f"principalSet://{POOL}/*",
    "deleted:user:a@example.com?uid=123456789012345678901",
    "deleted:serviceAccount:robot@my-project.iam.gserviceaccount.com?uid=123",
    "deleted:group:team@example.com?uid=123",
    f"deleted:principal://{POOL}/subject/x?uid=1",
]

OTHER_SPELLINGS = {
    "USER:A@Example.COM": "user:a@example.com",
    "serviceaccount:Robot@My-Project.iam.gserviceaccount.com": "serviceAccount:robot@my-project.iam.gserviceaccount.com",
    "Group:Team@Example.com": "group:team@example.com",
    "domain:EXAMPLE.com": "domain:example.com",
    "deleted:USER:A@example.com?uid=1": "deleted:user:a@example.com?uid=1",
}

NOT_MEMBERS = {
    "nothing": "",
    "no kind": "a@example.com",
    "another kind": "robot:a@example.com",
    "no address": "user:",
    "no local part": "user:@example.com",
    "no domain": "user:a@",
    "two @": "user:a@b@example.com",
    "a blank": "user:a b@example.com",
    "a blank before": " user:a@example.com",
    "a line end": "user:a@example.com\n",
    "a NUL": "user:a\0@example.com",
    "an address for a domain": "domain:a@example.com",
    "a dot at the domain's end": "domain:example.com.",
    "an underscore in a domain": "domain:ex_ample.com",
    "a hyphen at a label's end": "user:a@example-.com",
    "a label of 64": "user:a@" + "b" * 64 + ".com",
    "a local part of 65": "user:" + "a" * 65 + "@example.com",
    "a domain of 254": "domain:" + ".".join(["a" * 49] * 5) + ".abcd",
    "a letter that lower case makes a k": "user:mar\u212a@example.com",
    "an accent": "user:é@example.com",
    "everybody in other case": "allusers",
    "everybody and more": "allUsers:x",
    "everybody, deleted": "deleted:allUsers?uid=1",
    "deleted without a uid": "deleted:user:a@example.com",
    "deleted with a uid that is no number": "deleted:user:a@example.com?uid=x",
    "deleted twice": "deleted:deleted:user:a@example.com?uid=1?uid=2",
    "an address with a uid": "user:a@example.com?uid=1",
    "a principal of another host": "principal://example.com/projects/1/locations/global/workloadIdentityPools/ci-pool/subject/x",
    "a project by name": "principal://iam.googleapis.com/projects/my-project/locations/global/workloadIdentityPools/ci-pool/subject/x",
    "a pool's name that is too short": "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/abc/subject/x",
    "no subject": f"principal://{POOL}/subject/",
    "a subject in a set": f"principalSet://{POOL}/subject/x",
    "an attribute in a principal": f"principal://{POOL}/attribute.a/x",
    "an attribute without a value": f"principalSet://{POOL}/attribute.a/",
    "a whole pool, and more": f"principalSet://{POOL}/*/x",
    "a line end in a subject": f"principal://{POOL}/subject/a\nb",
    "a blank at a subject's end": f"principal://{POOL}/subject/a ",
    "an invisible character": f"principal://{POOL}/subject/a\u200bb",
    "a lone surrogate": f"principal://{POOL}/subject/\ud800",
    "too long": f"principal://{POOL}/subject/" + "a" * MAX_MEMBER_LENGTH,
}


@pytest.mark.parametrize("member", CANONICAL)
def test_a_canonical_member_stays_as_it_is(member: str) -> None:
    assert member == parse_member(member)


@pytest.mark.parametrize(("given_text", "member"), OTHER_SPELLINGS.items())
def test_addresses_are_in_lower_case_and_kinds_as_google_spells_them(given_text: str, member: str) -> None:
    assert member == parse_member(given_text)


def test_a_subject_keeps_its_case() -> None:
    """Another provider's subjects are that provider's own: `Main` and `main` may be two."""
    assert parse_member(f"principal://{POOL}/subject/Main") != parse_member(f"principal://{POOL}/subject/main")


@pytest.mark.parametrize("text", NOT_MEMBERS.values(), ids=NOT_MEMBERS.keys())
def test_what_is_no_member_is_refused(text: str) -> None:
    with pytest.raises(MemberInvalid):
        parse_member(text)


@given(
    st.text(max_size=200)
    | st.text(alphabet="user:domainsvcALdelt@.-[]/?=1 \n\u212a", max_size=60)
    | st.builds("{}{}".format, st.sampled_from(["user:", "domain:", "deleted:", f"principalSet://{POOL}/"]), st.text(max_size=60))
)
def test_any_text_is_a_member_or_member_invalid(text: str) -> None:
    try:
        member = parse_member(text)
    except MemberInvalid:
        return
    assert member == parse_member(member), "the canonical form is canonical"


@pytest.mark.parametrize(
    "text",
    [
        "user:" + "a." * 400 + "@" + "b-" * 100,
        "domain:" + "a-" * 500,
        "user:a@" + "a." * 500,
        "deleted:" * 125,
        "deleted:user:" + "?uid=1" * 160,
        "serviceAccount:" + "a." * 480 + ".svc.id.goog[",
        "a" * 10_000_000,
    ],
)
def test_no_text_makes_the_parser_slow(text: str) -> None:
    with pytest.raises(MemberInvalid):
        parse_member(text)


def test_anonymous_is_only_everybody() -> None:
    assert {ALL_USERS} == ANONYMOUS.members()
    assert ANONYMOUS.is_anonymous
    assert ("anonymous", "") == (ANONYMOUS.kind, ANONYMOUS.email)


def test_anonymous_is_not_let_into_groups() -> None:
    """Even if somebody builds it wrong."""
    assert {ALL_USERS} == Principal("", frozenset({"team@example.com"}), frozenset({f"principalSet://{POOL}/*"})).members()


def test_a_person_is_also_the_groups_the_domain_and_everybody() -> None:
    person = Principal("user:a@example.com", frozenset({"team@example.com"}))

    assert {"user:a@example.com", "group:team@example.com", "domain:example.com", ALL_AUTHENTICATED_USERS, ALL_USERS} == person.members()
    assert ("user", "a@example.com", False) == (person.kind, person.email, person.is_anonymous)


def test_a_service_account_is_of_no_domain() -> None:
    """A domain's members are its people; a project's service accounts share their domain with nobody else's project."""
    account = Principal("serviceAccount:robot@my-project.iam.gserviceaccount.com")

    assert {account.member, ALL_AUTHENTICATED_USERS, ALL_USERS} == account.members()
    assert ("serviceAccount", "robot@my-project.iam.gserviceaccount.com") == (account.kind, account.email)


def test_a_federated_identity_is_its_sets_but_not_an_authenticated_user() -> None:
    """IAM, Principal identifiers: allAuthenticatedUsers does not take in identities of external identity providers."""
    sets = frozenset({f"principalSet://{POOL}/*", f"principalSet://{POOL}/attribute.repository/octo/app"})
    workload = Principal(f"principal://{POOL}/subject/repo:octo/app", attributes=sets)

    assert {workload.member, *sets, ALL_USERS} == workload.members()
    assert ("principal", "") == (workload.kind, workload.email)


@pytest.mark.parametrize("member", [member for member in CANONICAL if member.startswith("deleted:")])
def test_nobody_is_a_deleted_member(member: str) -> None:
    _, _, alive = member.rpartition("?uid=")[0].partition(":")

    assert member not in Principal(alive).members()
