"""
The Debian security tracker's JSON: source package → vulnerability → release (security-tracker.debian.org/tracker/data/json).

The tracker has already decided for each release: what is resolved there, and with which version, what is open, and what Debian
will not mend with an advisory of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from roadstead.errors import FeedInvalid
from roadstead.scanner.advisories import fields
from roadstead.scanner.advisories.advisory import Advisory, Form, State
from roadstead.scanner.advisories.tally import Tally
from roadstead.scanner.releases import release_of_codename

_LINK = "https://security-tracker.debian.org/tracker/"


class _Release(msgspec.Struct):
    status: str
    fixed_version: str = ""
    urgency: str = ""
    nodsa: str = ""
    nodsa_reason: str = ""


class _Vulnerability(msgspec.Struct):
    releases: dict[str, msgspec.Raw] | list[msgspec.Raw]  # an empty list where there are none
    description: str = ""


_packages = msgspec.json.Decoder(dict[str, msgspec.Raw])
_vulnerabilities = msgspec.json.Decoder(_Vulnerability)
_releases = msgspec.json.Decoder(_Release)


def read(document: bytes, feed: str, tally: Tally) -> Iterator[Advisory]:
    """The whole tracker. Raises FeedInvalid for anything else; records that make no sense are counted in tally."""
    try:
        packages = _packages.decode(document)
    except fields.BROKEN as error:
        raise FeedInvalid(f"not the Debian security tracker's JSON: {error}") from None
    for package, raw in packages.items():
        try:
            vulnerabilities = _packages.decode(raw)
        except fields.BROKEN as error:
            tally.skip(package, f"{error}")
            continue
        if not fields.is_package(package):
            tally.skip(package, "not the name of a package")
            continue
        for name, content in vulnerabilities.items():
            yield from _vulnerability(package, name, content, feed, tally)


def _vulnerability(package: str, name: str, content: msgspec.Raw, feed: str, tally: Tally) -> Iterator[Advisory]:
    try:
        vulnerability = _vulnerabilities.decode(content)
        if not fields.is_identifier(name):
            raise msgspec.ValidationError("not the name of a vulnerability")
    except fields.BROKEN as error:
        tally.skip(f"{package} {name}", f"{error}")
        return
    description = fields.paragraphs(vulnerability.description)
    releases = vulnerability.releases if isinstance(vulnerability.releases, dict) else {}
    for codename, raw in releases.items():
        # Releases like `bookworm-security` and those that are not published yet are no release of an image.
        release = release_of_codename("debian", codename)
        if release is None:
            continue
        try:
            said = _releases.decode(raw)
            state = _state(said)
        except fields.BROKEN as error:
            tally.skip(f"{package} {name} {codename}", f"{error}")
            continue
        tally.records += 1
        yield Advisory(
            feed=feed,
            form=Form.DEBIAN,
            record=name,
            ecosystem="debian",
            release=release,
            package=package,
            id=name,
            state=state,
            fixed=said.fixed_version if state is State.FIXED else "",
            # Asterisks mark the urgencies that were taken over from NVD.
            priority=fields.line(said.urgency, 40).rstrip("*").lower(),
            note=_note(said),
            description=description,
            urls=(_LINK + name,),
        )


def _state(said: _Release) -> State:
    if said.status == "resolved":
        if not fields.is_version(said.fixed_version):
            raise msgspec.ValidationError("resolved, and no version says since when")
        return State.NOT_AFFECTED if said.fixed_version == "0" else State.FIXED
    if said.status == "undetermined":
        return State.UNDETERMINED
    if said.status != "open":
        raise msgspec.ValidationError(f"{said.status[:40]!r} is no status that we know")
    if said.urgency == "end-of-life":
        return State.END_OF_LIFE
    return {"ignored": State.WONT_FIX, "postponed": State.POSTPONED}.get(said.nodsa_reason, State.AFFECTED)


def _note(said: _Release) -> str:
    """Why there is no security advisory of Debian's: the remark `nodsa`, and whether it was ignored or postponed."""
    if not said.nodsa and not said.nodsa_reason:
        return ""
    reason = f"no-dsa, {said.nodsa_reason}" if said.nodsa_reason else "no-dsa"
    return fields.line(f"{reason}: {said.nodsa}" if said.nodsa else reason, fields.MAX_NOTE_LENGTH)
