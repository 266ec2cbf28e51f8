"""
What pushes and pulls lose while images are being scanned: rates with and without scans, in turns, in one run.

    python bench/beside.py [--rounds 5] [--seconds 4] [--out FILE]

One server with accounts and one scanning process. Images of one large layer each are pushed to a project that scans nothing yet. Clients
pull manifests by tag, or push small images (config, layer, manifest), for some seconds; then scanning is enabled, which begins with what
was pushed before, and they do the same again. A round in which the scans ended before the clients did is not counted.
"""

import argparse
import gzip
import io
import json
import os
import statistics
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.kit import scanned  # noqa: E402
from tests.kit.accounts import Installation, installed  # noqa: E402
from tests.kit.push import push_image  # noqa: E402

CLIENTS = 4
LAYER_BYTES = 160 * 1024 * 1024
FILES = 4000
LAYERS = 16
"""For each measurement, so that the scans go on while it lasts."""


def layer(number: int) -> bytes:
    """Text that packs to a third or so, and a package database."""
    words = os.urandom(3 * LAYER_BYTES // FILES // 4).hex().encode()[: LAYER_BYTES // FILES]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in scanned.alpine("3.18", {"openssl": f"3.0.{number}-r0"}).items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content.encode()))
        for each in range(FILES):
            info = tarfile.TarInfo(f"usr/share/{number}/{each}.txt")
            info.size = len(words)
            tar.addfile(info, io.BytesIO(words))
    return gzip.compress(buffer.getvalue(), 1)


def push_large(installation: Installation, project: str, content: bytes, number: int) -> None:
    repository = f"{project}/large-{number}"
    config = json.dumps({"os": "linux", "architecture": "amd64", "number": number}).encode()
    scanned.pushing.push_blob(installation.owner, repository, config)
    scanned.pushing.push_blob(installation.owner, repository, content)
    made = scanned.document(
        config=scanned.descriptor(config, scanned.CONFIG_TYPE), layers=[scanned.descriptor(content, scanned.LAYER_TYPE)]
    )
    response = scanned.pushing.push(installation.owner, repository, made, "v1")
    assert response.status_code == 201, response.text


def unfinished(installation: Installation, project: str) -> int:
    found = installation.owner.get(f"/v1/projects/{project}/occurrences", params={"filter": 'kind="DISCOVERY"', "pageSize": 1000}).json()
    states = [each["discovery"]["analysisStatus"] for each in found.get("occurrences", [])]
    return sum(1 for state in states if state in ("PENDING", "SCANNING"))


def rate(work, seconds: float) -> float:
    """Calls a second of CLIENTS threads."""
    until, done = time.monotonic() + seconds, []

    def run(index: int) -> None:
        count = 0
        while time.monotonic() < until:
            work(index, count)
            count += 1
        done.append(count)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(CLIENTS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return sum(done) / seconds


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=4)
    arguments.add_argument("--out", type=Path)
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="roadstead-bench-") as folder, installed(Path(folder) / "data") as installation:
        small = installation.project()
        clients = [installation.client(installation.owner_token) for _ in range(CLIENTS)]
        push_image(installation.owner, f"{small}/image", "v1")
        figures: dict[str, list[float]] = {}
        number = 0

        def pull(index: int, _: int) -> None:
            assert clients[index].get(f"/v2/{small}/image/manifests/v1").status_code == 200

        def push(index: int, count: int) -> None:
            push_image(clients[index], f"{small}/image-{index}", f"v{count % 50}", unique=f"{number} {count} {time.monotonic()}")

        for _ in range(asked.rounds):
            for name, work in (("manifest GET", pull), ("small image push", push)):
                large = installation.project()
                for _ in range(LAYERS):
                    push_large(installation, large, layer(number), number)
                    number += 1
                without = rate(work, asked.seconds)
                installation.enable(large, scanned.SCANNING_API)
                while not unfinished(installation, large):
                    time.sleep(0.05)
                beside = rate(work, asked.seconds)
                left = unfinished(installation, large)
                print(f"{name}: {without:.0f}/s, beside scans {beside:.0f}/s, {left} of {LAYERS} images still to scan", file=sys.stderr)
                if left:
                    figures.setdefault(f"{name}, no scans", []).append(without)
                    figures.setdefault(f"{name}, scans", []).append(beside)
                    figures.setdefault(f"{name}, ratio", []).append(beside / without)
                while unfinished(installation, large):
                    time.sleep(0.2)
        result = {name: round(statistics.median(values), 3) for name, values in figures.items()}
    for name, value in result.items():
        print(f"{name}: {value}")
    if asked.out:
        asked.out.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
