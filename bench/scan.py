"""
What scanning costs: a layer of real files scanned, beside the same layer only unpacked; and a whole image, beside other scanners.

    python bench/scan.py [--layer FILE] [--image FILE] [--peers syft,trivy] [--mib 311] [--rounds 5] [--out FILE]

Without --layer one is made of this machine's own files, and packed with gzip and with zstd. --image is what `docker save` writes; peers
are programs on the PATH or in .cache/bin that read such a file. Seconds are of the processor, so that other work on the machine disturbs
less; the best of some rounds, in which the two take turns.
"""

import argparse
import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from isal import igzip_lib

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from roadstead.scanner.compression import zstd
from roadstead.scanner.layers import scan_layer
from roadstead.scanner.local import scan_path

MB = 1_000_000
CHUNK = 512 * 1024
FOLDERS = ("etc", "var/lib/dpkg", "lib/apk/db", "usr/lib/python3", "usr/bin", "usr/lib", "usr/share")
PEERS = {
    "syft": ["scan", "--quiet", "--output", "json", "docker-archive:{image}"],
    "trivy": ["image", "--quiet", "--format", "json", "--list-all-pkgs", "--scanners", "license", "--input", "{image}"],
}


def make_layer(folder: Path, mib: int) -> dict[str, Path]:
    """A layer of this machine's files, whole ones, up to a size; as it is, and packed as registries have it."""
    plain = folder / "layer.tar"
    names, left = [], mib << 20
    for name in FOLDERS:
        for path in sorted((Path("/") / name).rglob("*")):
            try:
                size = 0 if path.is_symlink() or path.is_dir() else path.stat().st_size
            except OSError:
                continue
            if size < 32 << 20 and size <= left and (path.is_file() or path.is_symlink()):
                names.append(str(path).lstrip("/"))
                left -= size
    listing = folder / "names"
    listing.write_bytes(b"\0".join(os.fsencode(name) for name in names))
    command = ["tar", "-c", "-C", "/", "--null", "--no-recursion", "--ignore-failed-read", "--warning=none", "-T", listing, "-f", plain]
    subprocess.run(command, check=True)
    layers = {"not packed": plain, "gzip": folder / "layer.tar.gz", "zstd": folder / "layer.tar.zst"}
    with plain.open("rb") as source, gzip.open(layers["gzip"], "wb", 6) as target:
        shutil.copyfileobj(source, target, CHUNK)
    with plain.open("rb") as source, layers["zstd"].open("wb") as target:
        with zstd.ZstdFile(target, "w", level=3) as packing:
            shutil.copyfileobj(source, packing, CHUNK)
    return layers


def unpacked(path: Path) -> Iterator[bytes]:
    """The fastest ways that Python has, for the comparison: nothing looks at what they give."""
    with path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic.startswith(b"\x1f\x8b"):
            yield from stream(igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP), file)
        elif magic == b"\x28\xb5\x2f\xfd":
            yield from stream(zstd.ZstdDecompressor(), file)
        else:
            yield from iter(lambda: file.read(CHUNK), b"")


def stream(decompressor: Any, file: BinaryIO) -> Iterator[bytes]:
    while not decompressor.eof:
        yield decompressor.decompress(file.read(CHUNK) if decompressor.needs_input else b"", CHUNK)


def cpu_seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def one_layer(path: Path, rounds: int) -> dict[str, float]:
    unpack, scan = [], []
    for _ in range(rounds):
        unpack.append(cpu_seconds(lambda: sum(map(len, unpacked(path)))))
        scan.append(cpu_seconds(lambda: scan_layer(path)))
    index = scan_layer(path)
    size = index.size_bytes / MB
    return {
        "size, MB": round(size, 1),
        "packed, MB": round(path.stat().st_size / MB, 1),
        "unpacked alone, MB/s": round(size / min(unpack)),
        "scanned, MB/s": round(size / min(scan)),
        "scanned / unpacked": round(min(unpack) / min(scan), 2),
        "index, kB": round(len(index.encode()) / 1000, 1),
        "packages": sum(len(getattr(entry, "packages", ())) for entry in index.entries),
    }


def one_image(image: Path, peers: list[str], rounds: int) -> dict[str, dict[str, object]]:
    """Whole programs, from start to end: the processor's seconds, those on the clock, and the packages found."""
    ours = f"from roadstead.scanner.local import scan_path; from pathlib import Path; scan_path(Path({str(image)!r}))"
    commands = {"roadstead": [sys.executable, "-c", ours]}
    for peer in peers:
        program = shutil.which(peer) or shutil.which(peer, path=str(ROOT / ".cache/bin"))
        if program is None:
            print(f"{peer} is not installed", file=sys.stderr)
            continue
        commands[peer] = [program, *(part.format(image=image) for part in PEERS[peer])]
    found: dict[str, dict[str, object]] = {}
    for name, command in commands.items():
        timed = [_timed(command) for _ in range(rounds)]
        cpu, clock = min(cpu for cpu, _, _ in timed), min(clock for _, clock, _ in timed)
        found[name] = {"processor, s": round(cpu, 2), "clock, s": round(clock, 2), "packages": _count(name, image, timed[0][2])}
    return found


def _timed(command: list[str]) -> tuple[float, float, bytes]:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "SYFT_CHECK_FOR_APP_UPDATE": "false"}
    printed = subprocess.run(command, check=True, capture_output=True, env=environment).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - started, printed


def _count(name: str, image: Path, printed: bytes) -> str:
    if name == "roadstead":
        kinds = Counter(package.kind for package, _ in scan_path(image).packages)
    elif name == "syft":
        kinds = Counter(artifact["type"] for artifact in json.loads(printed)["artifacts"])
    else:
        kinds = Counter({result["Type"]: len(result.get("Packages", [])) for result in json.loads(printed).get("Results", [])})
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def show(title: str, rows: dict[str, dict[str, object]]) -> None:
    columns = list(next(iter(rows.values())))
    print(f"\n{title}\n\n| | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(str(values[column]) for column in columns) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layer", type=Path)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--peers", default="syft,trivy")
    parser.add_argument("--mib", type=int, default=311)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found: dict[str, dict[str, dict[str, object]]] = {}
    with tempfile.TemporaryDirectory(prefix="scan-") as scratch:
        layers = {options.layer.name: options.layer} if options.layer else make_layer(Path(scratch), options.mib)
        found["layers"] = {name: one_layer(path, options.rounds) for name, path in layers.items()}
        show("A layer", found["layers"])
    if options.image:
        found["image"] = one_image(options.image, options.peers.split(","), options.rounds)
        show(f"An image of {options.image.stat().st_size / MB:.0f} MB", found["image"])
    if options.out:
        options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
