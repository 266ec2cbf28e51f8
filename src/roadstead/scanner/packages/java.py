"""
Java's packages: jar, war and ear archives, also those inside others (JAR File Specification; Maven, archiver reference).

A `META-INF/maven/GROUP/ARTIFACT/pom.properties` names each library that was put into an archive; an archive without one is told by
its manifest and file name.
"""

from __future__ import annotations

import io
import lzma
import re
import zipfile
import zlib

from roadstead.scanner.inventory import Package
from roadstead.scanner.limits import DEFAULT, MIB, Limits

SUFFIXES = (".jar", ".war", ".ear", ".par", ".jpi", ".hpi")

_TEXT_BYTES = 256 * 1024
_ENTRY = b"PK\x01\x02"
_NAMED = re.compile(r"(.{1,200}?)-(\d[\w.+-]{0,100})")
_BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    IndexError,
    zlib.error,
    lzma.LZMAError,
    MemoryError,
)


def required(path: str) -> bool:
    return path.endswith(SUFFIXES)


def parse(path: str, content: bytes, limits: Limits = DEFAULT) -> list[Package]:
    """The packages of an archive and of those in it. What cannot be read, or is too large or too deep, is left out."""
    return list(_Walk(path, limits).archive(path, content, 0).values())


class _Walk:
    """One archive with all inside it: what is read of it is limited in sum."""

    def __init__(self, path: str, limits: Limits) -> None:
        self._path = path
        self._depth = limits.archive_depth
        self._entries_left = limits.archive_entries
        self._bytes_left = limits.file_bytes * 2

    def archive(self, name: str, content: bytes, depth: int) -> dict[tuple[str, ...], Package]:
        found: dict[tuple[str, ...], Package] = {}
        manifest = b""
        # Counted first: the library makes an object of each entry, however many a small file claims.
        if content.count(_ENTRY) > self._entries_left:
            return found
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for info in archive.infolist():
                    self._entries_left -= 1
                    if info.filename.endswith("/pom.properties") and info.filename.startswith("META-INF/maven/"):
                        self._add(found, _of_properties(self._read(archive, info, _TEXT_BYTES), self._path))
                    elif info.filename == "META-INF/MANIFEST.MF":
                        manifest = self._read(archive, info, _TEXT_BYTES)
                    elif info.filename.endswith(SUFFIXES) and depth < self._depth:
                        found |= self.archive(info.filename, self._read(archive, info, 128 * MIB), depth + 1)
        except _BROKEN:
            return found
        if not any(package.path == self._path and _names(name, package) for package in found.values()):
            self._add(found, _of_manifest(name, manifest, self._path) if manifest or not found else None)
        return found

    def _add(self, found: dict[tuple[str, ...], Package], package: Package | None) -> None:
        if package is not None:
            found[package.identity] = package

    def _read(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
        if info.file_size > most or info.file_size > self._bytes_left:
            return b""
        try:
            with archive.open(info) as file:
                data = file.read(most)
        except _BROKEN:
            return b""
        self._bytes_left -= len(data)
        return data


def _names(archive_name: str, package: Package) -> bool:
    """If the package is what the file is named after, and not one that was merged into it."""
    return archive_name.rpartition("/")[2].startswith(package.name.rpartition(":")[2])


def _of_properties(data: bytes, path: str) -> Package | None:
    fields = {}
    for line in data.decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.startswith("#"):
            fields[key.strip()] = value.strip()
    group, artifact, version = fields.get("groupId", ""), fields.get("artifactId", ""), fields.get("version", "")
    if not artifact or not version or "${" in version:
        return None
    name = f"{group}:{artifact}" if group else artifact
    return Package("maven", name, version, name, version, "", path)


def _of_manifest(archive_name: str, data: bytes, path: str) -> Package | None:
    """By the file's name, whose version the manifest confirms or gives."""
    fields: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").replace("\r\n ", "").replace("\n ", "").splitlines():
        key, colon, value = line.partition(":")
        if not colon:
            break
        fields.setdefault(key.strip().lower(), value.strip())
    stem = archive_name.rpartition("/")[2].rpartition(".")[0]
    named = _NAMED.fullmatch(stem)
    artifact = named[1] if named else stem
    version = named[2] if named else ""
    version = version or fields.get("implementation-version") or fields.get("bundle-version") or fields.get("specification-version") or ""
    if not artifact or not version:
        return None
    group = fields.get("implementation-vendor-id", "")
    name = f"{group}:{artifact}" if group and re.fullmatch(r"[\w.-]{1,200}", group) else artifact
    return Package("maven", name, version, name, version, "", path)
