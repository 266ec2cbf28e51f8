"""People, their passwords, second factors and groups, on both databases."""

from __future__ import annotations

import asyncio
import statistics
import time

import pyotp
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from roadstead.db import schema
from roadstead.db.database import Database, Statement
from roadstead.errors import AlreadyExists, CredentialInvalid, FieldInvalid, MemberInvalid, ResourceUnknown, StateForbids
from roadstead.iam.credentials import Credentials, Kind
from roadstead.iam.generation import Generation
from roadstead.iam.groups import Groups
from roadstead.iam.passwords import Passwords, check_new
from roadstead.iam.people import People
from roadstead.iam.principals import Principals
from roadstead.iam.secondfactor import SecondFactor
from tests.kit.clock import Clock

pytestmark = pytest.mark.anyio

ALICE, BOB = "alice@example.com", "bob@example.com"
GOOD, OTHER = "four quiet herons wade", "three blue lamps at dawn"
ISSUER = "https://id.example.com"
USERS = Statement(select(*schema.users.c))


only_sqlite = pytest.mark.parametrize("door", ["sqlite"], indirect=True)


@pytest.fixture
def people(database: Database, generation: Generation, clock: Clock) -> People:
    return People(database, generation, clock)


@pytest.fixture
def groups(database: Database, generation: Generation, clock: Clock) -> Groups:
    return Groups(database, generation, clock)


@pytest.fixture
def credentials(database: Database, clock: Clock) -> Credentials:
    return Credentials(database, clock)


@pytest.fixture
def second_factor(database: Database, credentials: Credentials, generation: Generation, clock: Clock) -> SecondFactor:
    return SecondFactor(database, credentials, generation, clock)


# Accounts


async def test_a_person_is_found_by_their_address_however_it_is_written(people: People) -> None:
    made = await people.create(" Alice@Example.COM ", "Alice")

    assert (ALICE, "Alice", f"user:{ALICE}") == (made.email, made.name, made.member)
    assert made == await people.get("ALICE@example.com")
    assert 21 == len(made.id)


async def test_an_address_has_one_account(people: People) -> None:
    await people.create(ALICE)

    with pytest.raises(AlreadyExists):
        await people.create(ALICE.upper())


@pytest.mark.parametrize(
    "email", ["", "alice", "@example.com", "alice@", "a b@example.com", "alice@exa mple.com", "älice@example.com", "\u212a@example.com"]
)
@only_sqlite
async def test_what_is_no_address_gets_no_account(people: People, email: str) -> None:
    with pytest.raises(FieldInvalid):
        await people.create(email)


async def test_people_are_listed_in_order_and_in_pages(people: People) -> None:
    for email in (BOB, ALICE, "carol@example.com"):
        await people.create(email)

    assert [ALICE, BOB] == [each.email for each in await people.list("", 2)]
    assert ["carol@example.com"] == [each.email for each in await people.list(BOB, 2)]


async def test_a_change_is_seen_by_whoever_remembers(people: People, generation: Generation) -> None:
    seen = generation.value
    await people.create(ALICE)
    assert generation.value > seen
    for change in (people.disable, people.enable, people.sign_out_everywhere, people.delete):
        seen = generation.value
        await change(ALICE)
        assert generation.value > seen, change.__name__


async def test_a_disabled_person_s_credentials_are_void_and_stay_so(
    people: People, credentials: Credentials, database: Database, generation: Generation, clock: Clock
) -> None:
    await people.create(ALICE, "", GOOD)
    principals = Principals(database, generation)
    clock.go(10)
    issued_at_us = clock()
    await principals.load(f"user:{ALICE}", issued_at_us)
    secret = await credentials.issue(Kind.REFRESH, f"user:{ALICE}", "", 3600, {})
    clock.go(10)

    await people.disable(ALICE)

    with pytest.raises(CredentialInvalid):
        await principals.load(f"user:{ALICE}", clock())
    with pytest.raises(CredentialInvalid):
        await people.check_password(ALICE, GOOD)
    with pytest.raises(CredentialInvalid):
        await credentials.look_up(secret, Kind.REFRESH)
    await people.enable(ALICE)
    with pytest.raises(CredentialInvalid):
        await principals.load(f"user:{ALICE}", issued_at_us)
    await principals.load(f"user:{ALICE}", clock())


async def test_a_new_account_of_an_old_address_trusts_nothing_older(
    people: People, database: Database, generation: Generation, clock: Clock
) -> None:
    await people.create(ALICE)
    issued_at_us = clock()
    await people.delete(ALICE)
    clock.go(1)
    await people.create(ALICE)

    with pytest.raises(CredentialInvalid):
        await Principals(database, generation).load(f"user:{ALICE}", issued_at_us)


async def test_who_is_not_there_cannot_be_changed(people: People) -> None:
    for change in (people.disable, people.enable, people.sign_out_everywhere, people.delete, people.get):
        with pytest.raises(ResourceUnknown):
            await change(ALICE)
    with pytest.raises(ResourceUnknown):
        await people.set_password(ALICE, GOOD)


# Passwords


@pytest.mark.slow
async def test_the_right_password_is_right_and_another_is_not(people: People) -> None:
    await people.create(ALICE, "", GOOD)

    assert ALICE == (await people.check_password(" ALICE@example.com", GOOD)).email
    for wrong in ("", GOOD + " ", GOOD.upper(), GOOD[:-1], "x" * 2000):
        with pytest.raises(CredentialInvalid):
            await people.check_password(ALICE, wrong)


async def test_an_account_without_a_password_has_none_that_is_right(people: People) -> None:
    await people.create(ALICE)

    for tried in ("", "None", GOOD):
        with pytest.raises(CredentialInvalid):
            await people.check_password(ALICE, tried)


@only_sqlite
async def test_a_password_is_kept_as_argon2id(people: People, database: Database) -> None:
    await people.create(ALICE, "", GOOD)

    (row,) = await database.all(USERS, {})

    assert GOOD not in repr(list(row))
    assert any(str(value).startswith("$argon2id$v=19$m=65536,t=3,p=1$") for value in row)


@only_sqlite
async def test_the_same_password_from_another_keyboard_is_right(people: People) -> None:
    """NIST SP 800-63B-4: normalised, because ö is one character or two."""
    await people.create(ALICE, "", "sch\u00f6ne gr\u00fcne felder")

    await people.check_password(ALICE, "scho\u0308ne gru\u0308ne felder")


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "eleven char",
        "x" * 1025,
        "alice@example.com",
        "ALICE@example.com",
        "aliceexample.com",
        "password1234",
        "PassWord1234",
        "passwordpassword99",
        "correcthorsebatterystaple",
        "aaaaaaaaaaaaaaaa",
        "abababababababab",
        "abcdefghijklmnop",
        "ponmlkjihgfedcba",
        "123456789012345",
        "four quiet\0herons",
    ],
)
async def test_a_weak_password_is_not_taken(password: str) -> None:
    with pytest.raises(FieldInvalid):
        check_new(password, ALICE)


@pytest.mark.parametrize("password", [GOOD, OTHER, "пароль из слов", "x7$kQ!p2@Zr9", "sunshine over 3 hills"])
async def test_length_is_enough(password: str) -> None:
    """NIST SP 800-63B-4: no rules about what kinds of characters there must be."""
    check_new(password, ALICE)


async def test_a_new_password_voids_what_was_issued_before(people: People, credentials: Credentials, clock: Clock) -> None:
    await people.create(ALICE, "", GOOD)
    secret = await credentials.issue(Kind.SESSION, f"user:{ALICE}", "", 3600, {})
    clock.go(5)

    changed = await people.set_password(ALICE, OTHER)

    assert clock() == changed.valid_from_us
    with pytest.raises(CredentialInvalid):
        await credentials.look_up(secret, Kind.SESSION)
    with pytest.raises(CredentialInvalid):
        await people.check_password(ALICE, GOOD)
    await people.check_password(ALICE, OTHER)


@only_sqlite
async def test_a_password_of_older_parameters_is_hashed_anew_when_it_is_used(people: People, database: Database) -> None:
    await people.create(ALICE, "", GOOD)
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(GOOD)
    async with database.transaction() as tx:
        await tx.run(Statement(update(schema.users).values(password_hash=weak)), {})

    await people.check_password(ALICE, GOOD)

    (row,) = await database.all(USERS, {})
    assert any(str(value).startswith("$argon2id$v=19$m=65536") for value in row)
    await people.check_password(ALICE, GOOD)


@pytest.mark.slow
@only_sqlite
async def test_an_unknown_address_takes_as_long_as_a_known_one(people: People) -> None:
    """The work is the same; a login that were not looked at would take a thousandth of it."""
    await people.create(ALICE, "", GOOD)
    await people.create(BOB)
    took: dict[str, list[float]] = {ALICE: [], BOB: [], "nobody@example.com": []}
    for _ in range(5):
        for email, times in took.items():
            begun = time.perf_counter()
            with pytest.raises(CredentialInvalid):
                await people.check_password(email, OTHER)
            times.append(time.perf_counter() - begun)

    known, without, nobody = (statistics.median(times) for times in took.values())

    assert known / 2 < nobody < known * 2
    assert known / 2 < without < known * 2


@pytest.mark.slow
@only_sqlite
async def test_the_event_loop_goes_on_while_passwords_are_looked_at(people: People) -> None:
    await people.create(ALICE, "", GOOD)
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - begun)

    ticking = asyncio.create_task(tick())
    begun = time.perf_counter()
    await asyncio.gather(*(people.check_password(ALICE, GOOD) for _ in range(6)))
    took = time.perf_counter() - begun
    ticking.cancel()

    assert longest < took / 2


# The second factor


async def enrolled(people: People, second_factor: SecondFactor, clock: Clock) -> tuple[pyotp.TOTP, list[str]]:
    await people.create(ALICE, "", GOOD)
    device = pyotp.TOTP((await second_factor.enrol(ALICE)).secret)
    codes = await second_factor.confirm(ALICE, device.at(clock.seconds))
    clock.go(60)
    return device, codes


async def test_a_device_counts_once_it_has_shown_a_code(people: People, second_factor: SecondFactor, clock: Clock) -> None:
    await people.create(ALICE, "", GOOD)
    begun = await second_factor.enrol(ALICE)
    assert begun.address.startswith("otpauth://totp/Roadstead:alice%40example.com?secret=")
    assert not (await people.get(ALICE)).has_second_factor
    with pytest.raises(CredentialInvalid):
        await second_factor.verify(ALICE, pyotp.TOTP(begun.secret).at(clock.seconds))
    with pytest.raises(CredentialInvalid):
        await second_factor.confirm(ALICE, "000000")

    await second_factor.confirm(ALICE, pyotp.TOTP(begun.secret).at(clock.seconds))

    assert (await people.get(ALICE)).has_second_factor
    with pytest.raises(StateForbids):
        await second_factor.enrol(ALICE)


async def test_a_code_is_good_in_its_time_and_thirty_seconds_around(people: People, second_factor: SecondFactor, clock: Clock) -> None:
    device, _ = await enrolled(people, second_factor, clock)

    for step in (-60, 60):
        with pytest.raises(CredentialInvalid):
            await second_factor.verify(ALICE, device.at(clock.seconds + step))
    for step in (-30, 0, 30):
        await second_factor.verify(ALICE, device.at(clock.seconds + step))


async def test_a_code_is_not_taken_twice_nor_an_older_one(people: People, second_factor: SecondFactor, clock: Clock) -> None:
    """RFC 6238, 5.2."""
    device, _ = await enrolled(people, second_factor, clock)
    await second_factor.verify(ALICE, device.at(clock.seconds))

    for step in (0, -30):
        with pytest.raises(CredentialInvalid):
            await second_factor.verify(ALICE, device.at(clock.seconds + step))


async def test_of_many_with_the_same_code_one_gets_in(people: People, second_factor: SecondFactor, clock: Clock) -> None:
    device, _ = await enrolled(people, second_factor, clock)
    code = device.at(clock.seconds)

    tries = await asyncio.gather(*(second_factor.verify(ALICE, code) for _ in range(10)), return_exceptions=True)

    assert 1 == sum(each is None for each in tries)


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16", "000000 or 1=1", "\0" * 6])
@only_sqlite
async def test_what_is_no_code_is_refused(people: People, second_factor: SecondFactor, clock: Clock, code: str) -> None:
    await enrolled(people, second_factor, clock)

    with pytest.raises(CredentialInvalid):
        await second_factor.verify(ALICE, code)


async def test_recovery_codes_are_good_once_each_and_for_their_owner(people: People, second_factor: SecondFactor, clock: Clock) -> None:
    _, codes = await enrolled(people, second_factor, clock)
    await people.create(BOB, "", GOOD)
    assert 10 == len(set(codes)) == await second_factor.recovery_codes_left(ALICE)
    with pytest.raises(CredentialInvalid):
        await second_factor.verify(BOB, codes[0])

    await second_factor.verify(ALICE, codes[0].upper().replace("-", " "))

    with pytest.raises(CredentialInvalid):
        await second_factor.verify(ALICE, codes[0])
    assert 9 == await second_factor.recovery_codes_left(ALICE)
    await people.set_password(ALICE, OTHER)
    await second_factor.verify(ALICE, codes[1])


async def test_a_removed_second_factor_takes_its_codes_along(people: People, second_factor: SecondFactor, clock: Clock) -> None:
    device, codes = await enrolled(people, second_factor, clock)

    await second_factor.remove(ALICE)

    assert not (await people.get(ALICE)).has_second_factor
    for code in (codes[0], device.at(clock.seconds)):
        with pytest.raises(CredentialInvalid):
            await second_factor.verify(ALICE, code)


# OpenID accounts


async def test_an_account_of_a_provider_belongs_to_one_person(people: People) -> None:
    await people.create(ALICE, "", None, ISSUER, "subject-1")
    await people.create(BOB)

    with pytest.raises(AlreadyExists):
        await people.link(BOB, ISSUER, "subject-1")
    with pytest.raises(StateForbids):
        await people.link(ALICE, ISSUER, "subject-2")
    await people.link(BOB, ISSUER, "subject-2")

    found = await people.of_subject(ISSUER, "subject-2")
    assert found and BOB == found.email
    assert await people.of_subject("https://other.example.com", "subject-1") is None


# Groups


async def test_members_are_added_and_removed(groups: Groups) -> None:
    await groups.create("Dev@example.com", "Developers")
    await groups.add_member("dev@example.com", f"user:{ALICE}")
    await groups.add_member("dev@example.com", f"user:{ALICE}")
    await groups.add_member("dev@example.com", "serviceAccount:ci@my-project.iam.gserviceaccount.com")

    assert ["serviceAccount:ci@my-project.iam.gserviceaccount.com", f"user:{ALICE}"] == [
        each.member for each in await groups.members("dev@example.com")
    ]
    assert {"dev@example.com"} == await groups.of(f"user:{ALICE}")
    await groups.remove_member("dev@example.com", f"user:{ALICE}")
    assert frozenset() == await groups.of(f"user:{ALICE}")
    with pytest.raises(ResourceUnknown):
        await groups.remove_member("dev@example.com", f"user:{ALICE}")


async def test_a_group_has_people_and_accounts_in_it_and_nothing_else(groups: Groups) -> None:
    await groups.create("dev@example.com")

    for member in ("group:dev@example.com", "allUsers", "domain:example.com"):
        with pytest.raises(FieldInvalid):
            await groups.add_member("dev@example.com", member)
    with pytest.raises(MemberInvalid):
        await groups.add_member("dev@example.com", "alice")
    with pytest.raises(ResourceUnknown):
        await groups.add_member("ops@example.com", f"user:{ALICE}")
    with pytest.raises(AlreadyExists):
        await groups.create("DEV@example.com")


async def test_a_deleted_group_is_empty_when_it_is_made_again(groups: Groups) -> None:
    await groups.create("dev@example.com")
    await groups.add_member("dev@example.com", f"user:{ALICE}")
    await groups.delete("dev@example.com")
    await groups.create("dev@example.com")

    assert frozenset() == await groups.of(f"user:{ALICE}")


async def test_groups_of_claims_replace_those_of_the_login_before(groups: Groups, generation: Generation) -> None:
    """CVE-2025-23208 (zot): they were only ever added."""
    await groups.create("here@example.com")
    await groups.add_member("here@example.com", f"user:{ALICE}")
    await groups.claimed(f"user:{ALICE}", ISSUER, frozenset({"a@example.com", "b@example.com"}))
    await groups.claimed(f"user:{ALICE}", "https://other.example.com", frozenset({"c@example.com"}))
    seen = generation.value

    await groups.claimed(f"user:{ALICE}", ISSUER, frozenset({"a@example.com"}))

    assert {"a@example.com", "c@example.com", "here@example.com"} == await groups.of(f"user:{ALICE}")
    assert generation.value > seen


async def test_the_same_claims_again_change_nothing(groups: Groups, generation: Generation) -> None:
    """Or every login would make every process forget what it knows."""
    await groups.claimed(f"user:{ALICE}", ISSUER, frozenset({"a@example.com"}))
    seen = generation.value

    await groups.claimed(f"user:{ALICE}", ISSUER, frozenset({"a@example.com"}))

    assert seen == generation.value


async def test_a_person_who_left_a_group_has_left_it_for_tokens_that_exist(
    people: People, groups: Groups, database: Database, generation: Generation, clock: Clock
) -> None:
    await people.create(ALICE)
    principals = Principals(database, generation)
    await groups.claimed(f"user:{ALICE}", ISSUER, frozenset({"a@example.com", "b@example.com"}))
    assert {"a@example.com", "b@example.com"} == (await principals.load(f"user:{ALICE}", clock())).groups

    await groups.claimed(f"user:{ALICE}", ISSUER, frozenset())

    assert frozenset() == (await principals.load(f"user:{ALICE}", clock())).groups


async def test_a_deleted_person_is_in_no_group(people: People, groups: Groups) -> None:
    await people.create(ALICE)
    await groups.create("dev@example.com")
    await groups.add_member("dev@example.com", f"user:{ALICE}")

    await people.delete(ALICE)

    assert frozenset() == await groups.of(f"user:{ALICE}")


@pytest.mark.slow
async def test_only_so_many_passwords_are_looked_at_at_once() -> None:
    """64 MiB each: more would be a way to fill the memory."""
    passwords = Passwords()

    tries = await asyncio.gather(*(passwords.is_right(None, GOOD) for _ in range(60)), return_exceptions=True)

    assert 0 < sum(isinstance(each, Exception) for each in tries) < 60
