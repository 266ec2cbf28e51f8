"""
Any number of nodes on one PostgreSQL and one S3 server are one registry, whatever of it is killed, slow or away.

ROADSTEAD_FLEET_SECONDS sets for how long things go wrong, ROADSTEAD_SEED in which order.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.kit.faults import Fault
from tests.kit.fleet import Fleet, outage
from tests.kit.history import Operation, linearizable
from tests.kit.ledger import BLOB, MANIFEST, TAG, Ledger
from tests.kit.load import Client, Wire, digest_of, image_manifest, verify
from tests.kit.push import Document, connect, image, push, push_blob
from tests.kit.pushers import Load, pushers, some_bytes
from tests.kit.raw import Raw, request
from tests.kit.server import Server, Worker

SECONDS = float(os.environ.get("ROADSTEAD_FLEET_SECONDS", "40"))
SEED = int(os.environ.get("ROADSTEAD_SEED", "1"))
# A lease lasts a minute: so long a killed worker's jobs wait for another.
SETTLED_WITHIN_SECONDS = 150.0
RECOVERED_WITHIN_SECONDS = 60.0
GRACE_SECONDS = 30.0
COLLECTING = {"ROADSTEAD_GC_INTERVAL_SECONDS": "1", "ROADSTEAD_GC_GRACE_SECONDS": str(GRACE_SECONDS)}
PART_BYTES = 8 * 1024 * 1024
MIB = 1024 * 1024

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three nodes that send clients to the bucket. The tests here harm nothing that another one needs."""
    made = Fleet(tmp_path_factory.mktemp("fleet"), workers=0, redirect=True)
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture(scope="module")
def streaming(fleet: Fleet) -> list[Server]:
    """Nodes of the same registry that send the bytes themselves."""
    return fleet.more_nodes(2, redirect=False)


@pytest.fixture
def clients(fleet: Fleet) -> Iterator[list[httpx.Client]]:
    """One for each of the three nodes."""
    opened = [connect(node.url) for node in fleet.nodes[:3]]
    yield opened
    for each in opened:
        each.close()


def blob_of(client: httpx.Client, repository: str, digest: str) -> bytes:
    response = client.get(f"/v2/{repository}/blobs/{digest}", follow_redirects=True)
    assert 200 == response.status_code, response.text
    return response.content


# Whatever goes wrong


class Chaos:
    """
    Things that go wrong, one after the other in random order. Each is over when its method returns, but for those who were killed:
    they come up again by and by, while the next thing goes wrong.
    """

    def __init__(self, fleet: Fleet, source: random.Random) -> None:
        self.fleet = fleet
        self.source = source
        self.happened: Counter[str] = Counter()
        self._bag: list[tuple[str, Callable[[], None]]] = []
        self._reviving: dict[Path, threading.Thread] = {}

    def next(self) -> None:
        if not self._bag:
            self._bag = list(self._kinds().items())
            self.source.shuffle(self._bag)
        name, happen = self._bag.pop()
        self.happened[name] += 1
        happen()

    def _kinds(self) -> dict[str, Callable[[], None]]:
        blobs, database = self.fleet.to_blobs, self.fleet.to_database
        return {
            "node killed": lambda: self._killed(self.source.choice(self.fleet.nodes)),
            "two nodes killed": lambda: self._killed(*self.source.sample(self.fleet.nodes, 2)),
            "worker killed": lambda: self._killed(self.source.choice(self.fleet.workers)),
            "all workers killed": lambda: self._killed(*self.fleet.workers),
            "PostgreSQL restarted": lambda: self._postgres(signal.SIGINT),
            "PostgreSQL crashed": lambda: self._postgres(signal.SIGQUIT),
            "database connections cut": lambda: self._cut(database.cut),
            "database slow": lambda: self._for_a_while(lambda: database.become(delay_seconds=0.05), database.become),
            "database frozen": lambda: self._for_a_while(lambda: database.become(Fault.FROZEN), database.become),
            "S3 slow": lambda: self._for_a_while(lambda: blobs.become(delay_seconds=0.15), blobs.become),
            "S3 frozen": lambda: self._for_a_while(lambda: blobs.become(Fault.FROZEN), blobs.become),
            "S3 says 503": lambda: self._for_a_while(lambda: blobs.become(Fault.UNAVAILABLE), blobs.become),
            "S3 refused": lambda: self._for_a_while(lambda: blobs.become(Fault.REFUSED), blobs.become),
            "S3 connections cut": lambda: self._cut(blobs.cut),
            "S3 refused and a node killed": self._both,
        }

    def _pause(self) -> None:
        time.sleep(self.source.uniform(0.5, 2.0))

    def _killed(self, *servers: Server) -> None:
        for server in servers:
            reviving = self._reviving.get(server.data)
            if reviving is None or not reviving.is_alive():
                server.kill()
                self._reviving[server.data] = threading.Thread(target=self._revive, args=(server,), daemon=True)
                self._reviving[server.data].start()
        self._pause()

    def _revive(self, server: Server) -> None:
        """As an operator's supervisor does: again and again until it comes up, which it cannot without its database."""
        while True:
            time.sleep(0.5)
            try:
                server.start()
                return
            except RuntimeError:
                continue

    def end(self) -> None:
        """Everything is up again."""
        for thread in self._reviving.values():
            thread.join(RECOVERED_WITHIN_SECONDS)
            assert not thread.is_alive()

    def _postgres(self, how: signal.Signals) -> None:
        self.fleet.postgres.stop(how)
        self._pause()
        self.fleet.postgres.start()

    def _cut(self, cut: Callable[[], None]) -> None:
        for _ in range(5):
            cut()
            time.sleep(self.source.uniform(0.05, 0.3))

    def _for_a_while(self, begin: Callable[[], None], end: Callable[[], None]) -> None:
        begin()
        self._pause()
        end()

    def _both(self) -> None:
        self.fleet.to_blobs.become(Fault.REFUSED)
        self._killed(self.source.choice(self.fleet.nodes))
        self.fleet.to_blobs.become()


def recovery_seconds(url: str, ledger: Ledger, repository: str, source: random.Random) -> float:
    """How long it takes until an image of small and large blobs can be pushed. Nothing is restarted meanwhile."""
    begun = time.monotonic()
    while time.monotonic() - begun < RECOVERED_WITHIN_SECONDS:
        client = Client(Wire(url), ledger, source)
        try:
            config, layer = some_bytes(source, 2000), source.randbytes(100_000)
            for blob in (config, layer):
                client.blob(repository, blob)
            client.manifest(repository, image_manifest(config, [layer]), "probe")
            return time.monotonic() - begun
        except Exception as error:
            if outage(error) is None:
                raise
            time.sleep(0.1)
        finally:
            client.wire.close()
    raise AssertionError(f"no push was possible for {RECOVERED_WITHIN_SECONDS} s after everything was back")


@pytest.mark.timeout(600 + 4 * SECONDS)
def test_nothing_acknowledged_is_lost_while_nodes_workers_and_engines_fail(tmp_path: Path, project: str) -> None:
    """
    Under load, through nginx, with collection on both workers. An answer that an outage spoils is 503 with Retry-After, and all is
    well by itself when it is over. In the end each node serves every byte that was acknowledged, and no job is left.
    """
    source, ledger = random.Random(SEED), Ledger()
    fleet = Fleet(tmp_path, settings=COLLECTING)
    try:
        fleet.start()
        chaos = Chaos(fleet, source)
        actors = [*pushers(ledger, project, 5, SEED), *pushers(ledger, project, 1, SEED + 1, largest_bytes=2 * PART_BYTES)]
        for number, actor in enumerate(actors):
            actor.number = number
        load = Load(ledger, actors, outage)
        load.start(fleet.url)
        recoveries: list[float] = []
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            time.sleep(source.uniform(0.3, 1.0))
            chaos.next()
            recoveries.append(recovery_seconds(fleet.url, ledger, f"{project}/probe", source))
        chaos.end()
        load.stop()
        verdicts = {"nginx": verify(fleet.url, ledger, grace_seconds=GRACE_SECONDS)}
        for node in fleet.nodes:
            verdicts[node.data.name] = verify(node.url, ledger, grace_seconds=GRACE_SECONDS)
        settled = fleet.jobs_done(SETTLED_WITHIN_SECONDS)
        left = fleet.sql("SELECT kind, attempts, last_error FROM jobs")
        checked = fleet.nodes[0].run("check", "--format", "json")
        findings = httpx.Response(200, content=checked.stdout).json()["findings"]
        failed = fleet.logs().count("request failed")
        circles = (fleet.postgres.folder / "log").read_text().count("deadlock detected")
    finally:
        fleet.remove()

    acknowledged = {kind: len(ledger.acknowledged(kind)) for kind in (MANIFEST, TAG, BLOB)}
    lost, wrong = [item for each in verdicts.values() for item in each.lost], [item for each in verdicts.values() for item in each.wrong]
    surprises = [surprise for surprise in ledger.surprises if surprise.seconds < GRACE_SECONDS / 2]
    print(
        f"\n{SECONDS:g} s, {sum(chaos.happened.values())} events {dict(chaos.happened)};\nacknowledged {acknowledged}; excused answers "
        f"{dict(load.excused)}; unexpected {len(surprises)}, of turns over half the grace {len(ledger.surprises) - len(surprises)};\n"
        f"recovered within {max(recoveries):.1f} s at most, {sorted(recoveries)[len(recoveries) // 2]:.1f} s in the middle;\n"
        f"read {[(name, each.manifests, each.tags, each.blobs) for name, each in verdicts.items()]} (manifests, tags, blobs owed); "
        f"lost {len(lost)}, wrong {len(wrong)};\njobs left {left!r}; findings {Counter(finding['kind'] for finding in findings)}; "
        f"failures in logs {failed}, deadlocks {circles}"
    )
    assert [] == lost
    assert [] == wrong
    assert [] == surprises
    assert settled, left
    assert set() == {finding["kind"] for finding in findings} - {"orphaned"}
    assert (0, 0) == (failed, circles)


# Nodes are one registry


@pytest.mark.parametrize("seed", range(8))
def test_the_requests_of_an_upload_may_come_to_any_node(clients: list[httpx.Client], repository: str, seed: int) -> None:
    """There is no stickiness: begun here, continued there, asked for and finished elsewhere."""
    source = random.Random(seed)
    chunks = [source.randbytes(source.choice([1, 500, 40_000, 300_000, PART_BYTES + 1])) for _ in range(source.randint(1, 6))]
    whole = b"".join(chunks)

    place = source.choice(clients).post(f"/v2/{repository}/blobs/uploads/").headers["Location"]
    sent = 0
    for chunk in chunks[:-1]:
        headers = {"Content-Range": f"{sent}-{sent + len(chunk) - 1}", "Content-Type": "application/octet-stream"}
        response = source.choice(clients).patch(place, content=chunk, headers=headers)
        sent += len(chunk)
        assert (202, f"0-{sent - 1}") == (response.status_code, response.headers["Range"])
        assert f"0-{sent - 1}" == source.choice(clients).get(place).headers["Range"]
        late = source.choice(clients).patch(place, content=b"late", headers={"Content-Range": "0-3"})
        assert (416, f"0-{sent - 1}") == (late.status_code, late.headers["Range"])
    finished = source.choice(clients).put(place, params={"digest": digest_of(whole)}, content=chunks[-1])

    assert 201 == finished.status_code, finished.text
    for client in clients:
        assert whole == blob_of(client, repository, digest_of(whole))
        assert 404 == client.get(place).status_code


def test_an_upload_cancelled_on_one_node_is_unknown_on_the_others(clients: list[httpx.Client], repository: str) -> None:
    place = clients[0].post(f"/v2/{repository}/blobs/uploads/").headers["Location"]
    assert 202 == clients[1].patch(place, content=b"x" * 100_000).status_code
    assert 204 == clients[2].delete(place).status_code

    for client in clients:
        assert 404 == client.get(place).status_code
        assert 404 == client.patch(place, content=b"y").status_code


def pushed_manifests(client: httpx.Client, repository: str, number: int) -> list[Document]:
    push_blob(client, repository, b"{}")
    return [image(annotations={"number": str(each)}) for each in range(number)]


def test_a_tag_that_was_moved_is_read_at_once_everywhere(clients: list[httpx.Client], repository: str) -> None:
    """Never the one before, not once in hundreds of times, and neither a deleted one."""
    manifests = pushed_manifests(clients[0], repository, 300)
    source, path = random.Random(SEED), f"/v2/{repository}/manifests/v1"
    for number, manifest in enumerate(manifests):
        writer, *readers = source.sample(clients, 3)
        assert 201 == push(writer, repository, manifest).status_code
        assert [manifest.payload] * 2 == [reader.get(path).content for reader in readers]
        assert manifest.digest == readers[0].head(path).headers["Docker-Content-Digest"]
        if number % 10 == 0:
            assert 202 == readers[1].delete(path).status_code
            assert [404, 404] == [client.get(path).status_code for client in (writer, readers[0])]


def test_of_several_that_move_a_tag_from_the_same_place_one_does(clients: list[httpx.Client], repository: str) -> None:
    """If-Match on three nodes at once; and If-None-Match when there is no tag yet."""
    manifests = pushed_manifests(clients[0], repository, 6 * 41)
    together = threading.Barrier(6)

    def move(number: int, manifest: Document, condition: dict[str, str]) -> int:
        together.wait()
        return push(clients[number % 3], repository, manifest, **condition).status_code

    condition = {"If-None-Match": "*"}
    with ThreadPoolExecutor(6) as pool:
        for turn in range(41):
            contenders = manifests[6 * turn : 6 * turn + 6]
            statuses = list(pool.map(move, range(6), contenders, [condition] * 6))
            assert [201, 412, 412, 412, 412, 412] == sorted(statuses)
            winner = contenders[statuses.index(201)]
            assert [winner.payload] * 3 == [client.get(f"/v2/{repository}/manifests/v1").content for client in clients]
            condition = {"If-Match": f'"{winner.digest}"'}


@pytest.mark.parametrize("sizes", [(300,), (100_000,), (1000, 50_000, 1000)], ids=["in a row", "one object", "chunks"])
@pytest.mark.parametrize("known", [False, True], ids=["new", "known bytes"])
def test_of_two_that_finish_an_upload_at_once_one_does(
    fleet: Fleet, clients: list[httpx.Client], project: str, sizes: tuple[int, ...], known: bool
) -> None:
    """The other is told that there is no such upload; the blob has its bytes, also after collection."""
    repository, together = f"{project}/image", threading.Barrier(2)

    def finish(client: httpx.Client, place: str, digest: str) -> int:
        together.wait()
        return client.put(place, params={"digest": digest}).status_code

    layers = []
    with ThreadPoolExecutor(2) as pool:
        for turn in range(15):
            chunks = [random.Random(f"{project} {turn} {number}").randbytes(size) for number, size in enumerate(sizes)]
            layers.append(b"".join(chunks))
            if known:
                push_blob(clients[0], f"{project}/other", layers[-1])
            place = clients[turn % 3].post(f"/v2/{repository}/blobs/uploads/").headers["Location"]
            for chunk in chunks:
                assert 202 == clients[turn % 3].patch(place, content=chunk).status_code
            statuses = list(pool.map(finish, clients[:2], [place] * 2, [digest_of(layers[-1])] * 2))
            assert [201, 404] == sorted(statuses)
    push_blob(clients[0], repository, b"{}")
    assert 201 == push(clients[0], repository, image(layers=layers)).status_code
    collected = fleet.nodes[0].run("gc", "--grace", "0")

    assert 0 == collected.returncode, collected.stderr
    for client in clients:
        assert layers == [blob_of(client, repository, digest_of(layer)) for layer in layers]


# A tag is a register


def play(
    clients: list[httpx.Client], repository: str, manifests: list[Document], seed: int, broken: tuple[int, ...] = ()
) -> list[Operation]:
    """
    A history of six clients that read, write, create and swap one tag, two on each node. broken: answers after which nobody knows
    what has happened.
    """
    history: list[Operation] = []
    together = threading.Barrier(6)
    path = f"/v2/{repository}/manifests/register-{seed}"

    def act(number: int) -> None:
        source, client, seen = random.Random(f"{seed} {number}"), clients[number % len(clients)], None
        together.wait()
        for turn in range(5):
            kind = source.choice(["read", "write", "create", "swap", "swap"]) if turn else source.choice(["create", "read"])
            manifest = manifests[number * 5 + turn]
            begun = time.monotonic()
            if kind == "read" or (kind == "swap" and seen is None):
                response = client.get(path)
                assert response.status_code in (200, 404, *broken), response.text
                if response.status_code in broken:
                    continue
                seen = digest_of(response.content) if response.status_code == 200 else None
                history.append(Operation("read", begun, time.monotonic(), found=seen))
                continue
            condition = {"write": {}, "create": {"If-None-Match": "*"}, "swap": {"If-Match": f'"{seen}"'}}[kind]
            response = push(client, repository, manifest, f"register-{seed}", **condition)
            assert response.status_code in (201, 412, *broken), response.text
            done = None if response.status_code in broken else response.status_code == 201
            history.append(Operation(kind, begun, time.monotonic(), manifest.digest, seen if kind == "swap" else None, done=done))
            seen = manifest.digest if done else seen
            # Whoever does not know reads before he swaps.
            seen = None if done is None else seen

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(act, range(6)))
    return history


def test_a_tag_is_a_linearizable_register(clients: list[httpx.Client], repository: str) -> None:
    """All that clients of three nodes have seen fits one order of all that they did, in each of 40 histories."""
    manifests = pushed_manifests(clients[0], repository, 30)
    histories = [play(clients, repository, manifests, seed) for seed in range(40)]

    done = Counter(f"{operation.kind} {'done' if operation.done else 'refused'}" for history in histories for operation in history)
    print(f"\n{len(histories)} histories of {len(histories[0])} operations: {dict(done)}")
    assert [] == [number for number, history in enumerate(histories) if not linearizable(history)]
    assert min(done["swap done"], done["swap refused"], done["create refused"]) > 0


def test_a_tag_stays_a_linearizable_register_while_connections_to_the_database_are_cut(
    fleet: Fleet, clients: list[httpx.Client], repository: str
) -> None:
    """What is answered with 503 may have happened or not; what is answered otherwise has."""
    manifests = pushed_manifests(clients[0], repository, 30)
    histories, over = [], threading.Event()

    def cut() -> None:
        source = random.Random(SEED)
        while not over.wait(source.uniform(0.005, 0.1)):
            fleet.to_database.cut()

    cutting = threading.Thread(target=cut)
    cutting.start()
    try:
        histories = [play(clients, repository, manifests, seed, broken=(503,)) for seed in range(100, 140)]
    finally:
        over.set()
        cutting.join()

    operations = [operation for history in histories for operation in history]
    print(
        f"\n{len(histories)} histories of {len(operations)} operations, {sum(each.done is None for each in operations)} without an answer"
    )
    assert [] == [number for number, history in enumerate(histories) if not linearizable(history)]
    assert any(operation.done is None for operation in operations)


def test_the_checker_finds_what_is_not_linearizable() -> None:
    write = Operation("write", 0, 1, "a")
    assert linearizable([write, Operation("read", 0.5, 2, found=None)])
    assert linearizable([write, Operation("read", 2, 3, found="a")])
    assert not linearizable([write, Operation("read", 2, 3, found=None)]), "stale"
    assert not linearizable([write, Operation("read", 2, 3, found="b")]), "from nowhere"
    both = [Operation("swap", 2, 4, value, "a", done=True) for value in "bc"]
    assert not linearizable([write, *both]), "two that swapped the same"
    assert not linearizable([write, Operation("create", 2, 3, "b", done=True)]), "there was one"
    lost = Operation("write", 0, 1, "a", done=None)
    assert linearizable([lost, Operation("read", 2, 3, found=None), Operation("read", 4, 5, found="a")]), "it may come late"
    assert not linearizable([lost, Operation("read", 2, 3, found="a"), Operation("read", 4, 5, found=None)]), "but does not go again"


# Bytes on their way out


@pytest.mark.parametrize("size", [100_000, PART_BYTES + 12_345])
def test_a_large_blob_is_fetched_from_the_bucket_itself(fleet: Fleet, clients: list[httpx.Client], repository: str, size: int) -> None:
    """By a presigned address that any node gives; the bucket answers ranges; nothing but GET is redirected."""
    content = random.Random(size).randbytes(size)
    path = f"/v2/{repository}/blobs/{push_blob(clients[0], repository, content)}"
    for client in clients:
        sent_away = client.get(path)
        assert 307 == sent_away.status_code
        assert sent_away.headers["Location"].startswith(fleet.s3.url)
        assert "no-store" == sent_away.headers["Cache-Control"]
        assert content == httpx.get(sent_away.headers["Location"]).content
        part = client.get(path, headers={"Range": "bytes=10-19"}, follow_redirects=True)
        assert (206, content[10:20]) == (part.status_code, part.content)
        last = client.get(path, headers={"Range": "bytes=-7"}, follow_redirects=True)
        assert (206, content[-7:]) == (last.status_code, last.content)
        head = client.head(path)
        assert (200, str(size)) == (head.status_code, head.headers["Content-Length"])
        assert 304 == client.get(path, headers={"If-None-Match": head.headers["ETag"]}).status_code


def test_a_presigned_address_is_for_one_object_and_for_reading(clients: list[httpx.Client], repository: str) -> None:
    content, other = random.Random("one").randbytes(50_000), random.Random("other").randbytes(50_000)
    places = [
        clients[0].get(f"/v2/{repository}/blobs/{push_blob(clients[0], repository, each)}").headers["Location"] for each in (content, other)
    ]
    swapped = places[1].split("?")[0] + "?" + places[0].split("?")[1]

    assert 403 == httpx.get(swapped).status_code
    assert 403 == httpx.put(places[0], content=b"mine").status_code
    assert 403 == httpx.delete(places[0]).status_code
    assert content == httpx.get(places[0]).content


@pytest.mark.parametrize("size", [100_000, PART_BYTES + 12_345])
def test_where_clients_cannot_reach_the_bucket_the_node_streams(streaming: list[Server], repository: str, size: int) -> None:
    content = random.Random(size + 1).randbytes(size)
    with connect(streaming[0].url) as client:
        path = f"/v2/{repository}/blobs/{push_blob(client, repository, content)}"
    for node in streaming:
        with connect(node.url) as client:
            assert content == client.get(path).content
            assert str(size) == client.head(path).headers["Content-Length"]
            part = client.get(path, headers={"Range": f"bytes=10-{size - 2}"})
            assert (206, content[10:-1]) == (part.status_code, part.content)
            parts = client.get(path, headers={"Range": f"bytes=0-4,{size - 5}-,50000-50009"})
            assert 206 == parts.status_code
            for piece in (content[:5], content[-5:], content[50_000:50_010]):
                assert b"\r\n\r\n" + piece + b"\r\n--" in parts.content


def test_a_client_that_hangs_up_midway_costs_the_node_nothing(streaming: list[Server], repository: str) -> None:
    """Neither its connection to the bucket nor a descriptor stays behind, and the next client is served."""
    content = random.Random("hang up").randbytes(3 * PART_BYTES)
    node = streaming[0]
    with connect(node.url) as client:
        path = f"/v2/{repository}/blobs/{push_blob(client, repository, content)}"
        assert content == client.get(path).content
        before = open_descriptors(node)
        for _ in range(40):
            with Raw(node.port) as raw:
                raw.send(request("GET", path))
                raw._until(b"\r\n\r\n")
        assert content == client.get(path).content
        deadline = time.monotonic() + 30
        while open_descriptors(node) > before + 10 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert open_descriptors(node) <= before + 10


def serving_processes(node: Server) -> list[int]:
    assert node.process
    return [int(child) for child in Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text().split()]


def open_descriptors(node: Server) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in serving_processes(node))


# Bytes on their way in


def memory_mib(pid: int, line: str) -> float:
    for each in Path(f"/proc/{pid}/status").read_text().splitlines():
        if each.startswith(f"{line}:"):
            return int(each.split()[1]) / 1024
    raise AssertionError(line)


@pytest.mark.parametrize("chunks", [1, 4], ids=["one request", "four chunks"])
def test_a_large_upload_passes_through_in_bounded_memory(streaming: list[Server], repository: str, chunks: int) -> None:
    """1 GiB, straight into the bucket; in chunks it is read once more, and that is streamed as well."""
    node, piece = streaming[1], random.Random("piece").randbytes(MIB)
    pieces = 1024 // chunks
    whole = hashlib_of(piece, 1024)
    (pid,) = serving_processes(node)
    with connect(node.url) as client:
        push_blob(client, repository, piece)
        before = memory_mib(pid, "VmRSS")
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        place = client.post(f"/v2/{repository}/blobs/uploads/").headers["Location"]
        for _ in range(chunks):
            assert 202 == client.patch(place, content=(piece for _ in range(pieces)), timeout=300).status_code
        finished = client.put(place, params={"digest": whole}, timeout=300)
        peak = memory_mib(pid, "VmHWM")
        head = client.head(f"/v2/{repository}/blobs/{whole}")

    print(f"\n1 GiB in {chunks} requests: {before:.0f} MiB before, {peak:.0f} MiB at most")
    assert 201 == finished.status_code, finished.text
    assert str(1024 * MIB) == head.headers["Content-Length"]
    assert peak - before < 100


def hashlib_of(piece: bytes, times: int) -> str:
    import hashlib

    hasher = hashlib.sha256()
    for _ in range(times):
        hasher.update(piece)
    return f"sha256:{hasher.hexdigest()}"


def test_what_a_killed_node_leaves_of_a_multipart_upload_is_given_up(tmp_path: Path, fleet: Fleet, repository: str) -> None:
    """SIGKILL in the middle of 64 MiB. It is in no listing of objects, so nobody else would ever free it."""
    node = Server(tmp_path / "killed", "--no-worker", "--processes", "1", env=fleet.env(redirect=False)).start()
    with connect(node.url) as client:
        place = client.post(f"/v2/{repository}/blobs/uploads/").headers["Location"]
    with Raw(node.port) as raw:
        raw.send(request("PATCH", place, f"Content-Length: {64 * MIB}") + bytes(40 * MIB))
        deadline = time.monotonic() + 30
        while not fleet.s3.unfinished(fleet.bucket) and time.monotonic() < deadline:
            time.sleep(0.05)
        node.kill()
    left = fleet.s3.unfinished(fleet.bucket)
    fresh = fleet.nodes[0].run("gc", "--format", "json")
    still = fleet.s3.unfinished(fleet.bucket)
    impatient = Server(tmp_path / "impatient", env={**fleet.env(redirect=False), "ROADSTEAD_UPLOAD_EXPIRY_SECONDS": "0.001"})
    expired = impatient.run("gc", "--format", "json")

    assert 1 == len(left)
    assert (0, left) == (fresh.returncode, still), "one that may still go on is left alone"
    assert 0 == expired.returncode, expired.stderr
    assert [] == fleet.s3.unfinished(fleet.bucket)
    with connect(fleet.nodes[0].url) as client:
        assert 404 == client.get(place).status_code


# Workers


def doomed(fleet: Fleet, client: httpx.Client, repository: str, number: int) -> None:
    """That many blobs in objects, of which nobody has a link any more: removing each object is a job."""
    for each in range(number):
        name = push_blob(client, repository, random.Random(f"{repository} doomed {each}").randbytes(40_000))
        assert 202 == client.delete(f"/v2/{repository}/blobs/{name}").status_code
    assert number == fleet.jobs()


def test_the_job_of_a_killed_worker_is_run_by_another_when_its_lease_is_over(tmp_path: Path, fleet: Fleet, repository: str) -> None:
    with connect(fleet.nodes[0].url) as client:
        doomed(fleet, client, repository, 1)
    (key,) = fleet.sql("SELECT split_part(convert_from(arguments, 'UTF8'), E'\\n', 2) FROM jobs").splitlines()
    object_file = fleet.s3.folder / "objects" / fleet.bucket / "gcr" / key
    assert object_file.exists()

    fleet.to_blobs.become(Fault.FROZEN)
    first = Worker(tmp_path / "first", env=fleet.env(redirect=False)).start()
    deadline = time.monotonic() + 30
    while fleet.sql("SELECT claimed_until_us FROM jobs") == "0" and time.monotonic() < deadline:
        time.sleep(0.05)
    first.kill()
    fleet.to_blobs.cut()
    fleet.to_blobs.become()
    second = Worker(tmp_path / "second", env=fleet.env(redirect=False)).start()
    try:
        time.sleep(3)
        assert 1 == fleet.jobs(), "the lease still lasts"
        assert object_file.exists()
        fleet.sql("UPDATE jobs SET claimed_until_us = 1")  # a minute later
        assert fleet.jobs_done(30)
        assert not object_file.exists()
    finally:
        second.stop()


def test_two_workers_run_each_job_once(tmp_path: Path, fleet: Fleet, repository: str) -> None:
    number = 300
    with connect(fleet.nodes[0].url) as client:
        doomed(fleet, client, repository, number)
    before = fleet.to_blobs.seen["DELETE"]
    workers = [Worker(tmp_path / f"worker-{each}", env=fleet.env(redirect=False)) for each in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Worker.start, workers))
    try:
        assert fleet.jobs_done(60)
        assert number == fleet.to_blobs.seen["DELETE"] - before
    finally:
        for worker in workers:
            worker.stop()
