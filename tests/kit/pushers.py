"""Clients that push for as long as they are let, each from a seed of its own."""

from __future__ import annotations

import json
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.kit.ledger import Ledger
from tests.kit.load import (
    LARGEST_BYTES,
    OCI_INDEX,
    OCI_MANIFEST,
    SMALLEST_BYTES,
    Broken,
    Client,
    Pushed,
    Wire,
    digest_of,
    image_manifest,
)

REPOSITORIES = 3
SHARED_LAYERS = 12
KEPT_IMAGES = 40


def some_bytes(source: random.Random, largest: int = LARGEST_BYTES) -> bytes:
    """Small ones are as likely as large ones, on a logarithmic scale."""
    return source.randbytes(int(math.exp(source.uniform(math.log(SMALLEST_BYTES), math.log(largest)))))


@dataclass
class Pusher:
    """
    Pushes into a few repositories that all pushers share. It deletes only what it pushed itself, and never anything that
    another pusher may need; layers and tags that all have in common are where they meet.
    """

    number: int
    project: str
    client: Client
    seed: int
    largest_bytes: int = LARGEST_BYTES
    images: list[Pushed] = field(default_factory=list)
    turns: int = 0

    def turn(self) -> None:
        """One thing that a client does. Raises Broken, Refused."""
        self.turns += 1
        choice = self.client.random.random()
        if choice < 0.62 or not self.images:
            self._push_image()
        elif choice < 0.70:
            self._push_common_image()
        elif choice < 0.78:
            self._push_index()
        elif choice < 0.86:
            self._delete_image()
        elif choice < 0.91:
            self._move_tag()
        else:
            self._push_and_delete_loose_blob()

    def _push_image(self) -> None:
        source = self.client.random
        repository = self._repository()
        config = some_bytes(source, 2000)
        layers = [some_bytes(source, self.largest_bytes) for _ in range(source.randint(1, 3))]
        for blob in (config, *layers):
            self.client.blob(repository, blob)
        if source.random() < 0.5:
            layers.append(self._shared_layer(repository))
        tag = None if source.random() < 0.2 else f"own-{self.number}-{self.turns}"
        self._keep(self.client.manifest(repository, image_manifest(config, layers), tag))

    def _shared_layer(self, repository: str) -> bytes:
        """As docker does: ask, then mount, then upload."""
        chosen = self.client.random.randrange(SHARED_LAYERS)
        layer = some_bytes(random.Random(f"{self.seed} shared {chosen}"), self.largest_bytes)
        digest = digest_of(layer)
        other = f"{self.project}/r{chosen % REPOSITORIES}"
        if self.client.has_blob(repository, digest) or (other != repository and self.client.mount(repository, digest, other)):
            return layer
        self.client.blob(repository, layer)
        return layer

    def _push_common_image(self) -> None:
        """The same image as others push at this moment, as the jobs of one pipeline do."""
        source = random.Random(f"{self.seed} common {int(time.time() * 5)}")
        repository, config, layer = f"{self.project}/r0", some_bytes(source, 2000), some_bytes(source, self.largest_bytes)
        self.client.blob(repository, config)
        self.client.blob(repository, layer)
        self.client.manifest(repository, image_manifest(config, [layer]), self.client.random.choice([None, "latest"]))

    def _push_index(self) -> None:
        repository = self.images[-1].repository
        children = [image for image in self.images if image.repository == repository][-2:]
        entries = [{"mediaType": OCI_MANIFEST, "digest": child.digest, "size": child.size_bytes} for child in children]
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, "annotations": {"turn": f"{self.number}-{self.turns}"}}
        self.client.manifest(repository, json.dumps(index).encode(), f"index-{self.number}", OCI_INDEX)
        # What an index needs is not deleted any more.
        self.images = [image for image in self.images if image not in children]

    def _delete_image(self) -> None:
        self.client.delete_manifest(self.images.pop(self.client.random.randrange(len(self.images))))

    def _move_tag(self) -> None:
        """Overwritten by this pusher again and again, and now and then taken away."""
        repository, tag = f"{self.project}/r{self.number % REPOSITORIES}", f"moving-{self.number}"
        for _ in range(2):
            config = some_bytes(self.client.random, 2000)
            self.client.blob(repository, config)
            self.client.manifest(repository, image_manifest(config, []), tag)
        if self.client.random.random() < 0.3:
            self.client.delete_tag(repository, tag)

    def _push_and_delete_loose_blob(self) -> None:
        repository, blob = self._repository(), some_bytes(self.client.random, self.largest_bytes)
        self.client.blob(repository, blob)
        if self.client.random.random() < 0.5:
            self.client.delete_blob(repository, digest_of(blob))

    def _repository(self) -> str:
        return f"{self.project}/r{self.client.random.randrange(REPOSITORIES)}"

    def _keep(self, image: Pushed) -> None:
        self.images = [*self.images[-KEPT_IMAGES:], image]


class Actor(Protocol):
    """A client that does one thing after another."""

    client: Client

    def turn(self) -> None:
        """Raises Broken, Refused."""


class Load:
    """
    Actors in threads; they go on after a broken connection, and write down every answer that should not have been.

    excuse: names the kind of an error that may be during an outage, None for any other; excused counts those.
    """

    def __init__(self, ledger: Ledger, actors: Sequence[Actor], excuse: Callable[[Exception], str | None] = lambda error: None) -> None:
        self.ledger = ledger
        self.actors = actors
        self.excused: Counter[str] = Counter()
        self._excuse = excuse
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, url: str) -> None:
        self._stop.clear()
        for actor in self.actors:
            actor.client.wire = Wire(url)
        self._threads = [threading.Thread(target=self._act, args=(actor,)) for actor in self.actors]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for actor in self.actors:
            actor.client.wire.close()

    def _act(self, actor: Actor) -> None:
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                actor.turn()
            except Broken:
                self.excused["connection broken"] += 1
                self._stop.wait(0.02)
            except Exception as error:
                kind = self._excuse(error)
                if kind is not None:
                    self.excused[kind] += 1
                    self._stop.wait(0.05)
                    continue
                self.ledger.surprised(f"{type(actor).__name__}: {error!r}", time.monotonic() - begun)
                self._stop.wait(0.1)


def pushers(ledger: Ledger, project: str, number: int = 8, seed: int = 1, largest_bytes: int = LARGEST_BYTES) -> list[Pusher]:
    return [
        Pusher(each, project, Client(Wire(""), ledger, random.Random(f"{seed} pusher {each}")), seed, largest_bytes)
        for each in range(number)
    ]
