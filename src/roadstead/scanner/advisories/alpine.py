"""
Alpine's secdb: which version of a package first had the fixes of which vulnerabilities (secdb.alpinelinux.org, `v3.18/main.json`).

It knows no vulnerability without a fix. Identifiers are written by hand, and several may stand in one string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from roadstead.errors import FeedInvalid, VersionInvalid
from roadstead.scanner.advisories import fields
from roadstead.scanner.advisories.advisory import Advisory, Form, State
from roadstead.scanner.advisories.tally import Tally
from roadstead.scanner.versions import apk

# `XSA-196`, `TALOS-2017-0488`, `GHSA-f7r5-w49x-gxm3`: what has no digit after a dash is a remark.
_OTHER = re.compile(r"GHSA(?:-[2-9cfghjmpqrvwx]{4}){3}|(?!CVE)(?=.*-.*[0-9])[A-Za-z][A-Za-z0-9_.-]{0,127}")
_LINK = "https://security.alpinelinux.org/vuln/"


class _Package(msgspec.Struct):
    name: str
    secfixes: Any = None


class _Entry(msgspec.Struct):
    pkg: _Package


class _Database(msgspec.Struct):
    packages: list[msgspec.Raw]
    distroversion: str
    reponame: str


_databases = msgspec.json.Decoder(_Database)
_entries = msgspec.json.Decoder(_Entry)


def read(document: bytes, feed: str, tally: Tally) -> Iterator[Advisory]:
    """One repository of one release. Raises FeedInvalid for anything else; entries that make no sense are counted in tally."""
    try:
        database = _databases.decode(document)
    except fields.BROKEN as error:
        raise FeedInvalid(f"not a database of Alpine's secdb: {error}") from None
    release = database.distroversion.removeprefix("v")
    record = f"{database.distroversion}/{database.reponame}"
    if not (fields.is_version(release) and fields.is_package(record)):
        raise FeedInvalid("not a database of Alpine's secdb: distroversion and reponame must be names like v3.18 and main")
    for raw in database.packages:
        try:
            package = _entries.decode(raw).pkg
        except fields.BROKEN as error:
            tally.skip(record, f"{error}")
            continue
        yield from _package(package, feed, release, record, tally)


def _package(package: _Package, feed: str, release: str, record: str, tally: Tally) -> Iterator[Advisory]:
    # A package without fixes has an empty list, or nothing, instead of an object.
    if not package.secfixes:
        return
    if not isinstance(package.secfixes, dict) or not fields.is_package(package.name):
        tally.skip(record, f"the fixes of {package.name[:100]!r} are no object")
        return
    for identifier, (fixed, others) in _fixes(package.name, package.secfixes, record, tally).items():
        tally.records += 1
        yield Advisory(
            feed=feed,
            form=Form.ALPINE,
            record=record,
            ecosystem="alpine",
            release=release,
            package=package.name,
            id=identifier,
            state=State.FIXED if fixed else State.NOT_AFFECTED,
            aliases=fields.aliases(others, identifier),
            fixed=fixed,
            urls=(_LINK + identifier,) if identifier.startswith("CVE-") else (),
        )


def _fixes(name: str, secfixes: dict[str, Any], record: str, tally: Tally) -> dict[str, tuple[str, list[str]]]:
    """
    The version that mends each vulnerability, with the vulnerability's other names.

    "0" is how secdb says that it does not apply, which wins and is empty here. Else the highest counts: a vulnerability is listed
    again when its first fix was incomplete.
    """
    found: dict[str, tuple[bytes, str, list[str]]] = {}
    for version, texts in secfixes.items():
        try:
            order = b"\xff" if version == "0" else apk.key(version)
        except VersionInvalid:
            tally.skip(record, f"{version[:100]!r}, a fixed version of {name}, is no version")
            continue
        for text in texts if isinstance(texts, list) else ():
            names = identifiers(text)
            if not names:
                tally.skip(record, f"{text!r:.100}, of {name}, is no vulnerability")
            for identifier, others in names:
                before = found.get(identifier)
                if before is None or order > before[0]:
                    found[identifier] = (order, "" if version == "0" else version, others)
    return {identifier: (fixed, others) for identifier, (_, fixed, others) in found.items()}


def identifiers(text: object) -> list[tuple[str, list[str]]]:
    """The vulnerabilities of one string, each with its other names: every CVE, or the first identifier if there is none."""
    if not isinstance(text, str):
        return []
    numbers = fields.cves(text)
    if numbers == [text]:
        return [(text, [])]
    words = [word.strip("(),;") for word in text.split()]
    others = [word for word in words if _OTHER.fullmatch(word) and not fields.cves(word)]
    if numbers:
        return [(number, others) for number in numbers]
    return [(others[0], others[1:])] if others else []
