"""Service accounts: named twice, found in their project only, disabled, deleted and had back, and never somebody else's heirs."""

from __future__ import annotations

import asyncio
import json

import pytest
from sqlalchemy import bindparam, insert, select

from roadstead.db import schema
from roadstead.db.database import Database, Statement
from roadstead.errors import AlreadyExists, Conflict, CredentialInvalid, FieldInvalid, ResourceUnknown
from roadstead.iam.generation import Generation, SharedNumber
from roadstead.iam.principals import Principals
from roadstead.iam.service_accounts import ServiceAccount, ServiceAccounts
from tests.kit.clock import START_US, Clock

pytestmark = pytest.mark.anyio

DAY = 86_400


@pytest.fixture
def accounts(database: Database, generation: Generation, clock: Clock) -> ServiceAccounts:
    return ServiceAccounts(database, generation, clock)


@pytest.fixture
def principals(database: Database, generation: Generation) -> Principals:
    return Principals(database, generation)


# Making them


async def test_a_new_account_has_an_address_in_its_project_and_a_number(accounts: ServiceAccounts, generation: Generation) -> None:
    before = generation.value

    made = await accounts.create("my-project", "builder-1", "Builder", "builds images")

    assert "builder-1@my-project.iam.gserviceaccount.com" == made.email
    assert 21 == len(made.unique_id)
    assert made.unique_id.isdecimal()
    assert ("my-project", "Builder", "builds images", False, None, START_US) == (
        made.project,
        made.display_name,
        made.description,
        made.disabled,
        made.deleted_at_us,
        made.created_at_us,
    )
    assert generation.value > before


async def test_the_address_in_a_domain_scoped_project_has_the_domain_last(accounts: ServiceAccounts) -> None:
    made = await accounts.create("example.com:my-project", "builder")

    assert "builder@my-project.example.com.iam.gserviceaccount.com" == made.email
    assert "example.com:my-project" == made.project


@pytest.mark.parametrize(
    "account_id",
    [
        "",
        "short",
        "a" * 31,
        "1number",
        "-hyphen",
        "hyphen-",
        "Upper-case",
        "under_score",
        "with.dot",
        "new\nline",
        "newline\n",
        "ünicode",
        "a@b.example",
    ],
)
async def test_an_id_is_6_to_30_letters_digits_and_hyphens(accounts: ServiceAccounts, account_id: str) -> None:
    with pytest.raises(FieldInvalid):
        await accounts.create("my-project", account_id)


@pytest.mark.parametrize("account_id", ["abcdef", "a" * 30, "a-1-b-2", "a----b"])
async def test_ids_at_the_edges_are_taken(accounts: ServiceAccounts, account_id: str) -> None:
    assert f"{account_id}@my-project.iam.gserviceaccount.com" == (await accounts.create("my-project", account_id)).email


@pytest.mark.parametrize(
    ("display_name", "description"), [("x" * 101, ""), ("", "x" * 257), ("é" * 51, ""), ("a\0b", ""), ("", "a\x1bb"), ("\ud800", "")]
)
async def test_texts_are_bounded_and_have_no_control_characters(accounts: ServiceAccounts, display_name: str, description: str) -> None:
    with pytest.raises(FieldInvalid):
        await accounts.create("my-project", "builder", display_name, description)


async def test_there_is_one_account_of_each_address(accounts: ServiceAccounts) -> None:
    await accounts.create("my-project", "builder")

    with pytest.raises(AlreadyExists):
        await accounts.create("my-project", "builder")
    await accounts.create("other-project", "builder")


async def test_of_many_who_make_the_same_account_at_once_one_does(
    database: Database, other_node: Database, generation: Generation, clock: Clock
) -> None:
    nodes = [ServiceAccounts(each, generation, clock) for each in (database, other_node)]

    made = await asyncio.gather(*(nodes[number % 2].create("my-project", "builder") for number in range(10)), return_exceptions=True)

    assert 1 == sum(isinstance(each, ServiceAccount) for each in made)
    assert 9 == sum(isinstance(each, AlreadyExists) for each in made)


# Finding them


async def test_an_account_is_found_by_address_and_by_number(accounts: ServiceAccounts) -> None:
    made = await accounts.create("my-project", "builder")

    assert made == await accounts.get(made.email) == await accounts.get(made.unique_id)
    assert made == await accounts.get(made.email, "my-project") == await accounts.get(made.unique_id, "-")


async def test_an_account_is_not_found_through_another_project(accounts: ServiceAccounts) -> None:
    """CVE-2022-31667 and its family: an object's id alone must not do."""
    made = await accounts.create("my-project", "builder")

    for name in (made.email, made.unique_id):
        for call in (accounts.get, accounts.disable, accounts.enable, accounts.delete, accounts.patch):
            with pytest.raises(ResourceUnknown):
                await call(name, "other-project")
    assert made == await accounts.get(made.email)


@pytest.mark.parametrize(
    "name", ["", "nobody@my-project.iam.gserviceaccount.com", "1" * 21, "१" * 21, "\0", "a\0b", "\ud800", "x" * 10_000, "%", "' --"]
)
async def test_what_is_not_there_is_unknown(accounts: ServiceAccounts, name: str) -> None:
    await accounts.create("my-project", "builder")

    for call in (accounts.get, accounts.disable, accounts.delete, accounts.undelete):
        with pytest.raises(ResourceUnknown):
            await call(name)


async def test_a_project_lists_its_own_in_pages(accounts: ServiceAccounts) -> None:
    for number in range(5):
        await accounts.create("my-project", f"builder-{number}")
    await accounts.create("other-project", "stranger")
    await accounts.delete("builder-2@my-project.iam.gserviceaccount.com")

    first = await accounts.list("my-project", most=3)
    second = await accounts.list("my-project", after=first[-1].email, most=3)

    assert ["builder-0", "builder-1", "builder-3"] == [each.email.partition("@")[0] for each in first]
    assert ["builder-4"] == [each.email.partition("@")[0] for each in second]
    assert [] == await accounts.list("nothing-here")
    with pytest.raises(FieldInvalid):
        await accounts.list("my-project", after="\0")


# Changing them


async def test_a_patch_changes_what_it_names(accounts: ServiceAccounts) -> None:
    made = await accounts.create("my-project", "builder", "Builder", "builds")

    changed = await accounts.patch(made.email, display_name="New")

    assert ("New", "builds") == (changed.display_name, changed.description)
    assert made.etag != changed.etag
    assert ("New", "") == ((await accounts.patch(made.email, description="")).display_name, (await accounts.get(made.email)).description)


async def test_a_patch_of_what_was_changed_meanwhile_is_refused(accounts: ServiceAccounts) -> None:
    made = await accounts.create("my-project", "builder")
    await accounts.patch(made.email, display_name="theirs", etag=made.etag)

    with pytest.raises(Conflict):
        await accounts.patch(made.email, display_name="mine", etag=made.etag)
    assert "theirs" == (await accounts.get(made.email)).display_name


async def test_a_disabled_account_is_refused_at_once_and_welcome_when_enabled(accounts: ServiceAccounts, principals: Principals) -> None:
    made = await accounts.create("my-project", "builder")
    await principals.load(made.member, START_US)

    await accounts.disable(made.unique_id)
    assert (await accounts.get(made.email)).disabled
    with pytest.raises(CredentialInvalid):
        await principals.load(made.member, START_US)

    await accounts.enable(made.email)
    assert made.member == (await principals.load(made.member, START_US)).member


async def test_another_node_refuses_a_disabled_account_when_it_has_seen_the_change(
    accounts: ServiceAccounts, other_node: Database, clock: Clock
) -> None:
    elsewhere = Generation(other_node, SharedNumber())
    there = Principals(other_node, elsewhere)
    made = await accounts.create("my-project", "builder")
    await there.load(made.member, START_US)

    await accounts.disable(made.email)
    await elsewhere.seen()

    with pytest.raises(CredentialInvalid):
        await there.load(made.member, START_US)


# Deleting them


async def test_a_deleted_account_is_gone_and_its_tokens_void(accounts: ServiceAccounts, principals: Principals) -> None:
    made = await accounts.create("my-project", "builder")

    await accounts.delete(made.email)

    with pytest.raises(ResourceUnknown):
        await accounts.get(made.email)
    with pytest.raises(ResourceUnknown):
        await accounts.delete(made.unique_id)
    with pytest.raises(CredentialInvalid):
        await principals.load(made.member, START_US)


async def test_a_deleted_account_comes_back_by_its_number_within_30_days(accounts: ServiceAccounts, clock: Clock) -> None:
    made = await accounts.create("my-project", "builder", "Builder")
    await accounts.delete(made.email)
    clock.go(30 * DAY - 1)

    with pytest.raises(ResourceUnknown):
        await accounts.undelete(made.email)
    with pytest.raises(ResourceUnknown):
        await accounts.undelete(made.unique_id, "other-project")
    back = await accounts.undelete(made.unique_id)

    assert (made.email, made.unique_id, "Builder", None) == (back.email, back.unique_id, back.display_name, back.deleted_at_us)


async def test_after_30_days_it_is_gone_for_good(accounts: ServiceAccounts, clock: Clock) -> None:
    made = await accounts.create("my-project", "builder")
    await accounts.delete(made.email)
    assert 0 == await accounts.purge()
    clock.go(30 * DAY + 1)

    with pytest.raises(ResourceUnknown):
        await accounts.undelete(made.unique_id)
    assert 1 == await accounts.purge()
    assert 0 == await accounts.purge()


async def test_an_account_that_is_there_cannot_be_undeleted(accounts: ServiceAccounts) -> None:
    made = await accounts.create("my-project", "builder")

    with pytest.raises(ResourceUnknown):
        await accounts.undelete(made.unique_id)


async def test_an_account_of_the_same_address_is_somebody_else(accounts: ServiceAccounts, principals: Principals, clock: Clock) -> None:
    """IAM, Delete and undelete service accounts: the new account does not inherit anything of the deleted one."""
    old = await accounts.create("my-project", "builder")
    await accounts.delete(old.email)
    clock.go(10)

    new = await accounts.create("my-project", "builder")

    assert old.email == new.email
    assert old.unique_id != new.unique_id
    with pytest.raises(ResourceUnknown):
        await accounts.undelete(old.unique_id)
    with pytest.raises(CredentialInvalid):
        await principals.load(new.member, clock() - 1)
    assert new.member == (await principals.load(new.member, clock())).member


ADD_POLICY = Statement(
    insert(schema.policies).values(
        resource=bindparam("resource"), version=1, bindings=bindparam("bindings"), revision=1, updated_at_us=bindparam("now_us")
    )
)
POLICIES = Statement(select(schema.policies.c.resource, schema.policies.c.bindings, schema.policies.c.revision).order_by("resource"))
ADD_MEMBERSHIP = Statement(insert(schema.group_members).values(member=bindparam("member"), group_email="team@example.com", source=""))


@pytest.mark.parametrize("how", ["made anew", "purged"])
async def test_rights_of_a_deleted_account_are_not_those_of_its_address(
    accounts: ServiceAccounts, principals: Principals, database: Database, clock: Clock, how: str
) -> None:
    old = await accounts.create("my-project", "builder")
    longer = f"{old.member}.example.com"
    mine = json.dumps([{"role": "roles/owner", "members": [old.member, longer, "user:a@example.com"]}])
    others = json.dumps([{"role": "roles/viewer", "members": ["user:a@example.com"]}])
    async with database.transaction() as tx:
        await tx.run(ADD_POLICY, {"resource": "projects/a", "bindings": mine, "now_us": 1})
        await tx.run(ADD_POLICY, {"resource": "projects/b", "bindings": others, "now_us": 1})
        await tx.run(ADD_MEMBERSHIP, {"member": old.member})
    await accounts.delete(old.email)

    clock.go(31 * DAY)
    if how == "purged":
        await accounts.purge()
    new = await accounts.create("my-project", "builder")

    (_, kept, revision), (_, untouched, same) = await database.all(POLICIES, {})
    deleted = f"deleted:{old.member}?uid={old.unique_id}"
    assert [{"role": "roles/owner", "members": [deleted, longer, "user:a@example.com"]}] == json.loads(kept)
    assert (2, others, 1) == (revision, untouched, same)
    assert frozenset() == (await principals.load(new.member, clock())).groups


@pytest.mark.parametrize("how", ["made anew", "purged"])
async def test_who_might_act_as_a_deleted_account_is_nobody_to_the_next_of_its_address(
    accounts: ServiceAccounts, database: Database, clock: Clock, how: str
) -> None:
    old = await accounts.create("my-project", "builder")
    bindings = json.dumps([{"role": "roles/iam.serviceAccountTokenCreator", "members": ["user:bob@example.com"]}])
    async with database.transaction() as tx:
        await tx.run(ADD_POLICY, {"resource": old.name, "bindings": bindings, "now_us": 1})
    await accounts.delete(old.email)
    clock.go(31 * DAY)

    if how == "purged":
        await accounts.purge()
    await accounts.create("my-project", "builder")

    assert [] == await database.all(POLICIES, {})


async def test_what_was_made_before_an_account_was_disabled_stays_void(
    accounts: ServiceAccounts, principals: Principals, clock: Clock
) -> None:
    made = await accounts.create("my-project", "builder")
    clock.go(10)
    await accounts.disable(made.email)
    await accounts.enable(made.email)

    with pytest.raises(CredentialInvalid):
        await principals.load(made.member, clock() - 1)
    assert made.member == (await principals.load(made.member, clock())).member
