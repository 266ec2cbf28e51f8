"""
No acknowledged push is lost when the power goes: nothing is acknowledged before it is synced.

A push load runs on a server under strace. Then the folder is rebuilt as the disk may hold it at many moments of that run, once with
only what was synced and once with a random part of the rest, and read. ROADSTEAD_POWER_LOSSES sets the number of moments.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import textwrap
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.kit import trace
from tests.kit.engines import only_with
from tests.kit.ledger import BLOB, MANIFEST, TAG, Key, Ledger
from tests.kit.load import Client, Verdict, Wire, digest_of, expectations, image_manifest, verify
from tests.kit.powerloss import Disk, rebuild
from tests.kit.program import find
from tests.kit.pushers import Load, pushers
from tests.kit.server import Server, serving
from tests.kit.survivor import Reader

POWER_LOSSES = int(os.environ.get("ROADSTEAD_POWER_LOSSES", "200"))
SEED = int(os.environ.get("ROADSTEAD_SEED", "1"))
LOAD_SECONDS = 4.0
GRACE_SECONDS = 1.0
LARGEST_BYTES = 100_000
STARTED_SERVERS = 10
CHECKED_SERVERS = 3
FIRST_STARTS = 12
BURSTS, PAUSE_SECONDS = 3, 1.0

pytestmark = only_with("it follows the system calls on the data folder", database="sqlite", blobs="folder")


@dataclass
class Recording:
    """A run of a server: its system calls and what it acknowledged meanwhile."""

    root: Path
    events: list[trace.Event]
    ledger: Ledger

    def moments(self, number: int, source: random.Random) -> list[tuple[int, float]]:
        """(events before it, time), in order: half of them anywhere, half right after an acknowledgement."""
        times = [event.time for event in self.events]
        answered = sorted(write.over for writes in self.ledger.writes.values() for write in writes if write.acknowledged)
        after = [(bisect_left(times, moment), moment) for moment in source.sample(answered, min(number // 2, len(answered)))]
        anywhere = [(index, times[index]) for index in source.sample(range(len(times)), number - len(after))]
        return sorted(after + anywhere)


def push_load(seconds: float, url: str, ledger: Ledger) -> None:
    """In bursts: only in a pause does a checkpoint reach the end of the WAL, so that the next burst begins it anew."""
    load = Load(ledger, pushers(ledger, "p-power-loss", seed=SEED, largest_bytes=LARGEST_BYTES))
    for _ in range(BURSTS):
        load.start(url)
        time.sleep(seconds / BURSTS)
        load.stop()
        time.sleep(PAUSE_SECONDS)


def push_the_same(rounds: int, url: str, ledger: Ledger) -> None:
    """Several clients push one manifest, or one blob, at the same moment, as the jobs of one pipeline do."""
    repository, clients = "p-power-loss/same", 6
    together = threading.Barrier(clients)
    Client(Wire(url), ledger, random.Random(0)).blob(repository, b"{}")

    def push(number: int) -> None:
        client = Client(Wire(url), ledger, random.Random(number))
        for each in range(rounds):
            content = random.Random(each).randbytes(50_000 if each % 4 == 1 else 1000)
            together.wait()
            if each % 2:
                digest = digest_of(content)
                with ledger.writing((Key(BLOB, repository, digest), digest)):
                    client.wire.expect(201, "POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", content)
            else:
                client.manifest(repository, image_manifest(b"{}", []) + b" " * each)

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(push, range(clients)))


def record(folder: Path, push: Callable[[str, Ledger], None], env: dict[str, str] | None = None) -> Recording:
    find("strace")
    folder.mkdir()
    root, output, ledger = folder.resolve() / "data", folder / "calls", Ledger()
    settings = {"ROADSTEAD_GC_INTERVAL_SECONDS": "0.3", "ROADSTEAD_GC_GRACE_SECONDS": str(GRACE_SECONDS), **(env or {})}
    server = Server(root, command=trace.command(output), env=settings).start()
    push(server.url, ledger)
    end(server)
    return Recording(root, list(trace.events(output, root)), ledger)


def end(server: Server) -> None:
    """The program is killed, not strace, which then writes what it still has and ends by itself."""
    assert server.process
    pid = server.process.pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    server.process.wait(timeout=30)


def examine(recording: Recording, moments: Iterable[tuple[int, float]], scratch: Path, source: random.Random) -> Verdict:
    """Two power losses at each moment, read straight from the database and the files."""
    disk, verdict, seen = Disk(recording.root), Verdict(), 0
    reader = Reader(scratch)
    for index, moment in moments:
        for event in recording.events[seen:index]:
            disk.see(event)
        seen = index
        right = expectations(recording.ledger, list(recording.ledger.writes), moment, GRACE_SECONDS)
        for chance in (None, source):
            found = reader.read(disk, chance)
            verdict.wrong += found.damaged
            for key, values in right.items():
                verdict.judge(key, found.digests.get(key), values)
    return verdict


def start_servers(recording: Recording, moments: Sequence[tuple[int, float]], folder: Path, source: random.Random) -> Verdict:
    """The same with the program itself: it starts, answers, and its own check finds nothing missing."""
    disk, verdict, seen = Disk(recording.root), Verdict(), 0
    for number, (index, moment) in enumerate(moments):
        for event in recording.events[seen:index]:
            disk.see(event)
        seen = index
        data = folder / f"rebuilt-{number}"
        data.mkdir()
        rebuild(disk, data, source if number % 2 else None)
        with serving(data) as server:
            verdict += verify(server.url, recording.ledger, moment=moment, grace_seconds=GRACE_SECONDS)
        if number < CHECKED_SERVERS:
            findings = json.loads(server.run("check", "--format", "json").stdout)["findings"]
            verdict.wrong += [str(finding) for finding in findings if finding["kind"] != "orphaned"]
        shutil.rmtree(data)
    return verdict


@pytest.mark.slow
def test_no_acknowledged_push_is_lost_when_the_power_goes(tmp_path: Path) -> None:
    source = random.Random(SEED)
    recording = record(tmp_path / "run", partial(push_load, LOAD_SECONDS))
    recorded = time.monotonic()
    moments = recording.moments(POWER_LOSSES, source)

    direct = examine(recording, moments, tmp_path / "scratch", source)
    examined = time.monotonic()
    served = start_servers(recording, sorted(source.sample(moments, min(STARTED_SERVERS, len(moments)))), tmp_path, source)

    acknowledged = {kind: len(recording.ledger.acknowledged(kind)) for kind in (MANIFEST, TAG, BLOB)}
    print(
        f"\n{len(recording.events) // 2} system calls, acknowledged {acknowledged}; {2 * len(moments)} power losses in "
        f"{examined - recorded:.1f} s: {direct.manifests} manifests, {direct.tags} tags and {direct.blobs} blobs read, "
        f"lost {len(direct.lost)}, wrong {len(direct.wrong)}; started servers in {time.monotonic() - examined:.1f} s: "
        f"lost {len(served.lost)}, wrong {len(served.wrong)}"
    )
    assert [] == direct.lost[:20]
    assert [] == direct.wrong[:20]
    assert [] == served.lost[:20]
    assert [] == served.wrong[:20]
    assert [] == recording.ledger.surprises[:20]


@pytest.mark.slow
def test_a_first_start_that_the_power_interrupted_is_made_up_for_by_the_next(tmp_path: Path) -> None:
    """The making of the database is one transaction, or can be gone on with; the same holds for a later change of the schema."""
    recording = record(tmp_path / "run", lambda url, ledger: None)
    number = len(recording.events)
    moments = [(number * step // FIRST_STARTS, 0.0) for step in range(1, FIRST_STARTS)]

    verdict = start_servers(recording, moments, tmp_path, random.Random(SEED))

    assert [] == verdict.wrong


@pytest.mark.slow
def test_the_same_push_from_several_clients_is_acknowledged_only_when_it_is_durable(tmp_path: Path) -> None:
    """Whoever comes second changes nothing, and yet may not be answered before the first one's transaction is synced."""
    recording = record(tmp_path / "run", partial(push_the_same, 80))
    times = [event.time for event in recording.events]
    first = sorted(min(write.over for write in writes) for writes in recording.ledger.writes.values())

    verdict = examine(recording, [(bisect_left(times, moment), moment) for moment in first], tmp_path / "scratch", random.Random(SEED))

    assert [] == sorted(set(verdict.lost + verdict.wrong))


@pytest.mark.slow
@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_a_server_that_does_not_sync_is_found_out(tmp_path: Path, call: str) -> None:
    """The test above could not fail if this one did: the same server with a system call taken away loses pushes."""
    (tmp_path / "sitecustomize.py").write_text(f"import os\nos.{call} = lambda fd: None\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    source = random.Random(SEED)

    recording = record(tmp_path / "run", partial(push_load, 2.0), {"PYTHONPATH": path})
    verdict = examine(recording, recording.moments(10, source), tmp_path / "scratch", source)

    assert verdict.lost


WRITERS = {
    "no sync at all": ("write(f, b'x'); os.rename('new', 'name')", True),
    "file synced, folder not": ("write(f, b'x'); os.fsync(f); os.rename('new', 'name')", True),
    "folder synced, file not": ("write(f, b'x'); os.rename('new', 'name'); os.fsync(d)", True),
    "file synced before the write": ("os.fsync(f); write(f, b'x'); os.rename('new', 'name'); os.fsync(d)", True),
    "folder synced before the rename": ("write(f, b'x'); os.fsync(f); os.fsync(d); os.rename('new', 'name')", True),
    "in the right order": ("write(f, b'x'); os.fsync(f); os.rename('new', 'name'); os.fsync(d)", False),
    "fdatasync is enough": ("write(f, b'x'); os.fdatasync(f); os.rename('new', 'name'); os.fsync(d)", False),
    "made longer afterwards": ("write(f, b'x'); os.fsync(f); os.ftruncate(f, 9); os.rename('new', 'name'); os.fsync(d)", False),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_the_model_knows_which_writers_lose_a_file(tmp_path: Path, writer: str) -> None:
    """Each writer claims to have stored one byte under a name; the model says whether that is so."""
    find("strace")
    code, loses = WRITERS[writer]
    root, output = tmp_path.resolve() / "folder", tmp_path / "calls"
    root.mkdir()
    program = textwrap.dedent(
        f"""
        import os
        from os import write
        d = os.open({str(root)!r}, os.O_RDONLY)
        f = os.open({str(root / "new")!r}, os.O_RDWR | os.O_CREAT)
        {code}
        """
    ).replace("'new'", repr(str(root / "new")))
    program = program.replace("'name'", repr(str(root / "name")))
    done = os.spawnvp(os.P_WAIT, "strace", [*trace.command(output), sys.executable, "-c", program])
    disk = Disk(root)
    for event in trace.events(output, root):
        disk.see(event)

    assert 0 == done
    assert loses == (dict(disk.files()).get("name") != b"x")
