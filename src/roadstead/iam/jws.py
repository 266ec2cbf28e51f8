"""
Signed JSON (RFC 7515, compact) read strictly: what a stranger sends is measured, then its header, then the signature, then the claims.

A header has `alg`, `kid` and `typ` and nothing else. So a token never brings its own key (`jwk`, `jku`, `x5u`, `x5c`: CVE-2025-24976)
nor asks for rules of its own (`crit`, `b64`), and the algorithm is the one that the reader demands, never the token's choice.
Names that occur twice, numbers that are none (NaN, Infinity) and deep nesting are refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Collection, Sequence
from typing import NamedTuple, NoReturn

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from roadstead.errors import CredentialInvalid

MOST_BYTES = 16 * 1024
# joserfc takes no longer ones, in base64.
_MOST_HEADER_BYTES = 512
_HEADER_NAMES = frozenset({"alg", "kid", "typ"})
_FOREIGN_REFUSED = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"})


class Header(NamedTuple):
    """typ is "" where there is none."""

    kid: str
    typ: str


class _Strict(json.JSONDecoder):
    def __init__(self) -> None:
        super().__init__(object_pairs_hook=_unique, parse_constant=_no_constant)


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


_STRICT = _Strict()
_REGISTRIES = {name: jws.JWSRegistry(algorithms=[name]) for name in ("ES256", "RS256")}


def header(token: str, algorithm: str) -> Header:
    """
    What is to be known to look for the key. Nothing is verified.

    Raises CredentialInvalid: too long, not three parts, another algorithm, a header that has more than it may.
    """
    if len(token) > MOST_BYTES:
        raise CredentialInvalid("the token is longer than 16 KiB")
    first, _, rest = token.partition(".")
    if len(first) > _MOST_HEADER_BYTES or rest.count(".") != 1:
        raise _malformed()
    fields = _object(first)
    if fields.get("alg") != algorithm:
        raise CredentialInvalid(f"the token is not signed with {algorithm}")
    if not fields.keys() <= _HEADER_NAMES:
        raise CredentialInvalid("the token's header may have alg, kid and typ only")
    kid, typ = fields.get("kid"), fields.get("typ", "")
    if not isinstance(kid, str) or not isinstance(typ, str):
        raise CredentialInvalid("the token's header does not say which key signed it")
    return Header(kid, typ)


def typ(token: str) -> str:
    """
    What a token says it is, to choose who reads it; nothing is checked yet. "" where it does not say.

    Raises CredentialInvalid.
    """
    if len(token) > MOST_BYTES:
        raise CredentialInvalid("the token is longer than 16 KiB")
    first, _, rest = token.partition(".")
    if len(first) > _MOST_HEADER_BYTES or rest.count(".") != 1:
        raise _malformed()
    found = _object(first).get("typ", "")
    return found if isinstance(found, str) else ""


def foreign_header(token: str, algorithms: Collection[str]) -> tuple[str, str]:
    """
    Algorithm and key id ("" where there is none) of a token that another provider made, whose headers have more (`x5t`).

    Nothing is verified.

    Raises CredentialInvalid: too long, not three parts, another algorithm, a header that brings a key or demands rules of its own.
    """
    if len(token) > MOST_BYTES:
        raise CredentialInvalid("the token is longer than 16 KiB")
    first, _, rest = token.partition(".")
    if len(first) > _MOST_HEADER_BYTES or rest.count(".") != 1:
        raise _malformed()
    fields = _object(first)
    algorithm, kid = fields.get("alg"), fields.get("kid", "")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise CredentialInvalid(f"the token is not signed with {' or '.join(sorted(algorithms))}")
    if not fields.keys().isdisjoint(_FOREIGN_REFUSED):
        raise CredentialInvalid("the token's header brings a key of its own, or demands rules that are not known here")
    if not isinstance(kid, str):
        raise CredentialInvalid("the token's kid is not text")
    return algorithm, kid


def unverified(token: str) -> dict[str, object]:
    """
    The claims of a token whose header() was read, as somebody wrote them: good for finding the key that they must be signed with.

    Raises CredentialInvalid.
    """
    return _object(token.split(".")[1])


def verified(token: str, key: ECKey | RSAKey, algorithm: str) -> dict[str, object]:
    """
    The claims of a token whose header() was read, signed by this key.

    Raises CredentialInvalid.
    """
    try:
        signed = jws.deserialize_compact(token, key, registry=_REGISTRIES[algorithm])
    except (JoseError, ValueError) as error:
        raise _bad_signature() from error
    return _decoded(signed.payload or b"")


def sign(fields: dict[str, str], claims: dict[str, object], key: ECKey | RSAKey, algorithm: str) -> str:
    payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode()
    return jws.serialize_compact({"alg": algorithm, **fields}, payload, key, registry=_REGISTRIES[algorithm])


def text(claims: dict[str, object], name: str) -> str:
    """
    "" where the claim is not there.

    Raises CredentialInvalid when it is no text.
    """
    value = claims.get(name, "")
    if not isinstance(value, str):
        raise CredentialInvalid(f"the token's {name} is not text")
    return value


def seconds(claims: dict[str, object], name: str) -> int:
    """
    A moment in seconds since 1970 (RFC 7519, NumericDate), rounded down.

    Raises CredentialInvalid when it is missing, or no number.
    """
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise CredentialInvalid(f"the token's {name} is not a time in seconds")
    return math.floor(value)


def integer(claims: dict[str, object], name: str) -> int:
    """Raises CredentialInvalid when it is missing, or no integer."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise CredentialInvalid(f"the token's {name} is not an integer")
    return value


def _object(segment: str) -> dict[str, object]:
    try:
        content = base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed() from error
    return _decoded(content)


def _decoded(content: bytes) -> dict[str, object]:
    try:
        found = _STRICT.decode(content.decode())
    except (ValueError, RecursionError) as error:
        raise _malformed() from error
    if not isinstance(found, dict):
        raise _malformed()
    return found


def _malformed() -> CredentialInvalid:
    return CredentialInvalid("this is not a token of three parts (header, claims, signature)")


def _bad_signature() -> CredentialInvalid:
    return CredentialInvalid("the token's signature is wrong")
