"""Alpine's packages: `lib/apk/db/installed`, since 3.23 `usr/lib/apk/db/installed` (apk-tools, apk-v2(5))."""

from __future__ import annotations

from roadstead.scanner.inventory import Package

DATABASES = ("lib/apk/db/installed", "usr/lib/apk/db/installed")


def required(path: str) -> bool:
    return path.endswith("lib/apk/db/installed")


def parse(path: str, content: bytes) -> list[Package]:
    """
    The packages, but not the virtual ones that `apk add --virtual` makes, whose name starts with a dot. A record without a name or
    version is left out. The origin (`o:`) is the source package; Alpine gives all packages of a source the same version.
    """
    found = {}
    for record in content.replace(b"\r\n", b"\n").split(b"\n\n"):
        fields: dict[str, str] = {}
        for line in record.split(b"\n"):
            if line[1:2] == b":" and line[:1] in b"PVAo":
                fields.setdefault(chr(line[0]), line[2:].decode("utf-8", "replace").strip())
        name, version = fields.get("P", ""), fields.get("V", "")
        if name and version and not name.startswith("."):
            package = Package("apk", name, version, fields.get("o") or name, version, fields.get("A", ""), path)
            found[package.identity] = package
    return list(found.values())
