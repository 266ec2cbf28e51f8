"""The numbers in Prometheus' text format, made by prometheus-client when somebody asks. docs/operate.md lists the names."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from roadstead import __version__
from roadstead.metrics import BOUNDS_SECONDS, Series, Snapshot, Stock
from roadstead.registry.totals import Totals

CONTENT_TYPE = CONTENT_TYPE_LATEST
_PREFIX = "roadstead_"
_TOTALS = {
    "audit_entries": "What was given to the audit log.",
    "audit_dropped": "Entries that the audit log could not keep, because the database took nothing for too long.",
    "gc_runs": "Collections that ended.",
    "gc_failures": "Collections that failed.",
    "gc_freed_blobs": "Blobs that collection freed.",
    "gc_freed_bytes": "Bytes of the blobs that collection freed.",
    "gc_expired_uploads": "Uploads that collection dropped because nobody went on with them.",
    "gc_removed_orphans": "Files or objects without a row that collection removed.",
    "jobs_run": "Jobs that were taken, whether they succeeded or not.",
}
_GAUGES = {
    "gc_last_run_timestamp_seconds": "When the last collection ended.",
    "gc_last_run_duration_seconds": "How long the last collection took.",
    "service_account_keys_expiring": "Keys of service accounts that are in use and end within 30 days.",
}


@dataclass(frozen=True, slots=True)
class Node(Collector):
    """All that one answer tells."""

    processes: Sequence[Snapshot]
    stock: Stock
    draining: bool
    now: float = field(default_factory=time.time)

    def collect(self) -> Iterator[Metric]:
        yield _gauge("build_info", "The program's version, as a label of the number 1.", [({"version": __version__}, 1)])
        yield _gauge("draining", "1 while the process that answers is being stopped.", [({}, int(self.draining))])
        yield from self._requests()
        yield from self._work()
        yield from self._own()
        yield _gauge("database_up", "1 where the database answered, at most 30 s ago.", [({}, int(self.stock.answers))])
        yield from self._jobs()
        if self.stock.totals is not None:
            yield from self._kept(self.stock.totals)

    def _requests(self) -> Iterator[Metric]:
        every = [series for process in self.processes for series in process.requests]
        counter = CounterMetricFamily(f"{_PREFIX}http_requests", "Requests that are over.", labels=["route", "method", "status"])
        for (route, method, status), number in sorted(_summed(every).items()):
            counter.add_metric([route, method, str(status)], number)
        yield counter
        latency = HistogramMetricFamily(
            f"{_PREFIX}http_request_duration_seconds", "From the request's head to the answer's last byte.", labels=["route", "method"]
        )
        sent = CounterMetricFamily(f"{_PREFIX}http_response_bytes", "Bytes of answers' bodies.", labels=["route", "method"])
        for (route, method), group in sorted(_by_route(every).items()):
            latency.add_metric([route, method], _buckets(group), sum(series.seconds for series in group))
            sent.add_metric([route, method], sum(series.sent_bytes for series in group))
        yield latency
        yield sent

    def _work(self) -> Iterator[Metric]:
        """Of the worker, if this node has one."""
        for name, help_text in _TOTALS.items():
            found = [process.totals[name] for process in self.processes if name in process.totals]
            if found:
                yield CounterMetricFamily(_PREFIX + name, help_text, value=sum(found))
        for name, help_text in _GAUGES.items():
            found = [process.gauges[name] for process in self.processes if name in process.gauges]
            if found:
                yield _gauge(name, help_text, [({}, max(found))])

    def _own(self) -> Iterator[Metric]:
        alive = [process for process in self.processes if _is_alive(process.pid)]
        yield _gauge("process_up", "1 for each process of this node that lives.", [({"process": p.process}, 1) for p in alive])
        yield _gauge("process_start_time_seconds", "When the process started.", [({"process": p.process}, p.started_at) for p in alive])
        memory = [({"process": p.process}, p.gauges.get("resident_bytes", 0)) for p in alive]
        yield _gauge("process_resident_memory_bytes", "The process's memory.", memory)
        open_now = [({"process": p.process}, p.gauges["connections"]) for p in alive if "connections" in p.gauges]
        yield _gauge("http_connections", "Open connections of clients.", open_now)
        cpu = CounterMetricFamily(f"{_PREFIX}process_cpu_seconds", "Processor time of the process.", labels=["process"])
        starts = CounterMetricFamily(f"{_PREFIX}process_starts", "How often the process was started.", labels=["process"])
        for process in self.processes:
            cpu.add_metric([process.process], process.gauges.get("cpu_seconds", 0))
            starts.add_metric([process.process], process.starts)
        yield cpu
        yield starts

    def _jobs(self) -> Iterator[Metric]:
        if not self.stock.answers:
            return
        jobs = self.stock.jobs
        yield _gauge("jobs_waiting", "Jobs that are not done.", [({"kind": job.kind}, job.number) for job in jobs])
        age = [({"kind": job.kind}, max(0.0, (self.stock.asked_at_us - job.oldest_us) / 1e6)) for job in jobs]
        yield _gauge("jobs_oldest_age_seconds", "Age of the oldest job that is not done.", age)
        failed = [({"kind": job.kind}, job.failed_attempts) for job in jobs]
        yield _gauge("jobs_failed_attempts", "Failed attempts at jobs that are not done.", failed)

    def _kept(self, totals: Totals) -> Iterator[Metric]:
        yield _gauge("repositories", "Repositories, also those without manifests.", [({}, totals.repositories)])
        yield _gauge("manifests", "Manifests.", [({}, totals.manifests)])
        yield _gauge("tags", "Tags.", [({}, totals.tags)])
        blobs = sorted(totals.blobs.items())
        yield _gauge("blobs", "Blobs.", [({"location": name}, number) for name, (number, _) in blobs])
        yield _gauge("blob_bytes", "Bytes of the blobs.", [({"location": name}, size) for name, (_, size) in blobs])
        uploads = sorted(totals.uploads.items())
        yield _gauge("uploads_open", "Uploads that have begun and not ended.", [({"location": name}, n) for name, n in uploads])
        counted: list[tuple[dict[str, str], float]] = [({}, totals.counted_at_us / 1e6)]
        yield _gauge("totals_timestamp_seconds", "When these were counted: repositories, manifests, tags, blobs, uploads.", counted)


def text(node: Node) -> bytes:
    return generate_latest(node)


def _gauge(name: str, help_text: str, values: Sequence[tuple[dict[str, str], float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(_PREFIX + name, help_text, labels=list(values[0][0]) if values else ["process"])
    for labels, value in values:
        family.add_metric(list(labels.values()), value)
    return family


def _summed(every: Sequence[Series]) -> dict[tuple[str, str, int], int]:
    found: dict[tuple[str, str, int], int] = defaultdict(int)
    for series in every:
        found[series.route, series.method, series.status] += sum(series.counts)
    return found


def _by_route(every: Sequence[Series]) -> dict[tuple[str, str], list[Series]]:
    found: dict[tuple[str, str], list[Series]] = defaultdict(list)
    for series in every:
        found[series.route, series.method].append(series)
    return found


def _buckets(group: Sequence[Series]) -> list[tuple[str, float]]:
    """Prometheus' buckets hold all that is below their end, not only what is above the one before."""
    below = 0
    found: list[tuple[str, float]] = []
    for bound, *counts in zip((*map(str, BOUNDS_SECONDS), "+Inf"), *(series.counts for series in group), strict=True):
        below += sum(counts)
        found.append((bound, below))
    return found


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
