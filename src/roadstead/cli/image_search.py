"""From what people write of an image to the digest that it is."""

from __future__ import annotations

from dataclasses import replace

from roadstead.cli.copying import checked_reference, each
from roadstead.cli.image_names import InvalidName, Name
from roadstead.cli.registry_answers import About
from roadstead.cli.registry_client import Registry

AT_ONCE = 8


async def manifests(registry: Registry, repository: str) -> dict[str, About]:
    """
    What the registry tells of each digest, as GCR does. Of others only tags are known.

    Raises Failed.
    """
    listing = await registry.listing(repository)
    if listing.manifest is not None:
        return listing.manifest
    found: dict[str, list[str]] = {}

    async def look(tag: str) -> None:
        if digest := await registry.resolve(repository, tag):
            found.setdefault(digest, []).append(tag)

    await each([checked_reference(tag) for tag in listing.tags or ()], look, AT_ONCE)
    return {digest: About(tag=tuple(sorted(tags))) for digest, tags in found.items()}


async def whole(registry: Registry, name: Name) -> Name:
    """The name with all of its digest, where only the beginning of it was written. Raises InvalidName, Failed."""
    if name.is_whole:
        return name
    matches = [digest for digest in await manifests(registry, name.repository) if digest.startswith(name.digest)]
    if len(matches) > 1:
        raise InvalidName(f"{name.digest} is not a unique digest prefix. Options are {', '.join(matches)}.]")
    if not matches:
        raise InvalidName(f"[{name}] could not be resolved to a full digest.")
    return replace(name, digest=matches[0])


async def found(registry: Registry, name: Name) -> Name:
    """The same image by its digest, which is there. Raises InvalidName, Failed."""
    resolved = await whole(registry, name)
    digest = await registry.resolve(resolved.repository, resolved.reference)
    if not digest:
        raise InvalidName(
            f'[{name}] is not found or is not a valid name. Expected tag in the form "base:tag" or "tag" or digest in the form '
            '"sha256:<digest>"'
        )
    return resolved.at(digest)


async def tags_of(registry: Registry, name: Name) -> list[Name]:
    """All tags of a digest. Raises Failed."""
    about = (await manifests(registry, name.repository)).get(name.digest, About())
    return [name.at(checked_reference(tag)) for tag in about.tag]
