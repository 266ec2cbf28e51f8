"""Digests: `algorithm:encoded`, the identity of every blob and manifest (image-spec, Descriptors, Digests)."""

from __future__ import annotations

import functools
import hashlib
import re
from typing import TYPE_CHECKING

from roadstead.errors import DigestInvalid

if TYPE_CHECKING:
    from hashlib import _Hash

_PATTERN = re.compile(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}")

REMEMBERED = 4096

ALGORITHMS = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}


class Digest(str):
    """A valid digest. Being a str it is a key, a header value and an SQL parameter as it is."""

    __slots__ = ()

    @classmethod
    @functools.lru_cache(REMEMBERED)
    def parse(cls, text: str) -> Digest:
        """Raises DigestInvalid."""
        if _PATTERN.fullmatch(text) is None:
            raise DigestInvalid("a digest is sha256: with 64 or sha512: with 128 lower-case hexadecimal digits", {"digest": text[:200]})
        return cls(text)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Digest:
        return cls(f"{algorithm}:{ALGORITHMS[algorithm](content).hexdigest()}")

    @property
    def algorithm(self) -> str:
        return self[:6]

    @property
    def encoded(self) -> str:
        return self[7:]

    def hasher(self) -> _Hash:
        return ALGORITHMS[self.algorithm]()
