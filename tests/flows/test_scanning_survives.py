"""Whatever is killed while images are scanned, every image that was acknowledged ends as scanned, once, and wholly."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kit import scanned
from tests.kit.accounts import WITH_ACCOUNTS, Installation
from tests.kit.engines import Postgres
from tests.kit.server import Server

pytestmark = pytest.mark.slow

IMAGES = int(os.environ.get("ROADSTEAD_SCANNED_IMAGES", "24"))
# A lease lasts a minute: so long a killed worker's jobs wait for another.
SETTLED_WITHIN_SECONDS = 150.0


class Survivor:
    """A server with accounts, a project whose pushes are scanned, and what was acknowledged in it."""

    def __init__(self, folder: Path, database: str = "") -> None:
        env = {**WITH_ACCOUNTS, **({"ROADSTEAD_DATABASE": database} if database else {})}
        self.server = Server(folder / "data", env=env).start()
        self.installation = Installation(self.server)
        self.project = scanned.project(self.installation)
        scanned.import_feeds(self.installation, {"secdb": scanned.secdb(folder, "3.18", {"openssl": {"5-r0": ["CVE-2026-1001"]}})})
        self.images: dict[str, str] = {}

    def push(self, number: int) -> None:
        """A base that all share, and a layer of its own with the packages."""
        name = f"{self.project}/image{number}"
        base = {"base": "x" * 1000}
        packages = {"openssl": f"{number % 9}-r0", f"own{number}": "1-r0"}
        self.images[name] = scanned.push(self.installation.owner, name, [base, scanned.alpine("3.18", packages)], "v1").digest

    def children(self, what: str) -> list[int]:
        """Processes of the server by what they do: worker, or the scan's own processes below it."""
        worker = [pid for pid, _, line in _below(self.server.process.pid if self.server.process else 0) if _is_worker(pid, line)]
        if what == "worker":
            return worker
        return [pid for each in worker for pid, _, line in _below(each) if "spawn_main" in line and "resource_tracker" not in line]

    def worker(self) -> int:
        """As soon as it reads something: by that it is known."""
        deadline = time.monotonic() + 30
        while not (found := self.children("worker")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return found[-1]

    def settled(self) -> None:
        """Every image that was acknowledged is scanned."""
        deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
        while True:
            found = scanned.occurrences(self.installation.owner, self.project, 'kind="DISCOVERY"', pageSize=1000)
            states = {each["resourceUri"]: each["discovery"]["analysisStatus"] for each in found}
            wanted = {scanned.url(name, digest) for name, digest in self.images.items()}
            left = Counter(states.get(each, "absent") for each in wanted if states.get(each) != "FINISHED_SUCCESS")
            if not left:
                return
            assert time.monotonic() < deadline, (left, self.server.log.read_text()[-3000:])
            time.sleep(0.3)

    def right(self) -> None:
        """What each has is what it should have."""
        found = scanned.occurrences(self.installation.owner, self.project, 'kind="VULNERABILITY"', pageSize=1000)
        affected = {each["resourceUri"] for each in found}
        wanted = {
            scanned.url(f"{self.project}/image{number}", self.images[f"{self.project}/image{number}"])
            for number in range(IMAGES)
            if number % 9 < 5
        }
        assert wanted == affected
        assert len(found) == len(affected)
        for name, digest in self.images.items():
            response = self.installation.owner.post(
                f"/v1/projects/{self.project}/resources/{scanned.url(name, digest)}:exportSBOM", json={}
            )
            bill = self.installation.owner.get(f"/v1/{response.json()['discoveryOccurrence']}").json()["sbomReference"]["payload"][
                "predicate"
            ]
            packages = self.installation.owner.get(f"/v2/{name}/blobs/sha256:{bill['digest']['sha256']}").json()["packages"]
            assert {name, "openssl", f"own{name.rpartition('image')[2]}"} == {each["name"].removeprefix("gcr.io/") for each in packages}

    def events(self) -> Counter[str]:
        """How often the scan of each image was told to have finished."""
        statement = "SELECT i.name FROM scan_events e JOIN scanned_images i ON i.id = e.image_id WHERE e.kind = 'SCAN_FINISHED'"
        address = self.server.env.get("ROADSTEAD_DATABASE", "")
        if address.startswith("postgresql"):
            done = subprocess.run([*_psql(address), "-c", statement], capture_output=True, text=True, check=True)
            return Counter(done.stdout.split())
        connection = sqlite3.connect(self.server.data / "registry.sqlite")
        try:
            return Counter(row[0] for row in connection.execute(statement))
        finally:
            connection.close()


def _psql(address: str) -> list[str]:
    return Postgres(port=1).psql(address)


def _below(parent: int) -> list[tuple[int, int, str]]:
    """All processes below one: id, parent, command line."""
    found: list[tuple[int, int, str]] = []
    everything = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            everything.append((int(entry.name), int(stat[1]), line))
    parents = [parent]
    while parents:
        here = [each for each in everything if each[1] in parents]
        found += here
        parents = [each[0] for each in here]
    return found


def _is_worker(pid: int, line: str) -> bool:
    """It is the one that has a pool of processes below it, or that says so."""
    return any("spawn_main" in below for _, _, below in _below(pid)) and "spawn_main" not in line


@pytest.fixture
def survivor(tmp_path: Path) -> Iterator[Survivor]:
    made = Survivor(tmp_path)
    yield made
    made.server.stop()


def _kill(pids: list[int]) -> int:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return len(pids)


def test_processes_that_read_layers_may_die(survivor: Survivor) -> None:
    """As when the machine is out of memory: what was being read is read again, alone, so that one layer does not harm others."""
    killed = 0
    for number in range(IMAGES):
        survivor.push(number)
        if number % 8 == 5:
            killed += _kill(survivor.children("readers"))
            survivor.settled()
    survivor.settled()

    assert killed
    survivor.right()


def test_the_worker_may_die(survivor: Survivor) -> None:
    """The supervisor starts another one, which goes on when the leases of the dead one's jobs are over."""
    killed = 0
    for number in range(IMAGES):
        survivor.push(number)
        if number in (IMAGES // 3, IMAGES // 2):
            killed += _kill([survivor.worker()])
    survivor.settled()

    assert killed
    survivor.right()
    told = survivor.events()
    assert set(survivor.images) == set(told)
    assert sum(told.values()) <= len(survivor.images) + 8 * killed, "more than the jobs that were running when it died"


def test_the_server_may_die(survivor: Survivor) -> None:
    """All of its processes at once; what it has acknowledged is scanned after the next start."""
    for number in range(IMAGES):
        survivor.push(number)
        if number in (IMAGES // 4, IMAGES - 1):
            survivor.server.kill()
            survivor.server.start()
    survivor.settled()

    survivor.right()
    assert set(survivor.images) == set(survivor.events())


def test_the_database_may_die(tmp_path: Path) -> None:
    """A PostgreSQL that crashes and comes back: the server goes on by itself."""
    postgres = Postgres().start()
    survivor = None
    try:
        survivor = Survivor(tmp_path, postgres.new_database())
        for number in range(IMAGES):
            _again(lambda number=number: survivor.push(number))  # type: ignore[misc]
            if number in (IMAGES // 4, IMAGES // 2):
                postgres.stop(signal.SIGQUIT)
                postgres.start()
        _again(survivor.settled)
        survivor.right()
        assert set(survivor.images) == set(survivor.events())
    finally:
        if survivor is not None:
            survivor.server.stop()
        postgres.remove()


def _again(work: Callable[[], None], seconds: float = 60) -> None:
    """While the database is away, pushes are refused with 503, as a client that tries again sees it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            work()
            return
        except (AssertionError, KeyError, json.JSONDecodeError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
