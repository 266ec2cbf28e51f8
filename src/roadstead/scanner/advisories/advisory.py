"""What every feed is made of, once it is read: one record per release, source package, vulnerability and range of versions."""

from __future__ import annotations

import hashlib
from enum import Enum

import msgspec


class Form(Enum):
    """The kinds of feeds that can be read."""

    DEBIAN = "debian"  # the Debian security tracker's JSON
    ALPINE = "alpine"  # Alpine's secdb
    OSV = "osv"
    OPENVEX = "openvex"
    CSAF = "csaf"


class State(Enum):
    """What the feed says of the release. All but NOT_AFFECTED and UNDETERMINED make findings."""

    AFFECTED = "affected"  # open: no fix yet
    FIXED = "fixed"  # versions from `fixed` on are good
    NOT_AFFECTED = "not_affected"
    UNDETERMINED = "undetermined"  # nobody has looked yet
    WONT_FIX = "wont_fix"  # affected, and it will stay so
    POSTPONED = "postponed"  # affected, to be fixed with a later update
    END_OF_LIFE = "end_of_life"  # affected, and the package or release is no longer supported


class Cvss(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """version is `2.0`, `3.0`, `3.1` or `4.0`."""

    version: str
    vector: str


class Advisory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """
    What one feed says about one vulnerability of one package in one release.

    feed is the operator's name of the feed and form its kind; record is the feed's own name of the record it came from.
    ecosystem is an os-release ID (`debian`, `ubuntu`, `alpine` …) or, for language packages, the kind (`pypi`, `npm` …) with
    an empty release. release is as in `Distro.release`; package is the source package.
    id is the one to show: the CVE if there is one. aliases are all other names, sorted, without id.

    Affected are the versions from introduced on (empty: from the first) that are lower than fixed (empty: there is no fix)
    and not higher than last_affected (empty: no such bound). Only in state FIXED is `fixed` a version to install: else it merely
    ends the range. note is the distribution's remark, e.g. why there is no fix.
    priority is the distribution's own word for the severity, in lower case, or empty. modified_at is RFC 3339 as in the feed, or empty.
    """

    feed: str
    form: Form
    record: str
    ecosystem: str
    release: str
    package: str
    id: str
    state: State
    aliases: tuple[str, ...] = ()
    introduced: str = ""
    fixed: str = ""
    last_affected: str = ""
    priority: str = ""
    cvss: tuple[Cvss, ...] = ()
    note: str = ""
    summary: str = ""
    description: str = ""
    urls: tuple[str, ...] = ()
    modified_at: str = ""

    @property
    def key(self) -> tuple[str, str, str, str, str, str, str]:
        """What makes it the same record in the next edition of the feed: feed, ecosystem, release, package, id, record, introduced."""
        return self.feed, self.ecosystem, self.release, self.package, self.id, self.record, self.introduced

    def encode(self) -> bytes:
        """Compact bytes for the store."""
        return _encoder.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Advisory:
        """Of bytes that encode() made."""
        return _decoder.decode(data)

    @property
    def digest(self) -> bytes:
        """16 bytes that change whenever something is said differently; the feed's name and the time of change are not part of it."""
        content = msgspec.structs.replace(self, feed="", modified_at="")
        return hashlib.blake2b(_encoder.encode(content), digest_size=16).digest()


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Advisory)
