"""
Tokens: what one says is what was put in, and nothing but our own signature makes one.

The attacks are those of published weaknesses: CVE-2025-24976 (a token that brings its own key), algorithm confusion
(RFC 8725, section 2.1), tokens of another purpose (section 2.8), of another server, cut, repeated, huge.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws as jose
from joserfc.jwk import ECKey, OctKey, RSAKey

from roadstead.db.database import Database
from roadstead.errors import CredentialInvalid, FieldInvalid
from roadstead.iam import jws
from roadstead.iam.signing import Key, SigningKeys
from roadstead.iam.tokens import Access, Kind, Tokens, audience, issuer
from tests.kit.clock import START_US, Clock

pytestmark = pytest.mark.anyio

# What is refused before anything is looked up does not differ between databases.
on_one_database = pytest.mark.parametrize("door", ["sqlite"], indirect=True)

HERE = audience("abc")
MEMBER = "user:someone@example.com"


@pytest.fixture
def keys(database: Database, clock: Clock) -> SigningKeys:
    return SigningKeys(database, clock)


@pytest.fixture
def tokens(keys: SigningKeys, clock: Clock) -> Tokens:
    return Tokens(keys, clock, issuer("abc"))


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode().rstrip("=")


def decoded(segment: str) -> dict[str, Any]:
    found = json.loads(base64.urlsafe_b64decode(segment + "=="))
    assert isinstance(found, dict)
    return found


def signed(header: object, claims: object, key: ECKey | RSAKey | OctKey, algorithm: str) -> str:
    """Any header and claims (raw JSON as bytes), signed as a thief of the key, or the owner of another, could."""
    head, body = encoded(header), encoded(claims)
    model = jose.JWSRegistry.algorithms[algorithm]
    return f"{head}.{body}.{encoded(model.sign(f'{head}.{body}'.encode(), key))}"


async def refused(tokens: Tokens, token: str, kind: Kind = Kind.ACCESS, wanted: str = HERE) -> str:
    """The sentence that it is refused with."""
    with pytest.raises(CredentialInvalid) as caught:
        await tokens.verify(token, kind, wanted)
    return caught.value.message


# What was put in comes out


async def test_an_access_token_says_who_it_is_for_how_long_and_for_what(tokens: Tokens, clock: Clock) -> None:
    token = await tokens.issue(Kind.ACCESS, MEMBER, HERE, 3600, scope="openid email", family="f1")

    claims = await tokens.verify(token, Kind.ACCESS, HERE)

    assert (Kind.ACCESS, MEMBER, HERE, "openid email", "f1", None) == (
        claims.kind,
        claims.member,
        claims.audience,
        claims.scope,
        claims.family,
        claims.access,
    )
    assert (START_US, START_US + 3600 * 1_000_000) == (claims.issued_at_us, claims.expires_at_us)


async def test_a_registry_token_says_which_repositories(tokens: Tokens) -> None:
    access = (Access("gcr", "p/a", frozenset({"pull", "push"})), Access("eu", "p/b/c", frozenset()), Access("gcr", "", frozenset({"*"})))

    token = await tokens.issue(Kind.REGISTRY, "", "registry", 300, access=access)

    claims = await tokens.verify(token, Kind.REGISTRY, "registry")
    assert access == claims.access
    assert "" == claims.member


async def test_a_registry_token_without_access_gives_none(tokens: Tokens) -> None:
    token = await tokens.issue(Kind.REGISTRY, MEMBER, "registry", 300)

    assert () == (await tokens.verify(token, Kind.REGISTRY, "registry")).access


async def test_an_identity_token_has_what_openid_connect_asks_for(tokens: Tokens) -> None:
    token = await tokens.issue(Kind.IDENTITY, MEMBER, "a-client", 3600, extra={"email": "someone@example.com", "email_verified": True})

    header, claims = (decoded(part) for part in token.split(".")[:2])

    assert "JWT" == header["typ"]
    assert {"iss", "sub", "aud", "exp", "iat", "email", "email_verified"} <= claims.keys()
    assert all(isinstance(claims[name], int) for name in ("iat", "exp", "nbf"))


async def test_every_token_has_an_id_of_its_own(tokens: Tokens) -> None:
    made = [await tokens.verify(await tokens.issue(Kind.ACCESS, MEMBER, HERE, 60), Kind.ACCESS, HERE) for _ in range(50)]

    assert 50 == len({claims.token_id for claims in made})


async def test_the_moment_of_issue_is_exact(tokens: Tokens, clock: Clock) -> None:
    """Signing out everywhere voids what was issued before, and spares what is issued in the same second after it."""
    clock.now_us += 123_456

    claims = await tokens.verify(await tokens.issue(Kind.ACCESS, MEMBER, HERE, 60), Kind.ACCESS, HERE)

    assert START_US + 123_456 == claims.issued_at_us


async def test_another_node_verifies_what_this_one_signed(tokens: Tokens, other_node: Database, clock: Clock) -> None:
    token = await tokens.issue(Kind.ACCESS, MEMBER, HERE, 60)

    there = Tokens(SigningKeys(other_node, clock), clock, issuer("abc"))

    assert MEMBER == (await there.verify(token, Kind.ACCESS, HERE)).member


@pytest.mark.parametrize("seconds", [0, -1, 86_401, 10**9])
async def test_no_token_lives_longer_than_a_day(tokens: Tokens, seconds: int) -> None:
    with pytest.raises(FieldInvalid):
        await tokens.issue(Kind.ACCESS, MEMBER, HERE, seconds)


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "nbf", "iat", "iat_us", "jti", "scope", "access", "family"])
async def test_extra_claims_do_not_replace_those_of_the_server(tokens: Tokens, name: str) -> None:
    with pytest.raises(FieldInvalid):
        await tokens.issue(Kind.IDENTITY, MEMBER, HERE, 60, extra={name: "x"})


async def test_a_token_that_would_be_too_long_to_read_is_not_made(tokens: Tokens) -> None:
    access = tuple(Access("gcr", f"project/{'x' * 100}-{number}", frozenset({"pull"})) for number in range(200))

    with pytest.raises(FieldInvalid):
        await tokens.issue(Kind.REGISTRY, MEMBER, HERE, 60, access=access)


# Times


async def test_a_token_ends_exactly_at_its_end(tokens: Tokens, clock: Clock) -> None:
    token = await tokens.issue(Kind.ACCESS, MEMBER, HERE, 60)
    clock.now_us = START_US + 60 * 1_000_000 - 1
    await tokens.verify(token, Kind.ACCESS, HERE)
    clock.now_us += 1

    assert "the token has expired" == await refused(tokens, token)


async def test_clocks_of_nodes_may_differ_by_a_minute(tokens: Tokens, clock: Clock) -> None:
    token = await tokens.issue(Kind.ACCESS, MEMBER, HERE, 600)
    clock.go(-60)
    await tokens.verify(token, Kind.ACCESS, HERE)
    clock.go(-1)

    assert "not valid yet" in await refused(tokens, token)


async def test_a_token_is_good_after_rotation_until_its_end(tokens: Tokens, keys: SigningKeys, clock: Clock) -> None:
    await keys.current()
    clock.go(7 * 86_400 - 1)
    token = await tokens.issue(Kind.ACCESS, MEMBER, HERE, 86_400)
    old = jws.header(token, "ES256").kid
    clock.go(86_399)

    new = jws.header(await tokens.issue(Kind.ACCESS, MEMBER, HERE, 60), "ES256").kid

    assert old != new
    assert MEMBER == (await tokens.verify(token, Kind.ACCESS, HERE)).member


# For whom and for what


@pytest.mark.parametrize("made", Kind)
@pytest.mark.parametrize("wanted", Kind)
async def test_a_token_of_one_kind_never_passes_for_another(tokens: Tokens, made: Kind, wanted: Kind) -> None:
    token = await tokens.issue(made, MEMBER, HERE, 60)

    if made is wanted:
        await tokens.verify(token, wanted, HERE)
    else:
        assert "another purpose" in await refused(tokens, token, wanted)


@pytest.mark.parametrize("wanted", ["", "roadstead:", "roadstead:abcd", "roadstead:ab", "ROADSTEAD:ABC", "*"])
async def test_the_audience_is_compared_whole(tokens: Tokens, wanted: str) -> None:
    token = await tokens.issue(Kind.ACCESS, MEMBER, HERE, 60)

    assert "somebody else" in await refused(tokens, token, wanted=wanted)


async def test_a_token_of_another_installation_is_refused_even_with_the_same_keys(tokens: Tokens, keys: SigningKeys, clock: Clock) -> None:
    token = await Tokens(keys, clock, issuer("other")).issue(Kind.ACCESS, MEMBER, HERE, 60)

    assert "another server" in await refused(tokens, token)


# Forgeries. Each gets the claims of a good token and the good token's header.

Forge = Callable[[Key, dict[str, Any], dict[str, Any]], str]
THIEF = ECKey.generate_key("P-256")
RSA_THIEF = RSAKey.generate_key(2048)


def own_key_in_the_header(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """CVE-2025-24976: the kid is one that we trust, the key is not."""
    return signed({**header, "jwk": THIEF.as_dict(private=False)}, claims, THIEF, "ES256")


def own_key_named_as_ours(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return signed({**header, "jwk": {**THIEF.as_dict(private=False), "kid": key.kid}}, claims, THIEF, "ES256")


def another_key(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return signed(header, claims, THIEF, "ES256")


def foreign_kid(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return signed({**header, "kid": THIEF.thumbprint()}, claims, THIEF, "ES256")


def kid_that_is_a_path(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return signed({**header, "kid": "../../../../dev/null"}, claims, THIEF, "ES256")


def kid_that_is_sql(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return signed({**header, "kid": f"x' OR id = '{key.kid}"}, claims, THIEF, "ES256")


def kid_that_is_no_text(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return signed({**header, "kid": [key.kid]}, claims, THIEF, "ES256")


def kid_of_half_a_character(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return signed({**header, "kid": "\ud800"}, claims, THIEF, "ES256")


def no_kid(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return signed({"alg": "ES256", "typ": header["typ"]}, claims, key.private, "ES256")


def no_signature(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return f"{encoded({**header, 'alg': 'none'})}.{encoded(claims)}."


def no_signature_in_other_letters(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return f"{encoded({**header, 'alg': 'nOnE'})}.{encoded(claims)}."


def empty_signature(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return f"{encoded(header)}.{encoded(claims)}."


def signature_of_zeros(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """CVE-2022-21449: r and s of nought."""
    return f"{encoded(header)}.{encoded(claims)}.{encoded(bytes(64))}"


def hmac_with_the_public_key(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    head = f"{encoded({**header, 'alg': 'HS256'})}.{encoded(claims)}"
    return f"{head}.{encoded(hmac.digest(key.public.as_pem(private=False), head.encode(), hashlib.sha256))}"


def hmac_with_an_empty_secret(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    head = f"{encoded({**header, 'alg': 'HS256'})}.{encoded(claims)}"
    return f"{head}.{encoded(hmac.digest(b'', head.encode(), hashlib.sha256))}"


def rsa(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return signed({**header, "alg": "RS256"}, claims, RSA_THIEF, "RS256")


def another_algorithm_with_our_key(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return signed({**header, "alg": "ES384"}, claims, key.private, "ES256")


def _with_header(name: str, value: object) -> Forge:
    """Signed with our own key: even so, a header that names keys or rules is refused."""

    def forge(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
        return signed({**header, name: value}, claims, key.private, "ES256")

    forge.__name__ = f"header_{name}"
    return forge


def _with_claim(name: str, value: object) -> Forge:
    """Signed with our own key, as an older or another version of this program might."""

    def forge(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
        changed = {**claims, name: value}
        if value is None:
            del changed[name]
        return signed(header, json.dumps(changed).encode(), key.private, "ES256")

    forge.__name__ = f"claim_{name}_{value!r:.20}"
    return forge


def claim_twice(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    body = json.dumps(claims)[:-1] + ', "sub": "user:owner@example.com"}'
    return signed(header, body.encode(), key.private, "ES256")


def header_twice(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    head = json.dumps(header)[:-1] + ', "alg": "none"}'
    return signed(head.encode(), claims, key.private, "ES256")


def claims_changed(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    head, _, signature = signed(header, claims, key.private, "ES256").split(".")
    return f"{head}.{encoded({**claims, 'sub': 'user:owner@example.com'})}.{signature}"


def claims_that_are_a_list(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return signed(header, [claims], key.private, "ES256")


def deep_claims(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return signed(header, b"[" * 11_000, key.private, "ES256")


def huge_number(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return signed(header, json.dumps(claims).replace(str(claims["exp"]), "9" * 9_000).encode(), key.private, "ES256")


def claims_in_another_encoding(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return signed(header, json.dumps(claims).encode("utf-16"), key.private, "ES256")


def encrypted(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return ".".join([encoded({"alg": "dir", "enc": "A128GCM", "kid": key.kid}), "", encoded(b"x" * 12), encoded(b"y"), encoded(b"z" * 16)])


FORGERIES: list[Forge] = [
    own_key_in_the_header,
    own_key_named_as_ours,
    another_key,
    foreign_kid,
    kid_that_is_a_path,
    kid_that_is_sql,
    kid_that_is_no_text,
    kid_of_half_a_character,
    no_kid,
    no_signature,
    no_signature_in_other_letters,
    empty_signature,
    signature_of_zeros,
    hmac_with_the_public_key,
    hmac_with_an_empty_secret,
    rsa,
    another_algorithm_with_our_key,
    claim_twice,
    header_twice,
    claims_changed,
    claims_that_are_a_list,
    deep_claims,
    huge_number,
    claims_in_another_encoding,
    encrypted,
    _with_header("jwk", THIEF.as_dict(private=False)),
    _with_header("jku", "https://example.com/keys"),
    _with_header("x5u", "https://example.com/certificate"),
    _with_header("x5c", ["MIIB"]),
    _with_header("x5t", "AAAA"),
    _with_header("crit", ["exp"]),
    _with_header("crit", []),
    _with_header("b64", False),
    _with_header("zip", "DEF"),
    _with_header("typ", "AT+JWT"),
    _with_header("typ", None),
    _with_header("typ", ["at+jwt"]),
    _with_header("alg", ["ES256"]),
    _with_claim("exp", None),
    _with_claim("exp", "4000000000"),
    _with_claim("exp", True),
    _with_claim("exp", float("nan")),
    _with_claim("exp", float("inf")),
    _with_claim("exp", 0),
    _with_claim("exp", -1),
    _with_claim("nbf", None),
    _with_claim("nbf", 4_000_000_000),
    _with_claim("iat_us", None),
    _with_claim("iat_us", 4_000_000_000_000_000),
    _with_claim("iat_us", 1.5),
    _with_claim("aud", None),
    _with_claim("aud", [HERE]),
    _with_claim("aud", ["other", HERE]),
    _with_claim("iss", None),
    _with_claim("iss", "https://accounts.google.com"),
    _with_claim("sub", ["user:owner@example.com"]),
    _with_claim("sub", 7),
    _with_claim("jti", {}),
    _with_claim("family", 1),
    _with_claim("scope", ["a"]),
]


@on_one_database
@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
async def test_a_forged_token_is_refused(tokens: Tokens, keys: SigningKeys, forge: Forge) -> None:
    good = await tokens.issue(Kind.ACCESS, MEMBER, HERE, 3600)
    header, claims = (decoded(part) for part in good.split(".")[:2])

    forged = forge(await keys.current(), header, claims)

    await refused(tokens, forged)
    # What it was made of is good, so it is the forgery that is refused.
    assert MEMBER == (await tokens.verify(good, Kind.ACCESS, HERE)).member


async def test_signing_the_same_claims_ourselves_is_no_forgery(tokens: Tokens, keys: SigningKeys) -> None:
    """Else the test above would prove nothing."""
    good = await tokens.issue(Kind.ACCESS, MEMBER, HERE, 3600)
    header, claims = (decoded(part) for part in good.split(".")[:2])

    assert MEMBER == (await tokens.verify(signed(header, claims, (await keys.current()).private, "ES256"), Kind.ACCESS, HERE)).member


@pytest.mark.parametrize("access", ["*", [{"name": "p/a", "actions": ["pull"]}], [["gcr", "p/a", ["pull"]]], None, {"gcr": "p/a"}])
async def test_access_that_is_not_written_as_ours_gives_nothing(tokens: Tokens, keys: SigningKeys, access: object) -> None:
    good = await tokens.issue(Kind.REGISTRY, MEMBER, HERE, 3600, access=(Access("gcr", "p/a", frozenset({"pull"})),))
    header, claims = (decoded(part) for part in good.split(".")[:2])

    token = signed(header, {**claims, "access": access}, (await keys.current()).private, "ES256")

    assert "access" in await refused(tokens, token, Kind.REGISTRY)


async def test_a_token_that_was_cut_anywhere_is_refused(tokens: Tokens) -> None:
    token = await tokens.issue(Kind.ACCESS, MEMBER, HERE, 3600)

    for length in range(len(token)):
        await refused(tokens, token[:length])


@on_one_database
@pytest.mark.parametrize(
    "text", ["", ".", "..", "...", "a.b.c", "é.é.é", "\ud800.a.b", "e30.e30.e30", "bnVsbA.e30.e30", "\0", " ", "a" * 16_384]
)
async def test_what_is_no_token_is_refused(tokens: Tokens, text: str) -> None:
    await refused(tokens, text)


async def test_a_megabyte_is_refused_before_any_of_it_is_read(tokens: Tokens) -> None:
    huge = "e30." * 250_000
    began = time.perf_counter()
    for _ in range(1000):
        assert "16 KiB" in await refused(tokens, huge)

    assert 1.0 > time.perf_counter() - began


@given(
    text=st.one_of(
        st.text(max_size=200), st.lists(st.binary(max_size=60), min_size=2, max_size=4).map(lambda parts: ".".join(map(encoded, parts)))
    )
)
@settings(max_examples=300, deadline=None)
def test_no_text_makes_the_reader_fail_otherwise(text: str) -> None:
    with pytest.raises(CredentialInvalid):
        jws.header(text, "ES256")


@given(payload=st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_no_claims_make_the_reader_fail_otherwise(payload: bytes) -> None:
    token = signed({"alg": "ES256", "kid": "k"}, payload, THIEF, "ES256")
    jws.header(token, "ES256")
    try:
        found = jws.verified(token, THIEF, "ES256")
    except CredentialInvalid:
        return
    assert json.loads(payload) == found


@on_one_database
@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256", "ES384", "EdDSA", "", None, 7])
async def test_the_algorithm_is_ours_before_a_key_is_looked_for(tokens: Tokens, algorithm: object) -> None:
    token = f"{encoded({'alg': algorithm, 'kid': 'k', 'typ': 'at+jwt'})}.e30.AAAA"

    assert "the token is not signed with ES256" == await refused(tokens, token)
