"""
Keys of service accounts: RSA pairs, of which the server keeps the public half, and what their owners sign with them.

A key's private half is given out once, in the file that Google's clients read. With it they sign assertions (RFC 7523) for the token
endpoint, or, as Google's Python libraries do, tokens that they send with each request.

Spec: IAM API v1, projects.serviceAccounts.keys; AIP-4111, self-signed JWT.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import RSAKey

from roadstead.db.database import Database, Row, Transaction
from roadstead.errors import CredentialInvalid, FieldInvalid, ResourceUnknown, StateForbids
from roadstead.iam import jws
from roadstead.iam.generation import Generation
from roadstead.iam.queries import keys as queries
from roadstead.iam.revocation import revoke_key
from roadstead.iam.service_accounts import ANY_PROJECT, Clock, ServiceAccount, ServiceAccounts, is_name, locked

ALGORITHM = "RS256"
MOST_KEYS = 10
"""For each account, as Google."""
FOREVER_US = 253_402_300_799_000_000
"""9999-12-31T23:59:59Z: what Google says of a key that does not expire."""
GENERATED, UPLOADED = "GOOGLE_PROVIDED", "USER_PROVIDED"
USER_MANAGED = "USER_MANAGED"

_US = 1_000_000
_LEEWAY_SECONDS = 300
_MOST_UPLOAD_BYTES = 16 * 1024
# Of 4,096 bits it has 3,272.
_MOST_PRIVATE_BYTES = 4096
_SIZES = {"KEY_ALG_UNSPECIFIED": 2048, "KEY_ALG_RSA_2048": 2048, "KEY_ALG_RSA_4096": 4096}
_ALGORITHMS = {2048: "KEY_ALG_RSA_2048", 4096: "KEY_ALG_RSA_4096"}
_KEY_ID = re.compile(r"[0-9a-f]{40}")
_MOST_REMEMBERED = 4096
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The address of an API, which is what Google's libraries put as audience. Token endpoints are none.
_API_AUDIENCE = re.compile(r"https://[a-z0-9-]+\.googleapis\.com/")


@dataclass(frozen=True, slots=True)
class ServiceAccountKey:
    """
    id: 40 hexadecimal digits. public_key: PEM, a certificate or, if only that was uploaded, a bare public key. origin: GENERATED or
    UPLOADED. valid_before_us is FOREVER_US where nothing ends it. last_used_at_us may be a minute late.
    """

    id: str
    email: str
    project: str
    unique_id: str
    public_key: str
    algorithm: str
    origin: str
    disabled: bool
    valid_after_us: int
    valid_before_us: int
    last_used_at_us: int | None

    @property
    def name(self) -> str:
        return f"projects/{self.project}/serviceAccounts/{self.email}/keys/{self.id}"

    @property
    def certificate(self) -> str | None:
        """PEM; None where only a public key was uploaded."""
        return self.public_key if "BEGIN CERTIFICATE" in self.public_key else None

    @property
    def bare_public_key(self) -> str:
        """PEM, SubjectPublicKeyInfo."""
        return _pem(_public_key(self.public_key.encode()))


@dataclass(frozen=True, slots=True)
class Assertion:
    """
    Verified: the account signed these claims with this key. issued_at_us is the end of the second that the signer said, because clocks of
    clients have no parts of one. ends_at_us: when it expires, or its key before. is_uploaded: another server may know the key too.
    """

    email: str
    project: str
    unique_id: str
    key_id: str
    issued_at_us: int
    expires_at_us: int
    ends_at_us: int
    is_uploaded: bool
    audience: str
    claims: dict[str, object]

    @property
    def member(self) -> str:
        return f"serviceAccount:{self.email}"


@dataclass(frozen=True, slots=True)
class _Verified:
    """What holds until the generation changes. The times are the key's."""

    assertion: Assertion
    valid_after_us: int
    valid_before_us: int


Listed = list[ServiceAccountKey]


class Keys:
    """Methods take an account by e-mail address or number, and the project of the path, as ServiceAccounts does."""

    def __init__(self, database: Database, generation: Generation, now_us: Clock) -> None:
        self._database = database
        self._generation = generation
        self._now_us = now_us
        self._accounts = ServiceAccounts(database, generation, now_us)
        self._verified: dict[bytes, _Verified] = {}
        self._verified_as_of = -1
        self._used_at_us: dict[str, int] = {}

    async def create(
        self, account: str, key_algorithm: str = "KEY_ALG_RSA_2048", lifetime_seconds: int | None = None, project: str = ANY_PROJECT
    ) -> tuple[ServiceAccountKey, str]:
        """
        A new key, and its private half as PEM (PKCS #8), which is nowhere else from then on. Works on a disabled account.

        Raises ResourceUnknown, FieldInvalid for an algorithm that is weak or unknown, StateForbids when the account has 10 keys.
        """
        size_bits = _SIZES.get(key_algorithm)
        if size_bits is None:
            raise FieldInvalid(f"keyAlgorithm is one of {', '.join(_SIZES)}", {"keyAlgorithm": key_algorithm[:100]})
        if lifetime_seconds is not None and lifetime_seconds <= 0:
            raise FieldInvalid("a key lives for at least a second", {"lifetime": lifetime_seconds})
        found = await self._accounts.get(account, project)
        await _check_count(self._database, found)
        now_us = self._now_us()
        valid_before_us = FOREVER_US if lifetime_seconds is None else min(now_us + lifetime_seconds * _US, FOREVER_US)
        private_key, certificate = await asyncio.to_thread(_generate, size_bits, found.unique_id, now_us, valid_before_us)
        key = _new_key(found, certificate, _ALGORITHMS[size_bits], GENERATED, now_us, valid_before_us)
        return await self._add(key, project), private_key

    async def upload(self, account: str, public_key: bytes, project: str = ANY_PROJECT) -> ServiceAccountKey:
        """
        A key whose private half its owner keeps: PEM, an X.509 certificate (the key is valid as long as it is) or a public key.

        Raises ResourceUnknown, FieldInvalid when it is no RSA key of 2,048 to 4,096 bits, StateForbids when the account has 10 keys.
        """
        found = await self._accounts.get(account, project)
        valid_after_us, valid_before_us = self._now_us(), FOREVER_US
        key = _uploaded(public_key)
        text = _pem(key)
        if b"BEGIN CERTIFICATE" in public_key:
            certificate = x509.load_pem_x509_certificate(public_key)
            valid_after_us, valid_before_us = _to_us(certificate.not_valid_before_utc), _to_us(certificate.not_valid_after_utc)
            text = certificate.public_bytes(serialization.Encoding.PEM).decode()
        if valid_before_us <= self._now_us():
            raise FieldInvalid("the certificate has expired", {"field": "publicKeyData"})
        algorithm = _ALGORITHMS.get(key.key_size, "KEY_ALG_UNSPECIFIED")
        return await self._add(_new_key(found, text, algorithm, UPLOADED, valid_after_us, valid_before_us), project)

    async def list(self, account: str, types: Sequence[str] = (), project: str = ANY_PROJECT) -> Listed:
        """
        Oldest first. types are Google's; all keys here are USER_MANAGED.

        Raises ResourceUnknown.
        """
        found = await self._accounts.get(account, project)
        if types and USER_MANAGED not in types:
            return []
        return [_key(row) for row in await self._database.all(queries.OF_ACCOUNT, {"account": found.email})]

    async def get(self, account: str, key_id: str, project: str = ANY_PROJECT) -> ServiceAccountKey:
        """Of this account only. Raises ResourceUnknown."""
        found = await self._accounts.get(account, project)
        row = await self._database.one(queries.ONE, {"key": _checked(key_id), "account": found.email})
        if row is None:
            raise _unknown(key_id)
        return _key(row)

    async def disable(self, account: str, key_id: str, project: str = ANY_PROJECT) -> None:
        """Refused from now on, until it is enabled; the tokens that were made with it for ever. Raises ResourceUnknown."""
        await self._set_disabled(account, key_id, project, disabled=True)

    async def enable(self, account: str, key_id: str, project: str = ANY_PROJECT) -> None:
        """Raises ResourceUnknown."""
        await self._set_disabled(account, key_id, project, disabled=False)

    async def delete(self, account: str, key_id: str, project: str = ANY_PROJECT) -> None:
        """For ever, with the tokens that were made with it. Raises ResourceUnknown."""
        async with self._generation.change() as tx:
            found = await locked(tx, account, project)
            if not await tx.run(queries.DELETE, {"key": _checked(key_id), "account": found.email}):
                raise _unknown(key_id)
            await revoke_key(tx, key_id, self._now_us())

    async def expiring(self, within_seconds: int, most: int = 1000) -> Listed:
        """Those in use that end within this time, the next one first: whom to warn."""
        now_us = self._now_us()
        values = {"now_us": now_us, "until_us": now_us + within_seconds * _US, "most": most}
        return [_key(row) for row in await self._database.all(queries.EXPIRING, values)]

    async def verify_assertion(self, token: str, audiences: frozenset[str] | None, *, most_seconds: int = 3600) -> Assertion:
        """
        Who signed this, for one of these audiences; None leaves the audience to the caller. Its life is at most most_seconds (and five
        minutes, for clocks that differ).

        The key is looked for among those of the account that the token says it is from, and nowhere else. Verified ones are remembered
        until accounts or keys change.

        Raises CredentialInvalid. Whoever has not signed with a known key learns nothing of which accounts and keys there are.
        """
        if len(token) > jws.MOST_BYTES or not token.isascii():
            raise CredentialInvalid("the token is longer than 16 KiB, or has characters that no token has")
        verified = await self._verify(token)
        assertion = verified.assertion
        self._check_times(verified, most_seconds)
        if audiences is not None and assertion.audience not in audiences:
            raise CredentialInvalid("the token is meant for somebody else: its aud is not this server's token endpoint")
        self._used_at_us[assertion.key_id] = self._now_us()
        return assertion

    async def verify_private_key(self, email: str, key_id: str, private_key: str) -> ServiceAccountKey:
        """
        The account's key whose private half this is, PEM without a password.

        Raises CredentialInvalid. Whoever does not have it learns nothing of which accounts and keys there are.
        """
        row = await self._row(email, key_id)
        if row is None or not _is_private_half(private_key, _public_key(str(row[4]).encode())):
            raise CredentialInvalid("not authorized: the key file is not one of a service account of this server")
        key, now_us = _key(row), self._now_us()
        _check_enabled(key, row)
        _check_validity(key.id, key.valid_after_us, key.valid_before_us, now_us)
        self._used_at_us[key.id] = now_us
        return key

    async def verify_bearer(self, token: str, audiences: frozenset[str] = frozenset()) -> Assertion:
        """
        A token that an account signed itself, in place of one of ours: aud is the address of an API (`https://cloudbuild.googleapis.com/`,
        whatever the server's name, or one of audiences), or there is a scope and no aud. What was signed for a token endpoint, or to get an
        identity token, is good there only.

        Raises CredentialInvalid. Spec: AIP-4111.
        """
        assertion = await self.verify_assertion(token, None)
        if "target_audience" in assertion.claims:
            raise CredentialInvalid("the token asks for an identity token: exchange it at the token endpoint")
        # Google's library for Go writes `"aud": ""` beside the scope.
        if assertion.claims.get("aud", "") != "":
            if assertion.audience not in audiences and not _API_AUDIENCE.fullmatch(assertion.audience):
                raise CredentialInvalid("the token is meant for somebody else: its aud is not the address of an API")
        elif not jws.text(assertion.claims, "scope").strip():
            raise CredentialInvalid("the token has neither aud nor scope")
        return assertion

    async def flush(self) -> None:
        """Write when keys were last used. To be called once a minute, and at the end."""
        used, self._used_at_us = self._used_at_us, {}
        if not used:
            return
        try:
            async with self._database.transaction() as tx:
                # In one order, so that nodes do not wait for each other in a circle.
                await tx.run_many(queries.USED, [{"key": key, "used_at_us": at_us} for key, at_us in sorted(used.items())])
        except BaseException:
            self._used_at_us = used | self._used_at_us
            raise

    async def _verify(self, token: str) -> _Verified:
        """The signature, and what the account's and key's rows say."""
        as_of = self._generation.value
        if as_of != self._verified_as_of:
            self._verified, self._verified_as_of = {}, as_of
        digest = hashlib.sha256(token.encode()).digest()
        verified = self._verified.pop(digest, None)
        if verified is None:
            verified = await self._verify_anew(token)
            if as_of != self._verified_as_of:
                return verified
            if len(self._verified) >= _MOST_REMEMBERED:
                del self._verified[next(iter(self._verified))]
        # Last in the dict are those that were asked for last.
        self._verified[digest] = verified
        return verified

    async def _verify_anew(self, token: str) -> _Verified:
        kid, _ = jws.header(token, ALGORITHM)
        email = jws.text(jws.unverified(token), "iss")
        row = await self._row(email, kid)
        if row is None:
            raise CredentialInvalid("the token is not signed by a key of a service account of this server")
        key = _key(row)
        try:
            claims = jws.verified(token, RSAKey.import_key(key.bare_public_key), ALGORITHM)
        except CredentialInvalid as error:
            raise CredentialInvalid("the token is not signed by a key of a service account of this server") from error
        _check_enabled(key, row)
        if jws.text(claims, "sub") not in ("", email):
            raise CredentialInvalid("a service account signs for itself only: sub has to be iss, or missing")
        return _Verified(_assertion(key, claims), key.valid_after_us, key.valid_before_us)

    async def _row(self, email: str, key_id: str) -> Row | None:
        """No look at the database for what cannot be."""
        could_be = _KEY_ID.fullmatch(key_id) and is_name(email)
        return await self._database.one(queries.ONE, {"key": key_id, "account": email}) if could_be else None

    def _check_times(self, verified: _Verified, most_seconds: int) -> None:
        assertion, now_us = verified.assertion, self._now_us()
        _check_validity(assertion.key_id, verified.valid_after_us, verified.valid_before_us, now_us)
        if assertion.expires_at_us <= now_us:
            raise CredentialInvalid("the token has expired")
        if assertion.issued_at_us > now_us + (_LEEWAY_SECONDS + 1) * _US:
            raise CredentialInvalid("the token was issued in the future: is a clock wrong?")
        if assertion.expires_at_us - assertion.issued_at_us > (most_seconds + _LEEWAY_SECONDS) * _US:
            raise CredentialInvalid(f"the token lives longer than {most_seconds} seconds")

    async def _set_disabled(self, account: str, key_id: str, project: str, *, disabled: bool) -> None:
        async with self._generation.change() as tx:
            found = await locked(tx, account, project)
            values = {"key": _checked(key_id), "account": found.email, "new_disabled": int(disabled)}
            if not await tx.run(queries.SET_DISABLED, values):
                raise _unknown(key_id)
            if disabled:
                await revoke_key(tx, key_id, self._now_us())

    async def _add(self, key: ServiceAccountKey, project: str) -> ServiceAccountKey:
        async with self._database.transaction() as tx:
            account = await locked(tx, key.email, project)
            if account.unique_id != key.unique_id:
                raise ResourceUnknown(f"the service account {key.email} was deleted meanwhile")
            await _check_count(tx, account)
            await tx.run(
                queries.ADD,
                {
                    "id": key.id,
                    "email": key.email,
                    "public_key": key.public_key,
                    "algorithm": key.algorithm,
                    "origin": key.origin,
                    "valid_after_us": key.valid_after_us,
                    "valid_before_us": key.valid_before_us,
                },
            )
        return key


def _check_enabled(key: ServiceAccountKey, row: Sequence[object]) -> None:
    """The key and its account. Raises CredentialInvalid."""
    if row[11]:
        raise CredentialInvalid(f"the service account {key.email} is disabled")
    if key.disabled:
        raise CredentialInvalid(f"the key {key.id} is disabled")


def _check_validity(key_id: str, valid_after_us: int, valid_before_us: int, now_us: int) -> None:
    """Raises CredentialInvalid."""
    # Another node, whose clock is behind, may be asked first about a key that was just made.
    if valid_after_us > now_us + _LEEWAY_SECONDS * _US:
        raise CredentialInvalid(f"the key {key_id} is not valid yet")
    if valid_before_us <= now_us:
        raise CredentialInvalid(f"the key {key_id} has expired")


def _is_private_half(pem: str, public_key: rsa.RSAPublicKey) -> bool:
    """
    Whoever has the factors of the modulus has the key, so they are multiplied and nothing is computed with them: RSA with numbers that a
    stranger chose takes as long as they like.
    """
    if len(pem) > _MOST_PRIVATE_BYTES:
        return False
    try:
        private_key = serialization.load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(private_key, rsa.RSAPrivateKey):
            return False
        numbers = private_key.private_numbers()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    known = public_key.public_numbers()
    return numbers.public_numbers == known and numbers.p > 1 and numbers.q > 1 and numbers.p * numbers.q == known.n


def key_file(key: ServiceAccountKey, private_key: str, base_url: str) -> dict[str, str]:
    """
    The file that Google's clients take for credentials (`GOOGLE_APPLICATION_CREDENTIALS`, docker's password of `_json_key`), with the
    addresses of this server, base_url, which has no slash at its end.
    """
    return {
        "type": "service_account",
        "project_id": key.project,
        "private_key_id": key.id,
        "private_key": private_key,
        "client_email": key.email,
        "client_id": key.unique_id,
        "auth_uri": f"{base_url}/o/oauth2/auth",
        "token_uri": f"{base_url}/token",
        "auth_provider_x509_cert_url": f"{base_url}/oauth2/v1/certs",
        "client_x509_cert_url": f"{base_url}/robot/v1/metadata/x509/{quote(key.email, safe='')}",
        "universe_domain": "googleapis.com",
    }


def _generate(size_bits: int, unique_id: str, valid_after_us: int, valid_before_us: int) -> tuple[str, str]:
    """PEM of the private half, and of a certificate that it signs for itself: some clients want keys as such."""
    key = rsa.generate_private_key(65537, size_bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, unique_id)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_to_time(valid_after_us))
        .not_valid_after(_to_time(valid_before_us))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()


def _new_key(
    account: ServiceAccount, public_key: str, algorithm: str, origin: str, valid_after_us: int, valid_before_us: int
) -> ServiceAccountKey:
    return ServiceAccountKey(
        id=secrets.token_hex(20),
        email=account.email,
        project=account.project,
        unique_id=account.unique_id,
        public_key=public_key,
        algorithm=algorithm,
        origin=origin,
        disabled=False,
        valid_after_us=valid_after_us,
        valid_before_us=valid_before_us,
        last_used_at_us=None,
    )


async def _check_count(reader: Database | Transaction, account: ServiceAccount) -> None:
    row = await reader.one(queries.COUNT, {"account": account.email})
    if row and row[0] >= MOST_KEYS:
        raise StateForbids(f"the service account {account.email} has {MOST_KEYS} keys, as many as it may: delete one first")


def _key(row: Sequence[object]) -> ServiceAccountKey:
    last_used_at_us = row[10]
    return ServiceAccountKey(
        id=str(row[0]),
        email=str(row[1]),
        project=str(row[2]),
        unique_id=str(row[3]),
        public_key=str(row[4]),
        algorithm=str(row[5]),
        origin=str(row[6]),
        disabled=bool(row[7]),
        valid_after_us=int(str(row[8])),
        valid_before_us=int(str(row[9])),
        last_used_at_us=last_used_at_us if isinstance(last_used_at_us, int) else None,
    )


def _assertion(key: ServiceAccountKey, claims: dict[str, object]) -> Assertion:
    expires_at_us = jws.seconds(claims, "exp") * _US
    return Assertion(
        email=key.email,
        project=key.project,
        unique_id=key.unique_id,
        key_id=key.id,
        issued_at_us=(jws.seconds(claims, "iat") + 1) * _US - 1,
        expires_at_us=expires_at_us,
        ends_at_us=min(expires_at_us, key.valid_before_us),
        is_uploaded=key.origin != GENERATED,
        audience=jws.text(claims, "aud"),
        claims=claims,
    )


def _uploaded(public_key: bytes) -> rsa.RSAPublicKey:
    if len(public_key) > _MOST_UPLOAD_BYTES:
        raise FieldInvalid("a public key has at most 16 KiB", {"field": "publicKeyData"})
    try:
        key = _public_key(public_key)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FieldInvalid(
            "publicKeyData is a PEM file with one X.509 certificate or RSA public key", {"field": "publicKeyData"}
        ) from error
    # Odd exponents and long moduli make every verification slow.
    if not 2048 <= key.key_size <= 4096 or key.public_numbers().e != 65537:
        raise FieldInvalid("the key has to be RSA of 2,048 to 4,096 bits with the exponent 65,537", {"field": "publicKeyData"})
    return key


def _public_key(pem: bytes) -> rsa.RSAPublicKey:
    """Raises ValueError, UnsupportedAlgorithm."""
    if b"BEGIN CERTIFICATE" in pem:
        key: object = x509.load_pem_x509_certificate(pem).public_key()
    else:
        key = serialization.load_pem_public_key(pem)
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")
    return key


def _pem(key: rsa.RSAPublicKey) -> str:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def _to_time(at_us: int) -> datetime:
    return _EPOCH + timedelta(seconds=at_us // _US)


def _to_us(time: datetime) -> int:
    return int((time - _EPOCH).total_seconds()) * _US


def _checked(key_id: str) -> str:
    if not _KEY_ID.fullmatch(key_id):
        raise _unknown(key_id)
    return key_id


def _unknown(key_id: str) -> ResourceUnknown:
    shown = key_id[:200].encode("ascii", "replace").decode()
    return ResourceUnknown(f"there is no key {shown} of this service account", {"key": shown})
