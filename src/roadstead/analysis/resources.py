"""What occurrences are about: an image by its address and digest, or anything else that has an address."""

from __future__ import annotations

import re
from dataclasses import dataclass

from roadstead.errors import FieldInvalid

SCHEME = "https://"
MOST_CHARACTERS = 2048
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-f]{32,128}")
_DIGEST_AT_END = re.compile(r"(?:^|@)(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$")


@dataclass(frozen=True, slots=True)
class Resource:
    """uri is without `https://`: `https://X` and `X` are one resource. with_scheme: how it was written."""

    uri: str
    with_scheme: bool = True

    @property
    def written(self) -> str:
        return SCHEME + self.uri if self.with_scheme else self.uri

    @property
    def digest(self) -> str:
        """`gcr.io/p/i@sha256:…` → `sha256:…`; "" where there is none."""
        last = self.uri.rpartition("@")[2]
        return last if _DIGEST.fullmatch(last) else ""


def parse(text: str, path: str = "occurrence.resourceUri") -> Resource:
    """Raises FieldInvalid; path is for that."""
    uri = without_scheme(text)
    if not uri:
        raise FieldInvalid(
            f"'{path}' is required: the address of what it is about, such as https://gcr.io/P/IMAGE@sha256:…", {"field": path}
        )
    if len(text.encode("utf-8", "replace")) > MOST_CHARACTERS or not text.isprintable() or " " in text:
        raise FieldInvalid(f"'{path}' may have {MOST_CHARACTERS} characters, no blanks and none that cannot be seen", {"field": path})
    return Resource(uri, text != uri)


def without_scheme(text: str) -> str:
    return text.removeprefix(SCHEME)


def digest_at_end(suffix: str) -> str:
    """Of an end of an address that has a whole digest: the digest. "" else."""
    match = _DIGEST_AT_END.search(suffix)
    return match[1] if match else ""
