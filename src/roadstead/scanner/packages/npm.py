"""Node's packages: `node_modules/NAME/package.json` and `node_modules/@SCOPE/NAME/package.json` (docs of npm, package.json)."""

from __future__ import annotations

import msgspec

from roadstead.scanner.inventory import Package


class _Manifest(msgspec.Struct):
    name: str = ""
    version: str = ""


_DECODER = msgspec.json.Decoder(_Manifest)


def required(path: str) -> bool:
    """The file of an installed package itself: those deeper in it belong to its examples and builds."""
    parts = path.rsplit("/", 4)
    if parts[-1] != "package.json" or len(parts) < 3:
        return False
    return parts[-3] == "node_modules" or (len(parts) > 3 and parts[-4] == "node_modules" and parts[-3].startswith("@"))


def parse(path: str, content: bytes) -> list[Package]:
    """The one package, or none if it has no name or version."""
    try:
        manifest = _DECODER.decode(content.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return []
    name, version = manifest.name.strip(), manifest.version.strip()
    return [Package("npm", name, version, name, version, "", path)] if name and version else []
