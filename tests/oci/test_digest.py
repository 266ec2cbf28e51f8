"""Digests (image-spec, Descriptors, Digests)."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from roadstead.errors import DigestInvalid
from roadstead.oci.digest import ALGORITHMS, Digest

SHA256 = f"sha256:{'0a' * 32}"
SHA512 = f"sha512:{'0a' * 64}"


@pytest.mark.parametrize("text", [SHA256, SHA512])
def test_the_registered_algorithms_are_known(text: str) -> None:
    digest = Digest.parse(text)

    assert text == digest
    assert text.split(":") == [digest.algorithm, digest.encoded]


NOT_DIGESTS = {
    "nothing": "",
    "only an algorithm": "sha256",
    "no encoded part": "sha256:",
    "no algorithm": f":{'0a' * 32}",
    "a digit too few": SHA256[:-1],
    "a digit too many": SHA256 + "0",
    "the other algorithm's length": f"sha512:{'0a' * 32}",
    "upper-case digits": f"sha256:{'0A' * 32}",
    "an upper-case algorithm": SHA256.upper(),
    "no hexadecimal digit": f"sha256:{'0g' * 32}",
    "an unknown algorithm": f"md5:{'0a' * 16}",
    "a weak algorithm": f"sha1:{'0a' * 20}",
    "a path": "sha256:../../../../etc/passwd",
    "a path of the right length": "sha256:" + "../" * 21 + "a",
    "a line end": SHA256 + "\n",
    "a blank before": " " + SHA256,
    "a NUL": SHA256[:-1] + "\0",
    "a NUL after": SHA256 + "\0",
    "Arabic digits": "sha256:" + "१" * 64,
    "full-width digits": "sha256:" + "\uff10" * 64,
    "a lone surrogate": "sha256:\ud800" + "0" * 63,
    "two digests": f"{SHA256},{SHA256}",
    "an escaped colon": SHA256.replace(":", "%3a"),
}


@pytest.mark.parametrize("text", NOT_DIGESTS.values(), ids=NOT_DIGESTS.keys())
def test_what_is_no_digest_is_refused(text: str) -> None:
    """CVE-2024-3727: a digest that is not checked becomes a path, or a request to somewhere else."""
    with pytest.raises(DigestInvalid):
        Digest.parse(text)


@given(st.text(max_size=200) | st.from_regex(r"(sha256|sha512|md5):[0-9a-fA-F]{60,130}\n?"))
@example(SHA256)
def test_any_text_is_a_digest_or_digest_invalid(text: str) -> None:
    try:
        digest = Digest.parse(text)
    except DigestInvalid as error:
        assert len(str(error.detail)) < 2000, "an error must not carry a text of any length"
    else:
        assert re.fullmatch("sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", text)
        assert text == str(digest)


def test_a_very_long_text_is_refused_at_once() -> None:
    with pytest.raises(DigestInvalid) as refused:
        Digest.parse("sha256:" + "a" * 10_000_000)
    assert len(str(refused.value.detail)) < 1000


@given(st.binary(max_size=1000), st.sampled_from(sorted(ALGORITHMS)))
def test_printing_and_parsing_the_digest_of_any_content_gives_it_back(content: bytes, algorithm: str) -> None:
    digest = Digest.of(content, algorithm)

    assert digest == Digest.parse(str(digest))
    assert f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}" == digest


@given(st.lists(st.binary(max_size=100), max_size=10), st.sampled_from(sorted(ALGORITHMS)))
def test_a_digest_s_hasher_makes_the_same_digest_piece_by_piece(pieces: list[bytes], algorithm: str) -> None:
    digest = Digest.of(b"".join(pieces), algorithm)

    hasher = digest.hasher()
    for piece in pieces:
        hasher.update(piece)

    assert digest.encoded == hasher.hexdigest()


def test_a_digest_is_a_key_like_its_text() -> None:
    assert {SHA256: 1}[Digest.parse(SHA256)] == 1
