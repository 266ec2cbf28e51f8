"""scanning/layers.py: layers are read in processes of their own, and what one of them dies of harms nobody else."""

from __future__ import annotations

import asyncio
import gzip
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from roadstead.db.database import Database
from roadstead.errors import ScanFailed, ScanStopped, StorageBroken
from roadstead.oci.digest import Digest
from roadstead.oci.reference import Repository
from roadstead.registry.blobs import Blob
from roadstead.scanner.inventory import LayerIndex
from roadstead.scanning import process
from roadstead.scanning.layers import FAILED_US, Layers
from tests.kit import scanned
from tests.kit.clock import Clock
from tests.kit.layers import layer

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

GOOD = gzip.compress(layer(scanned.alpine("3.18", {"openssl": "1-r0"})))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def layers(clock: Clock) -> Iterator[Layers]:
    """Nothing of these tests is in a database."""
    made = Layers(None, None, 1, clock)  # type: ignore[arg-type]
    yield made
    made.close()


async def test_what_one_dies_of_harms_nobody_else(layers: Layers) -> None:
    """Those that wait behind it, or are read beside it, are read."""
    done = await asyncio.gather(
        layers._run(process.scan_bytes, GOOD),
        layers._run(os._exit, 1),
        *(layers._run(process.scan_bytes, GOOD) for _ in range(4)),
        return_exceptions=True,
    )

    (failed,) = [each for each in done if isinstance(each, BaseException)]
    assert isinstance(failed, ScanFailed) and "the process that read the layer died of it" in failed.message
    assert {LayerIndex.decode(each) for each in done if isinstance(each, bytes)} == {LayerIndex.decode(process.scan_bytes(GOOD))}
    assert LayerIndex.decode(await layers._run(process.scan_bytes, GOOD)).entries


async def test_a_layer_may_not_take_all_memory(layers: Layers) -> None:
    with pytest.raises(ScanFailed):
        await layers._run(process.scan_bytes, b"not a layer")
    with pytest.raises(MemoryError):
        await layers._run(bytes, process.MEMORY_BYTES + 1)


async def test_when_the_worker_ends_another_goes_on(layers: Layers) -> None:
    """The job is not done: it is not the layer's fault."""
    await layers._run(process.scan_bytes, GOOD)
    layers.close()

    with pytest.raises(StorageBroken, match="another goes on"):
        await layers._run(process.scan_bytes, GOOD)


class _Blobs:
    """All blobs are the same bytes; asked: the digests of those that were read."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked: list[Digest] = []

    async def get(self, repository: Repository, digest: Digest) -> Blob:
        self.asked.append(digest)
        return Blob(digest, len(self.content), self.content, "", None)  # type: ignore[arg-type]


async def test_a_base_that_many_need_at_once_is_read_once(database: Database, clock: Clock) -> None:
    blobs = _Blobs(GOOD)
    layers = Layers(database, blobs, 1, clock)  # type: ignore[arg-type]
    base, *own = (Digest.of(f"layer {number}".encode()) for number in range(6))
    repository = Repository("gcr", "my-project/web")

    await asyncio.gather(*(layers.inventory(repository, [base, each]) for each in own))
    layers.close()

    assert sorted([base, *own]) == sorted(blobs.asked)


async def test_what_one_node_has_read_no_other_s_failure_takes_away(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both begin; the one that can read it ends first."""
    layer, repository = Digest.of(b"layer"), Repository("gcr", "my-project/web")
    good, bad = (Layers(database, _Blobs(content), 1, clock) for content in (GOOD, GOOD[:-100]))  # type: ignore[arg-type]
    failing = bad._scan

    async def late(blob: Blob) -> bytes:
        await good.inventory(repository, [layer])
        return await failing(blob)

    monkeypatch.setattr(bad, "_scan", late)

    found = await bad.inventory(repository, [layer])
    for each in (good, bad):
        each.close()

    assert ["openssl"] == [package.name for package, _ in found.packages]


async def test_what_took_too_long_is_read_again(database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine was busy, not the layer bad."""
    blobs = _Blobs(GOOD)
    layers = Layers(database, blobs, 1, clock)  # type: ignore[arg-type]
    layer, repository = Digest.of(b"layer"), Repository("gcr", "my-project/web")

    async def stopped(blob: Blob) -> bytes:
        raise ScanStopped("it took too long")

    with monkeypatch.context() as busy:
        busy.setattr(layers, "_scan", stopped)
        with pytest.raises(ScanStopped):
            await layers.inventory(repository, [layer])

    assert (await layers.inventory(repository, [layer])).packages
    layers.close()


LIMITED = """
import os, time
from roadstead.errors import ScanStopped
from roadstead.scanning import process

def compute():
    while True:
        pass

def wait():
    time.sleep(0.6)
    return b"waited"

process.SECONDS = 0.2
process.prepare(os.getppid())
print(process._limited(wait))
for process.SECONDS, process.MOST_SECONDS in ((0.2, 60), (60, 0.2)):
    try:
        process._limited(compute)
    except ScanStopped as stopped:
        print(stopped.message)
"""


def test_time_is_the_processor_s_and_in_all_there_is_an_end_to_waiting() -> None:
    """A scan gives way to requests, and is not held responsible for that."""
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=False, timeout=60)

    assert 0 == done.returncode, done.stderr
    first, *others = done.stdout.splitlines()
    assert "b'waited'" == first
    assert 2 == len(others) and all("the image took longer than" in each for each in others)


async def test_a_layer_that_cannot_be_read_is_tried_again_after_some_minutes(database: Database, clock: Clock) -> None:
    """What is stored under its digest may have been healed since."""
    blobs = _Blobs(GOOD[:-100])
    layers = Layers(database, blobs, 1, clock)  # type: ignore[arg-type]
    layer, repository = Digest.of(b"layer"), Repository("gcr", "my-project/web")
    said = set()
    for _ in range(3):
        with pytest.raises(ScanFailed) as failed:
            await layers.inventory(repository, [layer])
        said.add(failed.value.message)
    asked = len(blobs.asked)
    blobs.content = GOOD
    clock.go(FAILED_US / 1e6 + 1)

    found = await layers.inventory(repository, [layer])
    layers.close()

    assert (1, 1) == (asked, len(said))
    assert ["openssl"] == [package.name for package, _ in found.packages]
