"""
Names of images as people write them: HOST/PROJECT/PATH[:TAG][@DIGEST].

What is wrong with one is said as gcloud says it, where gcloud has a sentence for it. A host may have a port, which gcloud's names cannot.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from roadstead.cli.output import Failed
from roadstead.errors import RoadsteadError
from roadstead.oci.digest import Digest
from roadstead.oci.reference import MAX_NAME_LENGTH, Repository, Tag

PREFIX = "sha256:"
_FULL_LENGTH = len(PREFIX) + 64
_HEXADECIMAL = frozenset("0123456789abcdef")


class InvalidName(Failed):
    """What was written is no name of an image, or of none that is there."""


@dataclass(frozen=True, slots=True)
class Name:
    """
    A repository (or the folder above some), and a tag or a digest where there is one.

    digest may be only the beginning of one, until it was looked up; is_whole says whether it was.
    """

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        return self.path + (f"@{self.digest}" if self.digest else f":{self.tag}" if self.tag else "")

    @property
    def path(self) -> str:
        """Without tag and digest."""
        return f"{self.host}/{self.repository}"

    @property
    def reference(self) -> str:
        """What stands for it in the paths of the API; "" for a whole repository."""
        return self.digest or self.tag

    @property
    def is_whole(self) -> bool:
        return not self.digest.startswith(PREFIX) or len(self.digest) >= _FULL_LENGTH

    def at(self, reference: str) -> Name:
        """The same repository's manifest of this tag or digest."""
        return replace(self, tag="", digest=reference) if ":" in reference else replace(self, tag=reference, digest="")

    def inside(self, folder: Name, other: Name) -> Name:
        """The repository that is in other what this one's is in folder."""
        return replace(other, repository=other.repository + self.repository.removeprefix(folder.repository))


def parse(text: str) -> Name:
    """
    Any of them. A digest with a tag beside it is the digest.

    Raises InvalidName.
    """
    host, slash, rest = text.partition("/")
    if not slash or not rest or ("." not in host and ":" not in host and host != "localhost"):
        raise InvalidName(f"[{text}] is no name of an image: it begins with a host, as in gcr.io/PROJECT/IMAGE")
    if rest.endswith("/"):
        raise InvalidName("Image name cannot end with '/'. Remove the trailing '/' and try again.")
    _check_host(host)
    rest, at, digest = rest.partition("@")
    repository, colon, tag = rest.partition(":")
    _check_repository(text, repository)
    try:
        if colon:
            Tag.parse(tag)
    except RoadsteadError as error:
        raise InvalidName(f"[{text}]: {error.message}") from error
    if at:
        _check_digest(text, digest)
    return Name(host.lower(), repository, "" if at else tag, digest)


def parse_repository(text: str) -> Name:
    """Of a repository, or of a project or folder above some. Raises InvalidName."""
    name = parse(text)
    if name.reference:
        raise InvalidName("Image names must not be fully-qualified. Remove the tag or digest and try again.")
    return name


def parse_image(text: str) -> Name:
    """Of one manifest: the tag is latest where nothing is said. Raises InvalidName."""
    name = parse(text)
    if "/" not in name.repository:
        raise InvalidName("Image name should start with *.gcr.io/project_id/image_path. ")
    return name if name.reference else replace(name, tag="latest")


def parse_tag(text: str) -> Name:
    """Of a tag that is said. Raises InvalidName."""
    name = parse(text)
    if not name.tag or "/" not in name.repository:
        raise InvalidName(f"IMAGE_NAME must be of the form [*.gcr.io/repository:<tag>]: [{text}]")
    return name


def _check_host(host: str) -> None:
    name, _, port = host.rpartition(":") if ":" in host and not host.endswith("]") else (host, "", "")
    fine = name.strip("[]").replace(".", "").replace("-", "").replace(":", "")
    if not fine.isascii() or not fine.isalnum() or (port and not (port.isdigit() and 0 < int(port) < 65536)):
        raise InvalidName(f"Invalid registry: {host}")


def _check_repository(text: str, repository: str) -> None:
    # A project alone is no repository, but a folder.
    whole = repository if "/" in repository else f"{repository}/image"
    try:
        Repository.parse("", whole)
    except RoadsteadError as error:
        raise InvalidName(f"[{text}]: {error.message}") from error
    if len(repository) > MAX_NAME_LENGTH:
        raise InvalidName(f"[{text}] is too long")


def _check_digest(text: str, digest: str) -> None:
    """sha512 has to be whole; of sha256 any beginning may be written, which is not there if it is none."""
    if digest.startswith("sha512:"):
        try:
            Digest.parse(digest)
        except RoadsteadError as error:
            raise InvalidName(f"[{text}]: {error.message}") from error
        return
    encoded = digest.removeprefix(PREFIX)
    is_whole = len(digest) >= _FULL_LENGTH
    if not digest.startswith(PREFIX) or not encoded or (is_whole and (len(encoded) > 64 or not _HEXADECIMAL.issuperset(encoded))):
        raise InvalidName(f'[{text}] digest must be of the form "sha256:<digest>".')
