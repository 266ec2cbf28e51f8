"""Images that lie on this machine (image-spec, Image Layout; the Docker image specification v1.2; file systems)."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from roadstead.errors import ScanFailed
from roadstead.oci.digest import Digest
from roadstead.oci.mediatype import OCI_IMAGE, OCI_INDEX
from roadstead.scanner.folder import scan_folder
from roadstead.scanner.local import scan_path
from tests.kit.layers import OS_RELEASE, Link, layer, status, wheel

STATUS = "var/lib/dpkg/status"
BASE = layer({STATUS: status("a=1"), "etc/os-release": OS_RELEASE})
NEXT = layer({STATUS: status("a=1", "b=2")})

Files = dict[str, bytes | Link]


def document(value: object) -> bytes:
    return json.dumps(value).encode()


def saved(**more: bytes | Link) -> Files:
    """What docker before 25 saves: a folder for each layer."""
    config = document({"rootfs": {"type": "layers", "diff_ids": [Digest.of(BASE), Digest.of(NEXT)]}})
    manifest = document([{"Config": "c.json", "RepoTags": ["x:1"], "Layers": ["1/layer.tar", "2/layer.tar"]}])
    return {"1/layer.tar": BASE, "2/layer.tar": NEXT, "c.json": config, "manifest.json": manifest} | more


def blob(files: Files, content: bytes) -> Digest:
    digest = Digest.of(content)
    files[f"blobs/sha256/{digest.encoded}"] = content
    return digest


def layout(platforms: tuple[str, ...] = (), nested: bool = False) -> Files:
    """An OCI layout, of one image or of an index of them with an attestation before them."""
    files: Files = {"oci-layout": document({"imageLayoutVersion": "1.0.0"})}
    entries = []
    for platform in platforms or ("",):
        top = gzip.compress(layer({STATUS: status("a=1", f"b{platform}=2")}))
        layers = [{"digest": blob(files, gzip.compress(BASE)), "mediaType": "x"}, {"digest": blob(files, top), "mediaType": "x"}]
        image = blob(files, document({"mediaType": OCI_IMAGE, "layers": layers}))
        entry: dict[str, object] = {"digest": image, "mediaType": OCI_IMAGE, "size": 1}
        entries.append(entry | ({"platform": {"os": "linux", "architecture": platform}} if platform else {}))
    if platforms:
        attestation = blob(files, document({"layers": []}))
        entries.insert(0, {"digest": attestation, "mediaType": OCI_IMAGE, "platform": {"os": "unknown", "architecture": "unknown"}})
    if nested:
        entries = [{"digest": blob(files, document({"manifests": entries})), "mediaType": OCI_INDEX}]
    files["index.json"] = document({"schemaVersion": 2, "manifests": entries})
    return files


def packed(path: Path, files: Files, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, Link):
                info.type, info.linkname = tarfile.SYMTYPE, str(content)
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def folder(path: Path, files: Files) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            (path / name).symlink_to(str(content))
        else:
            (path / name).write_bytes(content)
    return path


def rows(path: Path, architecture: str = "amd64") -> dict[str, str]:
    inventory = scan_path(path, architecture)
    assert inventory.distro
    assert "debian" == inventory.distro.id
    return {package.name: digest for package, digest in inventory.packages}


def test_an_archive_of_docker_save_is_read(tmp_path: Path) -> None:
    expected = {"a": Digest.of(BASE), "b": Digest.of(NEXT)}

    assert expected == rows(packed(tmp_path / "image.tar", saved()))
    assert expected == rows(packed(tmp_path / "image.tar.gz", saved(), "w:gz"))
    assert expected == rows(folder(tmp_path / "image", saved()))


def test_a_layer_may_be_a_link_to_another(tmp_path: Path) -> None:
    """docker before 25 writes the same layer once."""
    files = saved(**{"2/layer.tar": Link("../shared/layer.tar"), "shared/layer.tar": NEXT})

    assert {"a": Digest.of(BASE), "b": Digest.of(NEXT)} == rows(packed(tmp_path / "image.tar", files))


def test_an_archive_of_several_images_is_refused(tmp_path: Path) -> None:
    two = document([{"Config": "c.json", "Layers": []}] * 2)

    with pytest.raises(ScanFailed, match="holds 2 images"):
        scan_path(packed(tmp_path / "image.tar", saved(**{"manifest.json": two})))


@pytest.mark.parametrize("name", ["missing.tar", "../../etc/passwd", "/etc/passwd", "loop", "out"])
def test_a_layer_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    """Nothing outside the archive or folder is read, by way of a name or of a link."""
    manifest = document([{"Config": "", "Layers": [name]}])
    files = saved(**{"manifest.json": manifest, "loop": Link("loop"), "out": Link("/etc/passwd")})

    for path in (packed(tmp_path / "image.tar", files), folder(tmp_path / "image", files)):
        with pytest.raises(ScanFailed):
            scan_path(path)


def test_a_layout_is_read(tmp_path: Path) -> None:
    expected = {"a": Digest.of(gzip.compress(BASE)), "b": ""}

    for path in (folder(tmp_path / "layout", layout()), packed(tmp_path / "layout.tar", layout())):
        found = rows(path)
        assert expected.keys() == found.keys()


@pytest.mark.parametrize("nested", [False, True], ids=["an index", "an index in an index"])
def test_of_an_index_the_platform_is_chosen(tmp_path: Path, nested: bool) -> None:
    path = folder(tmp_path, layout(("arm64", "amd64"), nested))

    assert {"a", "bamd64"} == rows(path).keys()
    assert {"a", "barm64"} == rows(path, "arm64").keys()
    assert {"a", "barm64"} == rows(path, "s390x").keys()


def test_a_layer_of_a_layout_must_have_its_digest(tmp_path: Path) -> None:
    path = folder(tmp_path, layout())
    digest = Digest.of(gzip.compress(BASE, mtime=0))
    for file in (path / "blobs" / "sha256").iterdir():
        if file.read_bytes()[:2] == b"\x1f\x8b":
            file.write_bytes(gzip.compress(NEXT))

    with pytest.raises(ScanFailed, match="not those of sha256"):
        scan_path(path)
    assert digest


BROKEN = {
    "no image": {"index.json": document({"manifests": []}), "oci-layout": b"{}"},
    "no digest": {"index.json": document({"manifests": [{"digest": "sha256:../../x"}]}), "oci-layout": b"{}"},
    "no json": {"index.json": b"{", "oci-layout": b"{}"},
    "another json": {"manifest.json": b"{}"},
    "itself": {"manifest.json": document([{"Config": "manifest.json", "Layers": ["manifest.json"]}])},
}


@pytest.mark.parametrize("files", BROKEN.values(), ids=BROKEN)
def test_a_broken_layout_is_refused(tmp_path: Path, files: Files) -> None:
    for path in (packed(tmp_path / "image.tar", files), folder(tmp_path / "image", files)):
        with pytest.raises(ScanFailed):
            scan_path(path)


def test_a_packed_file_system_is_one_layer(tmp_path: Path) -> None:
    """docker export, and base images as their makers publish them."""
    (tmp_path / "root.tar").write_bytes(BASE)
    (tmp_path / "root.tar.gz").write_bytes(gzip.compress(BASE))

    assert {"a": ""} == rows(tmp_path / "root.tar")
    assert {"a": ""} == rows(tmp_path / "root.tar.gz")


def test_a_file_system_in_a_folder_is_read_without_leaving_it(tmp_path: Path) -> None:
    root = folder(
        tmp_path, {STATUS: status("a=1").encode(), "usr/lib/os-release": OS_RELEASE.encode(), "etc/os-release": Link("/usr/lib/os-release")}
    )
    (root / "home").symlink_to("/")
    (root / "up").symlink_to("..")
    (root / "x.dist-info").mkdir()
    (root / "x.dist-info" / "METADATA").write_text(wheel("x"))
    os.mkfifo(root / "app.jar")
    os.mkfifo(root / "etc" / "lsb-release")

    assert {"a": "", "x": ""} == rows(root)
    assert ["home", "up"] == [entry.path for entry in scan_folder(root).entries if entry.path in ("home", "up")]


@pytest.mark.parametrize("name", ["nothing", "text", "short"])
def test_what_is_no_image_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "text").write_text("hello " * 1000)
    (tmp_path / "short").write_bytes(gzip.compress(BASE)[:200])

    with pytest.raises(ScanFailed):
        scan_path(tmp_path / name)
