"""scanning/layers.py: layers are read in processes of their own, and what one of them dies of harms nobody else."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import Iterator

import pytest

from roadstead.db.database import Database
from roadstead.errors import ScanFailed, StorageBroken
from roadstead.oci.digest import Digest
from roadstead.oci.reference import Repository
from roadstead.registry.blobs import Blob
from roadstead.scanner.inventory import ANALYZER_VERSION, LayerIndex
from roadstead.scanning import process, queries
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


class _Counted(Layers):
    """How often each layer was read."""

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__(database, None, 1, clock)  # type: ignore[arg-type]
        self.read: list[Digest] = []

    async def _known_or_read(self, repository: Repository, digest: Digest) -> bytes:
        row = await self._database.one(queries.LAYER, {"digest": digest, "analyzer": ANALYZER_VERSION, "failed_after_us": 0})
        if row is not None:
            return bytes(row[0])
        self.read.append(digest)
        await asyncio.sleep(0.05)
        content = process.scan_bytes(GOOD)
        async with self._database.transaction() as tx:
            this = {"digest": digest, "analyzer": ANALYZER_VERSION, "content": content, "error": "", "now_us": 1}
            await tx.run(queries.PUT_LAYER, this)
        return content


async def test_a_base_that_many_need_at_once_is_read_once(database: Database, clock: Clock) -> None:
    layers = _Counted(database, clock)
    base, *own = (Digest.of(f"layer {number}".encode()) for number in range(6))
    repository = Repository("gcr", "my-project/web")

    await asyncio.gather(*(layers.inventory(repository, [base, each]) for each in own))
    layers.close()

    assert sorted([base, *own]) == sorted(layers.read)


class _Blobs:
    """All blobs are the same bytes; counts how often they were asked for."""

    def __init__(self, content: bytes) -> None:
        self.content, self.asked = content, 0

    async def get(self, repository: Repository, digest: Digest) -> Blob:
        self.asked += 1
        return Blob(digest, len(self.content), self.content, "", None)  # type: ignore[arg-type]


async def test_a_layer_that_cannot_be_read_is_tried_again_after_an_hour(database: Database, clock: Clock) -> None:
    """What is stored under its digest may have been healed since."""
    blobs = _Blobs(GOOD[:-100])
    layers = Layers(database, blobs, 1, clock)  # type: ignore[arg-type]
    layer, repository = Digest.of(b"layer"), Repository("gcr", "my-project/web")
    said = set()
    for _ in range(3):
        with pytest.raises(ScanFailed) as failed:
            await layers.inventory(repository, [layer])
        said.add(failed.value.message)
    asked = blobs.asked
    blobs.content = GOOD
    clock.go(FAILED_US / 1e6 + 1)

    found = await layers.inventory(repository, [layer])
    layers.close()

    assert (1, 1) == (asked, len(said))
    assert ["openssl"] == [package.name for package, _ in found.packages]
