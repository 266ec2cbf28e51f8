"""
Packages of Red Hat, Fedora, SUSE and their kin: rpm's database in each of its three forms, and the headers in it.

`rpmdb.sqlite` since rpm 4.16, `Packages.db` (ndb) on SUSE, `Packages` (a Berkeley DB hash) before; see `rpmdb.py` for the files.
A header is an index of tags and their data (rpm, Package File Format, Header).
"""

from __future__ import annotations

import struct

from roadstead.scanner.inventory import Package
from roadstead.scanner.packages import rpmdb

DATABASES = tuple(
    f"{folder}/{name}"
    for folder in ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm")
    for name in ("rpmdb.sqlite", "Packages.db", "Packages")
)
_READERS = {"rpmdb.sqlite": rpmdb.sqlite, "Packages.db": rpmdb.ndb, "Packages": rpmdb.berkeley}

_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH, _SOURCE = 1000, 1001, 1002, 1003, 1022, 1044
_INT32, _STRING, _STRINGS, _I18N = 4, 6, 8, 9
_WANTED = frozenset({_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH, _SOURCE})
_TAGS = 65536
_VALUE_BYTES = 4096


def required(path: str) -> bool:
    return path.endswith(("/rpm/rpmdb.sqlite", "/rpm/Packages.db", "/rpm/Packages"))


def parse(path: str, content: bytes) -> list[Package]:
    """The packages, but not the keys that rpm keeps among them. Versions are `EPOCH:VERSION-RELEASE`, without an epoch of 0."""
    found = {}
    for header in _READERS[path.rpartition("/")[2]](content):
        tags = _tags(header)
        name, version, release = tags.get(_NAME, ""), tags.get(_VERSION, ""), tags.get(_RELEASE, "")
        if not name or not version or name == "gpg-pubkey":
            continue
        epoch = tags.get(_EPOCH, "0")
        prefix = f"{epoch}:" if epoch != "0" else ""
        full = f"{prefix}{version}-{release}" if release else f"{prefix}{version}"
        source, source_version = _source(tags.get(_SOURCE, ""))
        package = Package("rpm", name, full, source or name, f"{prefix}{source_version}" if source else full, tags.get(_ARCH, ""), path)
        found[package.identity] = package
    return list(found.values())


def _tags(header: bytes) -> dict[int, str]:
    """The tags we read; {} of a header that is damaged."""
    if len(header) < 8:
        return {}
    count, size = struct.unpack_from(">II", header)
    start = 8 + count * 16
    if count > _TAGS or start + size > len(header):
        return {}
    tags: dict[int, str] = {}
    for tag, kind, offset, _ in struct.iter_unpack(">IIII", header[8:start]):
        if tag not in _WANTED or offset >= size:
            continue
        at = start + offset
        if kind == _INT32 and offset + 4 <= size:
            tags[tag] = str(struct.unpack_from(">I", header, at)[0])
        elif kind in (_STRING, _STRINGS, _I18N):
            end = header.find(b"\0", at, at + _VALUE_BYTES)
            if end >= 0:
                tags[tag] = header[at:end].decode("utf-8", "replace").strip()
    return tags


def _source(file: str) -> tuple[str, str]:
    """`bash-5.1.8-6.el9.src.rpm`: name, version and release, the last two without dashes."""
    parts = file.removesuffix(".rpm").rpartition(".")[0].rsplit("-", 2)
    return (parts[0], f"{parts[1]}-{parts[2]}") if len(parts) == 3 and all(parts) else ("", "")
