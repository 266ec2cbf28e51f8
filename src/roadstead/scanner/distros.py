"""
Which distribution an image is of, told by the files that systems name themselves in.

Sources: os-release(5); lsb_release(1); Debian's base-files; Alpine's alpine-release.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

from roadstead.scanner.inventory import Distro

NAMES = frozenset({"os-release", "lsb-release", "alpine-release", "debian_version"})
"""Of the files, wherever they are: `etc/os-release` is often a link, and not always to `usr/lib/os-release`."""

_NUMBERED = re.compile(r"(\d{1,4})(?:\.(\d{1,4}))?")
_ID = re.compile(r"[a-z0-9._-]{1,64}")

# Only systems whose VERSION_ID says the release in full; others are told by name so that they can be called unsupported.
_CODENAMES = {"jessie": "8", "stretch": "9", "buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14"}


def detect(read: Callable[[str], str | None]) -> Distro | None:
    """
    The distribution; read gives the text of a file of the image, links followed, or None.

    None if no file names a system, or the one that does tells too little to know its release.
    """
    for path in ("etc/os-release", "usr/lib/os-release"):
        fields = _assignments(read(path) or "")
        if found := _of_os_release(fields, read):
            return found
    fields = _assignments(read("etc/lsb-release") or "")
    if fields.get("DISTRIB_ID", "").lower() == "ubuntu" and (release := _ubuntu(fields.get("DISTRIB_RELEASE", ""))):
        return Distro("ubuntu", release, fields.get("DISTRIB_DESCRIPTION", ""))
    if release := _alpine(read("etc/alpine-release") or "", ""):
        return Distro("alpine", release, f"Alpine Linux {release}")
    if release := _debian_version(read("etc/debian_version") or ""):
        return Distro("debian", release, f"Debian GNU/Linux {release}")
    return None


def _of_os_release(fields: dict[str, str], read: Callable[[str], str | None]) -> Distro | None:
    distro, version, pretty = fields.get("ID", "").lower(), fields.get("VERSION_ID", ""), fields.get("PRETTY_NAME", "")
    if _ID.fullmatch(distro) is None:
        return None
    if distro == "debian":
        release = _debian(version, fields, read)
    elif distro == "ubuntu":
        release = _ubuntu(version)
    elif distro == "alpine":
        release = _alpine(version, pretty)
    else:
        return Distro(distro, version[:64], pretty[:200])
    return Distro(distro, release, pretty[:200]) if release else None


def _debian(version: str, fields: dict[str, str], read: Callable[[str], str | None]) -> str:
    """Testing and unstable name no VERSION_ID; base-files then says `trixie/sid`. Some distroless images have no debian_version."""
    if found := _NUMBERED.fullmatch(version):
        return found[1]
    if release := _debian_version(read("etc/debian_version") or ""):
        return release
    if fields.get("PRETTY_NAME", "").endswith("/sid"):
        return "sid"
    return _CODENAMES.get(fields.get("VERSION_CODENAME", ""), "")


def _debian_version(text: str) -> str:
    word = text.strip().partition("\n")[0].strip()
    if word == "sid" or word.endswith("/sid"):
        return "sid"
    found = _NUMBERED.fullmatch(word)
    return found[1] if found else ""


def _ubuntu(version: str) -> str:
    found = _NUMBERED.match(version)
    return f"{found[1]}.{found[2]}" if found and found[2] else ""


def _alpine(version: str, pretty: str) -> str:
    version = version.strip().partition("\n")[0].strip()
    if "_alpha" in version or pretty.endswith("edge"):
        return "edge"
    found = _NUMBERED.match(version)
    return f"{found[1]}.{found[2]}" if found and found[2] else ""


def _assignments(text: str) -> dict[str, str]:
    """`KEY=value` and `KEY="value"` as a shell reads them (os-release(5))."""
    fields = {}
    for line in text[: 64 * 1024].splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or name.startswith("#"):
            continue
        try:
            words = shlex.split(value)
        except ValueError:
            words = [value.strip("\"'")]
        fields[name.strip()] = words[0] if words else ""
    return fields
