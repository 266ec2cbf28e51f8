"""Workload identity federation: whose token is taken, for what, and what becomes of its claims. Issuers are real ones on a socket."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from roadstead.db.database import Database
from roadstead.errors import (
    AlreadyExists,
    ConditionInvalid,
    CredentialInvalid,
    FieldInvalid,
    GrantRefused,
    ResourceUnknown,
    RoadsteadError,
    StateForbids,
)
from roadstead.iam.federation import Federation
from roadstead.iam.fetch import MOST_BYTES, Fetch
from roadstead.iam.generation import Generation
from roadstead.iam.pools import Pool, Provider, pool_name, provider_name
from roadstead.iam.principals import Principals
from roadstead.iam.signing import SigningKeys, installation
from roadstead.iam.tokens import Kind, Tokens, audience, issuer
from tests.kit.issuer import Issuer, form, github, gitlab, issuing, kubernetes, rsa_key, signed

pytestmark = pytest.mark.anyio

NUMBER = 123456789012
POOL = pool_name(NUMBER, "ci-pool")
PROVIDER = provider_name(NUMBER, "ci-pool", "the-issuer")
AUDIENCE = f"//iam.googleapis.com/{PROVIDER}"
PRINCIPAL = f"principal://iam.googleapis.com/{POOL}/subject/"
SET = f"principalSet://iam.googleapis.com/{POOL}/"


@pytest.fixture(scope="module")
def shared_issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


@pytest.fixture
def provider_of_tokens(shared_issuer: Issuer) -> Issuer:
    shared_issuer.answers.clear()
    shared_issuer.requests.clear()
    shared_issuer.keys = [shared_issuer.key]
    return shared_issuer


class Clock:
    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def __call__(self) -> int:
        return int((time.time() + self.ahead_seconds) * 1e6)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def federation(database: Database, generation: Generation, provider_of_tokens: Issuer, clock: Clock) -> Federation:
    """With a pool, and a provider whose tokens have GitHub's claims."""
    made = Federation(database, generation, clock, Fetch({provider_of_tokens.host}))
    await made.pools.create_pool(Pool(POOL, "a-project", "CI", "", False, None))
    await made.pools.create_provider(a_provider(provider_of_tokens.url))
    return made


def a_provider(url: str, **changes: Any) -> Provider:
    provider = Provider(
        name=PROVIDER,
        pool=POOL,
        display_name="",
        description="",
        issuer=url,
        audiences=(),
        mapping={"google.subject": "assertion.sub"},
        condition="",
        jwks="",
        disabled=False,
        deleted_at_us=None,
    )
    return replace(provider, **changes)


async def change(federation: Federation, **changes: Any) -> None:
    await federation.pools.change_provider(PROVIDER, lambda provider: replace(provider, **changes))


async def refusal(federation: Federation, token: str, where: str = AUDIENCE) -> tuple[str, str]:
    with pytest.raises(GrantRefused) as refused:
        await federation.exchange(where, token)
    return refused.value.code, refused.value.message


# Whose token is taken


async def test_a_token_of_the_issuer_for_this_provider_becomes_its_principal(federation: Federation, provider_of_tokens: Issuer) -> None:
    found = await federation.exchange(AUDIENCE, provider_of_tokens.token(AUDIENCE))

    assert PRINCIPAL + "someone" == found.member
    assert {SET + "*"} == found.attributes


@pytest.mark.parametrize("given", [AUDIENCE, f"https:{AUDIENCE}", ["https://elsewhere.example.com", AUDIENCE]])
async def test_the_audience_is_the_providers_name_with_or_without_https(
    federation: Federation, provider_of_tokens: Issuer, given: str | list[str]
) -> None:
    for asked in (AUDIENCE, f"https:{AUDIENCE}"):
        assert (await federation.exchange(asked, provider_of_tokens.token(given))).member


@pytest.mark.parametrize(
    "given",
    [
        "https://elsewhere.example.com",
        AUDIENCE + "/",
        AUDIENCE.replace(str(NUMBER), str(NUMBER + 1)),
        AUDIENCE.replace("the-issuer", "the-other"),
        "",
        [],
        [["nested"]],
        None,
        7,
    ],
)
async def test_a_token_for_another_audience_is_refused(federation: Federation, provider_of_tokens: Issuer, given: Any) -> None:
    """MCP registry GHSA-95c3-6vvw-4mrq: a token that was given to somebody else must not be of use here."""
    code, message = await refusal(federation, provider_of_tokens.token(given))

    assert "invalid_grant" == code
    assert "meant for somebody else" in message


async def test_allowed_audiences_take_the_place_of_the_providers_name(federation: Federation, provider_of_tokens: Issuer) -> None:
    await change(federation, audiences=("https://registry.example.com",))

    assert (await federation.exchange(AUDIENCE, provider_of_tokens.token("https://registry.example.com"))).member
    assert "invalid_grant" == (await refusal(federation, provider_of_tokens.token(AUDIENCE)))[0]


async def test_a_token_of_another_issuer_is_refused_and_nobody_is_asked(federation: Federation, provider_of_tokens: Issuer) -> None:
    code, message = await refusal(federation, provider_of_tokens.token(AUDIENCE, iss="http://127.0.0.1:1"))

    assert ("invalid_grant", []) == (code, provider_of_tokens.requests)
    assert "was not issued by" in message


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ({"exp": int(time.time()) - 1}, "has expired"),
        ({"exp": None}, "exp is not a time"),
        ({"iat": None}, "iat is not a time"),
        ({"exp": "9999999999"}, "exp is not a time"),
        ({"exp": True}, "exp is not a time"),
        ({"nbf": int(time.time()) + 6000}, "not valid yet"),
        ({"iat": int(time.time()) + 6000, "exp": int(time.time()) + 6300}, "not valid yet"),
        ({"exp": int(time.time()) + 90_000}, "longer than 24 hours"),
    ],
)
async def test_times_are_checked(federation: Federation, provider_of_tokens: Issuer, claims: dict[str, Any], sentence: str) -> None:
    code, message = await refusal(federation, provider_of_tokens.token(AUDIENCE, **claims))

    assert "invalid_grant" == code
    assert sentence in message


# Attacks on the signature


async def forged(kind: str, issuer: Issuer) -> str:
    good = issuer.token(AUDIENCE)
    head, body, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    own = rsa_key("first")
    encoded = base64.urlsafe_b64encode
    match kind:
        case "another key with the trusted kid":
            return signed(own, claims)
        case "embedded jwk":
            return signed(own, claims, jwk=own.as_dict(private=False))
        case "jku":
            return signed(own, claims, jku="http://127.0.0.1:1/jwks")
        case "x5u":
            return signed(own, claims, x5u="http://127.0.0.1:1/cert")
        case "crit":
            return signed(issuer.key, claims, crit=["cty"], cty="JWT")
        case "none":
            return f"{encoded(json.dumps({'alg': 'none', 'kid': 'first'}).encode()).decode().rstrip('=')}.{body}."
        case "HS256 with the public key as the secret":
            assert isinstance(issuer.key, RSAKey)
            start = f"{encoded(json.dumps({'alg': 'HS256', 'kid': 'first'}).encode()).decode().rstrip('=')}.{body}"
            mac = hmac.digest(issuer.key.as_pem(private=False), start.encode(), "sha256")
            return f"{start}.{encoded(mac).decode().rstrip('=')}"
        case "PS256":
            return signed(issuer.key, claims, "PS256")
        case "ES256 by a key of the same kid":
            return signed(ECKey.generate_key("P-256", {"kid": "first"}, private=True), claims, "ES256")
        case "changed claims":
            other = encoded(json.dumps({**claims, "sub": "admin"}).encode()).decode().rstrip("=")
            return f"{head}.{other}.{signature}"
        case "no signature":
            return f"{head}.{body}."
        case "two parts":
            return f"{head}.{body}"
        case "five parts":
            return f"{good}.{body}.{signature}"
        case "doubled claim":
            text = json.dumps(claims)[:-1] + ', "sub": "admin"}'
            return f"{head}.{encoded(text.encode()).decode().rstrip('=')}.{signature}"
        case "a list as claims":
            return f"{head}.{encoded(b'[]').decode().rstrip('=')}.{signature}"
        case "a megabyte":
            return f"{head}.{'A' * 1_000_000}.{signature}"
        case "nested":
            return f"{head}.{encoded(b'[' * 9000).decode().rstrip('=')}.{signature}"
        case "not text":
            return "\ud800.\0.é"
    return ""


@pytest.mark.parametrize(
    "kind",
    [
        "another key with the trusted kid",
        "embedded jwk",
        "jku",
        "x5u",
        "crit",
        "none",
        "HS256 with the public key as the secret",
        "PS256",
        "ES256 by a key of the same kid",
        "changed claims",
        "no signature",
        "two parts",
        "five parts",
        "doubled claim",
        "a list as claims",
        "a megabyte",
        "nested",
        "not text",
        "empty",
    ],
)
async def test_a_forged_token_is_refused(federation: Federation, provider_of_tokens: Issuer, kind: str) -> None:
    """CVE-2025-24976 and its like: the key is the issuer's, the algorithm is the key's, and nothing in the token changes that."""
    code, _ = await refusal(federation, await forged(kind, provider_of_tokens))

    assert "invalid_grant" == code
    assert set(provider_of_tokens.requests) <= {"/.well-known/openid-configuration", "/jwks"}


async def test_a_header_with_a_thumbprint_is_fine(federation: Federation, provider_of_tokens: Issuer) -> None:
    """GitHub's tokens have x5t."""
    claims = {"iss": provider_of_tokens.url, "aud": AUDIENCE, "iat": int(time.time()), "exp": int(time.time()) + 300, "sub": "x"}

    assert (await federation.exchange(AUDIENCE, signed(provider_of_tokens.key, claims, x5t="eFGYfyKVNKk_nCOgCGsSLPmUSoY"))).member


async def test_elliptic_curves_are_taken(federation: Federation, provider_of_tokens: Issuer) -> None:
    curve = ECKey.generate_key("P-256", {"kid": "curve"}, private=True)
    provider_of_tokens.keys = [*provider_of_tokens.keys, curve]
    claims = {"iss": provider_of_tokens.url, "aud": AUDIENCE, "iat": int(time.time()), "exp": int(time.time()) + 300, "sub": "x"}

    assert (await federation.exchange(AUDIENCE, signed(curve, claims, "ES256"))).member


# The issuer's keys


async def test_keys_are_fetched_once_and_again_when_they_rotate_but_not_for_every_stranger(
    federation: Federation, provider_of_tokens: Issuer, clock: Clock
) -> None:
    await federation.exchange(AUDIENCE, provider_of_tokens.token(AUDIENCE))
    await federation.exchange(AUDIENCE, provider_of_tokens.token(AUDIENCE))
    assert 2 == len(provider_of_tokens.requests)

    before = provider_of_tokens.key
    provider_of_tokens.rotate("second")
    for _ in range(20):
        await refusal(federation, provider_of_tokens.token(AUDIENCE))
    assert 2 == len(provider_of_tokens.requests)

    clock.ahead_seconds = 31
    assert (await federation.exchange(AUDIENCE, provider_of_tokens.token(AUDIENCE))).member
    assert 4 == len(provider_of_tokens.requests)

    provider_of_tokens.key = before
    assert "invalid_grant" == (await refusal(federation, provider_of_tokens.token(AUDIENCE)))[0], "its issuer has withdrawn this key"


async def test_keys_that_cannot_be_renewed_are_not_used_for_ever(federation: Federation, provider_of_tokens: Issuer, clock: Clock) -> None:
    await federation.exchange(AUDIENCE, provider_of_tokens.token(AUDIENCE))
    provider_of_tokens.answers["/jwks"] = (503, {}, b"")
    token = provider_of_tokens.token(AUDIENCE, exp=int(time.time()) + 20_000)

    clock.ahead_seconds = 3500
    assert (await federation.exchange(AUDIENCE, token)).member
    clock.ahead_seconds = 3700
    assert "status 503" in (await refusal(federation, token))[1]


@pytest.mark.parametrize(
    ("path", "answer", "sentence"),
    [
        ("/.well-known/openid-configuration", (404, {}, b""), "status 404"),
        ("/.well-known/openid-configuration", (429, {}, b""), "status 429"),
        ("/.well-known/openid-configuration", (302, {"location": "http://127.0.0.1:1/"}, b""), "status 302"),
        ("/.well-known/openid-configuration", (200, {}, b"<html>"), "no OpenID configuration"),
        ("/.well-known/openid-configuration", (200, {}, b'{"issuer": "https://other.example.com", "jwks_uri": "x"}'), "says that it is"),
        ("/jwks", (500, {}, b""), "status 500"),
        ("/jwks", (200, {}, b"[]"), "not a JSON Web Key Set"),
        ("/jwks", (200, {}, b'{"keys": []}'), "no key for RS256"),
        ("/jwks", (200, {}, b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "first"}]}'), "secret key"),
        ("/jwks", (200, {}, b" " * (MOST_BYTES + 1)), "larger than 512 KiB"),
    ],
)
async def test_what_cannot_be_checked_is_refused_with_its_own_sentence(
    federation: Federation, provider_of_tokens: Issuer, path: str, answer: tuple[int, dict[str, str], bytes], sentence: str
) -> None:
    """GHSA-2v5f-5r6w-p67r: an ownership check that failed open on 429."""
    provider_of_tokens.answers[path] = answer

    code, message = await refusal(federation, provider_of_tokens.token(AUDIENCE))

    assert "invalid_grant" == code
    assert sentence in message
    assert "could not be checked, so it is refused" in message


@pytest.mark.filterwarnings("ignore:Key size should be:joserfc.errors.SecurityWarning")
async def test_an_rsa_key_that_is_too_short_is_not_used(federation: Federation, provider_of_tokens: Issuer) -> None:
    weak = rsa_key("first", 1024)
    provider_of_tokens.keys = [weak]

    assert "invalid_grant" == (await refusal(federation, provider_of_tokens.token(AUDIENCE)))[0]


async def test_keys_in_the_provider_need_no_network(federation: Federation, provider_of_tokens: Issuer) -> None:
    """For Kubernetes clusters and networks without a way out."""
    await change(federation, jwks=provider_of_tokens.jwks())

    assert (await federation.exchange(AUDIENCE, provider_of_tokens.token(AUDIENCE))).member
    assert [] == provider_of_tokens.requests
    stranger = rsa_key("first")
    claims = {"iss": provider_of_tokens.url, "aud": AUDIENCE, "iat": int(time.time()), "exp": int(time.time()) + 300, "sub": "x"}
    assert "invalid_grant" == (await refusal(federation, signed(stranger, claims)))[0]


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[fe80::1]/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "http://192.0.2.1/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://someone:secret@127.0.0.1/",
        "https://",
        "https://127.0.0.1:99999/",
        "https://\ud800/",
        "not an address",
    ],
)
async def test_nothing_inside_is_asked(address: str) -> None:
    """Whoever sets up a provider chooses the address: it must not reach what only this server can."""
    with pytest.raises(CredentialInvalid) as refused:
        await Fetch()(address)

    assert "refused" in refused.value.message


async def test_a_host_that_the_operator_named_may_be_inside_but_http_only_on_loopback(provider_of_tokens: Issuer) -> None:
    address = f"{provider_of_tokens.url}/jwks"

    assert provider_of_tokens.jwks().encode() == await Fetch({provider_of_tokens.host})(address)
    assert provider_of_tokens.jwks().encode() == await Fetch({"127.0.0.1"})(address)
    with pytest.raises(CredentialInvalid, match="inside this network"):
        await Fetch({"127.0.0.1:1"})(address)
    with pytest.raises(CredentialInvalid, match="not https"):
        await Fetch({"10.1.2.3"})("http://10.1.2.3/jwks")


# What becomes of the claims


async def test_githubs_claims(federation: Federation, provider_of_tokens: Issuer) -> None:
    await change(
        federation,
        mapping={
            "google.subject": "assertion.sub",
            "attribute.repository": "assertion.repository",
            "attribute.branch": "assertion.ref.extract('refs/heads/{branch}')",
            "attribute.owner": "assertion['repository_owner']",
        },
        condition="assertion.repository_owner_id == '65' && attribute.branch in ['main', 'release']",
    )

    found = await federation.exchange(AUDIENCE, provider_of_tokens.token(AUDIENCE, **github()))

    assert PRINCIPAL + "repo:octo-org/octo-repo:ref:refs/heads/main" == found.member
    assert {
        SET + "*",
        SET + "attribute.repository/octo-org/octo-repo",
        SET + "attribute.branch/main",
        SET + "attribute.owner/octo-org",
    } == found.attributes
    stranger = provider_of_tokens.token(AUDIENCE, **{**github("octo-org/octo-repo"), "repository_owner_id": "66"})
    assert (
        "unauthorized_client",
        "The given credential is rejected by the attribute condition.",
    ) == await refusal(federation, stranger)
    branch = provider_of_tokens.token(AUDIENCE, **github(ref="refs/heads/feature"))
    assert "unauthorized_client" == (await refusal(federation, branch))[0]


async def test_gitlabs_claims(federation: Federation, provider_of_tokens: Issuer) -> None:
    await change(
        federation,
        mapping={"google.subject": "'gitlab:' + assertion.project_id", "google.groups": "assertion.groups_direct"},
        condition="assertion.namespace_path.startsWith('my-group') && 'my-group/admins' in google.groups",
    )

    found = await federation.exchange(AUDIENCE, provider_of_tokens.token(AUDIENCE, **gitlab()))

    assert PRINCIPAL + "gitlab:20" == found.member
    assert {SET + "*", SET + "group/my-group/admins", SET + "group/my-group/developers"} == found.attributes


async def test_kubernetes_claims(federation: Federation, provider_of_tokens: Issuer) -> None:
    await change(
        federation,
        mapping={
            "google.subject": "assertion.sub",
            "attribute.namespace": "assertion['kubernetes.io']['namespace']",
            "attribute.account": "assertion['kubernetes.io'].serviceaccount.name",
        },
        condition="assertion.sub.startsWith('system:serviceaccount:')",
        jwks=provider_of_tokens.jwks(),
    )

    found = await federation.exchange(AUDIENCE, provider_of_tokens.token(AUDIENCE, **kubernetes()))

    assert PRINCIPAL + "system:serviceaccount:builds:builder" == found.member
    assert {SET + "*", SET + "attribute.namespace/builds", SET + "attribute.account/builder"} == found.attributes


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ({"google.subject": "assertion.missing"}, "there is no missing"),
        ({"google.subject": "assertion.number"}, "must be a text"),
        ({"google.subject": "''"}, "1 to 127 bytes"),
        ({"google.subject": "assertion.long"}, "1 to 127 bytes"),
        ({"google.subject": "assertion.sub", "google.groups": "assertion.sub"}, "must be a list"),
        ({"google.subject": "assertion.sub", "attribute.x": "assertion.list"}, "must be a text"),
        ({"google.subject": "assertion.lines"}, "characters that no member"),
        ({"google.subject": "assertion.sub", "attribute.x": "assertion.lines"}, "characters that no member"),
        ({"google.subject": "assertion.sub", "google.groups": "assertion.many"}, "too much"),
        ({"google.subject": "assertion.sub + assertion.number"}, "joins two texts"),
    ],
)
async def test_claims_that_cannot_be_mapped_are_refused(
    federation: Federation, provider_of_tokens: Issuer, mapping: dict[str, str], sentence: str
) -> None:
    await change(federation, mapping=mapping)
    claims = {"number": 7, "long": "x" * 128, "list": ["a"], "lines": "a\nb", "many": [f"group-{'x' * 20}{n}" for n in range(60)]}

    code, message = await refusal(federation, provider_of_tokens.token(AUDIENCE, **claims))

    assert "invalid_grant" == code
    assert sentence in message


@pytest.mark.parametrize(
    "condition",
    [
        "assertion.missing == 'x'",
        "assertion.missing != 'x'",
        "!(assertion.missing == 'x')",
        "assertion.sub",
        "assertion.number == true",
        "assertion.number",
        "!assertion.number",
        "assertion.list == 'a'",
        "'someon' in assertion.sub",
        "assertion.sub in assertion.list",
        "google.missing == ''",
        "attribute.missing != 'x'",
        "assertion.list.all(x, x == 'b')",
        "assertion.list[7] == 'a'",
        "assertion.sub.startsWith(assertion.number)",
        "true && assertion.missing",
        "assertion.sub == 'someone' ? false : true",
    ],
)
async def test_a_condition_that_is_false_or_cannot_be_said_refuses(
    federation: Federation, provider_of_tokens: Issuer, condition: str
) -> None:
    await change(federation, condition=condition)

    code, _ = await refusal(federation, provider_of_tokens.token(AUDIENCE, number=1, list=["a"]))

    assert "unauthorized_client" == code


@pytest.mark.parametrize(
    "condition",
    [
        "true",
        "assertion.number == 1 && assertion.number < 2",
        "assertion.missing == 'x' || assertion.sub == 'someone'",
        "!has(assertion.missing) && has(assertion.sub)",
        "assertion.list.exists(x, x.startsWith('a')) && !assertion.list.all(x, x == 'b')",
        "'a' in assertion.list && assertion.sub in ['someone']",
        "assertion.sub.upperAscii() == 'SOMEONE' && assertion.sub.size() == 7 && size(assertion.list) == 1",
        "assertion.sub.split('m')[0] == 'so' && assertion.sub.replace('some', 'any') == 'anyone'",
        "google.subject == assertion.sub && assertion.sub.endsWith('one') && assertion.sub.contains('meo')",
        "string(assertion.number) == '1' && (assertion.number == 2 ? false : true)",
        'assertion.sub == "someone" && assertion["sub"] == r"someone"',
        "'a\\x62\\u0063' == 'abc' && [1, 2] != [1] && null == null",
    ],
)
async def test_a_condition_that_holds_lets_pass(federation: Federation, provider_of_tokens: Issuer, condition: str) -> None:
    await change(federation, condition=condition)

    assert (await federation.exchange(AUDIENCE, provider_of_tokens.token(AUDIENCE, number=1, list=["a"]))).member


@pytest.mark.parametrize(
    "condition",
    [
        "assertion.sub ==",
        "assertion.sub = 'x'",
        "request.time < 5",
        "assertion.sub.matches('.*')",
        "__import__('os')",
        "assertion.sub; true",
        "'unterminated",
        "(" * 30 + "true" + ")" * 30,
        "!" * 30 + "true",
        "true" + " && true" * 400,
        "x" * 5000,
        "assertion.list.exists(assertion, true)",
        "1.5 == 1.5",
        "has(true)",
        "'\\ud800' == ''",
        "",
    ],
)
async def test_what_is_no_expression_is_refused_when_it_is_set(federation: Federation, condition: str) -> None:
    with pytest.raises(ConditionInvalid):
        await change(
            federation, mapping={"google.subject": condition} if not condition else {"google.subject": "assertion.sub"}, condition=condition
        )


async def test_an_expression_cannot_run_for_long(federation: Federation, provider_of_tokens: Issuer) -> None:
    deep = "assertion.list.all(a, assertion.list.all(b, assertion.list.all(c, a + b + c == '')))"
    await change(federation, condition=f"!({deep}) || {deep.replace('== ', '!= ')}")

    began = time.perf_counter()
    await federation.exchange(AUDIENCE, provider_of_tokens.token(AUDIENCE, list=["x"] * 300))
    assert time.perf_counter() - began < 2

    await change(federation, condition=deep.replace("== ''", "!= ''"))
    assert "unauthorized_client" == (await refusal(federation, provider_of_tokens.token(AUDIENCE, list=["x"] * 300)))[0]


# Pools and providers


@pytest.mark.parametrize("which", ["pool", "provider"])
@pytest.mark.parametrize("how", ["disabled", "deleted"])
async def test_a_disabled_or_deleted_provider_is_no_target(
    federation: Federation, provider_of_tokens: Issuer, which: str, how: str
) -> None:
    pools = federation.pools
    token = provider_of_tokens.token(AUDIENCE)
    if which == "pool":
        await (pools.change_pool(POOL, lambda pool: replace(pool, disabled=True)) if how == "disabled" else pools.delete_pool(POOL))
    else:
        await (change(federation, disabled=True) if how == "disabled" else pools.delete_provider(PROVIDER))
    unknown = await refusal(federation, token, AUDIENCE.replace("the-issuer", "nothing-here"))

    assert unknown == await refusal(federation, token)
    assert "invalid_target" == unknown[0]


@pytest.mark.parametrize(
    "where", ["", "//iam.googleapis.com/", AUDIENCE + "/more", AUDIENCE.replace(str(NUMBER), "a-project"), "x" * 100_000]
)
async def test_an_audience_that_names_no_provider_is_refused(federation: Federation, provider_of_tokens: Issuer, where: str) -> None:
    assert "invalid_request" == (await refusal(federation, provider_of_tokens.token(AUDIENCE), where))[0]


async def test_a_deleted_pool_can_be_had_back_and_its_name_is_not_free_until_it_is_purged(federation: Federation, clock: Clock) -> None:
    pools = federation.pools
    await pools.delete_pool(POOL)
    assert [] == await pools.list_pools("a-project", "", 10)
    assert [POOL] == [pool.name for pool in await pools.list_pools("a-project", "", 10, deleted=True)]
    with pytest.raises(AlreadyExists):
        await pools.create_pool(Pool(POOL, "a-project", "", "", False, None))
    with pytest.raises(StateForbids):
        await pools.delete_pool(POOL)

    await pools.undelete_pool(POOL)
    assert [POOL] == [pool.name for pool in await pools.list_pools("a-project", "", 10)]

    await pools.delete_pool(POOL)
    await pools.purge()
    assert PROVIDER == (await pools.get_provider(PROVIDER)).name
    clock.ahead_seconds = 31 * 86_400
    await pools.purge()
    with pytest.raises(ResourceUnknown):
        await pools.get_pool(POOL)
    with pytest.raises(ResourceUnknown):
        await pools.get_provider(PROVIDER)


async def test_providers_are_listed_by_name_in_pages(federation: Federation, provider_of_tokens: Issuer) -> None:
    for name in ("abcd", "efgh", "zzzz"):
        await federation.pools.create_provider(a_provider(provider_of_tokens.url, name=provider_name(NUMBER, "ci-pool", name)))

    first = await federation.pools.list_providers(POOL, "", 2)
    second = await federation.pools.list_providers(POOL, first[-1].name, 2)

    assert ["abcd", "efgh", "the-issuer", "zzzz"] == [provider.name.rpartition("/")[2] for provider in [*first, *second]]


@pytest.mark.parametrize(
    "changes",
    [
        {"mapping": {}},
        {"mapping": {"google.subject": "assertion.sub", "google.other": "assertion.sub"}},
        {"mapping": {"google.subject": "assertion.sub", "attribute.Big": "assertion.sub"}},
        {"mapping": {"google.subject": "google.subject"}},
        {"issuer": "token.actions.githubusercontent.com"},
        {"issuer": "https://issuer.example.com/?x=1"},
        {"issuer": "https://token.actions.githubusercontent.com"},
        {"issuer": "https://gitlab.com", "condition": "true"},
        {"audiences": tuple(f"a{number}" for number in range(11))},
        {"audiences": ("",)},
        {"jwks": "{}"},
        {"jwks": json.dumps({"keys": [rsa_key("x").as_dict(private=True)]})},
        {"display_name": "x" * 33},
        {"description": "a\nb"},
    ],
)
async def test_a_provider_that_makes_no_sense_is_refused(federation: Federation, changes: dict[str, Any]) -> None:
    with pytest.raises(RoadsteadError) as refused:
        await change(federation, **changes)

    assert isinstance(refused.value, FieldInvalid | ConditionInvalid)


async def test_an_issuer_that_serves_everybody_needs_a_condition_on_its_claims(federation: Federation) -> None:
    await change(federation, issuer="https://token.actions.githubusercontent.com", condition="assertion.repository_owner == 'octo-org'")

    assert "https://token.actions.githubusercontent.com" == (await federation.pools.get_provider(PROVIDER)).issuer


# The token that comes of it


@pytest.fixture
async def tokens(database: Database, clock: Clock) -> Tokens:
    return Tokens(SigningKeys(database, clock), clock, issuer(await installation(database)))


async def test_the_grant_is_a_token_of_ours_that_says_who_it_is_and_to_which_sets_it_belongs(
    federation: Federation, provider_of_tokens: Issuer, tokens: Tokens, database: Database
) -> None:
    await change(federation, mapping={"google.subject": "assertion.sub", "attribute.repository": "assertion.repository"})
    name = await installation(database)

    grant = await federation.grant(form(provider_of_tokens.token(AUDIENCE, **github()), AUDIENCE), tokens, name)
    claims = await tokens.verify(grant.access_token, Kind.ACCESS, audience(name))

    assert PRINCIPAL + github()["sub"] == claims.member
    assert {SET + "*", SET + "attribute.repository/octo-org/octo-repo"} == claims.attributes
    assert "https://www.googleapis.com/auth/cloud-platform" == claims.scope
    assert {"access_token", "issued_token_type", "token_type", "expires_in"} == set(grant.answer())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:access_token"}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:aws:token-type:aws4_request"}, "invalid_request"),
        ({"actor_token": "x"}, "invalid_request"),
        ({"subject_token": ""}, "invalid_grant"),
    ],
)
async def test_a_request_that_asks_for_something_else_is_refused(
    federation: Federation, provider_of_tokens: Issuer, tokens: Tokens, changes: dict[str, str], code: str
) -> None:
    with pytest.raises(GrantRefused) as refused:
        await federation.grant(form(provider_of_tokens.token(AUDIENCE), AUDIENCE, **changes), tokens, "x")

    assert code == refused.value.code


async def test_our_own_token_cannot_be_exchanged_again(
    federation: Federation, provider_of_tokens: Issuer, tokens: Tokens, database: Database
) -> None:
    grant = await federation.grant(form(provider_of_tokens.token(AUDIENCE), AUDIENCE), tokens, await installation(database))

    assert "invalid_grant" == (await refusal(federation, grant.access_token))[0]


@pytest.mark.parametrize("how", ["disabled", "deleted"])
async def test_tokens_of_a_pool_stop_when_it_is_disabled_or_deleted(
    federation: Federation, database: Database, generation: Generation, how: str
) -> None:
    """IAM: a disabled pool's existing tokens give no access until it is enabled again."""
    principals = Principals(database, generation)
    pools = federation.pools
    assert PRINCIPAL + "someone" == (await principals.load(PRINCIPAL + "someone", 0)).member

    await (pools.change_pool(POOL, lambda pool: replace(pool, disabled=True)) if how == "disabled" else pools.delete_pool(POOL))
    with pytest.raises(CredentialInvalid):
        await principals.load(PRINCIPAL + "someone", 0)

    await (pools.change_pool(POOL, lambda pool: replace(pool, disabled=False)) if how == "disabled" else pools.undelete_pool(POOL))
    assert frozenset({SET + "*"}) == (await principals.load(PRINCIPAL + "someone", 0, frozenset({SET + "*"}))).attributes
