"""What a VEX statement is about: an image, or a package wherever it is installed."""

from __future__ import annotations

import re
from urllib.parse import unquote

import msgspec
from packageurl import PackageURL

from roadstead.scanner.inventory import OS_KINDS, Distro, Package
from roadstead.scanner.releases import release_of_codename

MAX_LENGTH = 1000

_TYPES = {"deb": "dpkg", "apk": "apk", "rpm": "rpm", "pypi": "pypi", "npm": "npm", "golang": "golang", "maven": "maven", "gem": "gem"}
_DIGEST = re.compile(r"sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})")
_REFERENCE = re.compile(
    r"(?:https?://|docker://)?([a-z0-9][a-z0-9.-]*(?::[0-9]+)?/[a-z0-9][a-z0-9._/-]*)(?::[A-Za-z0-9_][A-Za-z0-9._-]*)?(?:@([a-z0-9]+:[0-9a-f]+))?"
)


class Subject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    text is the identifier as the document has it.

    kind is that of a package (`dpkg` …), `image`, or empty for what is neither and concerns nothing here. Empty fields leave it open.
    Of packages: namespace (`debian`, npm's scope …), name, version, architecture (`source`: all binaries of this source package) and
    distro (`debian-12`, `bookworm` or `12`). Of images: repository (host and path) and digest.
    """

    text: str
    kind: str = ""
    namespace: str = ""
    name: str = ""
    version: str = ""
    architecture: str = ""
    distro: str = ""
    repository: str = ""
    digest: str = ""

    @property
    def is_image(self) -> bool:
        return self.kind == "image"

    def concerns_image(self, repository: str, digest: str) -> bool:
        """Whether it is this image: all that the document tells of it, digest and repository, is the same."""
        told = bool(self.digest or self.repository)
        return self.is_image and told and self.digest in ("", digest) and self.repository in ("", repository)

    def concerns_package(self, package: Package, distro: Distro | None) -> bool:
        """Whether it is this package: by its own name or its source package's, and all else that the document tells is the same."""
        if not self.kind or self.kind != package.kind:
            return False
        if package.kind not in OS_KINDS:
            full = self.name if not self.namespace else f"{self.namespace}{':' if self.kind == 'maven' else '/'}{self.name}"
            return full == package.name and self.version in ("", package.version)
        if self.namespace and (distro is None or self.namespace != distro.id):
            return False
        if self.distro and (distro is None or not _is_release(self.distro, distro)):
            return False
        if self.architecture not in ("", "all", "noarch", "any", "source", package.architecture):
            return False
        binary = self.architecture != "source" and self.name == package.name and self.version in ("", package.version)
        return binary or (self.name == package.source_name and self.version in ("", package.source_version))


def subject(text: str, digests: dict[str, str] | None = None) -> Subject:
    """Of a package URL, or of the name of an image with or without its digest. digests are by algorithm: `{"sha-256": …}`."""
    text = text[:MAX_LENGTH]
    hashed = (digests or {}).get("sha-256", "").lower()
    digest = f"sha256:{hashed}" if _DIGEST.fullmatch(f"sha256:{hashed}") else ""
    if text.startswith("pkg:"):
        return _of_purl(text, digest)
    match = _REFERENCE.fullmatch(text)
    if match and text.startswith("http") and not match.group(2):
        match = None  # the address of a page looks the same: Google's resource URLs always have the digest
    if match or digest or _DIGEST.fullmatch(text):
        repository, named = match.groups() if match else ("", text)
        return Subject(text=text, kind="image", repository=repository or "", digest=digest or _digest(named))
    return Subject(text=text)


def _of_purl(text: str, digest: str) -> Subject:
    try:
        purl = PackageURL.from_string(text)
    except ValueError:
        return Subject(text=text)
    qualifiers = purl.qualifiers if isinstance(purl.qualifiers, dict) else {}
    if purl.type in ("oci", "docker"):
        version = digest or _digest(unquote(purl.version or ""))
        repository = unquote(qualifiers.get("repository_url", "")).removeprefix("https://").rstrip("/")
        return Subject(text=text, kind="image", repository=repository, digest=version, name=purl.name)
    return Subject(
        text=text,
        kind=_TYPES.get(purl.type, ""),
        namespace=purl.namespace or "",
        name=purl.name,
        version=purl.version or "",
        architecture=qualifiers.get("arch", ""),
        distro=qualifiers.get("distro", ""),
    )


def _digest(text: str | None) -> str:
    return text if text and _DIGEST.fullmatch(text) else ""


def _is_release(name: str, distro: Distro) -> bool:
    return distro.release in (name, name.removeprefix(f"{distro.id}-"), release_of_codename(distro.id, name))
