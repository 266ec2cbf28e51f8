"""Layers for tests: archives with what each test wants in them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

from roadstead.scanner.inventory import LayerIndex
from roadstead.scanner.layers import scan_layer
from roadstead.scanner.merge import merge

OS_RELEASE = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'


class Link(str):
    """The target of a symbolic link."""


class HardLink(str):
    """The path of the file that this is another name of."""


Tree = Mapping[str, str | bytes | Link | HardLink | None]


def layer(tree: Tree, format: int = tarfile.PAX_FORMAT, mode: int = 0o644) -> bytes:
    """An uncompressed layer: bytes or text are files, None is a folder. Entries are in the order given."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for path, content in tree.items():
            info = tarfile.TarInfo(path)
            info.mode = mode
            match content:
                case Link():
                    info.type, info.linkname = tarfile.SYMTYPE, str(content)
                case HardLink():
                    info.type, info.linkname = tarfile.LNKTYPE, str(content)
                case None:
                    info.type = tarfile.DIRTYPE
                case _:
                    data = content.encode() if isinstance(content, str) else content
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
                    continue
            tar.addfile(info)
    return buffer.getvalue()


def index(tree: Tree) -> LayerIndex:
    return scan_layer(io.BytesIO(layer(tree)))


def stanza(name: str, version: str = "1.0", architecture: str = "amd64", **more: str) -> str:
    """A package of var/lib/dpkg/status."""
    fields = {"Package": name, "Status": "install ok installed", "Architecture": architecture, "Version": version} | more
    return "".join(f"{key}: {value}\n" for key, value in fields.items()) + "\n"


def status(*names: str) -> str:
    return "".join(stanza(*name.split("=")) for name in names)


def wheel(name: str, version: str = "1.0") -> str:
    """The METADATA of a Python package."""
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nText\n"


def found(*trees: Tree) -> dict[str, str]:
    """NAME=VERSION of each package in the image of these layers, with the number of the layer that brought it."""
    inventory = merge([(str(number), index(tree)) for number, tree in enumerate(trees)])
    return {f"{package.name}={package.version}": layer for package, layer in inventory.packages}
