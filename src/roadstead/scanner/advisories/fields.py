"""What a record may say: identifiers, names, texts and addresses, bounded and made harmless."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

import msgspec

# What decoding raises: for what is no JSON or of the wrong shape, no UTF-8, or nested deeper than anything sensible.
BROKEN: tuple[type[Exception], ...] = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

MAX_SUMMARY_LENGTH = 300
MAX_DESCRIPTION_LENGTH = 4000
MAX_NOTE_LENGTH = 500
MAX_URLS = 20
MAX_ALIASES = 100

_CVE = re.compile(r"(?<![A-Za-z0-9])CVE[-_ ]+(\d{4})[-_ ]+(\d{4,19})(?![0-9A-Za-z])", re.ASCII | re.IGNORECASE)
_PLAIN_CVE = re.compile(r"CVE-\d{4}-\d{4,19}", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}")
_PACKAGE = re.compile(r"[A-Za-z0-9@_.][A-Za-z0-9@_.:/+~-]{0,255}")
_VERSION = re.compile(r"[!-~]{1,512}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_URL = re.compile(r"https?://[!#-;=?-\[\]_a-z~%]{1,1000}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_SPACE = re.compile(r"\s+")


def cves(text: str) -> list[str]:
    """Every CVE that text names, in order, also as feeds misspell them: `CVE_2019-1234`, `CVE 2018-16859`, `UBUNTU-CVE-2021-3782`."""
    if _PLAIN_CVE.fullmatch(text):
        return [text]
    return list(dict.fromkeys(f"CVE-{year}-{number}" for year, number in _CVE.findall(text)))


def is_identifier(text: object) -> bool:
    """Whether it can be the name of a vulnerability or record: `GHSA-…`, `XSA-196`, `TEMP-0000000-0CA7E3`."""
    return isinstance(text, str) and _IDENTIFIER.fullmatch(text) is not None


def is_package(text: object) -> bool:
    return isinstance(text, str) and _PACKAGE.fullmatch(text) is not None


def is_version(text: object) -> bool:
    """Whether it can be a version at all: what the ecosystem says to it is asked when it is compared."""
    return isinstance(text, str) and _VERSION.fullmatch(text) is not None


def aliases(names: Iterable[str], without: str = "") -> tuple[str, ...]:
    """The identifiers among names that say more than without does (`UBUNTU-CVE-2021-3782` does not), sorted, each once."""
    return tuple(sorted({name for name in names if is_identifier(name) and not (without and name.endswith(without))})[:MAX_ALIASES])


def line(text: object, limit: int) -> str:
    """One line without control characters, cut at limit with an ellipsis; empty for what is no text."""
    if not isinstance(text, str):
        return ""
    clean = _SPACE.sub(" ", _CONTROL.sub("", text[: 4 * limit])).strip()
    return clean if len(clean) <= limit else clean[: limit - 1].rstrip() + "…"


@lru_cache(maxsize=256)
def paragraphs(text: object) -> str:
    """As line, of MAX_DESCRIPTION_LENGTH, and line breaks stay."""
    if not isinstance(text, str):
        return ""
    clean = _CONTROL.sub("", text[: 4 * MAX_DESCRIPTION_LENGTH].replace("\r\n", "\n")).strip()
    return clean if len(clean) <= MAX_DESCRIPTION_LENGTH else clean[: MAX_DESCRIPTION_LENGTH - 1].rstrip() + "…"


@lru_cache(maxsize=1000)
def word(text: str) -> str:
    """A short line in lower case, of which a feed has few."""
    return line(text, 40).lower()


def urls(addresses: Iterable[object]) -> tuple[str, ...]:
    """The http and https addresses, each once, MAX_URLS at most: they become links in pages."""
    found: dict[str, None] = {}
    for address in addresses:
        if isinstance(address, str) and address not in found and _URL.fullmatch(address):
            found[address] = None
            if len(found) == MAX_URLS:
                break
    return tuple(found)


def time(text: object) -> str:
    return text if isinstance(text, str) and _TIME.fullmatch(text) else ""
