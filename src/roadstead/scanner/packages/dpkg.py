"""Debian's packages: `var/lib/dpkg/status`, and distroless images' `var/lib/dpkg/status.d/NAME` (deb-control(5), dpkg-query(1))."""

from __future__ import annotations

from collections.abc import Iterator

from roadstead.scanner.inventory import Package

STATUS = "var/lib/dpkg/status"
STATUS_FOLDER = "var/lib/dpkg/status.d"

_WANTED = frozenset({"package", "version", "architecture", "source", "status"})


def required(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    if folder.endswith("lib/dpkg/status.d"):
        return not name.endswith((".md5sums", ".preinst", ".postinst", ".prerm", ".postrm", ".list", ".conffiles"))
    return name == "status" and folder.endswith("lib/dpkg")


def parse(path: str, content: bytes) -> list[Package]:
    """
    The installed packages. A stanza that is not one (no name, no version, a line that is no field) is left out.

    Installed is what the third word of Status says: `deinstall reinstreq installed` is, `config-files` and `unpacked` are not.
    A file of status.d has no Status, and everything in it is installed.
    """
    everything = "/status.d/" in path
    found = {}
    for fields in _stanzas(content):
        name, version = fields.get("package", ""), fields.get("version", "")
        if not _is_name(name) or not version or " " in version:
            continue
        words = fields.get("status", "").split()
        if not (everything and not words) and (len(words) != 3 or words[2] != "installed"):
            continue
        source, source_version = _source(fields.get("source", ""))
        package = Package("dpkg", name, version, source or name, source_version or version, fields.get("architecture", ""), path)
        found[package.identity] = package
    return list(found.values())


def _stanzas(content: bytes) -> Iterator[dict[str, str]]:
    """The fields we read of each stanza, by lower-case name. Continued lines (descriptions, conffiles) are none of ours."""
    for stanza in content.replace(b"\r\n", b"\n").split(b"\n\n"):
        fields: dict[str, str] = {}
        for line in stanza.decode("utf-8", "replace").split("\n"):
            if not line or line[0] in " \t#":
                continue
            name, colon, value = line.partition(":")
            if not colon:
                fields = {}
                break
            name = name.lower()
            if name in _WANTED:
                fields[name] = value.strip()
        if fields:
            yield fields


def _source(field: str) -> tuple[str, str]:
    """`glibc (2.36-9)`: the version stands only where it is not the binary package's."""
    name, _, rest = field.partition("(")
    return name.strip(), rest.partition(")")[0].strip()


def _is_name(name: str) -> bool:
    return bool(name) and not any(character.isspace() for character in name)
