"""What is pushed and pulled: one big blob, small ones, manifests, repositories of many tags, and a real image of ten layers."""

import hashlib
import http.client
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from client import OCI_MANIFEST, Server, sha256
from machine import MIB, run_all

PROJECT = "bench-project"
BASE = f"{PROJECT}/base"  # the big blob, the 1 KiB blob, a ten-layer manifest with ten tags
MANY_TAGS = {f"{PROJECT}/tags1k": 1_000, f"{PROJECT}/tags10k": 10_000}
MANY_IMAGES = f"{PROJECT}/images10k"  # as many manifests as tags
MANY_IMAGES_COUNT = 10_000
SMALL = hashlib.sha256(b"small").digest() * 32  # 1 KiB
_TAIL_LENGTH = 64


def manifest(config: dict, layers: list[dict]) -> bytes:
    layer_type = "application/vnd.oci.image.layer.v1.tar+gzip"
    return _compact(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
            "layers": [{"mediaType": layer_type, **layer} for layer in layers],
        }
    )


def image_config(diff_ids: list[str], note: str) -> bytes:
    return _compact(
        {
            "created": "2026-01-01T00:00:00Z",
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"note": note}},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}" for diff_id in diff_ids]},
            "history": [{"created_by": "bench"} for _ in diff_ids],
        }
    )


def _compact(document: dict) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def descriptor(payload: bytes) -> dict:
    return {"digest": "sha256:" + sha256(payload), "size": len(payload)}


def usual_blobs() -> tuple[bytes, list[bytes]]:
    """Config and ten layers (tiny ones) of the usual manifest."""
    layers = [hashlib.sha256(b"layer%d" % number).digest() * 4 for number in range(10)]
    return image_config([sha256(layer) for layer in layers], "usual"), layers


def usual_manifest() -> bytes:
    """A typical ten-layer manifest, about 2 KB."""
    config, layers = usual_blobs()
    return manifest(descriptor(config), [descriptor(layer) for layer in layers])


class BigBlob:
    """Pseudo-random bytes, the same in every run. Any number of blobs come of it by another tail, without hashing the whole again."""

    def __init__(self, folder: Path, mib: int) -> None:
        self.size = mib * MIB
        self.file = folder / f"big-{mib}"
        if not self.file.exists() or self.file.stat().st_size != self.size:
            self._make()
        self._hash = hashlib.sha256()
        with self.file.open("rb") as file:
            left = self.size - _TAIL_LENGTH
            while left:
                chunk = file.read(min(left, 4 * MIB))
                self._hash.update(chunk)
                left -= len(chunk)
        self.tail = self.tail_for("big")
        self.digest = self.digest_with(self.tail)

    def _make(self) -> None:
        """An AES-CTR key stream: fast, incompressible, always the same."""
        cipher = ["openssl", "enc", "-aes-128-ctr", "-nosalt", "-K", bytes(range(16)).hex(), "-iv", "00" * 16]
        with open("/dev/zero", "rb") as zeros, self.file.open("wb") as file:
            source = subprocess.Popen(["head", "-c", str(self.size)], stdin=zeros, stdout=subprocess.PIPE)
            subprocess.run(cipher, stdin=source.stdout, stdout=file, check=True)
            source.wait()

    @staticmethod
    def tail_for(name: str) -> str:
        return sha256(name.encode())[:_TAIL_LENGTH]

    def digest_with(self, tail: str) -> str:
        whole = self._hash.copy()
        whole.update(tail.encode())
        return whole.hexdigest()

    def plan_line(self, repository: str, tail: str) -> str:
        """One upload for `regload put`."""
        return f"{repository} {self.file} {self.size} {tail} {self.digest_with(tail)}\n"

    def write(self, target: Path) -> None:
        shutil.copyfile(self.file, target)


class RealImage:
    """
    An image of ten layers of this machine's own files, about 45 MiB of tar each, roughly 20 MiB compressed.

    variant() makes an OCI layout whose blobs all have new digests (the gzip header's time field differs): nothing is
    deduplicated between rounds or servers.
    """

    def __init__(self, folder: Path, layers: int = 10, tar_mib: int = 45) -> None:
        self._folder = folder / "image"
        self._made = 0
        done = self._folder / "layers.json"
        if not done.exists():
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True)
            files = _files_of_this_machine()
            done.write_text(json.dumps([self._layer(number, files, tar_mib * MIB) for number in range(layers)]))
        self._layers = json.loads(done.read_text())
        self.size = sum(layer["size"] for layer in self._layers)

    def _layer(self, number: int, files: Iterator[Path], size: int) -> dict:
        raw, total = self._folder / "layer.tar", 0
        with tarfile.open(raw, "w") as archive:
            while total < size:
                file = next(files)
                archive.add(file, arcname=str(file).lstrip("/"), recursive=False)
                total += file.stat().st_size
        payload = raw.read_bytes()
        raw.unlink()
        gzip = zlib.compressobj(6, zlib.DEFLATED, 31)
        compressed = gzip.compress(payload) + gzip.flush()
        (self._folder / f"{number}.gz").write_bytes(compressed)
        return {"diff_id": sha256(payload), "size": len(compressed)}

    def variant(self, target: Path) -> None:
        self._made += 1
        stamp = struct.pack("<I", (int(time.time()) * 31 + self._made) & 0xFFFFFFFF)
        shutil.rmtree(target, ignore_errors=True)
        blobs = target / "blobs/sha256"
        blobs.mkdir(parents=True)

        def store(payload: bytes) -> dict:
            (blobs / sha256(payload)).write_bytes(payload)
            return descriptor(payload)

        layers = []
        for number in range(len(self._layers)):
            compressed = bytearray((self._folder / f"{number}.gz").read_bytes())
            compressed[4:8] = stamp
            layers.append(store(bytes(compressed)))
        config = store(image_config([layer["diff_id"] for layer in self._layers], f"{time.time_ns()}"))
        write_layout_index(target, {"latest": store(manifest(config, layers))})


def _files_of_this_machine() -> Iterator[Path]:
    for top in ("/usr/lib", "/usr/bin", "/usr/share"):
        for folder, folders, names in os.walk(top):
            folders.sort()
            for name in sorted(names):
                file = Path(folder, name)
                if file.is_file() and not file.is_symlink() and file.stat().st_size < 12 * MIB:
                    yield file


def write_layout_index(layout: Path, tags: dict[str, dict]) -> None:
    """The two files that make a folder with blobs/ an OCI layout."""
    manifests = [
        {"mediaType": OCI_MANIFEST, **found, "annotations": {"org.opencontainers.image.ref.name": tag}} for tag, found in tags.items()
    ]
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (layout / "index.json").write_bytes(_compact(index))


def many_tags(count: int) -> list[str]:
    return [f"v1.{number // 100}.{number % 100}" for number in range(count)]


def images(count: int) -> Iterator[tuple[str, bytes]]:
    """(tag, manifest): ten layers each, and no two manifests alike."""
    usual = usual_manifest()[:-1]
    for number, tag in enumerate(many_tags(count)):
        yield tag, usual + b',"annotations":{"number":"%d"}}' % number


def write_layouts_of_many_tags(top: Path) -> None:
    """The repositories of many tags as OCI layouts, for a server that serves such folders: pushing them takes it minutes."""
    config, layers = usual_blobs()
    for repository, count in MANY_TAGS.items():
        blobs = top / repository / "blobs/sha256"
        blobs.mkdir(parents=True)
        for payload in (config, *layers, usual_manifest()):
            (blobs / sha256(payload)).write_bytes(payload)
        write_layout_index(top / repository, dict.fromkeys(many_tags(count), descriptor(usual_manifest())))


def prepare(server: Server, big: BigBlob, repositories: list[str]) -> None:
    """Push what the steps read (the big blob is there already): the base repository, and those of MANY_TAGS that are named."""
    connection = server.connect()
    layers = [{"digest": f"sha256:{big.digest}", "size": big.size}, server.put_blob(BASE, SMALL, connection)]
    config = server.put_blob(BASE, image_config([big.digest, sha256(SMALL)], "blobs"), connection)
    server.put_manifest(BASE, "blobs", manifest(config, layers), connection)  # so that no collection takes the two blobs
    usual = _push_usual_blobs(server, BASE, connection)
    for number in range(10):
        server.put_manifest(BASE, f"v{number}", usual, connection)
    for repository in repositories:
        count = MANY_TAGS[repository]
        if server.count_tags(repository) < count:
            seconds = _push_tags(server, repository, many_tags(count))
            server.tags_per_s = round(count / seconds, 1)
            print(f"  {server.name}: {count} tags in {seconds:.1f} s", file=sys.stderr, flush=True)


def _push_usual_blobs(server: Server, repository: str, connection: http.client.HTTPConnection) -> bytes:
    config, layers = usual_blobs()
    for payload in (config, *layers):
        server.put_blob(repository, payload, connection)
    return usual_manifest()


def _push_tags(server: Server, repository: str, tags: list[str], clients: int = 4) -> float:
    """Returns the seconds it took. Raises what a client raised."""
    payload = _push_usual_blobs(server, repository, server.connect())
    return _push_all(server, repository, ((tag, payload) for tag in tags), clients)


def prepare_images(server: Server) -> None:
    if server.count_tags(MANY_IMAGES) < MANY_IMAGES_COUNT:
        _push_usual_blobs(server, MANY_IMAGES, server.connect())
        _push_all(server, MANY_IMAGES, images(MANY_IMAGES_COUNT), 4)


def _push_all(server: Server, repository: str, manifests: Iterator[tuple[str, bytes]], clients: int) -> float:
    """Returns the seconds it took. Raises what a client raised."""
    waiting, failures, started = manifests, [], time.time()
    lock = threading.Lock()

    def work() -> None:
        connection = server.connect()
        while not failures:
            with lock:
                tag, payload = next(waiting, ("", b""))
            if not tag:
                return
            try:
                server.put_manifest(repository, tag, payload, connection)
            except Exception as error:
                failures.append(error)

    run_all([threading.Thread(target=work) for _ in range(clients)])
    if failures:
        raise failures[0]
    return time.time() - started
