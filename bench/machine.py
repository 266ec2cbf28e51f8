"""What the machine does meanwhile: CPU and memory of process trees, how disturbed it is, and what it can do at most."""

import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

MIB = 1 << 20
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_NOISE = os.urandom(MIB)


def _stat(pid: int | str) -> list[str] | None:
    """The fields of /proc/PID/stat after the command name: state, parent, …"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None


def process_tree(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(entry)):
            children.setdefault(int(fields[1]), []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        process = todo.pop()
        found.append(process)
        todo += children.get(process, [])
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree, with the children it has reaped."""
    if not pid:
        return 0.0
    return sum(sum(map(int, fields[11:15])) for process in process_tree(pid) if (fields := _stat(process))) / _TICKS_PER_SECOND


def _rss_mib_of(processes: Iterable[int]) -> float:
    total = 0
    for process in processes:
        try:
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1])
        except OSError:
            pass
    return total * _PAGE_BYTES / MIB


def rss_mib(pid: int) -> float:
    """Counts memory that processes share once for each of them."""
    return _rss_mib_of(process_tree(pid))


def pss_mib(pid: int) -> float:
    """Counts memory that processes share once."""
    total = 0
    for process in process_tree(pid):
        try:
            found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{process}/smaps_rollup").read_text(), re.M)
            total += int(found[1]) if found else 0
        except OSError:
            pass
    return total / 1024


class _KernelThreads:
    """Write-back, journal and softirq work for the servers too: they do not count as other processes."""

    def __init__(self) -> None:
        self._read_at = 0.0
        self._pids: list[str] = []

    def ticks(self) -> int:
        if time.time() - self._read_at > 5:
            self._read_at = time.time()
            self._pids = [x for x in os.listdir("/proc") if x.isdigit() and (fields := _stat(x)) and fields[1] == "2"]
        return sum(int(fields[11]) + int(fields[12]) for pid in self._pids if (fields := _stat(pid)))


_kernel_threads = _KernelThreads()


class Busy:
    """CPU used since it was made: by processes that are neither this tool nor a measured server, and by other virtual machines."""

    def __init__(self, server_pids: Iterable[int]) -> None:
        self._pids = list(server_pids)
        self._before, self._at = self._read(), time.time()

    def _read(self) -> tuple[float, float]:
        with open("/proc/stat") as file:
            fields = [int(x) for x in file.readline().split()[1:9]]
        times = os.times()
        own = times.user + times.system + times.children_user + times.children_system
        own += sum(cpu_seconds(pid) for pid in self._pids) + _kernel_threads.ticks() / _TICKS_PER_SECOND
        return (sum(fields) - fields[3] - fields[4]) / _TICKS_PER_SECOND - own, fields[7] / _TICKS_PER_SECOND

    def other_and_stolen_cores(self) -> tuple[float, float]:
        (other, stolen), seconds = self._read(), time.time() - self._at
        return max(0.0, (other - self._before[0]) / seconds), (stolen - self._before[1]) / seconds


def wait_until_quiet(server_pids: Iterable[int], at_most_seconds: float, limit_cores: float = 0.25) -> float:
    """Wait until other processes use less than limit_cores; returns the seconds waited."""
    started = time.time()
    while True:
        busy = Busy(server_pids)
        time.sleep(0.12)
        if busy.other_and_stolen_cores()[0] < limit_cores or time.time() - started > at_most_seconds:
            return time.time() - started


def hashing_mib_s() -> float:
    """SHA-256 on two threads for about 15 ms: shows slow-downs by the host, which /proc/stat hides."""

    def work() -> None:
        digest = hashlib.sha256()
        for _ in range(24):
            digest.update(_NOISE)

    threads = [threading.Thread(target=work) for _ in range(min(2, os.cpu_count() or 1))]
    started = time.perf_counter()
    run_all(threads)
    return 24 * len(threads) / (time.perf_counter() - started)


def disk_mib_s(folder: Path) -> float:
    """A 48 MiB write with fsync."""
    file = folder / ".yardstick"
    started = time.perf_counter()
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    for _ in range(48):
        os.write(descriptor, _NOISE)
    os.fsync(descriptor)
    speed = 48 / (time.perf_counter() - started)
    os.close(descriptor)
    file.unlink()
    return speed


class PeakMemory(threading.Thread):
    """Watches the RSS of several process trees: peak since the start, and since reset()."""

    def __init__(self, pids: dict[str, int]) -> None:
        super().__init__(daemon=True)
        self._pids = pids
        self._stopping = threading.Event()
        self.peak_mib = {name: rss_mib(pid) for name, pid in pids.items()}
        self._recent_mib = dict.fromkeys(pids, 0.0)

    def run(self) -> None:
        trees: dict[str, list[int]] = {}
        turn = 0
        while not self._stopping.is_set():
            if turn % 8 == 0:
                trees = {name: process_tree(pid) for name, pid in self._pids.items()}
            turn += 1
            for name, tree in trees.items():
                self._note(name, _rss_mib_of(tree))
            self._stopping.wait(0.25)

    def _note(self, name: str, now_mib: float) -> None:
        self.peak_mib[name] = max(self.peak_mib[name], now_mib)
        self._recent_mib[name] = max(self._recent_mib[name], now_mib)

    def reset(self, name: str) -> None:
        self._recent_mib[name] = 0.0

    def recent_mib(self, name: str) -> float:
        return max(self._recent_mib[name], rss_mib(self._pids[name]))

    def stop(self) -> None:
        self._stopping.set()
        self.join()


def limits(folder: Path, source: Path) -> dict[str, float]:
    """Hashing, disk and fsync of this machine. source: a big file that is in memory."""
    found = {"sha256_mib_s_one_core": round(_hashing_one_core(), 1)}
    synced, cached = [], []
    for _ in range(3):
        for kind, speeds in (("fsync", synced), ("", cached)):
            os.sync()
            speeds.append(_copy_mib_s(source, folder / "copy.tmp", sync=bool(kind)))
    found["write_with_fsync_mib_s"] = round(statistics.median(synced), 1)
    found["write_to_page_cache_mib_s"] = round(statistics.median(cached), 1)
    for threads in (1, 8):
        found[f"small_files_with_fsync_per_s_{threads}_threads"] = round(_small_files_per_s(folder, threads), 1)
    return found


def _hashing_one_core() -> float:
    digest, started, count = hashlib.sha256(), time.time(), 0
    while time.time() - started < 1:
        digest.update(_NOISE)
        count += 1
    return count / (time.time() - started)


def _copy_mib_s(source: Path, target: Path, sync: bool) -> float:
    started = time.perf_counter()
    with source.open("rb") as reader, target.open("wb") as writer:
        shutil.copyfileobj(reader, writer, MIB)
        writer.flush()
        if sync:
            os.fsync(writer.fileno())
    speed = source.stat().st_size / MIB / (time.perf_counter() - started)
    target.unlink()
    return speed


def _small_files_per_s(folder: Path, threads: int, seconds: float = 2.0) -> float:
    """10 KiB files written, synced and renamed."""
    payload, counts, end = os.urandom(10240), [], time.time() + seconds

    def work(number: int) -> None:
        count = 0
        while time.time() < end:
            staged = folder / f"small-{number}.tmp"
            with staged.open("wb") as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            staged.rename(folder / f"small-{number}.{count % 50}")
            count += 1
        counts.append(count)

    workers: list[threading.Thread] = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    run_all(workers)
    for file in folder.glob("small-*"):
        file.unlink()
    return sum(counts) / seconds


def run_all(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run_json(command: list[str], timeout_seconds: float, complain: Callable[[str], None]) -> dict:
    """The JSON object that a program prints. What it writes to standard error goes to complain. Raises RuntimeError."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, check=False)
    if done.stderr.strip():
        complain(done.stderr.strip()[:300])
    if done.returncode or not done.stdout:
        raise RuntimeError(f"{' '.join(command[:2])} ended with {done.returncode}: {done.stderr[:300]}")
    return json.loads(done.stdout)
