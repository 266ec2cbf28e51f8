"""
Keys of service accounts: Google's own library signs with the file, and nothing but the key's owner does.

RSA keys take long to make, so most tests share three pairs; each database has them as uploaded ones.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from google.oauth2 import service_account
from joserfc import jws as jose
from joserfc.jwk import ECKey, OctKey, RSAKey

from roadstead.db.database import Database
from roadstead.errors import CredentialInvalid, FieldInvalid, ResourceUnknown, StateForbids, StorageError
from roadstead.iam.generation import Generation, SharedNumber
from roadstead.iam.keys import FOREVER_US, Keys, ServiceAccountKey, key_file
from roadstead.iam.service_accounts import ServiceAccount, ServiceAccounts
from tests.kit.clock import START_US, Clock

pytestmark = pytest.mark.anyio

DAY = 86_400
TOKEN_URI = "https://oauth2.googleapis.com/token"
TOKEN = frozenset({TOKEN_URI})
API = "https://cloudbuild.googleapis.com/"

OWN, OTHER, THIEF = (rsa.generate_private_key(65537, 2048) for _ in range(3))
on_one_database = pytest.mark.parametrize("door", ["sqlite"], indirect=True)


def public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def private(key: rsa.RSAPrivateKey) -> str:
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return text.decode()


@dataclass(frozen=True)
class Owner:
    """An account, its key and who signs with it."""

    account: ServiceAccount
    key: ServiceAccountKey
    private: rsa.RSAPrivateKey
    clock: Clock

    def claims(self, **changes: object) -> dict[str, Any]:
        """Those of google-auth for the token endpoint. What is changed to None is left out."""
        good = {"iss": self.account.email, "iat": self.clock.seconds, "exp": self.clock.seconds + 3600, "aud": TOKEN_URI, "scope": "a b"}
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    def token(self, **changes: object) -> str:
        return signed(
            {"alg": "RS256", "kid": self.key.id, "typ": "JWT"}, self.claims(**changes), RSAKey.import_key(private(self.private)), "RS256"
        )


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode().rstrip("=")


def signed(header: object, claims: object, key: ECKey | RSAKey | OctKey, algorithm: str) -> str:
    head, body = encoded(header), encoded(claims)
    return f"{head}.{body}.{encoded(jose.JWSRegistry.algorithms[algorithm].sign(f'{head}.{body}'.encode(), key))}"


@pytest.fixture
def accounts(database: Database, generation: Generation, clock: Clock) -> ServiceAccounts:
    return ServiceAccounts(database, generation, clock)


@pytest.fixture
def keys(database: Database, generation: Generation, clock: Clock) -> Keys:
    return Keys(database, generation, clock)


@pytest.fixture
async def owner(accounts: ServiceAccounts, keys: Keys, clock: Clock) -> Owner:
    account = await accounts.create("my-project", "builder")
    return Owner(account, await keys.upload(account.email, public(OWN)), OWN, clock)


@pytest.fixture
async def other(accounts: ServiceAccounts, keys: Keys, clock: Clock) -> Owner:
    account = await accounts.create("other-project", "builder")
    return Owner(account, await keys.upload(account.email, public(OTHER)), OTHER, clock)


async def refused(verifying: Awaitable[object]) -> str:
    with pytest.raises(CredentialInvalid) as caught:
        await verifying
    return caught.value.message


UNKNOWN = "the token is not signed by a key of a service account of this server"


# Made here


async def test_googles_library_signs_in_with_the_file_of_a_new_key(accounts: ServiceAccounts, keys: Keys, clock: Clock) -> None:
    clock.now_us = int(time.time()) * 1_000_000  # google-auth looks at its own
    account = await accounts.create("my-project", "builder")
    key, private_key = await keys.create(account.email)
    file = json.loads(json.dumps(key_file(key, private_key, "https://registry.example.com")))
    found = service_account.Credentials.from_service_account_info(file, scopes=["https://www.googleapis.com/auth/cloud-platform"])

    assertion = await keys.verify_assertion(found._make_authorization_grant_assertion().decode(), TOKEN)  # type: ignore[no-untyped-call]

    assert (account.email, "my-project", account.unique_id, key.id) == (
        assertion.email,
        assertion.project,
        assertion.unique_id,
        assertion.key_id,
    )
    assert f"serviceAccount:{account.email}" == assertion.member
    for scopes in (None, ["https://www.googleapis.com/auth/cloud-platform"]):
        own = service_account.Credentials.from_service_account_info(file, scopes=scopes, always_use_jwt_access=True)
        own._create_self_signed_jwt(API)
        own.refresh(None)
        assert key.id == (await keys.verify_bearer(own.token)).key_id


async def test_the_file_has_every_field_of_googles(keys: Keys, owner: Owner) -> None:
    file = key_file(owner.key, "PEM", "https://registry.example.com")

    assert {
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": owner.key.id,
        "private_key": "PEM",
        "client_email": "builder@my-project.iam.gserviceaccount.com",
        "client_id": owner.account.unique_id,
        "auth_uri": "https://registry.example.com/o/oauth2/auth",
        "token_uri": "https://registry.example.com/token",
        "auth_provider_x509_cert_url": "https://registry.example.com/oauth2/v1/certs",
        "client_x509_cert_url": "https://registry.example.com/robot/v1/metadata/x509/builder%40my-project.iam.gserviceaccount.com",
        "universe_domain": "googleapis.com",
    } == file


async def test_a_new_key_is_rsa_with_a_certificate_and_no_end(accounts: ServiceAccounts, keys: Keys, database: Database) -> None:
    account = await accounts.create("my-project", "builder")

    key, private_key = await keys.create(account.unique_id)

    loaded = serialization.load_pem_private_key(private_key.encode(), None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    assert private_key.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert (2048, "KEY_ALG_RSA_2048", "GOOGLE_PROVIDED", False) == (loaded.key_size, key.algorithm, key.origin, key.disabled)
    assert (START_US, FOREVER_US, None) == (key.valid_after_us, key.valid_before_us, key.last_used_at_us)
    assert 40 == len(key.id)
    assert public(loaded).decode() == key.bare_public_key
    certificate = x509.load_pem_x509_certificate((key.certificate or "").encode())
    certificate.verify_directly_issued_by(certificate)
    assert datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) == certificate.not_valid_after_utc
    assert key == await keys.get(account.email, key.id)


@on_one_database
async def test_a_larger_key_is_made_off_the_loop(accounts: ServiceAccounts, keys: Keys) -> None:
    account = await accounts.create("my-project", "builder")
    making = asyncio.ensure_future(keys.create(account.email, "KEY_ALG_RSA_4096"))
    turns = 0
    while not making.done():
        await asyncio.sleep(0.001)
        turns += 1

    key, _ = await making

    assert "KEY_ALG_RSA_4096" == key.algorithm
    assert turns > 10


@pytest.mark.parametrize("algorithm", ["KEY_ALG_RSA_1024", "KEY_ALG_RSA_512", "HS256", "", "\ud800"])
async def test_weak_and_unknown_algorithms_are_refused(keys: Keys, owner: Owner, algorithm: str) -> None:
    with pytest.raises(FieldInvalid):
        await keys.create(owner.account.email, algorithm)


async def test_an_account_has_ten_keys_at_most(
    keys: Keys, owner: Owner, other_node: Database, generation: Generation, clock: Clock
) -> None:
    nodes = [keys, Keys(other_node, generation, clock)]

    made = await asyncio.gather(
        *(nodes[number % 2].upload(owner.account.email, public(OTHER)) for number in range(15)), return_exceptions=True
    )

    assert 9 == sum(isinstance(each, ServiceAccountKey) for each in made)
    assert 6 == sum(isinstance(each, StateForbids) for each in made)
    with pytest.raises(StateForbids):
        await keys.create(owner.account.email)
    await keys.delete(owner.account.email, owner.key.id)
    await keys.upload(owner.account.email, public(OTHER))


# Uploaded


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, begins_us: int, ends_us: int) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mine")])
    begins, ends = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=each) for each in (begins_us, ends_us))
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
    return made.not_valid_before(begins).not_valid_after(ends).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


async def test_an_uploaded_certificate_is_valid_as_long_as_it_says(accounts: ServiceAccounts, keys: Keys, clock: Clock) -> None:
    account = await accounts.create("my-project", "builder")
    begins_us, ends_us = START_US + DAY * 1_000_000, START_US + 2 * DAY * 1_000_000
    key = await keys.upload(account.email, certificate(OWN, begins_us, ends_us))
    mine = Owner(account, key, OWN, clock)
    assert (begins_us, ends_us, "USER_PROVIDED") == (key.valid_after_us, key.valid_before_us, key.origin)
    assert key.certificate is not None

    assert "not valid yet" in await refused(keys.verify_assertion(mine.token(), TOKEN))
    clock.go(DAY)
    await keys.verify_assertion(mine.token(), TOKEN)
    clock.go(DAY)
    assert "has expired" in await refused(keys.verify_assertion(mine.token(), TOKEN))


async def test_of_a_bare_public_key_there_is_no_certificate(keys: Keys, owner: Owner) -> None:
    assert owner.key.certificate is None
    assert public(OWN).decode() == owner.key.bare_public_key
    assert FOREVER_US == owner.key.valid_before_us


BAD_UPLOADS: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "no PEM": lambda: b"\x00\xff" * 100,
    "a private key": lambda: private(OWN).encode(),
    "an elliptic key": lambda: public(ec.generate_private_key(ec.SECP256R1())),
    "a certificate of an elliptic key": lambda: certificate(ec.generate_private_key(ec.SECP256R1()), START_US, 2 * START_US),
    "too short": lambda: public(rsa.generate_private_key(65537, 1024)),
    "another exponent": lambda: public(rsa.generate_private_key(3, 2048)),
    "an expired certificate": lambda: certificate(OWN, START_US - 10_000_000, START_US),
    "broken base64": lambda: b"-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n",
    "a broken certificate": lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "far too long": lambda: public(OWN) + b"\n" * 20_000,
}


@on_one_database
@pytest.mark.parametrize("what", BAD_UPLOADS)
async def test_what_is_no_good_public_key_is_refused(keys: Keys, owner: Owner, what: str) -> None:
    with pytest.raises(FieldInvalid):
        await keys.upload(owner.account.email, BAD_UPLOADS[what]())


# Finding and ending them


async def test_keys_are_listed_oldest_first(keys: Keys, owner: Owner, clock: Clock) -> None:
    clock.go(1)
    second = await keys.upload(owner.account.email, public(OTHER))

    assert [owner.key, second] == await keys.list(owner.account.email)
    assert [owner.key, second] == await keys.list(owner.account.unique_id, ["SYSTEM_MANAGED", "USER_MANAGED"], "my-project")
    assert [] == await keys.list(owner.account.email, ["SYSTEM_MANAGED"])


async def test_a_key_is_found_with_its_account_and_project_only(keys: Keys, owner: Owner, other: Owner) -> None:
    """CVE-2022-31667 and its family."""
    for call in (keys.get, keys.disable, keys.enable, keys.delete):
        with pytest.raises(ResourceUnknown):
            await call(other.account.email, owner.key.id)
        with pytest.raises(ResourceUnknown):
            await call(owner.account.email, owner.key.id, "other-project")
        for nothing in ("", "0" * 40, owner.key.id.upper(), "\0", "\ud800", owner.key.id + "\0"):
            with pytest.raises(ResourceUnknown):
                await call(owner.account.email, nothing)
    assert owner.key == await keys.get(owner.account.email, owner.key.id)
    await keys.verify_assertion(owner.token(), TOKEN)


async def test_a_disabled_key_is_refused_at_once_also_when_it_was_just_verified(keys: Keys, owner: Owner) -> None:
    token = owner.token()
    await keys.verify_assertion(token, TOKEN)

    await keys.disable(owner.account.email, owner.key.id)
    assert (await keys.get(owner.account.email, owner.key.id)).disabled
    assert "is disabled" in await refused(keys.verify_assertion(token, TOKEN))

    await keys.enable(owner.account.email, owner.key.id)
    await keys.verify_assertion(token, TOKEN)


async def test_a_deleted_key_is_refused_at_once(keys: Keys, owner: Owner) -> None:
    token = owner.token()
    await keys.verify_assertion(token, TOKEN)

    await keys.delete(owner.account.email, owner.key.id)

    assert UNKNOWN == await refused(keys.verify_assertion(token, TOKEN))
    with pytest.raises(ResourceUnknown):
        await keys.delete(owner.account.email, owner.key.id)


@pytest.mark.parametrize("how", ["disable", "delete"])
async def test_keys_end_with_their_account(keys: Keys, accounts: ServiceAccounts, owner: Owner, how: str) -> None:
    token = owner.token()
    await keys.verify_assertion(token, TOKEN)

    await getattr(accounts, how)(owner.account.email)
    await refused(keys.verify_assertion(token, TOKEN))

    if how == "disable":
        await accounts.enable(owner.account.email)
    else:
        await accounts.undelete(owner.account.unique_id)
    await keys.verify_assertion(token, TOKEN)


async def test_keys_of_a_deleted_account_do_not_open_the_next_of_its_address(keys: Keys, accounts: ServiceAccounts, owner: Owner) -> None:
    await accounts.delete(owner.account.email)
    await accounts.create("my-project", "builder")

    assert UNKNOWN == await refused(keys.verify_assertion(owner.token(), TOKEN))
    assert [] == await keys.list(owner.account.email)


async def test_another_node_refuses_a_disabled_key_when_it_has_seen_the_change(
    keys: Keys, owner: Owner, other_node: Database, clock: Clock
) -> None:
    elsewhere = Generation(other_node, SharedNumber())
    there = Keys(other_node, elsewhere, clock)
    token = owner.token()
    await there.verify_assertion(token, TOKEN)

    await keys.disable(owner.account.email, owner.key.id)
    await elsewhere.seen()

    assert "is disabled" in await refused(there.verify_assertion(token, TOKEN))


async def test_a_key_with_a_lifetime_ends(accounts: ServiceAccounts, keys: Keys, clock: Clock) -> None:
    account = await accounts.create("my-project", "builder")
    key, pem = await keys.create(account.email, lifetime_seconds=60)
    loaded = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    token = Owner(account, key, loaded, clock).token()
    clock.go(59)
    await keys.verify_assertion(token, TOKEN)
    clock.go(1)

    assert "has expired" in await refused(keys.verify_assertion(token, TOKEN))


async def test_keys_that_end_soon_are_named_the_next_one_first(accounts: ServiceAccounts, keys: Keys, owner: Owner, clock: Clock) -> None:
    ends = [START_US + days * DAY * 1_000_000 for days in (20, 5, 40)]
    late, soon, _ = [await keys.upload(owner.account.email, certificate(OWN, START_US - 10_000_000, each)) for each in ends]

    assert [soon, late] == await keys.expiring(30 * DAY)
    await keys.disable(owner.account.email, soon.id)
    assert [late] == await keys.expiring(30 * DAY)


# When a key was last used


async def test_last_use_is_written_with_the_next_flush(keys: Keys, owner: Owner, clock: Clock) -> None:
    await keys.verify_assertion(owner.token(), TOKEN)
    clock.go(10)
    await keys.verify_bearer(owner.token(aud=API))
    assert (await keys.get(owner.account.email, owner.key.id)).last_used_at_us is None

    await keys.flush()
    assert START_US + 10_000_000 == (await keys.get(owner.account.email, owner.key.id)).last_used_at_us


async def test_last_use_never_goes_back(keys: Keys, owner: Owner, other_node: Database, generation: Generation, clock: Clock) -> None:
    there = Keys(other_node, generation, clock)
    await there.verify_assertion(owner.token(), TOKEN)
    clock.go(10)
    await keys.verify_assertion(owner.token(), TOKEN)

    await keys.flush()
    await there.flush()

    assert START_US + 10_000_000 == (await keys.get(owner.account.email, owner.key.id)).last_used_at_us


async def test_last_use_is_not_lost_while_the_server_takes_no_writes(keys: Keys, owner: Owner, database: Database, clock: Clock) -> None:
    await keys.verify_assertion(owner.token(), TOKEN)
    await database.freeze(clock())
    with pytest.raises(StorageError):
        await keys.flush()
    await database.thaw()

    await keys.flush()

    assert START_US == (await keys.get(owner.account.email, owner.key.id)).last_used_at_us


async def test_what_was_refused_is_no_use(keys: Keys, owner: Owner) -> None:
    await refused(keys.verify_assertion(owner.token(aud="https://example.com"), TOKEN))
    await keys.flush()

    assert (await keys.get(owner.account.email, owner.key.id)).last_used_at_us is None


# For whom


@pytest.mark.parametrize("aud", ["https://oauth2.googleapis.com/token/", "https://example.com/token", API, None, "", [TOKEN_URI], 7])
async def test_an_assertion_is_for_the_token_endpoint(keys: Keys, owner: Owner, aud: object) -> None:
    await refused(keys.verify_assertion(owner.token(aud=aud), TOKEN))


@pytest.mark.parametrize("service", ["cloudbuild", "containeranalysis", "binaryauthorization", "pubsub", "cloudresourcemanager"])
async def test_a_token_for_an_api_is_good_as_bearer(keys: Keys, owner: Owner, service: str) -> None:
    token = owner.token(aud=f"https://{service}.googleapis.com/", sub=owner.account.email, scope=None)

    assert owner.account.email == (await keys.verify_bearer(token)).email


@pytest.mark.parametrize("audience", [None, ""])
async def test_a_token_with_a_scope_and_no_audience_is_good_as_bearer(keys: Keys, owner: Owner, audience: str | None) -> None:
    """Google's library for Go writes an empty one."""
    assert owner.account.email == (await keys.verify_bearer(owner.token(aud=audience))).email


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aud": "https://www.googleapis.com/oauth2/v4/token"},
        {"aud": "https://registry.example.com/token"},
        {"aud": "https://example.com/"},
        {"aud": "https://cloudbuild.googleapis.com.example.com/"},
        {"aud": "https://cloudbuild.googleapis.com/\n"},
        {"aud": "http://cloudbuild.googleapis.com/"},
        {"aud": "", "scope": None},
        {"aud": None, "scope": None},
        {"aud": None, "scope": "  "},
        {"aud": API, "target_audience": "32555940559.apps.googleusercontent.com"},
        {"aud": None, "target_audience": "x"},
    ],
    ids=str,
)
async def test_what_is_meant_for_a_token_endpoint_or_elsewhere_is_no_bearer(keys: Keys, owner: Owner, changes: dict[str, object]) -> None:
    await refused(keys.verify_bearer(owner.token(**changes)))


async def test_an_audience_of_our_own_may_be_added(keys: Keys, owner: Owner) -> None:
    token = owner.token(aud="https://registry.example.com/")
    await refused(keys.verify_bearer(token))

    assert owner.key.id == (await keys.verify_bearer(token, frozenset({"https://registry.example.com/"}))).key_id


# Times


@pytest.mark.parametrize(
    ("iat", "exp"),
    [(-3600, 0), (-10, -1), (302, 3600), (0, 3902), (-(10**9), 3600), (0, 10**12), (-(10**12), 10), (10, -10)],
)
async def test_a_token_out_of_its_time_is_refused(keys: Keys, owner: Owner, clock: Clock, iat: int, exp: int) -> None:
    await refused(keys.verify_assertion(owner.token(iat=clock.seconds + iat, exp=clock.seconds + exp), TOKEN))


@pytest.mark.parametrize(("iat", "exp"), [(0, 3600), (300, 3900), (-3599, 1), (0, 3900), (0.5, 3600.5)])
async def test_clocks_of_clients_may_differ_by_five_minutes(keys: Keys, owner: Owner, clock: Clock, iat: float, exp: float) -> None:
    await keys.verify_assertion(owner.token(iat=clock.seconds + iat, exp=clock.seconds + exp), TOKEN)


async def test_a_remembered_token_ends_all_the_same(keys: Keys, owner: Owner, clock: Clock) -> None:
    token = owner.token()
    for _ in range(3):
        await keys.verify_assertion(token, TOKEN)
    clock.go(3600)

    assert "the token has expired" == await refused(keys.verify_assertion(token, TOKEN))


async def test_a_shorter_life_can_be_demanded(keys: Keys, owner: Owner) -> None:
    token = owner.token()
    await keys.verify_assertion(token, TOKEN)

    await refused(keys.verify_assertion(token, TOKEN, most_seconds=600))


# Forgeries

Forge = Callable[[Owner, Owner], str]


def _header(owner: Owner, **changes: object) -> dict[str, object]:
    return {"alg": "RS256", "kid": owner.key.id, "typ": "JWT", **changes}


def _by(key: rsa.RSAPrivateKey, header: object, claims: object) -> str:
    return signed(header, claims, RSAKey.import_key(private(key)), "RS256")


def _hmac(owner: Owner, secret: bytes) -> str:
    head = f"{encoded(_header(owner, alg='HS256'))}.{encoded(owner.claims())}"
    return f"{head}.{encoded(hmac.digest(secret, head.encode(), hashlib.sha256))}"


FORGERIES: dict[str, Forge] = {
    "a thief's key with a trusted kid": lambda owner, other: _by(THIEF, _header(owner), owner.claims()),
    "a thief's key in the header": lambda owner, other: _by(
        THIEF, _header(owner, jwk=RSAKey.import_key(private(THIEF)).as_dict(private=False)), owner.claims()
    ),
    "another account's key for this account": lambda owner, other: _by(OTHER, _header(other), owner.claims()),
    "this account's key for another": lambda owner, other: _by(OWN, _header(owner), other.claims()),
    "another account as sub": lambda owner, other: owner.token(sub=other.account.email),
    "a person as sub": lambda owner, other: owner.token(sub="owner@example.com"),
    "the number as sub": lambda owner, other: owner.token(sub=owner.account.unique_id),
    "the number as iss": lambda owner, other: owner.token(iss=owner.account.unique_id),
    "iss in capitals": lambda owner, other: owner.token(iss=owner.account.email.upper()),
    "iss with a NUL": lambda owner, other: owner.token(iss=owner.account.email + "\0"),
    "iss of half a character": lambda owner, other: owner.token(iss="\ud800"),
    "iss of two": lambda owner, other: owner.token(iss=[owner.account.email]),
    "no iss": lambda owner, other: owner.token(iss=None),
    "no signature": lambda owner, other: f"{encoded(_header(owner, alg='none'))}.{encoded(owner.claims())}.",
    "an empty signature": lambda owner, other: f"{encoded(_header(owner))}.{encoded(owner.claims())}.",
    "HMAC with the public key": lambda owner, other: _hmac(owner, public(OWN)),
    "HMAC with the stored key": lambda owner, other: _hmac(owner, owner.key.public_key.encode()),
    "HMAC with an empty secret": lambda owner, other: _hmac(owner, b""),
    "PSS": lambda owner, other: signed(_header(owner, alg="PS256"), owner.claims(), RSAKey.import_key(private(OWN)), "PS256"),
    "SHA-512": lambda owner, other: signed(_header(owner, alg="RS512"), owner.claims(), RSAKey.import_key(private(OWN)), "RS512"),
    "an elliptic key": lambda owner, other: signed(_header(owner, alg="ES256"), owner.claims(), ECKey.generate_key("P-256"), "ES256"),
    "jku": lambda owner, other: _by(OWN, _header(owner, jku="https://example.com/keys"), owner.claims()),
    "x5u": lambda owner, other: _by(OWN, _header(owner, x5u="https://example.com/c"), owner.claims()),
    "x5c": lambda owner, other: _by(OWN, _header(owner, x5c=["MIIB"]), owner.claims()),
    "crit": lambda owner, other: _by(OWN, _header(owner, crit=["exp"]), owner.claims()),
    "kid that is no id": lambda owner, other: _by(OWN, _header(owner, kid=f"{owner.key.id}' OR '1"), owner.claims()),
    "kid in capitals": lambda owner, other: _by(OWN, _header(owner, kid=owner.key.id.upper()), owner.claims()),
    "kid that is a number": lambda owner, other: _by(OWN, _header(owner, kid=7), owner.claims()),
    "no kid": lambda owner, other: _by(OWN, {"alg": "RS256"}, owner.claims()),
    "a claim twice": lambda owner, other: _by(OWN, _header(owner), (json.dumps(owner.claims())[:-1] + ', "exp": 9999999999}').encode()),
    "claims changed": lambda owner, other: _changed(owner),
    "no exp": lambda owner, other: owner.token(exp=None),
    "no iat": lambda owner, other: owner.token(iat=None),
    "exp that is text": lambda owner, other: owner.token(exp="9999999999"),
    "exp that is no number": lambda owner, other: _by(OWN, _header(owner), json.dumps(owner.claims(exp=float("nan"))).encode()),
    "exp without end": lambda owner, other: _by(OWN, _header(owner), json.dumps(owner.claims(exp=7)).replace(": 7", ": 1e999").encode()),
    "deep claims": lambda owner, other: _by(OWN, _header(owner), b'{"iss": ' + b"[" * 9_000),
    "claims that are a list": lambda owner, other: _by(OWN, _header(owner), [owner.claims()]),
    "a megabyte": lambda owner, other: owner.token(extra="x" * 1_000_000),
    "not ASCII": lambda owner, other: owner.token() + "é",
    "half a character": lambda owner, other: owner.token() + "\ud800",
    "nothing": lambda owner, other: "",
}


def _changed(owner: Owner) -> str:
    head, _, signature = owner.token().split(".")
    return f"{head}.{encoded(owner.claims(scope='everything'))}.{signature}"


@on_one_database
@pytest.mark.parametrize("what", FORGERIES)
async def test_a_forged_assertion_is_refused(keys: Keys, owner: Owner, other: Owner, what: str) -> None:
    forged = FORGERIES[what](owner, other)

    await refused(keys.verify_assertion(forged, TOKEN))
    await refused(keys.verify_bearer(forged))
    assert owner.key.id == (await keys.verify_assertion(_by(OWN, _header(owner), owner.claims()), TOKEN)).key_id


async def test_a_token_that_was_cut_anywhere_is_refused(keys: Keys, owner: Owner) -> None:
    token = owner.token()

    for length in range(0, len(token), 7):
        await refused(keys.verify_assertion(token[:length], TOKEN))


async def test_a_stranger_does_not_learn_which_accounts_and_keys_there_are(keys: Keys, owner: Owner) -> None:
    """The same sentence for no account, no key, another's key; disabled ones are told only to those who have the key."""
    nobody = {**owner.claims(), "iss": "nobody@my-project.iam.gserviceaccount.com"}
    await keys.disable(owner.account.email, owner.key.id)

    said = [
        await refused(keys.verify_assertion(_by(THIEF, header, claims), TOKEN))
        for header in (_header(owner), _header(owner, kid="0" * 40), _header(owner, kid="x"))
        for claims in (owner.claims(), nobody)
    ]

    assert [UNKNOWN] * 6 == said
    assert "is disabled" in await refused(keys.verify_assertion(owner.token(), TOKEN))


@pytest.mark.slow
@on_one_database
async def test_what_is_remembered_is_bounded(keys: Keys, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadstead.iam.keys._MOST_REMEMBERED", 10)
    first = owner.token(jti="first")
    for number in range(30):
        await keys.verify_assertion(first, TOKEN)
        await keys.verify_assertion(owner.token(jti=str(number)), TOKEN)

    assert 10 == len(keys._verified)
    assert hashlib.sha256(first.encode()).digest() in keys._verified


# A key file as a password


def file_of(key: rsa.RSAPrivateKey, **changes: int) -> str:
    """PKCS #1, with numbers that somebody else chose."""
    known = key.private_numbers()
    n, e = known.public_numbers.n, known.public_numbers.e
    good = {"n": n, "e": e, "d": known.d, "p": known.p, "q": known.q, "dp": known.dmp1, "dq": known.dmq1, "qi": known.iqmp}
    body = b"".join(der(number) for number in [0, *(good | changes).values()])
    content = base64.encodebytes(b"\x30" + length(body) + body).decode()
    return f"-----BEGIN RSA PRIVATE KEY-----\n{content}-----END RSA PRIVATE KEY-----\n"


def der(number: int) -> bytes:
    content = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return b"\x02" + length(content) + content


def length(content: bytes) -> bytes:
    size = len(content)
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([size]) if size < 128 else bytes([0x80 | len(octets)]) + octets


async def test_whoever_has_the_private_half_has_the_key(keys: Keys, owner: Owner, clock: Clock) -> None:
    for pem in (private(OWN), file_of(OWN)):
        assert owner.key.id == (await keys.verify_private_key(owner.account.email, owner.key.id, pem)).id
    await keys.flush()

    assert clock.now_us == (await keys.get(owner.account.email, owner.key.id)).last_used_at_us


N, P = OWN.private_numbers().public_numbers.n, OWN.private_numbers().p
FOREIGN = {
    "another key": private(OTHER),
    "another's factors": file_of(OTHER, n=N),
    "one as p": file_of(OWN, p=1, q=N),
    "one as q": file_of(OWN, p=N, q=1),
    "p changed": file_of(OWN, p=P + 2),
    "no factors": file_of(OWN, p=0, q=0),
    "another exponent": file_of(OWN, e=3),
    "a factor of 12,000 bits": file_of(OWN, p=(1 << 12_000) | 1),
    "factors of 12,000 bits": file_of(OWN, p=(1 << 12_000) | 1, q=(1 << 12_000) | 1),
    "factors of 100,000 bits": file_of(OWN, p=(1 << 100_000) | 1, q=(1 << 100_000) | 1),
    "exponents of 12,000 bits": file_of(OWN, p=P + 2, dp=(1 << 12_000) - 1, dq=(1 << 12_000) - 1),
    "public exponent of 20,000 bits": file_of(OWN, e=(1 << 20_000) | 1),
    "public half": public(OWN).decode(),
    "nothing": "",
    "no key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "elliptic curve": ec.generate_private_key(ec.SECP256R1())
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode(),
    "with a password": OWN.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    ).decode(),
}


@pytest.mark.parametrize("pem", FOREIGN.values(), ids=FOREIGN)
@on_one_database
async def test_a_private_key_that_is_not_this_one_s_is_refused_before_it_costs_anything(keys: Keys, owner: Owner, pem: str) -> None:
    """A stranger's factors of 20,000 bits kept a processor busy for a second, of 100,000 bits for a minute."""
    begun = time.thread_time()

    assert UNPROVEN == await refused(keys.verify_private_key(owner.account.email, owner.key.id, pem))

    assert time.thread_time() - begun < 0.05


UNPROVEN = "not authorized: the key file is not one of a service account of this server"


async def test_a_stranger_does_not_learn_by_a_key_file_which_keys_there_are(keys: Keys, owner: Owner) -> None:
    email, key_id = owner.account.email, owner.key.id
    await keys.disable(email, key_id)

    for unknown in (("nobody@my-project.iam.gserviceaccount.com", key_id), (email, "0" * 40), (email, "\0" * 40), (email.upper(), key_id)):
        assert UNPROVEN == await refused(keys.verify_private_key(*unknown, private(OWN)))
    assert UNPROVEN == await refused(keys.verify_private_key(email, key_id, private(OTHER)))
    assert f"the key {key_id} is disabled" == await refused(keys.verify_private_key(email, key_id, private(OWN)))


async def test_a_key_file_ends_with_its_key_and_account(keys: Keys, accounts: ServiceAccounts, owner: Owner, clock: Clock) -> None:
    key, pem = await keys.create(owner.account.email, lifetime_seconds=60)
    clock.now_us += 59_000_000
    assert key.valid_before_us == (await keys.verify_private_key(owner.account.email, key.id, pem)).valid_before_us
    clock.now_us += 1_000_000

    assert f"the key {key.id} has expired" == await refused(keys.verify_private_key(owner.account.email, key.id, pem))
    await accounts.disable(owner.account.email)
    assert "is disabled" in await refused(keys.verify_private_key(owner.account.email, owner.key.id, private(OWN)))


async def test_an_assertion_ends_with_its_key(keys: Keys, owner: Owner, clock: Clock) -> None:
    """The gate remembers who asked until the assertion ends, which was an hour after its key."""
    key, pem = await keys.create(owner.account.email, lifetime_seconds=60)
    header = {"alg": "RS256", "kid": key.id, "typ": "JWT"}

    short = await keys.verify_assertion(signed(header, owner.claims(), RSAKey.import_key(pem), "RS256"), TOKEN)

    assert (key.valid_before_us, False) == (short.ends_at_us, short.is_uploaded)
    long = await keys.verify_assertion(owner.token(), TOKEN)
    assert (long.expires_at_us, True) == (long.ends_at_us, long.is_uploaded)
