"""
An image's layers laid over each other, bottom first, as container runtimes unpack them (image-spec, Image Layer Filesystem Changeset).

Only what the indexes hold is laid: files with packages, links, and the deletions between them. The outcome is that of unpacking all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from roadstead.errors import ScanFailed
from roadstead.scanner import distros
from roadstead.scanner.inventory import OS_KINDS, File, Hardlink, Inventory, LayerIndex, Package, Symlink
from roadstead.scanner.layers import KEY_BYTES, folders_above, parser_of, path_key
from roadstead.scanner.packages import apk, dpkg, rpm
from roadstead.scanner.paths import Paths

# Linux follows 40 links in one path (path_resolution(7)).
_LINKS = 40
_STEPS = 1000
MOST_NAMES = 2_000_000
"""Of all files of an image together, counting each way that links give, for each layer."""


def merge(layers: Sequence[tuple[str, LayerIndex]]) -> Inventory:
    """
    The inventory of the image whose layers, bottom first, are these, each with its digest.

    A package is of the layer since which it has been there without a break: deleted and installed again, it is the later one's; a
    database written anew with the same package in it leaves the package where it was.

    Raises ScanFailed where links lead to files by more ways than MOST_NAMES.
    """
    tree = _Tree()
    since: dict[tuple[str, ...], str] = {}
    packages: dict[tuple[str, ...], Package] = {}
    for digest, layer in layers:
        tree.lay(layer)
        packages = {package.identity: package for package in tree.packages()}
        since = {identity: since.get(identity, digest) for identity in packages}
    ordered = sorted(packages.items(), key=lambda item: (item[1].kind not in OS_KINDS, *item[0]))
    return Inventory(
        distros.detect(tree.text),
        tuple((package, since[identity]) for identity, package in ordered),
        tuple(dict.fromkeys(note for _, layer in layers for note in layer.notes)),
    )


class _Tree:
    """The files and links that are visible so far. Paths are real: none goes through a link."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}
        self._links: dict[str, str] = {}
        self._paths = Paths()

    def lay(self, layer: LayerIndex) -> None:
        """A layer's deletions are of what is below it only, so they come first."""
        self._delete({self._place(path) for path in layer.whiteouts}, {self._place(path) for path in layer.opaques})
        self._replace(_keys(layer.replaced), _keys(layer.folders))
        for entry in layer.entries:
            place = self._place(entry.path)
            if place is None:
                continue
            self._clear(place)
            match entry:
                case File():
                    self._files[place] = entry
                case Symlink():
                    self._links[place] = entry.target
                case Hardlink():
                    self._link(place, self._place(entry.target))
            self._paths.add(place)

    def packages(self) -> Iterator[Package]:
        """OS packages of the databases that are at their place, then those of languages, wherever they are."""
        places = [self._resolve(path) for path in (dpkg.STATUS, *apk.DATABASES, *rpm.DATABASES)]
        folder = self._resolve(dpkg.STATUS_FOLDER)
        places += sorted(path for path in self._files if folder and path.startswith(f"{folder}/"))
        for place in dict.fromkeys(places):
            if place in self._files:
                yield from (package for package in self._files[place].packages if package.kind in OS_KINDS)
        for place, file in self._files.items():
            for package in file.packages:
                if package.kind in OS_KINDS:
                    continue
                if package.path == place:
                    yield package
                elif package.kind == "golang" or parser_of(place):
                    yield msgspec.structs.replace(package, path=place)

    def text(self, path: str) -> str | None:
        place = self._resolve(path)
        file = self._files.get(place) if place else None
        return file.text if file else None

    def _delete(self, whiteouts: set[str | None], opaques: set[str | None]) -> None:
        if not whiteouts and not opaques:
            return
        for path in [*self._files, *self._links]:
            above = ["", *folders_above(path)]
            if path in whiteouts or not whiteouts.isdisjoint(above) or not opaques.isdisjoint(above):
                self._drop(path)

    def _replace(self, files: frozenset[bytes], folders: frozenset[bytes]) -> None:
        """Where a layer writes a file, nothing below is left at or under its path; where it writes a folder, no file and no link."""
        aliases, left = self._aliases(), MOST_NAMES
        for path in [*self._links, *self._files]:
            if path_key(path) in folders:
                self._drop(path)
                continue
            for name in _names(path, aliases):
                left -= 1
                if left < 0:
                    raise ScanFailed("links lead to its files by more ways than any image has")
                if path_key(name) in files:
                    self._drop(path)
                    break

    def _aliases(self) -> dict[str, list[str]]:
        """The links to each folder: a layer may name what is in it by way of them."""
        found: dict[str, list[str]] = {}
        for link in self._links:
            target = self._resolve(link)
            if target is not None and self._paths.has_under(target):
                found.setdefault(target, []).append(link)
        return found

    def _drop(self, path: str) -> None:
        self._files.pop(path, None)
        self._links.pop(path, None)

    def _clear(self, place: str) -> None:
        self._drop(place)
        for path in self._paths.take_under(place):
            self._drop(path)

    def _link(self, place: str, target: str | None) -> None:
        if target in self._files:
            self._files[place] = self._files[target]
        elif target in self._links:
            self._links[place] = self._links[target]

    def _place(self, path: str) -> str | None:
        """Where a path of an archive lies: the links among its folders are followed, one that it names itself is not."""
        folder, _, name = path.rpartition("/")
        if not folder:
            return path
        real = self._resolve(folder)
        return None if real is None else f"{real}/{name}".lstrip("/")

    def _resolve(self, path: str) -> str | None:
        """The real path, all links followed within the image; None if they go in a circle, or longer ways than any image has."""
        if not self._links:
            return path
        waiting, real, followed, steps = path.split("/")[::-1], "", 0, 0
        while waiting:
            part = waiting.pop()
            steps += 1
            if steps > _STEPS:
                return None
            if part in ("", "."):
                continue
            if part == "..":
                real = real.rpartition("/")[0]
                continue
            step = f"{real}/{part}" if real else part
            target = self._links.get(step)
            if target is None:
                real = step
                continue
            followed += 1
            if followed > _LINKS:
                return None
            if target.startswith("/"):
                real = ""
            waiting += target.split("/")[::-1]
        return real


def _names(path: str, aliases: dict[str, list[str]]) -> Iterator[str]:
    """The path and the folders above it, also by way of each link to one of these."""
    above = folders_above(path)
    yield path
    yield from above
    for folder in above if aliases else ():
        for link in aliases.get(folder, ()):
            yield from (link + below[len(folder) :] for below in (*above, path) if len(below) > len(folder))


def _keys(joined: bytes) -> frozenset[bytes]:
    return frozenset(joined[at : at + KEY_BYTES] for at in range(0, len(joined), KEY_BYTES))
