"""
A push load: several clients that push, overwrite, mount and delete at once, and write down what the registry acknowledged.

Everything is random from a seed, so that the mix is the same in every run; only the interleaving differs.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import math
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.kit.ledger import BLOB, MANIFEST, TAG, Key, Ledger

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
SMALLEST_BYTES, LARGEST_BYTES = 200, 300_000
TIMEOUT_SECONDS = 60


class Broken(Exception):
    """No whole answer was read: the request may have been carried out or not."""


class Refused(Exception):
    """An answer, but not the one that was hoped for."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.body[:300].decode(errors='replace')}")
        self.status = answer.status
        self.headers = answer.headers
        self.body = answer.body

    @property
    def codes(self) -> list[str]:
        return [entry["code"] for entry in json.loads(self.body)["errors"]]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Wire:
    """One keep-alive connection, opened anew when it broke."""

    def __init__(self, url: str) -> None:
        self._authority = urlsplit(url).netloc
        self._connection: http.client.HTTPConnection | None = None

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Raises Broken."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._authority, timeout=TIMEOUT_SECONDS)
        try:
            self._connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = self._connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._connection = None
            raise Broken(f"{method} {path}: {error!r}") from error

    def expect(self, status: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Raises Broken, Refused."""
        answer = self.request(method, path, body, **headers)
        if answer.status != status:
            raise Refused(answer)
        return answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def descriptor(content: bytes, media_type: str = "application/vnd.oci.image.layer.v1.tar") -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def image_manifest(config: bytes, layers: Sequence[bytes]) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [descriptor(layer) for layer in layers],
        }
    ).encode()


@dataclass(frozen=True, slots=True)
class Pushed:
    """A manifest that was acknowledged. tags are all that this client ever gave it."""

    repository: str
    digest: str
    size_bytes: int
    tags: tuple[str, ...]


@dataclass
class Client:
    """Single operations of one client; each is written down in the ledger before it is sent and after it is answered."""

    wire: Wire
    ledger: Ledger
    random: random.Random

    def blob(self, repository: str, content: bytes) -> None:
        """In one of the ways in which clients upload: one request, two, or many chunks."""
        digest = digest_of(content)
        with self.ledger.writing((Key(BLOB, repository, digest), digest)):
            way = self.random.random()
            if way < 0.5:
                self.wire.expect(201, "POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", content)
                return
            place = self.wire.expect(202, "POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
            if way < 0.75:
                self.wire.expect(201, "PUT", f"{place}?digest={digest}", content)
                return
            step = max(1, len(content) // self.random.randint(1, 4))
            for start in range(0, len(content), step):
                place = self.wire.expect(202, "PATCH", place, content[start : start + step]).headers["Location"]
            self.wire.expect(201, "PUT", f"{place}?digest={digest}", b"")

    def has_blob(self, repository: str, digest: str) -> bool:
        answer = self.wire.request("HEAD", f"/v2/{repository}/blobs/{digest}")
        if answer.status not in (200, 404):
            raise Refused(answer)
        return answer.status == 200

    def mount(self, repository: str, digest: str, source: str) -> bool:
        """False when the registry answers that it wants an upload instead."""
        try:
            with self.ledger.writing((Key(BLOB, repository, digest), digest)):
                self.wire.expect(201, "POST", f"/v2/{repository}/blobs/uploads/?mount={digest}&from={source}")
        except Refused as refused:
            if refused.status != 202:
                raise
            return False
        return True

    def manifest(self, repository: str, payload: bytes, tag: str | None = None, media_type: str = OCI_MANIFEST) -> Pushed:
        document, digest = json.loads(payload), digest_of(payload)
        key = Key(MANIFEST, repository, digest)
        blobs = [Key(BLOB, repository, part["digest"]) for part in (document.get("config"), *document.get("layers", [])) if part]
        children = [Key(MANIFEST, repository, child["digest"]) for child in document.get("manifests", [])]
        self.ledger.needs[key] = blobs + children
        changes: list[tuple[Key, str | None]] = [(key, digest)]
        if tag is not None:
            changes.append((Key(TAG, repository, tag), digest))
        with self.ledger.writing(*changes):
            self.wire.expect(201, "PUT", f"/v2/{repository}/manifests/{tag or digest}", payload, Content_Type=media_type)
        return Pushed(repository, digest, len(payload), (tag,) if tag else ())

    def delete_manifest(self, pushed: Pushed) -> None:
        """Its tags go with it."""
        keys = [Key(MANIFEST, pushed.repository, pushed.digest), *(Key(TAG, pushed.repository, tag) for tag in pushed.tags)]
        with self.ledger.writing(*((key, None) for key in keys)):
            self.wire.expect(202, "DELETE", f"/v2/{pushed.repository}/manifests/{pushed.digest}")

    def delete_tag(self, repository: str, tag: str) -> None:
        with self.ledger.writing((Key(TAG, repository, tag), None)):
            self.wire.expect(202, "DELETE", f"/v2/{repository}/manifests/{tag}")

    def delete_blob(self, repository: str, digest: str) -> None:
        with self.ledger.writing((Key(BLOB, repository, digest), None)):
            self.wire.expect(202, "DELETE", f"/v2/{repository}/blobs/{digest}")


@dataclass
class Verdict:
    """What a reading of everything owed found. blobs, manifests and tags are the numbers of those that were checked and owed."""

    blobs: int = 0
    manifests: int = 0
    tags: int = 0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __iadd__(self, other: Verdict) -> Verdict:
        self.blobs, self.manifests, self.tags = self.blobs + other.blobs, self.manifests + other.manifests, self.tags + other.tags
        self.lost += other.lost
        self.wrong += other.wrong
        return self

    def judge(self, key: Key, found: str | None, possible: set[str | None]) -> None:
        """found: the digest computed from the bytes that were read, None if they are not there."""
        if None not in possible:
            setattr(self, f"{key.kind}s", getattr(self, f"{key.kind}s") + 1)
        if found in possible:
            return
        said = f"{key.kind} {key.repository} {key.name}: found {found}, possible {sorted(map(str, possible))}"
        (self.lost if found is None else self.wrong).append(said)


def verify(
    url: str, ledger: Ledger, keys: Sequence[Key] | None = None, moment: float = math.inf, grace_seconds: float = math.inf
) -> Verdict:
    """
    Read every key over HTTP, whole, and compare its digest with what the ledger says is possible at the moment.

    grace_seconds: for how long the registry keeps a blob that no manifest needs.
    """
    right = expectations(ledger, list(ledger.writes) if keys is None else keys, moment, grace_seconds)
    verdict = Verdict()
    local = threading.local()

    def read(key: Key) -> tuple[Key, str | None]:
        if not hasattr(local, "wire"):
            local.wire = Wire(url)
        room = "blobs" if key.kind == BLOB else "manifests"
        answer = local.wire.request("GET", f"/v2/{key.repository}/{room}/{key.name}")
        if answer.status not in (200, 404):
            raise Refused(answer)
        return key, digest_of(answer.body) if answer.status == 200 else None

    with ThreadPoolExecutor(4) as pool:
        for key, found in pool.map(read, right):
            verdict.judge(key, found, right[key])
    return verdict


def expectations(ledger: Ledger, keys: Sequence[Key], moment: float, grace_seconds: float) -> dict[Key, set[str | None]]:
    """The digests that each key may have at the moment; None among them where it need not be there."""
    needed = ledger.needed(moment)
    right = {key: ledger.possible(key, moment) for key in keys}
    for key, values in right.items():
        if key.kind == BLOB and key not in needed and moment - ledger.last_push(key, moment) >= grace_seconds:
            values.add(None)
    return right
