"""
Collection runs all the time beside pushes and takes nothing that a client may still rely on.

What a client may rely on: a blob whose upload or mount was acknowledged, for the grace; a blob that HEAD said is there, for half of
it; a blob that a manifest names, for ever. ROADSTEAD_SOAK_SECONDS sets how long it runs.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.kit.engines import ENGINES
from tests.kit.inside import Inside
from tests.kit.ledger import BLOB, MANIFEST, TAG, Key, Ledger
from tests.kit.load import Client, Pushed, Verdict, Wire, digest_of, image_manifest, verify
from tests.kit.pushers import Actor, Load, pushers, some_bytes
from tests.kit.server import Server, Worker, serving

SOAK_SECONDS = float(os.environ.get("ROADSTEAD_SOAK_SECONDS", "20"))
SEED = int(os.environ.get("ROADSTEAD_SEED", "1"))
GRACE_SECONDS = 2.0
FREED_WITHIN_SECONDS = 30.0
SETTINGS = {"ROADSTEAD_GC_INTERVAL_SECONDS": "0.2", "ROADSTEAD_GC_GRACE_SECONDS": str(GRACE_SECONDS)}


@dataclass
class Recycler:
    """
    Deletes images and pushes the same layers again just when collection comes for them.

    All recyclers have the same layers in common, so that each also meets what another is just letting go.
    """

    project: str
    own: str
    client: Client
    layers: Sequence[bytes]
    outcomes: dict[str, int] = field(default_factory=dict)

    def turn(self) -> None:
        repository = f"{self.project}/recycled"
        choice = self.client.random.random()
        if choice < 0.5:
            self._again(self._deleted_image(repository))
        elif choice < 0.75:
            self._mounted(self._deleted_image(repository))
        else:
            self._deleted_blobs()

    def _deleted_image(self, repository: str) -> tuple[str, list[bytes]]:
        """An image that was whole and is deleted, about as long ago as the grace lasts."""
        layers = self.client.random.sample(self.layers, 2)
        for layer in layers:
            self.client.blob(repository, layer)
        self.client.delete_manifest(self._image(repository, layers))
        time.sleep(self.client.random.choice([0.0, self.client.random.uniform(0.8, 1.3) * GRACE_SECONDS]))
        return repository, layers

    def _image(self, repository: str, layers: Sequence[bytes]) -> Pushed:
        config = some_bytes(self.client.random, 1000)
        self.client.blob(repository, config)
        return self.client.manifest(repository, image_manifest(config, layers))

    def _again(self, deleted: tuple[str, list[bytes]]) -> None:
        """HEAD says that a layer is there: it is not uploaded again, as no client does."""
        repository, layers = deleted
        begun = time.monotonic()
        for layer in layers:
            if self.client.has_blob(repository, digest_of(layer)):
                self._count("still there")
            else:
                self._count("gone, uploaded again")
                self.client.blob(repository, layer)
        self._manifest_within(begun, GRACE_SECONDS / 2, repository, layers)

    def _mounted(self, deleted: tuple[str, list[bytes]]) -> None:
        """Mounted from a repository that lets the layers go; then they are this repository's."""
        source, layers = deleted
        begun = time.monotonic()
        for layer in layers:
            if self.client.mount(self.own, digest_of(layer), source):
                self._count("mounted")
            else:
                self._count("gone, not mounted")
                self.client.blob(self.own, layer)
        time.sleep(self.client.random.uniform(0, GRACE_SECONDS / 2))
        self._manifest_within(begun, GRACE_SECONDS, self.own, layers)

    def _deleted_blobs(self) -> None:
        """Unlinked by name, then uploaded again at once; nobody else pushes to this repository."""
        layer = some_bytes(self.client.random)
        for _ in range(3):
            self.client.blob(self.own, layer)
            self.client.delete_blob(self.own, digest_of(layer))
            time.sleep(self.client.random.choice([0.0, 0.2]))
        begun = time.monotonic()
        self.client.blob(self.own, layer)
        self._manifest_within(begun, GRACE_SECONDS, self.own, [layer])

    def _manifest_within(self, begun: float, seconds: float, repository: str, layers: Sequence[bytes]) -> None:
        """Its registry may not forget the layers in between, unless this machine was too slow to ask in time."""
        try:
            pushed = self._image(repository, layers)
        except Exception:
            if time.monotonic() - begun < seconds:
                raise
            self._count("too slow")
            return
        self._count("pushed")
        self.client.delete_manifest(pushed)

    def _count(self, outcome: str) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


def recyclers(ledger: Ledger, project: str, number: int) -> list[Recycler]:
    source = random.Random(f"{SEED} layers")
    layers = [some_bytes(source) for _ in range(16)]
    return [
        Recycler(project, f"{project}/own-{each}", Client(Wire(""), ledger, random.Random(f"{SEED} recycler {each}")), layers)
        for each in range(number)
    ]


def stored_bytes(server: Server) -> int:
    return Inside(server).stored_bytes()


def delete_everything(server: Server, ledger: Ledger) -> None:
    wire = Wire(server.url)
    for key in ledger.acknowledged(MANIFEST):
        answer = wire.request("DELETE", f"/v2/{key.repository}/manifests/{key.name}")
        assert answer.status in (202, 404), answer
    wire.close()


def freed(server: Server) -> bool:
    """Has collection taken all bytes away in time?"""
    deadline = time.monotonic() + FREED_WITHIN_SECONDS
    while stored_bytes(server) > 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    return stored_bytes(server) == 0


@contextmanager
def another_worker(server: Server, data: Path) -> Iterator[None]:
    """Where several machines can work on one database, two collect at the same time."""
    if ENGINES.database == "sqlite":
        yield
        return
    worker = Worker(data, env=server.env).start()
    try:
        yield
    finally:
        worker.stop()


@pytest.mark.slow
@pytest.mark.timeout(300 + 2 * SOAK_SECONDS)
def test_collection_takes_nothing_that_a_client_may_rely_on(tmp_path: Path, project: str) -> None:
    """No unknown blob or manifest where one was acknowledged, no server error, and all space back once all is deleted."""
    ledger, during = Ledger(), Verdict()
    recycling = recyclers(ledger, project, 4)
    actors: list[Actor] = [*recycling, *pushers(ledger, project, 3, SEED)]
    load = Load(ledger, actors)

    with serving(tmp_path / "data", env=SETTINGS) as server, another_worker(server, tmp_path / "another"):
        load.start(server.url)
        until = time.monotonic() + SOAK_SECONDS
        while time.monotonic() < until:
            time.sleep(min(2.0, SOAK_SECONDS / 4))
            during += verify(server.url, ledger, lasting(ledger), grace_seconds=GRACE_SECONDS)
        load.stop()
        before = stored_bytes(server)
        needed = ledger.needed()
        final = verify(server.url, ledger, [key for key in ledger.writes if key.kind != BLOB or key in needed])
        clean = server.run("check", "--format", "json")
        delete_everything(server, ledger)
        all_freed = freed(server)
        left = json.loads(server.run("check", "--format", "json").stdout)

    outcomes = {name: sum(each.outcomes.get(name, 0) for each in recycling) for each in recycling for name in each.outcomes}
    acknowledged = {kind: len(ledger.acknowledged(kind)) for kind in (MANIFEST, TAG, BLOB)}
    print(
        f"\n{SOAK_SECONDS:g} s, acknowledged {acknowledged}, layers {outcomes}; read meanwhile {during.manifests} manifests and "
        f"{during.blobs} blobs, in the end {final.manifests} and {final.blobs}; lost {len(during.lost + final.lost)}, unexpected answers "
        f"{len(ledger.surprises)}; {before} bytes in files before everything was deleted, {stored_bytes(server)} after"
    )
    assert [] == [surprise for surprise in ledger.surprises if surprise.seconds < GRACE_SECONDS / 2]
    assert [] == during.lost + during.wrong
    assert [] == final.lost + final.wrong
    assert 0 == clean.returncode, clean.stdout
    assert before > 0
    assert all_freed
    assert {"blobs": 0, "findings": []} == {name: left[name] for name in ("blobs", "findings")}


def lasting(ledger: Ledger) -> list[Key]:
    """What is there now and nobody deletes any more: indexes' images, and what they need."""
    now = time.time()
    indexed = [part for key, parts in list(ledger.needs.items()) if ledger.owed(key, now) for part in parts if part.kind == MANIFEST]
    blobs = [part for key in indexed for part in ledger.needs[key] if part.kind == BLOB]
    return random.Random(now).sample(indexed, min(50, len(indexed))) + blobs[:100]
