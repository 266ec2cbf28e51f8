"""Python's packages: `NAME.dist-info/METADATA` of wheels, `NAME.egg-info/PKG-INFO` and older `NAME.egg-info` files (core metadata)."""

from __future__ import annotations

from roadstead.scanner.inventory import Package

_HEADER_BYTES = 256 * 1024


def required(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    if name == "METADATA":
        return folder.endswith(".dist-info")
    if name == "PKG-INFO":
        return folder.endswith((".egg-info", "/EGG-INFO"))
    return name.endswith(".egg-info")


def parse(path: str, content: bytes) -> list[Package]:
    """The one package, or none if the headers lack its name or version."""
    name = version = ""
    for line in content[:_HEADER_BYTES].splitlines():
        if not line.strip():
            break
        key, _, value = line.partition(b":")
        match key.lower():
            case b"name":
                name = name or value.decode("utf-8", "replace").strip()
            case b"version":
                version = version or value.decode("utf-8", "replace").strip()
    return [Package("pypi", name, version, name, version, "", path)] if name and version else []
