"""Runs every step on every server in turn, several rounds; repeats what other processes disturbed; keeps the median."""

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from client import Server
from machine import Busy, PeakMemory, cpu_seconds, disk_mib_s, hashing_mib_s, process_tree, pss_mib, rss_mib, wait_until_quiet
from steps import Step, log


@dataclass(frozen=True)
class Patience:
    """How much time may go into an undisturbed measurement."""

    rounds: int
    retries: int
    retry_seconds: float  # no more repeats after this time
    wait_seconds: float  # to wait in all for other processes to be quiet
    other_cores: float = 0.3  # more than that used by other processes: disturbed


class Comparison:
    def __init__(self, servers: list[Server], patience: Patience, disk: Path) -> None:
        self._servers = servers
        self._patience = patience
        self._disk = disk
        self._pids = [server.pid for server in servers]
        self._best_hashing = max(0.97 * hashing_mib_s() for _ in range(30))
        self._best_disk = max(disk_mib_s(disk) for _ in range(5))
        self._waited = 0.0
        self._repeated = 0
        self._started = time.time()

    def run(self, steps: list[Step]) -> dict:
        """Fills results and memory of each server; returns what is known of the run as a whole."""
        for server in self._servers:
            server.memory = {
                "idle_rss_mib": rss_mib(server.pid),
                "idle_pss_mib": pss_mib(server.pid),
                "processes": len(process_tree(server.pid)),
            }
        self._memory = PeakMemory({server.name: server.pid for server in self._servers})
        self._memory.start()
        for turn in range(self._patience.rounds):
            for number, step in enumerate(steps):
                self._row(turn, turn + number, step)
        self._memory.stop()
        for server in self._servers:
            peak = self._memory.peak_mib[server.name]
            server.memory |= {"after_rss_mib": rss_mib(server.pid), "after_pss_mib": pss_mib(server.pid), "peak_rss_mib": peak}
        return {
            "rounds": self._patience.rounds,
            "seconds": round(time.time() - self._started, 1),
            "waited_for_quiet_seconds": round(self._waited, 1),
            "cells_repeated": self._repeated,
            "sha256_two_threads_mib_s": round(self._best_hashing),
            "disk_fsync_mib_s": round(self._best_disk),
        }

    def _row(self, turn: int, shift: int, step: Step) -> None:
        started, shown = time.time(), []
        servers = [server for server in self._servers if (step.ceiling or not server.static) and step.name not in server.leaves_out]
        first = shift % len(servers)
        for server in servers[first:] + servers[:first]:
            found = self._cell(server, step)
            server.results.setdefault(step.name, []).append(found)
            shown.append(f"{server.name}={found.get(step.unit)}" + ("" if found["undisturbed"] else "?"))
        now = time.time()
        log(f"[{now - self._started:6.1f}s round {turn + 1} {now - started:5.1f}s] {step.name}: " + "  ".join(shown))

    def _cell(self, server: Server, step: Step) -> dict:
        """The best of at most 1 + retries attempts."""
        best: dict | None = None
        for attempt in range(1 + self._patience.retries):
            left = self._patience.wait_seconds - self._waited
            if left > 0:
                self._waited += wait_until_quiet(self._pids, min(10, left))
            found = self._attempt(server, step)
            found["attempt"] = attempt
            if best is None or (found["undisturbed"], found["quiet"]) > (best["undisturbed"], best["quiet"]):
                best = found
            if found["undisturbed"] or time.time() - self._started > self._patience.retry_seconds:
                break
            self._repeated += 1
        return best or {}

    def _attempt(self, server: Server, step: Step) -> dict:
        disk = disk_mib_s(self._disk) if step.disk else None
        hashing = hashing_mib_s()
        self._memory.reset(server.name)
        before, busy = cpu_seconds(server.pid), Busy(self._pids)
        try:
            found = step.ceiling(server) if step.ceiling and server.static else step.measure(server)
        except Exception as error:
            found = {"error": repr(error)[:300]}
        if "error" in found:
            log("   !", server.name, step.name, found["error"])
            found["measured_with_error"] = found.pop(step.unit, None)
        other, stolen = busy.other_and_stolen_cores()
        found.setdefault("server_cpu_s", cpu_seconds(server.pid) - before)
        found["peak_rss_mib"] = round(self._memory.recent_mib(server.name), 1)
        time.sleep(0.08)  # the server finishes what the client left behind
        return found | self._judged(other, stolen, min(hashing, hashing_mib_s()), disk)

    def _judged(self, other: float, stolen: float, hashing: float, disk: float | None) -> dict:
        self._best_hashing = max(self._best_hashing, hashing)
        self._best_disk = max(self._best_disk, disk or 0)
        speed, writing = hashing / self._best_hashing, disk / self._best_disk if disk else 1.0
        return {
            "other_cores": round(other, 3),
            "stolen_cores": round(stolen, 3),
            "undisturbed": speed >= 0.85 and other <= self._patience.other_cores and writing >= 0.55,
            "quiet": round(speed - other / 2 + writing, 3),
        }


def summary(server: Server, steps: list[Step]) -> dict:
    return {step.name: _step_summary(step, server.results[step.name]) for step in steps if step.name in server.results}


def _step_summary(step: Step, all_rounds: list[dict]) -> dict:
    measured = [found for found in all_rounds if found.get(step.unit) is not None]
    undisturbed = [found for found in measured if found["undisturbed"]]
    rounds = undisturbed or measured
    values = [found[step.unit] for found in rounds]
    result: dict = {
        "unit": step.unit,
        "median": round(statistics.median(values), 3) if values else None,
        "undisturbed_rounds": len(undisturbed),
        "all": [found.get(step.unit) for found in all_rounds],
    }
    for key in ("p50_ms", "p99_ms", "mib_s_with_sync", "peak_rss_mib", "server_cpu_s", "other_cores", "tags", "pages"):
        known = [found[key] for found in rounds if found.get(key) is not None]
        if known:
            result[key] = round(statistics.median(known), 3)
    costs = [cost for found in rounds if (cost := _cpu_cost(step, found)) is not None]
    if costs:
        result["cpu"] = round(statistics.median(costs), 2)
    errors = [found["error"] for found in all_rounds if "error" in found]
    return result | ({"error": errors[0]} if errors else {})


CPU_UNITS = {"req/s": "µs/request", "MiB/s": "ms/GiB", "images/s": "ms/image", "s": "s/image"}


def _cpu_cost(step: Step, found: dict) -> float | None:
    """CPU time of the server per piece of work, in the unit of CPU_UNITS."""
    seconds = found.get("server_cpu_s")
    if seconds is None:
        return None
    if step.unit == "req/s":
        return seconds * 1e6 / found["requests"] if found.get("requests") else None
    if step.unit == "MiB/s":
        return seconds * 1e3 / (found["bytes"] / (1 << 30)) if found.get("bytes") else None
    if step.unit == "images/s":
        return seconds * 1e3 / found["images"] if found.get("images") else None
    return seconds if step.unit == "s" else None
