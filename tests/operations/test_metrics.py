"""/metrics: one answer for all processes of a node, in Prometheus' format."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from random import Random

import httpx
import pytest

from roadstead import config, wiring
from roadstead.metrics import _COPY_BYTES, Board, Recorder
from roadstead.registry import totals
from tests.kit.observed import Metrics, children, wait_for
from tests.kit.push import connect, push_blob, push_image
from tests.kit.server import Server, serving

MANIFEST = "/v2/<name>/manifests/<reference>"


def separately(server: Server, number: int, path: str) -> None:
    """Each on a connection of its own, so that the kernel gives them to several processes."""
    for _ in range(number):
        httpx.get(f"{server.url}{path}")


@pytest.mark.slow
def test_every_process_answers_for_all_of_the_node(tmp_path: Path, repository: str) -> None:
    with serving(tmp_path / "data", "--processes", "2") as server:
        separately(server, 20, f"/v2/{repository}/manifests/v1")

        metrics = wait_for(lambda: (m := Metrics(server.url)).sum("http_requests_total", route=MANIFEST) == 20 and m)

        assert 20 == metrics.sum("http_requests_total", route=MANIFEST, method="GET", status="404")
        assert {"serve-0", "serve-1", "worker"} == metrics.labels("process_up", "process")
        for _ in range(5):
            assert 20 == Metrics(server.url).sum("http_requests_total", route=MANIFEST), "whichever process answers"


@pytest.mark.slow
def test_a_process_that_dies_takes_nothing_away(tmp_path: Path, repository: str) -> None:
    """A counter that goes back would look like a restart of the whole node: rates would be wrong."""
    with serving(tmp_path / "data", "--processes", "2") as server:
        separately(server, 20, f"/v2/{repository}/manifests/v1")
        wait_for(lambda: Metrics(server.url).sum("http_requests_total", route=MANIFEST) == 20)
        time.sleep(1.2)  # what was counted within the last second is not told to the others yet
        assert server.process
        for pid in children(server.process.pid):
            os.kill(pid, signal.SIGKILL)

        metrics = wait_for(lambda: (m := Metrics(server.url)).sum("process_starts_total") == 6 and m)

        assert 20 == metrics.sum("http_requests_total", route=MANIFEST)


def test_the_format_is_prometheus_s_with_help_for_every_name(server: Server) -> None:
    metrics = Metrics(server.url)

    assert metrics.content_type.startswith("text/plain; version=")
    for family in metrics.families.values():
        assert family.name.startswith("roadstead_")
        assert family.documentation.endswith("."), family.name


def test_latencies_are_histograms_by_route(server: Server, client: httpx.Client) -> None:
    client.get("/v2/")
    metrics = wait_for(lambda: (m := Metrics(server.url)).sum("http_requests_total", route="/v2/", method="GET") and m)
    buckets = [s for s in metrics.samples if s.name.endswith("duration_seconds_bucket") and s.labels["route"] == "/v2/"]
    by_method: dict[str, list[float]] = {}
    for sample in buckets:
        by_method.setdefault(sample.labels["method"], []).append(sample.value)

    assert "+Inf" == buckets[-1].labels["le"]
    assert sorted(by_method["GET"]) == by_method["GET"]
    assert metrics.sum("http_request_duration_seconds_count", route="/v2/", method="GET") == by_method["GET"][-1]
    assert 0 < metrics.sum("http_request_duration_seconds_sum", route="/v2/") < 60


@pytest.mark.slow
def test_a_name_of_a_client_s_is_no_label(tmp_path: Path, repository: str) -> None:
    """Labels that anybody may invent would fill the memory of whoever collects them."""
    with serving(tmp_path / "data", "--processes", "1") as server:
        for path in (f"/v2/{repository}/manifests/secret", "/v2/secret/x/y", "/secret"):
            httpx.get(f"{server.url}{path}")
        httpx.request("PROPFIND", f"{server.url}/v2/")

        text = httpx.get(f"{server.url}/metrics").text

        assert "secret" not in text
        assert repository not in text
        assert "PROPFIND" not in text
        assert 'method="OTHER",route="unmatched",status="405"' in text


def test_bytes_of_answers_are_counted_not_those_that_were_only_announced(tmp_path: Path, repository: str) -> None:
    content = Random("counted").randbytes(100_000)
    with serving(tmp_path / "data", "--processes", "1") as server, connect(server.url) as client:
        name = push_blob(client, repository, content)
        client.head(f"/v2/{repository}/blobs/{name}")
        client.get(f"/v2/{repository}/blobs/{name}", headers={"Range": "bytes=0-9"})

        metrics = Metrics(server.url)

        assert 10 >= metrics.sum("http_response_bytes_total", route="/v2/<name>/blobs/<digest>", method="GET")
        assert 0 == metrics.sum("http_response_bytes_total", route="/v2/<name>/blobs/<digest>", method="HEAD")


def test_what_waits_is_told(tmp_path: Path, repository: str) -> None:
    """Nobody works here, so the queue grows: that is what the operator must be able to see."""
    with serving(tmp_path / "data", "--processes", "1", "--no-worker") as server, connect(server.url) as client:
        name = push_blob(client, repository, Random("waits").randbytes(100_000))
        assert 202 == client.delete(f"/v2/{repository}/blobs/{name}").status_code

        metrics = Metrics(server.url)

        assert 1 == metrics.sum("jobs_waiting", kind="remove-bytes")
        assert 0 <= metrics.sum("jobs_oldest_age_seconds", kind="remove-bytes") < 60
        assert 0 == metrics.sum("jobs_failed_attempts", kind="remove-bytes")
        assert 1 == metrics.sum("database_up")


@pytest.mark.slow
def test_collection_is_told(tmp_path: Path, repository: str) -> None:
    env = {"ROADSTEAD_GC_INTERVAL_SECONDS": "0.2", "ROADSTEAD_GC_GRACE_SECONDS": "0"}
    with serving(tmp_path / "data", "--processes", "1", env=env) as server, connect(server.url) as client:
        before = time.time() - 1
        push_blob(client, repository, Random("collected").randbytes(100_000))

        metrics = wait_for(lambda: (m := Metrics(server.url)).sum("gc_freed_blobs_total") and m)

        assert 1 == metrics.sum("gc_freed_blobs_total")
        assert 100_000 == metrics.sum("gc_freed_bytes_total")
        assert 1 <= metrics.sum("gc_runs_total")
        assert before <= metrics.sum("gc_last_run_timestamp_seconds") <= time.time()
        assert 0 < metrics.sum("gc_last_run_duration_seconds") < 60
        wait_for(lambda: Metrics(server.url).sum("jobs_run_total") >= 1)


def counted(server: Server, after_seconds: float, piece_rows: int) -> totals.Totals:
    """As a worker of this server counts it, that many seconds from now."""
    settings = config.load(None, {"data": server.data}, server.env)

    async def count() -> totals.Totals:
        own = wiring.parts(settings)
        try:
            clock = lambda: wiring.now_us() + int(after_seconds * 1e6)  # noqa: E731
            await totals.Counter(own.database, own.stores, clock, piece_rows).count()
            found = await totals.latest(own.database)
        finally:
            await own.database.close()
        assert found
        return found

    return asyncio.run(count())


@pytest.mark.parametrize("piece_rows", [1, 2, 3, 5000])
def test_tables_are_counted_in_pieces_of_any_size(tmp_path: Path, piece_rows: int) -> None:
    with serving(tmp_path / "data", "--processes", "1", "--no-worker") as server, connect(server.url) as client:
        for number in range(3):
            push_image(client, f"project/image{number}", "v1")
            push_image(client, f"project/image{number}", "v2")
        push_blob(client, "project/image0", bytes(50_000))
        client.post("/v2/project/image0/blobs/uploads/")
        eu = {"Host": "eu.gcr.io"}
        client.post("/v2/project/image0/blobs/uploads/", params={"digest": "sha256:" + "0" * 64}, content=b"wrong", headers=eu)

        found = counted(server, 0, piece_rows)
        metrics = Metrics(server.url)

    # Twelve small blobs of the images, and a larger one.
    assert (3, 6, 6, 13) == (found.repositories, found.manifests, found.tags, found.blobs["gcr"][0])
    assert 50_000 < found.blobs["gcr"][1] < 60_000
    assert (0, 0) == found.blobs["eu"]
    assert {"asia": 0, "eu": 0, "gcr": 1, "mirror": 0, "us": 0} == found.uploads
    assert 6 == metrics.sum("tags")
    assert found.blobs["gcr"][1] == metrics.sum("blob_bytes", location="gcr")
    assert 1 == metrics.sum("uploads_open")


def test_of_several_workers_one_counts(tmp_path: Path) -> None:
    """And what has not changed is not written again, until it would look as if nobody counted any more."""
    with serving(tmp_path / "data", "--processes", "1", "--no-worker") as server, connect(server.url) as client:
        first = counted(server, 0, 5000)
        push_image(client, "project/image")

        assert first == counted(server, 20, 5000), "somebody has just counted"
        second = counted(server, 31, 5000)
        assert (1, 1) == (second.manifests, second.tags)
        assert second == counted(server, 31 + 31, 5000), "nothing has changed"
        assert second.counted_at_us < counted(server, 31 + 301, 5000).counted_at_us


# The memory that processes share


def test_half_a_snapshot_is_never_read() -> None:
    """A process may be killed while it writes: then the snapshot before counts."""
    board = Board(2)
    for slot, payload in ((0, b"first"), (1, b"other"), (0, b"second")):
        board.write(slot, payload)
    assert (b"second", b"other") == (board.read(0), board.read(1))

    board._memory[16] ^= 1  # the copy that "first" stands in
    assert b"second" == board.read(0)
    board._memory[_COPY_BYTES + 16] ^= 1
    assert board.read(0) is None
    board.write(0, b"third")
    assert b"third" == board.read(0)


def test_a_process_that_is_started_again_goes_on_counting() -> None:
    board = Board(1)
    first = Recorder(board, 0, "serve-0")
    first.request("/v2/", "GET", 200, 40_000, 2)
    first.add("jobs_run", 3)
    first.publish()

    second = Recorder(board, 0, "serve-0")
    second.request("/v2/", "GET", 200, 10**12, 2)
    second.add("jobs_run", 1)
    second.publish()

    (snapshot,) = board.snapshots()
    (series,) = snapshot.requests
    assert (2, 4, 2) == (sum(series.counts), series.sent_bytes, snapshot.starts)
    assert (1, 1) == (series.counts[0], series.counts[-1]), "the fastest and the slowest bucket"
    assert 4 == snapshot.totals["jobs_run"]
