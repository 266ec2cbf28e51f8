"""Names: repositories, tags and references (distribution-spec, Pulling manifests)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from roadstead.errors import NameInvalid, TagInvalid
from roadstead.oci.digest import Digest

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})+")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")

MAX_NAME_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Repository:
    """One path in one location: `eu` + `my-project/team/image`. The same name in two locations is two repositories."""

    location: str
    name: str

    @classmethod
    def parse(cls, location: str, name: str) -> Repository:
        """Raises NameInvalid."""
        if len(name) > MAX_NAME_LENGTH or _NAME.fullmatch(name) is None:
            raise NameInvalid(
                "a repository is named PROJECT/IMAGE (more /PARTS may follow), in lower-case letters, digits and single . _ - "
                f"between them, {MAX_NAME_LENGTH} characters at most",
                {"name": name[:300]},
            )
        return cls(location, name)

    @classmethod
    def parse_place(cls, location: str, name: str) -> Repository:
        """As parse(), and a project alone (`p`), which is no repository but has some below. Raises NameInvalid."""
        if "/" not in name:
            cls.parse(location, f"{name}/x")
            return cls(location, name)
        return cls.parse(location, name)

    def __str__(self) -> str:
        return self.name


class Tag(str):
    """A valid tag: a movable name in one repository."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Tag:
        """Raises TagInvalid."""
        if _TAG.fullmatch(text) is None:
            raise TagInvalid(
                "a tag has 1 to 128 letters, digits, '_', '.' and '-', and does not begin with '.' or '-'", {"tag": text[:200]}
            )
        return cls(text)


Reference = Tag | Digest


def parse_reference(text: str) -> Reference:
    """A digest if there is a colon in it, else a tag. Raises DigestInvalid, TagInvalid."""
    return Digest.parse(text) if ":" in text else Tag.parse(text)
